//! DPoP proofs: the RFC's own, one of every algorithm, and a table of what is wrong with proofs.

use nexus_core::jose::dpop::{
    ALGORITHMS, MAX_JTI_BYTES, MAX_PROOF_BYTES, ProofContext, ProofError, VerifiedProof,
    verify_proof,
};
use nexus_core::jose::{
    Algorithm, KeyError, Sha256Digest, StringClaim, TimeClaim, TokenError, base64url,
};
use nexus_core::target_uri::TargetUri;
use nexus_core::time::Timestamp;
use serde_json::{Value, json};

use crate::signer::{self, key, set_of};

const NOW: u64 = 1_700_000_000;
const TOKEN: &str = "a.b.c";
const URI: &str = "https://api.example.com/orders";

/// What is asked of a proof, with everything but the key as a test has it by default.
struct Asked {
    method: &'static str,
    uri: Option<TargetUri>,
    token: &'static str,
    now: u64,
    max_age: i64,
    leeway: i64,
    key: Sha256Digest,
}

impl Asked {
    fn of(algorithm: Algorithm) -> Self {
        Self {
            method: "GET",
            uri: TargetUri::parse(URI),
            token: TOKEN,
            now: NOW,
            max_age: 60,
            leeway: 5,
            key: thumbprint(algorithm),
        }
    }

    fn verify(&self, proof: &str) -> Result<VerifiedProof, ProofError> {
        verify_proof(
            proof.as_bytes(),
            &ProofContext {
                method: self.method.as_bytes(),
                uri: self.uri.as_ref(),
                access_token: self.token.as_bytes(),
                key: self.key,
                now: Timestamp::from_seconds(self.now),
                max_age: self.max_age,
                leeway: self.leeway,
            },
        )
    }
}

fn thumbprint(algorithm: Algorithm) -> Sha256Digest {
    set_of(&[key(algorithm).jwk()]).keys()[0].thumbprint()
}

fn header() -> Value {
    json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": key(Algorithm::Es256).jwk() })
}

fn payload() -> Value {
    json!({
        "jti": "one", "htm": "GET", "htu": URI, "iat": NOW,
        "ath": Sha256Digest::of(TOKEN.as_bytes()).to_base64url(),
    })
}

fn with(mut object: Value, member: &str, value: Value) -> Value {
    object[member] = value;
    object
}

fn without(mut object: Value, member: &str) -> Value {
    object.as_object_mut().unwrap().remove(member).unwrap();
    object
}

/// A proof of this header and payload, signed by the run's key for ES256.
fn proof(header: &Value, payload: &Value) -> String {
    signer::token(Algorithm::Es256, &header.to_string(), &payload.to_string())
}

fn refusal(header: &Value, payload: &Value) -> ProofError {
    Asked::of(Algorithm::Es256)
        .verify(&proof(header, payload))
        .expect_err(&format!("{header} {payload}"))
}

/// RFC 9449 §7.1: the proof, the token and the key of the example.
#[test]
fn the_proof_of_the_rfc_is_right_for_its_request_and_for_no_other() {
    let proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
    let asked = || Asked {
        uri: TargetUri::parse("https://resource.example.org/protectedresource"),
        token: "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU",
        now: 1_562_262_618,
        key: Sha256Digest::from_base64url("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I").unwrap(),
        ..Asked::of(Algorithm::Es256)
    };
    let verified = asked().verify(proof).unwrap();
    assert_eq!(verified.until, Timestamp::from_seconds(1_562_262_618 + 66));
    let others: [(Asked, ProofError); 5] = [
        (
            Asked {
                method: "POST",
                ..asked()
            },
            ProofError::MethodMismatch {
                proof: "GET".to_owned(),
                request: "POST".to_owned(),
            },
        ),
        (
            Asked {
                uri: TargetUri::parse("https://resource.example.org/other"),
                ..asked()
            },
            ProofError::UriMismatch {
                proof: Some("https://resource.example.org/protectedresource".to_owned()),
                request: Some("https://resource.example.org/other".to_owned()),
            },
        ),
        (
            Asked {
                uri: None,
                ..asked()
            },
            ProofError::UriMismatch {
                proof: Some("https://resource.example.org/protectedresource".to_owned()),
                request: None,
            },
        ),
        (
            Asked {
                token: "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxV",
                ..asked()
            },
            ProofError::TokenMismatch,
        ),
        (
            Asked {
                key: Sha256Digest::of(b"another key"),
                ..asked()
            },
            ProofError::KeyMismatch,
        ),
    ];
    for (asked, expected) in others {
        assert_eq!(asked.verify(proof), Err(expected));
    }
}

