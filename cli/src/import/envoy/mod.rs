//! Envoy's own configuration: the filter `envoy.filters.http.jwt_authn`, alone or wherever it stands in a
//! connection manager, a listener, a bootstrap or a configuration dump.

mod conditions;
mod matching;
mod per_route;
mod provider;
mod requirement;

pub(crate) use matching::{escape, is_plain};
pub(crate) use provider::{audiences, cache_secs, skew_secs};

use super::fields::{Fields, Spelling};
use super::findings::Findings;
use super::names::Names;
use super::policy::{App, Auth, Policy, Replies, Route};
use super::yaml::{Kind, Node, Place};
use matching::{Matched, Of};
use requirement::Requirements;

/// How the type of the filter's configuration ends.
const FILTER: &str = ".jwt_authn.v3.JwtAuthentication";
/// How the type of what routes say to the filter ends.
const PER_ROUTE: &str = ".jwt_authn.v3.PerRouteConfig";
/// The version of the filter's configuration that Envoy dropped in 2020.
const OLD: &str = ".jwt_authn.v2alpha.";

/// The policy for the filter that stands in these documents.
pub(crate) fn import(documents: &[Node], findings: &mut Findings) -> Option<Policy> {
    let mut found = Found::default();
    for document in documents {
        found.search(document, findings);
    }
    if found.filters.is_empty() {
        let own = |document: &&Node| {
            let names = ["providers", "rules", "requirement_map", "requirementMap"];
            names.iter().any(|name| document.field(name).is_some())
        };
        found.filters.extend(documents.iter().filter(own));
    }
    found.report_strays(findings);
    let filter = found.only_filter(documents, findings)?;
    let configurations = match found.per_route.is_empty() {
        true => Vec::new(),
        false => found.route_configurations,
    };
    filter_policy(filter, &configurations, &found.per_route, findings)
}

/// What a search through the documents finds.
#[derive(Default)]
struct Found<'n> {
    filters: Vec<&'n Node>,
    per_route: Vec<&'n Node>,
    /// Everything of the type of what routes say to the filter.
    typed: Vec<&'n Node>,
    /// The routes of connection managers.
    route_configurations: Vec<&'n Node>,
}

impl<'n> Found<'n> {
    fn search(&mut self, node: &'n Node, findings: &mut Findings) {
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            let typed = |name: &str| node.field(name).and_then(Node::text).unwrap_or_default();
            let (kind, content) = match (typed("@type"), typed("type_url"), typed("typeUrl")) {
                (_, kind, "") | (_, "", kind) if !kind.is_empty() => {
                    (kind, node.field("value").unwrap_or(node))
                }
                (kind, ..) => (kind, node),
            };
            let inside = node.field("typed_config").or(node.field("typedConfig"));
            let inside = inside
                .and_then(|inside| inside.field("@type"))
                .and_then(Node::text);
            if inside.is_some_and(|kind| kind.ends_with(FILTER))
                && node.field("disabled").and_then(Node::text) == Some("true")
            {
                findings.not_carried(
                    node.place,
                    "the filter is `disabled` but for some routes: the policy holds for all",
                    "narrow it with `hosts`, `gateway_path` and `routes` of the app",
                );
            }
            if kind.ends_with(FILTER) {
                self.filters.push(content);
            } else if kind.contains(OLD) {
                findings.refused_with_hint(
                    node.place,
                    format!("`{kind}` is of a version that Envoy no longer reads"),
                    "bring the configuration to `envoy.extensions.filters.http.jwt_authn.v3` first",
                );
            } else if node.field("config_discovery").is_some()
                && typed("name").contains("jwt_authn")
            {
                findings.refused_with_hint(
                    node.place,
                    "the configuration of `jwt_authn` comes by `config_discovery` and is not in the file",
                    "take it from Envoy's `/config_dump`",
                );
            } else {
                if kind.ends_with(PER_ROUTE) {
                    self.typed.push(node);
                }
                self.per_route.extend(per_route::config(node));
                if node
                    .field("virtual_hosts")
                    .or(node.field("virtualHosts"))
                    .is_some()
                {
                    self.route_configurations.push(node);
                }
                // The last one is taken first.
                open.extend(node.children().into_iter().rev());
            }
        }
    }

    /// Refuses what is meant for the filter and stands where it is not read.
    fn report_strays(&self, findings: &mut Findings) {
        for node in &self.typed {
            let is_read = self.per_route.iter().any(|config| {
                let inner = config.field("config");
                core::ptr::eq(*config, *node)
                    || inner.is_some_and(|inner| core::ptr::eq(inner, *node))
            });
            if !is_read {
                findings.refused_with_hint(
                    node.place,
                    "this `PerRouteConfig` stands where nothing reads it",
                    "it belongs into `typed_per_filter_config` of a virtual host or route, once",
                );
            }
        }
    }

    /// The one filter that there is; several that say the same are one.
    fn only_filter(&self, documents: &[Node], findings: &mut Findings) -> Option<&'n Node> {
        let Some((first, others)) = self.filters.split_first() else {
            if let Some(document) = documents.first() {
                findings.refused_with_hint(
                    document.place,
                    "there is no configuration of `jwt_authn` in the file",
                    "give a bootstrap, a listener, a connection manager, or the filter's own `typed_config`",
                );
            }
            return None;
        };
        for other in others {
            if !same(first, other) {
                findings.refused_with_hint(
                    other.place,
                    format!(
                        "there is another `jwt_authn` that says otherwise, in line {}",
                        first.place.line
                    ),
                    "a policy is for one filter: give each `typed_config` in a file of its own",
                );
                return None;
            }
        }
        Some(first)
    }
}

