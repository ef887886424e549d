//! kgateway: the JWT providers of a `GatewayExtension`, and the `TrafficPolicy` that requires them.

mod cel;
mod provider;

use super::access::{Conditions, Providers, Way};
use super::fields::{Fields, Spelling};
use super::findings::Findings;
use super::kubernetes::{self, Resource, resources};
use super::names;
use super::policy::{App, Policy};
use super::yaml::{Node, Place};

const PRODUCT: kubernetes::Product = kubernetes::Product {
    group: "gateway.kgateway.dev",
    read: &["GatewayExtension", "TrafficPolicy"],
    stay: &[
        "Backend",
        "BackendConfigPolicy",
        "DirectResponse",
        "GatewayParameters",
        "HTTPListenerPolicy",
        "ListenerPolicy",
    ],
};
/// Whom the rest of a resource stays with.
const NAME: &str = "kgateway";
/// The rest of a TrafficPolicy, which kgateway goes on doing.
const STAYS: [&str; 23] = [
    "acl",
    "ai",
    "apiKeyAuth",
    "autoHostRewrite",
    "basicAuth",
    "buffer",
    "compression",
    "cors",
    "csrf",
    "extAuth",
    "extProc",
    "faultInjection",
    "hashPolicies",
    "headerModifiers",
    "internalRedirect",
    "oauth2",
    "rateLimit",
    "retry",
    "statPrefix",
    "timeouts",
    "tracing",
    "transformation",
    "urlRewrite",
];
/// A `TrafficPolicy` that says something about JWTs.
struct Traffic<'n> {
    label: String,
    place: Place,
    /// The extension, by name and namespace.
    extension: Option<(String, String)>,
    /// Ways to be allowed, where there are rules about claims.
    rules: Option<Vec<Conditions>>,
    target: Option<&'n Node>,
}

/// The policy for the resources in these documents.
pub(crate) fn import(documents: &[Node], findings: &mut Findings) -> Option<Policy> {
    let all = resources(documents, findings);
    kubernetes::check(&all, &PRODUCT, findings);
    let traffic = traffic_policies(&all, findings);
    let extension = extension(&all, &traffic, findings)?;
    let mut providers = Providers::default();
    let allow_missing = read_extension(extension, &all, &mut providers, findings)?;
    if providers.all.is_empty() {
        findings.refused(extension.place, "the GatewayExtension has no provider");
        return None;
    }
    let rules = traffic.iter().find_map(|traffic| traffic.rules.clone());
    let own: Vec<Way> = (0..providers.all.len())
        .map(|provider| Way {
            provider,
            conditions: Conditions::default(),
        })
        .collect();
    let auth = match rules {
        // Without a token there is no claim, so the rules refuse the request.
        Some(rules) => {
            let ways: Vec<Way> = own
                .iter()
                .flat_map(|way| {
                    rules.iter().map(|conditions| Way {
                        provider: way.provider,
                        conditions: conditions.clone(),
                    })
                })
                .collect();
            providers.auth(&ways, false)
        }
        None => providers.auth(&own, allow_missing),
    };
    let app = App {
        name: format!("Imported from the GatewayExtension {}", extension.label()),
        slug: names::slug(extension.name),
        hosts: vec!["*".to_owned()],
        gateway_path: "/",
        bypass_cors_preflight: false,
        route_order: None,
        replies: None,
        default_policy: auth.clone().policy(),
        routes: Vec::new(),
    };
    Some(Policy {
        providers: providers.into_named(&[&auth]),
        apps: vec![app],
        unmatched: None,
    })
}

