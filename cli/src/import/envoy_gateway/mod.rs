//! Envoy Gateway: `jwt` of a `SecurityPolicy`, and `authorization` by claims and scopes.

mod provider;

use super::access::{Conditions, MAX_WAYS, Providers, Way, all_of};
use super::fields::{Fields, Spelling};
use super::findings::Findings;
use super::kubernetes::{self, Resource, resources};
use super::names;
use super::policy::{App, Auth, Claim, ClaimTest, Path, Policy, RequiredClaim, Route};
use super::yaml::Node;

const PRODUCT: kubernetes::Product = kubernetes::Product {
    group: "gateway.envoyproxy.io",
    read: &["SecurityPolicy"],
    stay: &[
        "Backend",
        "BackendTrafficPolicy",
        "ClientTrafficPolicy",
        "EnvoyExtensionPolicy",
        "EnvoyGateway",
        "EnvoyPatchPolicy",
        "EnvoyProxy",
        "HTTPRouteFilter",
    ],
};
/// The rest of a SecurityPolicy, which Envoy Gateway goes on doing.
const STAYS: [&str; 7] = [
    "cors",
    "basicAuth",
    "oidc",
    "apiKeyAuth",
    "extAuth",
    "mergeType",
    "csrf",
];

/// A rule that allows requests.
struct Rule {
    /// Empty for every method.
    methods: Vec<String>,
    ways: Vec<Way>,
}

/// The policy for the resources in these documents.
pub(crate) fn import(documents: &[Node], findings: &mut Findings) -> Option<Policy> {
    let all = resources(documents, findings);
    kubernetes::check(&all, &PRODUCT, findings);
    let policies: Vec<&Resource<'_>> = all
        .iter()
        .filter(|it| it.kind == "SecurityPolicy" && it.group == PRODUCT.group)
        .collect();
    let policy = match policies.as_slice() {
        [only] => *only,
        [] => {
            if let Some(first) = all.first() {
                findings.refused(first.place, "there is no SecurityPolicy in the files");
            }
            return None;
        }
        [first, second, ..] => {
            findings.refused_with_hint(
                second.place,
                format!("there is another SecurityPolicy beside `{}`", first.label()),
                "a policy is for one filter: import them one by one",
            );
            return None;
        }
    };
    security_policy(policy, &all, findings)
}

