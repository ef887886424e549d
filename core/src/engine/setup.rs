//! From a configuration to an engine.
//!
//! `compile-policy` has refused what is wrong in a policy. What is checked here once more is what the
//! engine relies on, since a configuration may come from elsewhere; and what only the environment of
//! the proxy can tell.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::authorize::Terms;
use super::commons::Commons;
use super::content::{Discovered, Purpose};
use super::decision::REPORT_HEADER;
use super::issuer::Issuers;
use super::possession::Possession;
use super::requirement::{Plan, PlanError};
use super::source::Source;
use super::waiting::WaitingRequests;
use super::{Access, App, AppRoute, Engine, Provider, ProviderKeys, SourceIndex};
use crate::config::{
    self, Auth, Binding, CACHE_TTL_VARIABLE, Config, FORMAT_VERSION, FixedKeys, ForwardTarget,
    ForwardedClaim, Handling, MAX_FILTER_STATE_KEY_BYTES, MAX_JWT_CACHE_SIZE, PathKind, RemoteKeys,
};
use crate::header_names::HeaderNames;
use crate::jose::{Algorithm, JwkSet, JwkSetError, KeyError, KeyOrigin, PemError, Sha256Digest};
use crate::json::{self, Number, Value};
use crate::matching::{Matcher, MatcherError};
use crate::read::{Read, ReadError};
use crate::replay::LocalMemory;
use crate::request::fold_header_name;
use crate::revocation::{Entry, RevocationError, RevocationList};
use crate::sort::{sort_and_dedup, sort_by};
use crate::sorted::SortedMap;
use crate::time::Timestamp;

/// Why a configuration gives no engine.
#[derive(Debug)]
#[non_exhaustive]
pub enum SetupError {
    /// It is not JSON, or not of the form that this build reads.
    Malformed(ReadError),
    /// It was compiled for another version of the filter.
    Version {
        /// The version of the configuration.
        found: u64,
    },
    /// Something that `compile-policy` always writes is missing or of no use.
    Inconsistent {
        /// Where: the provider's or app's name.
        place: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// A route that no request can be compared with.
    Matching {
        /// The app.
        app: String,
        /// Why.
        error: MatcherError,
    },
    /// A JWK set that the engine cannot read.
    Keys {
        /// The provider.
        provider: String,
        /// Why.
        error: JwkSetError,
    },
    /// An environment variable is not set, or was not passed on by the proxy.
    VariableMissing {
        /// The variable.
        name: String,
    },
    /// An environment variable holds no shared secret that may be used.
    Secret {
        /// The variable.
        name: String,
        /// Why.
        error: KeyError,
    },
    /// An environment variable holds no public key that may be used.
    PublicKey {
        /// The variable.
        name: String,
        /// Why.
        error: PemError,
    },
    /// An environment variable holds no key that the provider's algorithms can use.
    NoUsableKey {
        /// The variable.
        name: String,
    },
    /// An environment variable is no whole number from 1 to 86400.
    Seconds {
        /// The variable.
        name: &'static str,
    },
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => write!(
                f,
                "the configuration is not one that `nexusctl compile-policy` wrote: {error}"
            ),
            Self::Version { found } => write!(
                f,
                "the configuration has version {found}, this filter reads version {FORMAT_VERSION}; \
                 compile the policy with the `nexusctl` of the same release"
            ),
            Self::Inconsistent { place, problem } => write!(f, "`{place}` {problem}"),
            Self::Matching { app, error } => write!(f, "`{app}` cannot be matched: {error}"),
            Self::Keys { provider, error } => {
                write!(
                    f,
                    "the keys of the provider `{provider}` cannot be used: {error}"
                )
            }
            Self::VariableMissing { name } => write!(
                f,
                "the environment variable `{name}` is not set; \
                 pass it on by `vm_config.environment_variables.host_env_keys`"
            ),
            Self::Secret { name, error } => write!(
                f,
                "the environment variable `{name}` holds no secret that may be used: {error}"
            ),
            Self::PublicKey { name, error } => write!(
                f,
                "the environment variable `{name}` holds no public key that may be used: {error}"
            ),
            Self::NoUsableKey { name } => write!(
                f,
                "the environment variable `{name}` holds no key for an algorithm that the provider allows"
            ),
            Self::Seconds { name } => write!(
                f,
                "the environment variable `{name}` is not a whole number of seconds from 1 to 86400"
            ),
        }
    }
}

impl core::error::Error for SetupError {}

