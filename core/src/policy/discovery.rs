//! Keys where the issuer says they are: `oidc_discovery` and `discovery_hosts`.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::compiler::Compiler;
use super::diagnostic::{Code, Diagnostic, quote};
use super::key_sources::{Keys, asymmetric, fetched};
use super::node::Node;
use super::source;
use super::url::{JwksUrl, split_port};
use super::value::{self, Fault};
use crate::config::{self, DiscoveryHost, RemoteKeys};
use crate::discovery::metadata_paths;

impl Compiler<'_> {
    /// Whether `oidc_discovery` stands there as `false`, which is reported.
    pub(super) fn is_discovery_denied(
        &mut self,
        node: &Node<'_, '_>,
        provider: &source::Provider,
    ) -> bool {
        let (Some(field), Some(false)) = (node.field("oidc_discovery"), provider.oidc_discovery)
        else {
            return false;
        };
        let message = "`oidc_discovery` cannot be `false`".into();
        let hint = "leave it out, and say in another field where the keys are";
        self.error(Code::InvalidValue, &field, message, Some(hint.into()));
        true
    }

    /// The keys of `oidc_discovery`.
    pub(super) fn discovered(
        &mut self,
        node: &Node<'_, '_>,
        field: &Node<'_, '_>,
        provider: &source::Provider,
    ) -> Option<Keys> {
        let (Some(place), Some(issuer)) = (node.field("issuer"), &provider.issuer) else {
            let message = "`oidc_discovery` needs `issuer`".into();
            let hint = "the issuer's URL is where its metadata is fetched from";
            self.error(Code::MissingField, field, message, Some(hint.into()));
            return None;
        };
        let url = self.parsed(&place, issuer, parse_issuer)?;
        let mut hosts = Vec::from([url.clone()]);
        hosts.extend(self.discovery_hosts(node, &place, provider, &url)?);
        let mut clusters = Vec::new();
        for host in hosts {
            let is_issuer = clusters.is_empty();
            let own = match (node.field("jwks_cluster"), &provider.jwks_cluster) {
                (Some(field), Some(name)) if is_issuer => {
                    Some(self.parsed(&field, name, |name| {
                        value::check_text(name).map(|()| String::from(name))
                    })?)
                }
                _ => None,
            };
            clusters.push((own.unwrap_or_else(|| self.options.cluster(&host)), host));
        }
        let hosts = clusters.iter().map(|(cluster, url)| DiscoveryHost {
            scheme: url.scheme.into(),
            authority: url.authority.clone(),
            cluster: cluster.clone(),
        });
        Some(Keys {
            config: fetched(RemoteKeys::Discovery(config::Discovery {
                issuer: issuer.clone(),
                paths: metadata_paths(&url.path).into(),
                hosts: hosts.collect(),
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
            clusters,
            issuer: None,
        })
    }

    /// The hosts beside the issuer's own that its keys may be on.
    fn discovery_hosts(
        &mut self,
        node: &Node<'_, '_>,
        issuer: &Node<'_, '_>,
        provider: &source::Provider,
        issuer_url: &JwksUrl,
    ) -> Option<Vec<JwksUrl>> {
        let (Some(list), Some(texts)) = (node.field("discovery_hosts"), &provider.discovery_hosts)
        else {
            return Some(Vec::new());
        };
        let mut seen = BTreeMap::new();
        let mut hosts = Vec::new();
        let mut is_valid = true;
        for (element, text) in list.elements().zip(texts) {
            let parse = |text: &str| parse_discovery_host(text, issuer_url.scheme);
            let Some(host) = self.parsed(&element, text, parse) else {
                is_valid = false;
                continue;
            };
            if (&host.host, host.port) == (&issuer_url.host, issuer_url.port) {
                let message = format!("{} is the issuer's own host", quote(text));
                let error =
                    Diagnostic::error(Code::Duplicate, element.span(), element.path(), message)
                        .with_place(issuer.name_span(), "`issuer` is here")
                        .with_hint("keys may be on that one anyway; leave it out");
                self.found.push(error);
                is_valid = false;
                continue;
            }
            is_valid &= !self.is_repeated(&mut seen, &host.authority, &element);
            hosts.push(host);
        }
        is_valid.then_some(hosts)
    }
}

/// The URL of an issuer (OpenID Connect Discovery 1.0 §2, RFC 8414 §2).
fn parse_issuer(issuer: &str) -> Result<JwksUrl, Fault> {
    let hint = "`oidc_discovery` fetches from the issuer's URL, as in `https://idp.example.com`";
    let url = JwksUrl::parse(issuer).map_err(|fault| Fault {
        hint: Some(hint.into()),
        ..fault
    })?;
    if url.path.contains('?') {
        return Err(Fault::new("has a query, which an issuer never has").hint(hint));
    }
    if url.scheme == "http" && !url.is_loopback() {
        return Err(Fault::new("is not an `https` URL").hint(
            "whoever is on the way could name other keys; `jwks_url` fetches keys without TLS",
        ));
    }
    Ok(url)
}

/// A host, with a port if need be. The scheme is `https`, and that of the issuer on this machine.
fn parse_discovery_host(text: &str, issuer_scheme: &'static str) -> Result<JwksUrl, Fault> {
    if text.contains(['/', '?', '#', '@']) {
        return Err(Fault::new("is not a host alone")
            .hint("without `https://` and path, as in `keys.example.com`"));
    }
    let port = |default| split_port(text, default);
    let (host, _) = port(443)?;
    let mut url = JwksUrl {
        scheme: "https",
        authority: text.to_ascii_lowercase(),
        host: value::parse_host(host)?,
        port: port(443)?.1,
        path: "/".into(),
    };
    if issuer_scheme == "http" && url.is_loopback() {
        url.scheme = "http";
        url.port = port(80)?.1;
    }
    Ok(url)
}
