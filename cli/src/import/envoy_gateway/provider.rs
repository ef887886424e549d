//! A provider of a `SecurityPolicy`.

use super::super::envoy::{audiences, cache_secs};
use super::super::fields::{Fields, Spelling};
use super::super::findings::Findings;
use super::super::keys;
use super::super::kubernetes::Resource;
use super::super::policy::{Claim, ForwardClaim, Keys, Provider, TokenSource};
use super::super::token_sources;
use super::super::yaml::Node;

/// What the fields with token sources are called.
const TOKEN_SOURCES: token_sources::Names = token_sources::Names {
    headers: "headers",
    prefix: "valuePrefix",
    params: "params",
    cookies: "cookies",
};
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
    let extract = fields
        .get("extractFrom", findings)
        .and_then(|node| Fields::of(node, Spelling::Camel, "extractFrom", findings));
    let Some(extract) = extract else {
        return TokenSource::of_envoy();
    };
    let sources = token_sources::read(&extract, &TOKEN_SOURCES, findings);
    extract.finish(findings);
    sources
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
    let cache = fields.duration("cacheDuration", "5m", findings);
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
    keys::local(found?, "valueRef", resource, all, findings)
}
