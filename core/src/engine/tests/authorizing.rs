//! What a provider asks of the form of its tokens, and an app of what genuine ones say.

use super::*;

/// A token of the first key with these claims beside those that always pass, written as they are here: no number is
/// rounded on its way.
fn written(header: &str, more: &str) -> String {
    let claims = std::format!(
        r#"{{"iss":"https://idp.example.com","aud":"client","exp":{},"email":"alice@example.com"{}{more}}}"#,
        START + 600,
        if more.is_empty() { "" } else { "," },
    );
    signed(
        1,
        &std::format!(r#"{{"alg":"EdDSA","kid":"1"{header}}}"#),
        &claims,
    )
}

fn signed(number: u8, header: &str, claims: &str) -> String {
    let input = std::format!(
        "{}.{}",
        base64url(header.as_bytes()),
        base64url(claims.as_bytes())
    );
    let signature = key(number).sign(input.as_bytes()).to_bytes();
    std::format!("{input}.{}", base64url(&signature))
}

/// A provider with these members more, and an app that asks for nothing beside.
fn provider_bed(members: &Value) -> Bed {
    let mut policy = config(&inline(&[1]));
    policy["apps"][0]["auth"]["jwt"]["handling"] = json!({});
    for (name, value) in members.as_object().unwrap() {
        policy["providers"][0][name] = value.clone();
    }
    Bed::new(policy)
}

fn handling_bed(handling: &Value) -> Bed {
    provider_bed(&json!({ "handling": handling }))
}

fn code(fate: &Fate) -> &'static str {
    match fate {
        Fate::Allowed { .. } => "allowed",
        Fate::Denied(code) => code,
        Fate::Waits(_) => "waits",
    }
}

