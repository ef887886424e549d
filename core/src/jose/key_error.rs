//! Why a key is not used. The evidence names members and sizes, never the value of a secret.

use alloc::string::String;
use core::fmt;

use super::Algorithm;

/// The longest piece of a key set that an error repeats, in characters.
const MAX_EXCERPT: usize = 64;

/// Why a key cannot verify tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// The element of `keys` is no object (RFC 7517 §4).
    NotAnObject {
        /// What it is.
        found: &'static str,
    },
    /// A member that a key of this kind has to have is missing.
    MissingMember {
        /// Its name.
        member: &'static str,
    },
    /// A member has another type than it has to have.
    WrongType {
        /// Its name.
        member: &'static str,
        /// What it has to be.
        expected: &'static str,
        /// What it is, or what the first element is that does not belong.
        found: &'static str,
    },
    /// A member is not base64url without padding (RFC 7515 §2).
    NotBase64url {
        /// Its name.
        member: &'static str,
    },
    /// `kty` names no kind of key that Nexus verifies with.
    UnsupportedKeyType {
        /// The name.
        kty: String,
    },
    /// `crv` names no curve that Nexus verifies with.
    UnsupportedCurve {
        /// The name.
        crv: String,
    },
    /// `alg` is no signature algorithm, or none of this kind of key or this curve (RFC 7517 §4.4).
    AlgorithmMismatch {
        /// The name of the algorithm.
        alg: String,
        /// The kind of key.
        key: &'static str,
    },
    /// `use` is something other than `sig` (RFC 7517 §4.2).
    NotForSignatures {
        /// What it is for.
        key_use: String,
    },
    /// `key_ops` does not have `verify` (RFC 7517 §4.3).
    NotForVerification,
    /// The RSA modulus is shorter or longer than Nexus accepts (RFC 7518 §3.3 asks for 2048 bits).
    RsaModulusSize {
        /// Its length in bits.
        bits: usize,
    },
    /// The RSA modulus is even, so it is no product of two large primes.
    RsaModulusEven,
    /// The RSA exponent is even, below 3 or of more than 33 bits.
    RsaExponent {
        /// The exponent, when it fits 64 bits.
        exponent: Option<u64>,
    },
    /// A coordinate does not have the full length that its curve asks for (RFC 7518 §6.2.1.2, RFC 8037 §2).
    CoordinateLength {
        /// The name of the member.
        member: &'static str,
        /// Its length in bytes.
        bytes: usize,
        /// The length that it has to have.
        expected: usize,
    },
    /// The point does not lie on its curve.
    NotOnCurve {
        /// The name of the curve.
        crv: &'static str,
    },
    /// The point generates a small group, for which a signature can be made without the private key.
    SmallOrder,
    /// A symmetric key in a set that came over the network: whoever can fetch the set could sign.
    SymmetricFromRemote,
    /// The secret is shorter than the hash of the algorithm (RFC 7518 §3.2).
    SecretTooShort {
        /// The algorithm, the one with the shortest hash of those that were possible.
        algorithm: Algorithm,
        /// The length of the secret in bytes.
        bytes: usize,
        /// The least length in bytes.
        required: usize,
    },
    /// The secret is the text or the DER form of a public key or certificate, which anybody may know.
    SecretIsPublicKey,
    /// The key stands behind the first [`MAX_KEYS`](super::MAX_KEYS) of its set, like all that follow it.
    TooManyKeys {
        /// How many keys the set has.
        keys: usize,
    },
    /// The policy pins the keys of the provider, and not this one.
    NotPinned {
        /// The SHA-256 thumbprint of the key (RFC 7638) in base64url; `None` for a symmetric key, whose thumbprint
        /// would tell something about the secret.
        thumbprint: Option<String>,
    },
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject { found } => write!(f, "the key is {found}, not an object"),
            Self::MissingMember { member } => write!(f, "`{member}` is missing"),
            Self::WrongType {
                member,
                expected,
                found,
            } => write!(f, "`{member}` is or has {found}, it has to be {expected}"),
            Self::NotBase64url { member } => {
                write!(f, "`{member}` is not base64url without padding")
            }
            Self::UnsupportedKeyType { kty } => {
                write!(f, "keys of type `{}` are not supported", Excerpt(kty))
            }
            Self::UnsupportedCurve { crv } => {
                write!(f, "the curve `{}` is not supported", Excerpt(crv))
            }
            Self::AlgorithmMismatch { alg, key } => write!(
                f,
                "`{}` is not an algorithm that {key} key verifies",
                Excerpt(alg)
            ),
            Self::NotForSignatures { key_use } => {
                write!(f, "`use` is `{}`, not `sig`", Excerpt(key_use))
            }
            Self::NotForVerification => f.write_str("`key_ops` does not have `verify`"),
            Self::RsaModulusSize { bits } => write!(
                f,
                "the RSA modulus has {bits} bits, it has to have {} to {}",
                super::key::MIN_RSA_BITS,
                super::key::MAX_RSA_BITS
            ),
            Self::RsaModulusEven => f.write_str("the RSA modulus is even"),
            Self::RsaExponent {
                exponent: Some(exponent),
            } => write!(
                f,
                "the RSA exponent is {exponent}, it has to be odd, at least 3 and below 2^33"
            ),
            Self::RsaExponent { exponent: None } => {
                f.write_str("the RSA exponent has more than 64 bits, it has to be below 2^33")
            }
            Self::CoordinateLength {
                member,
                bytes,
                expected,
            } => write!(f, "`{member}` has {bytes} bytes instead of {expected}"),
            Self::NotOnCurve { crv } => write!(f, "the point does not lie on the curve {crv}"),
            Self::SmallOrder => f.write_str("the point has a small order"),
            Self::SymmetricFromRemote => {
                f.write_str("a symmetric key is not accepted from a remote key set")
            }
            Self::SecretTooShort {
                algorithm,
                bytes,
                required,
            } => write!(
                f,
                "the secret has {bytes} bytes, {algorithm} asks for at least {required}"
            ),
            Self::SecretIsPublicKey => {
                f.write_str("the secret is the text of a public key or certificate")
            }
            Self::TooManyKeys { keys } => write!(
                f,
                "the set has {keys} keys, only the first {} are used",
                super::MAX_KEYS
            ),
            Self::NotPinned {
                thumbprint: Some(thumbprint),
            } => write!(f, "its thumbprint `{thumbprint}` is not pinned"),
            Self::NotPinned { thumbprint: None } => {
                f.write_str("a shared secret has no thumbprint that could be pinned")
            }
        }
    }
}

impl core::error::Error for KeyError {}

/// The beginning of a text, with control characters escaped.
struct Excerpt<'a>(&'a str);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars().take(MAX_EXCERPT) {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_str(character.encode_utf8(&mut [0; 4]))?;
            }
        }
        if self.0.chars().nth(MAX_EXCERPT).is_some() {
            f.write_str("…")?;
        }
        Ok(())
    }
}
