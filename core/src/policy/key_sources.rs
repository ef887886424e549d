//! Where the keys of a provider are: which fields say so, which of them go together, and what they come to.
//!
//! A provider has one source of keys, and possibly keys of the policy beside those that are fetched. What is in a
//! set of keys is judged in [`super::keys`].

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::compiler::Compiler;
use super::diagnostic::{Code, Diagnostic, quote_list};
use super::node::{Node, opening};
use super::redact::is_variable_name;
use super::source;
use super::url::JwksUrl;
use super::value::{self, Fault};
use crate::config::{self, CACHE_TTL_VARIABLE, FixedKeys, Remote, RemoteKeys};
use crate::jose::{Algorithm, Sha256Digest};

/// The fields that say where keys are.
const KEY_SOURCES: [&str; 10] = [
    "preset",
    "jwks_url",
    "jwks_urls",
    "jwks",
    "jwks_file",
    "public_key",
    "public_key_file",
    "jwt_secret_env",
    "jwt_public_key_env",
    "oidc_discovery",
];
/// Those of them whose keys are fetched.
const FETCHED: [&str; 4] = ["preset", "jwks_url", "jwks_urls", "oidc_discovery"];
/// Those that may stand beside one whose keys are fetched.
const FLOOR: [&str; 2] = ["jwks", "jwks_file"];
/// The fields that only mean something for keys from a URL.
const REMOTE_FIELDS: [&str; 4] = [
    "jwks_cluster",
    "jwks_timeout_ms",
    "jwks_cache_ttl_secs",
    "jwks_max_stale_secs",
];
/// The fields that only mean something for a preset.
pub(super) const PRESET_FIELDS: [&str; 3] = ["tenant", "host", "realm"];

/// Keys, and the algorithms that they are for where the policy does not say.
pub(super) struct Keys {
    pub(super) config: config::Keys,
    pub(super) default_algorithms: Vec<Algorithm>,
    /// The algorithms that the policy may name.
    pub(super) possible_algorithms: Vec<Algorithm>,
    /// The clusters that they are fetched through, and what each has to reach.
    pub(super) clusters: Vec<(String, JwksUrl)>,
    /// What the preset knows of the issuer.
    pub(super) issuer: Option<String>,
}

/// The fields that say where the keys of a provider are.
pub(super) struct KeyFields<'n, 'a> {
    /// The one that there has to be.
    pub(super) main: Node<'n, 'a>,
    /// Keys of the policy beside those that are fetched.
    floor: Option<Node<'n, 'a>>,
}

/// Which of the keys in a policy count.
#[derive(Clone, Copy)]
pub(super) struct Counting<'p> {
    /// The thumbprints of those that do; none: all do.
    pub(super) pins: &'p [Sha256Digest],
    /// Whether they stand beside keys that are fetched.
    pub(super) is_floor: bool,
}

