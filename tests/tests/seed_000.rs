//! The page that the policy language comes from, "Configure an App with SSO": its document as it stands,
//! each row of its table of fields, each step of its "How it Works", each of its providers' URLs.
//!
//! Decisions are compared natively, in `nexus-host` and in the oldest and newest Envoy. Not even the
//! document's URL has to be changed for that: the proxy's cluster of that name is the test's server. Where
//! a test counts what the server is asked, the URL is changed to that of the server.

use std::time::Duration;

use nexus_host::{Answer, StartError};
use nexus_tests::{
    cases::{
        self, Case, Expected, Request, Setting,
        wasm::{self, Bed},
    },
    envoy::{self, Config, Envoy},
    http,
    jwks_server::JwksServer,
    keys::{self, Algorithm, Key},
    nexusctl,
    tokens::{self, Token},
    upstream::Upstream,
};
use serde_json::{Value, json};

/// The document as the page has it.
const DOCUMENT: &str = include_str!("../../examples/sso-app/policy.json");
const URL: &str = "https://your-sso-provider.com/.well-known/jwks.json";
const ISSUER: &str = "https://your-sso-provider.com";
const AUDIENCE: &str = "your-app-client-id";
const TTL_VARIABLE: &str = "GATEWAY_JWKS__CACHE_TTL_SECS";

const INVALID: &str = "Bearer error=\"invalid_token\"";
const INSUFFICIENT: &str = "Bearer error=\"insufficient_scope\"";

fn idp() -> Key {
    keys::rsa().with_kid("key-1")
}

fn published() -> String {
    keys::jwks([idp().public_jwk()])
}

/// The document as it stands, with its keys published at its URL.
fn setting(name: &str) -> Setting {
    Setting::new(name, DOCUMENT).key_set(URL, &published())
}

/// The document with keys from somewhere else than a URL.
fn document_with_keys_from(field: &str, variable: &str) -> String {
    let mut document: Value = serde_json::from_str(DOCUMENT).expect("JSON");
    let auth = document["default_policy"]["auth"]
        .as_object_mut()
        .expect("`auth` is an object");
    auth.remove("jwks_url").expect("the page has it");
    auth.insert(field.to_owned(), json!(variable));
    document.to_string()
}

/// A token that the document lets pass, minted at `now`.
fn good(now: i64) -> Token {
    Token::empty()
        .claim("iss", ISSUER)
        .claim("aud", AUDIENCE)
        .claim("sub", "alice")
        .claim("email", "alice@example.com")
        .claim("iat", now)
        .claim("exp", now + 300)
}

fn sign(token: &Token) -> String {
    token.sign(&idp(), Algorithm::RS256)
}

fn case(name: &str, token: &str, expected: Expected) -> Case {
    Case {
        name: name.to_owned(),
        request: Request::get("/my-app/page").bearer(token),
        expected,
    }
}

/// It passes as this user.
fn passes_as(sub: &str, email: Option<&str>) -> Expected {
    let mut headers = vec![("authorization", None), ("x-user-id", Some(sub))];
    headers.extend(email.map(|email| ("x-user-email", Some(email))));
    Expected::allowed(headers)
}

fn alice() -> Expected {
    passes_as("alice", Some("alice@example.com"))
}

fn forbidden_audience() -> Expected {
    Expected::denied(
        403,
        "audience_not_allowed",
        "Audiences in Jwt are not allowed",
        Some(INVALID),
    )
}

fn claim_missing() -> Expected {
    Expected::denied(
        403,
        "claim_missing",
        "Required claim is missing in Jwt",
        Some(INSUFFICIENT),
    )
}

fn not_forwardable() -> Expected {
    Expected::denied(
        403,
        "claim_not_forwardable",
        "Jwt claim cannot be forwarded",
        Some(INSUFFICIENT),
    )
}

fn signature_invalid() -> Expected {
    Expected::invalid_token("signature_invalid", "Jwt verification fails")
}

fn algorithm_not_allowed() -> Expected {
    Expected::invalid_token("token_alg_not_allowed", "Jwt header [alg] is not supported")
}

fn check(setting: &Setting, cases: impl Fn(i64) -> Vec<Case>) {
    let mut ends = vec![envoy::oldest(), envoy::newest()];
    ends.dedup();
    cases::check(setting, cases, &ends);
}

