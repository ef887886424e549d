//! Istio: who issues tokens by `RequestAuthentication`, and who may pass by `AuthorizationPolicy`.

mod authorization;
mod operations;
mod paths;
mod principals;

use super::access::{Conditions, Providers, Way};
use super::envoy::audiences;
use super::fields::{Fields, Spelling};
use super::findings::Findings;
use super::keys;
use super::kubernetes::{self, Resource, resources};
use super::names;
use super::policy::{App, Auth, Claim, ForwardClaim, ForwardPayload, Keys, Policy, Provider};
use super::token_sources;
use super::yaml::{Kind, Node};

const PRODUCT: kubernetes::Product = kubernetes::Product {
    group: "security.istio.io",
    read: &["RequestAuthentication", "AuthorizationPolicy"],
    stay: &["PeerAuthentication"],
};
/// How often istiod fetches keys, in seconds.
const CACHE_SECS: u64 = 1200;
/// What the fields with token sources are called.
const TOKEN_SOURCES: token_sources::Names = token_sources::Names {
    headers: "fromHeaders",
    prefix: "prefix",
    params: "fromParams",
    cookies: "fromCookies",
};
/// How long istiod waits for keys where nothing is said, in milliseconds.
const TIMEOUT_MS: u64 = 5000;
/// The longest that a policy may wait for keys, in milliseconds.
const MAX_TIMEOUT_MS: u64 = 60_000;
/// What Envoy allows clocks to differ, in seconds.
const SKEW_SECS: u64 = 60;