impl Compiler<'_> {
    /// The fields that say where the keys are; none, and those that contradict each other, are reported.
    pub(super) fn key_fields<'n, 'a>(&mut self, node: &Node<'n, 'a>) -> Option<KeyFields<'n, 'a>> {
        let mut fields: Vec<_> = node.children().filter(is_one_of(&KEY_SOURCES)).collect();
        if fields.is_empty() {
            self.no_key_source(node);
            return None;
        }
        let mut is_valid = true;
        for (index, field) in fields.iter().enumerate() {
            let earlier = fields.iter().take(index);
            if let Some(other) = earlier.clone().find(|other| !may_meet(field, other)) {
                self.second_source(field, other);
                is_valid = false;
            }
        }
        let main = fields.iter().position(is_one_of(&FETCHED)).unwrap_or(0);
        is_valid.then(|| KeyFields {
            main: fields.remove(main),
            floor: fields.pop(),
        })
    }

    /// Reports a field that says where keys are although another one does.
    fn second_source(&mut self, field: &Node<'_, '_>, other: &Node<'_, '_>) {
        let mut names = [field, other].map(|field| field.name().unwrap_or_default());
        names.sort_unstable();
        let beside = || format!("{} cannot stand beside {}", field.label(), other.label());
        let (message, hint) = match names {
            ["jwks_url", "preset"] => (
                beside(),
                "a preset sets `jwks_url` itself; leave one of the two out",
            ),
            ["jwks_url", "jwks_urls"] => (beside(), "put all of them into `jwks_urls`"),
            _ => (
                format!(
                    "{} is a second source of keys beside {}",
                    field.label(),
                    other.label()
                ),
                "a provider has one source of keys, and `jwks` or `jwks_file` beside one that is fetched",
            ),
        };
        self.contradiction(field, other, message, Some(hint.into()));
    }

    fn no_key_source(&mut self, node: &Node<'_, '_>) {
        let message = format!("no source of keys in {}", node.label());
        let sources = quote_list(KEY_SOURCES);
        let hint = match node.name() {
            Some("auth") => format!("name the provider in `providers`, or write one of {sources}"),
            _ => format!("write one of {sources}"),
        };
        let error = Diagnostic::error(
            Code::MissingField,
            opening(node.span()),
            node.path(),
            message,
        );
        self.found.push(error.with_hint(hint));
    }

    /// The keys that these fields of `node` stand for.
    pub(super) fn keys(
        &mut self,
        node: &Node<'_, '_>,
        fields: &KeyFields<'_, '_>,
        provider: &source::Provider,
    ) -> Option<Keys> {
        let is_valid = self.fit_source(node, &fields.main);
        let pins = self.pins(node, &fields.main, provider);
        let counting = Counting {
            pins: pins.as_deref().unwrap_or_default(),
            is_floor: fields.floor.is_some(),
        };
        let keys = self.keys_of(node, &fields.main, provider, counting);
        let floor = match &fields.floor {
            Some(field) => Some(self.keys_of(node, field, provider, counting)?),
            None => None,
        };
        let mut keys = keys.filter(|_| is_valid)?;
        if let Some(floor) = floor {
            keys.config.fixed = floor.config.fixed;
        }
        keys.config.pinned = pins?.iter().map(Sha256Digest::to_base64url).collect();
        Some(keys)
    }

    /// Whether nothing stands in `node` that means nothing for `source`, the main source of keys.
    fn fit_source(&mut self, node: &Node<'_, '_>, source: &Node<'_, '_>) -> bool {
        let name = source.name().unwrap_or_default();
        let is_fetched = FETCHED.contains(&name);
        let mut is_valid = true;
        for other in node.children() {
            let Some(other_name) = other.name() else {
                continue;
            };
            let needs = match other_name {
                "jwks_cluster" if name == "jwks_urls" => {
                    let message =
                        format!("{} cannot stand beside {}", other.label(), source.label());
                    let hint = "each URL has the cluster of its host, which `--cluster` names";
                    self.contradiction(&other, source, message, Some(hint.into()));
                    is_valid = false;
                    continue;
                }
                _ if REMOTE_FIELDS.contains(&other_name) && !is_fetched => "keys from a URL",
                _ if PRESET_FIELDS.contains(&other_name) && name != "preset" => "a `preset`",
                "discovery_hosts" if name != "oidc_discovery" => "`oidc_discovery`",
                _ => continue,
            };
            let message = format!("{} has no effect beside {}", other.label(), source.label());
            self.contradiction(
                &other,
                source,
                message,
                Some(format!("it is for {needs}; leave it out")),
            );
            is_valid = false;
        }
        is_valid
    }

    /// The keys that `field` stands for.
    fn keys_of(
        &mut self,
        node: &Node<'_, '_>,
        field: &Node<'_, '_>,
        provider: &source::Provider,
        counting: Counting<'_>,
    ) -> Option<Keys> {
        let text = field.value().as_str().unwrap_or_default();
        match field.name()? {
            "preset" => self.preset(node, field, provider),
            "jwks_url" => self
                .parsed(field, text, JwksUrl::parse)
                .and_then(|url| self.remote(node, field, provider, (text, url), None)),
            "jwks_urls" => self.remote_list(node, field, provider),
            "oidc_discovery" => self.discovered(node, field, provider),
            "jwks" => self.inline_set(field, counting),
            "jwks_file" => self.set_from_file(field, text, counting),
            "public_key" => self.inline_pem(field, text, counting),
            "public_key_file" => self.pem_from_file(field, text, counting),
            "jwt_secret_env" => self.variable(field, text).map(|name| {
                fixed(
                    FixedKeys::SecretEnv(name),
                    Vec::from([Algorithm::Hs256]),
                    algorithms(Algorithm::is_symmetric),
                )
            }),
            _ => self.variable(field, text).map(|name| {
                let default_algorithms = [
                    Algorithm::Rs256,
                    Algorithm::Es256,
                    Algorithm::Es384,
                    Algorithm::Es512,
                    Algorithm::Es256k,
                    Algorithm::EdDsa,
                ];
                fixed(
                    FixedKeys::PublicKeyEnv(name),
                    default_algorithms.into(),
                    asymmetric(),
                )
            }),
        }
    }

    /// The thumbprints of `pinned_keys`, in order; none where the field is not there.
    fn pins(
        &mut self,
        node: &Node<'_, '_>,
        source: &Node<'_, '_>,
        provider: &source::Provider,
    ) -> Option<Vec<Sha256Digest>> {
        let (Some(list), Some(texts)) = (node.field("pinned_keys"), &provider.pinned_keys) else {
            return Some(Vec::new());
        };
        if source.name() == Some("jwt_secret_env") {
            let message = "`pinned_keys` cannot stand beside `jwt_secret_env`".into();
            let hint = "a shared secret has no thumbprint that could be pinned";
            self.contradiction(&list, source, message, Some(hint.into()));
            return None;
        }
        if texts.len() > source::MAX_PINNED_KEYS {
            self.too_long(&list, source::MAX_PINNED_KEYS);
            return None;
        }
        let mut seen = BTreeMap::new();
        let mut is_valid = true;
        let mut pins = Vec::new();
        for (element, text) in list.elements().zip(texts) {
            let pin = self.parsed(&element, text, parse_pin);
            is_valid &= pin.is_some() && !self.is_repeated(&mut seen, text, &element);
            pins.extend(pin);
        }
        pins.sort_unstable();
        is_valid.then_some(pins)
    }

    fn too_long(&mut self, list: &Node<'_, '_>, most: usize) {
        let message = format!("{} has more than {most} elements", list.label());
        self.error(Code::OutOfRange, list, message, None);
    }

    /// The name of an environment variable. The message does not repeat it: it may be the secret itself.
    fn variable(&mut self, field: &Node<'_, '_>, text: &str) -> Option<String> {
        if text == CACHE_TTL_VARIABLE {
            let message =
                format!("`{CACHE_TTL_VARIABLE}` says how long keys are fresh, and holds no key");
            self.error(Code::Contradiction, field, message, None);
            return None;
        }
        if is_variable_name(text.as_bytes()) {
            return Some(text.into());
        }
        let message = format!(
            "{} is not the name of an environment variable",
            field.label()
        );
        let hint =
            "letters, digits and `_`, no digit first; the value itself never stands in a policy";
        self.error(Code::InvalidValue, field, message, Some(hint.into()));
        None
    }

    /// Keys from each of several URLs.
    fn remote_list(
        &mut self,
        node: &Node<'_, '_>,
        field: &Node<'_, '_>,
        provider: &source::Provider,
    ) -> Option<Keys> {
        let texts = provider.jwks_urls.as_ref()?;
        if texts.len() > source::MAX_JWKS_URLS {
            self.too_long(field, source::MAX_JWKS_URLS);
            return None;
        }
        let mut seen = BTreeMap::new();
        let mut is_valid = true;
        let mut all: Option<Keys> = None;
        for (element, text) in field.elements().zip(texts) {
            let Some(url) = self.parsed(&element, text, JwksUrl::parse) else {
                is_valid = false;
                continue;
            };
            let place = format!("{}://{}{}", url.scheme, url.authority, url.path);
            is_valid &= !self.is_repeated(&mut seen, &place, &element);
            let keys = self.remote(node, &element, provider, (text, url), None)?;
            match &mut all {
                None => all = Some(keys),
                Some(all) => {
                    all.config.remote.extend(keys.config.remote);
                    all.clusters.extend(keys.clusters);
                }
            }
        }
        all.filter(|_| is_valid)
    }

    /// Keys from a URL.
    pub(super) fn remote(
        &mut self,
        node: &Node<'_, '_>,
        field: &Node<'_, '_>,
        provider: &source::Provider,
        (text, url): (&str, JwksUrl),
        issuer: Option<String>,
    ) -> Option<Keys> {
        if url.scheme == "http" && !url.is_loopback() {
            let message =
                "keys are fetched without TLS: whoever is on the way can replace them".into();
            self.warn(
                Code::Insecure,
                field,
                message,
                Some("write `https://…`".into()),
            );
        }
        let cluster = match (node.field("jwks_cluster"), &provider.jwks_cluster) {
            (Some(field), Some(name)) => self.parsed(&field, name, |name| {
                value::check_text(name).map(|()| String::from(name))
            })?,
            _ => self.options.cluster(&url),
        };
        let remote_cluster = cluster.clone();
        Some(Keys {
            config: fetched(RemoteKeys::Url(Remote {
                url: text.into(),
                cluster,
                scheme: url.scheme.into(),
                authority: url.authority.clone(),
                path: url.path.clone(),
                timeout_ms: provider
                    .jwks_timeout_ms
                    .unwrap_or(source::DEFAULT_JWKS_TIMEOUT_MS),
                cache_ttl_secs: provider.jwks_cache_ttl_secs,
                max_stale_secs: provider
                    .jwks_max_stale_secs
                    .unwrap_or(source::DEFAULT_JWKS_MAX_STALE_SECS),
            })),
            default_algorithms: asymmetric(),
            possible_algorithms: asymmetric(),
            clusters: Vec::from([(remote_cluster, url)]),
            issuer,
        })
    }
}

