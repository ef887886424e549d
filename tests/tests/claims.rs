//! What a policy asks of tokens: issuers, types, lifetimes, subjects, claims and scopes; natively, through the `.wasm`,
//! in the oldest and the newest Envoy.

use nexus_tests::{
    cases::{self, Case, Expected, Request, Setting},
    envoy,
    keys::{self, Algorithm, Key},
    tokens::{self, Token},
};
use serde_json::{Value, json};

const ISSUER: &str = "https://idp.example.com";
const INSUFFICIENT: &str = "Bearer error=\"insufficient_scope\"";
/// Of the providers with one issuer each, and of that with a pattern.
const KEYS: [Algorithm; 3] = [Algorithm::EdDSA, Algorithm::ES256, Algorithm::ES384];

fn key(at: usize) -> Key {
    keys::for_algorithm(KEYS[at]).with_kid(&format!("key-{at}"))
}

fn jwks(at: usize) -> Value {
    json!({"keys": [key(at).public_jwk()]})
}

fn sign_with(at: usize, token: &Token) -> String {
    token.sign(&key(at), KEYS[at])
}

fn sign(token: &Token) -> String {
    sign_with(0, token)
}

/// A token that the provider `idp` accepts, minted at `now`.
fn token(now: i64) -> Token {
    Token::empty()
        .claim("iss", ISSUER)
        .claim("aud", "orders")
        .claim("exp", now + 300)
}

/// An app at `/slug` that asks this of the provider `idp`.
fn app(slug: &str, asks: Value) -> Value {
    app_of(slug, json!({"providers": ["idp"]}), asks)
}

fn app_of(slug: &str, mut auth: Value, asks: Value) -> Value {
    auth["auth_type"] = json!("jwt");
    for (name, value) in asks.as_object().expect("an object") {
        auth[name] = value.clone();
    }
    json!({
        "slug": slug, "hosts": ["app.example.com"], "gateway_path": format!("/{slug}"),
        "default_policy": {"auth": auth},
    })
}

/// An app at `/slug` with a provider of its own, like `idp` but for these members.
fn own(slug: &str, members: Value) -> Value {
    let idp = json!({"issuer": ISSUER, "audience": "orders", "jwks": jwks(0)});
    app_of(slug, idp, members)
}

fn policy() -> Value {
    json!({
        "providers": {
            "idp": {"issuer": ISSUER, "audience": "orders", "jwks": jwks(0)},
            "any": {"audience": "orders", "jwks": jwks(0)},
            "list": {"issuers": ["https://a.example.com", "https://b.test"], "audience": "orders", "jwks": jwks(1)},
            "pattern": {"issuer_pattern": "https://*.example.com", "audience": "orders", "jwks": jwks(2)},
        },
        "apps": [
            app_of("issuers", json!({"providers": ["any", "pattern", "list"]}), json!({})),
            own("types", json!({"token_types": ["JWT"]})),
            own("profile", json!({"profile": "rfc9068"})),
            own("subjects", json!({"subjects": ["alice", {"prefix": "svc-"}]})),
            own("lifetime", json!({"max_lifetime_secs": 600})),
            app("roles", json!({"required_claims": [
                "https://example.com/tenant",
                {"claim": ["realm_access", "roles"], "contains": "admin"},
            ]})),
            app("plan", json!({"required_claims": [
                {"claim": "plan", "one_of": ["gold", "silver"]}, {"claim": "n", "equals": 9_007_199_254_740_993_u64},
            ]})),
            app("mail", json!({"required_claims": [
                {"claim": "email", "matches": {"suffix": "@example.com"}},
            ]})),
            app("scopes", json!({"required_scopes": ["orders:read", "profile"]})),
            app("choice", json!({"required_scopes": ["orders:read"], "any_scope": ["admin", "clerk"]})),
        ],
    })
}

/// It passes, and the service does not see the token.
fn passes() -> Expected {
    Expected::allowed([("authorization", None)])
}

fn unverified(reason: &str) -> Expected {
    Expected::invalid_token(reason, "Jwt verification fails")
}

fn claim_missing() -> Expected {
    let body = "Required claim is missing in Jwt";
    Expected::denied(403, "claim_missing", body, Some(INSUFFICIENT))
}

fn claim_not_allowed() -> Expected {
    let body = "Required claim has no allowed value in Jwt";
    Expected::denied(403, "claim_not_allowed", body, Some(INSUFFICIENT))
}

