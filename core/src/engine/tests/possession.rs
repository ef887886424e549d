//! Tokens that are bound to a certificate or to a key: who may send them, and how often.

use super::*;
use crate::jose::Sha256Digest;
use crate::jose::dpop::MAX_PROOF_BYTES;
use crate::replay::SharedMemory;
use crate::shared::{SharedStore, StoreError, Stored};
use alloc::rc::Rc;
use core::cell::RefCell;

/// The key of the client, by number; the issuer's is 1.
const CLIENT: u8 = 7;

fn bed(possession: Value) -> Bed {
    let mut policy = config(&inline(&[1]));
    policy["providers"][0]["possession"] = with_age(possession);
    with_schemes(&mut policy["providers"][0]);
    Bed::new(policy)
}

fn with_age(mut possession: Value) -> Value {
    possession["dpop_max_age_secs"] = json!(30);
    possession
}

/// Tokens under both schemes, as `compile-policy` says it for a provider with `dpop`.
fn with_schemes(provider: &mut Value) {
    provider["handling"] = json!({ "token_sources": [
        { "header": { "name": "authorization", "prefix": "Bearer " } },
        { "header": { "name": "authorization", "prefix": "DPoP " } },
    ]});
}

fn jwk(number: u8) -> Value {
    json!({
        "kty": "OKP", "crv": "Ed25519", "x": base64url(key(number).verifying_key().as_bytes()),
    })
}

fn thumbprint(number: u8) -> String {
    let jwk = jwk(number);
    let text = std::format!(r#"{{"crv":"Ed25519","kty":"OKP","x":{}}}"#, jwk["x"]);
    Sha256Digest::of(text.as_bytes()).to_base64url()
}

fn bound() -> String {
    token(1, &claims(&json!({ "cnf": { "jkt": thumbprint(CLIENT) } })))
}

/// A proof by the client for `GET http://example.com/app` with that token, now.
fn proof(token: &str, jti: &str) -> String {
    proof_with(token, &json!({ "jti": jti }))
}

fn proof_with(token: &str, changes: &Value) -> String {
    let mut payload = json!({
        "jti": "j", "htm": "GET", "htu": "http://example.com/app", "iat": START,
        "ath": Sha256Digest::of(token.as_bytes()).to_base64url(),
    });
    for (name, value) in changes.as_object().unwrap() {
        payload[name] = value.clone();
    }
    let header = json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk(CLIENT) });
    sign(CLIENT, &header, &payload)
}

impl Bed {
    /// A GET of `/app` with this `Authorization` and these proofs.
    fn prove(&mut self, authorization: &str, proofs: &[&str]) -> Fate {
        let mut headers = Vec::from([
            (":method", "GET"),
            (":authority", "example.com"),
            (":path", "/app?page=1"),
            (":scheme", "http"),
            ("authorization", authorization),
        ]);
        headers.extend(proofs.iter().map(|proof| ("dpop", *proof)));
        self.send(&headers)
    }

    fn prove_token(&mut self, token: &str, proof: &str) -> Fate {
        self.prove(&std::format!("DPoP {token}"), &[proof])
    }

    /// A GET of `/app` with a bearer token, over a connection with this certificate.
    fn show(&mut self, token: &str, certificate: Option<&[u8]>) -> Fate {
        self.requests += 1;
        let authorization = std::format!("Bearer {token}");
        let headers: [(&[u8], &[u8]); 4] = [
            (b":method", b"GET"),
            (b":authority", b"example.com"),
            (b":path", b"/app"),
            (b"authorization", authorization.as_bytes()),
        ];
        let request = Request::new(&headers).with_certificate(certificate.map(Sha256Digest::of));
        let id = RequestId(self.requests);
        match self.engine.handle_request(id, &request, self.now) {
            Some(decision) => Fate::of(decision),
            None => Fate::Waits(id),
        }
    }
}

