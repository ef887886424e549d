//! `AuthorizationPolicy`: which verified tokens may do what.
//!
//! A request passes Istio when no `DENY` rule matches it and, where there are `ALLOW` policies, any rule of
//! any of them does. In a policy of Nexus one route decides. So each operation that rules name becomes a
//! route, the narrower before the wider, and asks for what any of the rules asks for that hold for it.

use super::super::access::{Conditions, MAX_WAYS, Providers, Way, all_of};
use super::super::fields::{Fields, Spelling};
use super::super::findings::Findings;
use super::super::kubernetes::Resource;
use super::super::policy::{Auth, Route};
use super::super::yaml::{Kind, Node, Place};
use super::operations::{Operation, host_holds, operations};
use super::paths::Pattern;
use super::principals::{condition_ways, principal_ways, principals};

/// The most operations that policies may become.
const MAX_OPERATIONS: usize = 500;

/// What a rule asks for.
#[derive(Debug, Clone)]
enum Asked {
    /// Nothing: everybody may pass.
    Nothing,
    /// A token, in any of these ways.
    Token(Vec<Way>),
}

struct Rule {
    place: Place,
    operations: Vec<Operation>,
    asked: Asked,
}

/// What the policies say.
#[derive(Default)]
pub(super) struct Rules {
    allow: Vec<Rule>,
    has_allow: bool,
    /// Operations that need a token: `DENY` for requests without a principal.
    need_token: Vec<(Operation, Place)>,
}

/// An app: its hosts, what holds where no route matches, its routes.
type Parts = (Vec<String>, Auth, Vec<Route>);

/// Reads the policies.
pub(super) fn read<'r>(
    policies: impl Iterator<Item = &'r Resource<'r>>,
    providers: &Providers,
    findings: &mut Findings,
) -> Rules {
    let mut rules = Rules::default();
    for resource in policies {
        let Some(spec) = resource.spec(findings) else {
            continue;
        };
        for name in ["selector", "targetRef", "targetRefs"] {
            spec.skip(name, findings);
        }
        let action = spec.text("action", findings);
        let listed = spec.list("rules", findings);
        match action.as_deref() {
            None | Some("ALLOW") => {
                rules.has_allow = true;
                for rule in listed {
                    rules.allow.extend(allow_rule(rule, providers, findings));
                }
            }
            Some("DENY") => {
                for rule in listed {
                    rules.need_token.extend(deny_rule(rule, findings));
                }
            }
            Some(other @ ("AUDIT" | "CUSTOM")) => findings.note(
                resource.place,
                format!(
                    "the AuthorizationPolicy `{}` stays with Istio: `{other}` says nothing about JWTs",
                    resource.label()
                ),
            ),
            Some(other) => findings.refused(
                resource.place,
                format!("`action` `{other}` is not known here"),
            ),
        }
        spec.skip("provider", findings);
        spec.finish(findings);
    }
    rules
}

impl Rules {
    /// Whether everything passes that `RequestAuthentication` lets pass.
    pub(super) fn is_empty(&self) -> bool {
        !self.has_allow && self.need_token.is_empty()
    }

    /// The apps that say the same.
    pub(super) fn apps(
        &self,
        providers: &mut Providers,
        open: &[Way],
        findings: &mut Findings,
    ) -> Vec<Parts> {
        let mut operations: Vec<Operation> = self
            .allow
            .iter()
            .flat_map(|rule| rule.operations.clone())
            .chain(
                self.need_token
                    .iter()
                    .map(|(operation, _)| operation.clone()),
            )
            .collect();
        operations.sort();
        operations.dedup();
        let mut hosts: Vec<Option<String>> = operations.iter().map(|it| it.host.clone()).collect();
        hosts.push(None);
        hosts.sort();
        hosts.dedup();
        // Named hosts before all others.
        hosts.reverse();
        hosts
            .into_iter()
            .filter_map(|host| self.app(host, &operations, providers, open, findings))
            .collect()
    }