#[test]
fn a_proof_of_every_asymmetric_algorithm_is_verified() {
    let mut verified = 0;
    for algorithm in Algorithm::ALL {
        let header = json!({
            "typ": "dpop+jwt", "alg": algorithm.name(), "jwk": key(algorithm).jwk(),
        });
        let proof = signer::token(algorithm, &header.to_string(), &payload().to_string());
        // A secret has no thumbprint that a token could be bound to; any other stands in.
        let asked = Asked::of(match algorithm.is_symmetric() {
            true => Algorithm::Es256,
            false => algorithm,
        });
        match asked.verify(&proof) {
            Ok(_) => verified += 1,
            Err(error) => {
                assert_eq!(error, ProofError::AlgorithmSymmetric { alg: algorithm });
                assert!(algorithm.is_symmetric());
            }
        }
    }
    assert_eq!(verified, ALGORITHMS.len());
    assert!(
        Algorithm::ALL
            .iter()
            .all(|alg| ALGORITHMS.contains(&alg.name()) != alg.is_symmetric())
    );
}

#[test]
fn the_uri_is_compared_in_normal_form_without_query() {
    for htu in [
        "https://api.example.com:443/orders",
        "HTTPS://API.example.com/orders",
        "https://api.example.com/x/../%6Frders",
        "https://api.example.com/orders?page=2",
        "https://api.example.com/orders#top",
    ] {
        let proof = proof(&header(), &with(payload(), "htu", json!(htu)));
        Asked::of(Algorithm::Es256).verify(&proof).expect(htu);
    }
    for (htu, told) in [
        (
            "http://api.example.com/orders",
            Some("http://api.example.com/orders"),
        ),
        (
            "https://api.example.com/orders/?secret",
            Some("https://api.example.com/orders/"),
        ),
        (
            "https://api.example.com:8443/orders",
            Some("https://api.example.com:8443/orders"),
        ),
        ("https://api.example.com@evil.example.com/orders", None),
        ("/orders", None),
        ("", None),
        ("api.example.com/orders", None),
        ("https://api.example.com/orders/..%2forders", None),
    ] {
        assert_eq!(
            refusal(&header(), &with(payload(), "htu", json!(htu))),
            ProofError::UriMismatch {
                proof: told.map(str::to_owned),
                request: Some("https://api.example.com/orders".to_owned()),
            },
            "{htu}"
        );
    }
    let long = with(payload(), "htm", json!("\n".repeat(1000)));
    assert_eq!(
        refusal(&header(), &long).to_string(),
        format!(
            "the proof is for the method `{}`, the request has `GET`",
            "\\n".repeat(32)
        )
    );
}

#[test]
fn a_proof_is_accepted_in_its_time_only() {
    let now = NOW as i64;
    // Seconds since `iat`, with an age of at most 60 and a clock that may be off by 5.
    let cases = [
        (0, true),
        (65, true),
        (66, false),
        (-5, true),
        (-6, false),
        (100_000, false),
        (-100_000, false),
    ];
    for (age, accepted) in cases {
        let iat = now - age;
        let proof = proof(&header(), &with(payload(), "iat", json!(iat)));
        let result = Asked::of(Algorithm::Es256).verify(&proof);
        let expected = match (accepted, age) {
            (true, _) => {
                // It has to be remembered for as long as it is accepted.
                let until = result.clone().unwrap().until;
                assert_eq!(until, Timestamp::from_seconds((iat + 66) as u64), "{age}");
                continue;
            }
            (false, 0..) => ProofError::TooOld {
                iat,
                now,
                max_age: 60,
                leeway: 5,
            },
            (false, _) => ProofError::FromTheFuture {
                iat,
                now,
                leeway: 5,
            },
        };
        assert_eq!(result, Err(expected), "{age}");
    }
    let extremes = [
        (json!(0), "the epoch"),
        (json!(u64::MAX), "beyond 64 bits with a sign"),
        (json!(1e300), "beyond every date"),
    ];
    for (iat, note) in extremes {
        let error = refusal(&header(), &with(payload(), "iat", iat));
        let is_about_time = matches!(
            error,
            ProofError::TooOld { .. } | ProofError::FromTheFuture { .. }
        );
        assert!(is_about_time, "{note}: {error}");
    }
    let endless = Asked {
        max_age: i64::MAX,
        leeway: i64::MAX,
        ..Asked::of(Algorithm::Es256)
    };
    endless.verify(&proof(&header(), &payload())).unwrap();
}

