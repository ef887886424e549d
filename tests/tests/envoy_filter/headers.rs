//! What the service sees of a request: claims in headers, and never a header that a client made up.

use nexus_tests::{
    envoy::{self, Envoy},
    http::{Request, SeenRequest, escape},
    keys::Algorithm,
    upstream::Upstream,
};
use serde_json::{Value, json};

use crate::scene::{Health, assert_denied, good_token, inline_provider, key, token, with_policy};

/// The headers that carry claims in the policy here.
const PROTECTED: [&str; 7] = [
    "x-user-id",
    "x-number",
    "x-admin",
    "x-roles",
    "x-address",
    "x-name",
    "x-email",
];

/// Headers that a client sends.
type Forged = &'static [(&'static str, &'static [u8])];

/// Spellings that some service may take for `x-user-id` and `x-email`.
const FORGERIES: [(&str, Forged); 8] = [
    ("as it is", &[("x-user-id", b"admin")]),
    ("in mixed case", &[("X-User-ID", b"admin")]),
    ("twice", &[("X-User-Id", b"admin"), ("x-user-id", b"root")]),
    ("with underscores", &[("x_user_id", b"admin")]),
    (
        "with both",
        &[
            ("X_User-Id", b"admin"),
            ("X-User_Id", b"root"),
            ("X-USER-ID", b""),
        ],
    ),
    (
        "bytes that are no text",
        &[("x-user-id", b"\xFF\xFE"), ("X_USER_ID", b"\x80")],
    ),
    (
        "for a claim that the token lacks",
        &[("X-Email", b"admin@example.com"), ("x_email", b"a")],
    ),
    (
        "hop by hop",
        &[
            ("connection", b"X-User-Id, x_user_id"),
            ("x-user-id", b"admin"),
            ("x_user_id", b"a"),
        ],
    ),
];

#[test]
fn the_service_sees_claims_as_they_are_and_no_forged_header() {
    let upstream = Upstream::start();
    let config = with_policy(upstream.addr(), &policy());
    envoy::for_oldest_and_newest(|version| {
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        claims_become_headers(&envoy);
        forged_headers_are_removed(&envoy);
        the_token_is_kept_from_the_service_unless_the_policy_forwards_it(&envoy);
        health.assert_unharmed(&mut envoy);
    });
}

fn policy() -> Value {
    let auth = json!({
        "auth_type": "jwt",
        "providers": ["idp"],
        "forward_claims_as_headers": {
            "sub": "X-User-Id",
            "number": "X-Number",
            "admin": "X-Admin",
            "roles": "X-Roles",
            "address": "X-Address",
            "name": "X-Name",
            "email": "X-Email",
        },
    });
    let mut optional = auth.clone();
    optional["required"] = json!(false);
    let mut forwarding = auth.clone();
    forwarding["forward_token"] = json!(true);
    let plain = json!({"auth_type": "jwt", "providers": ["idp"]});
    json!({
        "providers": {"idp": inline_provider()},
        "apps": [{
            "slug": "app", "gateway_path": "/app",
            "default_policy": {"auth": auth},
            "routes": [
                {"path": "/public/*", "policy": {"auth": {"auth_type": "none"}}},
                {"path": "/optional/*", "policy": {"auth": optional}},
                {"path": "/token/*", "policy": {"auth": forwarding}},
                {"path": "/plain/*", "policy": {"auth": plain}},
            ],
        }],
        "unmatched": "allow",
    })
}

