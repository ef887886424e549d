//! What holds for every text.

use std::sync::LazyLock;

use jsonschema::Validator;
use nexus_core::policy::{Code, CompileOptions, Diagnostics, Source, compile, schema};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

use crate::{EC_SET, read};

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema = serde_json::from_str(&schema()).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
});

/// Compiles a text, and checks what has to hold of every outcome.
fn check(text: &[u8]) -> Result<(), TestCaseError> {
    match compile(text, &CompileOptions::default(), &mut read) {
        Ok(compiled) => {
            let document: Value = serde_json::from_slice(text).unwrap();
            prop_assert!(
                SCHEMA.is_valid(&document),
                "compiled against the schema: {document}"
            );
            let again = compile(text, &CompileOptions::default(), &mut read).unwrap();
            prop_assert_eq!(compiled.json, again.json);
            Ok(())
        }
        Err(found) => check_findings(text, &found),
    }
}

fn check_findings(text: &[u8], found: &Diagnostics) -> Result<(), TestCaseError> {
    prop_assert!(!found.errors.is_empty());
    let source = Source::new("policy.json", text);
    for finding in found.errors.iter().chain(&found.warnings) {
        prop_assert_ne!(finding.code, Code::Internal, "{}", finding);
        prop_assert!(
            finding.span.start <= finding.span.end && finding.span.end <= text.len().max(1),
            "{:?}",
            finding
        );
        prop_assert!(!finding.message.ends_with('.'));
        let shown = source.report(finding).to_string();
        let odd = shown
            .chars()
            .find(|character| *character != '\n' && character.is_control());
        prop_assert_eq!(odd, None, "{}", shown);
        prop_assert!(
            shown.lines().all(|line| line.chars().count() < 1_000),
            "{}",
            shown
        );
    }
    Ok(())
}

const NAMES: [&str; 57] = [
    "apps",
    "providers",
    "unmatched",
    "name",
    "slug",
    "hosts",
    "gateway_path",
    "routing_mode",
    "default_policy",
    "routes",
    "path",
    "methods",
    "policy",
    "auth",
    "auth_type",
    "required",
    "required_claims",
    "forward_claims_as_headers",
    "forward_token",
    "issuer",
    "audience",
    "audiences",
    "preset",
    "tenant",
    "host",
    "realm",
    "jwks_url",
    "jwks_cluster",
    "jwks_timeout_ms",
    "jwks_cache_ttl_secs",
    "jwks_max_stale_secs",
    "jwks",
    "jwks_file",
    "public_key",
    "public_key_file",
    "jwt_secret_env",
    "jwt_public_key_env",
    "algorithms",
    "clock_skew_secs",
    "require_expiration",
    "idp",
    "isuer",
    "keys",
    "$schema",
    "issuers",
    "issuer_pattern",
    "subjects",
    "max_lifetime_secs",
    "token_types",
    "profile",
    "required_scopes",
    "any_scope",
    "claim",
    "equals",
    "one_of",
    "contains",
    "matches",
];

const WORDS: [&str; 34] = [
    "a",
    "idp",
    "other",
    "/",
    "/a",
    "/a/",
    "/x/*",
    "/*",
    "GET",
    "jwt",
    "none",
    "RS256",
    "HS256",
    "ES256",
    "auth0",
    "google",
    "keycloak",
    "pass_through",
    "deny",
    "https://example.com/jwks",
    "http://example.com",
    "sub",
    "X-User-Id",
    "x_user_id",
    "*",
    "*.example.com",
    "ec.json",
    "rsa.pem",
    "JWT_SECRET",
    "\u{202e}\u{0}",
    "rfc9068",
    "https://*.example.com",
    "at+jwt",
    "a b",
];

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        select(&WORDS[..]).prop_map(Value::from),
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0_u64..100_000).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(serde_json::from_str(EC_SET).unwrap()),
    ]
}