#[test]
fn a_proof_is_remembered_for_as_long_as_any_provider_takes_it() {
    let mut policy = config(&inline(&[1]));
    let mut patient = policy["providers"][0].clone();
    patient["name"] = json!("patient");
    for (provider, age) in [(&mut policy["providers"][0], 30), (&mut patient, 600)] {
        provider["possession"] = json!({ "dpop": "required", "dpop_max_age_secs": age });
        with_schemes(provider);
    }
    policy["providers"].as_array_mut().unwrap().push(patient);
    policy["apps"][0]["auth"]["jwt"]["requirement"] = any_of(&[0, 1]);
    let mut bed = Bed::new(policy);
    let token = token(
        1,
        &claims(&json!({ "cnf": { "jkt": thumbprint(CLIENT) }, "exp": START + 9000 })),
    );
    assert!(bed.prove_token(&token, &proof(&token, "a")).is_allowed());
    bed.advance(300_000);
    assert!(
        bed.prove_token(&token, &proof(&token, "b")).is_allowed(),
        "the second provider takes a proof of this age"
    );
    assert_denied(
        bed.prove_token(&token, &proof(&token, "a")),
        "dpop_proof_replayed",
        "but not one that the first one took",
    );
}

fn assert_denied(fate: Fate, reason: &str, note: &str) {
    assert!(
        matches!(&fate, Fate::Denied(code) if *code == reason),
        "{note}: {fate:?} instead of {reason}"
    );
}

#[test]
fn a_token_that_is_bound_to_a_certificate_is_taken_over_that_connection_alone() {
    let thumbprint = Sha256Digest::of(b"mine").to_base64url();
    let bound = |cnf: Value| token(1, &claims(&json!({ "cnf": cnf })));
    let mine = bound(json!({ "x5t#S256": thumbprint }));
    let unbound = good(1);
    type Case<'c> = (&'c str, &'c str, Option<&'c [u8]>, Option<&'c str>);
    let cases: [Case<'_>; 12] = [
        ("off", &mine, None, None),
        ("off", &mine, Some(b"another"), None),
        ("allowed", &mine, Some(b"mine"), None),
        (
            "allowed",
            &mine,
            Some(b"another"),
            Some("certificate_mismatch"),
        ),
        ("allowed", &mine, None, Some("certificate_missing")),
        ("allowed", &unbound, None, None),
        ("allowed", &unbound, Some(b"mine"), None),
        ("required", &mine, Some(b"mine"), None),
        (
            "required",
            &mine,
            Some(b"another"),
            Some("certificate_mismatch"),
        ),
        ("required", &mine, None, Some("certificate_missing")),
        (
            "required",
            &unbound,
            Some(b"mine"),
            Some("certificate_binding_missing"),
        ),
        (
            "required",
            &unbound,
            None,
            Some("certificate_binding_missing"),
        ),
    ];
    for (binding, token, certificate, refused) in cases {
        let mut bed = bed(json!({ "mtls_bound": binding }));
        let fate = bed.show(token, certificate);
        let note = std::format!("{binding}, {certificate:?}");
        match refused {
            None => assert!(fate.is_allowed(), "{note}: {fate:?}"),
            Some(reason) => assert_denied(fate, reason, &note),
        }
    }
    let wrong = [
        json!("x"),
        json!([]),
        json!({ "x5t#S256": 7 }),
        json!({ "x5t#S256": null }),
        json!({ "x5t#S256": "" }),
        json!({ "x5t#S256": std::format!("{thumbprint}=") }),
        json!({ "x5t#S256": "bWluZQ" }),
    ];
    for cnf in wrong {
        let mut bed = bed(json!({ "mtls_bound": "allowed" }));
        let fate = bed.show(&bound(cnf.clone()), Some(b"mine"));
        assert_denied(fate, "token_cnf_invalid", &cnf.to_string());
    }
    // What is bound in another way, or by a `cnf` that is `null`, is not bound to a certificate.
    for cnf in [json!(null), json!({}), json!({ "jkt": 7 })] {
        let mut payload = claims(&json!({}));
        payload["cnf"] = cnf.clone();
        let mut bed = bed(json!({ "mtls_bound": "allowed" }));
        assert!(bed.show(&token(1, &payload), None).is_allowed(), "{cnf}");
    }
}