    fn place(&self) -> Place {
        let allow = self.allow.first().map(|rule| rule.place);
        let deny = self.need_token.first().map(|(_, place)| *place);
        allow.or(deny).unwrap_or(Place { file: 0, line: 1 })
    }

    /// The operations of a host, with one for the requests of each two that overlap. Two that overlap in
    /// their paths alone, a prefix and a suffix, cannot be told apart, which is reported.
    fn completed(
        &self,
        mut own: Vec<Operation>,
        findings: &mut Findings,
    ) -> Option<Vec<Operation>> {
        let mut at = 0;
        while let Some(one) = own.get(at).cloned() {
            at += 1;
            for other in own.clone() {
                if one.is_apart_from(&other) || one.holds(&other) || other.holds(&one) {
                    continue;
                }
                let path = if one.path.holds(&other.path) {
                    other.path.clone()
                } else if other.path.holds(&one.path) {
                    one.path.clone()
                } else {
                    findings.refused_with_hint(
                        self.place(),
                        format!(
                            "the rules for {} and {} are for some of the same requests",
                            one.label(),
                            other.label()
                        ),
                        "name no `*/suffix` beside a prefix",
                    );
                    return None;
                };
                let both = Operation {
                    host: one.host.clone(),
                    method: one.method.clone().or(other.method.clone()),
                    path,
                };
                if !own.contains(&both) {
                    own.push(both);
                }
                if own.len() > MAX_OPERATIONS {
                    let message = format!("the rules name more than {MAX_OPERATIONS} operations");
                    findings.refused(self.place(), message);
                    return None;
                }
            }
        }
        Some(own)
    }

    fn app(
        &self,
        host: Option<String>,
        operations: &[Operation],
        providers: &mut Providers,
        open: &[Way],
        findings: &mut Findings,
    ) -> Option<Parts> {
        let mut own: Vec<Operation> = operations
            .iter()
            .filter(|it| host_holds(it.host.as_deref(), host.as_deref()))
            .map(|it| Operation {
                host: host.clone(),
                ..it.clone()
            })
            .collect();
        own.sort();
        own.dedup();
        let mut own = self.completed(own, findings)?;
        // What holds another one comes after it.
        let all = own.clone();
        own.sort_by_cached_key(|one| {
            let held = all.iter().filter(|other| one.holds(other)).count();
            (held, one.path.clone(), one.method.clone())
        });
        let everything = Operation {
            host: host.clone(),
            method: None,
            path: Pattern::All,
        };
        let default = self.auth(&everything, providers, open);
        let mut routes: Vec<Route> = Vec::new();
        for operation in own.into_iter().filter(|it| *it != everything) {
            let auth = self.auth(&operation, providers, open);
            let path = operation.path.path();
            let methods: Vec<String> = operation.method.into_iter().collect();
            match routes.last_mut() {
                // Methods of one path that need the same are one route.
                Some(last)
                    if last.path == path
                        && last.policy.auth == auth
                        && !last.methods.is_empty()
                        && !methods.is_empty() =>
                {
                    last.methods.extend(methods);
                }
                _ => routes.push(Route {
                    path,
                    methods,
                    headers: Vec::new(),
                    query: Vec::new(),
                    policy: auth.policy(),
                }),
            }
        }
        Some((
            vec![host.unwrap_or_else(|| "*".to_owned())],
            default,
            routes,
        ))
    }

    /// What is asked for an operation.
    fn auth(&self, operation: &Operation, providers: &mut Providers, open: &[Way]) -> Auth {
        let needed = self
            .need_token
            .iter()
            .any(|(needed, _)| needed.holds(operation));
        if !self.has_allow {
            return providers.auth(open, !needed);
        }
        let mut ways = Vec::new();
        let mut everybody = false;
        let holding = self.allow.iter().filter(|rule| {
            let mut operations = rule.operations.iter();
            operations.any(|it| it.holds(operation))
        });
        let mut any = false;
        for rule in holding {
            any = true;
            match &rule.asked {
                Asked::Nothing => everybody = true,
                Asked::Token(more) => ways.extend(more.clone()),
            }
        }
        match (any, everybody) {
            (false, _) => providers.nobody(),
            (true, true) => providers.auth(open, !needed),
            (true, false) if ways.is_empty() => providers.nobody(),
            (true, false) => providers.auth(&ways, false),
        }
    }
}