fn tree() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(6, 64, 8, |inner| {
        let name =
            prop_oneof![20 => select(&NAMES[..]).prop_map(String::from), 1 => any::<String>()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((name, inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A policy with something of everything.
fn policy() -> Value {
    json!({
        "unmatched": "allow",
        "providers": {
            "idp": {"issuer": "i", "audience": "a", "jwks_url": "https://example.com/jwks", "jwks_timeout_ms": 1,
                "jwks_cache_ttl_secs": 1, "jwks_max_stale_secs": 0, "jwks_cluster": "c", "algorithms": ["RS256"]},
            "other": {"preset": "keycloak", "host": "h", "realm": "r", "audiences": ["a"], "clock_skew_secs": 0},
            "third": {"jwks_file": "ec.json", "issuer_pattern": "https://*.example.com", "profile": "rfc9068", "audience": "a",
                "subjects": ["a", {"prefix": "b", "ignore_case": true}], "max_lifetime_secs": 60, "any_scope": ["a", "b"],
                "required_claims": [{"claim": ["a", "b"], "one_of": ["x", 1.5, true]}, {"claim": "c", "matches": {"suffix": "d"}}]},
            "fourth": {"jwks_file": "ec.json", "issuers": ["a", "b"], "token_types": ["JWT", "at+jwt"]}
        },
        "apps": [
            {"name": "n", "slug": "a", "hosts": ["*.example.com"], "gateway_path": "/a", "routing_mode": "pass_through",
             "default_policy": {"auth": {"auth_type": "jwt", "providers": ["idp", "other"], "required": false,
                "required_claims": ["sub"], "forward_claims_as_headers": {"sub": "X-User-Id"}, "forward_token": true}},
             "routes": [
                {"path": "/x/*", "methods": ["GET"], "policy": {"auth": {"auth_type": "none"}}},
                {"path": "/x", "policy": {"auth": {"auth_type": "jwt", "public_key_file": "rsa.pem"}}}
             ]},
            {"slug": "c", "gateway_path": "/c", "default_policy": {"auth": {"auth_type": "jwt", "providers": ["third", "fourth"],
                "required_claims": ["a", {"claim": "d", "equals": 1}, {"claim": "e", "contains": "x"}], "required_scopes": ["c"]}}},
            {"slug": "b", "gateway_path": "/b", "default_policy": {"auth": {
                "auth_type": "jwt", "jwt_secret_env": "S", "require_expiration": false}}}
        ]
    })
}

/// What is put in the place of something.
#[derive(Debug)]
struct With {
    /// Anything, of any kind; `null` removes.
    anything: Value,
    /// For a name.
    name: &'static str,
    /// Where set, a text is replaced by this word, a number by this number, a truth by its opposite.
    alike: Option<(&'static str, u64)>,
}

fn with() -> impl Strategy<Value = With> {
    let alike = prop::option::weighted(0.8, (select(&WORDS[..]), 0_u64..4000));
    (leaf(), select(&NAMES[..]), alike).prop_map(|(anything, name, alike)| With {
        anything,
        name,
        alike,
    })
}

/// Replaces, removes or renames something somewhere.
fn mutate(value: &mut Value, way: &[Index], with: &With) {
    match (value, way) {
        (Value::Array(elements), [first, rest @ ..]) if !elements.is_empty() => {
            let at = first.index(elements.len());
            match rest {
                [] if with.anything.is_null() => {
                    elements.remove(at);
                }
                [] => elements.push(elements[at].clone()),
                _ => mutate(&mut elements[at], rest, with),
            }
        }
        (Value::Object(members), [first, rest @ ..]) if !members.is_empty() => {
            let name = members
                .keys()
                .nth(first.index(members.len()))
                .unwrap()
                .clone();
            match rest {
                [] => {
                    let moved = members.remove(&name).unwrap();
                    if with.alike.is_none() {
                        members.insert(with.name.to_owned(), moved);
                    }
                }
                _ => mutate(&mut members[&name], rest, with),
            }
        }
        (scalar, _) => match (&scalar, with.alike) {
            (Value::String(_), Some((word, _))) => *scalar = word.into(),
            (Value::Number(_), Some((_, number))) => *scalar = number.into(),
            (Value::Bool(truth), Some(_)) => *scalar = (!truth).into(),
            _ => *scalar = with.anything.clone(),
        },
    }
}

#[test]
fn the_policy_that_is_mutated_compiles() {
    let text = policy().to_string();
    assert!(compile(text.as_bytes(), &CompileOptions::default(), &mut read).is_ok());
    assert!(SCHEMA.is_valid(&policy()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_compiled_or_refused(text in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&text)?;
    }

    #[test]
    fn any_text_with_the_marks_of_json_is_compiled_or_refused(text in "[\\[\\]{}\":,a-c0-9\\\\\u{e9}\n \t-]{0,60}") {
        check(text.as_bytes())?;
    }

    #[test]
    fn any_tree_of_known_names_is_compiled_or_refused(tree in tree()) {
        check(tree.to_string().as_bytes())?;
        let mut policy = policy();
        policy["apps"][0]["default_policy"]["auth"] = tree;
        check(policy.to_string().as_bytes())?;
    }

    #[test]
    fn any_change_of_a_policy_is_compiled_or_refused(
        changes in prop::collection::vec((prop::collection::vec(any::<Index>(), 6..9), with()), 1..3)
    ) {
        let mut policy = policy();
        for (way, with) in &changes {
            mutate(&mut policy, way, with);
        }
        check(policy.to_string().as_bytes())?;
    }

    #[test]
    fn any_cut_of_a_policy_is_refused_at_its_end(at in any::<Index>()) {
        let text = policy().to_string();
        let cut = &text.as_bytes()[..at.index(text.len())];
        let found = compile(cut, &CompileOptions::default(), &mut read).unwrap_err();
        check_findings(cut, &found)?;
        prop_assert_eq!(found.errors[0].code, Code::Syntax);
    }
}