#[test]
fn the_certificate_is_asked_for_where_a_provider_of_the_rule_needs_it() {
    let headers = |path: &'static [u8]| -> [(&[u8], &[u8]); 3] {
        [
            (b":method", b"GET"),
            (b":authority", b"a.test"),
            (b":path", path),
        ]
    };
    let asks = |bed: &Bed, path| bed.engine.needs_certificate(&Request::new(&headers(path)));
    let off = bed(json!({ "dpop": "required" }));
    assert!(!asks(&off, b"/app"));
    let on = bed(json!({ "mtls_bound": "allowed" }));
    assert!(asks(&on, b"/app"));
    assert!(asks(&on, b"/app/optional"));
    assert!(
        !asks(&on, b"/app/health"),
        "nobody is asked for a token there"
    );
    assert!(!asks(&on, b"/other"), "nobody's path");
    assert!(!asks(&on, b"/app/%2f"), "a path that is refused");
}

#[test]
fn a_token_that_is_bound_to_a_key_comes_with_a_proof_and_under_its_scheme() {
    let bound = bound();
    let unbound = good(1);
    let scheme = |scheme: &str, token: &str| std::format!("{scheme} {token}");
    let proof = proof(&bound, "j");
    let stray = self::proof(&unbound, "j");
    type Case<'c> = (&'c str, String, &'c [&'c str], Option<&'c str>, &'c str);
    let cases: [Case<'_>; 16] = [
        (
            "allowed",
            scheme("DPoP", &bound),
            &[&proof],
            None,
            "as it should be",
        ),
        (
            "required",
            scheme("dpop", &bound),
            &[&proof],
            None,
            "scheme without case",
        ),
        (
            "allowed",
            scheme("Bearer", &unbound),
            &[],
            None,
            "not bound",
        ),
        (
            "allowed",
            scheme("Bearer", &unbound),
            &[&stray],
            None,
            "a proof too many",
        ),
        (
            "allowed",
            scheme("Bearer", &bound),
            &[&proof],
            Some("dpop_scheme_missing"),
            "downgraded",
        ),
        (
            "allowed",
            scheme("Bearer", &bound),
            &[],
            Some("dpop_scheme_missing"),
            "stolen",
        ),
        (
            "required",
            scheme("Bearer", &bound),
            &[&proof],
            Some("dpop_scheme_missing"),
            "downgraded",
        ),
        (
            "required",
            scheme("Bearer", &unbound),
            &[],
            Some("dpop_binding_missing"),
            "not bound",
        ),
        (
            "required",
            scheme("DPoP", &unbound),
            &[&stray],
            Some("dpop_binding_missing"),
            "not bound",
        ),
        (
            "allowed",
            scheme("DPoP", &unbound),
            &[&stray],
            Some("dpop_binding_missing"),
            "not bound",
        ),
        (
            "allowed",
            scheme("DPoP", &bound),
            &[],
            Some("dpop_proof_missing"),
            "stolen",
        ),
        (
            "allowed",
            scheme("DPoP", &bound),
            &[&proof, &proof],
            Some("dpop_proof_repeated"),
            "twice",
        ),
        (
            "allowed",
            scheme("DPoP", &bound),
            &[""],
            Some("dpop_proof_malformed"),
            "empty",
        ),
        (
            "allowed",
            scheme("DPoP", &bound),
            &[&stray],
            Some("dpop_token_mismatch"),
            "another token's",
        ),
        (
            "allowed",
            scheme("DPoP", &bound),
            &[&bound],
            Some("dpop_proof_malformed"),
            "the token itself",
        ),
        ("off", scheme("Bearer", &bound), &[], None, "not looked at"),
    ];
    for (binding, authorization, proofs, refused, note) in cases {
        let mut bed = bed(json!({ "dpop": binding }));
        let fate = bed.prove(&authorization, proofs);
        match refused {
            None => assert!(fate.is_allowed(), "{binding}, {note}: {fate:?}"),
            Some(reason) => assert_denied(fate, reason, note),
        }
    }
    for (jkt, note) in [
        (json!(7), "a number"),
        (json!(null), "null"),
        (json!("short"), "short"),
        (json!([thumbprint(CLIENT)]), "a list"),
    ] {
        let token = token(1, &claims(&json!({ "cnf": { "jkt": jkt } })));
        let mut bed = bed(json!({ "dpop": "allowed" }));
        assert_denied(bed.prove_token(&token, &proof), "token_cnf_invalid", note);
    }
}

