use super::*;

fn added(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

#[test]
fn a_good_token_passes_with_its_claims_as_headers_and_without_itself() {
    let mut bed = Bed::new(config(&inline(&[1])));
    assert_eq!(
        bed.get(&good(1)),
        Fate::Allowed {
            added: added(&[
                ("x-user-id", "alice"),
                ("x-user-email", "alice@example.com")
            ]),
            removed: vec!["authorization".into()],
        }
    );
}

#[test]
fn each_claim_that_is_wrong_is_told_by_its_reason() {
    let mut bed = Bed::new(config(&inline(&[1])));
    let cases = [
        (
            json!({ "iss": "https://other.example.com" }),
            "token_issuer_unknown",
            "another issuer",
        ),
        (
            json!({ "iss": "https://idp.example.com/" }),
            "token_issuer_unknown",
            "a slash more",
        ),
        (json!({ "iss": null }), "token_issuer_unknown", "no issuer"),
        (
            json!({ "iss": ["https://idp.example.com"] }),
            "token_iss_invalid",
            "issuer in an array",
        ),
        (
            json!({ "exp": START - 60 }),
            "token_expired",
            "the second at which leeway ends",
        ),
        (
            json!({ "exp": 0 }),
            "token_expired",
            "zero is a time, not `never`",
        ),
        (
            json!({ "exp": "9999999999" }),
            "token_exp_not_number",
            "a string",
        ),
        (json!({ "exp": -1 }), "token_exp_negative", "negative"),
        (
            json!({ "exp": null }),
            "token_exp_missing",
            "none, but required",
        ),
        (
            json!({ "nbf": START + 61 }),
            "token_not_yet_valid",
            "leeway and a second ahead",
        ),
        (json!({ "nbf": true }), "token_nbf_not_number", "no number"),
        (
            json!({ "aud": "other" }),
            "audience_not_allowed",
            "another audience",
        ),
        (
            json!({ "aud": ["other", "clients"] }),
            "audience_not_allowed",
            "a longer word",
        ),
        (
            json!({ "aud": null }),
            "audience_not_allowed",
            "no audience",
        ),
        (
            json!({ "aud": [] }),
            "audience_not_allowed",
            "an empty list",
        ),
        (
            json!({ "aud": ["client", 1] }),
            "token_aud_invalid",
            "a number among strings",
        ),
        (
            json!({ "email": null }),
            "claim_missing",
            "a required claim less",
        ),
        (
            json!({ "sub": "a\nb" }),
            "claim_not_forwardable",
            "line feed on its way to a header",
        ),
        (json!({ "sub": 1 }), "token_sub_invalid", "no string"),
    ];
    for (changes, reason, note) in cases {
        let fate = bed.get(&token(1, &claims(&changes)));
        assert_eq!(fate, Fate::Denied(reason), "{note}");
    }
    for (changes, note) in [
        (
            json!({ "exp": START - 59 }),
            "the last second within leeway",
        ),
        (json!({ "exp": i64::MAX }), "far away"),
        (json!({ "nbf": START + 60 }), "just within leeway"),
        (
            json!({ "aud": ["other", "client"] }),
            "one of several audiences",
        ),
        (json!({ "iat": START + 9999 }), "`iat` is not a condition"),
    ] {
        assert!(bed.get(&token(1, &claims(&changes))).is_allowed(), "{note}");
    }
}

#[test]
fn a_403_is_only_told_to_who_holds_a_genuine_token() {
    let mut bed = Bed::new(config(&inline(&[1])));
    let forged = sign(
        2,
        &json!({ "alg": "EdDSA", "kid": "1" }),
        &claims(&json!({ "aud": "other" })),
    );
    assert_eq!(bed.get(&forged), Fate::Denied("signature_invalid"));
    let unknown = token(2, &claims(&json!({ "aud": "other" })));
    assert_eq!(bed.get(&unknown), Fate::Denied("key_not_found"));
}

#[test]
fn algorithms_come_from_the_policy() {
    let mut policy = config(&inline(&[1]));
    policy["providers"][0]["algorithms"] = json!(["RS256"]);
    assert_eq!(
        Bed::new(policy).get(&good(1)),
        Fate::Denied("token_alg_not_allowed")
    );
}

#[test]
fn requests_without_a_usable_token_are_refused() {
    let mut bed = Bed::new(config(&inline(&[1])));
    let base = [
        (":method", "GET"),
        (":authority", "example.com"),
        (":path", "/app"),
    ];
    let token = std::format!("Bearer {}", good(1));
    let cases: [(&[(&str, &str)], &str); 5] = [
        (&[], "token_missing"),
        (&[("authorization", "Basic dTpw")], "token_missing"),
        (&[("authorization", "Bearer")], "token_malformed"),
        (&[("authorization", "Bearer a.b")], "token_malformed"),
        (
            &[("authorization", &token), ("Authorization", &token)],
            "token_repeated",
        ),
    ];
    for (more, reason) in cases {
        let headers: Vec<_> = base.iter().chain(more).copied().collect();
        assert_eq!(bed.send(&headers), Fate::Denied(reason), "{more:?}");
    }
}

#[test]
fn requests_that_are_none_are_refused() {
    let mut bed = Bed::new(config(&inline(&[1])));
    let cases: [(&[(&str, &str)], &str); 6] = [
        (&[], "request_malformed"),
        (
            &[(":method", "GET"), (":authority", "h")],
            "request_malformed",
        ),
        (
            &[
                (":method", "GET"),
                (":authority", "h"),
                (":path", "/app/%2f"),
            ],
            "request_malformed",
        ),
        (
            &[
                (":method", "GET"),
                (":authority", "h"),
                (":authority", "i"),
                (":path", "/app"),
            ],
            "request_malformed",
        ),
        (
            &[(":method", "GET"), (":authority", "h"), (":path", "/other")],
            "no_app_matched",
        ),
        (
            &[
                (":method", "GET"),
                (":authority", "h"),
                (":path", "/app/x/../health"),
            ],
            "path_ambiguous",
        ),
    ];
    for (headers, reason) in cases {
        assert_eq!(bed.send(headers), Fate::Denied(reason), "{headers:?}");
    }
}

#[test]
fn headers_that_carry_claims_are_removed_in_every_spelling_on_every_route() {
    let mut policy = config(&inline(&[1]));
    policy["unmatched"] = json!("allow");
    let mut bed = Bed::new(policy);
    let forged = [
        ("X-User-Id", "admin"),
        ("x_user_id", "admin"),
        ("x-user_email", "admin"),
        ("X.User.Email", "admin"),
        ("X-User-Id", "again"),
        ("x-user-identity", "kept"),
    ];
    let removed: Vec<String> = ["X-User-Id", "x_user_id", "x-user_email", "X.User.Email"]
        .map(String::from)
        .into();
    for path in ["/app/health", "/app/optional", "/elsewhere"] {
        let mut headers = vec![(":method", "GET"), (":authority", "h"), (":path", path)];
        headers.extend(forged);
        assert_eq!(
            bed.send(&headers),
            Fate::Allowed {
                added: vec![],
                removed: removed.clone()
            },
            "{path}"
        );
    }
    let token = std::format!("Bearer {}", token(1, &claims(&json!({ "email": "" }))));
    let mut headers = vec![(":method", "GET"), (":authority", "h"), (":path", "/app")];
    headers.extend(forged);
    headers.push(("authorization", &token));
    assert_eq!(
        bed.send(&headers),
        Fate::Allowed {
            added: added(&[("x-user-id", "alice")]),
            removed: removed
                .into_iter()
                .chain(["authorization".into()])
                .collect(),
        }
    );
}

#[test]
fn a_token_that_is_not_required_still_has_to_be_good() {
    let mut bed = Bed::new(config(&inline(&[1])));
    let mut send = |token: Option<&str>| {
        let token = token.map(|token| std::format!("Bearer {token}"));
        let mut headers = vec![
            (":method", "GET"),
            (":authority", "h"),
            (":path", "/app/optional/x"),
        ];
        if let Some(token) = &token {
            headers.push(("authorization", token));
        }
        bed.send(&headers)
    };
    let passes = Fate::Allowed {
        added: vec![],
        removed: vec![],
    };
    assert_eq!(send(None), passes);
    assert_eq!(
        send(Some(&good(1))),
        passes,
        "`forward_token` keeps the token"
    );
    assert_eq!(send(Some("a.b.c")), Fate::Denied("token_header_base64"));
    assert_eq!(
        send(Some(&token(1, &claims(&json!({ "exp": 1 }))))),
        Fate::Denied("token_expired")
    );
}

#[test]
fn the_provider_is_chosen_by_the_issuer_and_one_without_issuer_comes_last() {
    let mut policy = config(&inline(&[1]));
    let second = json!({
        "name": "second", "issuer": "https://second.example.com", "algorithms": ["EdDSA"],
        "clock_skew_secs": 0, "require_expiration": false, "keys": inline(&[2]),
    });
    let open = json!({
        "name": "open", "algorithms": ["EdDSA"],
        "clock_skew_secs": 0, "require_expiration": true, "keys": inline(&[3]),
    });
    policy["providers"]
        .as_array_mut()
        .unwrap()
        .extend([second, open]);
    policy["apps"][0]["auth"]["jwt"]["requirement"] = any_of(&[2, 1, 0]);
    let mut bed = Bed::new(policy);
    let by = |number, issuer: &str| token(number, &claims(&json!({ "iss": issuer })));
    let cases = [
        (by(1, "https://idp.example.com"), None, "its own issuer"),
        (
            by(2, "https://second.example.com"),
            None,
            "the other issuer",
        ),
        (
            by(3, "https://idp.example.com"),
            None,
            "the open provider takes every issuer",
        ),
        (
            by(3, "https://third.example.com"),
            None,
            "an issuer nobody names",
        ),
        (
            by(2, "https://idp.example.com"),
            Some("key_not_found"),
            "one issuer with another's key",
        ),
        (
            by(4, "https://idp.example.com"),
            Some("key_not_found"),
            "nobody's key",
        ),
    ];
    for (token, reason, note) in cases {
        match reason {
            None => assert!(bed.get(&token).is_allowed(), "{note}"),
            Some(reason) => assert_eq!(bed.get(&token), Fate::Denied(reason), "{note}"),
        }
    }
    // The refusal that came furthest is told: the audience of the named one, not the open one's key.
    let wrong_audience = token(1, &claims(&json!({ "aud": "other" })));
    assert_eq!(
        bed.get(&wrong_audience),
        Fate::Denied("audience_not_allowed")
    );
}

#[test]
fn audiences_of_the_app_replace_those_of_the_provider() {
    let mut policy = config(&inline(&[1]));
    policy["apps"][0]["auth"]["jwt"]["requirement"] =
        json!({ "provider": { "index": 0, "audiences": ["app"] } });
    let mut bed = Bed::new(policy);
    assert_eq!(bed.get(&good(1)), Fate::Denied("audience_not_allowed"));
    assert!(
        bed.get(&token(1, &claims(&json!({ "aud": "app" }))))
            .is_allowed()
    );
}

#[test]
fn an_explanation_tells_who_decided_and_nothing_secret() {
    let mut bed = Bed::new(config(&inline(&[1])));
    let token = token(1, &claims(&json!({ "exp": START - 432 })));
    let authorization = std::format!("Bearer {token}");
    let headers: [(&[u8], &[u8]); 4] = [
        (b":method", b"GET"),
        (b":authority", b"h"),
        (b":path", b"/app/optional/x"),
        (b"authorization", authorization.as_bytes()),
    ];
    let decision = bed
        .engine
        .handle_request(RequestId(1), &Request::new(&headers), bed.now)
        .unwrap();
    assert_eq!(
        bed.engine.explain(&decision),
        r#"{"decision":"deny","reason":"token_expired","status":401,"app":"app","route":"/optional/*","provider":"idp","kid":"1","evidence":"token expired 432 s ago: exp 1699999568, now 1700000000, leeway 60 s"}"#
    );
}

#[test]
fn evidence_is_cut_and_harmless() {
    let mut bed = Bed::new(config(&inline(&[1])));
    let long = std::format!("x\n\"{}", "é".repeat(5000));
    let header = json!({ "alg": "EdDSA", "kid": long });
    let token = sign(1, &header, &claims(&json!({ "iss": long })));
    let authorization = std::format!("Bearer {token}");
    let headers: [(&[u8], &[u8]); 4] = [
        (b":method", b"GET"),
        (b":authority", b"h"),
        (b":path", b"/app"),
        (b"authorization", authorization.as_bytes()),
    ];
    let decision = bed
        .engine
        .handle_request(RequestId(1), &Request::new(&headers), bed.now)
        .unwrap();
    let explanation = bed.engine.explain(&decision);
    assert!(explanation.len() < 1000, "{explanation}");
    assert!(!explanation.contains('\n'));
    let parsed: Value = serde_json::from_str(&explanation).unwrap();
    assert_eq!(
        parsed["kid"].as_str().unwrap().chars().count(),
        MAX_EVIDENCE_CHARS + 1
    );
}
