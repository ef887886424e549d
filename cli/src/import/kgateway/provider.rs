//! A provider of a `GatewayExtension`.

use super::super::envoy::{audiences, cache_secs, skew_secs};
use super::super::fields::{Fields, Spelling};
use super::super::findings::Findings;
use super::super::keys;
use super::super::kubernetes::Resource;
use super::super::policy::{Claim, ForwardClaim, Keys, Provider, TokenSource};
use super::super::yaml::{Kind, Node};

/// How long kgateway waits for keys where nothing is said, in milliseconds.
const TIMEOUT_MS: u64 = 5000;
/// The longest that a policy may wait for keys, in milliseconds.
const MAX_TIMEOUT_MS: u64 = 60_000;
/// What `jwt_authn` allows clocks to differ, in seconds.
const SKEW_SECS: u64 = 60;

/// Reads a provider.
pub(super) fn read(
    fields: &Fields<'_>,
    extension: &Resource<'_>,
    all: &[Resource<'_>],
    findings: &mut Findings,
) -> Provider {
    let listed = fields.texts("audiences", findings);
    let forward_claims: Vec<ForwardClaim> = fields
        .list("claimsToHeaders", findings)
        .into_iter()
        .filter_map(|node| claim(node, findings))
        .collect();
    let keys = fields
        .get("jwks", findings)
        .and_then(|node| source_of_keys(node, extension, all, findings));
    if keys.is_none() {
        findings.refused(fields.place(), "the provider has no keys");
    }
    let skew = fields
        .duration("clockSkew", "30s", findings)
        .map(|(duration, place)| skew_secs(duration.div_ceil(1000), place, findings));
    Provider {
        issuer: fields.text("issuer", findings),
        audiences: audiences(&listed),
        keys,
        clock_skew_secs: Some(skew.unwrap_or(SKEW_SECS)),
        require_expiration: Some(false),
        token_sources: sources(fields, findings),
        forward_token: fields.boolean("forwardToken", findings) == Some(true),
        // kgateway clears the route cache where claims become headers.
        clear_route_cache: !forward_claims.is_empty(),
        forward_claims,
        ..Provider::default()
    }
}

fn claim(node: &Node, findings: &mut Findings) -> Option<ForwardClaim> {
    let fields = Fields::of(node, Spelling::Camel, "claimsToHeaders", findings)?;
    let name = fields.text("name", findings);
    let header = fields.text("header", findings);
    fields.finish(findings);
    match (name, header) {
        (Some(name), Some(header)) => Some(ForwardClaim {
            claim: Claim::dotted(&name),
            header,
            format: "base64",
        }),
        _ => {
            findings.refused(node.place, "`claimsToHeaders` needs `name` and `header`");
            None
        }
    }
}

fn sources(fields: &Fields<'_>, findings: &mut Findings) -> Vec<TokenSource> {
    let Some(node) = fields.get("tokenSource", findings) else {
        return TokenSource::of_envoy();
    };
    let Some(fields) = Fields::of(node, Spelling::Camel, "tokenSource", findings) else {
        return Vec::new();
    };
    let mut sources = Vec::new();
    if let Some(header) = fields.get("header", findings)
        && let Some(header) = Fields::of(header, Spelling::Camel, "header", findings)
    {
        let prefix = header.text("prefix", findings).unwrap_or_default();
        if let Some(name) = header.text("header", findings) {
            sources.push(TokenSource::of_header(name, prefix));
        }
        header.finish(findings);
    }
    if let Some(query) = fields.text("queryParameter", findings) {
        sources.push(TokenSource::Query { query });
    }
    fields.finish(findings);
    if sources.is_empty() {
        findings.refused(node.place, "`tokenSource` names no source");
    }
    sources
}

fn source_of_keys(
    node: &Node,
    extension: &Resource<'_>,
    all: &[Resource<'_>],
    findings: &mut Findings,
) -> Option<Keys> {
    let fields = Fields::of(node, Spelling::Camel, "jwks", findings)?;
    let found = fields.one_of(&["local", "remote"], findings);
    fields.finish(findings);
    match found? {
        ("local", entry) => local(&entry.value, extension, all, findings),
        (_, entry) => remote(&entry.value, findings),
    }
}

fn local(
    node: &Node,
    extension: &Resource<'_>,
    all: &[Resource<'_>],
    findings: &mut Findings,
) -> Option<Keys> {
    let fields = Fields::of(node, Spelling::Camel, "local", findings)?;
    let found = fields.one_of(&["inline", "key", "configMapRef"], findings);
    fields.finish(findings);
    keys::local(found?, "configMapRef", extension, all, findings)
}

fn remote(node: &Node, findings: &mut Findings) -> Option<Keys> {
    let fields = Fields::of(node, Spelling::Camel, "remote", findings)?;
    let url = fields.text("url", findings);
    if let Some(backend) = fields.entry("backendRef", findings) {
        let text = |name: &str| backend.value.field(name).and_then(Node::text).unwrap_or("");
        findings.note(
            backend.place,
            format!(
                "keys come through the cluster that `compile-policy` names: say with `--cluster HOST=NAME` which is \
                 that of the {} `{}`",
                match text("kind") {
                    "" => "Service",
                    kind => kind,
                },
                text("name")
            ),
        );
    }
    let cache = fields.duration("cacheDuration", "5m", findings);
    let timeout = fields
        .duration("timeout", "5s", findings)
        .map_or(TIMEOUT_MS, |(timeout, _)| timeout.clamp(1, MAX_TIMEOUT_MS));
    let is_async = matches!(
        fields.get("asyncFetch", findings),
        Some(Node {
            kind: Kind::Object(_),
            ..
        })
    );
    fields.needless(
        "retryPolicy",
        "a fetch that fails is tried again, with growing pauses",
        findings,
    );
    fields.finish(findings);
    let Some(jwks_url) = url else {
        findings.refused(node.place, "`remote` has no `url`");
        return None;
    };
    if jwks_url.contains('$') {
        findings.refused_with_hint(
            node.place,
            "the URL has a variable of the shell in it",
            "run the file through `envsubst` first",
        );
    }
    Some(Keys::Remote {
        jwks_url,
        jwks_cluster: None,
        jwks_timeout_ms: Some(timeout),
        jwks_cache_ttl_secs: Some(cache_secs(cache, findings)),
        jwks_max_stale_secs: is_async.then_some(2_592_000),
    })
}
