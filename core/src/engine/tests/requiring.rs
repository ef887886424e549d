//! What a rule asks for: modes, any of several providers, all of several, and what is only reported.

use super::*;

/// Two providers with the same issuer and two audiences, and one of another issuer; `requirement` decides.
fn bed(requirement: Value) -> Bed {
    bed_with(requirement, json!({}))
}

fn bed_with(requirement: Value, auth: Value) -> Bed {
    let mut policy = config(&inline(&[1]));
    let mut second = provider(&inline(&[1]));
    second["audiences"] = json!(["second"]);
    let mut other = provider(&inline(&[2]));
    other["issuer"] = json!("https://other.example.com");
    policy["providers"] = json!([provider(&inline(&[1])), second, other]);
    let jwt = &mut policy["apps"][0]["auth"]["jwt"];
    jwt["requirement"] = requirement;
    for (name, value) in auth.as_object().unwrap() {
        jwt[name] = value.clone();
    }
    Bed::new(policy)
}

fn asks(index: u32) -> Value {
    json!({ "provider": { "index": index } })
}

fn code(fate: Fate) -> String {
    match fate {
        Fate::Allowed { added, .. } => match added.is_empty() {
            true => "anonymous".into(),
            false => "identified".into(),
        },
        Fate::Denied(code) => code.into(),
        Fate::Waits(_) => "waits".into(),
    }
}

/// What becomes of a request without token, of one for the first provider, for the second, for both, for the
/// third, of a forged one and of one of no issuer that is known.
fn fates(bed: &mut Bed) -> [String; 7] {
    let both = token(1, &claims(&json!({ "aud": ["client", "second"] })));
    let second = token(1, &claims(&json!({ "aud": "second" })));
    let other = token(2, &claims(&json!({ "iss": "https://other.example.com" })));
    let forged = sign(
        2,
        &json!({ "alg": "EdDSA", "kid": "1" }),
        &claims(&json!({})),
    );
    let stranger = token(
        1,
        &claims(&json!({ "iss": "https://stranger.example.com" })),
    );
    let without = bed.send(&[
        (":method", "GET"),
        (":authority", "example.com"),
        (":path", "/app"),
    ]);
    [
        code(without),
        code(bed.get(&good(1))),
        code(bed.get(&second)),
        code(bed.get(&both)),
        code(bed.get(&other)),
        code(bed.get(&forged)),
        code(bed.get(&stranger)),
    ]
}

#[test]
fn requirements_are_fulfilled_by_what_they_say() {
    let missing = "token_missing";
    let audience = "audience_not_allowed";
    let invalid = "signature_invalid";
    let unknown = "token_issuer_unknown";
    let yes = "identified";
    let no = "anonymous";
    let cases = [
        (
            asks(0),
            [missing, yes, audience, yes, unknown, invalid, unknown],
            "one provider",
        ),
        (
            any_of(&[0, 1]),
            [missing, yes, yes, yes, unknown, invalid, unknown],
            "any of one issuer's two",
        ),
        (
            any_of(&[0, 1, 2]),
            [missing, yes, yes, yes, yes, invalid, unknown],
            "any of all",
        ),
        (
            json!({ "all_of": [asks(0), asks(1)] }),
            [missing, audience, audience, yes, unknown, invalid, unknown],
            "both, by one token",
        ),
        (
            json!({ "all_of": [asks(0), asks(2)] }),
            [
                missing, missing, audience, missing, missing, invalid, unknown,
            ],
            "tokens of two issuers, of which one place holds one",
        ),
        (
            json!({ "any_of": [{ "all_of": [asks(0), asks(1)] }, asks(2)] }),
            [missing, audience, audience, yes, yes, invalid, unknown],
            "a combination",
        ),
        (
            json!({ "allow_missing": asks(0) }),
            [no, yes, audience, yes, unknown, invalid, unknown],
            "none or a good one",
        ),
        (
            json!({ "allow_missing_or_failed": asks(0) }),
            [no, yes, no, yes, no, no, no],
            "none, a good one or a bad one",
        ),
        (
            json!({ "all_of": [asks(0), { "allow_missing": asks(2) }] }),
            [missing, yes, audience, yes, missing, invalid, unknown],
            "one, and perhaps another",
        ),
        (
            json!({ "all_of": [asks(0), { "allow_missing_or_failed": asks(1) }] }),
            [missing, yes, audience, yes, unknown, invalid, unknown],
            "one, and whatever another says",
        ),
        (
            json!({ "allow_missing": { "all_of": [asks(0), asks(2)] } }),
            [no, missing, audience, missing, missing, invalid, unknown],
            "both or none, not one of them",
        ),
    ];
    for (requirement, expected, note) in cases {
        assert_eq!(fates(&mut bed(requirement)), expected, "{note}");
    }
}

