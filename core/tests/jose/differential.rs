//! jsonwebtoken as a second opinion: what it mints is verified here, and what is broken is refused by both.

use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use nexus_core::jose::{Algorithm, UntrustedToken, base64url, verify};
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use rsa::pkcs8::EncodePrivateKey as _;
use serde_json::{Value, json};

use crate::signer::{SigningKey, key, set_of};

/// The algorithms that jsonwebtoken has too.
fn shared() -> Vec<(Algorithm, jsonwebtoken::Algorithm)> {
    Algorithm::ALL
        .into_iter()
        .filter_map(|algorithm| Some((algorithm, algorithm.name().parse().ok()?)))
        .collect()
}

fn encoding_key(key: &SigningKey) -> EncodingKey {
    match key {
        SigningKey::Rsa(key) => EncodingKey::from_rsa_der(key.to_pkcs1_der().unwrap().as_bytes()),
        SigningKey::P256(key) => EncodingKey::from_ec_der(key.to_pkcs8_der().unwrap().as_bytes()),
        SigningKey::P384(key) => EncodingKey::from_ec_der(key.to_pkcs8_der().unwrap().as_bytes()),
        SigningKey::Ed25519(key) => {
            EncodingKey::from_ed_der(key.to_pkcs8_der().unwrap().as_bytes())
        }
        SigningKey::Secret(secret) => EncodingKey::from_secret(secret),
        SigningKey::P521(_) | SigningKey::Secp256k1(_) => panic!("jsonwebtoken lacks the curve"),
    }
}

fn they_accept(token: &str, jwk: &Value, algorithm: jsonwebtoken::Algorithm) -> bool {
    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(jwk.clone()).unwrap();
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(&jwk).unwrap(), &validation).is_ok()
}

fn we_accept(token: &str, jwk: &Value) -> bool {
    let set = set_of(std::slice::from_ref(jwk));
    UntrustedToken::parse(token.as_bytes()).is_ok_and(|token| {
        verify(&token, &set, &Algorithm::ALL).is_ok_and(|it| it.claims().is_ok())
    })
}

#[test]
fn both_agree() {
    let shared = shared();
    assert_eq!(shared.len(), 12, "all but ES512 and ES256K");
    for (ours, theirs) in shared {
        let jwk = key(ours).jwk();
        let mut header = Header::new(theirs);
        header.kid = Some("a key".to_owned());
        let claims = json!({
            "iss": "https://issuer.example.com", "sub": "ü\u{1f600}", "aud": ["a", "b"], "exp": 4102444800_u64,
        });
        let minted = jsonwebtoken::encode(&header, &claims, &encoding_key(key(ours))).unwrap();
        assert!(we_accept(&minted, &jwk), "{ours}: theirs is accepted here");
        let token = UntrustedToken::parse(minted.as_bytes()).unwrap();
        assert_eq!(token.header().alg(), ours);
        assert_eq!(token.header().kid(), Some("a key"));
        assert_eq!(token.claims().unwrap().sub(), claims["sub"].as_str());

        let own = crate::signer::good_token(ours);
        assert!(
            they_accept(&own, &jwk, theirs),
            "{ours}: ours is accepted there"
        );

        let parts: Vec<&str> = minted.split('.').collect();
        let signature = base64url::decode(parts[2].as_bytes()).unwrap();
        for at in (0..signature.len()).step_by(7) {
            let mut bad = signature.clone();
            bad[at] ^= 0x10;
            let bad = format!("{}.{}.{}", parts[0], parts[1], base64url::encode(&bad));
            assert!(!we_accept(&bad, &jwk), "{ours}, byte {at}");
            assert!(!they_accept(&bad, &jwk, theirs), "{ours}, byte {at}");
        }
        let other = base64url::encode(br#"{"sub":"somebody else"}"#);
        let bad = format!("{}.{other}.{}", parts[0], parts[2]);
        assert!(!we_accept(&bad, &jwk), "{ours}, another payload");
        assert!(!they_accept(&bad, &jwk, theirs), "{ours}, another payload");
    }
}