#[test]
fn every_flaw_of_a_proof_has_its_reason() {
    let token = bound();
    let now = START;
    let cases = [
        (json!({ "htm": "POST" }), "dpop_request_mismatch"),
        (json!({ "htm": "get" }), "dpop_request_mismatch"),
        (
            json!({ "htu": "https://example.com/app" }),
            "dpop_request_mismatch",
        ),
        (
            json!({ "htu": "http://example.com/ap" }),
            "dpop_request_mismatch",
        ),
        (
            json!({ "htu": "http://evil.test/app" }),
            "dpop_request_mismatch",
        ),
        (json!({ "ath": "x" }), "dpop_token_mismatch"),
        (json!({ "iat": now - 91 }), "dpop_proof_expired"),
        (json!({ "iat": now + 61 }), "dpop_proof_expired"),
        (json!({ "exp": now - 60 }), "dpop_proof_expired"),
        (json!({ "jti": "" }), "dpop_proof_malformed"),
        (json!({ "jti": 7 }), "dpop_proof_malformed"),
        (json!({ "htm": null }), "dpop_proof_malformed"),
        (json!({ "iat": "now" }), "dpop_proof_malformed"),
    ];
    for (changes, reason) in cases {
        let mut bed = bed(json!({ "dpop": "required" }));
        let fate = bed.prove_token(&token, &proof_with(&token, &changes));
        assert_denied(fate, reason, &changes.to_string());
    }
    let header = |jwk: Value| json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk });
    let good = proof(&token, "j");
    let payload = json!({
        "jti": "j", "htm": "GET", "htu": "http://example.com/app", "iat": START,
        "ath": Sha256Digest::of(token.as_bytes()).to_base64url(),
    });
    let mut private = jwk(CLIENT);
    private["d"] = json!("x");
    let longest = "A".repeat(MAX_PROOF_BYTES + 1);
    let forged = [
        (sign(8, &header(jwk(8)), &payload), "dpop_key_mismatch"),
        (
            sign(8, &header(jwk(CLIENT)), &payload),
            "dpop_signature_invalid",
        ),
        (
            sign(CLIENT, &header(private), &payload),
            "dpop_key_unusable",
        ),
        (
            sign(CLIENT, &header(Value::Null), &payload),
            "dpop_key_unusable",
        ),
        (longest, "dpop_proof_malformed"),
        (std::format!("{good},{good}"), "dpop_proof_malformed"),
    ];
    for (proof, reason) in forged {
        let mut bed = bed(json!({ "dpop": "required" }));
        assert_denied(bed.prove_token(&token, &proof), reason, &proof[..40]);
    }
}