/// The policies that say something about JWTs.
fn traffic_policies<'n>(all: &[Resource<'n>], findings: &mut Findings) -> Vec<Traffic<'n>> {
    let mut found: Vec<Traffic<'n>> = Vec::new();
    for resource in all
        .iter()
        .filter(|it| it.kind == "TrafficPolicy" && it.group == PRODUCT.group)
    {
        let Some(spec) = resource.spec(findings) else {
            continue;
        };
        let target = spec
            .get("targetRefs", findings)
            .or(spec.get("targetSelectors", findings));
        let jwt = spec.one_of(&["jwtAuth", "jwt"], findings);
        let rules = spec
            .get("rbac", findings)
            .map(|rbac| rbac_rules(rbac, findings));
        for name in STAYS {
            spec.stays(name, NAME, findings);
        }
        spec.finish(findings);
        let Some((_, jwt)) = jwt else {
            if rules.is_none() {
                findings.note(
                    resource.place,
                    format!(
                        "the TrafficPolicy `{}` stays as it is: it says nothing about JWTs",
                        resource.label()
                    ),
                );
            } else {
                findings.refused_with_hint(
                    resource.place,
                    "`rbac` without `jwtAuth`: which tokens its rules are about is not said",
                    "give `jwtAuth` and `rbac` in one TrafficPolicy",
                );
            }
            continue;
        };
        let mut extension = None;
        if let Some(fields) = Fields::of(&jwt.value, Spelling::Camel, "jwtAuth", findings) {
            fields.not_carried(
                "disable",
                "a policy has no counterpart for turning it off elsewhere: write a route with `\"auth_type\": \"none\"`",
                findings,
            );
            if let Some(reference) = fields.get("extensionRef", findings) {
                let text = |name: &str| reference.field(name).and_then(Node::text).unwrap_or("");
                let namespace = match text("namespace") {
                    "" => resource.namespace,
                    namespace => namespace,
                };
                extension = Some((text("name").to_owned(), namespace.to_owned()));
            }
            fields.finish(findings);
        }
        if extension.is_none() && rules.is_some() {
            findings.refused_with_hint(
                resource.place,
                "`rbac` without `extensionRef`: which tokens its rules are about is not said",
                "give `extensionRef` and `rbac` in one TrafficPolicy",
            );
        }
        found.push(Traffic {
            label: resource.label(),
            place: resource.place,
            extension,
            rules,
            target,
        });
    }
    found.retain(|traffic| traffic.extension.is_some());
    report_targets(&found, findings);
    found
}