/// The policy for the resources in these documents.
pub(crate) fn import(documents: &[Node], findings: &mut Findings) -> Option<Policy> {
    let all = resources(documents, findings);
    kubernetes::check(&all, &PRODUCT, findings);
    let ours: Vec<&Resource<'_>> = all
        .iter()
        .filter(|it| it.group == PRODUCT.group && PRODUCT.read.contains(&it.kind))
        .collect();
    let mut providers = Providers::default();
    let mut scope: Option<(&Resource<'_>, String)> = None;
    for resource in &ours {
        let Some(spec) = resource.spec(findings) else {
            continue;
        };
        let own = workloads(resource, &spec, findings);
        match &scope {
            None => scope = Some((resource, own)),
            Some((first, other)) if *other != own => findings.refused_with_hint(
                resource.place,
                format!(
                    "the {} `{}` is for other workloads than the {} `{}`",
                    resource.kind,
                    resource.label(),
                    first.kind,
                    first.label()
                ),
                "a policy is for one filter: import what is for the same workloads together",
            ),
            Some(_) => {}
        }
        if resource.kind == "RequestAuthentication" {
            for rule in spec.list("jwtRules", findings) {
                jwt_rule(rule, &mut providers, findings);
            }
            spec.finish(findings);
        }
    }
    if providers.all.is_empty() {
        if let Some(first) = all.first() {
            findings.refused(
                first.place,
                "there is no RequestAuthentication with `jwtRules`",
            );
        }
        return None;
    }
    let open: Vec<Way> = (0..providers.all.len())
        .map(|provider| Way {
            provider,
            conditions: Conditions::default(),
        })
        .collect();
    let policies = ours.iter().filter(|it| it.kind == "AuthorizationPolicy");
    let rules = authorization::read(policies.copied(), &providers, findings);
    let bypass_cors_preflight = rules.is_empty();
    let apps = rules.apps(&mut providers, &open, findings);
    let apps: Vec<App> = apps
        .into_iter()
        .enumerate()
        .map(|(index, (hosts, auth, routes))| App {
            name: "Imported from Istio".to_owned(),
            slug: match index {
                0 => "imported".to_owned(),
                index => format!("imported-{}", index + 1),
            },
            hosts,
            gateway_path: "/",
            // RequestAuthentication lets preflight requests pass, an AuthorizationPolicy looks at them as at others.
            bypass_cors_preflight,
            route_order: (!routes.is_empty()).then_some("first_match"),
            replies: None,
            default_policy: auth.policy(),
            routes,
        })
        .collect();
    let auths: Vec<&Auth> = apps
        .iter()
        .flat_map(|app| {
            let routes = app.routes.iter().map(|route| &route.policy.auth);
            routes.chain([&app.default_policy.auth])
        })
        .collect();
    Some(Policy {
        providers: providers.into_named(&auths),
        apps,
        unmatched: None,
    })
}

/// Which workloads a resource is for, as one text.
fn workloads(resource: &Resource<'_>, spec: &Fields<'_>, findings: &mut Findings) -> String {
    let mut own = format!("{};", resource.namespace);
    for name in ["selector", "targetRef", "targetRefs"] {
        if let Some(entry) = spec.entry(name, findings) {
            findings.note(
                entry.place,
                format!(
                    "the policy holds where the filter is: give the WasmPlugin the same `{name}`"
                ),
            );
            write(&entry.value, &mut own);
        }
    }
    own
}

fn write(node: &Node, text: &mut String) {
    match &node.kind {
        Kind::Null => {}
        Kind::Scalar { text: scalar, .. } => {
            text.push_str(scalar);
            text.push(';');
        }
        Kind::List(elements) => {
            for element in elements {
                write(element, text);
            }
        }
        Kind::Object(entries) => {
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_by(|one, other| one.name.cmp(&other.name));
            for entry in sorted {
                text.push_str(&entry.name);
                text.push(':');
                write(&entry.value, text);
            }
        }
    }
}

/// A `jwtRules` entry.
fn jwt_rule(node: &Node, providers: &mut Providers, findings: &mut Findings) {
    let Some(fields) = Fields::of(node, Spelling::Camel, "jwtRules", findings) else {
        return;
    };
    let issuer = fields.text("issuer", findings);
    let listed = fields.texts("audiences", findings);
    let keys = source_of_keys(&fields, issuer.as_deref(), findings);
    let provider = Provider {
        audiences: audiences(&listed),
        keys,
        clock_skew_secs: Some(SKEW_SECS),
        require_expiration: Some(false),
        token_sources: token_sources::read(&fields, &TOKEN_SOURCES, findings),
        forward_token: fields.boolean("forwardOriginalToken", findings) == Some(true),
        forward_claims: fields
            .list("outputClaimToHeaders", findings)
            .into_iter()
            .filter_map(|node| claim_header(node, findings))
            .collect(),
        forward_payload: fields
            .text("outputPayloadToHeader", findings)
            .map(|header| ForwardPayload {
                header,
                padding: false,
            }),
        issuer: issuer.clone(),
        ..Provider::default()
    };
    fields.not_carried(
        "spaceDelimitedClaims",
        "`required_scopes` reads `scope` and `scp` word by word; other claims are compared whole",
        findings,
    );
    failure_mode(&fields, findings);
    fields.finish(findings);
    let name = providers
        .names
        .free(&names::of_issuer(issuer.as_deref().unwrap_or("any-issuer")));
    providers.all.push((name, provider));
}

/// `failureMode`: a policy has one mode for all of its issuers.
fn failure_mode(fields: &Fields<'_>, findings: &mut Findings) {
    let Some(entry) = fields.entry("failureMode", findings) else {
        return;
    };
    match entry.value.text() {
        Some("PERMISSIVE") => {}
        Some("IGNORE") => findings.not_carried(
            entry.place,
            "`failureMode: IGNORE` is not carried over: a token that fails is refused",
            "set `\"mode\": \"allow_missing_or_failed\"` in the policy if that is what you want",
        ),
        _ => findings.refused_with_hint(
            entry.place,
            "this `failureMode` cannot be carried over: without it, more requests would pass",
            "ask for a token with an AuthorizationPolicy: `DENY` with `notRequestPrincipals: [\"*\"]`",
        ),
    }
}

fn source_of_keys(
    fields: &Fields<'_>,
    issuer: Option<&str>,
    findings: &mut Findings,
) -> Option<Keys> {
    let timeout = fields
        .duration("timeout", "5s", findings)
        .map(|(timeout, _)| timeout);
    match fields.one_of(&["jwks", "jwksUri", "jwks_uri"], findings) {
        Some(("jwks", entry)) => keys::inline(
            entry.value.text().unwrap_or_default(),
            entry.place,
            findings,
        ),
        Some((_, entry)) => Some(Keys::Remote {
            jwks_url: entry.value.text().unwrap_or_default().to_owned(),
            jwks_cluster: None,
            jwks_timeout_ms: Some(timeout.unwrap_or(TIMEOUT_MS).clamp(1, MAX_TIMEOUT_MS)),
            jwks_cache_ttl_secs: Some(CACHE_SECS),
            jwks_max_stale_secs: None,
        }),
        None if issuer.is_some_and(|issuer| issuer.starts_with("https://")) => {
            Some(Keys::Discovery {
                oidc_discovery: true,
            })
        }
        None => {
            findings.refused(
                fields.place(),
                "there are no keys: neither `jwks`, nor `jwksUri`, nor an `issuer` with `https`",
            );
            None
        }
    }
}

fn claim_header(node: &Node, findings: &mut Findings) -> Option<ForwardClaim> {
    let fields = Fields::of(node, Spelling::Camel, "outputClaimToHeaders", findings)?;
    let header = fields.text("header", findings);
    let claim = fields.text("claim", findings);
    fields.finish(findings);
    match (claim, header) {
        (Some(claim), Some(header)) => Some(ForwardClaim {
            claim: Claim::dotted(&claim),
            header,
            format: "base64",
        }),
        _ => {
            findings.refused(
                node.place,
                "`outputClaimToHeaders` needs `header` and `claim`",
            );
            None
        }
    }
}
