//! From an untrusted token to a verified one: which keys may have signed it, and whether one of them did.
//!
//! The algorithm is fixed by the provider's list and by the key; the token can only name one of those that
//! both allow (RFC 8725 §3.1). Times, issuer and audience are not looked at here.

use alloc::vec::Vec;
use core::fmt;

use super::{Algorithm, Claims, Header, Jwk, JwkSet, TokenError, TriedVerifier, UntrustedToken};

/// How many keys are tried for one token. A set whose keys have no `kid` must not make a forged token
/// cost thousands of signature checks.
pub const MAX_CANDIDATES: usize = 16;

/// A token whose signature is right. Only [`verify_with_any`] makes one.
#[derive(Debug)]
pub struct VerifiedToken<'t> {
    token: &'t UntrustedToken<'t>,
    key: &'t Jwk,
}

/// Why no key verifies a token.
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

/// Checks the signature of a token with the keys of one set; see [`verify_with_any`].
///
/// # Errors
/// A [`VerifyError`] when the algorithm is not `allowed` or no candidate made the signature.
pub fn verify<'t>(
    token: &'t UntrustedToken<'t>,
    keys: &'t JwkSet,
    allowed: &[Algorithm],
) -> Result<VerifiedToken<'t>, VerifyError> {
    verify_with_any(token, &[keys], allowed)
}

/// Checks the signature of a token with the keys of several sets, as if they were one.
///
/// Candidates are the keys that take part in the token's algorithm and whose `kid` is the token's; a key
/// without `kid` matches every token, and a token without `kid` every key. Those with the very `kid` are
/// tried first, [`MAX_CANDIDATES`] in all. The sets take turns, so that a large one does not leave the keys of
/// another untried.
///
/// # Errors
/// A [`VerifyError`] when the algorithm is not `allowed` or no candidate made the signature.
pub fn verify_with_any<'t>(
    token: &'t UntrustedToken<'t>,
    sets: &[&'t JwkSet],
    allowed: &[Algorithm],
) -> Result<VerifiedToken<'t>, VerifyError> {
    verify_offloading(token, sets, allowed, None)
}

/// The same, where a verifier does what it can.
///
/// # Errors
/// Those of [`verify_with_any`].
pub fn verify_offloading<'t>(
    token: &'t UntrustedToken<'t>,
    sets: &[&'t JwkSet],
    allowed: &[Algorithm],
    mut verifier: Option<&mut TriedVerifier>,
) -> Result<VerifiedToken<'t>, VerifyError> {
    let alg = token.header().alg();
    if !allowed.contains(&alg) {
        return Err(VerifyError::AlgorithmNotAllowed { alg });
    }
    let kid = token.header().kid();
    let fits = |key: &&Jwk| key.algorithms().contains(&alg);
    let named = |set: &&'t JwkSet| kid.map(|kid| set.named(kid)).into_iter().flatten();
    // Keys without a name, or any when the token names none.
    let unnamed = |set: &&'t JwkSet| {
        let all = match kid {
            None => set.keys(),
            Some(_) => &[],
        };
        let unnamed = kid.map(|_| set.unnamed()).into_iter().flatten();
        unnamed.chain(all)
    };

    let first = in_turns(sets.iter().map(|set| named(set).filter(fits)));
    let rest = in_turns(sets.iter().map(|set| unnamed(set).filter(fits)));
    let candidates = first.chain(rest);
    for key in candidates.take(MAX_CANDIDATES) {
        let (text, signature) = (token.signing_input(), token.signature());
        let offloaded = verifier
            .as_mut()
            .and_then(|verifier| verifier.verify(key, alg, text, signature));
        if offloaded.unwrap_or_else(|| key.verify_signature(alg, text, signature)) {
            return Ok(VerifiedToken { token, key });
        }
    }
    let sum = |count: &dyn Fn(&&'t JwkSet) -> usize| {
        sets.iter().map(count).fold(0, usize::saturating_add)
    };
    let keys_with_alg = sum(&|set| set.count(alg).all);
    let named_candidates = sum(&|set| named(set).filter(fits).count());
    let count = named_candidates.saturating_add(match kid {
        None => keys_with_alg,
        Some(_) => sum(&|set| set.count(alg).unnamed),
    });
    if count == 0 {
        return Err(VerifyError::NoKeyMatches {
            alg,
            has_kid: kid.is_some(),
            keys_with_kid: sum(&|set| named(set).count()),
            keys_with_alg,
        });
    }
    Err(VerifyError::SignatureInvalid {
        tried: count.min(MAX_CANDIDATES),
        candidates: count,
        keys_with_kid: named_candidates,
    })
}

/// The keys of several queues: the first of each, then the second of each, and so on.
fn in_turns<'t>(
    queues: impl Iterator<Item = impl Iterator<Item = &'t Jwk>>,
) -> impl Iterator<Item = &'t Jwk> {
    let mut queues: Vec<_> = queues.collect();
    let mut turn = 0;
    core::iter::from_fn(move || {
        // As many queues in a row as there are had nothing more: the end.
        for _ in 0..queues.len() {
            let key = queues.get_mut(turn)?.next();
            turn = turn.saturating_add(1);
            if turn == queues.len() {
                turn = 0;
            }
            if key.is_some() {
                return key;
            }
        }
        None
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
