//! Every text of Envoy's `jwt_authn` that a client hears: provoked natively and through the `.wasm`, and in
//! Envoy side by side with `jwt_authn` itself, which has to give the same status and body.
//!
//! Which texts there are is read from `docs/envoy-status.md`. Those that are about keys are provoked by the
//! tests of `nexus-core`.

use std::{collections::BTreeMap, fs};

use nexus_tests::{
    artifacts,
    cases::{self, Case, Expected, Request, Setting},
    envoy::{self, Config, Envoy},
    http,
    jwks_server::{Answer, JwksServer},
    keys::{self, Algorithm, Key},
    tokens::{self, Token},
    upstream::Upstream,
};
use serde_json::{Value, json};

use crate::scene::{ISSUER, key};

const DOWN: &str = "https://down.example.com";
const UNUSABLE: &str = "https://unusable.example.com";

/// A text, and a request that is answered with it.
struct Row {
    /// Envoy's number of it.
    code: u8,
    /// The code of `docs/deny-reasons.md`.
    reason: &'static str,
    status: u16,
    request: Request,
}

/// What `jwt_authn` does in the cases of texts that it has and never says: status, and Envoy's number of the text that
/// it says instead; none where the request passes.
fn instead(code: u8) -> Option<(u16, Option<u8>)> {
    match code {
        // It gets both values of the header as one, joined by a comma.
        27 => Some((401, Some(4))),
        // A set that it fetched and that has no usable key counts as one that it could not fetch.
        31 => Some((401, Some(40))),
        _ => None,
    }
}

/// The texts that the documentation says clients hear, by Envoy's number.
fn texts() -> BTreeMap<u8, String> {
    let path = artifacts::repository().join("docs/envoy-status.md");
    let page = fs::read_to_string(&path).expect("docs/envoy-status.md");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .map(|line| line.split(" | ").collect::<Vec<_>>())
        .filter(|cells| cells.len() == 4 && cells[1].starts_with('`'))
        .collect();
    assert_eq!(rows.len(), 73, "the rows of Envoy's table");
    rows.into_iter()
        .filter(|cells| cells[3].starts_with("the reply"))
        .map(|cells| {
            let code = cells[0].trim_start_matches("| ");
            (code.parse().expect(code), cells[2].to_owned())
        })
        .collect()
}

fn ed25519() -> Key {
    keys::for_algorithm(Algorithm::EdDSA).with_kid("key-2")
}

fn rows(now: i64) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |code, reason, status, request| {
        rows.push(Row {
            code,
            reason,
            status,
            request,
        });
    };
    let get = || Request::get("/app");
    let good = token(now).sign(&key(), Algorithm::RS256);
    add(1, "token_missing", 401, get());
    add(27, "token_repeated", 400, get().bearer(&good).bearer(&good));
    for (code, reason, token) in malformed(now) {
        add(code, reason, 401, get().bearer(&token));
    }
    for (code, reason, name, value) in claims() {
        let token = token(now).claim(name, value).sign(&key(), Algorithm::RS256);
        add(code, reason, 401, get().bearer(&token));
    }
    let early = token(now).claim("nbf", now + 1000);
    let late = token(now).claim("exp", now - 1000);
    let strange = token(now).claim("iss", "https://other.example.com");
    let elsewhere = token(now).audience("elsewhere");
    let unknown = keys::rsa().with_kid("key-9");
    let of = |issuer: &str| token(now).claim("iss", issuer);
    for (code, reason, status, path, token, key) in [
        (2, "token_not_yet_valid", 401, "/app", early, key()),
        (3, "token_expired", 401, "/app", late, key()),
        (24, "token_issuer_unknown", 401, "/app", strange, key()),
        (25, "audience_not_allowed", 403, "/app", elsewhere, key()),
        (32, "key_not_found", 401, "/app", token(now), unknown),
        (40, "jwks_unavailable", 401, "/down", of(DOWN), key()),
        (31, "jwks_unusable", 401, "/unusable", of(UNUSABLE), key()),
    ] {
        let token = token.sign(&key, Algorithm::RS256);
        add(code, reason, status, Request::get(path).bearer(&token));
    }
    rows
}