fn scope_missing(scopes: &str) -> Expected {
    let challenge = format!("{INSUFFICIENT}, scope=\"{scopes}\"");
    let body = "Required scope is missing in Jwt";
    Expected::denied(403, "scope_missing", body, Some(&challenge))
}

fn check(name: &str, cases: impl Fn(i64) -> Vec<(&'static str, &'static str, String, Expected)>) {
    let mut ends = vec![envoy::oldest(), envoy::newest()];
    ends.dedup();
    let cases = |now| {
        cases(now)
            .into_iter()
            .map(|(name, app, token, expected)| Case {
                name: format!("{app}: {name}"),
                request: Request::get(&format!("/{app}/x")).bearer(&token),
                expected,
            })
            .collect()
    };
    cases::check(&Setting::new(name, &policy().to_string()), cases, &ends);
}

#[test]
fn the_issuer_of_a_token_says_which_keys_are_tried() {
    check("issuers", |now| {
        let by = |at, iss: &str| sign_with(at, &token(now).claim("iss", iss));
        let of = |provider: &str, expected: Expected| Expected {
            provider: Some(provider.to_owned()),
            ..expected
        };
        // What the provider of any issuer says, which alone is asked: its key is for another algorithm.
        let not_theirs = || {
            let body = "Jwt header [alg] is not supported";
            of(
                "any",
                Expected::invalid_token("token_alg_not_allowed", body),
            )
        };
        vec![
            (
                "one of a list",
                "issuers",
                by(1, "https://a.example.com"),
                of("list", passes()),
            ),
            (
                "another of the list",
                "issuers",
                by(1, "https://b.test"),
                of("list", passes()),
            ),
            (
                "one of a pattern",
                "issuers",
                by(2, "https://c.example.com"),
                of("pattern", passes()),
            ),
            (
                "a pattern takes an issuer of a list too",
                "issuers",
                by(2, "https://a.example.com"),
                of("pattern", passes()),
            ),
            (
                "any other",
                "issuers",
                by(0, "https://c.test"),
                of("any", passes()),
            ),
            (
                "none",
                "issuers",
                sign(&token(now).without("iss")),
                of("any", passes()),
            ),
            (
                "a pattern takes no host below",
                "issuers",
                by(2, "https://c.d.example.com"),
                not_theirs(),
            ),
            (
                "a pattern takes no other path",
                "issuers",
                by(2, "https://evil.test/.example.com"),
                not_theirs(),
            ),
            (
                "a pattern takes no userinfo",
                "issuers",
                by(2, "https://a@evil.example.com"),
                not_theirs(),
            ),
            (
                "a list is compared byte for byte",
                "issuers",
                by(1, "https://b.test/"),
                not_theirs(),
            ),
            (
                "a list takes no other case",
                "issuers",
                by(1, "https://B.test"),
                not_theirs(),
            ),
            (
                "an issuer is a string",
                "issuers",
                sign_with(1, &token(now).claim("iss", json!(["https://b.test"]))),
                Expected::invalid_token(
                    "token_iss_invalid",
                    "Jwt payload [iss] field is not a string",
                ),
            ),
        ]
    });
}