/// A rule of an `ALLOW` policy.
fn allow_rule(node: &Node, providers: &Providers, findings: &mut Findings) -> Option<Rule> {
    let fields = Fields::of(node, Spelling::Camel, "rules", findings)?;
    let operations = operations(&fields, findings);
    let from = fields.list("from", findings);
    let mut all: Vec<Way> = Vec::new();
    let mut asks_for_principal = false;
    for source in &from {
        let Some(principals) = principals(source, findings) else {
            continue;
        };
        asks_for_principal = true;
        for (principal, place) in principals {
            all.extend(principal_ways(&principal, place, providers, findings));
        }
    }
    let mut alternatives = Vec::new();
    for condition in fields.list("when", findings) {
        alternatives.push(condition_ways(condition, findings).unwrap_or_default());
    }
    fields.finish(findings);
    if !asks_for_principal && alternatives.is_empty() {
        return Some(Rule {
            place: node.place,
            operations,
            asked: Asked::Nothing,
        });
    }
    if !asks_for_principal {
        all = (0..providers.all.len())
            .map(|provider| Way {
                provider,
                conditions: Conditions::default(),
            })
            .collect();
    }
    let mut ways = Vec::new();
    for way in all {
        let mut parts = alternatives.clone();
        parts.insert(0, vec![way.conditions.clone()]);
        match all_of(&parts) {
            Some(more) => ways.extend(more.into_iter().map(|conditions| Way {
                provider: way.provider,
                conditions,
            })),
            None => findings.refused(
                node.place,
                format!("the conditions can be right in more than {MAX_WAYS} ways, or ask twice for one thing"),
            ),
        }
    }
    Some(Rule {
        place: node.place,
        operations,
        asked: Asked::Token(ways),
    })
}

/// A rule of a `DENY` policy: only that a token is needed can be said.
fn deny_rule(node: &Node, findings: &mut Findings) -> Vec<(Operation, Place)> {
    let Some(fields) = Fields::of(node, Spelling::Camel, "rules", findings) else {
        return Vec::new();
    };
    let operations = operations(&fields, findings);
    let from = fields.list("from", findings);
    let when = fields.list("when", findings);
    fields.finish(findings);
    let without_token = |source: &&Node| {
        let source = source.field("source");
        let names: Vec<&str> = source
            .map(|source| match &source.kind {
                Kind::Object(entries) => entries.iter().map(|entry| entry.name.as_str()).collect(),
                _ => Vec::new(),
            })
            .unwrap_or_default();
        let listed = source.and_then(|source| source.field("notRequestPrincipals"));
        let texts: Vec<&str> = listed
            .map(Node::children)
            .unwrap_or_default()
            .into_iter()
            .filter_map(Node::text)
            .collect();
        names == ["notRequestPrincipals"] && texts == ["*"]
    };
    if from.len() == 1 && from.iter().all(without_token) && when.is_empty() {
        return operations.into_iter().map(|it| (it, node.place)).collect();
    }
    let about_tokens = |node: &&Node| {
        let mut open = vec![*node];
        while let Some(node) = open.pop() {
            let is = node
                .text()
                .is_some_and(|text| text.starts_with("request.auth."))
                || ["requestPrincipals", "notRequestPrincipals"]
                    .iter()
                    .any(|name| node.field(name).is_some());
            if is {
                return true;
            }
            open.extend(node.children());
        }
        false
    };
    if from.iter().any(about_tokens) || when.iter().any(about_tokens) {
        findings.refused_with_hint(
            node.place,
            "this `DENY` rule cannot be carried over: a policy says who may pass",
            "only `notRequestPrincipals: [\"*\"]`, which asks for a token, has a counterpart; write the rest as `ALLOW`",
        );
    } else {
        findings.note(
            node.place,
            "this `DENY` rule stays with Istio: it says nothing about JWTs",
        );
    }
    Vec::new()
}
