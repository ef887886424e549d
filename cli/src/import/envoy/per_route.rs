//! What routes of the connection manager say to the filter: `typed_per_filter_config` with a
//! `PerRouteConfig`, which replaces the filter's rules for the requests of that route.
//!
//! So the routes of the connection manager become routes of the policy, in their order, and where one of
//! them says nothing to the filter, the rules for its requests do.

use super::super::fields::{Fields, Spelling};
use super::super::findings::Findings;
use super::super::policy::{App, Auth};
use super::super::yaml::{Entry, Kind, Node, Place};
use super::matching::{self, Matched, Of};
use super::requirement::Requirements;
use super::{PER_ROUTE, Rule, routes, same};

/// The most routes that an app may get so.
const MAX_ROUTES: usize = 1000;

/// Members of virtual hosts and routes that say nothing to the filter.
const OF_BOTH: [&str; 9] = [
    "name",
    "typed_per_filter_config",
    "metadata",
    "request_headers_to_add",
    "request_headers_to_remove",
    "response_headers_to_add",
    "response_headers_to_remove",
    "per_request_buffer_limit_bytes",
    "request_body_buffer_limit",
];
/// Members of virtual hosts.
const OF_HOSTS: [&str; 14] = [
    "domains",
    "routes",
    "require_tls",
    "virtual_clusters",
    "rate_limits",
    "cors",
    "include_request_attempt_count",
    "include_attempt_count_in_response",
    "include_is_timeout_retry_header",
    "retry_policy",
    "retry_policy_typed_config",
    "hedge_policy",
    "request_mirror_policies",
    "matcher",
];
/// Members of routes.
const OF_ROUTES: [&str; 9] = [
    "match",
    "route",
    "redirect",
    "direct_response",
    "filter_action",
    "non_forwarding_action",
    "decorator",
    "tracing",
    "stat_prefix",
];

/// Refuses what is not known of a virtual host or a route, which may be a misspelt list of routes or condition.
fn check_members(node: &Node, what: &str, known: &[&str], findings: &mut Findings) {
    let Some(fields) = Fields::of(node, Spelling::Proto, what, findings) else {
        return;
    };
    for name in OF_BOTH.iter().chain(known) {
        fields.skip(name, findings);
    }
    if let Some(entry) = fields.entry("matcher", findings) {
        findings.refused_with_hint(
            entry.place,
            "a virtual host with `matcher` cannot be carried over",
            "write what it chooses as `routes`",
        );
    }
    fields.finish(findings);
}

/// An app for each virtual host.
pub(super) fn apps(
    app: &App,
    rules: &[Rule],
    configurations: &[&Node],
    first: &Node,
    requirements: &mut Requirements,
    findings: &mut Findings,
) -> Vec<App> {
    let Some((configuration, others)) = configurations.split_first() else {
        findings.refused_with_hint(
            first.place,
            "the route configuration around it is not in the file",
            "give the whole connection manager, with `route_config`",
        );
        return Vec::new();
    };
    if let Some(other) = others.iter().find(|other| !same(configuration, other)) {
        findings.refused_with_hint(
            other.place,
            format!(
                "there is another route configuration that says otherwise, in line {}",
                configuration.place.line
            ),
            "a policy is for one filter: give each connection manager in a file of its own",
        );
        return Vec::new();
    }
    let hosts = configuration
        .field("virtual_hosts")
        .or(configuration.field("virtualHosts"));
    let hosts = hosts.map(Node::children).unwrap_or_default();
    let everywhere = said(configuration, requirements, findings);
    let mut apps = Vec::new();
    for (index, host) in hosts.into_iter().enumerate() {
        check_members(host, "virtual_hosts", &OF_HOSTS, findings);
        let own = said(host, requirements, findings).or(everywhere.clone());
        let rules = host_rules(host, own.as_ref(), rules, requirements, findings);
        apps.push(App {
            slug: match index {
                0 => app.slug.clone(),
                index => format!("{}-{}", app.slug, index + 1),
            },
            hosts: domains(host, findings),
            routes: routes(&rules, findings),
            ..app.clone()
        });
    }
    apps
}

/// The domains of a virtual host, as apps have them.
fn domains(host: &Node, findings: &mut Findings) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::new();
    let listed = host.field("domains").map(Node::children);
    let listed: Vec<(&Node, String)> = listed
        .unwrap_or_default()
        .into_iter()
        .map(|node| (node, node.text().unwrap_or_default().to_ascii_lowercase()))
        .collect();
    for (node, text) in &listed {
        let inner = match text.as_str() {
            "*" => "",
            text => text.strip_prefix("*.").unwrap_or(text),
        };
        let bare = without_port(text);
        if bare.is_some_and(|bare| listed.iter().any(|(_, other)| other == bare)) {
            findings.note(
                node.place,
                format!(
                    "`{text}` is covered by the same host without a port, which is for every port"
                ),
            );
        } else if inner.contains(['*', ':']) {
            findings.refused_with_hint(
                node.place,
                format!("the domain `{text}` cannot be carried over"),
                "a policy knows hosts without port, `*.example.com` and `*`",
            );
        } else if !hosts.contains(text) {
            hosts.push(text.clone());
        }
    }
    hosts
}