/// The filter must not start, in `nexus-host` and in Envoy, and has to say why.
fn check_refused(setting: &Setting, reason: &str) {
    let bed = Bed::new();
    match bed.proxy.start_vm(wasm::module(), wasm::vm_config(setting)) {
        Err(StartError::ConfigureRefused { logs }) => assert!(
            logs.iter().any(|entry| entry.message.contains(reason)),
            "`{reason}` is not in {logs:?}"
        ),
        other => panic!("the filter has to refuse: {other:?}"),
    }
    let upstream = Upstream::start();
    let config = setting.environment().iter().fold(
        Config::new(upstream.addr()).filter(setting.compiled()),
        |config, (name, value)| config.host_env(name, value),
    );
    envoy::for_oldest_and_newest(|version| {
        let error = Envoy::try_start(version, &config).expect_err("Envoy has to refuse");
        assert!(error.log().contains(reason), "envoy {version}: {error}");
    });
}

// The document.

#[test]
fn the_document_compiles_as_it_stands_and_asks_for_one_cluster() {
    let output = nexusctl::Nexusctl::new(["compile-policy", "-"])
        .stdin(DOCUMENT)
        .run()
        .expect_code(0);
    let compiled = output.json();
    let remote = &compiled["providers"][0]["keys"]["remote"][0]["url"];
    assert_eq!(remote["url"], URL);
    assert_eq!(remote["cluster"], "your-sso-provider.com");
    assert_eq!(remote["path"], "/.well-known/jwks.json");
    assert!(
        output.stderr_text().contains("your-sso-provider.com"),
        "the cluster is told: {}",
        output.stderr_text()
    );
}

// The rows of the table "Auth Policy Fields".

#[test]
fn jwks_url_names_the_keys_that_tokens_are_verified_with() {
    let ed25519 = keys::for_algorithm(Algorithm::EdDSA).with_kid("key-2");
    let jwks = keys::jwks([idp().public_jwk(), ed25519.public_jwk()]);
    let setting = Setting::new("jwks_url", DOCUMENT).key_set(URL, &jwks);
    check(&setting, |now| {
        let token = good(now);
        let signed = sign(&token);
        vec![
            case("a key of the set", &signed, alice()),
            case(
                "another key of the set, of another kind",
                &token.sign(&ed25519, Algorithm::EdDSA),
                alice(),
            ),
            case(
                "no kid: any key that fits",
                &token.sign(keys::rsa(), Algorithm::RS256),
                alice(),
            ),
            case(
                "another key under the same kid",
                &token.sign(&keys::other_rsa().with_kid("key-1"), Algorithm::RS256),
                signature_invalid(),
            ),
            case(
                "another kid",
                &token.sign(&keys::rsa().with_kid("key-3"), Algorithm::RS256),
                Expected::invalid_token(
                    "key_not_found",
                    "Jwks doesn't have key to match kid or alg from Jwt",
                ),
            ),
            case(
                "one bit of the signature",
                &tokens::with_broken_signature(&signed),
                signature_invalid(),
            ),
            case(
                "a public key as a secret",
                &token.sign(
                    &Key::secret(keys::rsa().public_pem()).with_kid("key-1"),
                    Algorithm::HS256,
                ),
                algorithm_not_allowed(),
            ),
        ]
    });
}

#[test]
fn issuer_has_to_be_the_iss_of_the_token() {
    check(&setting("issuer"), |now| {
        let unknown =
            || Expected::invalid_token("token_issuer_unknown", "Jwt issuer is not configured");
        let of = |issuer: &str| sign(&good(now).claim("iss", issuer));
        vec![
            case("the same", &of(ISSUER), alice()),
            case("another", &of("https://another.example.com"), unknown()),
            case(
                "with a slash",
                &of("https://your-sso-provider.com/"),
                unknown(),
            ),
            case(
                "in upper case",
                &of("HTTPS://YOUR-SSO-PROVIDER.COM"),
                unknown(),
            ),
            case(
                "longer",
                &of("https://your-sso-provider.com.example"),
                unknown(),
            ),
            case("shorter", &of("https://your-sso-provider"), unknown()),
            case("empty", &of(""), unknown()),
            case("none", &sign(&good(now).without("iss")), unknown()),
            case(
                "a list",
                &sign(&good(now).claim("iss", json!([ISSUER]))),
                Expected::invalid_token(
                    "token_iss_invalid",
                    "Jwt payload [iss] field is not a string",
                ),
            ),
        ]
    });
}

