//! DPoP proofs (RFC 9449 §4): that whoever sends a token holds the key that the token is bound to.
//!
//! A proof is a token of its own that the client signs for one request. What it is checked for is §4.3, all of it but
//! two things: that the request has exactly one proof is seen where the request is, and that the proof was not
//! used before is asked of a [`ReplayMemory`](crate::replay::ReplayMemory), and only when everything else is right.

use alloc::string::{String, ToString};
use core::fmt;

use super::{
    Algorithm, Jwk, KeyError, KeyOrigin, Sha256Digest, TokenError, UntrustedToken, base64url,
};
use crate::json::{self, Value};
use crate::target_uri::TargetUri;
use crate::time::Timestamp;

/// The longest proof that is read, in bytes. One with the longest RSA key that is accepted takes half of it.
pub const MAX_PROOF_BYTES: usize = 8192;

/// How much of a method is told where it is not the right one, in bytes.
pub const MAX_METHOD_BYTES: usize = 32;

/// The longest `jti` of a proof, in bytes.
pub const MAX_JTI_BYTES: usize = 256;

/// The algorithms that a proof may be signed with, by name: all that are asymmetric.
pub const ALGORITHMS: [&str; 11] = [
    Algorithm::Es256.name(),
    Algorithm::Es384.name(),
    Algorithm::Es512.name(),
    Algorithm::Es256k.name(),
    Algorithm::EdDsa.name(),
    Algorithm::Ps256.name(),
    Algorithm::Ps384.name(),
    Algorithm::Ps512.name(),
    Algorithm::Rs256.name(),
    Algorithm::Rs384.name(),
    Algorithm::Rs512.name(),
];

/// What a proof has to be for.
#[derive(Debug, Clone, Copy)]
pub struct ProofContext<'c> {
    /// The method of the request.
    pub method: &'c [u8],
    /// The URI of the request; `None` when it has none that is clear, and then no proof is for it.
    pub uri: Option<&'c TargetUri>,
    /// The access token as it was sent.
    pub access_token: &'c [u8],
    /// The key that the access token is bound to (`cnf.jkt`, RFC 9449 §6.1).
    pub key: Sha256Digest,
    /// When the proof is judged.
    pub now: Timestamp,
    /// How old the proof may be, in seconds.
    pub max_age: i64,
    /// How far the client's clock may be off, in seconds, in both directions.
    pub leeway: i64,
}

/// A proof in which everything is right, as far as it can be seen without knowing other proofs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedProof {
    /// What it is remembered by: no two proofs of one key have the same, unless they have the same `jti`.
    pub digest: Sha256Digest,
    /// When it stops being accepted.
    pub until: Timestamp,
}

/// Why a proof proves nothing. None of it repeats text of the proof, but for what a [`KeyError`] says, and for the
/// method and the URI of a proof that is for another request: cut, escaped, and without a query.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProofError {
    /// It is longer than [`MAX_PROOF_BYTES`].
    TooLarge {
        /// Its length in bytes.
        bytes: usize,
    },
    /// It is no JWT (RFC 9449 §4.3 check 2).
    Form(TokenError),
    /// `typ` is not `dpop+jwt` (check 4).
    Type,
    /// `alg` is symmetric (check 5).
    AlgorithmSymmetric {
        /// The algorithm.
        alg: Algorithm,
    },
    /// The header has no `jwk` (RFC 9449 §4.2).
    KeyMissing,
    /// `jwk` cannot verify the proof.
    KeyUnusable(KeyError),
    /// `jwk` holds a private key (check 7).
    KeyPrivate,
    /// A claim is missing (check 3).
    ClaimMissing {
        /// Its name.
        claim: &'static str,
    },
    /// A claim has to be a string and is not.
    ClaimNotString {
        /// Its name.
        claim: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// `jti` is empty or longer than [`MAX_JTI_BYTES`].
    JtiLength {
        /// Its length in bytes.
        bytes: usize,
    },
    /// It is for another method (check 8).
    MethodMismatch {
        /// The proof's `htm`, escaped and cut to [`MAX_METHOD_BYTES`].
        proof: String,
        /// The method of the request, likewise.
        request: String,
    },
    /// It is for another URI, or the URI of the request is not clear (check 9).
    UriMismatch {
        /// The proof's `htu` as [`TargetUri`] tells it; `None` when it is no URI that a request can have.
        proof: Option<String>,
        /// The URI of the request, likewise; `None` when it is not clear.
        request: Option<String>,
    },
    /// It was made too long ago (check 11).
    TooOld {
        /// `iat`, seconds since the epoch.
        iat: i64,
        /// When it was judged, seconds since the epoch.
        now: i64,
        /// How old it may be, in seconds.
        max_age: i64,
        /// The provider's clock skew in seconds.
        leeway: i64,
    },
    /// It was made in the future (check 11).
    FromTheFuture {
        /// `iat`, seconds since the epoch.
        iat: i64,
        /// When it was judged, seconds since the epoch.
        now: i64,
        /// The provider's clock skew in seconds.
        leeway: i64,
    },
    /// It has an `exp` or `nbf`, which it need not have, and by that it is not valid now (RFC 7519 §4.1.4, §4.1.5).
    OutsideItsTime,
    /// It is for another access token (check 12, `ath`).
    TokenMismatch,
    /// Its key is not the one that the access token is bound to (check 12).
    KeyMismatch,
    /// The signature is not by its key (check 6).
    SignatureInvalid,
}