#[test]
fn a_proof_is_good_for_one_request() {
    let mut bed = bed(json!({ "dpop": "required" }));
    let token = bound();
    assert!(bed.prove_token(&token, &proof(&token, "one")).is_allowed());
    let again = bed.prove_token(&token, &proof(&token, "one"));
    assert_denied(again, "dpop_proof_replayed", "the same proof");
    let later = proof_with(&token, &json!({ "jti": "one", "iat": START + 1 }));
    assert_denied(
        bed.prove_token(&token, &later),
        "dpop_proof_replayed",
        "another proof with the same jti",
    );
    assert!(bed.prove_token(&token, &proof(&token, "two")).is_allowed());
    // As long as it would be accepted it is known; the last second is the 90th.
    bed.advance(90_000);
    let last = bed.prove_token(&token, &proof(&token, "one"));
    assert_denied(last, "dpop_proof_replayed", "in the last second");
    bed.advance(1_000);
    let over = bed.prove_token(&token, &proof(&token, "one"));
    assert_denied(over, "dpop_proof_expired", "behind it");
}

#[test]
fn a_proof_that_came_with_something_wrong_was_not_used() {
    let mut bed = bed(json!({ "dpop": "required", "mtls_bound": "off" }));
    let without_email = token(
        1,
        &claims(&json!({ "email": null, "cnf": { "jkt": thumbprint(CLIENT) } })),
    );
    let token = bound();
    let once = proof(&token, "once");
    let wrong: [(&str, &str); 3] = [("POST", "/app"), ("GET", "/app/other"), ("GET", "/app/%2f")];
    for (method, path) in wrong {
        let authorization = std::format!("DPoP {token}");
        let fate = bed.send(&[
            (":method", method),
            (":authority", "example.com"),
            (":path", path),
            (":scheme", "http"),
            ("authorization", &authorization),
            ("dpop", &once),
        ]);
        assert!(!fate.is_allowed(), "{method} {path}");
    }
    // Refused for its claims, after the proof was found good.
    let first = proof(&without_email, "once");
    assert_denied(bed.prove_token(&without_email, &first), "claim_missing", "");
    assert!(bed.prove_token(&token, &once).is_allowed());
}

#[test]
fn the_proof_goes_with_the_token() {
    let token = bound();
    let cases = [(json!(false), true), (json!(true), false)];
    for (forward, removed) in cases {
        let mut policy = config(&inline(&[1]));
        policy["providers"][0]["possession"] = with_age(json!({ "dpop": "allowed" }));
        with_schemes(&mut policy["providers"][0]);
        policy["apps"][0]["auth"]["jwt"]["handling"]["forward_token"] = forward.clone();
        let mut bed = Bed::new(policy);
        let Fate::Allowed { removed: names, .. } = bed.prove_token(&token, &proof(&token, "j"))
        else {
            panic!("{forward}");
        };
        for name in ["dpop", "authorization"] {
            assert_eq!(
                names.iter().any(|gone| gone == name),
                removed,
                "{forward}: {name}"
            );
        }
    }
    // A proof that nothing was asked of is none of the filter's business.
    let mut bed = bed(json!({ "dpop": "allowed" }));
    let authorization = std::format!("Bearer {}", good(1));
    let Fate::Allowed { removed, .. } = bed.prove(&authorization, &["x"]) else {
        panic!("it is not bound");
    };
    assert!(removed.iter().all(|name| name != "dpop"), "{removed:?}");
}

#[test]
fn a_request_that_waits_for_keys_is_judged_with_its_proof_and_its_certificate() {
    let mut policy = config(&remote());
    policy["providers"][0]["possession"] =
        with_age(json!({ "dpop": "required", "mtls_bound": "required" }));
    with_schemes(&mut policy["providers"][0]);
    let mut bed = Bed::new(policy);
    let cnf = json!({
        "jkt": thumbprint(CLIENT), "x5t#S256": Sha256Digest::of(b"mine").to_base64url(),
    });
    let token = token(1, &claims(&json!({ "cnf": cnf })));
    let authorization = std::format!("DPoP {token}");
    let proof = proof(&token, "j");
    let headers: [(&[u8], &[u8]); 6] = [
        (b":method", b"GET"),
        (b":authority", b"example.com"),
        (b":path", b"/app"),
        (b":scheme", b"http"),
        (b"authorization", authorization.as_bytes()),
        (b"dpop", proof.as_bytes()),
    ];
    let request = Request::new(&headers);
    let mine = request.with_certificate(Some(Sha256Digest::of(b"mine")));
    let requests = [mine, mine, request];
    for (number, request) in (0..).zip(&requests) {
        let decision = bed
            .engine
            .handle_request(RequestId(number), request, bed.now);
        assert_eq!(decision, None, "{number} waits");
    }
    bed.serve_keys(&[1]);
    let mut fates = bed.fates();
    assert_eq!(fates.len(), 3);
    assert_denied(
        fates.remove(2).1,
        "certificate_missing",
        "without certificate",
    );
    let is_allowed: Vec<bool> = fates.iter().map(|(_, fate)| fate.is_allowed()).collect();
    assert_eq!(is_allowed, [true, false], "one of two with the same proof");
    assert_denied(fates.remove(1).1, "dpop_proof_replayed", "the second");
}

