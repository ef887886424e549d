//! What the filter tells: counters, explanations, log lines.

use std::{collections::BTreeMap, time::Duration};

use nexus_host::{Answer, LogLevel, MetricValue, Request};
use nexus_tests::{
    cases::{NOW, wasm::Bed},
    keys::Algorithm,
    tokens::Token,
};
use serde_json::{Value, json};

use crate::{
    CLUSTER, ISSUER, PATH, bed, bed_with_keys, fate, jwks, key, next_key, send, setting, token_by,
};

/// The counters that are not zero.
fn counted(bed: &Bed) -> BTreeMap<String, u64> {
    bed.proxy
        .metrics()
        .snapshot()
        .into_iter()
        .filter_map(|(name, value)| match value {
            MetricValue::Counter(0) => None,
            MetricValue::Counter(count) => Some((name, count)),
            other => panic!("`{name}` is {other:?}"),
        })
        .collect()
}

fn counts<const N: usize>(counts: [(&str, u64); N]) -> BTreeMap<String, u64> {
    counts.map(|(name, count)| (name.to_owned(), count)).into()
}

#[test]
fn every_counter_is_there_from_the_start() {
    let bed = bed(Answer::held());
    let _vm = bed.start(&setting());
    let snapshot = bed.proxy.metrics().snapshot();
    for name in [
        "nexus.allowed",
        "nexus.denied.token_missing",
        "nexus.denied.signature_invalid",
        "nexus.denied.internal",
        "nexus.jwks_fetch.success",
        "nexus.jwks_fetch.not_sent",
        "nexus.jwks_fetch.no_response",
        "nexus.jwks_fetch.status",
        "nexus.jwks_fetch.invalid",
        "nexus.jwks_fetch.no_usable_key",
        "nexus.jwks_cache.hit",
        "nexus.jwks_cache.miss",
        "nexus.jwt_cache.hit",
        "nexus.jwt_cache.miss",
    ] {
        assert_eq!(snapshot.get(name), Some(&MetricValue::Counter(0)), "{name}");
    }
    assert!(snapshot.keys().all(|name| name.starts_with("nexus.")));
}

#[test]
fn counters_count_decisions_by_reason_and_the_use_of_the_cache() {
    let bed = bed(Answer::held());
    let vm = bed.start_with_keys(&setting());
    let waited = send(&vm, &token_by(&key()));
    assert!(bed.callouts.reply(0, Answer::json(jwks(&[&key()]))));
    bed.proxy.run_until_idle();
    assert_eq!(fate(&waited), "allow");
    // What passes is told once a second.
    bed.proxy.advance(Duration::from_secs(1));
    assert_eq!(
        counted(&bed),
        counts([
            ("nexus.allowed", 1),
            ("nexus.jwks_cache.miss", 1),
            ("nexus.jwks_fetch.success", 1),
            ("nexus.jwt_cache.miss", 1),
        ])
    );
    for _ in 0..3 {
        drop(send(&vm, &token_by(&key())));
    }
    drop(send(&vm, &token_by(&next_key().with_kid("key-1"))));
    drop(send(&vm, "a.b.c"));
    drop(vm.request(Request::get("app.example.com", "/app")));
    drop(vm.request(Request::get("app.example.com", "/app")));
    drop(vm.request(Request::get("app.example.com", "/elsewhere")));
    bed.proxy.advance(Duration::from_secs(1));
    assert_eq!(
        counted(&bed),
        counts([
            ("nexus.allowed", 4),
            ("nexus.denied.no_app_matched", 1),
            ("nexus.denied.signature_invalid", 1),
            ("nexus.denied.token_header_base64", 1),
            ("nexus.denied.token_missing", 2),
            ("nexus.jwks_cache.hit", 4),
            ("nexus.jwks_cache.miss", 1),
            ("nexus.jwks_fetch.success", 1),
            // The same token, then a forged one and what is no token; without one nothing is looked for.
            ("nexus.jwt_cache.hit", 3),
            ("nexus.jwt_cache.miss", 3),
        ])
    );
}

