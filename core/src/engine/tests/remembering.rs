//! Tokens that come again.

use super::*;

/// A bed that remembers that many tokens.
fn bed(size: usize, config: Value) -> Bed {
    let mut config = config;
    config["jwt_cache_size"] = json!(size);
    Bed::new(config)
}

/// Whether the tokens of a request with this one were remembered; it has to be allowed.
fn is_remembered(bed: &mut Bed, token: &str) -> Option<bool> {
    bed.requests += 1;
    let authorization = std::format!("Bearer {token}");
    let headers: [(&[u8], &[u8]); 4] = [
        (b":method", b"GET"),
        (b":authority", b"example.com"),
        (b":path", b"/app"),
        (b"authorization", authorization.as_bytes()),
    ];
    let id = RequestId(bed.requests);
    let decision = bed
        .engine
        .handle_request(id, &Request::new(&headers), bed.now)
        .unwrap();
    let cached = decision.cached_token;
    assert!(Fate::of(decision).is_allowed());
    cached
}

/// A token that lives for 1,000 seconds.
fn lasting() -> String {
    token(1, &claims(&json!({ "exp": START + 1_000 })))
}

/// One with the name of the key 1 that another key signed.
fn forged() -> String {
    let header = json!({ "alg": "EdDSA", "kid": "1" });
    sign(2, &header, &claims(&json!({})))
}

#[test]
fn a_token_that_comes_again_gives_the_same_and_is_remembered() {
    let mut bed = bed(8, config(&inline(&[1])));
    let first = bed.get(&lasting());
    assert_eq!(is_remembered(&mut bed, &lasting()), Some(true));
    assert_eq!(bed.get(&lasting()), first);
    let another = token(1, &claims(&json!({ "exp": START + 1_001 })));
    assert_eq!(is_remembered(&mut bed, &another), Some(false));
}

#[test]
fn without_room_nothing_is_remembered() {
    let mut bed = bed(0, config(&inline(&[1])));
    for _ in 0..2 {
        assert_eq!(is_remembered(&mut bed, &lasting()), None);
    }
}

#[test]
fn a_remembered_token_expires_when_it_would_have() {
    let mut bed = bed(8, config(&inline(&[1])));
    assert!(bed.get(&lasting()).is_allowed());
    bed.now = Timestamp::from_seconds(START + 1_059);
    assert_eq!(
        is_remembered(&mut bed, &lasting()),
        Some(true),
        "60 s of leeway"
    );
    bed.now = Timestamp::from_seconds(START + 1_060);
    assert_eq!(bed.get(&lasting()), Fate::Denied("token_expired"));
}

#[test]
fn a_refused_token_is_not_remembered() {
    let mut bed = bed(8, config(&inline(&[1])));
    let early = token(
        1,
        &claims(&json!({ "nbf": START + 100, "exp": START + 1_000 })),
    );
    for _ in 0..2 {
        assert_eq!(bed.get(&early), Fate::Denied("token_not_yet_valid"));
        assert_eq!(bed.get(&forged()), Fate::Denied("signature_invalid"));
    }
    bed.now = Timestamp::from_seconds(START + 100);
    assert!(bed.get(&early).is_allowed());
}

#[test]
fn a_changed_signature_or_payload_is_another_token() {
    let mut bed = bed(8, config(&inline(&[1])));
    let good = lasting();
    assert!(bed.get(&good).is_allowed());
    for at in 0..good.len() {
        let mut changed = good.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(!bed.get(&changed).is_allowed(), "{at}");
    }
    assert_eq!(is_remembered(&mut bed, &good), Some(true));
}

#[test]
fn a_clock_that_is_set_back_has_everything_verified_anew() {
    let mut bed = bed(8, config(&inline(&[1])));
    let token = token(
        1,
        &claims(&json!({ "nbf": START + 100, "exp": START + 1_000 })),
    );
    bed.now = Timestamp::from_seconds(START + 100);
    assert!(bed.get(&token).is_allowed());
    bed.now = Timestamp::from_seconds(START);
    assert_eq!(bed.get(&token), Fate::Denied("token_not_yet_valid"));
}

#[test]
fn a_clock_that_steps_back_leaves_remembered_what_was_accepted_before() {
    let mut bed = bed(8, config(&inline(&[1])));
    let another = token(1, &claims(&json!({ "exp": START + 1_001 })));
    assert!(bed.get(&lasting()).is_allowed());
    bed.advance(1_000);
    assert!(bed.get(&another).is_allowed());
    bed.now = Timestamp::from_millis(bed.now.as_millis() - 1);
    assert_eq!(is_remembered(&mut bed, &lasting()), Some(true));
    // What was accepted by the later clock alone is verified, and remembered from now on.
    assert_eq!(is_remembered(&mut bed, &another), Some(false));
    assert_eq!(is_remembered(&mut bed, &another), Some(true));
}

