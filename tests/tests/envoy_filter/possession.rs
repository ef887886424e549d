//! Tokens that are bound to a key or to a client certificate: proofs in every state, a proof that four workers see,
//! and certificates that Envoy's TLS has seen.

use std::collections::BTreeMap;

use nexus_core::jose::Sha256Digest;
use nexus_host::Vm;
use nexus_tests::{
    cases::{
        self, Case, Expected, NOW, Request, Setting,
        wasm::{self, Bed},
    },
    client::Client,
    envoy::{self, Envoy},
    http,
    keys::{self, Algorithm, Key},
    load,
    tls::Identity,
    tokens::{self, Token, with_broken_signature},
    upstream::Upstream,
};
use serde_json::{Value, json};

use crate::scene::{Health, ISSUER, inline_provider, key, with_policy};

const ALGS: &str = "ES256 ES384 ES512 ES256K EdDSA PS256 PS384 PS512 RS256 RS384 RS512";
const NOT_BOUND: &str = "Jwt is not bound to its sender";
const INVALID: &str = "DPoP proof is invalid";

fn policy(possession: &Value, auth: &Value) -> Value {
    let mut provider = inline_provider();
    for (name, value) in possession.as_object().expect("an object") {
        provider[name] = value.clone();
    }
    let mut rule = json!({
        "auth_type": "jwt", "providers": ["idp"], "forward_claims_as_headers": {"sub": "X-User-Id"},
    });
    for (name, value) in auth.as_object().expect("an object") {
        rule[name] = value.clone();
    }
    let app = json!({"slug": "app", "gateway_path": "/app", "default_policy": {"auth": rule}});
    json!({"providers": {"idp": provider}, "apps": [app]})
}

/// The client's key, without a name.
fn client() -> Key {
    keys::for_algorithm(Algorithm::ES256).clone()
}

/// A token with this `cnf`, valid from `now` on.
fn token(now: i64, cnf: &Value) -> String {
    let token = Token::new(ISSUER)
        .audience("orders")
        .claim("iat", now)
        .claim("exp", now + 300);
    let token = match cnf {
        Value::Null => token,
        cnf => token.claim("cnf", cnf.clone()),
    };
    token.sign(&key(), Algorithm::RS256)
}

fn bound(now: i64) -> String {
    token(now, &json!({"jkt": client().thumbprint()}))
}

/// A proof for a `GET` of `http://app.example.com/app/x` with the token.
fn proof(token: &str, now: i64, jti: &str, changes: &Value) -> String {
    let url = "http://app.example.com/app/x";
    let proof = Token::proof(&client(), "GET", url, token, now).claim("jti", jti);
    let changes = changes.as_object().expect("an object");
    changes
        .iter()
        .fold(proof, |proof, (name, value)| {
            proof.claim(name, value.clone())
        })
        .sign(&client(), Algorithm::ES256)
}

fn refused(reason: &str, body: &str, error: &str) -> Expected {
    let challenge = format!("DPoP error=\"{error}\", algs=\"{ALGS}\"");
    Expected::denied(401, reason, body, Some(&challenge))
}