#[test]
fn audience_has_to_be_in_the_aud_of_the_token() {
    check(&setting("audience"), |now| {
        let invalid = || {
            Expected::invalid_token(
                "token_aud_invalid",
                "Jwt payload [aud] field is not a string or string list",
            )
        };
        let of = |audience: Value| sign(&good(now).claim("aud", audience));
        vec![
            case("the same", &of(json!(AUDIENCE)), alice()),
            case("a list of it", &of(json!([AUDIENCE])), alice()),
            case("among others", &of(json!(["a", AUDIENCE, "b"])), alice()),
            case("another", &of(json!("another")), forbidden_audience()),
            case("others", &of(json!(["a", "b"])), forbidden_audience()),
            case("no list", &of(json!([])), forbidden_audience()),
            case(
                "a part of it",
                &of(json!("your-app-client")),
                forbidden_audience(),
            ),
            case(
                "in upper case",
                &of(json!("YOUR-APP-CLIENT-ID")),
                forbidden_audience(),
            ),
            case(
                "as a list in a string",
                &of(json!("your-app-client-id,b")),
                forbidden_audience(),
            ),
            case(
                "none",
                &sign(&good(now).without("aud")),
                forbidden_audience(),
            ),
            case("a number", &of(json!(7)), invalid()),
            case("a list with a number", &of(json!([AUDIENCE, 7])), invalid()),
        ]
    });
}

#[test]
fn required_claims_have_to_be_in_the_token() {
    check(&setting("required_claims"), |now| {
        let with = |name: &str, value: Value| sign(&good(now).claim(name, value));
        vec![
            case("both", &sign(&good(now)), alice()),
            case("no sub", &sign(&good(now).without("sub")), claim_missing()),
            case(
                "no email",
                &sign(&good(now).without("email")),
                claim_missing(),
            ),
            case(
                "neither",
                &sign(&good(now).without("sub").without("email")),
                claim_missing(),
            ),
            case("null", &with("email", Value::Null), claim_missing()),
            case(
                "one inside another claim",
                &sign(
                    &good(now)
                        .without("email")
                        .claim("user", json!({"email": "a"})),
                ),
                claim_missing(),
            ),
            case(
                "one in another case",
                &sign(&good(now).without("email").claim("Email", "a@example.com")),
                claim_missing(),
            ),
            case(
                "false is there",
                &with("email", json!(false)),
                passes_as("alice", Some("false")),
            ),
            case(
                "empty is there",
                &with("email", json!("")),
                passes_as("alice", None),
            ),
        ]
    });
}

#[test]
fn forward_claims_as_headers_tells_the_service_who_it_is() {
    check(&setting("forward_claims_as_headers"), |now| {
        let email = |value: Value| sign(&good(now).claim("email", value));
        let token = sign(&good(now));
        let mut cases = vec![
            case("text", &token, alice()),
            case(
                "a number",
                &email(json!(17)),
                passes_as("alice", Some("17")),
            ),
            case(
                "a list",
                &email(json!(["a", 1])),
                passes_as("alice", Some("[\"a\",1]")),
            ),
            case(
                "an object",
                &email(json!({"a": []})),
                passes_as("alice", Some("{\"a\":[]}")),
            ),
            case(
                "umlauts",
                &email(json!("zoë@example.com")),
                passes_as("alice", Some("zoë@example.com")),
            ),
            case(
                "a comma",
                &email(json!("a,b")),
                passes_as("alice", Some("a,b")),
            ),
            case(
                "two lines",
                &email(json!("a\r\nx-user-id: root")),
                not_forwardable(),
            ),
            case("a NUL", &email(json!("a\u{0}")), not_forwardable()),
            case("a space in front", &email(json!(" a")), not_forwardable()),
            case(
                "more than 8 KiB",
                &email(json!("a".repeat(8193))),
                not_forwardable(),
            ),
            case(
                "a sub that is no text",
                &sign(&good(now).claim("sub", 17)),
                Expected::invalid_token(
                    "token_sub_invalid",
                    "Jwt payload [sub] field is not a string",
                ),
            ),
        ];
        // What a client makes up never gets through, in whatever spelling.
        for (name, value) in [
            ("x-user-id", b"root".as_slice()),
            ("X-USER-ID", b"root"),
            ("X_User_Id", b"root"),
            ("x-user_email", b"root@example.com"),
            ("X-User-Id", b"\xff\xfe"),
            ("X-User-Id", b""),
        ] {
            let sent = name.to_ascii_lowercase();
            let mut expected = alice();
            expected.service_sees.entry(sent).or_insert(None);
            let mut forged = case(&format!("a forged {name}"), &token, expected);
            forged.name += &format!(" with {} bytes", value.len());
            forged.request = forged.request.header(name, value).header(name, "twice");
            cases.push(forged);
        }
        cases
    });
}

