//! An issuer of tokens: its one source of keys, and what goes with it.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::compiler::Compiler;
use super::diagnostic::{Code, Diagnostic, quote, quote_list};
use super::node::{Node, opening};
use super::redact::is_variable_name;
use super::requirements::Collector;
use super::source;
use super::url::JwksUrl;
use super::value;
use crate::config::{self, CACHE_TTL_VARIABLE, KeySource, Remote};
use crate::jose::Algorithm;

/// The fields of which a provider has exactly one.
const KEY_SOURCES: [&str; 9] = [
    "preset",
    "jwks_url",
    "jwks",
    "jwks_file",
    "public_key",
    "public_key_file",
    "jwt_secret_env",
    "jwt_public_key_env",
    "oidc_discovery",
];
/// The fields that only mean something for keys from a URL.
const REMOTE_FIELDS: [&str; 4] = [
    "jwks_cluster",
    "jwks_timeout_ms",
    "jwks_cache_ttl_secs",
    "jwks_max_stale_secs",
];
/// The fields that only mean something for a preset.
pub(super) const PRESET_FIELDS: [&str; 3] = ["tenant", "host", "realm"];

/// A provider as the configuration has it, and what it asks of the proxy once it is used.
#[derive(Debug)]
pub(super) struct CompiledProvider {
    provider: config::Provider,
    /// The clusters that it is fetched through, and what each has to reach.
    clusters: Vec<(String, JwksUrl)>,
}

/// Keys, and the algorithms that they are for where the policy does not say.
pub(super) struct Keys {
    pub(super) source: KeySource,
    pub(super) default_algorithms: Vec<Algorithm>,
    /// The algorithms that the policy may name.
    pub(super) possible_algorithms: Vec<Algorithm>,
    /// The clusters that they are fetched through, and what each has to reach.
    pub(super) clusters: Vec<(String, JwksUrl)>,
    /// What the preset knows of the issuer.
    pub(super) issuer: Option<String>,
}

