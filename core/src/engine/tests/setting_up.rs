use super::*;

fn refusal(config: &Value) -> String {
    match Config::parse(config.to_string().as_bytes()) {
        Err(error) => error.to_string(),
        Ok(config) => Engine::new(config, &environment, 1, Timestamp::from_seconds(START))
            .expect_err("the configuration is refused")
            .to_string(),
    }
}

#[test]
fn what_the_engine_cannot_work_with_is_refused_by_name() {
    let cases: [(&str, Value, &str); 25] = [
        (
            "/nexus",
            json!(1),
            "the configuration has version 1, this filter reads version 3",
        ),
        ("/unmatched", json!("maybe"), "unknown word `maybe`"),
        ("/typo", json!(1), "unknown field `typo`"),
        (
            "/providers/0/algorithms",
            json!([]),
            "`idp` allows no algorithm",
        ),
        (
            "/providers/0/algorithms",
            json!(["none"]),
            "unknown word `none`",
        ),
        (
            "/providers/0/algorithms",
            json!(["HS256"]),
            "`idp` allows a symmetric algorithm with a remote key set",
        ),
        ("/apps/0/hosts", json!([]), "`app` has no host"),
        (
            "/apps/0/routes/0",
            json!({"path": "/[", "path_kind": "regex", "auth": "none"}),
            "`app` cannot be matched: the path of a route cannot be used: the class at character 2 has no `]`",
        ),
        (
            "/apps/0/routes/1",
            json!({"path": "/", "auth": "none", "query": [
                {"name": "x", "test": {"matches": {"kind": "regex", "text": "("}}}
            ]}),
            "`app` cannot be matched: a condition of a route cannot be used: the regular expression cannot be used: \
             the group at character 1 has no `)`",
        ),
        (
            "/apps/0/path",
            json!("app"),
            "`app` has a path that is not absolute",
        ),
        (
            "/apps/0/auth/jwt/requirement",
            json!({ "any_of": [] }),
            "`app` names no provider",
        ),
        (
            "/apps/0/auth/jwt/requirement",
            json!({ "provider": { "index": 1 } }),
            "`app` names a provider that does not exist",
        ),
        (
            "/apps/0/auth/jwt/handling/forward_claims/0/to/header",
            json!(":path"),
            "`:path` is no header that something can be passed on in",
        ),
        (
            "/apps/0/auth/jwt/handling/forward_claims/0/to",
            json!({ "filter_state": "a:b" }),
            "`a:b` is no key of filter state",
        ),
        (
            "/apps/0/auth/jwt/handling/forward_payload",
            json!({ "to": { "header": "X-Payload" } }),
            "`X-Payload` is no header that something can be passed on in",
        ),
        (
            "/apps/0/auth/jwt/handling/forward_payload",
            json!({ "to": { "header": "x_user-id" } }),
            "`app` passes on two values in one place",
        ),
        (
            "/apps/0/auth/jwt/handling/forward_claims/0/to/header",
            json!("x-user_email"),
            "`app` passes on two values in one place",
        ),
        (
            "/providers/0/handling",
            json!({ "forward_claims": [{ "claim": "name", "to": { "header": "x-user-id" } }] }),
            "`app` passes on two values in one place",
        ),
        (
            "/providers/0/keys",
            json!({ "fixed": { "secret_env": "UNSET" } }),
            "the environment variable `UNSET` is not set; pass it on by `vm_config.environment_variables.host_env_keys`",
        ),
        (
            "/providers/0/keys",
            json!({ "fixed": { "public_key_env": "NO_PEM" } }),
            "the environment variable `NO_PEM` holds no public key that may be used",
        ),
        (
            "/providers/0/keys",
            json!({}),
            "`idp` has no source of keys",
        ),
        (
            "/providers/0/keys",
            json!({ "fixed": { "jwks": { "keys": [] } } }),
            "`idp` has no key that may be used",
        ),
        (
            "/providers/0/keys",
            json!({ "fixed": { "jwks": jwks(&[1]) }, "pinned": ["A".repeat(43)] }),
            "`idp` has no key that may be used",
        ),
        (
            "/providers/0/keys/pinned",
            json!(["A".repeat(44)]),
            "`idp` pins something other than a thumbprint",
        ),
        (
            "/providers/0/keys",
            json!({ "fixed": { "jwks": jwks(&[1]), "secret_env": "SECRET" } }),
            "the configuration is not one that `nexusctl compile-policy` wrote",
        ),
    ];
    for (place, value, expected) in cases {
        let mut policy = config(&remote());
        match policy.pointer_mut(place) {
            Some(slot) => *slot = value,
            None => {
                let (parent, member) = place.rsplit_once('/').unwrap();
                policy.pointer_mut(parent).unwrap()[member] = value;
            }
        }
        let message = refusal(&policy);
        assert!(message.contains(expected), "{message}\n{expected}");
    }
    let mut policy = config(&json!({ "fixed": { "secret_env": "SHORT_SECRET" } }));
    policy["providers"][0]["algorithms"] = json!(["HS256"]);
    let message = refusal(&policy);
    assert!(
        message.starts_with("the environment variable `SHORT_SECRET` holds no secret"),
        "{message}"
    );
    assert!(!message.contains("`short`"), "{message}");
}

#[test]
fn a_secret_from_the_environment_verifies_tokens() {
    use jwt_compact::alg::{Hs256, Hs256Key};
    use jwt_compact::{Algorithm as _, AlgorithmSignature as _};
    let mut policy = config(&json!({ "fixed": { "secret_env": "SECRET" } }));
    policy["providers"][0]["algorithms"] = json!(["HS256"]);
    let mut bed = Bed::new(policy);
    let sign = |secret: &[u8]| {
        let input = std::format!(
            "{}.{}",
            base64url(br#"{"alg":"HS256"}"#),
            base64url(claims(&json!({})).to_string().as_bytes())
        );
        let signature = Hs256.sign(&Hs256Key::new(secret), input.as_bytes());
        std::format!("{input}.{}", base64url(&signature.as_bytes()))
    };
    assert!(bed.get(&sign(SECRET)).is_allowed());
    assert_eq!(
        bed.get(&sign(b"another secret of thirty-two byt")),
        Fate::Denied("signature_invalid")
    );
}
