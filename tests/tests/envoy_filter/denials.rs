//! Every denial, as the client, the access log and the counters tell it.

use std::collections::{BTreeMap, BTreeSet};

use nexus_tests::{
    envoy::{self, DENIED, Envoy, Stats},
    http::Request,
    jwks_server::{Answer, JwksServer},
    keys::{self, Algorithm, Key},
    tokens::{self, Token},
    upstream::Upstream,
};
use serde_json::{Value, json};

use crate::scene::{
    ANSWERS, Health, ISSUER, assert_denied, assert_passes, good_token, key, token, with_policy,
};

/// Denials that other tests show, and why.
const SHOWN_ELSEWHERE: [(&str, &str); 27] = [
    (
        "certificate_missing",
        "takes a proof or a certificate: `possession`",
    ),
    (
        "dpop_binding_missing",
        "takes a proof or a certificate: `possession`",
    ),
    (
        "dpop_proof_expired",
        "takes a proof or a certificate: `possession`",
    ),
    (
        "dpop_proof_malformed",
        "takes a proof or a certificate: `possession`",
    ),
    (
        "dpop_proof_missing",
        "takes a proof or a certificate: `possession`",
    ),
    (
        "dpop_proof_repeated",
        "takes a proof or a certificate: `possession`",
    ),
    (
        "dpop_proof_replayed",
        "takes a proof or a certificate: `possession`",
    ),
    (
        "dpop_request_mismatch",
        "takes a proof or a certificate: `possession`",
    ),
    (
        "dpop_scheme_missing",
        "takes a proof or a certificate: `possession`",
    ),
    (
        "dpop_signature_invalid",
        "takes a proof or a certificate: `possession`",
    ),
    (
        "dpop_token_mismatch",
        "takes a proof or a certificate: `possession`",
    ),
    (
        "certificate_binding_missing",
        "takes a proof or a certificate: `possession` of the engine's own tests",
    ),
    (
        "certificate_mismatch",
        "takes a proof or a certificate: `possession` of the engine's own tests",
    ),
    (
        "dpop_key_mismatch",
        "takes a proof or a certificate: `possession` of the engine's own tests",
    ),
    (
        "dpop_key_unusable",
        "takes a proof or a certificate: `possession` of the engine's own tests",
    ),
    (
        "dpop_memory_unavailable",
        "takes a proof or a certificate: `possession` of the engine's own tests",
    ),
    (
        "token_cnf_invalid",
        "takes a proof or a certificate: `possession` of the engine's own tests",
    ),
    (
        "claim_not_allowed",
        "takes conditions on claims: `authorizing` of the engine's own tests",
    ),
    (
        "scope_missing",
        "takes conditions on claims: `authorizing` of the engine's own tests",
    ),
    (
        "subject_not_allowed",
        "takes conditions on claims: `authorizing` of the engine's own tests",
    ),
    (
        "token_lifetime_too_long",
        "takes conditions on claims: `authorizing` of the engine's own tests",
    ),
    (
        "token_profile_claim_missing",
        "takes conditions on claims: `authorizing` of the engine's own tests",
    ),
    (
        "token_type_not_allowed",
        "takes conditions on claims: `authorizing` of the engine's own tests",
    ),
    (
        "condition_ambiguous",
        "takes conditions on routes: `route_conditions`",
    ),
    (
        "waiting_limit",
        "takes a key server that hangs and 4 MiB of tokens: `waiting`",
    ),
    ("token_revoked", "takes a list: `revocation`"),
    (
        "revocations_unavailable",
        "takes a list that cannot be had: `revocation`",
    ),
];

/// Denials that nobody can provoke in Envoy, and why.
const NOT_PROVOKABLE: [(&str, &str); 2] = [
    (
        "not_configured",
        "Envoy opens no listener for a filter that refused its configuration: `configuration`",
    ),
    (
        "internal",
        "Envoy hands out any number of headers and makes every edit that the filter asks for: `hostile`",
    ),
];

const DOWN: &str = "https://down.example.com";
const UNUSABLE: &str = "https://unusable.example.com";