#[test]
fn exp_and_nbf_count_where_a_proof_has_them() {
    let good = with(with(payload(), "exp", json!(NOW + 1)), "nbf", json!(NOW));
    Asked::of(Algorithm::Es256)
        .verify(&proof(&header(), &good))
        .unwrap();
    for (claim, value) in [("exp", NOW - 5), ("nbf", NOW + 6)] {
        let payload = with(payload(), claim, json!(value));
        assert_eq!(
            refusal(&header(), &payload),
            ProofError::OutsideItsTime,
            "{claim}"
        );
    }
}

#[test]
fn every_claim_has_to_be_there_and_of_its_type() {
    for claim in ["jti", "htm", "htu", "ath", "iat"] {
        assert_eq!(
            refusal(&header(), &without(payload(), claim)),
            ProofError::ClaimMissing { claim },
        );
    }
    let kinds = [
        (json!(null), "null"),
        (json!(7), "a number"),
        (json!(true), "a boolean"),
        (json!(["GET"]), "an array"),
        (json!({}), "an object"),
    ];
    for (value, found) in kinds {
        for claim in ["htm", "htu", "ath"] {
            assert_eq!(
                refusal(&header(), &with(payload(), claim, value.clone())),
                ProofError::ClaimNotString { claim, found },
            );
        }
        assert_eq!(
            refusal(&header(), &with(payload(), "jti", value.clone())),
            ProofError::Form(TokenError::ClaimNotString {
                claim: StringClaim::Jti,
                found
            }),
        );
        if found != "a number" {
            assert_eq!(
                refusal(&header(), &with(payload(), "iat", value)),
                ProofError::Form(TokenError::TimeNotNumber {
                    claim: TimeClaim::Iat,
                    found
                }),
            );
        }
    }
}

#[test]
fn a_claim_that_stands_twice_is_refused() {
    let good = payload().to_string();
    for claim in ["jti", "htm", "htu", "ath", "iat"] {
        let value = &payload()[claim];
        let twice = good.replacen('{', &format!("{{\"{claim}\":{value},"), 1);
        let proof = signer::token(Algorithm::Es256, &header().to_string(), &twice);
        let error = Asked::of(Algorithm::Es256).verify(&proof).unwrap_err();
        assert!(
            matches!(error, ProofError::Form(TokenError::PayloadNotJson(_))),
            "{claim}: {error}"
        );
    }
    let good = header().to_string();
    for member in ["typ", "alg", "jwk"] {
        let value = &header()[member];
        let twice = good.replacen('{', &format!("{{\"{member}\":{value},"), 1);
        let proof = signer::token(Algorithm::Es256, &twice, &payload().to_string());
        let error = Asked::of(Algorithm::Es256).verify(&proof).unwrap_err();
        assert!(
            matches!(error, ProofError::Form(TokenError::HeaderNotJson(_))),
            "{member}: {error}"
        );
    }
}

#[test]
fn jti_is_neither_empty_nor_without_bound() {
    for (length, accepted) in [
        (0, false),
        (1, true),
        (MAX_JTI_BYTES, true),
        (MAX_JTI_BYTES + 1, false),
    ] {
        let jti = "j".repeat(length);
        let proof = proof(&header(), &with(payload(), "jti", json!(jti)));
        let result = Asked::of(Algorithm::Es256).verify(&proof);
        match accepted {
            true => assert!(result.is_ok(), "{length}"),
            false => assert_eq!(result, Err(ProofError::JtiLength { bytes: length })),
        }
    }
}

