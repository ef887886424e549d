//! Several sources of keys at once: a move between identity providers, keys of the policy while nothing can be
//! fetched, and pinned keys. The same cases natively, through the `.wasm` and in real Envoy.

use nexus_tests::{
    cases::{self, Case, Expected, Request, Setting},
    envoy,
    keys::{self, Algorithm, Key},
    tokens::{self, Token},
};
use serde_json::{Value, json};

const OLD: &str = "https://old.example.com/jwks";
const NEW: &str = "https://new.example.com/oauth2/jwks?v=2";
const ISSUER: &str = "https://idp.example.com";

fn old() -> Key {
    keys::rsa().with_kid("old")
}

fn new() -> Key {
    keys::for_algorithm(Algorithm::ES256).with_kid("new")
}

/// The key that stands in the policy.
fn own() -> Key {
    keys::for_algorithm(Algorithm::EdDSA).with_kid("own")
}

fn setting(name: &str, provider: &Value) -> Setting {
    let mut auth = json!({
        "auth_type": "jwt", "issuer": ISSUER, "audience": "orders", "jwks_timeout_ms": 800,
        "forward_claims_as_headers": {"sub": "X-User-Id"},
    });
    for (name, value) in provider.as_object().expect("fields") {
        auth[name] = value.clone();
    }
    let policy = json!({"slug": "app", "gateway_path": "/", "default_policy": {"auth": auth}});
    Setting::new(name, &policy.to_string())
}

fn set(keys: &[Key]) -> String {
    keys::jwks(keys.iter().map(Key::public_jwk))
}

fn inline(keys: &[Key]) -> Value {
    serde_json::from_str(&set(keys)).expect("a key set is JSON")
}

fn token(now: i64) -> Token {
    Token::empty()
        .claim("iss", ISSUER)
        .claim("aud", "orders")
        .claim("sub", "alice")
        .claim("iat", now)
        .claim("exp", now + 300)
}

fn by_old(now: i64) -> String {
    token(now).sign(&old(), Algorithm::RS256)
}

fn by_new(now: i64) -> String {
    token(now).sign(&new(), Algorithm::ES256)
}

fn by_own(now: i64) -> String {
    token(now).sign(&own(), Algorithm::EdDSA)
}

/// A token by a key that nobody has.
fn by_nobody(now: i64) -> String {
    token(now).sign(&keys::other_rsa().with_kid("nobody"), Algorithm::RS256)
}

fn case(name: &str, token: &str, expected: Expected) -> Case {
    Case {
        name: name.to_owned(),
        request: Request::get("/").bearer(token),
        expected,
    }
}

fn passes(name: &str, token: &str) -> Case {
    let seen = Expected::allowed([("authorization", None), ("x-user-id", Some("alice"))]);
    case(name, token, seen)
}

fn unavailable(name: &str, token: &str) -> Case {
    let denial = Expected::denied(
        401,
        "jwks_unavailable",
        "Jwks remote fetch is failed",
        Some("Bearer"),
    );
    case(name, token, denial)
}

fn unknown(name: &str, token: &str) -> Case {
    let denial = Expected::invalid_token(
        "key_not_found",
        "Jwks doesn't have key to match kid or alg from Jwt",
    );
    case(name, token, denial)
}

fn forged(name: &str, token: &str) -> Case {
    let denial = Expected::invalid_token("signature_invalid", "Jwt verification fails");
    case(name, token, denial)
}

fn check(setting: &Setting, cases: impl Fn(i64) -> Vec<Case> + Copy) {
    let mut ends = vec![envoy::oldest(), envoy::newest()];
    ends.dedup_by_key(|version| version.number);
    cases::check(setting, cases, &ends);
}

#[test]
fn during_a_move_tokens_of_both_identity_providers_pass() {
    let both = setting("a move", &json!({"jwks_urls": [OLD, NEW]}))
        .key_set(OLD, &set(&[old()]))
        .key_set(NEW, &set(&[new()]));
    check(&both, |now| {
        vec![
            passes("by the old key", &by_old(now)),
            passes("by the new key", &by_new(now)),
            unknown("by a key that nobody has", &by_nobody(now)),
            forged(
                "with a broken signature",
                &tokens::with_broken_signature(&by_new(now)),
            ),
            forged(
                "by one under the name of the other",
                &token(now).sign(&keys::other_rsa().with_kid("old"), Algorithm::RS256),
            ),
        ]
    });
}

#[test]
fn who_is_gone_keeps_out_nobody_whose_key_is_known() {
    let moved = setting("the old one is gone", &json!({"jwks_urls": [OLD, NEW]}))
        .down(OLD)
        .key_set(NEW, &set(&[new()]));
    check(&moved, |now| {
        vec![
            passes("by the new key", &by_new(now)),
            unavailable("by the key of the one that is gone", &by_old(now)),
            unavailable("by a key that nobody has", &by_nobody(now)),
            passes("by the new key, still", &by_new(now)),
        ]
    });
}

#[test]
fn keys_of_the_policy_are_good_while_nothing_can_be_fetched() {
    for (name, source) in [
        ("one URL", json!({"jwks_url": OLD})),
        ("two URLs", json!({"jwks_urls": [OLD, NEW]})),
        ("discovery", json!({"oidc_discovery": true})),
    ] {
        let mut provider = source;
        provider["jwks"] = inline(&[own()]);
        let alone = setting(name, &provider).down(OLD).down(NEW);
        check(&alone, |now| {
            vec![
                passes("by the key of the policy", &by_own(now)),
                unavailable("by another", &by_old(now)),
                forged(
                    "with a broken signature",
                    &tokens::with_broken_signature(&by_own(now)),
                ),
            ]
        });
    }
}

#[test]
fn of_a_source_that_publishes_a_foreign_key_only_the_pinned_one_counts() {
    let provider = json!({
        "jwks_url": OLD, "jwks": inline(&[own(), new()]),
        "pinned_keys": [old().thumbprint(), own().thumbprint()],
    });
    let foreign = || keys::other_rsa().with_kid("foreign");
    let pinned = setting("pinned keys", &provider).key_set(OLD, &set(&[foreign(), old()]));
    check(&pinned, |now| {
        vec![
            passes("by the pinned key", &by_old(now)),
            passes("by the pinned key of the policy", &by_own(now)),
            unknown(
                "by the foreign key",
                &token(now).sign(&foreign(), Algorithm::RS256),
            ),
            unknown("by a key of the policy that is not pinned", &by_new(now)),
            forged(
                "by the foreign key, unnamed",
                &token(now).sign(&foreign().without_kid(), Algorithm::RS256),
            ),
            forged(
                "by the foreign key under the name of the pinned one",
                &token(now).sign(&foreign().with_kid("old"), Algorithm::RS256),
            ),
        ]
    });
    let nothing = setting("no pinned key", &provider).key_set(OLD, &set(&[foreign()]));
    check(&nothing, |now| {
        let unusable = Expected::denied(
            401,
            "jwks_unusable",
            "Jwks doesn't have any valid public key",
            Some("Bearer"),
        );
        vec![
            passes("by the pinned key of the policy", &by_own(now)),
            case("by the pinned key that is gone", &by_old(now), unusable),
        ]
    });
}