/// Whether a field has one of these names.
fn is_one_of<'f>(names: &'f [&str]) -> impl Fn(&Node<'_, '_>) -> bool + 'f {
    |field| field.name().is_some_and(|name| names.contains(&name))
}

/// Whether a provider may have both sources of keys.
fn may_meet(one: &Node<'_, '_>, other: &Node<'_, '_>) -> bool {
    let (fetched, floor) = (is_one_of(&FETCHED), is_one_of(&FLOOR));
    fetched(one) && floor(other) || floor(one) && fetched(other)
}

/// Reads the thumbprint of a key.
fn parse_pin(text: &str) -> Result<Sha256Digest, Fault> {
    Sha256Digest::from_base64url(text).ok_or_else(|| {
        Fault::new("is not the thumbprint of a key").hint(
            "the SHA-256 thumbprint (RFC 7638) has 43 letters, digits, `-` and `_` (base64url without padding)",
        )
    })
}

/// Keys that are always there.
pub(super) fn fixed(
    keys: FixedKeys,
    default_algorithms: Vec<Algorithm>,
    possible_algorithms: Vec<Algorithm>,
) -> Keys {
    Keys {
        config: config::Keys {
            fixed: Some(keys),
            ..config::Keys::default()
        },
        default_algorithms,
        possible_algorithms,
        clusters: Vec::new(),
        issuer: None,
    }
}

/// Keys that are fetched from one place.
pub(super) fn fetched(keys: RemoteKeys) -> config::Keys {
    config::Keys {
        remote: Vec::from([keys]),
        ..config::Keys::default()
    }
}

/// The algorithms of keys that come from a URL.
pub(super) fn asymmetric() -> Vec<Algorithm> {
    algorithms(|algorithm| !algorithm.is_symmetric())
}

/// The algorithms for which something holds.
fn algorithms(holds: impl Fn(Algorithm) -> bool) -> Vec<Algorithm> {
    Algorithm::ALL
        .into_iter()
        .filter(|algorithm| holds(*algorithm))
        .collect()
}