/// The longest time to live of fetched keys, in seconds.
const LONGEST_TTL_SECS: u64 = 86_400;

impl Config {
    /// Reads what `compile-policy` wrote.
    ///
    /// # Errors
    /// [`SetupError::Malformed`] or [`SetupError::Version`].
    #[inline(never)]
    pub fn parse(json: &[u8]) -> Result<Self, SetupError> {
        let value = json::parse(json).map_err(|error| SetupError::Malformed(error.into()))?;
        match Self::read(&value) {
            Ok(Self { nexus, .. }) if nexus != FORMAT_VERSION => Err(SetupError::Version {
                found: nexus.into(),
            }),
            Ok(config) => Ok(config),
            // That of another version is told as one.
            Err(error) => match value
                .member("nexus")
                .and_then(Value::as_number)
                .and_then(Number::as_u64)
            {
                Some(found) if found != u64::from(FORMAT_VERSION) => {
                    Err(SetupError::Version { found })
                }
                _ => Err(SetupError::Malformed(error)),
            },
        }
    }
}

#[inline(never)]
pub(super) fn build(
    config: Config,
    environment: &dyn Fn(&str) -> Option<Vec<u8>>,
    seed: u64,
    now: Timestamp,
) -> Result<Engine, SetupError> {
    if config.nexus != FORMAT_VERSION {
        return Err(SetupError::Version {
            found: config.nexus.into(),
        });
    }
    let token_parameters = super::reply::token_parameters(&config);
    let mut sources = Sources {
        default_ttl_secs: default_ttl_secs(environment)?,
        now,
        origins: SortedMap::new(),
        list: super::schedule::Sources::default(),
    };
    let mut providers = Vec::with_capacity(config.providers.len());
    let mut handling = Vec::with_capacity(config.providers.len());
    for mut provider in config.providers {
        handling.push((
            core::mem::take(&mut provider.handling),
            core::mem::take(&mut provider.audiences),
        ));
        providers.push(read_provider(provider, environment, &mut sources)?);
    }
    Possession::remember_for_all(
        providers
            .iter_mut()
            .map(|provider| &mut provider.possession),
    );
    for app in &config.apps {
        check_app(app)?;
        check_replies(&app.slug, app.replies.as_ref())?;
    }
    check_replies("replies", config.replies.as_ref())?;
    let forwarding = Forwarding::of(&handling, &config.apps)?;
    let matcher = Matcher::new(&config.apps).map_err(|(app, error)| SetupError::Matching {
        app: config
            .apps
            .get(app.0)
            .map_or_else(String::new, |app| app.slug.clone()),
        error,
    })?;
    let apps = config.apps.into_iter();
    Ok(Engine {
        matcher,
        unmatched: config.unmatched,
        replies: config.replies.unwrap_or_default(),
        token_cache: None,
        verifier: None,
        signature_verification: config.signature_verification,
        jwt_cache_size: config.jwt_cache_size.min(MAX_JWT_CACHE_SIZE) as usize,
        token_parameters,
        protected: HeaderNames::new(forwarding.headers),
        filter_state_keys: forwarding.filter_state_keys,
        asks_certificate: providers
            .iter()
            .any(|provider| provider.possession.mtls != Binding::Off),
        apps: apps
            .map(|app| read_app(app, &handling, &providers, &sources.list))
            .collect::<Result<_, _>>()?,
        providers,
        sources: sources.list,
        waiting: WaitingRequests::default(),
        events: VecDeque::new(),
        replay: Box::new(LocalMemory::default()),
        commons: Commons::alone(),
        told: now,
        seen: now,
        next_fetch: 0,
        jitter: seed,
    })
}

fn check_replies(place: &str, replies: Option<&config::Replies>) -> Result<(), SetupError> {
    replies
        .map_or(Ok(()), super::reply::check)
        .map_err(|problem| SetupError::Inconsistent {
            place: place.into(),
            problem,
        })
}

/// What the environment says about the time to live of fetched keys.
fn default_ttl_secs(
    environment: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Result<Option<u64>, SetupError> {
    let Some(value) = environment(CACHE_TTL_VARIABLE) else {
        return Ok(None);
    };
    core::str::from_utf8(&value)
        .ok()
        .and_then(|text| text.parse().ok())
        .filter(|seconds| (1..=LONGEST_TTL_SECS).contains(seconds))
        .map(Some)
        .ok_or(SetupError::Seconds {
            name: CACHE_TTL_VARIABLE,
        })
}

/// What is fetched, and from where.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    /// With the thumbprints of the keys that count.
    Keys(RemoteKeys, Vec<Sha256Digest>),
    Revocations(config::Remote),
}