#[test]
fn every_denial_is_told_to_client_log_and_counters() {
    let down = JwksServer::start("");
    down.answer(Answer::status(500));
    let unusable = JwksServer::start(r#"{"keys": [{"kty": "AKP", "alg": "ML-DSA-44"}]}"#);
    let upstream = Upstream::start();
    let config = with_policy(upstream.addr(), &policy(&down, &unusable))
        .cluster(&down.authority(), down.addr())
        .cluster(&unusable.authority(), unusable.addr())
        // Envoy's own components write every header at `debug`; this is about the filter and its host.
        .log_level("info", "trace");
    let rows = rows();
    envoy::for_oldest_and_newest(|version| {
        upstream.clear();
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        let mut client = envoy.client();
        for row in &rows {
            let response = client.send(&row.request);
            assert_denied(&response, row.code, row.note);
        }
        assert_eq!(upstream.count(), 0, "no denied request gets through");
        let passing = Request::get("/app").bearer(email_token().sign(&key(), Algorithm::RS256));
        assert_passes(&mut client, &passing, "the good token beside them");
        let head = client.send(&Request::new("HEAD", "/app"));
        assert_eq!((head.status, head.body.len()), (401, 0), "HEAD");
        health.assert_unharmed(&mut envoy);

        let log = envoy.wait_for_access_log(rows.len() + 2);
        for (row, entry) in rows.iter().zip(&log) {
            assert_eq!(
                entry.details,
                format!("nexus_denied{{{}}}", row.code),
                "{}",
                row.note
            );
        }
        let mut counts: BTreeMap<String, u64> = BTreeMap::from([("token_missing".into(), 1)]);
        for row in &rows {
            *counts.entry(row.code.to_owned()).or_default() += 1;
        }
        let counted: BTreeMap<String, u64> = denials(&envoy.assert_denied(counts.values().sum()))
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .collect();
        assert_eq!(counted, counts);
        envoy.assert_allowed(1);
        let (_, log) = envoy.shut_down();
        assert_eq!(log.matches("nexus.decision").count(), rows.len() + 2);
        for row in &rows {
            for part in row.request.to_bytes().split(|byte| b". \r".contains(byte)) {
                let part = String::from_utf8_lossy(part);
                // Segments of a token, but for headers that are a few words.
                let is_logged = part.len() >= 60 && log.contains(part.as_ref());
                assert!(!is_logged, "{}: `{part}` is in the log", row.note);
            }
        }
    });
}

/// The filter defines a counter for each denial, so Envoy knows what there is to cover.
#[test]
fn every_denial_is_shown_or_cannot_be_provoked() {
    let upstream = Upstream::start();
    let config = with_policy(
        upstream.addr(),
        &json!({
            "slug": "app", "gateway_path": "/",
            "default_policy": {"auth": {"auth_type": "none"}},
        }),
    );
    let envoy = Envoy::start(&envoy::newest(), &config);
    let known: BTreeSet<String> = denials(&envoy.stats()).into_keys().collect();
    let listed: BTreeSet<String> = ANSWERS.iter().map(|it| it.code.to_owned()).collect();
    assert_eq!(known, listed);
    let exceptions = SHOWN_ELSEWHERE.iter().chain(&NOT_PROVOKABLE);
    let excepted: BTreeSet<String> = exceptions.map(|(code, _)| (*code).to_owned()).collect();
    let shown: BTreeSet<String> = rows().iter().map(|row| row.code.to_owned()).collect();
    assert_eq!(shown.intersection(&excepted).next(), None);
    assert_eq!(&shown | &excepted, known);
}

fn denials(stats: &Stats) -> BTreeMap<String, u64> {
    stats
        .with(DENIED)
        .into_iter()
        .map(|(name, count)| (name.trim_start_matches(DENIED).to_owned(), count))
        .collect()
}

/// An app that needs a token with `email`, one whose key servers are no good, and nothing else.
fn policy(down: &JwksServer, unusable: &JwksServer) -> Value {
    let published = [key().public_jwk(), ed25519().public_jwk()];
    json!({
        "providers": {
            "idp": {
                "issuer": ISSUER,
                "audience": "orders",
                "jwks": {"keys": published},
                "algorithms": ["RS256", "EdDSA"],
            },
            "down": {"issuer": DOWN, "jwks_url": down.url(), "jwks_timeout_ms": 200},
            "unusable": {"issuer": UNUSABLE, "jwks_url": unusable.url(), "jwks_timeout_ms": 200},
        },
        "apps": [
            {
                "slug": "app", "gateway_path": "/app",
                "default_policy": {"auth": {
                    "auth_type": "jwt",
                    "providers": ["idp"],
                    "required_claims": ["email"],
                    "forward_claims_as_headers": {"sub": "X-User-Id", "email": "X-User-Email"},
                }},
                "routes": [{"path": "/health", "policy": {"auth": {"auth_type": "none"}}}],
            },
            {
                "slug": "remote", "gateway_path": "/remote",
                "default_policy": {"auth": {
                    "auth_type": "jwt", "providers": ["down", "unusable"],
                }},
            },
        ],
    })
}

struct Row {
    code: &'static str,
    note: &'static str,
    request: Request,
}

fn ed25519() -> Key {
    keys::for_algorithm(Algorithm::EdDSA).with_kid("key-2")
}

/// A token that `/app` accepts.
fn email_token() -> Token {
    token().claim("email", "user@example.com")
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    request_rows(&mut rows);
    header_rows(&mut rows);
    payload_rows(&mut rows);
    signature_rows(&mut rows);
    claim_rows(&mut rows);
    rows
}

/// What is wrong with a request before anything is known of its token.
fn request_rows(rows: &mut Vec<Row>) {
    let mut add = |code, note, request| {
        rows.push(Row {
            code,
            note,
            request,
        })
    };
    let good = good_token();
    for (target, note) in [
        ("/app%2Fx", "an escaped slash"),
        ("/app/%00", "an escaped NUL"),
        ("/app\\x", "a backslash"),
        ("/app/%zz", "no escape"),
    ] {
        add("request_malformed", note, Request::get(target));
    }
    for (target, note) in [
        ("/app/health;v=1", "a parameter that some services cut off"),
        (
            "/app/x/../health",
            "the route of `/app/health` if dots are removed",
        ),
    ] {
        add("path_ambiguous", note, Request::get(target).bearer(&good));
    }
    add(
        "no_app_matched",
        "another path",
        Request::get("/elsewhere").bearer(&good),
    );
    add(
        "no_app_matched",
        "no segment boundary",
        Request::get("/application"),
    );
    let app = || Request::get("/app");
    add("token_missing", "no header", app());
    add(
        "token_missing",
        "another scheme",
        app().header("authorization", "Basic dTpw"),
    );
    add(
        "token_missing",
        "no space",
        app().header("authorization", "Bearer-x"),
    );
    add(
        "token_missing",
        "an empty header",
        app().header("authorization", ""),
    );
    add(
        "token_repeated",
        "two headers",
        app().bearer(&good).bearer(&good),
    );
    add(
        "token_repeated",
        "the second one is no token",
        app().bearer(&good).header("authorization", "Basic dTpw"),
    );
    add(
        "token_repeated",
        "joined by a comma",
        app().header("authorization", format!("Bearer {good}, Bearer {good}")),
    );
}

/// What is wrong with the form of a token and with its header.
fn header_rows(rows: &mut Vec<Row>) {
    let good = good_token();
    let [header, payload, signature] = tokens::parts(&good);
    let mut add = |code, note, token: &str| {
        let request = Request::get("/app").bearer(token);
        rows.push(Row {
            code,
            note,
            request,
        });
    };
    add("token_malformed", "one segment", "abc");
    add("token_malformed", "no token behind the scheme", "");
    add(
        "token_malformed",
        "two segments",
        &format!("{header}.{payload}"),
    );
    add(
        "token_malformed",
        "no signature",
        &format!("{header}.{payload}."),
    );
    add(
        "token_malformed",
        "four segments",
        &format!("{good}.{signature}"),
    );
    add("token_malformed", "a dot before it", &format!(".{good}"));
    add(
        "token_header_base64",
        "padding",
        &format!("{header}=.{payload}.{signature}"),
    );
    add("token_header_base64", "quotes", &format!("\"{good}\""));
    add(
        "token_header_base64",
        "bytes",
        &format!("\u{e9}.{payload}.{signature}"),
    );
    let with_header = |header: &str| tokens::signed(header, "{}", &key(), Algorithm::RS256);
    for (code, note, header) in [
        ("token_header_json", "no JSON", "RS256"),
        ("token_header_json", "an array", r#"["RS256"]"#),
        (
            "token_header_json",
            "`alg` twice",
            r#"{"alg":"RS256","alg":"none"}"#,
        ),
        (
            "token_header_json",
            "something behind it",
            r#"{"alg":"RS256"} {}"#,
        ),
        (
            "token_header_json",
            "`typ` is a number",
            r#"{"alg":"RS256","typ":1}"#,
        ),
        ("token_alg_invalid", "no `alg`", r#"{"kid":"key-1"}"#),
        ("token_alg_invalid", "a number", r#"{"alg":256}"#),
        ("token_alg_invalid", "null", r#"{"alg":null}"#),
        ("token_alg_unsupported", "none", r#"{"alg":"none"}"#),
        (
            "token_alg_unsupported",
            "another case",
            r#"{"alg":"rs256"}"#,
        ),
        (
            "token_alg_unsupported",
            "an encryption",
            r#"{"alg":"RSA-OAEP"}"#,
        ),
        (
            "token_kid_invalid",
            "a number",
            r#"{"alg":"RS256","kid":1}"#,
        ),
        ("token_kid_invalid", "null", r#"{"alg":"RS256","kid":null}"#),
        (
            "token_crit_unsupported",
            "crit",
            r#"{"alg":"RS256","crit":["exp"]}"#,
        ),
        (
            "token_crit_unsupported",
            "empty crit",
            r#"{"alg":"RS256","crit":[]}"#,
        ),
        (
            "token_crit_unsupported",
            "b64",
            r#"{"alg":"RS256","b64":false}"#,
        ),
    ] {
        add(code, note, &with_header(header));
    }
}

/// What is wrong with a payload before its signature is looked at.
fn payload_rows(rows: &mut Vec<Row>) {
    let good = good_token();
    let [header, payload, signature] = tokens::parts(&good);
    let mut add = |code, note, token: &str| {
        let request = Request::get("/app").bearer(token);
        rows.push(Row {
            code,
            note,
            request,
        });
    };
    add(
        "token_payload_base64",
        "the other alphabet",
        &format!("{header}.+/+/.{signature}"),
    );
    add(
        "token_signature_base64",
        "padding",
        &format!("{header}.{payload}.{signature}=="),
    );
    let with_payload =
        |payload: &str| tokens::signed(r#"{"alg":"RS256"}"#, payload, &key(), Algorithm::RS256);
    for (note, payload) in [
        ("no JSON", "user"),
        ("an array", "[]"),
        ("something behind it", "{} {}"),
        ("a claim twice", r#"{"iss":"a","i\u0073s":"b"}"#),
        ("a lone surrogate", r#"{"sub":"\ud800"}"#),
    ] {
        add("token_payload_json", note, &with_payload(payload));
    }
    let with_claim = |name: &str, value: Value| {
        email_token()
            .claim(name, value)
            .sign(&key(), Algorithm::RS256)
    };
    for (code, name, value) in [
        ("token_iss_invalid", "iss", json!([ISSUER])),
        ("token_iss_invalid", "iss", json!(null)),
        ("token_sub_invalid", "sub", json!(1)),
        ("token_jti_invalid", "jti", json!({})),
        ("token_aud_invalid", "aud", json!(1)),
        ("token_aud_invalid", "aud", json!(["orders", 1])),
        ("token_exp_not_number", "exp", json!("4102444800")),
        ("token_exp_not_number", "exp", json!(null)),
        ("token_exp_negative", "exp", json!(-1)),
        ("token_nbf_not_number", "nbf", json!(true)),
        ("token_nbf_negative", "nbf", json!(-1)),
        ("token_iat_not_number", "iat", json!([])),
        ("token_iat_negative", "iat", json!(-0.5)),
    ] {
        add(code, name, &with_claim(name, value));
    }
    let signed = |token: &Token| token.sign(&key(), Algorithm::RS256);
    add(
        "token_issuer_unknown",
        "another issuer",
        &signed(&email_token().claim("iss", "https://idp.example.com/")),
    );
    add(
        "token_issuer_unknown",
        "no issuer",
        &signed(&email_token().without("iss")),
    );
    add(
        "token_expired",
        "beyond the leeway of 60 s",
        &signed(&email_token().expires_in(-61)),
    );
    add(
        "token_expired",
        "exp 0 is a time like any other",
        &signed(&email_token().claim("exp", 0)),
    );
    add(
        "token_not_yet_valid",
        "beyond the leeway",
        &signed(&email_token().valid_in(90)),
    );
    add(
        "token_exp_missing",
        "no exp",
        &signed(&email_token().without("exp")),
    );
}

/// What is wrong with a signature or with the keys for it.
fn signature_rows(rows: &mut Vec<Row>) {
    let mut add = |code, note, path: &str, token: &str| {
        let request = Request::get(path).bearer(token);
        rows.push(Row {
            code,
            note,
            request,
        });
    };
    let es256 = keys::for_algorithm(Algorithm::ES256);
    add(
        "token_alg_not_allowed",
        "ES256",
        "/app",
        &email_token().sign(es256, Algorithm::ES256),
    );
    let rs512 = email_token().sign(&key(), Algorithm::RS512);
    add(
        "token_alg_not_allowed",
        "the right key for another algorithm",
        "/app",
        &rs512,
    );
    let secret = Key::secret(keys::rsa().public_pem());
    let confused = email_token().sign(&secret, Algorithm::HS256);
    add(
        "token_alg_not_allowed",
        "the public key as a secret",
        "/app",
        &confused,
    );
    let good = email_token().sign(&key(), Algorithm::RS256);
    add(
        "signature_invalid",
        "a bit is turned",
        "/app",
        &tokens::with_broken_signature(&good),
    );
    let forged = email_token().sign(&keys::other_rsa().with_kid("key-1"), Algorithm::RS256);
    add("signature_invalid", "somebody else's key", "/app", &forged);
    let with_key = email_token()
        .header("jwk", keys::other_rsa().public_jwk())
        .sign(&keys::other_rsa().with_kid("key-1"), Algorithm::RS256);
    add(
        "signature_invalid",
        "the token brings its key along",
        "/app",
        &with_key,
    );
    let unknown = email_token().sign(&keys::rsa().with_kid("key-9"), Algorithm::RS256);
    add("key_not_found", "an unknown kid", "/app", &unknown);
    let of_other_kind = email_token().sign(&keys::rsa().with_kid("key-2"), Algorithm::RS256);
    add(
        "key_not_found",
        "the kid of a key of another kind",
        "/app",
        &of_other_kind,
    );
    let [header, payload, _] = tokens::parts(&good);
    let eddsa = email_token().sign(&ed25519(), Algorithm::EdDSA);
    let [ed_header, ed_payload, ed_signature] = tokens::parts(&eddsa);
    add(
        "token_signature_length",
        "63 bytes",
        "/app",
        &format!("{ed_header}.{ed_payload}.{}", &ed_signature[..84]),
    );
    add(
        "signature_invalid",
        "a signature of another algorithm",
        "/app",
        &format!("{header}.{payload}.{ed_signature}"),
    );
    let of = |issuer: &str| Token::new(issuer).sign(&key(), Algorithm::RS256);
    add(
        "jwks_unavailable",
        "its server answers 500",
        "/remote",
        &of(DOWN),
    );
    add(
        "jwks_unusable",
        "its server has no key that we know",
        "/remote",
        &of(UNUSABLE),
    );
}

/// What a genuine token may lack.
fn claim_rows(rows: &mut Vec<Row>) {
    let mut add = |code, note, token: &Token| {
        let request = Request::get("/app").bearer(token.sign(&key(), Algorithm::RS256));
        rows.push(Row {
            code,
            note,
            request,
        });
    };
    add(
        "audience_not_allowed",
        "another",
        &email_token().audience("orders2"),
    );
    add(
        "audience_not_allowed",
        "none",
        &email_token().without("aud"),
    );
    add(
        "audience_not_allowed",
        "an empty list",
        &email_token().audience(json!([])),
    );
    add(
        "audience_not_allowed",
        "another case",
        &email_token().audience("Orders"),
    );
    add("claim_missing", "absent", &token());
    add(
        "claim_missing",
        "null",
        &token().claim("email", Value::Null),
    );
    for (note, value) in [
        ("a second header", "a\r\nx-admin: 1".to_owned()),
        ("a NUL", "a\0".to_owned()),
        ("space around it", " admin".to_owned()),
        ("more than 8 KiB", "a".repeat(8193)),
    ] {
        add(
            "claim_not_forwardable",
            note,
            &email_token().claim("email", value),
        );
    }
}