#[test]
fn a_proof_is_told_from_another_by_key_and_jti_alone() {
    let asked = Asked::of(Algorithm::Es256);
    let digest = |payload: &Value| asked.verify(&proof(&header(), payload)).unwrap().digest;
    let first = digest(&payload());
    assert_eq!(digest(&with(payload(), "iat", json!(NOW + 1))), first);
    assert_eq!(
        digest(&with(payload(), "htu", json!(format!("{URI}?x")))),
        first
    );
    assert_ne!(digest(&with(payload(), "jti", json!("two"))), first);
    let header = json!({ "typ": "dpop+jwt", "alg": "ES384", "jwk": key(Algorithm::Es384).jwk() });
    let other = signer::token(
        Algorithm::Es384,
        &header.to_string(),
        &payload().to_string(),
    );
    let other = Asked::of(Algorithm::Es384).verify(&other).unwrap();
    assert_ne!(other.digest, first, "another client may have the same jti");
}

#[test]
fn the_header_has_to_be_that_of_a_proof() {
    let es256 = key(Algorithm::Es256).jwk();
    let p384 = key(Algorithm::Es384).jwk();
    let cases: Vec<(Value, ProofError, &str)> = vec![
        (without(header(), "typ"), ProofError::Type, "no typ"),
        (
            with(header(), "typ", json!("JWT")),
            ProofError::Type,
            "an access token as proof",
        ),
        (
            with(header(), "typ", json!("DPoP+JWT")),
            ProofError::Type,
            "another spelling",
        ),
        (
            with(header(), "typ", json!("at+jwt")),
            ProofError::Type,
            "RFC 9068",
        ),
        (
            with(header(), "typ", json!(1)),
            ProofError::Form(TokenError::HeaderMemberNotString {
                member: "typ",
                found: "a number",
            }),
            "typ is a number",
        ),
        (
            without(header(), "alg"),
            ProofError::Form(TokenError::AlgMissing),
            "no alg",
        ),
        (
            with(header(), "alg", json!("none")),
            ProofError::Form(TokenError::AlgNotSupported {
                registered: Some("none"),
            }),
            "none",
        ),
        (
            with(header(), "alg", json!("HS256")),
            ProofError::AlgorithmSymmetric {
                alg: Algorithm::Hs256,
            },
            "symmetric, with a public key in jwk",
        ),
        (
            with(header(), "alg", json!("RS256")),
            ProofError::SignatureInvalid,
            "an algorithm that is not the key's",
        ),
        (
            with(header(), "alg", json!("ES384")),
            ProofError::SignatureInvalid,
            "the algorithm of another curve",
        ),
        (without(header(), "jwk"), ProofError::KeyMissing, "no jwk"),
        (
            with(header(), "jwk", json!(null)),
            ProofError::KeyUnusable(KeyError::NotAnObject { found: "null" }),
            "jwk is null",
        ),
        (
            with(header(), "jwk", json!("k")),
            ProofError::KeyUnusable(KeyError::NotAnObject { found: "a string" }),
            "jwk is a string",
        ),
        (
            with(header(), "jwk", json!([es256])),
            ProofError::KeyUnusable(KeyError::NotAnObject { found: "an array" }),
            "jwk is a list of keys",
        ),
        (
            with(header(), "jwk", with(es256.clone(), "d", json!("AAAA"))),
            ProofError::KeyPrivate,
            "a private key",
        ),
        (
            with(header(), "jwk", with(es256.clone(), "k", json!("AAAA"))),
            ProofError::KeyPrivate,
            "a secret beside",
        ),
        (
            with(
                header(),
                "jwk",
                json!({ "kty": "oct", "k": base64url::encode(&[7; 32]) }),
            ),
            ProofError::KeyUnusable(KeyError::SymmetricFromRemote),
            "a shared secret",
        ),
        (
            with(header(), "jwk", with(es256.clone(), "use", json!("enc"))),
            ProofError::KeyUnusable(KeyError::NotForSignatures {
                key_use: "enc".into(),
            }),
            "a key for encryption",
        ),
        (
            with(header(), "jwk", with(es256.clone(), "crv", json!("P-384"))),
            ProofError::KeyUnusable(KeyError::CoordinateLength {
                member: "x",
                bytes: 32,
                expected: 48,
            }),
            "a point of another curve",
        ),
        (
            with(
                header(),
                "jwk",
                with(es256.clone(), "y", json!(base64url::encode(&[1; 32]))),
            ),
            ProofError::KeyUnusable(KeyError::NotOnCurve { crv: "P-256" }),
            "no point of the curve",
        ),
        (
            with(header(), "jwk", p384),
            ProofError::KeyMismatch,
            "another key than the token's",
        ),
        (
            with(header(), "crit", json!(["exp"])),
            ProofError::Form(TokenError::CritNotSupported),
            "crit",
        ),
        (
            with(header(), "b64", json!(false)),
            ProofError::Form(TokenError::UnencodedPayload),
            "b64",
        ),
    ];
    for (header, expected, note) in cases {
        assert_eq!(refusal(&header, &payload()), expected, "{note}");
    }
}

