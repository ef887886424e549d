//! The examples of the RFCs, from the folder of vectors: RFC 7515 appendix A and E, RFC 7520 §3 and §4,
//! RFC 7797 §4, RFC 8037 appendix A.4.

use nexus_core::jose::{
    Algorithm, JwkSet, KeyOrigin, Segment, TokenError, UntrustedToken, VerifyError, verify,
};
use serde_json::{Value, json};

use crate::vectors::document;

fn key_set(jwk: &Value) -> JwkSet {
    JwkSet::parse(
        json!({ "keys": [jwk] }).to_string().as_bytes(),
        KeyOrigin::Local,
    )
    .unwrap()
}

fn verified_with(compact: &str, jwk: &Value) -> Algorithm {
    let token = UntrustedToken::parse(compact.as_bytes()).unwrap();
    let keys = key_set(jwk);
    let verified = verify(&token, &keys, &Algorithm::ALL).unwrap();
    assert!(std::ptr::eq(verified.key(), &keys.keys()[0]));
    verified.header().alg()
}

#[test]
fn rfc_7515_appendix_a_and_e() {
    let Some(set) = document("rfc7515/appendix_a_e.json") else {
        return;
    };
    let cases = set["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 8);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let compact = match case.get("compact") {
            Some(compact) => compact.as_str().unwrap().to_owned(),
            None => case["json"].to_string(),
        };
        if case["result"] == "valid" {
            let alg = verified_with(&compact, &case["jwk"]);
            assert_eq!(json!(alg.name()), case["alg"], "{name}");
        } else {
            let error = UntrustedToken::parse(compact.as_bytes()).unwrap_err();
            match error {
                // The unsecured tokens of A.5 and E end with a dot.
                TokenError::EmptySegment { segment } => assert_eq!(segment, Segment::Signature),
                // The JSON forms have no dots outside of strings, if any.
                TokenError::NotThreeSegments { .. } => assert!(case.get("json").is_some()),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}

#[test]
fn claims_of_rfc_7515_appendix_a_1() {
    let Some(set) = document("rfc7515/appendix_a_e.json") else {
        return;
    };
    let token =
        UntrustedToken::parse(set["cases"][0]["compact"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(token.header().typ(), Some("JWT"));
    let claims = token.claims().unwrap();
    assert_eq!(claims.iss(), Some("joe"));
    assert_eq!(
        claims.exp().map(|exp| exp.as_seconds()),
        Some(1_300_819_380)
    );
    assert!(claims.value("http://example.com/is_root").is_some());
}

#[test]
fn rfc_7520_signatures() {
    let files = [
        ("4_1.rsa_v15_signature", Algorithm::Rs256),
        ("4_2.rsa-pss_signature", Algorithm::Ps384),
        ("4_3.ecdsa_signature", Algorithm::Es512),
        ("4_4.hmac-sha2_integrity_protection", Algorithm::Hs256),
    ];
    for (file, alg) in files {
        let Some(case) = document(&format!("ietf-jose-cookbook/jws/{file}.json")) else {
            return;
        };
        let compact = case["output"]["compact"].as_str().unwrap();
        let mut key = case["input"]["key"].clone();
        assert_eq!(verified_with(compact, &key), alg, "{file}");
        // The payload is prose: signed, and yet no claims.
        let token = UntrustedToken::parse(compact.as_bytes()).unwrap();
        assert!(matches!(token.claims(), Err(TokenError::PayloadNotJson(_))));
        // A key that is named otherwise does not match.
        key["kid"] = json!("another");
        let error = verify(&token, &key_set(&key), &Algorithm::ALL).unwrap_err();
        assert!(
            matches!(error, VerifyError::NoKeyMatches { .. }),
            "{error:?}"
        );
    }
}

#[test]
fn rfc_7520_other_serializations_are_refused() {
    for file in [
        "4_5.signature_with_detached_content",
        "4_6.protecting_specific_header_fields",
        "4_7.protecting_content_only",
        "4_8.multiple_signatures",
    ] {
        let Some(case) = document(&format!("ietf-jose-cookbook/jws/{file}.json")) else {
            return;
        };
        for (form, token) in case["output"].as_object().unwrap() {
            let text = token.as_str().map_or(token.to_string(), str::to_owned);
            assert!(
                UntrustedToken::parse(text.as_bytes()).is_err(),
                "{file}, {form}"
            );
        }
    }
}

#[test]
fn rfc_7520_keys() {
    // File, whether usable, whether it has private members.
    let files = [
        ("3_1.ec_public_key", true, false),
        ("3_2.ec_private_key", true, true),
        ("3_3.rsa_public_key", true, false),
        ("3_4.rsa_private_key", true, true),
        ("3_5.symmetric_key_mac_computation", true, false),
        ("3_6.symmetric_key_encryption", false, false),
    ];
    for (file, usable, private) in files {
        let Some(jwk) = document(&format!("ietf-jose-cookbook/jwk/{file}.json")) else {
            return;
        };
        let set = key_set(&jwk);
        assert_eq!(!set.is_empty(), usable, "{file}: {:?}", set.rejected());
        if usable {
            let key = &set.keys()[0];
            assert_eq!(key.private_key_material(), private, "{file}");
            assert_eq!(json!(key.kid()), jwk["kid"], "{file}");
            // What is written again has no private member and is the same key.
            let again: Value = serde_json::from_str(&set.to_json()).unwrap();
            let written = again["keys"][0].as_object().unwrap();
            assert!(!written.contains_key("d"), "{file}");
            for member in ["kty", "crv", "x", "y", "n", "e", "k"] {
                assert_eq!(written.get(member), jwk.get(member), "{file}, {member}");
            }
        }
    }
}

#[test]
fn rfc_8037_ed25519() {
    let Some(case) = document("ietf-jose-cookbook/curve25519/jws.json") else {
        return;
    };
    let compact = case["output"]["compact"].as_str().unwrap();
    assert_eq!(
        verified_with(compact, &case["input"]["key"]),
        Algorithm::EdDsa
    );
}

#[test]
fn rfc_7797_unencoded_payload_is_refused() {
    for file in ["4.2.hmac-sha2_b64_false", "hmac-sha2_b64_false"] {
        let Some(case) = document(&format!("ietf-jose-cookbook/rfc7797/{file}.json")) else {
            return;
        };
        for (form, token) in case["output"].as_object().unwrap() {
            let text = token.as_str().map_or(token.to_string(), str::to_owned);
            assert!(
                UntrustedToken::parse(text.as_bytes()).is_err(),
                "{file}, {form}"
            );
        }
    }
}