#[test]
fn what_one_rule_accepts_another_one_judges_for_itself() {
    let mut policy = config(&inline(&[1]));
    let mut other = policy["apps"][0].clone();
    other["slug"] = json!("other");
    other["path"] = json!("/other");
    other["auth"]["jwt"]["requirement"]["provider"]["audiences"] = json!(["other"]);
    policy["apps"].as_array_mut().unwrap().push(other);
    let mut bed = bed(8, policy);
    let authorization = std::format!("Bearer {}", lasting());
    let mut send = |path| {
        bed.send(&[
            (":method", "GET"),
            (":authority", "example.com"),
            (":path", path),
            ("authorization", &authorization),
        ])
    };
    for _ in 0..2 {
        assert!(send("/app").is_allowed());
        assert_eq!(send("/other"), Fate::Denied("audience_not_allowed"));
    }
}

#[test]
fn a_key_that_was_withdrawn_takes_its_tokens_along() {
    let mut bed = bed(8, config(&remote()));
    bed.serve_keys(&[1, 2]);
    assert!(bed.get(&lasting()).is_allowed());
    assert_eq!(is_remembered(&mut bed, &lasting()), Some(true));
    bed.advance(300_000);
    bed.serve_keys(&[2]);
    assert!(!bed.get(&lasting()).is_allowed());
}

#[test]
fn a_set_that_was_only_renewed_leaves_its_tokens_remembered() {
    let mut bed = bed(8, config(&remote()));
    bed.serve_keys(&[1]);
    assert!(bed.get(&lasting()).is_allowed());
    bed.advance(300_000);
    bed.serve_keys(&[1]);
    assert_eq!(is_remembered(&mut bed, &lasting()), Some(true));
}

#[test]
fn keys_that_are_too_old_to_be_used_take_their_tokens_along() {
    let mut bed = bed(8, config(&remote()));
    bed.serve_keys(&[1]);
    let lasting = token(1, &claims(&json!({ "exp": START + 100_000 })));
    assert!(bed.get(&lasting).is_allowed());
    // Fresh for 300 s, and usable for 3600 s behind that.
    bed.now = Timestamp::from_seconds(START + 3_901);
    assert!(!bed.get(&lasting).is_allowed());
}

#[test]
fn a_list_that_revokes_a_token_counts_for_a_remembered_one() {
    let mut policy = config(&inline(&[1]));
    policy["providers"][0]["revocation"] = json!({ "remote": {
        "url": "https://lists.example.com/revoked", "cluster": "lists", "scheme": "https",
        "authority": "lists.example.com", "path": "/revoked", "timeout_ms": 3000,
        "cache_ttl_secs": 60, "max_stale_secs": 600,
    }});
    let mut bed = bed(8, policy);
    let named = token(1, &claims(&json!({ "jti": "t1", "exp": START + 100_000 })));
    bed.serve(FetchAnswer::response(200, br#"{"jti": []}"#.as_slice()));
    assert!(bed.get(&named).is_allowed());
    assert_eq!(is_remembered(&mut bed, &named), Some(true));
    bed.advance(60_000);
    bed.serve(FetchAnswer::response(200, br#"{"jti": ["t1"]}"#.as_slice()));
    assert_eq!(bed.get(&named), Fate::Denied("token_revoked"));
}

#[test]
fn a_token_that_is_bound_to_its_sender_is_verified_each_time() {
    for possession in ["mtls_bound", "dpop"] {
        let mut policy = config(&inline(&[1]));
        policy["providers"][0]["possession"] =
            json!({ possession: "allowed", "dpop_max_age_secs": 60 });
        let mut bed = bed(8, policy);
        for _ in 0..2 {
            assert_eq!(
                is_remembered(&mut bed, &lasting()),
                Some(false),
                "{possession}"
            );
        }
    }
}

#[test]
fn every_place_of_a_rule_has_its_own_tokens() {
    let mut policy = config(&inline(&[1]));
    policy["apps"][0]["auth"]["jwt"]["handling"]["token_sources"] = json!([
        { "header": { "name": "authorization", "prefix": "Bearer " } },
        { "header": { "name": "x-token" } },
    ]);
    let mut bed = bed(8, policy);
    let (good, forged) = (lasting(), forged());
    assert!(bed.get(&good).is_allowed());
    let authorization = std::format!("Bearer {good}");
    let both = bed.send(&[
        (":method", "GET"),
        (":authority", "example.com"),
        (":path", "/app"),
        ("authorization", &authorization),
        ("x-token", &forged),
    ]);
    assert_eq!(both, Fate::Denied("signature_invalid"));
}