#[test]
fn a_short_rsa_key_is_refused() {
    let short = json!({ "kty": "RSA", "n": base64url::encode(&[0xff; 128]), "e": "AQAB" });
    assert_eq!(
        refusal(&with(header(), "jwk", short), &payload()),
        ProofError::KeyUnusable(KeyError::RsaModulusSize { bits: 1024 }),
    );
}

#[test]
fn what_is_no_token_is_no_proof() {
    let asked = Asked::of(Algorithm::Es256);
    let good = proof(&header(), &payload());
    for (text, note) in [
        (String::new(), "empty"),
        ("x".into(), "a word"),
        (good.replacen('.', "", 1), "two segments"),
        (format!("{good}.x"), "four segments"),
        (format!("{good}="), "padding"),
        (format!(" {good}"), "a space"),
        (good.replace('.', ","), "commas"),
    ] {
        let error = asked.verify(&text).unwrap_err();
        assert!(matches!(error, ProofError::Form(_)), "{note}: {error}");
    }
    let huge = format!("{good}{}", "A".repeat(MAX_PROOF_BYTES));
    assert_eq!(
        asked.verify(&huge),
        Err(ProofError::TooLarge { bytes: huge.len() })
    );
    let mut bytes = good.into_bytes();
    bytes[3] = 0xff;
    let context = ProofContext {
        method: b"GET",
        uri: asked.uri.as_ref(),
        access_token: TOKEN.as_bytes(),
        key: asked.key,
        now: Timestamp::from_seconds(NOW),
        max_age: 60,
        leeway: 5,
    };
    assert!(matches!(
        verify_proof(&bytes, &context),
        Err(ProofError::Form(_))
    ));
}

#[test]
fn no_character_of_a_proof_can_be_changed() {
    let asked = Asked::of(Algorithm::Es256);
    let good = proof(&header(), &payload());
    asked.verify(&good).unwrap();
    for at in 0..good.len() {
        let mut changed = good.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(asked.verify(&changed).is_err(), "{at}");
    }
}

#[test]
fn a_signature_by_another_key_of_the_kind_is_refused() {
    let other = p256::ecdsa::SigningKey::random(&mut rsa::rand_core::OsRng);
    let input = signer::signing_input(
        header().to_string().as_bytes(),
        payload().to_string().as_bytes(),
    );
    let signature = signer::SigningKey::P256(other).sign(Algorithm::Es256, input.as_bytes());
    let forged = format!("{input}.{}", base64url::encode(&signature));
    assert_eq!(
        Asked::of(Algorithm::Es256).verify(&forged),
        Err(ProofError::SignatureInvalid)
    );
}

#[test]
fn the_longest_key_that_is_accepted_fits_a_proof() {
    // A modulus of 8192 bits, twice in base64 as it is a member of the header, and a signature as long.
    let modulus = base64url::encode(&[0xff; 1024]);
    let header = json!({
        "typ": "dpop+jwt", "alg": "RS512",
        "jwk": { "kty": "RSA", "n": modulus, "e": "AQAB" },
    });
    let proof = format!(
        "{}.{}.{modulus}",
        base64url::encode(header.to_string().as_bytes()),
        base64url::encode(
            with(payload(), "jti", json!("j".repeat(MAX_JTI_BYTES)))
                .to_string()
                .as_bytes()
        ),
    );
    assert!(proof.len() < MAX_PROOF_BYTES, "{}", proof.len());
}