#[test]
fn jwt_secret_env_names_the_variable_with_the_hs256_secret() {
    let policy = document_with_keys_from("jwt_secret_env", "SSO_SECRET");
    let secret = keys::random_text(32);
    let setting = Setting::new("jwt_secret_env", &policy).env("SSO_SECRET", &secret);
    check(&setting, |now| {
        let by = |key: &Key, algorithm| good(now).sign(key, algorithm);
        let key = Key::secret(&secret);
        vec![
            case("the secret", &by(&key, Algorithm::HS256), alice()),
            case(
                "any kid",
                &by(&key.with_kid("whatever"), Algorithm::HS256),
                alice(),
            ),
            case(
                "another secret",
                &by(&Key::secret(keys::random_text(32)), Algorithm::HS256),
                signature_invalid(),
            ),
            case(
                "a part of it",
                &by(&Key::secret(&secret[..32]), Algorithm::HS256),
                signature_invalid(),
            ),
            case(
                "HS384",
                &by(&key, Algorithm::HS384),
                algorithm_not_allowed(),
            ),
            case("RS256", &sign(&good(now)), algorithm_not_allowed()),
        ]
    });
}

#[test]
fn jwt_secret_env_is_refused_without_a_secret_that_is_long_enough() {
    let policy = document_with_keys_from("jwt_secret_env", "SSO_SECRET");
    check_refused(
        &Setting::new("no secret", &policy),
        "the environment variable `SSO_SECRET` is not set",
    );
    check_refused(
        &Setting::new("short secret", &policy).env("SSO_SECRET", "opensesame"),
        "the environment variable `SSO_SECRET` holds no secret that may be used",
    );
}

#[test]
fn jwt_public_key_env_names_the_variable_with_the_rs256_key() {
    let policy = document_with_keys_from("jwt_public_key_env", "SSO_KEY");
    let pem = keys::rsa().public_pem();
    let setting = Setting::new("jwt_public_key_env", &policy).env("SSO_KEY", &pem);
    check(&setting, |now| {
        let by = |key: &Key, algorithm| good(now).sign(key, algorithm);
        vec![
            case("the key", &by(keys::rsa(), Algorithm::RS256), alice()),
            case("any kid", &by(&idp(), Algorithm::RS256), alice()),
            case(
                "another key",
                &by(keys::other_rsa(), Algorithm::RS256),
                signature_invalid(),
            ),
            case(
                "RS512 by the same key",
                &by(keys::rsa(), Algorithm::RS512),
                algorithm_not_allowed(),
            ),
            case(
                "the PEM as a secret",
                &by(&Key::secret(&pem), Algorithm::HS256),
                algorithm_not_allowed(),
            ),
        ]
    });
}

#[test]
fn jwt_public_key_env_is_refused_without_a_key() {
    let policy = document_with_keys_from("jwt_public_key_env", "SSO_KEY");
    check_refused(
        &Setting::new("no key", &policy),
        "the environment variable `SSO_KEY` is not set",
    );
    check_refused(
        &Setting::new("no PEM", &policy).env("SSO_KEY", "opensesame"),
        "the environment variable `SSO_KEY` holds no public key that may be used",
    );
}

// The steps of "How it Works".

