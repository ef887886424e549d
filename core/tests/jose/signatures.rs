//! Attacks on signatures: forged, in another form, in a second spelling.

use curve25519_dalek::Scalar;
use nexus_core::jose::{Algorithm, TokenError, base64url};
use rsa::signature::Verifier as _;
use rsa::traits::PublicKeyParts as _;
use sha2::{Digest as _, Sha512};

use crate::outcome::{Outcome, invalid, with_key};
use crate::signer::{self, SigningKey, good_token, key};

/// The outcome of the good token with another signature.
fn with_signature(algorithm: Algorithm, signature: &[u8]) -> Outcome {
    let good = good_token(algorithm);
    let (input, _) = good.rsplit_once('.').unwrap();
    with_key(
        algorithm,
        &format!("{input}.{}", base64url::encode(signature)),
    )
}

/// The order of the curve's group.
fn order(algorithm: Algorithm) -> Vec<u8> {
    let hex = match algorithm {
        Algorithm::Es256 => "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        Algorithm::Es384 => {
            "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973"
        }
        Algorithm::Es512 => {
            "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409"
        }
        _ => "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
    };
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

const ECDSA: [Algorithm; 4] = [
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Es512,
    Algorithm::Es256k,
];

#[test]
fn psychic_signatures_are_refused() {
    for algorithm in ECDSA {
        let order = order(algorithm);
        let zero = vec![0; order.len()];
        let mut one = zero.clone();
        *one.last_mut().unwrap() = 1;
        for (r, s, note) in [
            (&zero, &zero, "0, 0"),
            (&zero, &one, "0, 1"),
            (&one, &zero, "1, 0"),
            (&order, &order, "n, n"),
            (&order, &one, "n, 1"),
            (&one, &order, "1, n"),
            (&zero, &order, "0, n"),
        ] {
            let signature = [r.as_slice(), s.as_slice()].concat();
            assert_eq!(
                with_signature(algorithm, &signature),
                invalid(1),
                "{algorithm}: {note}"
            );
        }
    }
}

#[test]
fn high_s_is_valid() {
    for algorithm in ECDSA {
        let order = order(algorithm);
        let good = good_token(algorithm);
        let (input, signature) = good.rsplit_once('.').unwrap();
        let signature = base64url::decode(signature.as_bytes()).unwrap();
        let (r, s) = signature.split_at(order.len());
        let negated = subtract(&order, s);
        let token = format!("{input}.{}", base64url::encode(&[r, &negated].concat()));
        assert_eq!(
            with_key(algorithm, &token),
            Outcome::Verified,
            "{algorithm}"
        );
    }
}

/// `left - right`, big-endian, both of the same length.
fn subtract(left: &[u8], right: &[u8]) -> Vec<u8> {
    let difference = rsa::BigUint::from_bytes_be(left) - rsa::BigUint::from_bytes_be(right);
    let bytes = difference.to_bytes_be();
    let mut padded = vec![0; left.len() - bytes.len()];
    padded.extend(bytes);
    padded
}

#[test]
fn ecdsa_signatures_in_another_form_are_refused() {
    let good = good_token(Algorithm::Es256);
    let (_, signature) = good.rsplit_once('.').unwrap();
    let bytes = base64url::decode(signature.as_bytes()).unwrap();
    let der = p256::ecdsa::Signature::from_slice(&bytes).unwrap().to_der();
    let longer = [bytes.as_slice(), &[0]].concat();
    let padded = [&[0], bytes.as_slice()].concat();
    let cases: [(&[u8], &str); 5] = [
        (der.as_bytes(), "DER"),
        (&bytes[..63], "a byte short"),
        (&longer, "a byte behind"),
        (&padded, "a byte in front"),
        (&[1; 16_000], "21,000 characters"),
    ];
    for (signature, note) in cases {
        assert_eq!(
            with_signature(Algorithm::Es256, signature),
            invalid(1),
            "{note}"
        );
    }
    assert_eq!(
        with_key(Algorithm::Es256, &good),
        Outcome::Verified,
        "still alive"
    );
}