impl Origin {
    fn purpose(&self) -> Purpose {
        match self {
            Self::Keys(RemoteKeys::Url(remote), pins) => {
                Purpose::Keys(remote.clone(), pins.clone())
            }
            Self::Keys(RemoteKeys::Discovery(discovery), pins) => {
                let discovered = Discovered::new(discovery.clone(), pins.clone());
                Purpose::Discovered(Box::new(discovered))
            }
            Self::Revocations(remote) => Purpose::Revocations(remote.clone()),
        }
    }
}

struct Sources {
    default_ttl_secs: Option<u64>,
    now: Timestamp,
    /// Where each of `list` is from.
    origins: SortedMap<Box<Origin>, SourceIndex>,
    list: super::schedule::Sources,
}

impl Sources {
    /// The source of that; providers that need the same share it and its fetches.
    fn index_of(&mut self, origin: Origin) -> SourceIndex {
        if let Some(known) = self.origins.get(&origin) {
            return *known;
        }
        let purpose = origin.purpose();
        let topic = purpose.topic();
        let holder = self.list.len() as u64;
        let source = Source::new(purpose, self.default_ttl_secs, holder, self.now);
        let index = self.list.push(source, topic);
        self.origins.insert(Box::new(origin), index);
        index
    }
}

#[inline(never)]
fn read_provider(
    mut provider: config::Provider,
    environment: &dyn Fn(&str) -> Option<Vec<u8>>,
    sources: &mut Sources,
) -> Result<Provider, SetupError> {
    let inconsistent = |problem| SetupError::Inconsistent {
        place: provider.name.clone(),
        problem,
    };
    if provider.algorithms.is_empty() {
        return Err(inconsistent("allows no algorithm"));
    }
    let issuers = Issuers::new(&provider).map_err(inconsistent)?;
    let terms = Terms::new(&provider).map_err(inconsistent)?;
    let leeway = i64::try_from(provider.clock_skew_secs)
        .map_err(|_| inconsistent("has a clock skew that is too large"))?;
    let possession = Possession::new(&provider.possession, leeway)
        .ok_or_else(|| inconsistent("has a proof of unlimited age"))?;
    let revoked = revoked(&provider.revocation.entries)
        .map_err(|_| inconsistent("revokes more than a list can hold"))?;
    let keys = core::mem::take(&mut provider.keys);
    let keys = read_keys(&provider, keys, environment, sources)?;
    Ok(Provider {
        name: provider.name,
        issuers,
        terms,
        algorithms: provider.algorithms,
        leeway,
        require_expiration: provider.require_expiration,
        possession,
        keys,
        revoked,
        revocations: provider
            .revocation
            .remote
            .map(|remote| sources.index_of(Origin::Revocations(remote))),
    })
}

#[inline(never)]
fn read_keys(
    provider: &config::Provider,
    keys: config::Keys,
    environment: &dyn Fn(&str) -> Option<Vec<u8>>,
    sources: &mut Sources,
) -> Result<ProviderKeys, SetupError> {
    let inconsistent = |problem| SetupError::Inconsistent {
        place: provider.name.clone(),
        problem,
    };
    let config::Keys {
        fixed,
        remote,
        pinned,
    } = keys;
    let pins = pinned
        .iter()
        .map(|pin| Sha256Digest::from_base64url(pin))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| inconsistent("pins something other than a thumbprint"))?;
    if fixed.is_none() && remote.is_empty() {
        return Err(inconsistent("has no source of keys"));
    }
    if !remote.is_empty() && provider.algorithms.iter().any(|alg| alg.is_symmetric()) {
        return Err(inconsistent(
            "allows a symmetric algorithm with a remote key set",
        ));
    }
    let fixed = match fixed {
        Some(keys) => Some(read_fixed(provider, &keys, &pins, environment)?),
        None => None,
    };
    if fixed.as_ref().is_some_and(JwkSet::is_empty) {
        return Err(inconsistent("has no key that may be used"));
    }
    let mut indices = Vec::new();
    for keys in remote {
        if let RemoteKeys::Discovery(discovery) = &keys {
            if discovery.hosts.is_empty() || discovery.paths.is_empty() {
                return Err(inconsistent("says nowhere that its keys may be"));
            }
        }
        let index = sources.index_of(Origin::Keys(keys, pins.clone()));
        if !indices.contains(&index) {
            indices.push(index);
        }
    }
    Ok(ProviderKeys {
        fixed,
        remote: indices,
    })
}

