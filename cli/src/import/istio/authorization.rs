//! `AuthorizationPolicy`: which verified tokens may do what.
//!
//! A request passes Istio when no `DENY` rule matches it and, where there are `ALLOW` policies, any rule of
//! any of them does. In a policy of Nexus one route decides. So each operation that rules name becomes a
//! route, the narrower before the wider, and asks for what any of the rules asks for that hold for it.

use super::super::access::{Conditions, MAX_WAYS, Providers, Way, all_of};
use super::super::fields::{Fields, Spelling};
use super::super::findings::Findings;
use super::super::kubernetes::Resource;
use super::super::policy::{Auth, Claim, ClaimTest, RequiredClaim, Route, Test, TextMatch};
use super::super::yaml::{Node, Place};
use super::paths::Pattern;

/// The most operations that policies may become.
const MAX_OPERATIONS: usize = 500;

/// A host, a method and a path. Empty for any.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Operation {
    host: Option<String>,
    method: Option<String>,
    path: Pattern,
}

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
            Some(other) => findings.note(
                resource.place,
                format!(
                    "the AuthorizationPolicy `{}` stays with Istio: `{other}` says nothing about JWTs",
                    resource.label()
                ),
            ),
        }
        spec.skip("provider", findings);
        spec.finish(findings);
    }
    rules
}

impl Rules {
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

/// Whether every host of the other is one of this; `None` is every host, `*.x` every host below `x`.
fn host_holds(one: Option<&str>, other: Option<&str>) -> bool {
    match (one, other) {
        (None, _) => true,
        (Some(one), Some(other)) => {
            one == other
                || one
                    .strip_prefix('*')
                    .is_some_and(|suffix| other.trim_start_matches('*').ends_with(suffix))
        }
        (Some(_), None) => false,
    }
}

impl Operation {
    fn holds(&self, other: &Self) -> bool {
        host_holds(self.host.as_deref(), other.host.as_deref())
            && (self.method.is_none() || self.method == other.method)
            && self.path.holds(&other.path)
    }

    fn is_apart_from(&self, other: &Self) -> bool {
        let differ = |one: &Option<String>, other: &Option<String>| {
            one.is_some() && other.is_some() && one != other
        };
        differ(&self.method, &other.method) || self.path.is_apart_from(&other.path)
    }