#[test]
fn step_1_the_token_is_what_stands_behind_bearer_in_authorization() {
    check(&setting("step 1"), |now| {
        let token = sign(&good(now));
        let with = |name: &str, header: &str, value: &str, expected| Case {
            name: name.to_owned(),
            request: Request::get("/my-app/page").header(header, value),
            expected,
        };
        let missing = Expected::token_missing;
        let bearer = |scheme: &str| format!("{scheme} {token}");
        let mut in_query = case("in the query", &token, missing());
        in_query.request = Request::get(&format!("/my-app/page?access_token={token}"));
        vec![
            with("Bearer", "Authorization", &bearer("Bearer"), alice()),
            with("in lower case", "authorization", &bearer("bearer"), alice()),
            with("more spaces", "authorization", &bearer("Bearer  "), alice()),
            with("another scheme", "authorization", "Basic YTpi", missing()),
            with("no scheme", "authorization", &token, missing()),
            with("another header", "x-token", &token, missing()),
            with(
                "a cookie",
                "cookie",
                &format!("access_token={token}"),
                missing(),
            ),
            in_query,
            with(
                "nothing behind Bearer",
                "authorization",
                "Bearer",
                Expected::invalid_token(
                    "token_malformed",
                    "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
                ),
            ),
            with(
                "two tokens in one header",
                "authorization",
                &format!("Bearer {token}, Bearer {token}"),
                Expected::denied(
                    400,
                    "token_repeated",
                    "Found multiple Jwt tokens",
                    Some("Bearer error=\"invalid_request\""),
                ),
            ),
        ]
    });
}

#[test]
fn step_2_keys_are_fetched_once_and_cached_for_the_time_that_the_environment_says() {
    for (variable, seconds) in [(None, 300), (Some("60"), 60), (Some("86400"), 86_400)] {
        let mut setting = setting("step 2");
        if let Some(value) = variable {
            setting = setting.env(TTL_VARIABLE, value);
        }
        let bed = Bed::serving(&setting);
        let vm = bed.start_with_keys(&setting);
        let token = sign(&good(cases::NOW).claim("exp", cases::NOW + 1_000_000));
        let request = wasm::request(&Request::get("/my-app").bearer(&token));
        for _ in 0..50 {
            let stream = vm.request(request.clone());
            assert!(matches!(
                stream.outcome(),
                nexus_host::Outcome::Forwarded(_)
            ));
        }
        assert_eq!(bed.callouts.call_count(), 1, "50 requests cost one fetch");
        // A refresh comes before the keys' time is over: between 80 % and 90 % of it.
        bed.proxy.advance(Duration::from_secs(seconds * 8 / 10 - 1));
        assert_eq!(bed.callouts.call_count(), 1, "{seconds} s, too early");
        bed.proxy.advance(Duration::from_secs(seconds / 10 + 1));
        assert_eq!(bed.callouts.call_count(), 2, "{seconds} s, too late");
    }
}

#[test]
fn step_2_in_envoy_keys_are_cached_for_the_time_that_the_environment_says() {
    envoy::for_oldest_and_newest(|version| {
        let upstream = Upstream::start();
        let [cached, short] = [
            JwksServer::start(published()),
            JwksServer::start(published()),
        ];
        let start = |server: &JwksServer, ttl: Option<&str>| {
            let policy = DOCUMENT.replace(URL, &server.url());
            assert_ne!(policy, DOCUMENT, "the URL stands in the document");
            let config = Config::new(upstream.addr())
                .filter(nexusctl::compile_policy(&policy))
                .cluster(&server.authority(), server.addr());
            let config = match ttl {
                Some(ttl) => config.host_env(TTL_VARIABLE, ttl),
                None => config,
            };
            Envoy::start(version, &config)
        };
        let envoys = [start(&cached, None), start(&short, Some("1"))];
        let token = sign(&good(tokens::now()));
        for envoy in &envoys {
            for _ in 0..20 {
                let request = http::Request::get("/my-app").bearer(&token);
                assert_eq!(envoy.client().send(&request).status, 200);
            }
        }
        // Each VM (two workers, the main thread, and in newer Envoys one that checked the configuration)
        // has fetched once, and again each second where keys are good for one.
        assert!(short.wait_for_requests(12, Duration::from_secs(15)));
        assert!((1..=4).contains(&cached.count()), "{}", cached.count());
        assert_eq!(cached.requests()[0].path, "/.well-known/jwks.json");
        assert_eq!(cached.requests()[0].method, "GET");
    });
}

