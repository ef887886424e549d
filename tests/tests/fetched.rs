//! Keys where the issuer says they are, and tokens that are revoked: the same cases natively, through the
//! `.wasm`, by `nexusctl test-token` and in real Envoy.

use nexus_tests::{
    cases::{self, Case, Expected, Request, Setting},
    envoy,
    keys::{self, Algorithm, Key},
    tokens::{self, Token},
};
use serde_json::{Value, json};

const ISSUER: &str = "https://idp.example.com/tenant";
const INVALID: &str = "Bearer error=\"invalid_token\"";

fn key() -> Key {
    keys::rsa().with_kid("main")
}

fn retired() -> Key {
    keys::other_rsa().with_kid("retired")
}

fn jwks() -> String {
    keys::jwks([key().public_jwk(), retired().public_jwk()])
}

fn token(now: i64) -> Token {
    Token::empty()
        .claim("iss", ISSUER)
        .claim("aud", "orders")
        .claim("sub", "alice")
        .claim("jti", "t-0")
        .claim("iat", now)
        .claim("exp", now + 300)
}

fn policy(provider: &Value) -> String {
    let mut auth = json!({
        "auth_type": "jwt", "issuer": ISSUER, "audience": "orders",
        "forward_claims_as_headers": {"sub": "X-User-Id"},
    });
    for (name, value) in provider.as_object().expect("fields") {
        auth[name] = value.clone();
    }
    json!({"slug": "app", "gateway_path": "/", "default_policy": {"auth": auth}}).to_string()
}

fn discovering(name: &str, provider: Value) -> Setting {
    let mut fields = json!({"oidc_discovery": true});
    for (name, value) in provider.as_object().expect("fields") {
        fields[name] = value.clone();
    }
    Setting::new(name, &policy(&fields))
}

fn metadata(jwks_uri: &str) -> String {
    json!({"issuer": ISSUER, "jwks_uri": jwks_uri, "id_token_signing_alg_values_supported": ["RS256"]})
        .to_string()
}

fn check(setting: &Setting, cases: impl Fn(i64) -> Vec<Case> + Copy) {
    let mut ends = vec![envoy::oldest(), envoy::newest()];
    ends.dedup_by_key(|version| version.number);
    cases::check(setting, cases, &ends);
    cases::check_by_nexusctl(setting, cases);
}

fn case(name: &str, token: &str, expected: Expected) -> Case {
    Case {
        name: name.to_owned(),
        request: Request::get("/").bearer(token),
        expected,
    }
}

fn passes(sub: &str) -> Expected {
    Expected::allowed([("authorization", None), ("x-user-id", Some(sub))])
}

fn revoked() -> Expected {
    Expected::invalid_token("token_revoked", "Jwt verification fails")
}

fn good_and_bad(now: i64) -> Vec<Case> {
    let good = token(now).sign(&key(), Algorithm::RS256);
    let unknown = token(now).sign(&keys::rsa().with_kid("unknown"), Algorithm::RS256);
    vec![
        case("a good token", &good, passes("alice")),
        case(
            "a key that is not published",
            &unknown,
            Expected::invalid_token(
                "key_not_found",
                "Jwks doesn't have key to match kid or alg from Jwt",
            ),
        ),
        case(
            "a broken signature",
            &tokens::with_broken_signature(&good),
            Expected::invalid_token("signature_invalid", "Jwt verification fails"),
        ),
    ]
}

#[test]
fn discovery_finds_keys_on_the_issuers_host() {
    let url = "https://idp.example.com/tenant/keys?v=1";
    let setting = discovering("keys on the issuer's host", json!({}))
        .document(
            "https://idp.example.com/tenant/.well-known/openid-configuration",
            &metadata(url),
        )
        .key_set(url, &jwks());
    check(&setting, good_and_bad);
}