fn security_policy(
    resource: &Resource<'_>,
    all: &[Resource<'_>],
    findings: &mut Findings,
) -> Option<Policy> {
    let spec = resource.spec(findings)?;
    for name in ["targetRefs", "targetRef", "targetSelectors"] {
        if let Some(entry) = spec.entry(name, findings) {
            findings.note(
                entry.place,
                "the policy holds where the filter is: put it before the same gateways and routes",
            );
        }
    }
    for name in STAYS {
        spec.stays(name, "Envoy Gateway", findings);
    }
    let jwt = spec.get("jwt", findings);
    let authorization = spec.get("authorization", findings);
    spec.finish(findings);
    let Some(jwt) = jwt else {
        findings.refused(
            resource.place,
            format!("the SecurityPolicy `{}` has no `jwt`", resource.label()),
        );
        return None;
    };
    let mut providers = Providers::default();
    let mut originals = Vec::new();
    let fields = Fields::of(jwt, Spelling::Camel, "jwt", findings)?;
    let optional = fields.boolean("optional", findings) == Some(true);
    if fields.boolean("failOpen", findings) == Some(true) {
        findings.refused_with_hint(
            fields.place(),
            "`failOpen` cannot be carried over as it is: requests with bad tokens would pass",
            "set `\"mode\": \"allow_missing_or_failed\"` in the policy if that is what you want",
        );
    }
    for node in fields.list("providers", findings) {
        let Some(fields) = Fields::of(node, Spelling::Camel, "providers", findings) else {
            continue;
        };
        let original = fields.text("name", findings).unwrap_or_default();
        let name = providers.names.take(&original, node.place, findings);
        let provider = provider::read(&fields, resource, all, findings);
        fields.finish(findings);
        originals.push(original);
        providers.all.push((name, provider));
    }
    fields.finish(findings);
    if providers.all.is_empty() {
        findings.refused(jwt.place, "`jwt` has no provider");
        return None;
    }
    let rules = authorization.map(|node| rules(node, &originals, findings));
    let (auth, routes) = routes(&mut providers, rules, optional);
    let app = App {
        name: format!("Imported from the SecurityPolicy {}", resource.label()),
        slug: names::slug(resource.name),
        hosts: vec!["*".to_owned()],
        gateway_path: "/",
        bypass_cors_preflight: false,
        route_order: None,
        replies: None,
        default_policy: auth.policy(),
        routes,
    };
    let mut auths: Vec<&Auth> = app.routes.iter().map(|route| &route.policy.auth).collect();
    auths.push(&app.default_policy.auth);
    Some(Policy {
        providers: providers.into_named(&auths),
        apps: vec![app],
        unmatched: None,
    })
}

/// What holds for every method, and for those that rules name.
fn routes(
    providers: &mut Providers,
    rules: Option<Vec<Rule>>,
    optional: bool,
) -> (Auth, Vec<Route>) {
    let open: Vec<Way> = (0..providers.all.len())
        .map(|provider| Way {
            provider,
            conditions: Conditions::default(),
        })
        .collect();
    let Some(rules) = rules else {
        return (providers.auth(&open, optional), Vec::new());
    };
    let mut methods: Vec<&String> = rules.iter().flat_map(|rule| &rule.methods).collect();
    methods.sort();
    methods.dedup();
    let ways = |method: Option<&String>| -> Vec<Way> {
        let holds = |rule: &&Rule| {
            rule.methods.is_empty() || method.is_some_and(|method| rule.methods.contains(method))
        };
        rules
            .iter()
            .filter(holds)
            .flat_map(|rule| rule.ways.clone())
            .collect()
    };
    let mut routes: Vec<Route> = Vec::new();
    for method in methods {
        let auth = providers.auth(&ways(Some(method)), false);
        match routes.iter_mut().find(|route| route.policy.auth == auth) {
            Some(route) => route.methods.push(method.clone()),
            None => routes.push(Route {
                path: Path::Pattern("/*".to_owned()),
                methods: vec![method.clone()],
                headers: Vec::new(),
                query: Vec::new(),
                policy: auth.policy(),
            }),
        }
    }
    let rest = ways(None);
    let auth = match rest.is_empty() {
        true => providers.nobody(),
        false => providers.auth(&rest, false),
    };
    (auth, routes)
}

/// The rules of `authorization`, in so far as they are about tokens.
fn rules(node: &Node, originals: &[String], findings: &mut Findings) -> Vec<Rule> {
    let Some(fields) = Fields::of(node, Spelling::Camel, "authorization", findings) else {
        return Vec::new();
    };
    if fields.text("defaultAction", findings).as_deref() == Some("Allow") {
        findings.refused_with_hint(
            fields.place(),
            "`defaultAction: Allow` cannot be carried over: a policy says who may pass",
            "write the rules as `Allow` with the default `Deny`",
        );
    }
    let mut rules = Vec::new();
    for node in fields.list("rules", findings) {
        let Some(fields) = Fields::of(node, Spelling::Camel, "rules", findings) else {
            continue;
        };
        fields.skip("name", findings);
        if fields.text("action", findings).as_deref() != Some("Allow") {
            findings.refused_with_hint(
                node.place,
                "a rule with `action: Deny` cannot be carried over: a policy says who may pass",
                "write the rules as `Allow` with the default `Deny`",
            );
        }
        let methods = match fields.get("operation", findings) {
            None => Vec::new(),
            Some(operation) => operation_methods(operation, findings),
        };
        if let Some(entry) = fields.entry("cel", findings) {
            findings.refused(entry.place, "`cel` cannot be carried over");
        }
        let ways = match fields.get("principal", findings) {
            Some(node) => principal(node, originals, findings),
            None => {
                findings.refused_with_hint(
                    node.place,
                    "a rule without `principal` cannot be carried over: it is not about a JWT",
                    "write a route with `\"auth_type\": \"none\"` for what everybody may do",
                );
                None
            }
        };
        fields.finish(findings);
        rules.extend(ways.map(|ways| Rule { methods, ways }));
    }
    fields.finish(findings);
    if rules.is_empty() {
        findings.refused(
            node.place,
            "`authorization` allows nothing that a policy can say",
        );
    }
    rules
}

fn operation_methods(node: &Node, findings: &mut Findings) -> Vec<String> {
    let Some(fields) = Fields::of(node, Spelling::Camel, "operation", findings) else {
        return Vec::new();
    };
    let methods = fields.texts("methods", findings);
    if let Some(entry) = fields.entry("path", findings) {
        findings.refused(entry.place, "`path` of an operation cannot be carried over");
    }
    fields.finish(findings);
    methods
}

fn principal(node: &Node, originals: &[String], findings: &mut Findings) -> Option<Vec<Way>> {
    let fields = Fields::of(node, Spelling::Camel, "principal", findings)?;
    for name in [
        "clientCIDRs",
        "headers",
        "clientIPGeoLocations",
        "sourceCIDRs",
    ] {
        if let Some(entry) = fields.entry(name, findings) {
            findings.refused_with_hint(
                entry.place,
                format!("`{name}` beside claims cannot be carried over: without it, more requests would pass"),
                "keep such rules in a SecurityPolicy of their own",
            );
        }
    }
    let jwt = fields.get("jwt", findings);
    fields.finish(findings);
    let Some(jwt) = jwt else {
        findings.refused(
            node.place,
            "a rule that is not about a JWT cannot be carried over",
        );
        return None;
    };
    let fields = Fields::of(jwt, Spelling::Camel, "jwt", findings)?;
    let original = fields.text("provider", findings).unwrap_or_default();
    let scopes = fields.texts("scopes", findings);
    let mut alternatives = vec![vec![Conditions {
        scopes,
        ..Conditions::default()
    }]];
    for claim in fields.list("claims", findings) {
        alternatives.extend(claim_ways(claim, findings));
    }
    fields.finish(findings);
    if alternatives.len() == 1 && alternatives.concat().iter().all(|it| it.scopes.is_empty()) {
        findings.refused(jwt.place, "`jwt` of a principal needs `claims` or `scopes`");
    }
    let Some(provider) = originals.iter().position(|known| *known == original) else {
        findings.refused(jwt.place, format!("there is no provider `{original}`"));
        return None;
    };
    let Some(ways) = all_of(&alternatives) else {
        findings.refused(
            jwt.place,
            format!("the claims can be right in more than {MAX_WAYS} ways"),
        );
        return None;
    };
    let ways = ways.into_iter().map(|conditions| Way {
        provider,
        conditions,
    });
    Some(ways.collect())
}

/// The ways in which a claim can be right.
fn claim_ways(node: &Node, findings: &mut Findings) -> Option<Vec<Conditions>> {
    let fields = Fields::of(node, Spelling::Camel, "claims", findings)?;
    let name = fields.text("name", findings).unwrap_or_default();
    let kind = fields.text("valueType", findings);
    let values = fields.texts("values", findings);
    fields.finish(findings);
    let claim = Claim::dotted(&name);
    let tests: Vec<ClaimTest> = match kind.as_deref() {
        None | Some("String") => values.into_iter().map(ClaimTest::Equals).collect(),
        Some("StringArray") => vec![ClaimTest::OneOf(values)],
        Some(other) => {
            findings.refused(
                node.place,
                format!("`valueType` `{other}` is not known here"),
            );
            return None;
        }
    };
    let ways = tests.into_iter().map(|test| Conditions {
        claims: vec![RequiredClaim {
            claim: claim.clone(),
            test,
        }],
        ..Conditions::default()
    });
    Some(ways.collect())
}
