//! No input makes the readers panic, and what they accept they read the same again.

use nexus_core::jose::{Algorithm, Claims, JwkSet, KeyOrigin, UntrustedToken, base64url, verify};
use proptest::prelude::*;

use crate::signer::{key_set, signing_input};

/// Text that is close to JSON, so that the readers get past the first byte.
fn json_like() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?[0-9]{1,25}(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,6})?",
        "\"[a-zA-Z0-9_+/=.-]{0,90}\"",
        "\"\\PC{0,10}\"",
    ];
    let name = prop_oneof![
        Just("alg"),
        Just("kid"),
        Just("typ"),
        Just("crit"),
        Just("b64"),
        Just("iss"),
        Just("sub"),
        Just("aud"),
        Just("exp"),
        Just("nbf"),
        Just("iat"),
        Just("jti"),
        Just("keys"),
        Just("kty"),
        Just("crv"),
        Just("use"),
        Just("key_ops"),
        Just("n"),
        Just("e"),
        Just("x"),
        Just("y"),
        Just("k"),
        Just("d"),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5)
                .prop_map(|elements| format!("[{}]", elements.join(","))),
            prop::collection::vec((name.clone(), inner), 0..8).prop_map(|members| {
                let members: Vec<String> = members
                    .into_iter()
                    .map(|(name, value)| format!("\"{name}\":{value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// Values that the members of a key may have, right and wrong.
fn jwk_like() -> impl Strategy<Value = String> {
    let kty = prop_oneof![Just("RSA"), Just("EC"), Just("OKP"), Just("oct")];
    let crv = prop_oneof![
        Just("P-256"),
        Just("P-384"),
        Just("P-521"),
        Just("secp256k1"),
        Just("Ed25519")
    ];
    let bytes =
        || prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| base64url::encode(&bytes));
    (kty, crv, bytes(), bytes(), bytes()).prop_map(|(kty, crv, a, b, c)| {
        format!(
            r#"{{"keys":[{{"kty":"{kty}","crv":"{crv}","x":"{a}","y":"{b}","n":"{a}","e":"{b}","k":"{c}"}}]}}"#
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1024) })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = UntrustedToken::parse(&bytes);
        let _ = Claims::parse(&bytes);
        let _ = JwkSet::parse(&bytes, KeyOrigin::Local);
        let _ = JwkSet::from_pem(&bytes);
        let _ = JwkSet::from_secret(&bytes, &[]);
    }

    #[test]
    fn anything_between_dots(token in "[A-Za-z0-9_=+/-]{0,60}(\\.[A-Za-z0-9_-]{0,60}){0,4}") {
        let _ = UntrustedToken::parse(token.as_bytes());
    }

    #[test]
    fn near_json_in_both_segments(header in json_like(), payload in json_like(), signature in prop::collection::vec(any::<u8>(), 0..150)) {
        let input = signing_input(header.as_bytes(), payload.as_bytes());
        let token = format!("{input}.{}", base64url::encode(&signature));
        if let Ok(token) = UntrustedToken::parse(token.as_bytes()) {
            prop_assert_eq!(token.payload(), payload.as_bytes());
        }
        if let Ok(claims) = Claims::parse(payload.as_bytes()) {
            // What was read, written and read again is the same.
            let text = claims.json().to_string();
            let again = Claims::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(again.exp(), claims.exp());
            prop_assert_eq!(again.iss(), claims.iss());
        }
    }

    #[test]
    fn any_signature(which in 0..14_usize, signature in prop::collection::vec(any::<u8>(), 1..300)) {
        let algorithm = Algorithm::ALL[which];
        let input = signing_input(format!(r#"{{"alg":"{algorithm}"}}"#).as_bytes(), b"{}");
        let token = format!("{input}.{}", base64url::encode(&signature));
        if let Ok(token) = UntrustedToken::parse(token.as_bytes()) {
            prop_assert!(verify(&token, &key_set(algorithm), &Algorithm::ALL).is_err());
        }
    }

    #[test]
    fn near_key_sets(text in prop_oneof![json_like(), jwk_like()]) {
        if let Ok(set) = JwkSet::parse(text.as_bytes(), KeyOrigin::Local) {
            let written = set.to_json();
            let again = JwkSet::parse(written.as_bytes(), KeyOrigin::Local).unwrap();
            prop_assert_eq!(again.rejected(), &[]);
            prop_assert_eq!(again.to_json(), written);
        }
    }

    #[test]
    fn near_pem(label in "(PUBLIC KEY|RSA PUBLIC KEY|CERTIFICATE)", der in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = JwkSet::from_pem(crate::pem::block(&label, &der).as_bytes());
    }

    #[test]
    fn spoilt_pem(which in 0..4_usize, at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let algorithm = [Algorithm::Rs256, Algorithm::Es256, Algorithm::Es512, Algorithm::EdDsa][which];
        let mut der = crate::signer::key(algorithm).spki_der();
        let index = at.index(der.len());
        der[index] = byte;
        let _ = JwkSet::from_pem(crate::pem::block("PUBLIC KEY", &der).as_bytes());
        let _ = JwkSet::from_pem(crate::pem::block("CERTIFICATE", &der).as_bytes());
    }

    #[test]
    fn base64url_goes_both_ways(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(base64url::decode(base64url::encode(&bytes).as_bytes()), Ok(bytes));
    }

    #[test]
    fn base64url_has_one_spelling(text in "[A-Za-z0-9_-]{0,40}") {
        if let Ok(bytes) = base64url::decode(text.as_bytes()) {
            prop_assert_eq!(base64url::encode(&bytes), text);
        }
    }
}
