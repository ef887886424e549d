//! A `JwtProvider`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::fields::{Fields, Spelling};
use super::super::findings::Findings;
use super::super::keys;
use super::super::policy::{Claim, ForwardClaim, ForwardPayload, Keys, Provider};
use super::super::token_sources;
use super::super::yaml::{Entry, Node, Place};
use super::conditions::text_match;

/// Leeway where a provider says none, or zero, in seconds.
const DEFAULT_SKEW_SECS: u64 = 60;
/// The longest leeway of a policy, in seconds.
const MAX_SKEW_SECS: u64 = 3600;
/// What the fields with token sources are called.
const TOKEN_SOURCES: token_sources::Names = token_sources::Names {
    headers: "from_headers",
    prefix: "value_prefix",
    params: "from_params",
    cookies: "from_cookies",
};
/// How long keys are fresh where nothing is said, in milliseconds.
const DEFAULT_CACHE_MS: u64 = 600_000;
/// The longest time that keys are fresh in a policy, in seconds.
const MAX_CACHE_SECS: u64 = 86_400;
/// The longest time that an answer with keys may take in a policy, in milliseconds.
const MAX_TIMEOUT_MS: u64 = 60_000;
/// The longest time that keys are used beyond their freshness in a policy, in seconds.
const MAX_STALE_SECS: u64 = 2_592_000;

/// Why dynamic metadata stays behind.
const METADATA: &str = "a WebAssembly filter cannot write dynamic metadata; \
                        `forward_claims` with `filter_state` hands claims to other filters";

/// Reads a provider.
pub(super) fn read(node: &Node, name: &str, findings: &mut Findings) -> Option<Provider> {
    let fields = Fields::of(node, Spelling::Proto, name, findings)?;
    let listed = fields.texts("audiences", findings);
    let mut provider = Provider {
        issuer: fields.text("issuer", findings),
        audiences: audiences(&listed),
        subjects: fields
            .get("subjects", findings)
            .and_then(|node| text_match(node, "subjects", findings))
            .into_iter()
            .collect(),
        clock_skew_secs: Some(match fields.entry("clock_skew_seconds", findings) {
            None => DEFAULT_SKEW_SECS,
            Some(entry) => {
                let seconds = fields.number("clock_skew_seconds", findings).unwrap_or(0);
                skew_secs(seconds, entry.place, findings)
            }
        }),
        require_expiration: Some(fields.boolean("require_expiration", findings) == Some(true)),
        token_sources: token_sources::read(&fields, &TOKEN_SOURCES, findings),
        forward_token: fields.boolean("forward", findings) == Some(true),
        forward_claims: claims(&fields, findings),
        clear_route_cache: fields.boolean("clear_route_cache", findings) == Some(true),
        ..Provider::default()
    };
    provider.max_lifetime_secs = lifetime(&fields, findings);
    if provider.max_lifetime_secs.is_some() {
        // A lifetime that is bounded needs an end.
        provider.require_expiration = None;
    }
    let padding = fields.boolean("pad_forward_payload_header", findings) == Some(true);
    provider.forward_payload = fields
        .text("forward_payload_header", findings)
        .map(|header| ForwardPayload { header, padding });
    provider.keys = source_of_keys(&fields, findings);
    for field in [
        "payload_in_metadata",
        "header_in_metadata",
        "failed_status_in_metadata",
        "normalize_payload_in_metadata",
    ] {
        fields.not_carried(field, METADATA, findings);
    }
    fields.needless(
        "jwt_cache_config",
        "the filter keeps the signatures that it has checked anyway",
        findings,
    );
    fields.finish(findings);
    Some(provider)
}

/// The audiences as Envoy compares them: where one is a URL, or ends in a slash, the scheme (http or https) and
/// one slash at the end do not matter.
pub(crate) fn audiences(listed: &[String]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for audience in listed {
        let without_scheme = ["https://", "http://"]
            .iter()
            .find_map(|scheme| audience.strip_prefix(scheme));
        let rest = without_scheme.unwrap_or(audience);
        let stem = rest.strip_suffix('/').unwrap_or(rest);
        let mut spellings = vec![audience.clone()];
        if stem != audience {
            for scheme in ["https://", "http://", ""] {
                for end in ["", "/"] {
                    spellings.push(format!("{scheme}{stem}{end}"));
                }
            }
        }
        for spelling in spellings {
            if !spelling.is_empty() && !all.contains(&spelling) {
                all.push(spelling);
            }
        }
    }
    all
}

