//! Tokens that are refused although they are genuine.

use super::*;
use crate::revocation::{Entry, RevokedBy};

const LIST: &str = "https://lists.example.com/revoked";

fn remote_list() -> Value {
    json!({
        "url": "https://lists.example.com/revoked?key=1", "cluster": "lists", "scheme": "https",
        "authority": "lists.example.com", "path": "/revoked?key=1", "timeout_ms": 3000,
        "cache_ttl_secs": 60, "max_stale_secs": 600,
    })
}

/// A configuration with the key 1, and this for what is revoked.
fn revoking(revocation: Value) -> Value {
    let mut policy = config(&inline(&[1]));
    policy["providers"][0]["revocation"] = revocation;
    policy
}

/// A bed that fetches a list and has fetched nothing yet.
fn cold() -> Bed {
    Bed::new(revoking(json!({ "remote": remote_list() })))
}

/// A bed whose list has the token `t1`.
fn warm() -> Bed {
    let mut bed = cold();
    bed.serve(list(r#"{"jti": ["t1"]}"#));
    bed.events();
    bed
}

fn list(text: &str) -> FetchAnswer<'_> {
    FetchAnswer::response(200, text.as_bytes())
}

fn named(jti: &str) -> String {
    token(1, &claims(&json!({ "jti": jti, "exp": START + 100_000 })))
}

#[test]
fn what_the_policy_lists_is_refused_behind_the_signature_and_before_the_claims() {
    let mut bed = Bed::new(revoking(json!({ "entries": [
        { "by": "jti", "value": "t\u{e9}1" },
        { "by": "sub", "value": "mallory" },
        { "by": "sub", "value": "bob", "issued_before": START },
    ]})));
    let with = |changes: Value| token(1, &claims(&changes));
    let revoked = Fate::Denied("token_revoked");
    assert_eq!(bed.get(&with(json!({ "jti": "t\u{e9}1" }))), revoked);
    assert!(
        bed.get(&with(json!({ "jti": "te\u{301}1" }))).is_allowed(),
        "bytes count"
    );
    assert_eq!(bed.get(&with(json!({ "sub": "mallory" }))), revoked);
    assert_eq!(bed.get(&with(json!({ "sub": "bob" }))), revoked, "no `iat`");
    assert_eq!(
        bed.get(&with(json!({ "sub": "bob", "iat": START - 1 }))),
        revoked
    );
    assert_eq!(
        bed.get(&with(json!({ "sub": "bob", "iat": START as f64 - 0.5 }))),
        revoked
    );
    assert!(
        bed.get(&with(json!({ "sub": "bob", "iat": START })))
            .is_allowed()
    );
    // Behind the signature: whoever made the name up learns nothing. Before the claims: 401, not 403.
    let forged = sign(
        2,
        &json!({ "alg": "EdDSA", "kid": "1" }),
        &claims(&json!({ "sub": "mallory" })),
    );
    assert_eq!(bed.get(&forged), Fate::Denied("signature_invalid"));
    let elsewhere = with(json!({ "sub": "mallory", "aud": "other", "email": null }));
    assert_eq!(bed.get(&elsewhere), revoked);
    let expired = with(json!({ "sub": "mallory", "exp": 1 }));
    assert_eq!(bed.get(&expired), Fate::Denied("token_expired"));
}

#[test]
fn the_spelling_of_a_name_in_the_token_does_not_matter() {
    let mut bed = Bed::new(revoking(json!({ "entries": [
        { "by": "jti", "value": "a/b" }, { "by": "kid", "value": "k/1" },
    ]})));
    let payload = claims(&json!({})).to_string();
    for spelling in [
        r#""a/b""#,
        r#""a\/b""#,
        r#""\u0061\u002fb""#,
        r#""a\u002Fb""#,
    ] {
        let payload = payload.replacen('{', &std::format!("{{\"jti\":{spelling},"), 1);
        let token = sign_bytes(1, r#"{"alg":"EdDSA","kid":"1"}"#, &payload);
        assert_eq!(bed.get(&token), Fate::Denied("token_revoked"), "{spelling}");
    }
    for spelling in [r#""k/1""#, r#""k\/1""#, r#""\u006b\u002f1""#] {
        let mut policy = revoking(json!({ "entries": [{ "by": "kid", "value": "k/1" }] }));
        policy["providers"][0]["keys"]["fixed"]["jwks"]["keys"][0]["kid"] = json!("k/1");
        let header = std::format!("{{\"alg\":\"EdDSA\",\"kid\":{spelling}}}");
        let token = sign_bytes(1, &header, &payload);
        assert_eq!(
            Bed::new(policy).get(&token),
            Fate::Denied("token_revoked"),
            "{spelling}"
        );
    }
}

#[test]
fn a_revoked_key_signs_nothing_whether_or_not_the_token_names_it() {
    let revocation = json!({ "entries": [{ "by": "kid", "value": "1" }] });
    let unnamed = |number| sign(number, &json!({ "alg": "EdDSA" }), &claims(&json!({})));
    let revoked = Fate::Denied("token_revoked");
    for keys in [inline(&[1, 2]), remote()] {
        let mut policy = config(&keys);
        policy["providers"][0]["revocation"] = revocation.clone();
        let mut bed = Bed::new(policy);
        if keys == remote() {
            bed.serve_keys(&[1, 2]);
        }
        assert_eq!(bed.get(&token(1, &claims(&json!({})))), revoked);
        assert_eq!(bed.get(&unnamed(1)), revoked);
        assert!(bed.get(&unnamed(2)).is_allowed());
    }
}

fn sign_bytes(number: u8, header: &str, payload: &str) -> String {
    let input = std::format!(
        "{}.{}",
        base64url(header.as_bytes()),
        base64url(payload.as_bytes())
    );
    let signature = key(number).sign(input.as_bytes()).to_bytes();
    std::format!("{input}.{}", base64url(&signature))
}

#[test]
fn a_list_is_fetched_before_the_first_request_and_requests_wait_for_it() {
    let mut bed = cold();
    let revoked = bed.get(&named("t1")).waits();
    let good = bed.get(&named("t2")).waits();
    let forged = sign(
        2,
        &json!({ "alg": "EdDSA", "kid": "1" }),
        &claims(&json!({})),
    );
    assert_eq!(
        bed.get(&forged),
        Fate::Denied("signature_invalid"),
        "it needs no list"
    );
    let fetch = bed.engine.poll_fetch(bed.now).unwrap();
    assert_eq!(fetch.content, Content::Revocations);
    assert_eq!(fetch.target.path, "/revoked?key=1");
    assert_eq!(fetch.timeout_ms, 3000);
    bed.engine
        .handle_answer(fetch.id, list(r#"{"jti": ["t1"]}"#), bed.now);
    let fates = bed.fates();
    assert_eq!(fates[0], (revoked, Fate::Denied("token_revoked")));
    assert!(fates[1].0 == good && fates[1].1.is_allowed());
    assert_eq!(
        bed.events(),
        [std::format!(
            "fetched a revocation list of 1 entries from {LIST}"
        )]
    );
}

#[test]
fn a_request_waits_for_keys_and_list_together() {
    let mut policy = config(&remote());
    policy["providers"][0]["revocation"] = json!({ "remote": remote_list() });
    let mut bed = Bed::new(policy);
    let id = bed.get(&named("t1")).waits();
    let (keys, revoked) = (bed.fetch().unwrap(), bed.fetch().unwrap());
    bed.engine
        .handle_answer(revoked, list(r#"{"jti": ["t1"]}"#), bed.now);
    assert_eq!(bed.fates(), []);
    let body = jwks(&[1]).to_string().into_bytes();
    bed.engine
        .handle_answer(keys, FetchAnswer::response(200, body), bed.now);
    assert_eq!(bed.fate_of(id), Fate::Denied("token_revoked"));
}

#[test]
fn without_a_list_nobody_passes() {
    let mut bed = cold();
    let id = bed.get(&named("t2")).waits();
    bed.serve(FetchAnswer::NotSent);
    bed.advance(3000);
    assert_eq!(bed.fate_of(id), Fate::Denied("revocations_unavailable"));
    let evidence =
        std::format!("no revocation list from {LIST}: the proxy did not send the request");
    assert!(bed.events()[0].starts_with(&evidence));
    for _ in 0..6 {
        if let Some(fetch) = bed.fetch() {
            bed.engine
                .handle_answer(fetch, FetchAnswer::NoResponse, bed.now);
        }
        bed.advance(40_000);
    }
    // A token that is refused anyway does not need the list.
    assert_eq!(
        bed.get(&token(1, &claims(&json!({ "exp": 1 })))),
        Fate::Denied("token_expired")
    );
    if let Some(fetch) = bed.fetch() {
        bed.engine
            .handle_answer(fetch, FetchAnswer::NoResponse, bed.now);
    }
    assert_eq!(
        bed.get(&named("t2")),
        Fate::Denied("revocations_unavailable")
    );
}

#[test]
fn every_bad_answer_keeps_the_good_list() {
    let mut compact = list_of("t1").as_bytes().to_vec();
    let good = compact.clone();
    let cut = good[..good.len() - 1].to_vec();
    let other_version = {
        let mut bytes = good.clone();
        bytes[11] = 2;
        bytes
    };
    compact.extend([0; 12]);
    compact[15] = 2;
    let answers = [
        FetchAnswer::NoResponse,
        FetchAnswer::NotSent,
        FetchAnswer::response(301, &b""[..]),
        FetchAnswer::response(404, &b"{\"jti\": []}"[..]),
        FetchAnswer::response(200, &b""[..]),
        FetchAnswer::response(200, &b"<html>"[..]),
        FetchAnswer::response(200, &b"{}"[..]),
        FetchAnswer::response(200, &b"{\"jti\": [], \"keys\": []}"[..]),
        FetchAnswer::response(
            200,
            std::format!("{{\"jti\": [\"{}\"]}}", "x".repeat(1 << 20)).into_bytes(),
        ),
        FetchAnswer::response(200, cut),
        FetchAnswer::response(200, other_version),
        FetchAnswer::response(200, compact),
    ];
    for answer in answers {
        let mut bed = warm();
        bed.advance(55_000);
        bed.serve(answer.clone());
        assert!(
            bed.events()[0].starts_with("no revocation list from"),
            "{answer:?}"
        );
        assert_eq!(
            bed.get(&named("t1")),
            Fate::Denied("token_revoked"),
            "{answer:?}"
        );
        assert!(bed.get(&named("t2")).is_allowed(), "{answer:?}");
        // And where there is none, nobody passes.
        let mut bed = cold();
        let id = bed.get(&named("t2")).waits();
        bed.serve(answer);
        bed.advance(3000);
        assert_eq!(bed.fate_of(id), Fate::Denied("revocations_unavailable"));
    }
}

fn list_of(jti: &str) -> RevocationList {
    RevocationList::of([Entry {
        by: RevokedBy::Jti,
        value: jti.into(),
        issued_before: None,
    }])
    .unwrap()
}

#[test]
fn a_list_is_refreshed_in_either_form() {
    let mut bed = warm();
    let due = bed.engine.poll_timeout().unwrap().since(bed.now).0;
    assert!((48_000..=54_000).contains(&due), "{due}");
    bed.advance(due);
    bed.serve(FetchAnswer::response(200, list_of("t2").as_bytes()));
    assert!(bed.get(&named("t1")).is_allowed(), "taken off the list");
    assert_eq!(bed.get(&named("t2")), Fate::Denied("token_revoked"));
}

#[test]
fn a_stale_list_is_used_for_a_bounded_time_and_it_is_told_once() {
    let mut bed = warm();
    let mut told = 0;
    while bed.now <= Timestamp::from_seconds(START + 60 + 600) {
        assert!(bed.get(&named("t2")).is_allowed());
        assert_eq!(bed.get(&named("t1")), Fate::Denied("token_revoked"));
        bed.advance(10_000);
        if let Some(fetch) = bed.fetch() {
            bed.engine
                .handle_answer(fetch, FetchAnswer::NoResponse, bed.now);
        }
        told += bed
            .events()
            .iter()
            .filter(|event| event.contains("stays in use"))
            .count();
    }
    assert_eq!(told, 1);
    if let Some(fetch) = bed.fetch() {
        bed.engine
            .handle_answer(fetch, FetchAnswer::NoResponse, bed.now);
    }
    let fate = match bed.get(&named("t2")) {
        Fate::Waits(id) => {
            bed.advance(3000);
            bed.fate_of(id)
        }
        fate => fate,
    };
    assert_eq!(fate, Fate::Denied("revocations_unavailable"));
}

#[test]
fn a_list_has_its_own_time_to_live() {
    let mut policy = revoking(json!({ "remote": remote_list() }));
    policy["providers"][0]["revocation"]["remote"]["cache_ttl_secs"] = Value::Null;
    let config = Config::parse(policy.to_string().as_bytes()).unwrap();
    let variable = |_: &str| Some(b"7".to_vec());
    let engine = Engine::new(config, &variable, 1, Timestamp::from_seconds(START)).unwrap();
    assert_eq!(engine.sources[0].time_to_live(), Millis::from_seconds(300));
}
