//! Each field of the language with each wrong type, and with a slip of the pen in its name.
//!
//! The fields are read from the published schema, so that a new one is tested from its first day.

use nexus_core::policy::{Code, Diagnostic, schema};
use serde_json::{Value, json};

use crate::compiled;
use crate::documents::fields;

/// A policy in which `member` with `value` stands in an object of the kind `owner`, and the path of that object.
fn policy(owner: &str, member: &str, value: &Value) -> (Value, &'static str) {
    let none = json!({"auth": {"auth_type": "none"}});
    let mut policy = json!({
        "providers": {"idp": {"jwt_secret_env": "S"}},
        "apps": [{
            "slug": "a", "gateway_path": "/a", "default_policy": none,
            "routes": [{
                "path": "/x", "policy": none,
                "headers": [{"name": "x-a", "exact": "b"}],
                "query": [{"name": "a", "exact": "b"}]
            }]
        }],
        "replies": {
            "by_status": {"401": {"body": "x"}},
            "redirect": {"location": "https://login.example.com/"}
        }
    });
    let (pointer, path) = match owner {
        "Policy" => ("", ""),
        "App" => ("/apps/0", "apps[0]."),
        "Route" => ("/apps/0/routes/0", "apps[0].routes[0]."),
        "HeaderCondition" => (
            "/apps/0/routes/0/headers/0",
            "apps[0].routes[0].headers[0].",
        ),
        "QueryCondition" => ("/apps/0/routes/0/query/0", "apps[0].routes[0].query[0]."),
        "AccessPolicy" => ("/apps/0/default_policy", "apps[0].default_policy."),
        "Auth" => (
            "/apps/0/default_policy/auth",
            "apps[0].default_policy.auth.",
        ),
        "RequirementPart" => {
            policy["apps"][0]["default_policy"]["auth"]["requirement"] = json!({});
            (
                "/apps/0/default_policy/auth/requirement",
                "apps[0].default_policy.auth.requirement.",
            )
        }
        "Provider" => ("/providers/idp", "providers.idp."),
        "TokenSource" => {
            policy["providers"]["idp"]["token_sources"] = json!([{}]);
            (
                "/providers/idp/token_sources/0",
                "providers.idp.token_sources[0].",
            )
        }
        "TextCondition" => {
            policy["providers"]["idp"]["subjects"] = json!([{}]);
            ("/providers/idp/subjects/0", "providers.idp.subjects[0].")
        }
        "ClaimCondition" => {
            policy["providers"]["idp"]["required_claims"] = json!([{"claim": "c"}]);
            (
                "/providers/idp/required_claims/0",
                "providers.idp.required_claims[0].",
            )
        }
        "Revoked" => {
            policy["providers"]["idp"]["revoked"] = json!({});
            ("/providers/idp/revoked", "providers.idp.revoked.")
        }
        "RevokedEarlierSubject" => {
            policy["providers"]["idp"]["revoked"] = json!({"sub": [{"sub": "a"}]});
            (
                "/providers/idp/revoked/sub/0",
                "providers.idp.revoked.sub[0].",
            )
        }
        "RevokedEarlierKey" => {
            policy["providers"]["idp"]["revoked"] = json!({"kid": [{"kid": "a"}]});
            (
                "/providers/idp/revoked/kid/0",
                "providers.idp.revoked.kid[0].",
            )
        }
        "Replies" => ("/replies", "replies."),
        "StatusReply" => ("/replies/by_status/401", "replies.by_status.401."),
        "Redirect" => ("/replies/redirect", "replies.redirect."),
        "ForwardedClaim" => {
            policy["providers"]["idp"]["forward_claims"] =
                json!([{"claim": "sub", "header": "x-sub"}]);
            (
                "/providers/idp/forward_claims/0",
                "providers.idp.forward_claims[0].",
            )
        }
        "ForwardedPayload" => {
            policy["providers"]["idp"]["forward_payload"] = json!({"header": "x-payload"});
            (
                "/providers/idp/forward_payload",
                "providers.idp.forward_payload.",
            )
        }
        other => panic!("{other}: an object that this test does not know"),
    };
    policy.pointer_mut(pointer).unwrap()[member] = value.clone();
    (policy, path)
}

fn errors(policy: &Value) -> (String, Vec<Diagnostic>) {
    let text = policy.to_string();
    let errors =
        compiled(&text).map_or_else(|found| found.errors, |compiled| panic!("{}", compiled.json));
    (text, errors)
}

/// The types that a field may have, without references.
fn kinds<'s>(schema: &'s Value, field: &'s Value) -> Vec<&'s str> {
    if let Some(reference) = field["$ref"].as_str() {
        let definition = schema.pointer(reference.trim_start_matches('#'));
        return kinds(schema, definition.unwrap());
    }
    match field["anyOf"].as_array() {
        Some(choices) => choices
            .iter()
            .flat_map(|choice| kinds(schema, choice))
            .collect(),
        None => vec![field["type"].as_str().unwrap_or("string")],
    }
}

/// What the types are called, all together: `a string, an array or an object`.
fn expected(kinds: &[&str]) -> String {
    let words: Vec<&str> = kinds
        .iter()
        .map(|kind| match *kind {
            "string" => "a string",
            "integer" => "a whole number",
            "number" => "a number",
            "boolean" if kinds.len() == 1 => "`true` or `false`",
            "boolean" => "a boolean",
            "array" => "an array",
            "object" => "an object",
            other => panic!("{other}"),
        })
        .collect();
    match words.as_slice() {
        [only] => (*only).to_owned(),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
        [] => panic!("a field without a type"),
    }
}

