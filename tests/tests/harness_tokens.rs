//! The tests' own keys and tokens: a signature that no other library accepts would make every
//! denial look right.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, Validation, decode, jwk::Jwk};
use nexus_tests::{
    keys::{self, Algorithm, Key},
    tokens::{self, Token},
};
use p521::ecdsa::signature::Verifier as _;
use serde_json::{Value, json};

#[test]
fn every_algorithm_signs_what_its_published_key_verifies() {
    for algorithm in Algorithm::ALL {
        let key = keys::for_algorithm(algorithm).with_kid("k");
        let token = Token::new("https://issuer.test").sign(&key, algorithm);
        assert!(verifies(&token, &key, algorithm), "{}", algorithm.name());
        let broken = tokens::with_broken_signature(&token);
        assert!(
            !verifies(&broken, &key, algorithm),
            "{} broken",
            algorithm.name()
        );
    }
}

#[test]
fn a_key_does_not_verify_what_another_of_its_kind_signed() {
    let token = Token::new("https://issuer.test").sign(keys::rsa(), Algorithm::RS256);
    assert!(verifies(&token, keys::rsa(), Algorithm::RS256));
    assert!(!verifies(&token, keys::other_rsa(), Algorithm::RS256));
}

#[test]
fn pem_and_jwk_publish_the_same_rsa_key() {
    let token = Token::new("https://issuer.test").sign(keys::rsa(), Algorithm::PS256);
    let key = DecodingKey::from_rsa_pem(keys::rsa().public_pem().as_bytes()).expect("a public key");
    assert!(decode::<Value>(&token, &key, &validation(jsonwebtoken::Algorithm::PS256)).is_ok());
}

#[test]
fn header_and_claims_are_what_was_asked_for() {
    let key = Key::secret("a secret").with_kid("from the key");
    let token = Token::empty()
        .claim("a", 1)
        .claim("b", 2)
        .without("a")
        .audience(json!(["x", "y"]))
        .sign(&key, Algorithm::HS256);
    let [header, payload, _] = tokens::parts(&token);
    let json = |part: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
    };
    assert_eq!(
        json(header),
        json!({"alg": "HS256", "typ": "JWT", "kid": "from the key"})
    );
    assert_eq!(json(payload), json!({"b": 2, "aud": ["x", "y"]}));
    let other = Token::empty()
        .kid("own")
        .header("alg", "none")
        .sign(&key, Algorithm::HS256);
    assert_eq!(
        json(tokens::parts(&other)[0]),
        json!({"alg": "none", "typ": "JWT", "kid": "own"})
    );
}

/// Verifies with the key's published JWK only.
fn verifies(token: &str, key: &Key, algorithm: Algorithm) -> bool {
    let jwk = key.public_jwk();
    let [header, payload, signature] = tokens::parts(token);
    let message = format!("{header}.{payload}");
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("base64url");
    let point = || {
        let member = |name: &str| bytes(jwk[name].as_str().expect("a coordinate"));
        [vec![4], member("x"), member("y")].concat()
    };
    match algorithm {
        Algorithm::ES512 => {
            let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(&point()).expect("a point");
            p521::ecdsa::Signature::from_slice(&bytes(signature))
                .is_ok_and(|signature| key.verify(message.as_bytes(), &signature).is_ok())
        }
        Algorithm::ES256K => {
            let key = k256::ecdsa::VerifyingKey::from_sec1_bytes(&point()).expect("a point");
            k256::ecdsa::Signature::from_slice(&bytes(signature))
                .is_ok_and(|signature| key.verify(message.as_bytes(), &signature).is_ok())
        }
        _ => {
            let jwk: Jwk = serde_json::from_value(jwk).expect("a JWK");
            let key = DecodingKey::from_jwk(&jwk).expect("a key");
            let algorithm = algorithm.name().parse().expect("an algorithm");
            decode::<Value>(token, &key, &validation(algorithm)).is_ok()
        }
    }
}

fn validation(algorithm: jsonwebtoken::Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&["https://issuer.test"]);
    validation
}
