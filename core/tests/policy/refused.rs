//! Policies that are refused, or taken with a warning, and every word that is said about them.
//!
//! The cases stand in `refused/*.txt`: a line `### KIND: TITLE`, the policy or the part of one that `KIND`
//! says, a line `---`, and what is said. With `NEXUS_UPDATE_EXPECTED=1` the files are written anew, for
//! review; otherwise every difference is a failure.

use std::fmt::Write as _;
use std::path::Path;

use crate::{said, with_app, with_auth, with_provider, with_route};

struct Case<'t> {
    kind: &'t str,
    title: &'t str,
    policy: &'t str,
    expected: &'t str,
}

fn cases(text: &str) -> Vec<Case<'_>> {
    text.split("### ")
        .skip(1)
        .map(|case| {
            let (heading, rest) = case.split_once('\n').expect(case);
            let (kind, title) = heading.split_once(": ").expect(heading);
            let (policy, expected) = rest.split_once("\n---\n").expect(heading);
            Case {
                kind,
                title,
                policy,
                expected,
            }
        })
        .collect()
}

fn document(case: &Case<'_>) -> String {
    match case.kind {
        "document" => case.policy.to_owned(),
        "app" => with_app(case.policy),
        "auth" => with_auth(case.policy),
        "provider" => with_provider(case.policy),
        "route" => with_route(case.policy),
        "replies" => with_app(&format!(
            "\"slug\":\"a\",\"hosts\":[\"a.test\"],\"gateway_path\":\"/a\",\"replies\":{{\n{}\n}}",
            case.policy
        )),
        other => panic!("{other}: no such kind of case"),
    }
}

fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/policy/refused")
        .join(name);
    let text = std::fs::read_to_string(&path).expect(name);
    let mut written = String::new();
    let mut differences = String::new();
    let cases = cases(&text);
    assert!(!cases.is_empty(), "{name} has no case");
    for case in &cases {
        let said = said(document(case).as_bytes());
        let Case {
            kind,
            title,
            policy,
            expected,
        } = case;
        write!(written, "### {kind}: {title}\n{policy}\n---\n{said}\n").unwrap();
        if said.trim_end() != expected.trim_end() {
            write!(
                differences,
                "\n### {kind}: {title}\n--- expected\n{expected}--- said\n{said}"
            )
            .unwrap();
        }
    }
    if std::env::var_os("NEXUS_UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, written).expect(name);
    }
    assert!(differences.is_empty(), "{name}: {differences}");
}

#[test]
fn what_is_passed_on() {
    check("forward.txt");
}

#[test]
fn texts_that_are_not_json() {
    check("syntax.txt");
}

#[test]
fn structures_that_do_not_fit() {
    check("structure.txt");
}

#[test]
fn apps_and_routes() {
    check("apps.txt");
}

#[test]
fn sources_of_keys() {
    check("keys.txt");
}

#[test]
fn requirements_are_refused_in_the_author_s_words() {
    check("requirement.txt");
}

#[test]
fn replies_to_requests_that_are_refused() {
    check("replies.txt");
}

#[test]
fn claims_and_scopes() {
    check("claims.txt");
}

#[test]
fn tokens_and_claims() {
    check("auth.txt");
}

#[test]
fn places_of_tokens() {
    check("token_sources.txt");
}

#[test]
fn conditions_and_orders_of_routes() {
    check("routes.txt");
}

#[test]
fn what_is_fetched_and_what_is_revoked() {
    check("fetching.txt");
}

#[test]
fn senders_of_tokens() {
    check("possession.txt");
}
