//! An issuer of tokens: its keys, and what goes with them.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::compiler::Compiler;
use super::diagnostic::{Code, Diagnostic, quote, quote_list};
use super::key_sources::Keys;
use super::node::Node;
use super::requirements::Collector;
use super::source;
use super::url::JwksUrl;
use super::value;
use crate::config::{self, FixedKeys, RemoteKeys};
use crate::jose::Algorithm;

/// A provider as the configuration has it, and what it asks of the proxy once it is used.
#[derive(Debug)]
pub(super) struct CompiledProvider {
    provider: config::Provider,
    /// The clusters that it is fetched through, and what each has to reach.
    clusters: Vec<(String, JwksUrl)>,
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
                .key_fields(node)
                .and_then(|fields| self.keys(node, &fields, provider)),
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
                keys: keys.config,
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
        let source = self.key_fields(node)?.main;
        let mut seen = BTreeMap::new();
        let mut is_valid = true;
        for (element, algorithm) in list.elements().zip(named) {
            is_valid &= !self.is_repeated(&mut seen, algorithm.name(), &element);
            if keys.possible_algorithms.contains(algorithm) {
                continue;
            }
            let message = match keys.config.remote.is_empty() {
                false => format!(
                    "{} needs a shared secret, which never comes from a URL",
                    quote(algorithm.name())
                ),
                true => format!(
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
    if let Some(FixedKeys::SecretEnv(name) | FixedKeys::PublicKeyEnv(name)) = &provider.keys.fixed {
        requirements.env(name);
    }
    let asks_for_ttl = provider.keys.remote.iter().any(|keys| match keys {
        RemoteKeys::Url(config::Remote { cache_ttl_secs, .. })
        | RemoteKeys::Discovery(config::Discovery { cache_ttl_secs, .. }) => {
            cache_ttl_secs.is_none()
        }
    });
    if asks_for_ttl {
        requirements.cache_ttl();
    }
}