#[test]
fn discovery_finds_keys_by_rfc_8414_on_a_host_that_is_allowed() {
    let url = "https://keys.example.com:8443/tenant";
    let hosts = json!({"discovery_hosts": ["keys.example.com:8443"]});
    let setting = discovering("keys on another host", hosts)
        .document(
            "https://idp.example.com/.well-known/oauth-authorization-server/tenant",
            &metadata(url),
        )
        .key_set(url, &jwks());
    check(&setting, good_and_bad);
}

/// Whoever can change the document cannot make the filter trust other keys than those of the hosts that the
/// policy names. Not by `nexusctl`, whose `--jwks` takes the issuer's place.
#[test]
fn discovery_follows_no_document_that_leads_elsewhere() {
    let elsewhere = "https://evil.example.com/tenant/keys";
    let other_issuer =
        metadata("https://idp.example.com/tenant/keys").replace("/tenant\"", "/tenant/\"");
    for (name, document) in [
        ("another host", metadata(elsewhere)),
        ("no TLS", metadata("http://idp.example.com/tenant/keys")),
        (
            "another port",
            metadata("https://idp.example.com:8443/tenant/keys"),
        ),
        ("another issuer", other_issuer),
        (
            "no issuer",
            json!({"jwks_uri": "https://idp.example.com/tenant/keys"}).to_string(),
        ),
        ("no keys", json!({"issuer": ISSUER}).to_string()),
        ("no JSON", "<html>Sign in</html>".to_owned()),
    ] {
        let setting = discovering(name, json!({"jwks_timeout_ms": 300}))
            .document(
                "https://idp.example.com/tenant/.well-known/openid-configuration",
                &document,
            )
            .key_set("https://idp.example.com/tenant/keys", &jwks())
            .key_set(elsewhere, &jwks());
        let cases = |now| {
            let good = token(now).sign(&key(), Algorithm::RS256);
            let unavailable = Expected::denied(
                401,
                "jwks_unavailable",
                "Jwks remote fetch is failed",
                Some("Bearer"),
            );
            vec![case("a good token", &good, unavailable)]
        };
        cases::check(&setting, cases, &[envoy::newest()]);
    }
}

fn what_is_revoked() -> Value {
    json!({
        "jti": ["t/1", "d\u{e9}j\u{e0}"],
        "sub": ["mallory", {"sub": "bob", "issued_before": cases::NOW - 100}],
        "kid": ["retired"],
    })
}