fn token(now: i64) -> Token {
    Token::empty()
        .claim("iss", ISSUER)
        .claim("sub", "user")
        .claim("exp", now + 300)
        .audience("orders")
}

/// Tokens whose form is wrong. A single letter is no base64url; of a character outside of its alphabet
/// `jwt_authn` says that the token has not the form of one (4).
fn malformed(now: i64) -> Vec<(u8, &'static str, String)> {
    let good = token(now).sign(&key(), Algorithm::RS256);
    let [header, payload, signature] = tokens::parts(&good);
    let eddsa = token(now).sign(&ed25519(), Algorithm::EdDSA);
    let [ed_header, ed_payload, ed_signature] = tokens::parts(&eddsa);
    let with_header = |header: &str| tokens::signed(header, "{}", &key(), Algorithm::RS256);
    let with_payload =
        |payload: &str| tokens::signed(r#"{"alg":"RS256"}"#, payload, &key(), Algorithm::RS256);
    vec![
        (4, "token_malformed", format!("{header}.{payload}")),
        (5, "token_header_base64", format!("A.{payload}.{signature}")),
        (6, "token_header_json", with_header("{")),
        (7, "token_alg_invalid", with_header(r#"{"kid":"key-1"}"#)),
        (8, "token_alg_unsupported", with_header(r#"{"alg":"none"}"#)),
        (
            9,
            "token_kid_invalid",
            with_header(r#"{"alg":"RS256","kid":1}"#),
        ),
        (
            10,
            "token_payload_base64",
            format!("{header}.A.{signature}"),
        ),
        (11, "token_payload_json", with_payload("{")),
        (
            22,
            "token_signature_base64",
            format!("{header}.{payload}.A"),
        ),
        (
            23,
            "token_signature_length",
            format!("{ed_header}.{ed_payload}.{}", &ed_signature[..84]),
        ),
        (
            26,
            "signature_invalid",
            tokens::with_broken_signature(&good),
        ),
    ]
}

/// Registered claims of another type than they must have.
fn claims() -> [(u8, &'static str, &'static str, Value); 10] {
    [
        (12, "token_iss_invalid", "iss", json!(1)),
        (13, "token_sub_invalid", "sub", json!(1)),
        (14, "token_iat_not_number", "iat", json!("x")),
        (15, "token_iat_negative", "iat", json!(-1)),
        (16, "token_nbf_not_number", "nbf", json!("x")),
        (17, "token_nbf_negative", "nbf", json!(-1)),
        (18, "token_exp_not_number", "exp", json!("x")),
        (19, "token_exp_negative", "exp", json!(-1)),
        (20, "token_jti_invalid", "jti", json!(1)),
        (21, "token_aud_invalid", "aud", json!(1)),
    ]
}

const UNUSABLE_SET: &str = r#"{"keys": [{"kty": "AKP", "alg": "ML-DSA-44"}]}"#;

fn published() -> Value {
    json!({"keys": [key().public_jwk(), ed25519().public_jwk()]})
}

fn policy(down: &str, unusable: &str) -> Value {
    let app = |slug: &str, provider: &str| {
        json!({
            "slug": slug, "gateway_path": format!("/{slug}"),
            "default_policy": {"auth": {"auth_type": "jwt", "providers": [provider]}},
        })
    };
    json!({
        "providers": {
            "idp": {"issuer": ISSUER, "audience": "orders", "jwks": published()},
            "down": {"issuer": DOWN, "jwks_url": down, "jwks_timeout_ms": 200},
            "unusable": {"issuer": UNUSABLE, "jwks_url": unusable, "jwks_timeout_ms": 200},
        },
        "apps": [app("app", "idp"), app("down", "down"), app("unusable", "unusable")],
    })
}

/// The same for `jwt_authn`.
fn jwt_authn(down: &JwksServer, unusable: &JwksServer) -> Value {
    let remote = |issuer: &str, server: &JwksServer| {
        let uri = json!({"uri": server.url(), "cluster": server.authority(), "timeout": "1s"});
        json!({"issuer": issuer, "remote_jwks": {"http_uri": uri}})
    };
    let rule = |path: &str, provider: &str| json!({"match": {"prefix": path}, "requires": {"provider_name": provider}});
    json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {
                "idp": {
                    "issuer": ISSUER, "audiences": ["orders"],
                    "local_jwks": {"inline_string": published().to_string()},
                },
                "down": remote(DOWN, down),
                "unusable": remote(UNUSABLE, unusable),
            },
            "rules": [rule("/app", "idp"), rule("/down", "down"), rule("/unusable", "unusable")],
        },
    })
}

#[test]
fn every_text_that_a_client_hears_is_provoked_natively_and_through_the_wasm() {
    let (down, unusable) = ("https://down.test/jwks", "https://unusable.test/jwks");
    let setting = Setting::new("envoy-status", &policy(down, unusable).to_string())
        .key_set(down, "no JSON")
        .key_set(unusable, UNUSABLE_SET);
    let texts = texts();
    let cases = |now| -> Vec<Case> {
        let rows = rows(now);
        let mut codes: Vec<u8> = rows.iter().map(|row| row.code).collect();
        codes.sort_unstable();
        assert_eq!(codes, texts.keys().copied().collect::<Vec<_>>());
        rows.into_iter()
            .map(|row| Case {
                name: format!("{} {}", row.code, row.reason),
                expected: expected(&row, &texts[&row.code]),
                request: row.request,
            })
            .collect()
    };
    cases::check(&setting, cases, &[]);
}

fn expected(row: &Row, text: &str) -> Expected {
    let challenge = match row.reason {
        "token_missing" | "jwks_unavailable" | "jwks_unusable" => "Bearer",
        "token_repeated" => "Bearer error=\"invalid_request\"",
        _ => "Bearer error=\"invalid_token\"",
    };
    Expected::denied(row.status, row.reason, text, Some(challenge))
}

#[test]
fn every_text_that_a_client_hears_is_that_of_jwt_authn_in_the_same_envoy() {
    let down = JwksServer::start("");
    down.answer(Answer::status(500));
    let unusable = JwksServer::start(UNUSABLE_SET);
    let upstream = Upstream::start();
    let native = jwt_authn(&down, &unusable);
    let compiled =
        nexus_tests::nexusctl::compile_policy(&policy(&down.url(), &unusable.url()).to_string());
    let config = Config::new(upstream.addr())
        .filter(compiled)
        .cluster(&down.authority(), down.addr())
        .cluster(&unusable.authority(), unusable.addr())
        .edit(move |bootstrap| add_native_listener(bootstrap, &native));
    let texts = texts();
    envoy::for_oldest_and_newest(|version| {
        let envoy = Envoy::start(version, &config);
        for row in rows(tokens::now()) {
            let note = format!("{} {} in envoy {version}", row.code, row.reason);
            let request = row.request.headers.iter().fold(
                http::Request::get(&row.request.path),
                |request, (name, value)| request.header(name, value),
            );
            let own = envoy.client().send(&request);
            assert_eq!(
                (own.status, own.text().as_str()),
                (row.status, texts[&row.code].as_str()),
                "{note}"
            );
            let native = nexus_tests::client::send(envoy.listener("native"), &request);
            let (status, text) = match instead(row.code) {
                None => (row.status, Some(&texts[&row.code])),
                Some((status, code)) => (status, code.map(|code| &texts[&code])),
            };
            assert_eq!(native.status, status, "{note}: {}", native.text());
            if let Some(text) = text {
                assert_eq!(&native.text(), text, "{note}");
                let own_type = own.headers.text("content-type");
                assert_eq!(native.headers.text("content-type"), own_type, "{note}");
            }
        }
    });
}

/// A listener like the first, with `jwt_authn` in the place of the filter.
fn add_native_listener(bootstrap: &mut Value, jwt_authn: &Value) {
    let listeners = bootstrap["static_resources"]["listeners"]
        .as_array_mut()
        .expect("listeners");
    let mut native = listeners[0].clone();
    native["name"] = json!("native");
    let filters = &mut native["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"];
    filters[0] = jwt_authn.clone();
    listeners.push(native);
}