fn cases(now: i64) -> Vec<Case> {
    let token = bound(now);
    let unbound = self::token(now, &Value::Null);
    let good = |jti: &str| proof(&token, now, jti, &json!({}));
    let authorized = |token: &str| {
        Request::get("/app/x?page=1").header("authorization", format!("DPoP {token}"))
    };
    let shown = |proof: &str| authorized(&token).header("dpop", proof);
    let changed = |jti: &str, changes: Value| shown(&proof(&token, now, jti, &changes));
    let passes = || {
        Expected::allowed([
            ("authorization", None),
            ("dpop", None),
            ("x-user-id", Some("user")),
        ])
    };
    let invalid = |reason: &str| refused(reason, INVALID, "invalid_dpop_proof");
    let not_bound = |reason: &str| refused(reason, NOT_BOUND, "invalid_token");
    let challenge = format!("DPoP algs=\"{ALGS}\"");
    let missing = Expected::denied(401, "token_missing", "Jwt is missing", Some(&challenge));
    let forged = with_broken_signature(&good("forged"));
    let mut bytes = good("bytes").into_bytes();
    bytes[20] = 0xff;
    let rows = [
        (
            "a proof for this very request passes",
            shown(&good("one")),
            passes(),
        ),
        ("another proof passes", shown(&good("two")), passes()),
        (
            "the URI with port and escapes is the same",
            changed(
                "uri",
                json!({"htu": "HTTP://APP.example.com:80/app/%78?other#f"}),
            ),
            passes(),
        ),
        ("no token", Request::get("/app/x"), missing),
        (
            "no proof",
            authorized(&token),
            refused(
                "dpop_proof_missing",
                "DPoP proof is missing",
                "invalid_dpop_proof",
            ),
        ),
        (
            "two proofs",
            shown(&good("a")).header("DPoP", good("b")),
            invalid("dpop_proof_repeated"),
        ),
        (
            "a bound token as bearer token",
            Request::get("/app/x")
                .bearer(&token)
                .header("dpop", good("c")),
            not_bound("dpop_scheme_missing"),
        ),
        (
            "a token that is not bound",
            Request::get("/app/x").bearer(&unbound),
            not_bound("dpop_binding_missing"),
        ),
        (
            "a token that is not bound, under the scheme",
            authorized(&unbound).header("dpop", proof(&unbound, now, "d", &json!({}))),
            not_bound("dpop_binding_missing"),
        ),
        (
            "another method",
            changed("e", json!({"htm": "POST"})),
            invalid("dpop_request_mismatch"),
        ),
        (
            "another scheme",
            changed("f", json!({"htu": "https://app.example.com/app/x"})),
            invalid("dpop_request_mismatch"),
        ),
        (
            "another path",
            changed("g", json!({"htu": "http://app.example.com/app/y"})),
            invalid("dpop_request_mismatch"),
        ),
        (
            "another host",
            changed("h", json!({"htu": "http://evil.example.com/app/x"})),
            invalid("dpop_request_mismatch"),
        ),
        (
            "another token",
            shown(&proof(&unbound, now, "i", &json!({}))),
            invalid("dpop_token_mismatch"),
        ),
        (
            "too old",
            changed("j", json!({"iat": now - 1000})),
            invalid("dpop_proof_expired"),
        ),
        (
            "from the future",
            changed("k", json!({"iat": now + 1000})),
            invalid("dpop_proof_expired"),
        ),
        (
            "without a name",
            changed("l", json!({"jti": null})),
            invalid("dpop_proof_malformed"),
        ),
        ("forged", shown(&forged), invalid("dpop_signature_invalid")),
        (
            "nonsense",
            shown("nonsense"),
            invalid("dpop_proof_malformed"),
        ),
        (
            "the token as proof",
            shown(&token),
            invalid("dpop_proof_malformed"),
        ),
        (
            "huge",
            shown(&"A".repeat(9000)),
            invalid("dpop_proof_malformed"),
        ),
        (
            "no UTF-8",
            authorized(&token).header("dpop", &bytes),
            invalid("dpop_proof_malformed"),
        ),
    ];
    rows.map(|(name, request, expected)| Case {
        name: name.to_owned(),
        request,
        expected,
    })
    .into()
}

#[test]
fn proofs_are_judged_alike_natively_in_the_host_and_in_envoy() {
    let policy = policy(
        &json!({"dpop": "required"}),
        &json!({"forward_token": false}),
    );
    let setting = Setting::new("DPoP", &policy.to_string());
    cases::check(&setting, cases, &[envoy::oldest(), envoy::newest()]);
}

#[test]
fn a_proof_that_one_worker_of_the_host_has_seen_the_other_refuses() {
    let policy = policy(&json!({"dpop": "allowed"}), &json!({}));
    let setting = Setting::new("DPoP", &policy.to_string());
    let bed = Bed::serving(&setting);
    let (one, other) = (bed.start_with_keys(&setting), bed.start_with_keys(&setting));
    drop(bed.take_explanations());
    let token = bound(NOW);
    let shown = |vm: &Vm, jti: &str| {
        let request = Request::get("/app/x")
            .header("authorization", format!("DPoP {token}"))
            .header("dpop", proof(&token, NOW, jti, &json!({})));
        let stream = vm.request(wasm::request(&request));
        wasm::observed(&bed, &stream)
    };
    assert_eq!(shown(&one, "a").reason, None);
    let again = shown(&other, "a");
    assert_eq!(again.reason.as_deref(), Some("dpop_proof_replayed"));
    assert_eq!(
        shown(&one, "a").reason.as_deref(),
        Some("dpop_proof_replayed")
    );
    assert_eq!(shown(&other, "b").reason, None);
    // The reply names what is wrong with the proof, and only the scheme that has proofs.
    let challenges = again.reply.expect("a reply").challenges;
    let expected = format!("DPoP error=\"invalid_dpop_proof\", algs=\"{ALGS}\"");
    assert_eq!(challenges, [expected.into_bytes()]);
    // Where tokens of both kinds are taken, a client without one hears of both schemes.
    let missing = wasm::observed(&bed, &one.request(wasm::request(&Request::get("/app/x"))));
    let expected = [
        b"Bearer".to_vec(),
        format!("DPoP algs=\"{ALGS}\"").into_bytes(),
    ];
    assert_eq!(missing.reply.expect("a reply").challenges, expected);
}