fn claims_become_headers(envoy: &Envoy) {
    let cases: [(&str, Value, Option<&str>, &str); 16] = [
        ("sub", json!("user-1"), Some("user-1"), "a string"),
        (
            "sub",
            json!("a b,c;\"d\"=%41"),
            Some("a b,c;\"d\"=%41"),
            "nothing is escaped",
        ),
        (
            "number",
            json!(9_007_199_254_740_993_u64),
            Some("9007199254740993"),
            "beyond 2^53",
        ),
        (
            "number",
            json!(u64::MAX),
            Some("18446744073709551615"),
            "beyond 2^63",
        ),
        ("number", json!(-1.5), Some("-1.5"), "a fraction"),
        ("admin", json!(true), Some("true"), "a boolean"),
        ("admin", json!(false), Some("false"), "the other one"),
        (
            "roles",
            json!(["a", "b,c", 1]),
            Some(r#"["a","b,c",1]"#),
            "an array",
        ),
        ("roles", json!([]), Some("[]"), "an empty array"),
        (
            "roles",
            json!(["a\r\nx-admin: true"]),
            Some(r#"["a\r\nx-admin: true"]"#),
            "escaped in JSON",
        ),
        (
            "address",
            json!({"city": "Köln"}),
            Some(r#"{"city":"Köln"}"#),
            "an object",
        ),
        (
            "name",
            json!("Zoë Čapek 東京 🙂"),
            Some("Zoë Čapek 東京 🙂"),
            "UTF-8",
        ),
        (
            "name",
            json!("\u{010a}\u{010d}"),
            Some("\u{010a}\u{010d}"),
            "no CR LF in a cut code point",
        ),
        ("name", json!(null), None, "null"),
        ("name", json!(""), None, "an empty string"),
        ("name", json!("-"), Some("-"), "one character"),
    ];
    let mut client = envoy.client();
    for (claim, value, expected, note) in cases {
        let header = match claim {
            "sub" => "x-user-id".to_owned(),
            other => format!("x-{other}"),
        };
        let signed = token().claim(claim, value).sign(&key(), Algorithm::RS256);
        let response = client.send(&Request::get("/app").bearer(signed));
        assert_eq!(response.status, 200, "{note}: {}", response.text());
        let seen = response.seen();
        let expected: Vec<_> = expected.into_iter().map(str::as_bytes).collect();
        assert_eq!(seen.headers.all(&header), expected, "{claim}: {note}");
    }
    let long = "x".repeat(8192);
    let signed = token()
        .claim("name", long.clone())
        .sign(&key(), Algorithm::RS256);
    let seen = client.send(&Request::get("/app").bearer(signed)).seen();
    assert_eq!(
        seen.headers.all("x-name"),
        [long.as_bytes()],
        "as long as can be"
    );
}

fn forged_headers_are_removed(envoy: &Envoy) {
    let good = good_token();
    let places = [
        ("/app", Some(&good), true, "a protected route"),
        (
            "/app/token/x",
            Some(&good),
            true,
            "one that forwards the token",
        ),
        (
            "/app/plain/x",
            Some(&good),
            false,
            "one that forwards no claim",
        ),
        ("/app/optional/x", Some(&good), true, "an optional token"),
        (
            "/app/optional/x",
            None,
            false,
            "an optional token that is missing",
        ),
        ("/app/public/x", None, false, "an open route"),
        (
            "/app/public/x",
            Some(&good),
            false,
            "an open route with a token",
        ),
        ("/elsewhere", None, false, "no app at all"),
    ];
    let mut client = envoy.client();
    for (path, token, is_told, place) in places {
        let expected = match is_told {
            true => vec![("x-user-id".to_owned(), "user".to_owned())],
            false => vec![],
        };
        for (note, forged) in FORGERIES {
            let mut request = Request::get(path).header("x-other_header", "kept");
            for (name, value) in forged {
                request = request.header(name, value);
            }
            if let Some(token) = token {
                request = request.bearer(token);
            }
            let response = client.send(&request);
            assert_eq!(response.status, 200, "{place}, {note}: {}", response.text());
            let seen = response.seen();
            assert_eq!(identity(&seen), expected, "{place}, {note}");
            assert_eq!(
                seen.headers.all("x-other_header"),
                [b"kept"],
                "{place}, {note}"
            );
        }
    }
    let optional = |token: &str| Request::get("/app/optional/x").bearer(token);
    let broken = nexus_tests::tokens::with_broken_signature(&good);
    assert_denied(
        &client.send(&optional(&broken)),
        "signature_invalid",
        "an optional token has to be good all the same",
    );
}

/// The headers that a service may take for an identity, in whatever spelling it saw them.
fn identity(seen: &SeenRequest) -> Vec<(String, String)> {
    let folded = |name: &str| name.to_ascii_lowercase().replace('_', "-");
    seen.headers
        .0
        .iter()
        .filter(|(name, _)| PROTECTED.contains(&folded(name).as_str()))
        .map(|(name, value)| (name.clone(), escape(value)))
        .collect()
}

fn the_token_is_kept_from_the_service_unless_the_policy_forwards_it(envoy: &Envoy) {
    let good = good_token();
    let sent = format!("Bearer {good}");
    let mut client = envoy.client();
    for (path, expected, note) in [
        ("/app", None, "verified and removed"),
        ("/app/optional/x", None, "optional, verified and removed"),
        ("/app/token/x", Some(&sent), "forwarded"),
        ("/app/public/x", Some(&sent), "not looked at"),
        ("/elsewhere", Some(&sent), "no app"),
    ] {
        let seen = client.send(&Request::get(path).bearer(&good)).seen();
        assert_eq!(
            seen.headers.text("authorization").as_ref(),
            expected,
            "{note}"
        );
    }
    let other = Request::get("/app/optional/x").header("authorization", "Basic dTpw");
    let seen = client.send(&other).seen();
    assert_eq!(
        seen.headers.text("authorization").as_deref(),
        Some("Basic dTpw"),
        "another scheme is the service's affair"
    );
}