#[test]
fn step_2_a_lifetime_of_keys_that_is_no_number_is_refused() {
    for value in ["", "soon", "0", "86401", "-1", "1.5"] {
        let setting = setting("bad lifetime").env(TTL_VARIABLE, value);
        let bed = Bed::new();
        let error = bed
            .proxy
            .start_vm(wasm::module(), wasm::vm_config(&setting))
            .expect_err("the filter has to refuse");
        assert!(
            error
                .logs()
                .iter()
                .any(|entry| entry.message.contains(TTL_VARIABLE)),
            "{value:?}: {error}"
        );
    }
    check_refused(
        &setting("bad lifetime").env(TTL_VARIABLE, "soon"),
        TTL_VARIABLE,
    );
}

#[test]
fn step_3_signature_expiry_issuer_and_audience_are_validated() {
    check(&setting("step 3"), |now| {
        let stranger = keys::other_rsa().with_kid("key-1");
        let forged = |token: &Token| token.sign(&stranger, Algorithm::RS256);
        let expired = || Expected::invalid_token("token_expired", "Jwt is expired");
        let early = || Expected::invalid_token("token_not_yet_valid", "Jwt not yet valid");
        let at = |claim: &str, seconds: i64| good(now).claim(claim, now + seconds);
        vec![
            case("all good", &sign(&good(now)), alice()),
            case("signature", &forged(&good(now)), signature_invalid()),
            case("expiry", &sign(&at("exp", -90)), expired()),
            case("within the leeway", &sign(&at("exp", -30)), alice()),
            case("not yet", &sign(&at("nbf", 90)), early()),
            case("not yet, within the leeway", &sign(&at("nbf", 30)), alice()),
            case(
                "no expiry",
                &sign(&good(now).without("exp")),
                Expected::invalid_token("token_exp_missing", "Jwt verification fails"),
            ),
            case(
                "an expiry that is text",
                &sign(&good(now).claim("exp", (now + 300).to_string())),
                Expected::invalid_token(
                    "token_exp_not_number",
                    "Jwt payload [exp] field is not an integer",
                ),
            ),
            case(
                "an expiry with a fraction",
                &sign(&good(now).claim("exp", json!((now - 90) as f64 + 0.5))),
                expired(),
            ),
            case(
                "expired and forged: the cheap check comes first",
                &forged(&at("exp", -90)),
                expired(),
            ),
            case(
                "forged, for another audience: nobody learns what a genuine one would lack",
                &forged(&good(now).claim("aud", "another")),
                signature_invalid(),
            ),
            case(
                "audience",
                &sign(&good(now).claim("aud", "another")),
                forbidden_audience(),
            ),
        ]
    });
}

#[test]
fn step_4_required_claims_are_checked_of_genuine_tokens_only() {
    check(&setting("step 4"), |now| {
        let without = good(now).without("email");
        let other_audience = without.clone().claim("aud", "another");
        let stranger = keys::other_rsa().with_kid("key-1");
        vec![
            case("genuine", &sign(&without), claim_missing()),
            case(
                "forged",
                &without.sign(&stranger, Algorithm::RS256),
                signature_invalid(),
            ),
            case(
                "for another audience",
                &sign(&other_audience),
                forbidden_audience(),
            ),
        ]
    });
}