/// A worker knows what the others have seen: of two hundred requests with the same proof over forty connections, which
/// four workers share, one passes.
#[test]
fn a_proof_passes_once_in_all_workers() {
    envoy::for_oldest_and_newest(|version| {
        let upstream = Upstream::start();
        let policy = policy(&json!({"dpop": "required"}), &json!({}));
        let config = with_policy(upstream.addr(), &policy).concurrency(4);
        let mut envoy = Envoy::start(version, &config);
        let health = Health::of(&envoy);
        let now = tokens::now();
        let token = bound(now);
        let request = |jti: &str| {
            http::Request::get("/app/x")
                .host("app.example.com")
                .header("authorization", format!("DPoP {token}"))
                .header("dpop", proof(&token, now, jti, &json!({})))
        };
        let same = load::run(envoy.addr(), 40, &[request("same")], 200);
        assert_eq!(same.failed, 0, "{:?}", same.failures);
        assert_eq!(same.by_status(), BTreeMap::from([(200, 1), (401, 199)]));
        let different: Vec<http::Request> = (0..200)
            .map(|number| request(&format!("proof {number}")))
            .collect();
        let different = load::run(envoy.addr(), 40, &different, 400);
        assert_eq!(
            different.by_status(),
            BTreeMap::from([(200, 200), (401, 200)])
        );
        assert_eq!(upstream.count(), 201);
        health.assert_unharmed(&mut envoy);
    });
}

#[test]
fn a_token_is_taken_over_the_connection_of_its_certificate_alone() {
    let server = Identity::generate("app.example.com");
    let mine = server.client_certificate("mine.example.com");
    let another = server.client_certificate("another.example.com");
    let bound_to = |der: &[u8]| {
        let digest = Sha256Digest::of(der).to_base64url();
        token(tokens::now(), &json!({"x5t#S256": digest}))
    };
    let token = bound_to(mine.der());
    let unbound = self::token(tokens::now(), &Value::Null);
    let transport = json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "require_client_certificate": false,
            "common_tls_context": {
                "tls_certificates": [{
                    "certificate_chain": {"inline_string": server.certificate_pem()},
                    "private_key": {"inline_string": server.key_pem()},
                }],
                "validation_context": {"trusted_ca": {"inline_string": server.authority_pem()}},
            },
        },
    });
    envoy::for_oldest_and_newest(|version| {
        for (binding, without_binding) in [("allowed", 200), ("required", 401)] {
            let upstream = Upstream::start();
            let policy = policy(&json!({"mtls_bound": binding}), &json!({}));
            let transport = transport.clone();
            let config = with_policy(upstream.addr(), &policy).edit(move |bootstrap| {
                bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["transport_socket"] =
                    transport.clone();
            });
            let envoy = Envoy::start(version, &config);
            let asked = |token: &str, certificate| {
                let mut client = Client::over_tls(envoy.addr(), &server, certificate);
                // A header that other proxies pass certificates in is not believed.
                let request = http::Request::get("/app/x")
                    .bearer(token)
                    .header("x-forwarded-client-cert", "Hash=x");
                // Twice on one connection: what was said about it stays true.
                let first = client.send(&request);
                let second = client.send(&request);
                assert_eq!(first.status, second.status);
                (first.status, first.text())
            };
            let refused = (401, NOT_BOUND.to_owned());
            assert_eq!(asked(&token, Some(&mine)).0, 200, "{binding}");
            assert_eq!(asked(&token, Some(&another)), refused, "{binding}");
            assert_eq!(asked(&token, None), refused, "{binding}");
            assert_eq!(asked(&bound_to(another.der()), Some(&mine)), refused);
            assert_eq!(asked(&unbound, Some(&mine)).0, without_binding);
            assert_eq!(asked(&unbound, None).0, without_binding);
        }
    });
}

/// Where a connection has no TLS there is no certificate, whatever a client writes.
#[test]
fn without_tls_no_bound_token_passes() {
    let digest = Sha256Digest::of(b"certificate").to_base64url();
    let case = |now| {
        let token = token(now, &json!({"x5t#S256": digest}));
        Vec::from([Case {
            name: "a token that is bound to a certificate".to_owned(),
            request: Request::get("/app/x")
                .bearer(&token)
                .header("x-forwarded-client-cert", "Hash=x"),
            expected: Expected::invalid_token("certificate_missing", NOT_BOUND),
        }])
    };
    let policy = policy(&json!({"mtls_bound": "allowed"}), &json!({}));
    let setting = Setting::new("mTLS", &policy.to_string());
    cases::check(&setting, case, &[envoy::oldest(), envoy::newest()]);
}
