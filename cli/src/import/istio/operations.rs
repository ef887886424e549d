//! What rules are for: hosts, methods and paths.

use super::super::fields::{Fields, Spelling};
use super::super::findings::Findings;
use super::paths::Pattern;

/// A host, a method and a path. Empty for any.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Operation {
    pub(super) host: Option<String>,
    pub(super) method: Option<String>,
    pub(super) path: Pattern,
}

/// Whether every host of the other is one of this; `None` is every host, `*.x` every host below `x`.
pub(super) fn host_holds(one: Option<&str>, other: Option<&str>) -> bool {
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
    pub(super) fn holds(&self, other: &Self) -> bool {
        host_holds(self.host.as_deref(), other.host.as_deref())
            && (self.method.is_none() || self.method == other.method)
            && self.path.holds(&other.path)
    }

    pub(super) fn is_apart_from(&self, other: &Self) -> bool {
        let differ = |one: &Option<String>, other: &Option<String>| {
            one.is_some() && other.is_some() && one != other
        };
        differ(&self.method, &other.method) || self.path.is_apart_from(&other.path)
    }

    pub(super) fn label(&self) -> String {
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

/// What `to` names; any request where it names nothing.
pub(super) fn operations(fields: &Fields<'_>, findings: &mut Findings) -> Vec<Operation> {
    let mut operations = Vec::new();
    for node in fields.list("to", findings) {
        let Some(to) = Fields::of(node, Spelling::Camel, "to", findings) else {
            continue;
        };
        let operation = to.get("operation", findings);
        to.finish(findings);
        let Some(operation) = operation.filter(|it| it.says_something()) else {
            findings.refused(
                node.place,
                "`to` without anything in `operation` is not valid",
            );
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
        let any = |texts: Vec<String>| match texts.is_empty() || texts.iter().any(|it| it == "*") {
            true => vec![None],
            false => texts.into_iter().map(Some).collect(),
        };
        let hosts = any(host_names(&fields, findings));
        let methods = any(fields.texts("methods", findings));
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

/// Hosts as apps have them: without a port, `*.` at the beginning or `*`.
fn host_names(fields: &Fields<'_>, findings: &mut Findings) -> Vec<String> {
    let mut hosts = Vec::new();
    for node in fields.list("hosts", findings) {
        let text = node.text().unwrap_or_default();
        // `a.example.com` and `a.example.com:*` are the usual pair.
        let host = text.strip_suffix(":*").unwrap_or(text);
        let inner = match host {
            "*" => "",
            host => host.strip_prefix("*.").unwrap_or(host),
        };
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