#[test]
fn an_audience_of_a_part_replaces_that_of_the_provider() {
    let mut bed = bed(json!({ "provider": { "index": 0, "audiences": ["second"] } }));
    assert_eq!(code(bed.get(&good(1))), "audience_not_allowed");
    let second = token(1, &claims(&json!({ "aud": "second" })));
    assert_eq!(code(bed.get(&second)), "identified");
}

#[test]
fn claims_of_a_provider_and_of_a_rule_add_up() {
    let mut policy = config(&inline(&[1]));
    policy["providers"][0]["handling"] = json!({
        "required_claims": ["team"], "forward_token": true,
        "forward_claims": [{ "claim": "team", "to": { "header": "x-team" } }],
    });
    let mut bed = Bed::new(policy);
    assert_eq!(code(bed.get(&good(1))), "claim_missing");
    let team = token(1, &claims(&json!({ "team": "dev" })));
    assert_eq!(
        bed.get(&team),
        Fate::Allowed {
            added: [
                ("x-team", "dev"),
                ("x-user-id", "alice"),
                ("x-user-email", "alice@example.com"),
            ]
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .to_vec(),
            removed: vec![],
        }
    );
}

#[test]
fn a_token_that_only_part_of_its_providers_accept_is_removed_unless_all_of_those_forward_it() {
    let mut policy = config(&inline(&[1]));
    policy["providers"] = json!([provider(&inline(&[1])), provider(&inline(&[1]))]);
    policy["providers"][0]["handling"] = json!({ "forward_token": true });
    policy["apps"][0]["auth"]["jwt"]["requirement"] = json!({ "all_of": [asks(0), asks(1)] });
    let Fate::Allowed { removed, .. } = Bed::new(policy.clone()).get(&good(1)) else {
        panic!("denied");
    };
    assert_eq!(removed, ["authorization"]);
    policy["providers"][1]["handling"] = json!({ "forward_token": true });
    let Fate::Allowed { removed, .. } = Bed::new(policy).get(&good(1)) else {
        panic!("denied");
    };
    assert_eq!(removed, [""; 0]);
}