/// Checks a proof.
///
/// The checks that cost something come last: only for the key that the token is bound to is a signature computed.
///
/// # Errors
/// The first [`ProofError`].
pub fn verify_proof(
    compact: &[u8],
    context: &ProofContext<'_>,
) -> Result<VerifiedProof, ProofError> {
    if compact.len() > MAX_PROOF_BYTES {
        return Err(ProofError::TooLarge {
            bytes: compact.len(),
        });
    }
    let proof = UntrustedToken::parse(compact).map_err(ProofError::Form)?;
    let alg = proof.header().alg();
    if proof.header().typ() != Some("dpop+jwt") {
        return Err(ProofError::Type);
    }
    if alg.is_symmetric() {
        return Err(ProofError::AlgorithmSymmetric { alg });
    }
    let key = embedded_key(compact)?;
    let verified = check_claims(&proof, &key, context)?;
    match key.verify_signature(alg, proof.signing_input(), proof.signature()) {
        true => Ok(verified),
        false => Err(ProofError::SignatureInvalid),
    }
}

/// The key that the proof brings along. Of all tokens only a proof may do that: which key it has to be says
/// the access token.
fn embedded_key(compact: &[u8]) -> Result<Jwk, ProofError> {
    let header = compact
        .split(|byte| *byte == b'.')
        .next()
        .unwrap_or_default();
    // Both were right when the header was read as that of a token.
    let header = base64url::decode(header).unwrap_or_default();
    let header = json::parse(&header)
        .map_err(TokenError::HeaderNotJson)
        .map_err(ProofError::Form)?;
    let jwk = header.member("jwk").ok_or(ProofError::KeyMissing)?;
    // As one that anybody could have published, so that no shared secret is taken.
    let key = Jwk::parse(jwk, KeyOrigin::Remote).map_err(ProofError::KeyUnusable)?;
    if key.private_key_material() || jwk.member("k").is_some() {
        return Err(ProofError::KeyPrivate);
    }
    Ok(key)
}

fn check_claims(
    proof: &UntrustedToken<'_>,
    key: &Jwk,
    context: &ProofContext<'_>,
) -> Result<VerifiedProof, ProofError> {
    let claims = proof.claims().map_err(ProofError::Form)?;
    let text = |claim| required_string(claims.json(), claim);
    let jti = text("jti")?;
    if jti.is_empty() || jti.len() > MAX_JTI_BYTES {
        return Err(ProofError::JtiLength { bytes: jti.len() });
    }
    let (method, uri, token) = (text("htm")?, text("htu")?, text("ath")?);
    let iat = claims
        .iat()
        .ok_or(ProofError::ClaimMissing { claim: "iat" })?
        .as_seconds();
    if method.as_bytes() != context.method {
        return Err(ProofError::MethodMismatch {
            proof: shown_method(method.as_bytes()),
            request: shown_method(context.method),
        });
    }
    let proven = TargetUri::parse(uri);
    if context.uri.is_none() || proven.as_ref() != context.uri {
        return Err(ProofError::UriMismatch {
            proof: proven.map(|uri| uri.to_string()),
            request: context.uri.map(ToString::to_string),
        });
    }
    if token != Sha256Digest::of(context.access_token).to_base64url() {
        return Err(ProofError::TokenMismatch);
    }
    let thumbprint = key.thumbprint();
    if thumbprint != context.key {
        return Err(ProofError::KeyMismatch);
    }
    let last_second = check_times(iat, context)?;
    let now = context.now.as_seconds();
    let is_over = |exp: i64| now >= exp.saturating_add(context.leeway);
    let is_early = |nbf: i64| now.saturating_add(context.leeway) < nbf;
    if claims.exp().is_some_and(|exp| is_over(exp.as_seconds()))
        || claims.nbf().is_some_and(|nbf| is_early(nbf.as_seconds()))
    {
        return Err(ProofError::OutsideItsTime);
    }
    Ok(VerifiedProof {
        digest: Sha256Digest::of_parts(&[thumbprint.as_bytes(), jti.as_bytes()]),
        until: Timestamp::from_seconds(
            u64::try_from(last_second.saturating_add(1)).unwrap_or(u64::MAX),
        ),
    })
}

