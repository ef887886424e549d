//! How far a token comes.

use nexus_core::jose::{Algorithm, JwkSet, TokenError, UntrustedToken, VerifyError, verify};

use crate::signer::key_set;

pub(crate) const CLAIMS: &str = r#"{"iss":"https://issuer.example.com","exp":4102444800}"#;

/// How far a token came.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    Malformed(TokenError),
    Unverified(VerifyError),
    /// Verified, but the payload is no set of claims.
    NoClaims(TokenError),
    Verified,
}

pub(crate) fn outcome(token: &[u8], keys: &JwkSet, allowed: &[Algorithm]) -> Outcome {
    let token = match UntrustedToken::parse(token) {
        Ok(token) => token,
        Err(error) => return Outcome::Malformed(error),
    };
    match verify(&token, keys, allowed) {
        Err(error) => Outcome::Unverified(error),
        Ok(verified) => match verified.claims() {
            Err(error) => Outcome::NoClaims(error),
            Ok(_) => Outcome::Verified,
        },
    }
}

/// The outcome with the run's key of `algorithm`, all algorithms allowed.
pub(crate) fn with_key(algorithm: Algorithm, token: &str) -> Outcome {
    outcome(token.as_bytes(), &key_set(algorithm), &Algorithm::ALL)
}

pub(crate) fn invalid(tried: usize) -> Outcome {
    Outcome::Unverified(VerifyError::SignatureInvalid {
        tried,
        candidates: tried,
        keys_with_kid: 0,
    })
}