/// The keys that are always there.
#[inline(never)]
fn read_fixed(
    provider: &config::Provider,
    keys: &FixedKeys,
    pins: &[Sha256Digest],
    environment: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Result<JwkSet, SetupError> {
    match keys {
        FixedKeys::Jwks(jwks) => {
            let keys = JwkSet::parse(jwks.as_str().as_bytes(), KeyOrigin::Local);
            let keys = keys.map_err(|error| SetupError::Keys {
                provider: provider.name.clone(),
                error,
            })?;
            Ok(keys.pinned(pins))
        }
        FixedKeys::SecretEnv(name) => {
            let secret = variable(environment, name)?;
            let keys = JwkSet::from_secret(&secret, &provider.algorithms);
            let keys = keys.map_err(|error| SetupError::Secret {
                name: name.clone(),
                error,
            })?;
            Ok(keys.pinned(pins))
        }
        FixedKeys::PublicKeyEnv(name) => {
            let pem = variable(environment, name)?;
            let keys = JwkSet::from_pem(&pem).map_err(|error| SetupError::PublicKey {
                name: name.clone(),
                error,
            })?;
            let keys = keys.pinned(pins);
            if !serves(&keys, &provider.algorithms) {
                return Err(SetupError::NoUsableKey { name: name.clone() });
            }
            Ok(keys)
        }
    }
}

/// What a policy itself revokes.
fn revoked(entries: &[config::RevokedEntry]) -> Result<RevocationList, RevocationError> {
    RevocationList::of(entries.iter().map(|entry| Entry {
        by: entry.by,
        value: entry.value.as_str().into(),
        issued_before: entry.issued_before,
    }))
}

fn variable(
    environment: &dyn Fn(&str) -> Option<Vec<u8>>,
    name: &str,
) -> Result<Vec<u8>, SetupError> {
    environment(name).ok_or_else(|| SetupError::VariableMissing { name: name.into() })
}

/// Whether any key of the set may be used with an algorithm that is allowed.
fn serves(keys: &JwkSet, allowed: &[Algorithm]) -> bool {
    keys.keys()
        .iter()
        .any(|key| key.algorithms().iter().any(|alg| allowed.contains(alg)))
}

fn check_app(app: &config::App) -> Result<(), SetupError> {
    let inconsistent = |problem| {
        Err(SetupError::Inconsistent {
            place: app.slug.clone(),
            problem,
        })
    };
    if app.hosts.is_empty() {
        return inconsistent("has no host");
    }
    if !app.path.starts_with('/') {
        return inconsistent("has a path that is not absolute");
    }
    Ok(())
}

/// A field name (RFC 9110 §5.1) in lower case, which no pseudo-header is.
fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}