/// The leeway in seconds: for Envoy, zero is its default.
pub(crate) fn skew_secs(seconds: u64, place: Place, findings: &mut Findings) -> u64 {
    match seconds {
        0 => {
            findings.note(
                place,
                format!("a clock skew of 0 means {DEFAULT_SKEW_SECS} seconds to Envoy, and so it is written"),
            );
            DEFAULT_SKEW_SECS
        }
        seconds if seconds > MAX_SKEW_SECS => {
            findings.not_carried(
                place,
                format!("a clock skew of {seconds} seconds becomes {MAX_SKEW_SECS}"),
                "a policy allows no more: a token that expired an hour ago is expired",
            );
            MAX_SKEW_SECS
        }
        seconds => seconds,
    }
}

/// How long keys are fresh, in seconds, from milliseconds.
pub(crate) fn cache_secs(duration: Option<(u64, Place)>, findings: &mut Findings) -> u64 {
    let Some((duration, place)) = duration else {
        return DEFAULT_CACHE_MS / 1000;
    };
    let seconds = duration.div_ceil(1000).max(1);
    if seconds > MAX_CACHE_SECS {
        findings.not_carried(
            place,
            format!("keys that are fresh for {seconds} seconds are fresh for {MAX_CACHE_SECS}"),
            "a policy allows no more than a day; keys are fetched before that, in the background",
        );
    }
    seconds.min(MAX_CACHE_SECS)
}

fn lifetime(fields: &Fields<'_>, findings: &mut Findings) -> Option<u64> {
    let (duration, _) = fields.duration("max_lifetime", "3600s", findings)?;
    Some(duration.div_ceil(1000).max(1))
}

fn claims(fields: &Fields<'_>, findings: &mut Findings) -> Vec<ForwardClaim> {
    let mut claims = Vec::new();
    for claim in fields.list("claim_to_headers", findings) {
        let Some(fields) = Fields::of(claim, Spelling::Proto, "claim_to_headers", findings) else {
            continue;
        };
        let header = fields.text("header_name", findings);
        let named = fields.text("claim_name", findings);
        let path = claim_path(&fields, findings);
        let claim = match (named, path) {
            (_, Some(path)) => Some(path),
            (Some(name), None) => {
                if name.contains("://") {
                    findings.note(
                        fields.place(),
                        format!(
                            "Envoy reads `{name}` as a path, dot by dot, and so it is written; \
                                 a claim of that very name is `\"claim\": \"{name}\"`"
                        ),
                    );
                }
                Some(Claim::dotted(&name))
            }
            (None, None) => None,
        };
        match (claim, header) {
            (Some(claim), Some(header)) => claims.push(ForwardClaim {
                claim,
                header,
                format: "base64",
            }),
            _ => findings.refused(
                fields.place(),
                "`claim_to_headers` needs `header_name` and `claim_name`",
            ),
        }
        fields.finish(findings);
    }
    claims
}

/// `claim_path`: names, each an object with `key`.
fn claim_path(fields: &Fields<'_>, findings: &mut Findings) -> Option<Claim> {
    let mut path = Vec::new();
    for segment in fields.list("claim_path", findings) {
        let segment = Fields::of(segment, Spelling::Proto, "claim_path", findings)?;
        path.extend(segment.text("key", findings));
        segment.finish(findings);
    }
    (!path.is_empty()).then(|| Claim::of_path(path))
}

fn source_of_keys(fields: &Fields<'_>, findings: &mut Findings) -> Option<Keys> {
    match fields.one_of(&["remote_jwks", "local_jwks"], findings) {
        Some(("remote_jwks", entry)) => remote(&entry.value, findings),
        Some((_, entry)) => local(&entry.value, findings),
        None => {
            findings.refused(fields.place(), "the provider has no keys");
            None
        }
    }
}