#[test]
fn signatures_of_every_wrong_length_are_refused() {
    for algorithm in Algorithm::ALL {
        let good = good_token(algorithm);
        let (_, signature) = good.rsplit_once('.').unwrap();
        let right = base64url::decode(signature.as_bytes()).unwrap().len();
        for length in (1..=140).chain([255, 256, 257, 511, 512, 1024]) {
            let found = with_signature(algorithm, &vec![1; length]);
            let expected = if algorithm == Algorithm::EdDsa && length != right {
                Outcome::Malformed(TokenError::Ed25519SignatureLength { bytes: length })
            } else {
                invalid(1)
            };
            assert_eq!(found, expected, "{algorithm}, {length} bytes");
        }
    }
}

#[test]
fn rsa_signatures_that_were_not_reduced_are_refused() {
    let SigningKey::Rsa(private) = key(Algorithm::Rs256) else {
        panic!("an RSA key")
    };
    for algorithm in [Algorithm::Rs256, Algorithm::Ps256] {
        // s + n has the same residue; it fits the length when s is small enough, so look for such a token.
        let header = format!(r#"{{"alg":"{algorithm}"}}"#);
        let twin = (0..5_000).find_map(|jti| {
            let good = signer::token(algorithm, &header, &format!(r#"{{"jti":"{jti}"}}"#));
            let (input, signature) = good.rsplit_once('.').unwrap();
            let signature = base64url::decode(signature.as_bytes()).unwrap();
            let twin = (rsa::BigUint::from_bytes_be(&signature) + private.n()).to_bytes_be();
            (twin.len() == private.size()).then(|| format!("{input}.{}", base64url::encode(&twin)))
        });
        let twin = twin.expect("a signature below 2^2048 - n");
        assert_eq!(with_key(algorithm, &twin), invalid(1), "{algorithm}");
    }
}

#[test]
fn ed25519_signatures_have_one_spelling() {
    let good = good_token(Algorithm::EdDsa);
    let (input, signature) = good.rsplit_once('.').unwrap();
    let bytes = base64url::decode(signature.as_bytes()).unwrap();
    // L, little-endian (RFC 8032 §5.1).
    let order = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut twin = bytes.clone();
    let mut carry = 0_u16;
    for (byte, add) in twin[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + add + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    let token = format!("{input}.{}", base64url::encode(&twin));
    assert_eq!(with_key(Algorithm::EdDsa, &token), invalid(1), "S + L");
    for length in [0, 63, 65] {
        let mut wrong = bytes.clone();
        wrong.resize(length, 0);
        let token = format!("{input}.{}", base64url::encode(&wrong));
        let found = with_key(Algorithm::EdDsa, &token);
        assert!(
            matches!(found, Outcome::Malformed(_)),
            "{length} bytes: {found:?}"
        );
    }
}

#[test]
fn an_ed25519_signature_without_a_nonce_is_refused() {
    // R is the neutral element and S = k·a: right by the equation of RFC 8032 §5.1.7, but such a signature
    // gives the private key away, and implementations differ in whether they accept it.
    let SigningKey::Ed25519(private) = key(Algorithm::EdDsa) else {
        panic!("an Ed25519 key")
    };
    let good = good_token(Algorithm::EdDsa);
    let (input, _) = good.rsplit_once('.').unwrap();
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let hash = Sha512::new()
        .chain_update(neutral)
        .chain_update(private.verifying_key().as_bytes())
        .chain_update(input)
        .finalize();
    let k = Scalar::from_bytes_mod_order_wide(&hash.into());
    let s = k * private.to_scalar();
    let signature = [neutral, s.to_bytes()].concat();
    let lenient = ed25519_dalek::Signature::from_slice(&signature).unwrap();
    assert!(
        private
            .verifying_key()
            .verify(input.as_bytes(), &lenient)
            .is_ok(),
        "the equation holds"
    );
    assert_eq!(with_signature(Algorithm::EdDsa, &signature), invalid(1));
}
