//! From an untrusted token to a verified one: which keys may have signed it, and whether one of them did.
//!
//! The algorithm is fixed by the provider's list and by the key; the token can only name one of those that
//! both allow (RFC 8725 §3.1). Times, issuer and audience are not looked at here.

use core::fmt;

use super::{Algorithm, Claims, Header, Jwk, JwkSet, TokenError, UntrustedToken};

/// How many keys are tried for one token. A set whose keys have no `kid` must not make a forged token
/// cost thousands of signature checks.
pub const MAX_CANDIDATES: usize = 16;

/// A token whose signature is right. Only [`verify`] makes one.
#[derive(Debug)]
pub struct VerifiedToken<'t> {
    token: &'t UntrustedToken<'t>,
    key: &'t Jwk,
    key_index: usize,
}

/// Why no key of a set verifies a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyError {
    /// The provider does not allow the token's algorithm.
    AlgorithmNotAllowed {
        /// The algorithm of the token.
        alg: Algorithm,
    },
    /// No key has both the token's `kid` and its algorithm.
    NoKeyMatches {
        /// The algorithm of the token.
        alg: Algorithm,
        /// Whether the token has a `kid`.
        has_kid: bool,
        /// How many keys have that very `kid`, whatever their algorithm. 0 may mean that the keys were rotated.
        keys_with_kid: usize,
        /// How many keys are for the algorithm, whatever their `kid`.
        keys_with_alg: usize,
    },
    /// Keys matched, and none of those that were tried has made the signature.
    SignatureInvalid {
        /// How many keys were tried; at most [`MAX_CANDIDATES`].
        tried: usize,
        /// How many keys matched. More than `tried`: the rest was not tried.
        candidates: usize,
        /// How many of them have the `kid` of the token. 0 may mean that the keys were rotated.
        keys_with_kid: usize,
    },
}

/// Checks the signature of a token.
///
/// Candidates are the keys that take part in the token's algorithm and whose `kid` is the token's; a key
/// without `kid` matches every token, and a token without `kid` every key. Those with the very `kid` are
/// tried first, [`MAX_CANDIDATES`] in all.
///
/// # Errors
/// A [`VerifyError`] when the algorithm is not `allowed` or no candidate made the signature.
pub fn verify<'t>(
    token: &'t UntrustedToken<'t>,
    keys: &'t JwkSet,
    allowed: &[Algorithm],
) -> Result<VerifiedToken<'t>, VerifyError> {
    let alg = token.header().alg();
    if !allowed.contains(&alg) {
        return Err(VerifyError::AlgorithmNotAllowed { alg });
    }
    let kid = token.header().kid();
    let fits = |key: &Jwk| key.algorithms().contains(&alg);
    let named = |key: &Jwk| kid.is_some() && key.kid() == kid;
    // A key without a name, or any key when the token names none.
    let unnamed = |key: &Jwk| kid.is_none() || key.kid().is_none();
    let numbered = || keys.keys().iter().enumerate().filter(|(_, key)| fits(key));
    let candidates = || {
        let first = numbered().filter(|(_, key)| named(key));
        first.chain(numbered().filter(|(_, key)| unnamed(key)))
    };

    for (key_index, key) in candidates().take(MAX_CANDIDATES) {
        if key.verify_signature(alg, token.signing_input(), token.signature()) {
            return Ok(VerifiedToken {
                token,
                key,
                key_index,
            });
        }
    }
    let count = candidates().count();
    if count == 0 {
        return Err(VerifyError::NoKeyMatches {
            alg,
            has_kid: kid.is_some(),
            keys_with_kid: keys.keys().iter().filter(|key| named(key)).count(),
            keys_with_alg: numbered().count(),
        });
    }
    Err(VerifyError::SignatureInvalid {
        tried: count.min(MAX_CANDIDATES),
        candidates: count,
        keys_with_kid: numbered().filter(|(_, key)| named(key)).count(),
    })
}

impl<'t> VerifiedToken<'t> {
    /// The header.
    pub fn header(&self) -> &'t Header {
        self.token.header()
    }

    /// The bytes of the payload.
    pub fn payload(&self) -> &'t [u8] {
        self.token.payload()
    }

    /// The claims of the payload.
    ///
    /// # Errors
    /// Those of [`Claims::parse`].
    pub fn claims(&self) -> Result<Claims<'t>, TokenError> {
        self.token.claims()
    }

    /// The key that made the signature.
    pub fn key(&self) -> &'t Jwk {
        self.key
    }

    /// The place of that key in [`JwkSet::keys`].
    pub fn key_index(&self) -> usize {
        self.key_index
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlgorithmNotAllowed { alg } => {
                write!(f, "the algorithm {alg} is not allowed for this provider")
            }
            Self::NoKeyMatches {
                alg,
                has_kid: true,
                keys_with_kid: 0,
                keys_with_alg,
            } => write!(
                f,
                "no key has the `kid` of the token ({keys_with_alg} with another are for {alg})"
            ),
            Self::NoKeyMatches {
                alg,
                has_kid: true,
                keys_with_kid,
                ..
            } => write!(
                f,
                "none of the {keys_with_kid} keys with the `kid` of the token is for {alg}"
            ),
            Self::NoKeyMatches {
                alg,
                has_kid: false,
                ..
            } => write!(f, "no key is for {alg}"),
            Self::SignatureInvalid {
                tried, candidates, ..
            } if tried < candidates => write!(
                f,
                "none of the first {tried} of {candidates} matching keys made the signature"
            ),
            Self::SignatureInvalid { tried, .. } => {
                write!(f, "none of the {tried} matching keys made the signature")
            }
        }
    }
}

impl core::error::Error for VerifyError {}