/// The last second in which a proof of that `iat` is accepted (RFC 9449 §11.1).
fn check_times(iat: i64, context: &ProofContext<'_>) -> Result<i64, ProofError> {
    let ProofContext {
        max_age, leeway, ..
    } = *context;
    let now = context.now.as_seconds();
    let last_second = iat.saturating_add(max_age).saturating_add(leeway);
    if now > last_second {
        return Err(ProofError::TooOld {
            iat,
            now,
            max_age,
            leeway,
        });
    }
    if iat > now.saturating_add(leeway) {
        return Err(ProofError::FromTheFuture { iat, now, leeway });
    }
    Ok(last_second)
}

/// A method as it is told.
fn shown_method(method: &[u8]) -> String {
    let shown = method.get(..MAX_METHOD_BYTES).unwrap_or(method);
    shown.escape_ascii().to_string()
}

fn required_string<'v>(claims: &'v Value<'_>, claim: &'static str) -> Result<&'v str, ProofError> {
    let value = claims
        .member(claim)
        .ok_or(ProofError::ClaimMissing { claim })?;
    value.as_str().ok_or(ProofError::ClaimNotString {
        claim,
        found: value.kind_name(),
    })
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes } => write!(
                f,
                "the proof has {bytes} bytes, the limit is {MAX_PROOF_BYTES}"
            ),
            Self::Form(error) => write!(f, "the proof cannot be read as a JWT: {error}"),
            Self::Type => f.write_str("`typ` of the proof is not `dpop+jwt`"),
            Self::AlgorithmSymmetric { alg } => {
                write!(f, "the proof is signed with {alg}, which is symmetric")
            }
            Self::KeyMissing => f.write_str("the header of the proof has no `jwk`"),
            Self::KeyUnusable(error) => write!(f, "`jwk` of the proof cannot be used: {error}"),
            Self::KeyPrivate => f.write_str("`jwk` of the proof holds a private key"),
            Self::ClaimMissing { claim } => write!(f, "the proof has no `{claim}`"),
            Self::ClaimNotString { claim, found } => {
                write!(f, "`{claim}` of the proof is {found}, not a string")
            }
            Self::JtiLength { bytes } => write!(
                f,
                "`jti` of the proof has {bytes} bytes, it has to have 1 to {MAX_JTI_BYTES}"
            ),
            Self::MethodMismatch { proof, request } => write!(
                f,
                "the proof is for the method `{proof}`, the request has `{request}`"
            ),
            Self::UriMismatch { proof, request } => {
                match proof {
                    Some(proof) => write!(f, "the proof is for `{proof}`")?,
                    None => f.write_str("`htu` of the proof is no clear URI of http or https")?,
                }
                match request {
                    Some(request) => write!(f, ", the request for `{request}`"),
                    None => f.write_str(", and the request has no clear URI"),
                }
            }
            Self::TooOld {
                iat,
                now,
                max_age,
                leeway,
            } => write!(
                f,
                "the proof is {} s old: iat {iat}, now {now}, at most {max_age} s, leeway {leeway} s",
                now.saturating_sub(*iat)
            ),
            Self::FromTheFuture { iat, now, leeway } => write!(
                f,
                "the proof was made in {} s: iat {iat}, now {now}, leeway {leeway} s",
                iat.saturating_sub(*now)
            ),
            Self::OutsideItsTime => {
                f.write_str("by its own `exp` or `nbf` the proof is not valid now")
            }
            Self::TokenMismatch => f.write_str("the proof is for another token"),
            Self::KeyMismatch => {
                f.write_str("the key of the proof is not the one that the token is bound to")
            }
            Self::SignatureInvalid => f.write_str("the signature of the proof is not by its key"),
        }
    }
}

impl core::error::Error for ProofError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Form(error) => Some(error),
            Self::KeyUnusable(error) => Some(error),
            _ => None,
        }
    }
}