#[test]
fn counters_count_fetches_by_their_outcome() {
    for (answer, counter) in [
        (Answer::json(jwks(&[&key()])), "success"),
        (Answer::status(404), "status"),
        (Answer::status(301), "status"),
        (Answer::reset(), "no_response"),
        (Answer::refused(), "not_sent"),
        (Answer::json("<html>"), "invalid"),
        (Answer::json(r#"{"keys": {}}"#), "invalid"),
        (Answer::json(r#"{"keys": []}"#), "no_usable_key"),
        (
            Answer::json(r#"{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}"#),
            "no_usable_key",
        ),
    ] {
        let bed = bed(answer);
        let _vm = bed.start_with_keys(&setting());
        let name = format!("nexus.jwks_fetch.{counter}");
        assert_eq!(counted(&bed), counts([(name.as_str(), 1)]));
    }
}

#[test]
fn a_fetch_that_the_proxy_gives_up_counts_as_its_own_answer_says() {
    // Envoy answers a callout that takes too long with 504 itself.
    let bed = bed(Answer::held());
    let _vm = bed.start_with_keys(&setting());
    bed.proxy.advance(Duration::from_secs(6));
    let counted = counted(&bed);
    assert_eq!(
        counted.get("nexus.jwks_fetch.status"),
        Some(&1),
        "{counted:?}"
    );
}

#[test]
fn a_decision_is_explained_in_one_line_at_debug() {
    let bed = bed_with_keys(&[&key()]);
    let vm = bed.start_with_keys(&setting());
    let explain = |request: Request| -> Value {
        drop(bed.proxy.log().take());
        drop(vm.request(request));
        let mut all = bed.take_explanations();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    };
    let bearer = |token: &str| crate::request(token);
    assert_eq!(
        explain(bearer(&token_by(&key()))),
        json!({"decision": "allow", "app": "app", "provider": "app/default_policy", "kid": "key-1"})
    );
    let expired = Token::empty()
        .claim("iss", ISSUER)
        .claim("exp", NOW - 372)
        .sign(&key(), Algorithm::EdDSA);
    assert_eq!(
        explain(bearer(&expired)),
        json!({
            "decision": "deny", "reason": "token_expired", "status": 401,
            "app": "app", "provider": "app/default_policy", "kid": "key-1",
            "evidence": format!("token expired 372 s ago: exp {}, now {NOW}, leeway 60 s", NOW - 372),
        })
    );
    assert_eq!(
        explain(Request::get("app.example.com", "/elsewhere")),
        json!({
            "decision": "deny", "reason": "no_app_matched", "status": 404,
            "evidence": "no app has this host and path",
        })
    );
}

#[test]
fn at_info_only_what_an_operator_has_to_know_is_logged() {
    let bed = Bed::with_log_level(LogLevel::Info);
    bed.callouts
        .answer(CLUSTER, PATH, Answer::json(jwks(&[&key()])));
    let vm = bed.start_with_keys(&setting());
    for token in [token_by(&key()), token_by(&next_key().with_kid("key-1"))] {
        drop(send(&vm, &token));
    }
    bed.callouts.answer(CLUSTER, PATH, Answer::status(500));
    bed.proxy.advance(Duration::from_secs(271));
    let lines: Vec<(LogLevel, String)> = bed
        .proxy
        .log()
        .entries()
        .into_iter()
        .map(|entry| (entry.level, entry.message))
        .collect();
    let [(LogLevel::Info, fetched), (LogLevel::Warn, failed), ..] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert_eq!(
        fetched,
        &format!("nexus: fetched 1 usable keys from {}", crate::URL)
    );
    assert!(
        failed.starts_with(&format!(
            "nexus: no keys from {}: status 500; next try in",
            crate::URL
        )),
        "{failed}"
    );
    assert!(
        lines
            .iter()
            .all(|(_, line)| !line.contains("nexus.decision"))
    );
}

#[test]
fn keys_that_cannot_be_used_are_told_and_the_others_used() {
    let mut keys: Value = serde_json::from_str(&jwks(&[&key()])).expect("JSON");
    keys["keys"].as_array_mut().expect("keys").extend([
        json!({"kty": "RSA", "kid": "weak", "n": "AQAB", "e": "AQAB"}),
        json!({"kty": "quantum", "kid": "odd"}),
    ]);
    let bed = bed(Answer::json(keys.to_string()));
    let vm = bed.start_with_keys(&setting());
    assert_eq!(fate(&send(&vm, &token_by(&key()))), "allow");
    let log = bed.proxy.log().entries();
    let line = log
        .iter()
        .find(|entry| entry.message.contains("fetched"))
        .expect("the fetch is told");
    assert_eq!(line.level, LogLevel::Warn);
    for key in [
        "key 1: the RSA modulus has 17 bits",
        "key 2: keys of type `quantum`",
    ] {
        assert!(line.message.contains(key), "{}", line.message);
    }
}

#[test]
fn no_token_and_no_secret_is_ever_logged() {
    let secret = "correct-horse-battery-staple-0123456789";
    let policy = json!({
        "slug": "app", "gateway_path": "/app",
        "default_policy": {"auth": {
            "auth_type": "jwt", "jwt_secret_env": "SECRET", "audience": "client",
            "forward_claims_as_headers": {"sub": "X-User-Id"},
        }},
    });
    let setting =
        nexus_tests::cases::Setting::new("secret", &policy.to_string()).env("SECRET", secret);
    let bed = Bed::with_log_level(LogLevel::Trace);
    let vm = bed.start_with_keys(&setting);
    let key = nexus_tests::keys::Key::secret(secret);
    let token = |audience: &str| {
        Token::empty()
            .claim("aud", audience)
            .claim("sub", "alice-in-wonderland")
            .claim("exp", NOW + 60)
            .sign(&key, Algorithm::HS256)
    };
    let tokens = [
        token("client"),
        token("another"),
        nexus_tests::tokens::with_broken_signature(&token("client")),
    ];
    let fates = tokens.each_ref().map(|token| fate(&send(&vm, token)));
    assert_eq!(
        fates,
        [
            "allow",
            "403 nexus_denied{audience_not_allowed}",
            "401 nexus_denied{signature_invalid}"
        ]
    );
    let log = format!("{:?}", bed.proxy.log().entries());
    assert!(log.contains("nexus.decision"), "{log}");
    let mut kept_to_itself = vec![secret, "alice-in-wonderland"];
    kept_to_itself.extend(tokens.iter().flat_map(|token| token.split('.')));
    for part in kept_to_itself {
        assert!(!log.contains(part), "`{part}` is in the log: {log}");
    }
}