#[test]
fn types_subjects_and_lifetimes_are_those_that_a_provider_accepts() {
    check("terms", |now| {
        let typ = |typ: Value| sign(&token(now).header("typ", typ));
        let sub = |sub: &str| sign(&token(now).claim("sub", sub));
        let lives = |seconds: i64| sign(&token(now).claim("exp", now + seconds));
        let access = token(now)
            .header("typ", "at+jwt")
            .claim("sub", "alice")
            .claim("client_id", "web")
            .claim("iat", now)
            .claim("jti", "1");
        let untyped = tokens::signed(
            "{\"alg\":\"EdDSA\",\"kid\":\"key-0\"}",
            format!(
                "{{\"iss\":\"{ISSUER}\",\"aud\":\"orders\",\"exp\":{}}}",
                now + 300
            ),
            &key(0),
            KEYS[0],
        );
        let forged = |token: &Token| tokens::with_broken_signature(&sign(token));
        let no_type = || unverified("token_type_not_allowed");
        let no_subject = || unverified("subject_not_allowed");
        let too_long = || unverified("token_lifetime_too_long");
        let incomplete = || unverified("token_profile_claim_missing");
        vec![
            ("the type", "types", typ(json!("JWT")), passes()),
            ("in lower case", "types", typ(json!("jwt")), passes()),
            ("in full", "types", typ(json!("application/JWT")), passes()),
            ("another", "types", typ(json!("at+jwt")), no_type()),
            (
                "of another tree",
                "types",
                typ(json!("example/jwt")),
                no_type(),
            ),
            ("none", "types", untyped, no_type()),
            ("not ASCII", "types", typ(json!("JW\u{ff34}")), no_type()),
            (
                "no string",
                "types",
                typ(json!(["JWT"])),
                Expected::invalid_token("token_header_json", "Jwt header is an invalid JSON"),
            ),
            (
                "another and forged",
                "types",
                forged(&token(now).header("typ", "at+jwt")),
                no_type(),
            ),
            ("an access token", "profile", sign(&access), passes()),
            (
                "no access token",
                "profile",
                sign(&access.clone().header("typ", "JWT")),
                no_type(),
            ),
            (
                "without client",
                "profile",
                sign(&access.clone().without("client_id")),
                incomplete(),
            ),
            (
                "with a list of clients",
                "profile",
                sign(&access.clone().claim("client_id", json!(["web"]))),
                incomplete(),
            ),
            (
                "without subject",
                "profile",
                sign(&access.clone().without("sub")),
                incomplete(),
            ),
            (
                "without id",
                "profile",
                sign(&access.clone().without("jti")),
                incomplete(),
            ),
            (
                "without time",
                "profile",
                sign(&access.clone().without("iat")),
                incomplete(),
            ),
            (
                "that never expires",
                "profile",
                sign(&access.clone().without("exp")),
                unverified("token_exp_missing"),
            ),
            (
                "for somebody else",
                "profile",
                sign(&access.clone().claim("aud", "other")),
                Expected::denied(
                    403,
                    "audience_not_allowed",
                    "Audiences in Jwt are not allowed",
                    Some("Bearer error=\"invalid_token\""),
                ),
            ),
            ("alice", "subjects", sub("alice"), passes()),
            ("a service", "subjects", sub("svc-billing"), passes()),
            ("bob", "subjects", sub("bob"), no_subject()),
            ("almost alice", "subjects", sub("alice\u{0}"), no_subject()),
            ("almost a service", "subjects", sub("x svc-"), no_subject()),
            ("nobody", "subjects", sign(&token(now)), no_subject()),
            (
                "a forged bob",
                "subjects",
                forged(&token(now).claim("sub", "bob")),
                no_subject(),
            ),
            (
                "a forged alice",
                "subjects",
                forged(&token(now).claim("sub", "alice")),
                unverified("signature_invalid"),
            ),
            ("short", "lifetime", lives(590), passes()),
            ("long", "lifetime", lives(700), too_long()),
            (
                "for ever",
                "lifetime",
                sign(&token(now).claim("exp", i64::MAX)),
                too_long(),
            ),
            (
                "too long and forged",
                "lifetime",
                forged(&token(now).claim("exp", now + 700)),
                too_long(),
            ),
            (
                "without end",
                "lifetime",
                sign(&token(now).without("exp")),
                unverified("token_exp_missing"),
            ),
        ]
    });
}