fn cases_of_revocation(now: i64) -> Vec<Case> {
    let sign = |token: Token| token.sign(&key(), Algorithm::RS256);
    let payload = |jti: &str| {
        format!(
            r#"{{"iss":"{ISSUER}","aud":"orders","sub":"alice","iat":{now},"exp":{},"jti":{jti}}}"#,
            now + 300
        )
    };
    let header = br#"{"alg":"RS256","kid":"main"}"#;
    let spelt =
        |jti: &str| tokens::signed(header, payload(jti).as_bytes(), &key(), Algorithm::RS256);
    let mut cases = good_and_bad(now);
    cases.extend([
        case(
            "a `jti` of the list",
            &sign(token(now).claim("jti", "t/1")),
            revoked(),
        ),
        case("the same, spelt otherwise", &spelt(r#""t\/1""#), revoked()),
        case(
            "the same in escapes",
            &spelt(r#""\u0074\u002f\u0031""#),
            revoked(),
        ),
        case(
            "a `jti` beyond ASCII",
            &spelt(r#""d\u00e9j\u00e0""#),
            revoked(),
        ),
        case(
            "the same in other letters of Unicode",
            &spelt("\"de\u{301}ja\u{300}\""),
            passes("alice"),
        ),
        case(
            "a `jti` in another case",
            &sign(token(now).claim("jti", "T/1")),
            passes("alice"),
        ),
        case(
            "a `jti` with a space",
            &sign(token(now).claim("jti", "t/1 ")),
            passes("alice"),
        ),
        case(
            "the `jti` as a subject",
            &sign(token(now).claim("sub", "t/1")),
            passes("t/1"),
        ),
        case(
            "no `jti`",
            &sign(token(now).without("jti")),
            passes("alice"),
        ),
        case(
            "a subject of the list",
            &sign(token(now).claim("sub", "mallory")),
            revoked(),
        ),
        case(
            "a subject whose older tokens are revoked",
            &sign(
                token(now)
                    .claim("sub", "bob")
                    .claim("iat", cases::NOW - 101),
            ),
            revoked(),
        ),
        case(
            "its newer one",
            &sign(
                token(now)
                    .claim("sub", "bob")
                    .claim("iat", cases::NOW - 100),
            ),
            passes("bob"),
        ),
        case(
            "its one that does not say when",
            &sign(token(now).claim("sub", "bob").without("iat")),
            revoked(),
        ),
        case(
            "a key of the list",
            &token(now).sign(&retired(), Algorithm::RS256),
            revoked(),
        ),
        case(
            "the name of that key in a token of another one",
            &tokens::signed(
                br#"{"alg":"RS256","kid":"retired"}"#,
                payload("\"x\"").as_bytes(),
                &key(),
                Algorithm::RS256,
            ),
            Expected::invalid_token("signature_invalid", "Jwt verification fails"),
        ),
        case(
            "a revoked token for somebody else",
            &sign(token(now).claim("sub", "mallory").audience("others")),
            revoked(),
        ),
        case(
            "a revoked token that is expired",
            &sign(token(now).claim("sub", "mallory").claim("exp", now - 100)),
            Expected::invalid_token("token_expired", "Jwt is expired"),
        ),
        case(
            "a forged token with a name of the list",
            &tokens::with_broken_signature(&sign(token(now).claim("jti", "t/1"))),
            Expected::invalid_token("signature_invalid", "Jwt verification fails"),
        ),
        case(
            "another audience",
            &sign(token(now).audience("others")),
            Expected::denied(
                403,
                "audience_not_allowed",
                "Audiences in Jwt are not allowed",
                Some(INVALID),
            ),
        ),
    ]);
    cases
}

#[test]
fn revocation_by_the_policy() {
    let keys: Value = serde_json::from_str(&jwks()).expect("JSON");
    let fields = json!({"jwks": keys, "revoked": what_is_revoked()});
    check(
        &Setting::new("a list in the policy", &policy(&fields)),
        cases_of_revocation,
    );
}

#[test]
fn revocation_by_a_list_that_is_fetched() {
    let fields = json!({
        "jwks_url": "https://idp.example.com/keys",
        "revocation_url": "https://lists.example.com/revoked?key=1",
    });
    let setting = Setting::new("a list behind a URL", &policy(&fields))
        .key_set("https://idp.example.com/keys", &jwks())
        .document(
            "https://lists.example.com/revoked?key=1",
            &what_is_revoked().to_string(),
        );
    check(&setting, cases_of_revocation);
}

/// Nobody passes while it is not known who may not; what is refused anyway is told as it is.
#[test]
fn revocation_without_a_list_lets_nobody_through() {
    for (name, list) in [
        ("HTML", "<html>"),
        ("nothing", "{}"),
        ("a misspelt list", r#"{"jti": [], "subs": []}"#),
        ("a number", r#"{"jti": [7]}"#),
    ] {
        let fields = json!({
            "jwks_url": "https://idp.example.com/keys",
            "revocation_url": "https://lists.example.com/revoked",
            "revocation_timeout_ms": 300, "jwks_timeout_ms": 300,
        });
        let setting = Setting::new(name, &policy(&fields))
            .key_set("https://idp.example.com/keys", &jwks())
            .document("https://lists.example.com/revoked", list);
        let cases = |now| {
            let good = token(now).sign(&key(), Algorithm::RS256);
            vec![
                case(
                    "a good token",
                    &good,
                    Expected::denied(503, "revocations_unavailable", "Service Unavailable", None),
                ),
                case(
                    "a broken signature",
                    &tokens::with_broken_signature(&good),
                    Expected::invalid_token("signature_invalid", "Jwt verification fails"),
                ),
            ]
        };
        cases::check(&setting, cases, &[envoy::newest()]);
    }
}