/// The shared data of a proxy, as far as one thread sees it.
#[derive(Debug, Clone, Default)]
struct Shared(Rc<RefCell<BTreeMap<String, Stored>>>);

impl SharedStore for Shared {
    fn read(&mut self, key: &str) -> Result<Option<Stored>, StoreError> {
        Ok(self.0.borrow().get(key).cloned())
    }

    fn swap(&mut self, key: &str, value: &[u8], number: u32) -> Result<bool, StoreError> {
        let mut values = self.0.borrow_mut();
        let known = values.get(key).map(|stored| stored.number);
        if known.is_some_and(|known| known != number) {
            return Ok(false);
        }
        values.insert(
            key.to_string(),
            Stored {
                value: value.to_vec(),
                number: known.unwrap_or_default() + 1,
            },
        );
        Ok(true)
    }
}

#[test]
fn what_one_engine_has_seen_the_others_of_the_process_refuse() {
    let shared = Shared::default();
    let engine = |seed: u8| {
        let mut bed = bed(json!({ "dpop": "required" }));
        let memory = SharedMemory::new(shared.clone(), [seed; 16]);
        bed.engine = bed
            .engine
            .with_replay_memory(alloc::boxed::Box::new(memory));
        bed
    };
    let (mut one, mut other) = (engine(1), engine(2));
    let token = bound();
    let proof = proof(&token, "j");
    assert!(one.prove_token(&token, &proof).is_allowed());
    assert_denied(other.prove_token(&token, &proof), "dpop_proof_replayed", "");
}

#[derive(Debug)]
struct Broken;

impl crate::replay::ReplayMemory for Broken {
    fn remember(&mut self, _: &Sha256Digest, _: Timestamp, _: Timestamp) -> Use {
        Use::Unknown
    }
}

#[test]
fn a_proof_that_cannot_be_remembered_is_not_taken() {
    let mut bed = bed(json!({ "dpop": "allowed" }));
    bed.engine = bed
        .engine
        .with_replay_memory(alloc::boxed::Box::new(Broken));
    let token = bound();
    let fate = bed.prove_token(&token, &proof(&token, "j"));
    assert_denied(fate, "dpop_memory_unavailable", "");
    assert!(bed.get(&good(1)).is_allowed(), "others do not need it");
}

#[test]
fn a_replayed_proof_counts_as_a_failed_token() {
    let mut policy = config(&inline(&[1]));
    policy["providers"][0]["possession"] = with_age(json!({ "dpop": "required" }));
    with_schemes(&mut policy["providers"][0]);
    let jwt = &mut policy["apps"][0]["auth"]["jwt"];
    jwt["requirement"] = json!({ "allow_missing_or_failed": jwt["requirement"] });
    let mut bed = Bed::new(policy);
    let token = bound();
    let proof = proof(&token, "j");
    let identity = |fate: Fate| match fate {
        Fate::Allowed { added, .. } => !added.is_empty(),
        other => panic!("{other:?}"),
    };
    assert!(identity(bed.prove_token(&token, &proof)));
    assert!(
        !identity(bed.prove_token(&token, &proof)),
        "nobody is known"
    );
}