impl Compiler<'_> {
    /// Compiles the provider whose fields stand in `node`; `None` when something is wrong with it, which was
    /// reported.
    pub(super) fn provider(
        &mut self,
        node: &Node<'_, '_>,
        provider: &source::Provider,
        name: &str,
    ) -> Option<CompiledProvider> {
        let audiences = self.audiences(node, provider);
        let issuers = self.issuers(node, provider);
        let keys = match self.is_discovery_denied(node, provider) {
            true => None,
            false => self
                .key_source(node)
                .and_then(|field| self.keys(node, &field, provider)),
        };
        let revocation = self.revocation(node, provider);
        let algorithms = match &keys {
            Some(keys) => self.algorithms(node, provider, keys),
            None => None,
        };
        let handling = self.handling(node, provider);
        let possession = self.possession(node, provider);
        let dpop = provider.dpop.unwrap_or_default();
        let handling = handling.and_then(|handling| {
            let token_sources = self.sources_for(node, handling.token_sources, dpop)?;
            Some(config::Handling {
                token_sources,
                ..handling
            })
        });
        let preset_issuer = keys.as_ref().and_then(|keys| keys.issuer.clone());
        let issuers = issuers.map(|issuers| issuers.or_preset(preset_issuer));
        // Where the keys are wrong, nobody knows who the issuer is.
        let known_issuers = issuers.as_ref().filter(|_| keys.is_some());
        let terms = self.terms(node, provider, known_issuers);
        let (keys, issuers, terms) = (keys?, issuers?, terms?);
        let (revocation, list_cluster) = revocation?;
        let mut clusters = keys.clusters;
        clusters.extend(list_cluster);
        Some(CompiledProvider {
            provider: config::Provider {
                name: name.into(),
                issuer: issuers.one,
                issuers: issuers.several,
                issuer_pattern: issuers.pattern,
                subjects: terms.subjects,
                token_types: terms.token_types,
                profile: terms.profile,
                max_lifetime_secs: provider.max_lifetime_secs,
                audiences: audiences?,
                algorithms: algorithms?,
                clock_skew_secs: provider
                    .clock_skew_secs
                    .unwrap_or(source::DEFAULT_CLOCK_SKEW_SECS),
                require_expiration: provider
                    .require_expiration
                    .unwrap_or(source::DEFAULT_REQUIRE_EXPIRATION),
                keys: keys.source,
                revocation,
                handling: config::Handling {
                    // A provider that says no says nothing.
                    forward_token: provider.forward_token.filter(|forward| *forward),
                    clear_route_cache: provider.clear_route_cache.filter(|clear| *clear),
                    ..handling?
                },
                possession: possession?,
            },
            clusters,
        })
    }

    /// Takes a provider into the configuration, and gives its place there.
    pub(super) fn add_provider(&mut self, compiled: CompiledProvider) -> u32 {
        let CompiledProvider { provider, clusters } = compiled;
        require(&mut self.requirements, &provider, &clusters);
        // A policy of `MAX_POLICY_BYTES` has no room for 2^32 providers.
        let index = u32::try_from(self.providers.len()).unwrap_or(u32::MAX);
        self.providers.push(provider);
        index
    }

    /// The audiences that `audience` or `audiences` names.
    pub(super) fn audiences(
        &mut self,
        node: &Node<'_, '_>,
        provider: &source::Provider,
    ) -> Option<Vec<String>> {
        let single = node.field("audience");
        let list = node.field("audiences");
        if let (Some(single), Some(list)) = (&single, &list) {
            let message = "`audiences` cannot stand beside `audience`".into();
            self.contradiction(
                list,
                single,
                message,
                Some("put all of them into `audiences`".into()),
            );
            return None;
        }
        let mut seen = BTreeMap::new();
        let mut is_valid = true;
        let mut audiences = Vec::new();
        let nodes = single
            .into_iter()
            .chain(list.iter().flat_map(Node::elements));
        let texts = provider
            .audience
            .iter()
            .chain(provider.audiences.iter().flatten());
        for (node, text) in nodes.zip(texts) {
            is_valid &= self.parsed(&node, text, value::check_text).is_some();
            is_valid &= !self.is_repeated(&mut seen, text, &node);
            audiences.push(text.clone());
        }
        is_valid.then_some(audiences)
    }

    /// The one field that says where the keys are; none or several are reported.
    fn key_source<'n, 'a>(&mut self, node: &Node<'n, 'a>) -> Option<Node<'n, 'a>> {
        let mut sources = node
            .children()
            .filter(|field| field.name().is_some_and(|name| KEY_SOURCES.contains(&name)));
        let Some(first) = sources.next() else {
            self.no_key_source(node);
            return None;
        };
        let mut is_single = true;
        for other in sources {
            is_single = false;
            let (hint, message) = match (first.name(), other.name()) {
                (Some("preset"), Some("jwks_url")) | (Some("jwks_url"), Some("preset")) => (
                    "a preset sets `jwks_url` itself; leave one of the two out",
                    format!("{} cannot stand beside {}", other.label(), first.label()),
                ),
                _ => (
                    "a provider has exactly one source of keys",
                    format!(
                        "{} is a second source of keys beside {}",
                        other.label(),
                        first.label()
                    ),
                ),
            };
            self.contradiction(&other, &first, message, Some(hint.into()));
        }
        is_single.then_some(first)
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

    /// The keys that `field`, the one source of keys of `node`, stands for.
    fn keys(
        &mut self,
        node: &Node<'_, '_>,
        field: &Node<'_, '_>,
        provider: &source::Provider,
    ) -> Option<Keys> {
        let source = field.name()?;
        let is_remote = matches!(source, "preset" | "jwks_url" | "oidc_discovery");
        let mut is_valid = true;
        for other in node.children() {
            let Some(name) = other.name() else { continue };
            let needs = match name {
                _ if REMOTE_FIELDS.contains(&name) && !is_remote => "keys from a URL",
                _ if PRESET_FIELDS.contains(&name) && source != "preset" => "a `preset`",
                "discovery_hosts" if source != "oidc_discovery" => "`oidc_discovery`",
                _ => continue,
            };
            let message = format!("{} has no effect beside {}", other.label(), field.label());
            self.contradiction(
                &other,
                field,
                message,
                Some(format!("it is for {needs}; leave it out")),
            );
            is_valid = false;
        }
        let text = field.value().as_str().unwrap_or_default();
        let keys = match source {
            "preset" => self.preset(node, field, provider),
            "jwks_url" => self
                .parsed(field, text, JwksUrl::parse)
                .and_then(|url| self.remote(node, field, provider, (text, url), None)),
            "oidc_discovery" => self.discovered(node, field, provider),
            "jwks" => self.inline_set(field),
            "jwks_file" => self.set_from_file(field, text),
            "public_key" => self.inline_pem(field, text),
            "public_key_file" => self.pem_from_file(field, text),
            "jwt_secret_env" => self.variable(field, text).map(|name| Keys {
                source: KeySource::SecretEnv(name),
                default_algorithms: Vec::from([Algorithm::Hs256]),
                possible_algorithms: algorithms(Algorithm::is_symmetric),
                clusters: Vec::new(),
                issuer: None,
            }),
            _ => self.variable(field, text).map(|name| Keys {
                source: KeySource::PublicKeyEnv(name),
                default_algorithms: Vec::from([
                    Algorithm::Rs256,
                    Algorithm::Es256,
                    Algorithm::Es384,
                    Algorithm::Es512,
                    Algorithm::Es256k,
                    Algorithm::EdDsa,
                ]),
                possible_algorithms: asymmetric(),
                clusters: Vec::new(),
                issuer: None,
            }),
        };
        keys.filter(|_| is_valid)
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
            source: KeySource::Remote(Remote {
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
            }),
            default_algorithms: asymmetric(),
            possible_algorithms: asymmetric(),
            clusters: Vec::from([(remote_cluster, url)]),
            issuer,
        })
    }

    /// The algorithms of a provider: those that the policy names, or those of its keys.
    fn algorithms(
        &mut self,
        node: &Node<'_, '_>,
        provider: &source::Provider,
        keys: &Keys,
    ) -> Option<Vec<Algorithm>> {
        let (Some(list), Some(named)) = (node.field("algorithms"), &provider.algorithms) else {
            return Some(keys.default_algorithms.clone());
        };
        let source = node
            .children()
            .find(|field| field.name().is_some_and(|name| KEY_SOURCES.contains(&name)))?;
        let mut seen = BTreeMap::new();
        let mut is_valid = true;
        for (element, algorithm) in list.elements().zip(named) {
            is_valid &= !self.is_repeated(&mut seen, algorithm.name(), &element);
            if keys.possible_algorithms.contains(algorithm) {
                continue;
            }
            let message = match &keys.source {
                KeySource::Remote(_) | KeySource::Discovery(_) => format!(
                    "{} needs a shared secret, which never comes from a URL",
                    quote(algorithm.name())
                ),
                _ => format!(
                    "{} is no algorithm for the keys in {}",
                    quote(algorithm.name()),
                    source.label()
                ),
            };
            let possible = keys
                .possible_algorithms
                .iter()
                .map(|algorithm| algorithm.name());
            let error =
                Diagnostic::error(Code::Contradiction, element.span(), element.path(), message)
                    .with_place(source.name_span(), "the keys are here")
                    .with_hint(format!("possible are {}", quote_list(possible)));
            self.found.push(error);
            is_valid = false;
        }
        is_valid.then(|| named.clone())
    }
}

fn require(
    requirements: &mut Collector,
    provider: &config::Provider,
    clusters: &[(String, JwksUrl)],
) {
    for (cluster, url) in clusters {
        requirements.cluster(cluster, url, &provider.name);
    }
    match &provider.keys {
        KeySource::SecretEnv(name) | KeySource::PublicKeyEnv(name) => requirements.env(name),
        KeySource::Remote(Remote { cache_ttl_secs, .. })
        | KeySource::Discovery(config::Discovery { cache_ttl_secs, .. })
            if cache_ttl_secs.is_none() =>
        {
            requirements.cache_ttl();
        }
        KeySource::Jwks(_) | KeySource::Remote(_) | KeySource::Discovery(_) => {}
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
