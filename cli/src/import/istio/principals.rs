//! What rules ask of a token: its principal, and conditions on its claims.

use super::super::access::{Conditions, Providers, Way};
use super::super::fields::{Fields, Spelling};
use super::super::findings::Findings;
use super::super::policy::{Claim, ClaimTest, RequiredClaim, Test, TextMatch};
use super::super::yaml::{Node, Place};

/// The request principals of a source; `None` when it names none.
pub(super) fn principals(node: &Node, findings: &mut Findings) -> Option<Vec<(String, Place)>> {
    let fields = Fields::of(node, Spelling::Camel, "from", findings)?;
    let source = fields.get("source", findings);
    fields.finish(findings);
    let Some(source) = source.filter(|it| it.says_something()) else {
        findings.refused(
            node.place,
            "`from` without anything in `source` is not valid",
        );
        return None;
    };
    let fields = Fields::of(source, Spelling::Camel, "source", findings)?;
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
pub(super) fn principal_ways(
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
pub(super) fn condition_ways(node: &Node, findings: &mut Findings) -> Option<Vec<Conditions>> {
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