/// Says where the policy holds, which is where the filter is put.
fn report_targets(traffic: &[Traffic<'_>], findings: &mut Findings) {
    let mut first: Option<&Traffic<'_>> = None;
    for policy in traffic {
        let targets: Vec<String> = policy
            .target
            .map(Node::children)
            .unwrap_or_default()
            .into_iter()
            .map(|target| {
                let text = |name: &str| target.field(name).and_then(Node::text).unwrap_or("");
                format!("{} {}", text("kind"), text("name"))
                    .trim()
                    .to_owned()
            })
            .collect();
        if let Some(target) = policy.target {
            match targets.iter().all(|target| target.starts_with("Gateway ")) {
                true => findings.note(
                    target.place,
                    format!("the policy holds where the filter is: put it into `{}`", targets.join("`, `")),
                ),
                false => findings.not_carried(
                    target.place,
                    format!("the policy holds for every request that the filter sees, not only for `{}`", targets.join("`, `")),
                    "narrow it with `hosts`, `gateway_path` and `routes` of the app",
                ),
            }
        }
        match first {
            None => first = Some(policy),
            Some(first) if first.extension == policy.extension && first.rules == policy.rules => {}
            Some(first) => findings.refused_with_hint(
                policy.place,
                format!(
                    "the TrafficPolicy `{}` says otherwise than `{}`",
                    policy.label, first.label
                ),
                "a policy is for one filter: import them one by one",
            ),
        }
    }
}

/// The rules of `rbac`, as ways to be allowed.
fn rbac_rules(node: &Node, findings: &mut Findings) -> Vec<Conditions> {
    let Some(fields) = Fields::of(node, Spelling::Camel, "rbac", findings) else {
        return Vec::new();
    };
    let action = fields.text("action", findings);
    if action.as_deref() == Some("Deny") {
        findings.refused_with_hint(
            node.place,
            "`rbac` with `action: Deny` cannot be carried over: a policy says who may pass",
            "write the rules as `Allow`",
        );
    }
    let mut ways = Vec::new();
    if let Some(policy) = fields.get("policy", findings)
        && let Some(policy) = Fields::of(policy, Spelling::Camel, "policy", findings)
    {
        for name in ["allowedCIDRs", "blockedCIDRs"] {
            if let Some(entry) = policy.entry(name, findings) {
                findings.refused_with_hint(
                    entry.place,
                    format!("`{name}` cannot be carried over: a policy knows no addresses"),
                    "keep them in a TrafficPolicy of their own",
                );
            }
        }
        for expression in policy.list("matchExpressions", findings) {
            let text = expression.text().unwrap_or_default();
            match cel::ways(text) {
                Some(more) => ways.extend(more),
                None => findings.refused_with_hint(
                    expression.place,
                    format!("the expression `{text}` cannot be carried over"),
                    "comparisons of claims of `envoy.filters.http.jwt_authn` with texts can, joined by `&&` and `||`",
                ),
            }
        }
        policy.finish(findings);
    }
    fields.finish(findings);
    if ways.is_empty() {
        findings.refused(node.place, "`rbac` allows nothing that a policy can say");
    }
    ways
}

/// The extension that the policies name, or the only one that there is.
fn extension<'r, 'n>(
    all: &'r [Resource<'n>],
    traffic: &[Traffic<'_>],
    findings: &mut Findings,
) -> Option<&'r Resource<'n>> {
    let extensions: Vec<&Resource<'n>> = all
        .iter()
        .filter(|it| it.kind == "GatewayExtension" && it.group == PRODUCT.group)
        .collect();
    if let Some(policy) = traffic.first()
        && let Some((name, namespace)) = &policy.extension
    {
        let named = extensions.iter().find(|it| {
            it.name == *name
                && (it.namespace == *namespace || it.namespace.is_empty() || namespace.is_empty())
        });
        if named.is_none() {
            findings.refused_with_hint(
                policy.place,
                format!("the GatewayExtension `{name}` is not in the files"),
                "give the file with it, too",
            );
        }
        for other in &extensions {
            if other.name != *name {
                findings.note(
                    other.place,
                    format!(
                        "the GatewayExtension `{}` is left out: no TrafficPolicy names it",
                        other.label()
                    ),
                );
            }
        }
        return named.copied();
    }
    match extensions.as_slice() {
        [only] => Some(only),
        [] => {
            if let Some(first) = all.first() {
                findings.refused(first.place, "there is no GatewayExtension in the files");
            }
            None
        }
        [_, second, ..] => {
            findings.refused_with_hint(
                second.place,
                "there are several GatewayExtensions, and no TrafficPolicy that names one",
                "give the TrafficPolicy, too",
            );
            None
        }
    }
}

/// Reads the providers; whether a request without a token is allowed.
fn read_extension(
    extension: &Resource<'_>,
    all: &[Resource<'_>],
    providers: &mut Providers,
    findings: &mut Findings,
) -> Option<bool> {
    let spec = extension.spec(findings)?;
    // What kgateway itself no longer looks at.
    spec.skip("type", findings);
    for name in ["extAuth", "extProc", "oauth2", "rateLimit"] {
        spec.stays(name, NAME, findings);
    }
    let Some(jwt) = spec.get("jwt", findings) else {
        findings.refused(extension.place, "the GatewayExtension has no `jwt`");
        return None;
    };
    spec.finish(findings);
    let jwt = Fields::of(jwt, Spelling::Camel, "jwt", findings)?;
    let mode = jwt.entry("validationMode", findings);
    let allow_missing = match mode.and_then(|mode| mode.value.text()) {
        None | Some("" | "Strict") => false,
        Some("AllowMissing") => true,
        Some(other) => {
            let message = format!("`validationMode` `{other}` is not known here");
            findings.refused(mode.map_or(jwt.place(), |mode| mode.place), message);
            false
        }
    };
    for node in jwt.list("providers", findings) {
        let Some(fields) = Fields::of(node, Spelling::Camel, "providers", findings) else {
            continue;
        };
        let name = fields.text("name", findings).unwrap_or_default();
        let name = providers.names.take(&name, node.place, findings);
        let provider = provider::read(&fields, extension, all, findings);
        fields.finish(findings);
        providers.all.push((name, provider));
    }
    jwt.finish(findings);
    Some(allow_missing)
}