#[test]
fn the_type_of_a_token_is_compared_as_a_media_type() {
    let mut bed = provider_bed(&json!({ "token_types": ["application/jwt", "example/x"] }));
    let cases = [
        (r#","typ":"JWT""#, "allowed"),
        (r#","typ":"jwt""#, "allowed"),
        (r#","typ":"application/jwt""#, "allowed"),
        (r#","typ":"Application/JWT""#, "allowed"),
        (r#","typ":"example/x""#, "allowed"),
        (r#","typ":"x""#, "token_type_not_allowed"),
        (r#","typ":"at+jwt""#, "token_type_not_allowed"),
        (r#","typ":"example/jwt""#, "token_type_not_allowed"),
        (r#","typ":"JWT ""#, "token_type_not_allowed"),
        (r#","typ":"/jwt""#, "token_type_not_allowed"),
        (
            r#","typ":"application/application/jwt""#,
            "token_type_not_allowed",
        ),
        (r#","typ":"""#, "token_type_not_allowed"),
        ("", "token_type_not_allowed"),
        (r#","typ":null"#, "token_header_json"),
        (r#","typ":["JWT"]"#, "token_header_json"),
    ];
    for (header, expected) in cases {
        assert_eq!(code(&bed.get(&written(header, ""))), expected, "{header}");
    }
}

#[test]
fn an_access_token_has_its_type_and_its_claims() {
    let mut bed = provider_bed(&json!({ "profile": "rfc9068", "require_expiration": false }));
    let good = json!({
        "iss": "https://idp.example.com", "aud": "client", "exp": START + 600, "sub": "alice",
        "client_id": "c", "iat": START, "jti": "1",
    });
    let mut get = |typ: &str, claims: &Value| {
        let header = json!({ "alg": "EdDSA", "kid": "1", "typ": typ }).to_string();
        code(&bed.get(&signed(1, &header, &claims.to_string())))
    };
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        assert_eq!(get(typ, &good), "allowed", "{typ}");
    }
    for typ in ["JWT", "jwt", "at+jw", "example/at+jwt"] {
        assert_eq!(get(typ, &good), "token_type_not_allowed", "{typ}");
    }
    for (name, expected) in [
        ("iss", "token_issuer_unknown"),
        ("aud", "token_profile_claim_missing"),
        ("exp", "token_profile_claim_missing"),
        ("sub", "token_profile_claim_missing"),
        ("client_id", "token_profile_claim_missing"),
        ("iat", "token_profile_claim_missing"),
        ("jti", "token_profile_claim_missing"),
    ] {
        let mut less = good.clone();
        less.as_object_mut().unwrap().remove(name);
        assert_eq!(get("at+jwt", &less), expected, "{name}");
    }
    for (name, value) in [
        ("client_id", json!(null)),
        ("client_id", json!(7)),
        ("client_id", json!(["c"])),
        ("aud", json!([])),
    ] {
        let mut odd = good.clone();
        odd[name] = value;
        assert_eq!(get("at+jwt", &odd), "token_profile_claim_missing", "{odd}");
    }
}

#[test]
fn what_is_left_of_a_life_is_less_than_the_longest() {
    let mut bed = provider_bed(&json!({ "max_lifetime_secs": 60, "require_expiration": false }));
    let cases = [
        (json!(START + 59), 0, "allowed"),
        (json!(START + 60), 0, "token_lifetime_too_long"),
        (json!(START + 60), 1, "allowed"),
        (json!(START + 61), 999, "token_lifetime_too_long"),
        (json!(START + 61), 1001, "allowed"),
        (json!(START - 59), 0, "allowed"),
        (json!(START - 60), 0, "token_expired"),
        (json!(i64::MAX), 0, "token_lifetime_too_long"),
        (json!(1e300), 0, "token_lifetime_too_long"),
        (json!(null), 0, "token_exp_missing"),
    ];
    for (exp, later, expected) in cases {
        bed.now = Timestamp::from_millis(START * 1000 + later);
        let token = token(1, &claims(&json!({ "exp": exp })));
        assert_eq!(code(&bed.get(&token)), expected, "{exp} {later}");
    }
}

#[test]
fn a_subject_matches_one_of_those_that_are_accepted() {
    let mut bed = provider_bed(&json!({ "subjects": [
        { "kind": "exact", "text": "alice" },
        { "kind": "prefix", "text": "svc-" },
        { "kind": "regex", "text": "u[0-9]*", "ignore_case": true },
    ]}));
    let cases = [
        (r#""sub":"alice""#, "allowed"),
        (r#""sub":"svc-a""#, "allowed"),
        (r#""sub":"U12""#, "allowed"),
        (r#""sub":"Alice""#, "subject_not_allowed"),
        (r#""sub":"alice ""#, "subject_not_allowed"),
        (r#""sub":"my-svc-a""#, "subject_not_allowed"),
        (r#""sub":"u12\n""#, "subject_not_allowed"),
        (r#""sub":"""#, "subject_not_allowed"),
        ("", "subject_not_allowed"),
        (r#""sub":null"#, "token_sub_invalid"),
        (r#""sub":["alice"]"#, "token_sub_invalid"),
    ];
    for (claims, expected) in cases {
        assert_eq!(code(&bed.get(&written("", claims))), expected, "{claims}");
    }
}

#[test]
fn terms_are_looked_at_before_the_signature_and_demands_only_behind_it() {
    let mut bed = provider_bed(&json!({
        "token_types": ["application/jwt"], "max_lifetime_secs": 700,
        "subjects": [{ "kind": "exact", "text": "alice" }],
        "handling": { "required_scopes": ["a"], "required_claims": ["plan"] },
    }));
    // Signed by another key than its `kid` says.
    let mut forged = |header: &str, changes: Value| {
        let header = std::format!(r#"{{"alg":"EdDSA","kid":"1"{header}}}"#);
        code(&bed.get(&signed(2, &header, &claims(&changes).to_string())))
    };
    let jwt = r#","typ":"JWT""#;
    assert_eq!(forged("", json!({})), "token_type_not_allowed");
    assert_eq!(
        forged(jwt, json!({ "exp": START + 700 })),
        "token_lifetime_too_long"
    );
    assert_eq!(forged(jwt, json!({ "sub": "bob" })), "subject_not_allowed");
    assert_eq!(forged(jwt, json!({})), "signature_invalid");
}

#[test]
fn a_claim_is_what_it_has_to_be() {
    let text = |text: &str| json!({ "string": text });
    let number = |text: &str| json!({ "number": text });
    let roles = json!(["realm_access", "roles"]);
    let admin = json!({ "claim": roles, "test": { "contains": text("admin") } });
    let one = json!({ "claim": "n", "test": { "equals": number("1") } });
    let big = json!({ "claim": "n", "test": { "equals": number("9007199254740993") } });
    let plan = json!({ "claim": "plan", "test": { "one_of": [text("gold"), text("silver"), number("3")] } });
    let truth =
        json!({ "claim": "https://example.com/ok", "test": { "equals": { "boolean": true } } });
    let mail = json!({ "claim": "mail", "test": { "matches": { "kind": "suffix", "text": "@example.com" } } });
    let scope = json!({ "claim": "scope", "test": { "contains": text("a:b") } });
    let dotted = json!("a.b");
    let cases = [
        (
            &admin,
            r#""realm_access":{"roles":["x","admin"]}"#,
            "allowed",
        ),
        (&admin, r#""realm_access":{"roles":"admin"}"#, "allowed"),
        (
            &admin,
            r#""realm_access":{"roles":["x","administrator"]}"#,
            "claim_not_allowed",
        ),
        (
            &admin,
            r#""realm_access":{"roles":["Admin"]}"#,
            "claim_not_allowed",
        ),
        (
            &admin,
            r#""realm_access":{"roles":"Domain admin"}"#,
            "claim_not_allowed",
        ),
        (
            &admin,
            r#""realm_access":{"roles":"domain-admin"}"#,
            "claim_not_allowed",
        ),
        (
            &admin,
            r#""realm_access":{"roles":[["admin"]]}"#,
            "claim_not_allowed",
        ),
        (
            &admin,
            r#""realm_access":{"roles":{"admin":true}}"#,
            "claim_not_allowed",
        ),
        (
            &admin,
            r#""realm_access":{"roles":[]}"#,
            "claim_not_allowed",
        ),
        (&admin, r#""realm_access":{"roles":null}"#, "claim_missing"),
        (&admin, r#""realm_access":["roles"]"#, "claim_missing"),
        (&admin, r#""roles":["admin"]"#, "claim_missing"),
        (&admin, r#""realm_access.roles":["admin"]"#, "claim_missing"),
        (&admin, "", "claim_missing"),
        (&one, r#""n":1"#, "allowed"),
        (&one, r#""n":1.0"#, "allowed"),
        (&one, r#""n":10e-1"#, "allowed"),
        (&one, r#""n":"1""#, "claim_not_allowed"),
        (&one, r#""n":true"#, "claim_not_allowed"),
        (&one, r#""n":[1]"#, "claim_not_allowed"),
        (&one, r#""n":1.00000000000000000001"#, "claim_not_allowed"),
        (&big, r#""n":9007199254740993"#, "allowed"),
        (&big, r#""n":9007199254740992"#, "claim_not_allowed"),
        (&plan, r#""plan":"gold""#, "allowed"),
        (&plan, r#""plan":3.0"#, "allowed"),
        (&plan, r#""plan":["free","silver"]"#, "allowed"),
        (&plan, r#""plan":"golden""#, "claim_not_allowed"),
        (&plan, r#""plan":"""#, "claim_not_allowed"),
        (&plan, r#""plan":"gold silver""#, "claim_not_allowed"),
        (&plan, r#""plan":"3""#, "claim_not_allowed"),
        (&truth, r#""https://example.com/ok":true"#, "allowed"),
        (
            &truth,
            r#""https://example.com/ok":"true""#,
            "claim_not_allowed",
        ),
        (&truth, r#""https://example.com/ok":1"#, "claim_not_allowed"),
        (&mail, r#""mail":"a@example.com""#, "allowed"),
        (&mail, r#""mail":["x","a@example.com"]"#, "allowed"),
        (
            &mail,
            r#""mail":"a@example.com.evil.test""#,
            "claim_not_allowed",
        ),
        (&mail, r#""mail":7"#, "claim_not_allowed"),
        (&scope, r#""scope":"x a:b""#, "allowed"),
        (&scope, r#""scope":["x","a:b"]"#, "allowed"),
        (&scope, r#""scope":["x a:b"]"#, "claim_not_allowed"),
        (&scope, r#""scope":"a:bc""#, "claim_not_allowed"),
        (&scope, r#""scope":"x\ta:b""#, "claim_not_allowed"),
        (&dotted, r#""a.b":0"#, "allowed"),
        (&dotted, r#""a.b":false"#, "allowed"),
        (&dotted, r#""a.b":"""#, "allowed"),
        (&dotted, r#""a.b":null"#, "claim_missing"),
        (&dotted, r#""a":{"b":1}"#, "claim_missing"),
    ];
    for (required, claims, expected) in cases {
        let mut bed = handling_bed(&json!({ "required_claims": [required] }));
        let fate = bed.get(&written("", claims));
        assert_eq!(code(&fate), expected, "{required} {claims}");
    }
}

#[test]
fn scopes_are_words_of_a_text_or_elements_of_a_list() {
    let mut bed =
        handling_bed(&json!({ "required_scopes": ["a", "b"], "any_scope": [["c", "d"]] }));
    let cases = [
        (r#""scope":"a b c""#, "allowed"),
        (r#""scope":"  d   b a ""#, "allowed"),
        (r#""scp":["a","b","d"]"#, "allowed"),
        (r#""scp":"a b c""#, "allowed"),
        (r#""scope":["a","b","c"]"#, "allowed"),
        (r#""scope":"a c","scp":["b"]"#, "allowed"),
        (r#""scope":"a b""#, "scope_missing"),
        (r#""scope":"a c d""#, "scope_missing"),
        (r#""scope":"A b c""#, "scope_missing"),
        (r#""scope":"a,b,c""#, "scope_missing"),
        (r#""scope":"a\tb\nc""#, "scope_missing"),
        (r#""scope":["a b c"]"#, "scope_missing"),
        (r#""scope":["a","b",["c"]]"#, "scope_missing"),
        (r#""scope":{"a":1,"b":1,"c":1}"#, "scope_missing"),
        (r#""scope":"ab c:read d-x""#, "scope_missing"),
        (r#""scope":7"#, "scope_missing"),
        (r#""scope":null"#, "scope_missing"),
        (r#""Scope":"a b c""#, "scope_missing"),
        (r#""scopes":"a b c""#, "scope_missing"),
        ("", "scope_missing"),
    ];
    for (claims, expected) in cases {
        assert_eq!(code(&bed.get(&written("", claims))), expected, "{claims}");
    }
}

#[test]
fn a_challenge_names_scopes_of_the_policy_alone() {
    let mut bed = handling_bed(&json!({
        "required_scopes": ["a", "b"], "any_scope": [["c", "d"], ["d", "e"]],
    }));
    let mut needed = |claims: &str| {
        let authorization = std::format!("Bearer {}", written("", claims));
        let headers: [(&[u8], &[u8]); 4] = [
            (b":method", b"GET"),
            (b":authority", b"example.com"),
            (b":path", b"/app"),
            (b"authorization", authorization.as_bytes()),
        ];
        let request = Request::new(&headers);
        match bed.engine.handle_request(RequestId(1), &request, bed.now) {
            Some(Decision {
                outcome: Outcome::Deny(denial),
                ..
            }) => denial.needed_scopes().join(" "),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(needed(""), "a b c d e");
    assert_eq!(needed(r#""scope":"a evil\" c""#), "a b d e");
    assert_eq!(needed(r#""scope":"a d""#), "a b");
    assert_eq!(needed(r#""sub":7"#), "");
}

#[test]
fn what_a_provider_and_a_rule_ask_for_has_to_hold_together() {
    let mut policy = config(&inline(&[1]));
    policy["providers"][0]["handling"] = json!({
        "required_claims": ["one"], "required_scopes": ["a"], "any_scope": [["c", "d"]],
    });
    policy["apps"][0]["auth"]["jwt"]["handling"] = json!({
        "required_claims": ["two"], "required_scopes": ["b"], "any_scope": [["e", "f"]],
    });
    let mut bed = Bed::new(policy);
    let cases = [
        (r#""one":1,"two":2,"scope":"a b c e""#, "allowed"),
        (r#""one":1,"two":2,"scope":"a b d f""#, "allowed"),
        (r#""one":1,"scope":"a b c e""#, "claim_missing"),
        (r#""two":1,"scope":"a b c e""#, "claim_missing"),
        (r#""one":1,"two":2,"scope":"a c e""#, "scope_missing"),
        (r#""one":1,"two":2,"scope":"b c e""#, "scope_missing"),
        (r#""one":1,"two":2,"scope":"a b c d""#, "scope_missing"),
        (r#""one":1,"two":2,"scope":"a b e f""#, "scope_missing"),
    ];
    for (claims, expected) in cases {
        assert_eq!(code(&bed.get(&written("", claims))), expected, "{claims}");
    }
}

#[test]
fn the_issuer_says_whose_token_it_is_before_any_key_is_tried() {
    let named = |name: &str, issuer: Value, key: u8| {
        let mut provider = provider(&inline(&[key]));
        provider.as_object_mut().unwrap().remove("issuer");
        provider["name"] = json!(name);
        for (member, value) in issuer.as_object().unwrap() {
            provider[member] = value.clone();
        }
        provider
    };
    let mut policy = config(&inline(&[1]));
    policy["providers"] = json!([
        named("any", json!({}), 4),
        named(
            "pattern",
            json!({ "issuer_pattern": "https://*.example.com" }),
            3
        ),
        named(
            "list",
            json!({ "issuers": ["https://a.example.com", "https://b.test"] }),
            2
        ),
    ]);
    let jwt = &mut policy["apps"][0]["auth"]["jwt"];
    jwt["requirement"] = any_of(&[0, 1, 2]);
    jwt["handling"] = json!({});
    let mut bed = Bed::new(policy);
    let cases = [
        (json!("https://a.example.com"), 2, "allowed"),
        (json!("https://b.test"), 2, "allowed"),
        (json!("https://c.example.com"), 3, "allowed"),
        (json!("https://c.test"), 4, "allowed"),
        (json!(null), 4, "allowed"),
        // Those with a looser claim to the issuer are asked too.
        (json!("https://a.example.com"), 3, "allowed"),
        (json!("https://a.example.com"), 4, "allowed"),
        // Those with none are not.
        (json!("https://c.example.com"), 2, "key_not_found"),
        (json!("https://c.x.example.com"), 3, "key_not_found"),
        (json!(null), 3, "key_not_found"),
    ];
    for (iss, key, expected) in cases {
        let token = token(key, &claims(&json!({ "iss": iss })));
        assert_eq!(code(&bed.get(&token)), expected, "{iss} {key}");
    }
}

#[test]
fn a_configuration_that_cannot_be_meant_gives_no_engine() {
    let refused = [
        (
            json!({ "issuers": ["https://b.example.com"] }),
            "names its issuers in two ways",
        ),
        (
            json!({ "issuer_pattern": "https://*.test" }),
            "names its issuers in two ways",
        ),
        (
            json!({ "profile": "rfc9068", "token_types": ["application/jwt"] }),
            "has token types beside a profile",
        ),
        (
            json!({ "subjects": [{ "kind": "regex", "text": "(" }] }),
            "has a subject that cannot be compared with",
        ),
        (
            json!({ "handling": { "any_scope": [[]] } }),
            "asks for one of no scopes",
        ),
        (
            json!({ "handling": { "required_claims": [
                { "claim": "a", "test": { "matches": { "kind": "exact", "text": "" } } },
            ]}}),
            "has a claim that cannot be compared with",
        ),
    ];
    for (members, problem) in refused {
        let mut policy = config(&inline(&[1]));
        for (name, value) in members.as_object().unwrap() {
            policy["providers"][0][name] = value.clone();
        }
        let policy = Config::parse(policy.to_string().as_bytes()).unwrap();
        let error =
            Engine::new(policy, &environment, 7, Timestamp::from_seconds(START)).unwrap_err();
        assert!(error.to_string().ends_with(problem), "{members}: {error}");
    }
    for (member, value) in [
        ("issuer_pattern", json!("https://example.com")),
        ("profile", json!("rfc9069")),
        ("handling", json!({ "required_claims": [[]] })),
        ("handling", json!({ "required_claims": [{ "claim": "a" }] })),
        (
            "handling",
            json!({ "required_claims": [{ "claim": "a", "test": { "equals": { "number": "x" } } }] }),
        ),
    ] {
        let mut policy = config(&inline(&[1]));
        policy["providers"][0][member] = value;
        let parsed = Config::parse(policy.to_string().as_bytes());
        assert!(parsed.is_err(), "{policy}");
    }
}
