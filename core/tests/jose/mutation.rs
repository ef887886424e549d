//! A token that was changed anywhere is refused.

use nexus_core::jose::{Algorithm, UntrustedToken, base64url, verify};

use crate::signer::{good_token, key_set};

fn is_verified(token: &[u8], keys: &nexus_core::jose::JwkSet) -> bool {
    UntrustedToken::parse(token).is_ok_and(|token| verify(&token, keys, &Algorithm::ALL).is_ok())
}

/// How many bits lie between two that are flipped, so that slow algorithms take about as long as fast ones.
fn stride(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 | Algorithm::EdDsa => 1,
        Algorithm::Es256 | Algorithm::Es256k => 3,
        // Primes, so that every place inside a byte has its turn.
        _ => 13,
    }
}

#[test]
fn every_flipped_bit_of_a_token_is_noticed() {
    for algorithm in Algorithm::ALL {
        let keys = key_set(algorithm);
        let good = good_token(algorithm).into_bytes();
        assert!(is_verified(&good, &keys), "{algorithm}");
        for bit in (0..good.len() * 8).step_by(stride(algorithm)) {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_verified(&bad, &keys), "{algorithm}, bit {bit}");
        }
    }
}

#[test]
fn every_flipped_bit_of_a_signature_is_noticed() {
    for algorithm in Algorithm::ALL {
        let keys = key_set(algorithm);
        let good = good_token(algorithm);
        let (input, signature) = good.rsplit_once('.').unwrap();
        let signature = base64url::decode(signature.as_bytes()).unwrap();
        for bit in (0..signature.len() * 8).step_by(stride(algorithm)) {
            let mut bad = signature.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let token = format!("{input}.{}", base64url::encode(&bad));
            assert!(
                !is_verified(token.as_bytes(), &keys),
                "{algorithm}, bit {bit}"
            );
        }
    }
}

#[test]
fn every_cut_token_is_refused() {
    for algorithm in Algorithm::ALL {
        let keys = key_set(algorithm);
        let good = good_token(algorithm);
        for length in (0..good.len()).step_by(stride(algorithm)) {
            assert!(
                !is_verified(&good.as_bytes()[..length], &keys),
                "{algorithm}, {length}"
            );
        }
    }
}