#[test]
fn claims_of_genuine_tokens_are_what_an_app_asks_for() {
    const TENANT: &str = "https://example.com/tenant";
    check("claims", |now| {
        let roles = |roles: Value| {
            token(now)
                .claim(TENANT, "t")
                .claim("realm_access", json!({"roles": roles}))
        };
        let plan = |plan: Value, n: &str| {
            let claims = format!(
                "{{\"iss\":\"{ISSUER}\",\"aud\":\"orders\",\"exp\":{},\"plan\":{plan},\"n\":{n}}}",
                now + 300
            );
            tokens::signed(
                "{\"alg\":\"EdDSA\",\"kid\":\"key-0\"}",
                claims,
                &key(0),
                KEYS[0],
            )
        };
        let mail = |email: Value| sign(&token(now).claim("email", email));
        let exact = "9007199254740993";
        vec![
            (
                "a role of several",
                "roles",
                sign(&roles(json!(["x", "admin"]))),
                passes(),
            ),
            (
                "the only role",
                "roles",
                sign(&roles(json!("admin"))),
                passes(),
            ),
            (
                "another role",
                "roles",
                sign(&roles(json!(["administrator"]))),
                claim_not_allowed(),
            ),
            (
                "a word of a role",
                "roles",
                sign(&roles(json!("Domain admin"))),
                claim_not_allowed(),
            ),
            (
                "a role in a role",
                "roles",
                sign(&roles(json!([["admin"]]))),
                claim_not_allowed(),
            ),
            (
                "no role",
                "roles",
                sign(&roles(Value::Null)),
                claim_missing(),
            ),
            (
                "a role at the top",
                "roles",
                sign(
                    &token(now)
                        .claim(TENANT, "t")
                        .claim("realm_access.roles", json!(["admin"])),
                ),
                claim_missing(),
            ),
            (
                "no tenant",
                "roles",
                sign(&roles(json!(["admin"])).without(TENANT)),
                claim_missing(),
            ),
            (
                "forged without a role",
                "roles",
                tokens::with_broken_signature(&sign(&roles(Value::Null))),
                unverified("signature_invalid"),
            ),
            ("gold", "plan", plan(json!("gold"), exact), passes()),
            (
                "silver of several",
                "plan",
                plan(json!(["iron", "silver"]), exact),
                passes(),
            ),
            (
                "with a fraction of nothing",
                "plan",
                plan(json!("gold"), "9007199254740993.0"),
                passes(),
            ),
            (
                "iron",
                "plan",
                plan(json!("iron"), exact),
                claim_not_allowed(),
            ),
            (
                "gold as a key",
                "plan",
                plan(json!({"gold": true}), exact),
                claim_not_allowed(),
            ),
            (
                "what a float takes for the same",
                "plan",
                plan(json!("gold"), "9007199254740992"),
                claim_not_allowed(),
            ),
            (
                "as a text",
                "plan",
                plan(json!("gold"), "\"9007199254740993\""),
                claim_not_allowed(),
            ),
            ("an address", "mail", mail(json!("a@example.com")), passes()),
            (
                "an address of several",
                "mail",
                mail(json!(["a@x.test", "a@example.com"])),
                passes(),
            ),
            (
                "another domain",
                "mail",
                mail(json!("a@example.com.test")),
                claim_not_allowed(),
            ),
            ("a number", "mail", mail(json!(7)), claim_not_allowed()),
            ("nothing", "mail", mail(Value::Null), claim_missing()),
        ]
    });
}

#[test]
fn scopes_are_those_that_an_app_asks_for_and_the_challenge_names_them() {
    check("scopes", |now| {
        let scope = |scope: Value| sign(&token(now).claim("scope", scope));
        let scp = |scp: Value| sign(&token(now).claim("scp", scp));
        let both = "orders:read profile";
        vec![
            (
                "both",
                "scopes",
                scope(json!("profile x orders:read")),
                passes(),
            ),
            (
                "both in a list",
                "scopes",
                scp(json!(["orders:read", "profile"])),
                passes(),
            ),
            (
                "one in each claim",
                "scopes",
                sign(
                    &token(now)
                        .claim("scope", "profile")
                        .claim("scp", "orders:read"),
                ),
                passes(),
            ),
            (
                "one",
                "scopes",
                scope(json!("profile")),
                scope_missing(both),
            ),
            ("none", "scopes", sign(&token(now)), scope_missing(both)),
            (
                "a longer one",
                "scopes",
                scope(json!("profile orders:readonly")),
                scope_missing(both),
            ),
            (
                "with commas",
                "scopes",
                scope(json!("profile,orders:read")),
                scope_missing(both),
            ),
            (
                "a list of a list",
                "scopes",
                scp(json!(["orders:read profile"])),
                scope_missing(both),
            ),
            (
                "as keys",
                "scopes",
                scope(json!({"orders:read": 1, "profile": 1})),
                scope_missing(both),
            ),
            (
                "that would leave the challenge",
                "scopes",
                scope(json!("\", error=\"none\r\nx: y")),
                scope_missing(both),
            ),
            (
                "forged",
                "scopes",
                tokens::with_broken_signature(&scope(json!("x"))),
                unverified("signature_invalid"),
            ),
            (
                "and one of two",
                "choice",
                scope(json!("orders:read clerk")),
                passes(),
            ),
            (
                "none of two",
                "choice",
                scope(json!("orders:read")),
                scope_missing("orders:read admin clerk"),
            ),
            (
                "one of two alone",
                "choice",
                scope(json!("admin")),
                scope_missing("orders:read"),
            ),
            (
                "nothing",
                "choice",
                scope(json!("")),
                scope_missing("orders:read admin clerk"),
            ),
        ]
    });
}