#[test]
fn every_field_refuses_every_other_type() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let values = [
        ("string", json!("x"), "a string"),
        ("integer", json!(7), "a number"),
        ("boolean", json!(true), "a boolean"),
        ("array", json!([]), "an array"),
        ("object", json!({}), "an object"),
        ("null", Value::Null, "null"),
    ];
    for (owner, name, field) in fields(&schema) {
        let own = kinds(&schema, field);
        let expected = expected(&own);
        let is_own =
            |kind: &str| own.contains(&kind) || kind == "integer" && own.contains(&"number");
        for (_, value, found) in values.iter().filter(|(kind, ..)| !is_own(kind)) {
            let (policy, path) = policy(owner, name, value);
            let (text, errors) = errors(&policy);
            let case = format!("{owner}.{name} = {value}");
            assert_eq!(errors.len(), 1, "{case}: {errors:?}");
            let error = &errors[0];
            assert_eq!(error.code, Code::WrongType, "{case}");
            assert_eq!(
                error.message,
                format!("expected {expected} for `{name}`, found {found}"),
                "{case}"
            );
            let step = if name == "$schema" { "$schema" } else { name };
            assert_eq!(error.path, format!("{path}{step}"), "{case}");
            let place = &text[error.span.start..error.span.end];
            assert!(value.to_string().starts_with(place), "{case}: {place}");
        }
    }
}

#[test]
fn every_misspelt_field_is_recognised() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    for (owner, name, _) in fields(&schema) {
        let mut characters: Vec<char> = name.chars().collect();
        if characters.len() < 4 {
            continue;
        }
        characters.swap(1, 2);
        let swapped: String = characters.iter().collect();
        let doubled = format!("{name}{}", name.chars().last().unwrap());
        let camel: String = name
            .split('_')
            .map(|word| word[..1].to_uppercase() + &word[1..])
            .collect();
        for misspelt in [swapped, doubled, camel] {
            if misspelt == name
                || schema["$defs"][owner]["properties"]
                    .get(&misspelt)
                    .is_some()
            {
                continue;
            }
            let (policy, _) = policy(owner, &misspelt, &json!("x"));
            let (text, errors) = errors(&policy);
            let error = errors
                .iter()
                .find(|error| error.code == Code::UnknownField)
                .unwrap_or_else(|| panic!("{owner}.{misspelt}: {errors:?}"));
            assert_eq!(
                error.message,
                format!("unknown field `{misspelt}`"),
                "{owner}"
            );
            let hint = error.hint.as_deref();
            assert_eq!(
                hint,
                Some(format!("did you mean `{name}`?").as_str()),
                "{owner}.{misspelt}"
            );
            assert_eq!(
                text[error.span.start..error.span.end],
                format!("\"{misspelt}\""),
                "{owner}"
            );
        }
    }
}

#[test]
fn every_number_keeps_to_its_range() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let mut numbers = 0;
    for (owner, name, field) in fields(&schema) {
        let Some(maximum) = field["maximum"].as_u64() else {
            continue;
        };
        numbers += 1;
        let minimum = field["minimum"].as_u64().unwrap();
        let beyond = [json!(maximum + 1), json!(u64::MAX), json!(-1)];
        let below = minimum.checked_sub(1).map(|below| json!(below));
        for value in beyond.into_iter().chain(below) {
            let (policy, _) = policy(owner, name, &value);
            let (_, errors) = errors(&policy);
            let codes: Vec<_> = errors.iter().map(|error| error.code).collect();
            assert_eq!(codes, [Code::OutOfRange], "{owner}.{name} = {value}");
            assert_eq!(errors[0].message, format!("`{name}` cannot be `{value}`"));
        }
        // The ends belong to the range: what is refused then is something else.
        for value in [minimum, maximum] {
            let (policy, _) = policy(owner, name, &json!(value));
            let found = compiled(&policy.to_string());
            let is_out = found.is_err_and(|found| {
                found
                    .errors
                    .iter()
                    .any(|error| error.code == Code::OutOfRange)
            });
            assert!(!is_out, "{owner}.{name} = {value}");
        }
    }
    assert!(numbers >= 8, "{numbers}");
}

#[test]
fn every_word_is_one_of_those_that_the_schema_lists() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let mut words = 0;
    for (owner, name, field) in fields(&schema) {
        let Some(definition) = field["$ref"]
            .as_str()
            .map(|reference| schema.pointer(&reference[1..]).unwrap())
        else {
            continue;
        };
        let Some(choices) = definition["oneOf"].as_array() else {
            continue;
        };
        for choice in choices {
            let (policy, _) = policy(owner, name, &choice["const"]);
            let found = compiled(&policy.to_string());
            let is_unknown = found.is_err_and(|found| {
                found
                    .errors
                    .iter()
                    .any(|error| error.message.starts_with(&format!("`{name}` cannot be")))
            });
            assert!(!is_unknown, "{owner}.{name} = {choice}");
            words += 1;
        }
        let (policy, _) = policy(owner, name, &json!("nothing of the kind"));
        let (_, errors) = errors(&policy);
        assert_eq!(
            errors[0].message,
            format!("`{name}` cannot be `nothing of the kind`"),
            "{owner}"
        );
    }
    assert!(words >= 10, "{words}");
}