fn remote(node: &Node, findings: &mut Findings) -> Option<Keys> {
    let fields = Fields::of(node, Spelling::Proto, "remote_jwks", findings)?;
    let (uri, cluster, timeout) = match fields.get("http_uri", findings) {
        Some(node) => {
            let fields = Fields::of(node, Spelling::Proto, "http_uri", findings)?;
            let found = (
                fields.text("uri", findings),
                fields.text("cluster", findings),
                fields.duration("timeout", "5s", findings),
            );
            fields.finish(findings);
            found
        }
        None => (None, None, None),
    };
    let cache = fields.duration("cache_duration", "5s", findings);
    let is_async = match fields.entry("async_fetch", findings) {
        Some(entry) => {
            in_background(entry, findings);
            true
        }
        None => false,
    };
    fields.needless(
        "retry_policy",
        "a fetch that fails is tried again, with growing pauses",
        findings,
    );
    fields.finish(findings);
    let Some(uri) = uri else {
        findings.refused(node.place, "`remote_jwks` has no `uri`");
        return None;
    };
    Some(Keys::Remote {
        jwks_url: absolute(uri, node.place, findings),
        jwks_cluster: cluster,
        jwks_timeout_ms: timeout.map(|(duration, _)| duration.clamp(1, MAX_TIMEOUT_MS)),
        jwks_cache_ttl_secs: Some(cache_secs(cache, findings)),
        // What is fetched in the background never becomes too old for Envoy.
        jwks_max_stale_secs: is_async.then_some(MAX_STALE_SECS),
    })
}

fn absolute(uri: String, place: Place, findings: &mut Findings) -> String {
    if uri.contains("://") {
        return uri;
    }
    findings.note(
        place,
        format!("`{uri}` has no scheme: it is written with `https`"),
    );
    format!("https://{uri}")
}

fn in_background(entry: &Entry, findings: &mut Findings) {
    let Some(fields) = Fields::of(&entry.value, Spelling::Proto, "async_fetch", findings) else {
        return;
    };
    fields.needless(
        "fast_listener",
        "the filter never holds a listener back; requests wait for the first keys",
        findings,
    );
    fields.needless(
        "failed_refetch_duration",
        "the filter chooses the pauses between fetches that fail",
        findings,
    );
    fields.finish(findings);
}

fn local(node: &Node, findings: &mut Findings) -> Option<Keys> {
    let fields = Fields::of(node, Spelling::Proto, "local_jwks", findings)?;
    let source = fields.one_of(
        &[
            "inline_string",
            "inline_bytes",
            "filename",
            "environment_variable",
        ],
        findings,
    );
    fields.skip("watched_directory", findings);
    fields.finish(findings);
    let Some((kind, entry)) = source else {
        findings.refused(node.place, "`local_jwks` has no keys");
        return None;
    };
    let text = entry.value.text().unwrap_or_default();
    match kind {
        "inline_string" => keys::inline(text, entry.place, findings),
        "inline_bytes" => {
            let bytes = STANDARD.decode(text).ok();
            match bytes.and_then(|bytes| String::from_utf8(bytes).ok()) {
                Some(text) => keys::inline(&text, entry.place, findings),
                None => {
                    findings.refused(entry.place, "`inline_bytes` is no base64 of a text");
                    None
                }
            }
        }
        "filename" => {
            findings.note(
                entry.place,
                format!("`{text}` is read when the policy is compiled, not by the proxy"),
            );
            Some(Keys::File {
                jwks_file: text.to_owned(),
            })
        }
        _ => {
            findings.refused_with_hint(
                entry.place,
                "a key set from an environment variable cannot be carried over",
                "put it into a file, and name that as `filename`",
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audiences_have_the_spellings_that_envoy_takes_for_the_same() {
        let spelt = |audience: &str| audiences(&[audience.to_owned()]);
        assert_eq!(spelt("my-api"), ["my-api"]);
        assert_eq!(
            spelt("https://api.example.com/"),
            [
                "https://api.example.com/",
                "https://api.example.com",
                "http://api.example.com",
                "http://api.example.com/",
                "api.example.com",
                "api.example.com/",
            ]
        );
        assert_eq!(spelt("a/").len(), 6);
        assert_eq!(
            spelt("https://"),
            ["https://", "https:///", "http://", "http:///", "/"]
        );
    }
}