#[test]
fn a_rule_that_reports_lets_everything_pass_and_says_what_it_would_have_done() {
    let mut bed = bed_with(asks(0), json!({ "enforcement": "report" }));
    let report = |fate: Fate| match fate {
        Fate::Allowed { added, .. } => {
            let (name, value) = added.last().cloned().unwrap();
            assert_eq!(name, REPORT_HEADER);
            (value, added.len() - 1)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(report(bed.get(&good(1))), ("allow".into(), 2));
    let expired = token(1, &claims(&json!({ "exp": START - 600 })));
    assert_eq!(
        report(bed.get(&expired)),
        ("deny; reason=token_expired".into(), 0)
    );
    let forged = bed.send(&[
        (":method", "GET"),
        (":authority", "example.com"),
        (":path", "/app"),
        ("X-Nexus-Report", "allow"),
        ("x-user-id", "admin"),
    ]);
    let Fate::Allowed { added, removed } = forged else {
        panic!("{forged:?}");
    };
    assert_eq!(removed, ["X-Nexus-Report", "x-user-id"]);
    assert_eq!(
        added,
        [(REPORT_HEADER.into(), "deny; reason=token_missing".into())]
    );
    let malformed = bed.send(&[
        (":method", "GET"),
        (":authority", "example.com"),
        (":path", "/app/%00"),
    ]);
    assert_eq!(malformed, Fate::Denied("request_malformed"));
}

#[test]
fn a_rule_that_reports_leaves_the_token_in_the_request_wherever_it_stands() {
    let sources = json!([
        { "header": { "name": "authorization", "prefix": "Bearer " } },
        { "query": "token" },
        { "cookie": "session" },
    ]);
    let removed = |enforcement: &str, forward_token: bool, headers: &[(&str, &str)]| {
        let mut policy = config(&inline(&[1]));
        policy["apps"][0]["auth"]["jwt"]["enforcement"] = json!(enforcement);
        policy["providers"][0]["handling"] =
            json!({ "token_sources": sources, "forward_token": forward_token });
        let mut request = std::vec![
            (":method", "GET"),
            (":authority", "example.com"),
            ("x-user-id", "admin"),
        ];
        request.extend(headers);
        match Bed::new(policy).send(&request) {
            Fate::Allowed { added, removed } => {
                let path = added.iter().find(|(name, _)| name == ":path");
                assert!(added.contains(&("x-user-id".into(), "alice".into())));
                (removed, path.map(|(_, path)| path.clone()))
            }
            other => panic!("{other:?}"),
        }
    };
    let token = good(1);
    let bearer = std::format!("Bearer {token}");
    let query = std::format!("/app?token={token}&a=b");
    let cookie = std::format!("session={token}");
    /// Headers, those that are taken away, and the path where it changes.
    type Case<'c> = (&'c [(&'c str, &'c str)], &'c [&'c str], Option<&'c str>);
    let cases: [Case<'_>; 3] = [
        (
            &[(":path", "/app"), ("authorization", &bearer)],
            &["authorization"],
            None,
        ),
        (&[(":path", &query)], &[], Some("/app?a=b")),
        (&[(":path", "/app"), ("cookie", &cookie)], &["cookie"], None),
    ];
    for (headers, taken, path) in cases {
        let strict = std::iter::once("x-user-id").chain(taken.iter().copied());
        assert_eq!(
            removed("deny", false, headers),
            (strict.map(String::from).collect(), path.map(String::from))
        );
        for forward_token in [false, true] {
            assert_eq!(
                removed("report", forward_token, headers),
                (std::vec![String::from("x-user-id")], None),
                "{headers:?}"
            );
        }
    }
}

#[test]
fn a_rule_that_reports_says_so_where_keys_do_not_come() {
    let mut policy = config(&remote());
    policy["apps"][0]["auth"]["jwt"]["enforcement"] = json!("report");
    let mut bed = Bed::new(policy);
    let id = bed.get(&good(1)).waits();
    bed.serve(FetchAnswer::NoResponse);
    bed.advance(5_000);
    let Fate::Allowed { added, removed } = bed.fate_of(id) else {
        panic!("denied");
    };
    assert_eq!(removed, [""; 0]);
    assert_eq!(
        added,
        [(REPORT_HEADER.into(), "deny; reason=jwks_unavailable".into())]
    );
}

#[test]
fn the_header_of_reports_is_removed_where_nothing_reports() {
    let mut bed = Bed::new(config(&inline(&[1])));
    let fate = bed.send(&[
        (":method", "GET"),
        (":authority", "example.com"),
        (":path", "/app/health"),
        ("x_nexus_report", "allow"),
    ]);
    assert_eq!(
        fate,
        Fate::Allowed {
            added: vec![],
            removed: vec!["x_nexus_report".into()],
        }
    );
}

#[test]
fn a_requirement_that_cannot_be_asked_is_refused() {
    let mut deep = asks(0);
    for _ in 0..config::MAX_REQUIREMENT_DEPTH {
        deep = json!({ "allow_missing": deep });
    }
    for requirement in [
        asks(3),
        json!({ "any_of": [] }),
        json!({ "all_of": [] }),
        deep,
    ] {
        let mut policy = config(&inline(&[1]));
        policy["apps"][0]["auth"]["jwt"]["requirement"] = requirement.clone();
        let policy = Config::parse(policy.to_string().as_bytes()).unwrap();
        let engine = Engine::new(policy, &environment, 7, Timestamp::from_seconds(START));
        assert!(
            matches!(engine, Err(SetupError::Inconsistent { .. })),
            "{requirement}"
        );
    }
}