/// A key of filter state: nothing that a formatter of an access log would take for its own.
fn is_filter_state_key(key: &str) -> bool {
    (1..=MAX_FILTER_STATE_KEY_BYTES).contains(&key.len())
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// What the configuration passes on, all in all.
struct Forwarding {
    /// Every header that carries something verified anywhere, folded.
    headers: Vec<Vec<u8>>,
    /// Every key of filter state, in order.
    filter_state_keys: Vec<String>,
}

impl Forwarding {
    fn of(providers: &[(Handling, Vec<String>)], apps: &[config::App]) -> Result<Self, SetupError> {
        let rules = apps.iter().flat_map(|app| {
            core::iter::once(&app.auth)
                .chain(app.routes.iter().map(|route| &route.auth))
                .filter_map(|auth| match auth {
                    Auth::Jwt(auth) => Some(&auth.handling),
                    Auth::None => None,
                })
        });
        let mut all = Self {
            headers: Vec::from([fold_header_name(REPORT_HEADER)]),
            filter_state_keys: Vec::new(),
        };
        for handling in providers.iter().map(|(handling, _)| handling).chain(rules) {
            for (target, _) in forwarded(handling) {
                all.add(target)?;
            }
        }
        sort_and_dedup(&mut all.filter_state_keys);
        Ok(all)
    }

    fn add(&mut self, target: &ForwardTarget) -> Result<(), SetupError> {
        let problem = match target {
            ForwardTarget::Header(name) if is_header_name(name) => {
                self.headers.push(fold_header_name(name));
                return Ok(());
            }
            ForwardTarget::FilterState(key) if is_filter_state_key(key) => {
                self.filter_state_keys.push(key.clone());
                return Ok(());
            }
            ForwardTarget::Header(_) => "is no header that something can be passed on in",
            ForwardTarget::FilterState(_) => "is no key of filter state",
        };
        let (ForwardTarget::Header(place) | ForwardTarget::FilterState(place)) = target;
        Err(SetupError::Inconsistent {
            place: place.clone(),
            problem,
        })
    }
}

/// Where something goes, and of which claim; `None` is the payload.
fn forwarded(
    handling: &Handling,
) -> impl Iterator<Item = (&ForwardTarget, Option<&ForwardedClaim>)> {
    let claims = handling.forward_claims.iter();
    let payload = handling.forward_payload.iter();
    claims
        .map(|claim| (&claim.to, Some(claim)))
        .chain(payload.map(|payload| (&payload.to, None)))
}

/// Whether no two values go to one place.
pub(super) fn has_one_value_for_each_target(handling: &Handling) -> bool {
    /// How many are compared with each other; more are looked up.
    const MAX_COMPARED: usize = 8;
    let is_same = |one: Option<&ForwardedClaim>, other: Option<&ForwardedClaim>| match (one, other)
    {
        (Some(one), Some(other)) => one.claim == other.claim && one.format == other.format,
        _ => false,
    };
    if handling.forward_claims.len() < MAX_COMPARED {
        return forwarded(handling)
            .enumerate()
            .all(|(at, (target, claim))| {
                forwarded(handling)
                    .take(at)
                    .filter(|(other, _)| other.folds_alike(target))
                    .all(|(_, twin)| is_same(twin, claim))
            });
    }
    let mut all: Vec<_> = forwarded(handling)
        .map(|(target, claim)| (target.folded(), claim))
        .collect();
    sort_by(&mut all, |one, other| one.0.cmp(&other.0));
    let neighbours = all.iter().zip(all.iter().skip(1));
    neighbours
        .filter(|(one, other)| one.0 == other.0)
        .all(|(one, other)| is_same(one.1, other.1))
}

#[inline(never)]
fn read_app(
    app: config::App,
    handling: &[(Handling, Vec<String>)],
    providers: &[Provider],
    sources: &[Source],
) -> Result<App, SetupError> {
    let slug = app.slug;
    let access = |auth: Auth| {
        let plan = read_plan(auth, handling, &slug)?;
        Ok(plan.map_or(Access::Open, |plan| {
            Access::Tokens(plan.with_providers(providers, sources))
        }))
    };
    Ok(App {
        access: access(app.auth)?,
        bypass_cors_preflight: app.bypass_cors_preflight,
        routes: app
            .routes
            .into_iter()
            .map(|route| {
                Ok(AppRoute {
                    label: label(&route),
                    access: access(route.auth)?,
                })
            })
            .collect::<Result<_, _>>()?,
        slug,
        replies: app.replies,
    })
}

/// What a rule asks for; `None` when it is nothing.
fn read_plan(
    auth: Auth,
    providers: &[(Handling, Vec<String>)],
    app: &str,
) -> Result<Option<Plan>, SetupError> {
    let auth = match auth {
        Auth::None => return Ok(None),
        Auth::Jwt(auth) => auth,
    };
    Plan::new(*auth, providers)
        .map(Some)
        .map_err(|error| SetupError::Inconsistent {
            place: app.into(),
            problem: match error {
                PlanError::Demand(problem) => problem,
                PlanError::UnknownProvider => "names a provider that does not exist",
                PlanError::Empty => "names no provider",
                PlanError::TwoValues => "passes on two values in one place",
                PlanError::TooDeep => "has a requirement that is nested too deep",
            },
        })
}

/// A route as the policy writes it, with the names that it has conditions on: `GET,HEAD /files/* [x-env, ?v]`.
fn label(route: &config::Route) -> String {
    let mut label = route.methods.join(",");
    if !label.is_empty() {
        label.push(' ');
    }
    label.push_str(&route.path);
    match route.path_kind {
        PathKind::Exact | PathKind::Regex => {}
        PathKind::Below if route.path.ends_with('/') => label.push('*'),
        PathKind::Below => label.push_str("/*"),
        PathKind::Prefix => label.push('*'),
    }
    let headers = route.headers.iter().map(|header| header.name.clone());
    let query = route
        .query
        .iter()
        .map(|parameter| format!("?{}", parameter.name));
    let conditions: Vec<_> = headers.chain(query).collect();
    if !conditions.is_empty() {
        label.push_str(&format!(" [{}]", conditions.join(", ")));
    }
    label
}