    fn label(&self) -> String {
        let path = match &self.path {
            Pattern::Exact(text) => text.clone(),
            Pattern::Prefix(text) => format!("{text}*"),
            Pattern::Suffix(text) => format!("*{text}"),
            Pattern::All => "*".to_owned(),
        };
        let method = self.method.as_deref().unwrap_or("any method");
        format!("`{method} {path}`")
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
                super::super::yaml::Kind::Object(entries) => {
                    entries.iter().map(|entry| entry.name.as_str()).collect()
                }
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

/// What `to` names; any request where it names nothing.
fn operations(fields: &Fields<'_>, findings: &mut Findings) -> Vec<Operation> {
    let mut operations = Vec::new();
    for node in fields.list("to", findings) {
        let Some(operation) = node.field("operation") else {
            continue;
        };
        let Some(fields) = Fields::of(operation, Spelling::Camel, "operation", findings) else {
            continue;
        };
        for name in ["ports", "notHosts", "notPorts", "notMethods", "notPaths"] {
            if let Some(entry) = fields.entry(name, findings) {
                findings.refused_with_hint(
                    entry.place,
                    format!("`{name}` cannot be carried over: a policy says which requests, not which not"),
                    "name the paths, methods and hosts that the rule is for",
                );
            }
        }
        let any = |texts: Vec<String>| match texts.is_empty() {
            true => vec![None],
            false => texts.into_iter().map(Some).collect(),
        };
        let hosts = any(host_names(&fields, findings));
        let methods = any(fields
            .texts("methods", findings)
            .into_iter()
            .filter(|method| method != "*")
            .collect());
        let mut paths = Vec::new();
        for node in fields.list("paths", findings) {
            match Pattern::parse(node.text().unwrap_or_default()) {
                Some(pattern) => paths.push(pattern),
                None => findings.refused_with_hint(
                    node.place,
                    format!(
                        "the path template `{}` cannot be carried over",
                        node.text().unwrap_or_default()
                    ),
                    "write it as a prefix, or add a route with `path_regex` to the policy",
                ),
            }
        }
        if paths.is_empty() {
            paths.push(Pattern::All);
        }
        fields.finish(findings);
        for host in &hosts {
            for method in &methods {
                for path in &paths {
                    operations.push(Operation {
                        host: host.clone(),
                        method: method.clone(),
                        path: path.clone(),
                    });
                }
            }
        }
    }
    if operations.is_empty() {
        operations.push(Operation {
            host: None,
            method: None,
            path: Pattern::All,
        });
    }
    operations
}

/// Hosts as apps have them: without a port, `*.` at the beginning.
fn host_names(fields: &Fields<'_>, findings: &mut Findings) -> Vec<String> {
    let mut hosts = Vec::new();
    for node in fields.list("hosts", findings) {
        let text = node.text().unwrap_or_default();
        // `a.example.com` and `a.example.com:*` are the usual pair.
        let host = text.strip_suffix(":*").unwrap_or(text);
        if host == "*" {
            continue;
        }
        let inner = host.strip_prefix("*.").unwrap_or(host);
        if inner.contains(['*', ':']) {
            findings.refused_with_hint(
                node.place,
                format!("the host `{text}` cannot be carried over"),
                "a policy knows hosts without port, and `*.example.com`",
            );
            continue;
        }
        let host = host.to_ascii_lowercase();
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

/// The request principals of a source; `None` when it names none.
fn principals(node: &Node, findings: &mut Findings) -> Option<Vec<(String, Place)>> {
    let fields = Fields::of(node, Spelling::Camel, "from", findings)?;
    let source = fields.get("source", findings);
    fields.finish(findings);
    let fields = Fields::of(source?, Spelling::Camel, "source", findings)?;
    let listed: Vec<(String, Place)> = fields
        .list("requestPrincipals", findings)
        .into_iter()
        .map(|node| (node.text().unwrap_or_default().to_owned(), node.place))
        .collect();
    if let Some(entry) = fields.entry("notRequestPrincipals", findings) {
        findings.refused_with_hint(
            entry.place,
            "`notRequestPrincipals` cannot be carried over: a policy says who may pass",
            "name the principals that may",
        );
    }
    for name in [
        "principals",
        "notPrincipals",
        "namespaces",
        "notNamespaces",
        "ipBlocks",
        "notIpBlocks",
        "remoteIpBlocks",
        "notRemoteIpBlocks",
        "serviceAccounts",
        "notServiceAccounts",
    ] {
        if let Some(entry) = fields.entry(name, findings) {
            findings.refused_with_hint(
                entry.place,
                format!("`{name}` cannot be carried over: without it, more requests would pass"),
                "keep it in an AuthorizationPolicy of its own, which Istio goes on enforcing",
            );
        }
    }
    fields.finish(findings);
    (!listed.is_empty()).then_some(listed)
}

/// The ways in which a request can have a principal: `ISSUER/SUBJECT`, with `*` at one end.
fn principal_ways(
    principal: &str,
    place: Place,
    providers: &Providers,
    findings: &mut Findings,
) -> Vec<Way> {
    let mut ways = Vec::new();
    for (provider, (_, known)) in providers.all.iter().enumerate() {
        let Some(issuer) = &known.issuer else {
            if principal == "*" {
                ways.push(way(provider, Vec::new()));
            } else {
                findings.refused(
                    place,
                    "a principal of a rule without `issuer` cannot be carried over",
                );
            }
            continue;
        };
        let above = format!("{issuer}/");
        let subjects = match (principal.strip_prefix('*'), principal.strip_suffix('*')) {
            (Some(""), _) => Some(Vec::new()),
            (Some(suffix), None) => suffix_subjects(suffix, &above),
            (None, Some(prefix)) => {
                if above.starts_with(prefix) {
                    Some(Vec::new())
                } else {
                    prefix
                        .strip_prefix(&above)
                        .map(|start| vec![Test::Prefix(start.to_owned())])
                }
            }
            _ => principal
                .strip_prefix(&above)
                .map(|subject| vec![Test::Exact(subject.to_owned())]),
        };
        ways.extend(subjects.map(|subjects| way(provider, subjects)));
    }
    if ways.is_empty() {
        findings.not_carried(
            place,
            format!("the principal `{principal}` is of no issuer in the files"),
            "nobody can have it; give the RequestAuthentication of its issuer, too",
        );
    }
    ways
}

/// What a subject is, if `ISSUER/SUBJECT` ends so.
fn suffix_subjects(suffix: &str, above: &str) -> Option<Vec<Test>> {
    let mut tests = vec![Test::Suffix(suffix.to_owned())];
    // The slash before the subject may be the first character of the suffix.
    for (at, _) in suffix.match_indices('/') {
        let (start, subject) = suffix.split_at(at + 1);
        if above.ends_with(start) {
            if subject.is_empty() {
                return Some(Vec::new());
            }
            tests.push(Test::Exact(subject.to_owned()));
        }
    }
    Some(tests)
}

fn way(provider: usize, subjects: Vec<Test>) -> Way {
    let subjects = subjects.into_iter().map(|test| TextMatch {
        test,
        ignore_case: false,
    });
    Way {
        provider,
        conditions: Conditions {
            subjects: subjects.collect(),
            ..Conditions::default()
        },
    }
}

/// The ways in which a condition of `when` can hold.
fn condition_ways(node: &Node, findings: &mut Findings) -> Option<Vec<Conditions>> {
    let fields = Fields::of(node, Spelling::Camel, "when", findings)?;
    let key = fields.text("key", findings).unwrap_or_default();
    let values = fields.texts("values", findings);
    if let Some(entry) = fields.entry("notValues", findings) {
        findings.refused_with_hint(
            entry.place,
            "`notValues` cannot be carried over: a policy says who may pass",
            "name the values that may",
        );
    }
    fields.finish(findings);
    let path = match key.as_str() {
        "request.auth.audiences" => vec!["aud".to_owned()],
        "request.auth.presenter" => vec!["azp".to_owned()],
        key => match claim_path(key) {
            Some(path) => path,
            None => {
                findings.refused_with_hint(
                    node.place,
                    format!("the condition on `{key}` cannot be carried over: without it, more requests would pass"),
                    "keep it in an AuthorizationPolicy of its own, which Istio goes on enforcing",
                );
                return None;
            }
        },
    };
    Some(value_ways(&Claim::of_path(path), values))
}

/// A claim is right when it is one of the values, or a list that holds one; `*` at one end stands for anything.
fn value_ways(claim: &Claim, values: Vec<String>) -> Vec<Conditions> {
    let mut whole = Vec::new();
    let mut tests = Vec::new();
    for value in values {
        let part = match (value.strip_prefix('*'), value.strip_suffix('*')) {
            (Some(""), _) => {
                tests.push(ClaimTest::Present);
                continue;
            }
            (Some(suffix), None) => Test::Suffix(suffix.to_owned()),
            (_, Some(prefix)) => Test::Prefix(prefix.to_owned()),
            (None, None) => {
                whole.push(value);
                continue;
            }
        };
        tests.push(ClaimTest::Matches(TextMatch {
            test: part,
            ignore_case: false,
        }));
    }
    if !whole.is_empty() {
        tests.insert(0, ClaimTest::OneOf(whole));
    }
    let ways = tests.into_iter().map(|test| Conditions {
        claims: vec![RequiredClaim {
            claim: claim.clone(),
            test,
        }],
        ..Conditions::default()
    });
    ways.collect()
}

/// `request.auth.claims[a][b]`.
fn claim_path(key: &str) -> Option<Vec<String>> {
    let mut rest = key.strip_prefix("request.auth.claims")?;
    let mut path = Vec::new();
    while !rest.is_empty() {
        let (name, behind) = rest.strip_prefix('[')?.split_once(']')?;
        if name.is_empty() {
            return None;
        }
        path.push(name.to_owned());
        rest = behind;
    }
    (!path.is_empty()).then_some(path)
}
