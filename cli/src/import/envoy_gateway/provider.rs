//! A provider of a `SecurityPolicy`.

use super::super::envoy::{audiences, cache_secs};
use super::super::fields::{Fields, Spelling, milliseconds};
use super::super::findings::Findings;
use super::super::keys;
use super::super::kubernetes::Resource;
use super::super::policy::{Claim, ForwardClaim, Keys, Provider, TokenSource};
use super::super::yaml::Node;

/// How long Envoy Gateway takes keys for fresh where nothing is said, in seconds.
const CACHE_SECS: u64 = 300;
/// What `jwt_authn` allows clocks to differ, in seconds.
const SKEW_SECS: u64 = 60;
/// Keys are fetched in the background, and Envoy then never finds them too old, in seconds.
const STALE_SECS: u64 = 2_592_000;

/// Reads a provider.
pub(super) fn read(
    fields: &Fields<'_>,
    resource: &Resource<'_>,
    all: &[Resource<'_>],
    findings: &mut Findings,
) -> Provider {
    let listed = fields.texts("audiences", findings);
    let keys = match fields.one_of(&["remoteJWKS", "localJWKS"], findings) {
        Some(("remoteJWKS", entry)) => remote(&entry.value, findings),
        Some((_, entry)) => local(&entry.value, resource, all, findings),
        None => {
            findings.refused(fields.place(), "the provider has no keys");
            None
        }
    };
    Provider {
        issuer: fields.text("issuer", findings),
        audiences: audiences(&listed),
        keys,
        clock_skew_secs: Some(SKEW_SECS),
        require_expiration: Some(false),
        token_sources: sources(fields, findings),
        // Envoy Gateway always leaves the token in the request.
        forward_token: true,
        forward_claims: fields
            .list("claimToHeaders", findings)
            .into_iter()
            .filter_map(|node| claim_header(node, findings))
            .collect(),
        clear_route_cache: fields.boolean("recomputeRoute", findings) == Some(true),
        ..Provider::default()
    }
}

fn claim_header(node: &Node, findings: &mut Findings) -> Option<ForwardClaim> {
    let fields = Fields::of(node, Spelling::Camel, "claimToHeaders", findings)?;
    let claim = fields.text("claim", findings);
    let header = fields.text("header", findings);
    fields.finish(findings);
    match (claim, header) {
        (Some(claim), Some(header)) => Some(ForwardClaim {
            claim: Claim::dotted(&claim),
            header,
            format: "base64",
        }),
        _ => {
            findings.refused(node.place, "`claimToHeaders` needs `claim` and `header`");
            None
        }
    }
}

fn sources(fields: &Fields<'_>, findings: &mut Findings) -> Vec<TokenSource> {
    let mut sources = Vec::new();
    if let Some(node) = fields.get("extractFrom", findings)
        && let Some(fields) = Fields::of(node, Spelling::Camel, "extractFrom", findings)
    {
        for header in fields.list("headers", findings) {
            let Some(header) = Fields::of(header, Spelling::Camel, "headers", findings) else {
                continue;
            };
            let prefix = header.text("valuePrefix", findings).unwrap_or_default();
            if let Some(name) = header.text("name", findings) {
                sources.push(TokenSource::Header {
                    header: name,
                    prefix,
                });
            }
            header.finish(findings);
        }
        let queries = fields.texts("params", findings);
        sources.extend(
            queries
                .into_iter()
                .map(|query| TokenSource::Query { query }),
        );
        let cookies = fields.texts("cookies", findings);
        sources.extend(
            cookies
                .into_iter()
                .map(|cookie| TokenSource::Cookie { cookie }),
        );
        fields.finish(findings);
    }
    if sources.is_empty() {
        sources = TokenSource::of_envoy();
    }
    TokenSource::distinct(sources)
}

fn remote(node: &Node, findings: &mut Findings) -> Option<Keys> {
    let fields = Fields::of(node, Spelling::Camel, "remoteJWKS", findings)?;
    let uri = fields.text("uri", findings);
    for name in ["backendRefs", "backendRef"] {
        if let Some(entry) = fields.entry(name, findings) {
            findings.note(
                entry.place,
                "keys come through the cluster that `compile-policy` names: say with `--cluster HOST=NAME` which \
                 is that of the backend",
            );
        }
    }
    fields.needless(
        "backendSettings",
        "a fetch that fails is tried again, with growing pauses",
        findings,
    );
    let cache = fields.get("cacheDuration", findings).and_then(|node| {
        let duration = milliseconds(node);
        if duration.is_none() {
            findings.refused(
                node.place,
                "`cacheDuration` has to be a duration, as in `5m`",
            );
        }
        duration.map(|duration| (duration, node.place))
    });
    fields.finish(findings);
    let Some(jwks_url) = uri else {
        findings.refused(node.place, "`remoteJWKS` has no `uri`");
        return None;
    };
    Some(Keys::Remote {
        jwks_url,
        jwks_cluster: None,
        jwks_timeout_ms: None,
        jwks_cache_ttl_secs: Some(match cache {
            None => CACHE_SECS,
            cache => cache_secs(cache, findings),
        }),
        jwks_max_stale_secs: Some(STALE_SECS),
    })
}

fn local(
    node: &Node,
    resource: &Resource<'_>,
    all: &[Resource<'_>],
    findings: &mut Findings,
) -> Option<Keys> {
    let fields = Fields::of(node, Spelling::Camel, "localJWKS", findings)?;
    fields.skip("type", findings);
    let found = fields.one_of(&["inline", "valueRef"], findings);
    fields.finish(findings);
    let (kind, entry) = found?;
    if kind == "inline" {
        return keys::inline(
            entry.value.text().unwrap_or_default(),
            entry.place,
            findings,
        );
    }
    let name = entry
        .value
        .field("name")
        .and_then(Node::text)
        .unwrap_or_default();
    let data = all
        .iter()
        .filter(|it| it.kind == "ConfigMap" && it.name == name)
        .filter(|it| it.namespace == resource.namespace)
        .find_map(|it| it.data("jwks"));
    match data {
        Some((text, place)) => keys::inline(text, place, findings),
        None => {
            findings.refused_with_hint(
                entry.place,
                format!("the ConfigMap `{name}` with the key `jwks` is not in the files"),
                "give the file with it, too",
            );
            None
        }
    }
}
