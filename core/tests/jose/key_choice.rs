//! Attacks on the choice of the key and the algorithm. One row each, with what it is.

use nexus_core::jose::{
    Algorithm, JwkSet, KeyOrigin, MAX_CANDIDATES, UntrustedToken, VerifyError, base64url, verify,
    verify_with_any,
};
use rsa::traits::PublicKeyParts as _;
use serde_json::{Value, json};

use crate::outcome::{CLAIMS, Outcome, invalid, outcome, with_key};
use crate::signer::{self, SigningKey, good_token, hmac, key, key_set, set_of, signing_input};

#[test]
fn a_public_key_is_not_taken_for_a_secret() {
    let rsa = key(Algorithm::Rs256);
    let SigningKey::Rsa(private) = rsa else {
        panic!("an RSA key")
    };
    let der = rsa.spki_der();
    let pem = crate::pem::block("PUBLIC KEY", &der);
    let jwk = rsa.jwk().to_string();
    let secrets: [(Vec<u8>, &str); 9] = [
        (pem.clone().into_bytes(), "PEM"),
        (pem.trim_end().into(), "PEM without the last line break"),
        (
            pem.replace('\n', "\r\n").into_bytes(),
            "PEM with other line breaks",
        ),
        (
            format!("\u{feff}{pem}").into_bytes(),
            "PEM behind a byte order mark",
        ),
        (der, "DER"),
        (private.n().to_bytes_be(), "the modulus"),
        (jwk.clone().into_bytes(), "the JSON Web Key"),
        (format!(r#"{{"keys":[{jwk}]}}"#).into_bytes(), "the key set"),
        (Vec::new(), "nothing"),
    ];
    for algorithm in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
        let input = signing_input(
            format!(r#"{{"alg":"{algorithm}"}}"#).as_bytes(),
            CLAIMS.as_bytes(),
        );
        for (secret, note) in &secrets {
            let mac = hmac(algorithm, secret, input.as_bytes());
            let token = format!("{input}.{}", base64url::encode(&mac));
            let expected = Outcome::Unverified(VerifyError::NoKeyMatches {
                alg: algorithm,
                has_kid: false,
                keys_with_kid: 0,
                keys_with_alg: 0,
            });
            assert_eq!(with_key(Algorithm::Rs256, &token), expected, "{note}");
        }
    }
}

#[test]
fn keys_inside_a_token_are_not_used() {
    let own = signer::token;
    let foreign = p256::ecdsa::SigningKey::random(&mut rsa::rand_core::OsRng);
    let foreign = SigningKey::P256(foreign);
    let jwk = foreign.jwk();
    for member in [
        json!({ "jwk": jwk }),
        json!({ "jku": "https://attacker.example.com/jwks" }),
        json!({ "x5u": "https://attacker.example.com/certificate" }),
        json!({ "x5c": ["MIIB"] }),
    ] {
        let mut header = json!({ "alg": "ES256" });
        header
            .as_object_mut()
            .unwrap()
            .extend(member.as_object().unwrap().clone());
        let header = header.to_string();
        let input = signing_input(header.as_bytes(), CLAIMS.as_bytes());
        let signature = foreign.sign(Algorithm::Es256, input.as_bytes());
        let token = format!("{input}.{}", base64url::encode(&signature));
        assert_eq!(with_key(Algorithm::Es256, &token), invalid(1), "{header}");
        // With the right key the member is simply ignored.
        let token = own(Algorithm::Es256, &header, CLAIMS);
        assert_eq!(
            with_key(Algorithm::Es256, &token),
            Outcome::Verified,
            "{header}"
        );
    }
}

#[test]
fn a_kid_is_a_name_and_nothing_else() {
    let mut jwk = key(Algorithm::Es256).jwk();
    jwk["kid"] = json!("key-1");
    let set = set_of(&[jwk]);
    let long = "k".repeat(4096);
    for kid in [
        "../../dev/null",
        "' OR 1=1 --",
        "https://attacker.example.com",
        "key-1\u{0}",
        "KEY-1",
        "",
        &long,
    ] {
        let header = json!({ "alg": "ES256", "kid": kid }).to_string();
        let token = signer::token(Algorithm::Es256, &header, CLAIMS);
        let expected = Outcome::Unverified(VerifyError::NoKeyMatches {
            alg: Algorithm::Es256,
            has_kid: true,
            keys_with_kid: 0,
            keys_with_alg: 1,
        });
        assert_eq!(
            outcome(token.as_bytes(), &set, &Algorithm::ALL),
            expected,
            "{kid}"
        );
    }
}

#[test]
fn the_algorithm_has_to_be_allowed_by_provider_and_key() {
    let token = good_token(Algorithm::Rs512);
    let set = key_set(Algorithm::Rs256);
    assert_eq!(
        outcome(token.as_bytes(), &set, &[Algorithm::Rs256]),
        Outcome::Unverified(VerifyError::AlgorithmNotAllowed {
            alg: Algorithm::Rs512
        }),
        "valid, but not on the list"
    );
    assert_eq!(
        outcome(token.as_bytes(), &set, &[]),
        Outcome::Unverified(VerifyError::AlgorithmNotAllowed {
            alg: Algorithm::Rs512
        }),
        "an empty list allows nothing"
    );

    let mut jwk = key(Algorithm::Rs256).jwk();
    jwk["alg"] = json!("PS256");
    jwk["kid"] = json!("one");
    let set = set_of(&[jwk]);
    let header = r#"{"alg":"RS256","kid":"one"}"#;
    assert_eq!(
        outcome(
            signer::token(Algorithm::Rs256, header, CLAIMS).as_bytes(),
            &set,
            &Algorithm::ALL
        ),
        Outcome::Unverified(VerifyError::NoKeyMatches {
            alg: Algorithm::Rs256,
            has_kid: true,
            keys_with_kid: 1,
            keys_with_alg: 0,
        }),
        "the key is for PS256"
    );
}

#[test]
fn a_key_of_another_curve_does_not_match() {
    for (claimed, signed) in [
        (Algorithm::Es384, Algorithm::Es256),
        (Algorithm::Es256, Algorithm::Es256k),
        (Algorithm::Es256k, Algorithm::Es256),
        (Algorithm::Es512, Algorithm::Es384),
    ] {
        let token = signer::token(signed, &format!(r#"{{"alg":"{claimed}"}}"#), CLAIMS);
        assert_eq!(
            with_key(signed, &token),
            Outcome::Unverified(VerifyError::NoKeyMatches {
                alg: claimed,
                has_kid: false,
                keys_with_kid: 0,
                keys_with_alg: 0,
            }),
            "{claimed} with a key for {signed}"
        );
    }
}

#[test]
fn a_secret_in_a_remote_set_is_not_used() {
    let jwk = key(Algorithm::Hs256).jwk();
    let text = json!({ "keys": [jwk] }).to_string();
    let set = JwkSet::parse(text.as_bytes(), KeyOrigin::Remote).unwrap();
    assert!(set.is_empty());
    let token = good_token(Algorithm::Hs256);
    let found = outcome(token.as_bytes(), &set, &Algorithm::ALL);
    assert!(matches!(
        found,
        Outcome::Unverified(VerifyError::NoKeyMatches { .. })
    ));
}

#[test]
fn the_same_kid_at_another_issuer_does_not_help() {
    let other = SigningKey::P256(p256::ecdsa::SigningKey::random(&mut rsa::rand_core::OsRng));
    let mut jwk = other.jwk();
    jwk["kid"] = json!("one");
    let set = set_of(&[jwk]);
    let token = signer::token(Algorithm::Es256, r#"{"alg":"ES256","kid":"one"}"#, CLAIMS);
    assert_eq!(
        outcome(token.as_bytes(), &set, &Algorithm::ALL),
        Outcome::Unverified(VerifyError::SignatureInvalid {
            tried: 1,
            candidates: 1,
            keys_with_kid: 1,
        })
    );
}

#[test]
fn a_set_of_many_keys_costs_a_bounded_number_of_checks() {
    let strangers: Vec<Value> = (0..100)
        .map(|_| {
            SigningKey::P256(p256::ecdsa::SigningKey::random(&mut rsa::rand_core::OsRng)).jwk()
        })
        .collect();
    let token = good_token(Algorithm::Es256);
    assert_eq!(
        outcome(token.as_bytes(), &set_of(&strangers), &Algorithm::ALL),
        Outcome::Unverified(VerifyError::SignatureInvalid {
            tried: MAX_CANDIDATES,
            candidates: 100,
            keys_with_kid: 0,
        })
    );

    // So one that is not among the first is not found.
    let mut keys = strangers[..MAX_CANDIDATES].to_vec();
    keys.push(key(Algorithm::Es256).jwk());
    assert_eq!(
        outcome(token.as_bytes(), &set_of(&keys), &Algorithm::ALL),
        Outcome::Unverified(VerifyError::SignatureInvalid {
            tried: MAX_CANDIDATES,
            candidates: MAX_CANDIDATES + 1,
            keys_with_kid: 0,
        })
    );
    assert_eq!(
        outcome(token.as_bytes(), &set_of(&keys[1..]), &Algorithm::ALL),
        Outcome::Verified
    );

    // The key with the very name is tried before those without one, wherever it stands.
    let mut named = key(Algorithm::Es256).jwk();
    named["kid"] = json!("mine");
    let mut keys = strangers;
    keys.push(named);
    let token = signer::token(Algorithm::Es256, r#"{"alg":"ES256","kid":"mine"}"#, CLAIMS);
    let token = UntrustedToken::parse(token.as_bytes()).unwrap();
    let set = set_of(&keys);
    let verified = verify(&token, &set, &Algorithm::ALL).unwrap();
    assert!(std::ptr::eq(verified.key(), &set.keys()[100]));
    assert_eq!(verified.key().kid(), Some("mine"));
}

#[test]
fn keys_without_a_name_match_every_token_and_named_keys_a_token_without() {
    let plain = key(Algorithm::Es256).jwk();
    let mut named = plain.clone();
    named["kid"] = json!("a");
    let with_kid = signer::token(Algorithm::Es256, r#"{"alg":"ES256","kid":"b"}"#, CLAIMS);
    let without = good_token(Algorithm::Es256);
    let found = |token: &str, jwk: &Value| {
        outcome(
            token.as_bytes(),
            &set_of(std::slice::from_ref(jwk)),
            &Algorithm::ALL,
        )
    };
    assert_eq!(
        found(&with_kid, &plain),
        Outcome::Verified,
        "the key has no name"
    );
    assert_eq!(
        found(&without, &named),
        Outcome::Verified,
        "the token names none"
    );
    assert!(
        matches!(found(&with_kid, &named), Outcome::Unverified(_)),
        "the names differ"
    );
}

#[test]
fn keys_that_share_a_name_are_all_tried() {
    let stranger = SigningKey::P256(p256::ecdsa::SigningKey::random(&mut rsa::rand_core::OsRng));
    let mut keys = [
        key(Algorithm::Rs256).jwk(),
        stranger.jwk(),
        key(Algorithm::Es256).jwk(),
    ];
    for jwk in &mut keys {
        jwk["kid"] = json!("same");
    }
    let set = set_of(&keys);
    for (algorithm, index) in [(Algorithm::Rs256, 0), (Algorithm::Es256, 2)] {
        let header = format!(r#"{{"alg":"{algorithm}","kid":"same"}}"#);
        let token = signer::token(algorithm, &header, CLAIMS);
        let token = UntrustedToken::parse(token.as_bytes()).unwrap();
        let verified = verify(&token, &set, &Algorithm::ALL).unwrap();
        assert!(std::ptr::eq(verified.key(), &set.keys()[index]));
    }
}

#[test]
fn several_sets_are_tried_in_turns_within_one_bound() {
    let stranger =
        || SigningKey::P256(p256::ecdsa::SigningKey::random(&mut rsa::rand_core::OsRng)).jwk();
    let large = set_of(&(0..100).map(|_| stranger()).collect::<Vec<_>>());
    let (mut named, mut other) = (key(Algorithm::Es256).jwk(), stranger());
    named["kid"] = json!("mine");
    other["kid"] = json!("mine");
    let (own, named, other) = (
        set_of(&[key(Algorithm::Es256).jwk()]),
        set_of(&[named]),
        set_of(&[other]),
    );
    let header = r#"{"alg":"ES256","kid":"mine"}"#;
    let unnamed = good_token(Algorithm::Es256);
    let with_name = signer::token(Algorithm::Es256, header, CLAIMS);
    let found = |token: &str, sets: &[&JwkSet]| {
        let token = UntrustedToken::parse(token.as_bytes()).unwrap();
        verify_with_any(&token, sets, &Algorithm::ALL).map(|_| ())
    };
    let cases: [(&str, &[&JwkSet], &str); 5] = [
        (&unnamed, &[&large, &own], "behind a large set"),
        (
            &unnamed,
            &[&large, &large, &own, &large],
            "between large sets",
        ),
        (
            &with_name,
            &[&large, &own],
            "a key without name, behind a large set",
        ),
        (&with_name, &[&other, &named], "two keys of one name"),
        (&with_name, &[&large, &named], "the name goes first"),
    ];
    for (token, sets, note) in cases {
        assert_eq!(found(token, sets), Ok(()), "{note}");
    }
    assert_eq!(
        found(&unnamed, &[&large, &large]),
        Err(VerifyError::SignatureInvalid {
            tried: MAX_CANDIDATES,
            candidates: 200,
            keys_with_kid: 0,
        })
    );
    assert_eq!(
        found(&with_name, &[]),
        Err(VerifyError::NoKeyMatches {
            alg: Algorithm::Es256,
            has_kid: true,
            keys_with_kid: 0,
            keys_with_alg: 0,
        })
    );
}