/// The host before a port; `None` when there is no port.
fn without_port(domain: &str) -> Option<&str> {
    let (host, port) = domain.rsplit_once(':')?;
    let is_port = !port.starts_with('+') && port.parse::<u16>().is_ok();
    (is_port && !host.contains(':')).then_some(host)
}

/// The rules for the routes of a virtual host, which says `own` to the filter.
fn host_rules(
    host: &Node,
    own: Option<&Auth>,
    rules: &[Rule],
    requirements: &mut Requirements,
    findings: &mut Findings,
) -> Vec<Rule> {
    let mut all: Vec<Rule> = Vec::new();
    let listed = host.field("routes").map(Node::children);
    for route in listed.unwrap_or_default() {
        check_members(route, "routes", &OF_ROUTES, findings);
        let here = said(route, requirements, findings).or(own.cloned());
        report_clusters(route, findings);
        let Some(matched) = route.field("match") else {
            findings.refused(route.place, "a route without `match`");
            continue;
        };
        let Some(matched) = matching::read(matched, Of::Route, findings) else {
            continue;
        };
        match here {
            Some(auth) => all.push(Rule {
                place: route.place,
                matched,
                auth,
            }),
            None => all.extend(by_rules(&matched, route.place, rules, findings)),
        }
        if all.len() > MAX_ROUTES {
            findings.refused(
                host.place,
                format!("the routes would become more than {MAX_ROUTES} routes of an app"),
            );
            break;
        }
    }
    all
}

/// The rules for the requests of a route that says nothing to the filter.
fn by_rules(matched: &Matched, place: Place, rules: &[Rule], findings: &mut Findings) -> Vec<Rule> {
    let mut all = Vec::new();
    for rule in rules {
        match matched.and(&rule.matched) {
            Ok(Some(both)) => {
                let is_whole = both == *matched;
                all.push(Rule {
                    place: rule.place,
                    matched: both,
                    auth: rule.auth.clone(),
                });
                if is_whole {
                    return all;
                }
            }
            Ok(None) => {}
            Err(_) => findings.refused_with_hint(
                place,
                format!(
                    "which requests of this route the rule in line {} is for cannot be told",
                    rule.place.line
                ),
                "regular expressions, and paths without case, cannot be combined: write them as prefixes",
            ),
        }
    }
    all.push(Rule {
        place,
        matched: matched.clone(),
        auth: Auth::none(),
    });
    all
}

/// How the type ends that turns a filter off for a route, or wraps what the route says to it.
const WRAPPER: &str = ".route.v3.FilterConfig";
/// What the filter is usually called.
const NAME: &str = "envoy.filters.http.jwt_authn";

/// What a virtual host, a route or a cluster says to the filter, as it stands.
pub(super) fn config(node: &Node) -> Option<&Node> {
    let configs = node
        .field("typed_per_filter_config")
        .or(node.field("typedPerFilterConfig"))?;
    let entries: &[Entry] = match &configs.kind {
        Kind::Object(entries) => entries,
        _ => &[],
    };
    let is = |config: &Node, kind: &str| {
        let found = config.field("@type").and_then(Node::text);
        found.is_some_and(|found| found.ends_with(kind))
    };
    let found = entries.iter().find(|entry| {
        let wrapped = entry.value.field("config");
        is(&entry.value, PER_ROUTE)
            || is(&entry.value, WRAPPER)
                && (entry.name == NAME || wrapped.is_some_and(|inner| is(inner, PER_ROUTE)))
    });
    found.map(|entry| &entry.value)
}

/// What a virtual host or a route asks for instead of the rules.
fn said(node: &Node, requirements: &mut Requirements, findings: &mut Findings) -> Option<Auth> {
    let mut config = config(node)?;
    let is_off = |config: &Node| config.field("disabled").and_then(Node::text) == Some("true");
    let kind = config.field("@type").and_then(Node::text);
    if kind.is_some_and(|kind| kind.ends_with(WRAPPER)) {
        let fields = Fields::of(config, Spelling::Proto, "FilterConfig", findings)?;
        for name in ["@type", "disabled", "is_optional"] {
            fields.skip(name, findings);
        }
        let inner = fields.get("config", findings);
        fields.finish(findings);
        if is_off(config) {
            return Some(Auth::none());
        }
        config = inner?;
    }
    let fields = Fields::of(config, Spelling::Proto, "PerRouteConfig", findings)?;
    fields.skip("@type", findings);
    let disabled = fields.boolean("disabled", findings) == Some(true);
    let name = fields.entry("requirement_name", findings);
    fields.finish(findings);
    match name {
        _ if disabled => Some(Auth::none()),
        Some(entry) => {
            let requirement = requirements.named(&entry.value, findings);
            Some(requirement.map_or_else(Auth::none, Auth::jwt))
        }
        None => None,
    }
}

/// Refuses what only some of the requests of a route would be for.
fn report_clusters(route: &Node, findings: &mut Findings) {
    let action = route.field("route");
    let weighted = action.and_then(|action| {
        action
            .field("weighted_clusters")
            .or(action.field("weightedClusters"))
    });
    let mut open: Vec<&Node> = weighted.into_iter().collect();
    while let Some(node) = open.pop() {
        if let Some(config) = config(node) {
            findings.refused(
                config.place,
                "what a weighted cluster says to `jwt_authn` cannot be carried over",
            );
        }
        open.extend(node.children());
    }
}