#[test]
fn step_5_and_6_claims_become_headers_and_the_request_goes_to_the_backend_as_it_is() {
    let setting = setting("steps 5 and 6");
    envoy::for_oldest_and_newest(|version| {
        let upstream = Upstream::start();
        let server = JwksServer::start(published());
        let config = Config::new(upstream.addr())
            .filter(setting.compiled())
            .cluster("your-sso-provider.com", server.addr());
        let envoy = Envoy::start(version, &config);
        let request = http::Request::new("POST", "/my-app/a%20b/?q=1&q=%2F")
            .bearer(sign(&good(tokens::now())))
            .header("content-type", "text/plain")
            .header("x-trace", "one")
            .header("x-trace", "\u{fc}ber")
            .body("x".repeat(100_000));
        let answer = envoy.client().send(&request);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = answer.seen();
        assert_eq!(
            (seen.method.as_str(), seen.path.as_str(), seen.body_length),
            ("POST", "/my-app/a%20b/?q=1&q=%2F", 100_000)
        );
        assert_eq!(seen.headers.all("x-user-id"), [b"alice"]);
        assert_eq!(seen.headers.all("x-user-email"), [b"alice@example.com"]);
        assert_eq!(
            seen.headers.all("x-trace"),
            [b"one".as_slice(), "\u{fc}ber".as_bytes()]
        );
        assert_eq!(
            seen.headers.text("content-type").as_deref(),
            Some("text/plain")
        );
        assert!(!seen.headers.contains("authorization"), "{seen:?}");
    });

    let bed = Bed::serving(&setting);
    let vm = bed.start_with_keys(&setting);
    let request = nexus_host::Request::new("POST", "app.example.com", "/my-app/a%20b/?q=1&q=%2F")
        .header(
            "authorization",
            format!("Bearer {}", sign(&good(cases::NOW))),
        )
        .body("first, ")
        .body("second");
    let stream = vm.request(request);
    let nexus_host::Outcome::Forwarded(forwarded) = stream.outcome() else {
        panic!("it has to pass: {stream:?}");
    };
    assert_eq!(forwarded.body, b"first, second");
    assert_eq!(
        forwarded.headers.first(":path"),
        Some(b"/my-app/a%20b/?q=1&q=%2F".as_slice())
    );
    stream
        .respond(
            nexus_host::Response::new(201)
                .header("x-kept", "1")
                .body("made"),
        )
        .expect("the backend answers");
    let response = stream.client_response().expect("the client has the answer");
    assert_eq!(response.status(), Some(201));
    assert_eq!(response.headers.first("x-kept"), Some(b"1".as_slice()));
    assert_eq!(response.whole_body(), b"made");
}

// The table "Provider JWKS URLs".

#[test]
fn presets_fetch_from_the_urls_of_the_providers_table() {
    let tenant_id = "11111111-2222-3333-4444-555555555555";
    let rows = [
        (
            json!({"preset": "auth0", "tenant": "acme"}),
            "https://<tenant>.auth0.com/.well-known/jwks.json",
            "acme",
        ),
        (
            json!({"preset": "keycloak", "host": "sso.example.com", "realm": "staff"}),
            "https://<host>/realms/<realm>/protocol/openid-connect/certs",
            "",
        ),
        (
            json!({"preset": "okta", "tenant": "acme"}),
            "https://<tenant>.okta.com/oauth2/default/v1/keys",
            "acme",
        ),
        (
            json!({"preset": "azure_ad", "tenant": tenant_id}),
            "https://login.microsoftonline.com/<tenant>/discovery/v2.0/keys",
            tenant_id,
        ),
        (
            json!({"preset": "google"}),
            "https://www.googleapis.com/oauth2/v3/certs",
            "",
        ),
    ];
    for (preset, url, tenant) in rows {
        let url = url
            .replace("<tenant>", tenant)
            .replace("<host>", "sso.example.com")
            .replace("<realm>", "staff");
        let mut document: Value = serde_json::from_str(DOCUMENT).expect("JSON");
        let auth = document["default_policy"]["auth"]
            .as_object_mut()
            .expect("`auth` is an object");
        auth.remove("jwks_url");
        auth.remove("issuer");
        auth.extend(preset.as_object().expect("an object").clone());
        let setting = Setting::new("preset", &document.to_string());
        let remotes = setting.remotes();
        let urls: Vec<&str> = remotes.iter().map(|remote| remote.url.as_str()).collect();
        assert_eq!(urls, [url.as_str()], "{preset}");

        // And this is what the filter asks for.
        let bed = Bed::new();
        bed.callouts.answer(
            &remotes[0].cluster,
            &remotes[0].path,
            Answer::json(published()),
        );
        let _vm = bed.start_with_keys(&setting);
        let calls = bed.callouts.calls();
        let [call] = &calls[..] else {
            panic!("{preset}: one fetch, not {calls:?}");
        };
        let part = |name: &str| {
            String::from_utf8_lossy(call.headers.first(name).unwrap_or_default()).into_owned()
        };
        assert_eq!(
            format!(
                "{}://{}{}",
                part(":scheme"),
                part(":authority"),
                part(":path")
            ),
            url
        );
    }
}