/// Whether two values are the same, wherever they stand.
fn same(one: &Node, other: &Node) -> bool {
    match (&one.kind, &other.kind) {
        (Kind::Null, Kind::Null) => true,
        (Kind::Scalar { text: one, .. }, Kind::Scalar { text: other, .. }) => one == other,
        (Kind::List(one), Kind::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Kind::Object(one), Kind::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| one.name == other.name && same(&one.value, &other.value))
        }
        _ => false,
    }
}

fn filter_policy(
    node: &Node,
    configurations: &[&Node],
    per_route: &[&Node],
    findings: &mut Findings,
) -> Option<Policy> {
    let fields = Fields::of(node, Spelling::Proto, "jwt_authn", findings)?;
    fields.skip("@type", findings);
    let mut names = Names::default();
    let mut requirements = Requirements::default();
    if let Some(node) = fields.get("providers", findings) {
        match &node.kind {
            Kind::Object(entries) => {
                for entry in entries {
                    let name = names.take(&entry.name, entry.place, findings);
                    let provider = provider::read(&entry.value, &entry.name, findings);
                    requirements.add_provider(&entry.name, name, entry.place, provider);
                }
            }
            _ => findings.refused(node.place, "`providers` has to be an object"),
        }
    }
    let named = fields.get("requirement_map", findings);
    requirements.add_named(named, findings);
    let mut rules: Vec<Rule> = Vec::new();
    for node in fields.list("rules", findings) {
        rules.extend(rule(node, &mut requirements, findings));
    }
    if let Some(entry) = fields.entry("filter_state_rules", findings) {
        findings.refused_with_hint(
            entry.place,
            "`filter_state_rules` cannot be carried over: without them, requests would pass unchecked",
            "say with `routes` which requests need a token",
        );
    }
    let bypass_cors_preflight = fields.boolean("bypass_cors_preflight", findings) == Some(true);
    let strip = fields.boolean("strip_failure_response", findings) == Some(true);
    fields.not_carried(
        "stat_prefix",
        "the filter's counters are called `wasmcustom.nexus.…`",
        findings,
    );
    fields.finish(findings);
    let app = App {
        name: "Imported from Envoy".to_owned(),
        slug: "imported".to_owned(),
        hosts: vec!["*".to_owned()],
        gateway_path: "/",
        bypass_cors_preflight,
        route_order: Some("first_match"),
        replies: strip.then_some(Replies { format: "empty" }),
        default_policy: Auth::none().policy(),
        routes: Vec::new(),
    };
    let apps = match per_route.first() {
        None => vec![App {
            routes: routes(&rules, findings),
            ..app
        }],
        Some(first) => per_route::apps(
            &app,
            &rules,
            configurations,
            first,
            &mut requirements,
            findings,
        ),
    };
    Some(Policy {
        providers: requirements.into_used(findings),
        apps,
        unmatched: None,
    })
}

/// Requests, and what they need.
#[derive(Debug, Clone)]
struct Rule {
    place: Place,
    matched: Matched,
    auth: Auth,
}

/// The routes for rules of which the first one decides.
fn routes(rules: &[Rule], findings: &mut Findings) -> Vec<Route> {
    let mut routes: Vec<Route> = Vec::new();
    for rule in rules {
        let route = rule.matched.route(rule.auth.clone().policy());
        if routes.iter().any(|earlier| earlier.hides(&route)) {
            findings.note(
                rule.place,
                "the rule is left out: an earlier one decides for all of its requests",
            );
        } else {
            routes.push(route);
        }
    }
    routes
}

/// Reads a rule.
fn rule(node: &Node, requirements: &mut Requirements, findings: &mut Findings) -> Option<Rule> {
    let fields = Fields::of(node, Spelling::Proto, "rules", findings)?;
    let requirement = match fields.one_of(&["requires", "requirement_name"], findings) {
        None => None,
        Some(("requires", entry)) => requirements.read(&entry.value, findings),
        Some((_, entry)) => requirements.named(&entry.value, findings),
    };
    let matched = match fields.get("match", findings) {
        Some(matched) => matching::read(matched, Of::Rule, findings),
        None => {
            findings.refused(fields.place(), "a rule without `match`");
            None
        }
    };
    fields.finish(findings);
    Some(Rule {
        place: node.place,
        matched: matched?,
        auth: requirement.map_or_else(Auth::none, Auth::jwt),
    })
}
