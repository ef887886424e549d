//! Private keys for trying things out: made, read from files, and used to sign.
//!
//! The filter never holds a private key; that is why this lives in the command and not in
//! `nexus-core`. Nothing here verifies anything.

mod file;
mod jwk;
mod pem;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm as Jws, EncodingKey};
use nexus_core::jose::Algorithm;
use rand_core::{OsRng, RngCore as _};
use rsa::RsaPrivateKey;
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use rsa::pkcs8::EncodePrivateKey as _;
use rsa::traits::PublicKeyParts as _;
use zeroize::Zeroizing;

pub(crate) use file::{KeyFile, parse_key_file};
pub(crate) use jwk::Members;

/// The shortest RSA modulus that the filter accepts, in bits (RFC 7518 §3.3).
pub(crate) const MIN_RSA_BITS: usize = 2048;

/// The longest RSA modulus that `keygen` makes, in bits.
pub(crate) const MAX_RSA_BITS: usize = 8192;

/// A key that signs.
pub(crate) enum PrivateKey {
    /// For RS256, RS384, RS512, PS256, PS384, PS512.
    Rsa(Box<RsaPrivateKey>),
    /// For ES256.
    P256(p256::SecretKey),
    /// For ES384.
    P384(p384::SecretKey),
    /// For ES512.
    P521(p521::SecretKey),
    /// For ES256K.
    Secp256k1(k256::SecretKey),
    /// For EdDSA.
    Ed25519(Box<ed25519_dalek::SigningKey>),
    /// For HS256, HS384, HS512.
    Secret(Zeroizing<Vec<u8>>),
}

/// What is wrong with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyError {
    /// Neither a JWK, a JWK set nor PEM.
    UnknownFormat,
    /// A PEM block, JWK or certificate that holds no private key.
    Public,
    /// A PEM block under a passphrase.
    Encrypted,
    /// A member of a JWK that is missing.
    MissingMember(&'static str),
    /// A member of a JWK that is not what it has to be.
    InvalidMember(&'static str, String),
    /// A `kty` or `crv`, or the algorithm identifier of a PEM block, that no signature is made with.
    UnknownKind(String),
    /// The parts of the key do not belong together.
    Inconsistent(String),
    /// The key cannot be used with this algorithm.
    WrongAlgorithm {
        algorithm: Algorithm,
        kind: &'static str,
        possible: &'static [Algorithm],
    },
    /// The library that signs refuses.
    Signing(String),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownFormat => f.write_str("neither a JWK, a JWK set nor PEM"),
            Self::Public => {
                f.write_str("there is no private key in it, and a public key cannot sign")
            }
            Self::Encrypted => f.write_str("the key is encrypted"),
            Self::MissingMember(member) => write!(f, "the JWK has no `{member}`"),
            Self::InvalidMember(member, reason) => write!(f, "`{member}` of the JWK {reason}"),
            Self::UnknownKind(kind) => write!(f, "a key of kind `{kind}` signs no token"),
            Self::Inconsistent(reason) => write!(f, "the parts of the key do not fit: {reason}"),
            Self::WrongAlgorithm {
                algorithm,
                kind,
                possible,
            } => write!(
                f,
                "{kind} cannot sign with {algorithm}, only with {}",
                list(possible)
            ),
            Self::Signing(reason) => write!(f, "signing failed: {reason}"),
        }
    }
}

impl KeyError {
    /// What the user can do about it, where there is something.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Encrypted => Some("decrypt it first: `openssl pkcs8 -in key.pem -out plain.pem`"),
            Self::UnknownFormat | Self::UnknownKind(_) => {
                Some("`nexusctl keygen` makes keys of every kind")
            }
            _ => None,
        }
    }
}

/// Names of algorithms as a sentence has them: `RS256, RS384 or RS512`.
pub(crate) fn list(algorithms: &[Algorithm]) -> String {
    let names: Vec<&str> = algorithms
        .iter()
        .map(|algorithm| algorithm.name())
        .collect();
    match names.as_slice() {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

impl PrivateKey {
    /// A new key for an algorithm, from the operating system's randomness. `rsa_bits` is the length
    /// of an RSA modulus.
    ///
    /// A secret is made of base64url characters, so that it can stand in an environment variable;
    /// it carries as many random bits as the hash has (RFC 7518 §3.2).
    ///
    /// # Errors
    /// [`KeyError::Signing`] when no RSA key of this length can be made.
    pub(crate) fn generate(algorithm: Algorithm, rsa_bits: usize) -> Result<Self, KeyError> {
        Ok(match algorithm {
            Algorithm::Es256 => Self::P256(p256::SecretKey::random(&mut OsRng)),
            Algorithm::Es384 => Self::P384(p384::SecretKey::random(&mut OsRng)),
            Algorithm::Es512 => Self::P521(p521::SecretKey::random(&mut OsRng)),
            Algorithm::Es256k => Self::Secp256k1(k256::SecretKey::random(&mut OsRng)),
            Algorithm::EdDsa => {
                Self::Ed25519(Box::new(ed25519_dalek::SigningKey::generate(&mut OsRng)))
            }
            Algorithm::Hs256 => Self::Secret(random_text(32)),
            Algorithm::Hs384 => Self::Secret(random_text(48)),
            Algorithm::Hs512 => Self::Secret(random_text(64)),
            _ => Self::Rsa(Box::new(
                RsaPrivateKey::new(&mut OsRng, rsa_bits)
                    .map_err(|error| KeyError::Signing(error.to_string()))?,
            )),
        })
    }

    /// What it is, in words.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "an RSA key",
            Self::P256(_) => "a P-256 key",
            Self::P384(_) => "a P-384 key",
            Self::P521(_) => "a P-521 key",
            Self::Secp256k1(_) => "a secp256k1 key",
            Self::Ed25519(_) => "an Ed25519 key",
            Self::Secret(_) => "a shared secret",
        }
    }

    /// The algorithms it can sign with; the first is what is used when nobody says.
    pub(crate) fn algorithms(&self) -> &'static [Algorithm] {
        match self {
            Self::Rsa(_) => &[
                Algorithm::Rs256,
                Algorithm::Rs384,
                Algorithm::Rs512,
                Algorithm::Ps256,
                Algorithm::Ps384,
                Algorithm::Ps512,
            ],
            Self::P256(_) => &[Algorithm::Es256],
            Self::P384(_) => &[Algorithm::Es384],
            Self::P521(_) => &[Algorithm::Es512],
            Self::Secp256k1(_) => &[Algorithm::Es256k],
            Self::Ed25519(_) => &[Algorithm::EdDsa],
            Self::Secret(_) => &[Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512],
        }
    }

    /// Refuses an algorithm that the key cannot be used with.
    ///
    /// # Errors
    /// [`KeyError::WrongAlgorithm`]
    pub(crate) fn check(&self, algorithm: Algorithm) -> Result<(), KeyError> {
        if self.algorithms().contains(&algorithm) {
            return Ok(());
        }
        Err(KeyError::WrongAlgorithm {
            algorithm,
            kind: self.kind(),
            possible: self.algorithms(),
        })
    }

    /// The length of the RSA modulus in bits; `None` for other keys.
    pub(crate) fn rsa_bits(&self) -> Option<usize> {
        match self {
            Self::Rsa(key) => Some(key.n().bits()),
            _ => None,
        }
    }

    /// The signature of `message`, as base64url without padding (RFC 7515 §2).
    ///
    /// # Errors
    /// [`KeyError::WrongAlgorithm`], or [`KeyError::Signing`].
    pub(crate) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<String, KeyError> {
        self.check(algorithm)?;
        let failed = |error: &dyn fmt::Display| KeyError::Signing(error.to_string());
        let jws = match jws_algorithm(algorithm) {
            Some(jws) => jws,
            // jsonwebtoken knows neither ES512 nor ES256K.
            None => return self.sign_directly(message),
        };
        let key = match self {
            Self::Rsa(key) => EncodingKey::from_rsa_der(
                key.to_pkcs1_der()
                    .map_err(|error| failed(&error))?
                    .as_bytes(),
            ),
            Self::P256(key) => EncodingKey::from_ec_der(
                key.to_pkcs8_der()
                    .map_err(|error| failed(&error))?
                    .as_bytes(),
            ),
            Self::P384(key) => EncodingKey::from_ec_der(
                key.to_pkcs8_der()
                    .map_err(|error| failed(&error))?
                    .as_bytes(),
            ),
            Self::Ed25519(key) => EncodingKey::from_ed_der(
                key.to_pkcs8_der()
                    .map_err(|error| failed(&error))?
                    .as_bytes(),
            ),
            Self::Secret(secret) => EncodingKey::from_secret(secret),
            Self::P521(_) | Self::Secp256k1(_) => return self.sign_directly(message),
        };
        jsonwebtoken::crypto::sign(message, &key, jws).map_err(|error| failed(&error))
    }

    fn sign_directly(&self, message: &[u8]) -> Result<String, KeyError> {
        use rsa::signature::{RandomizedSigner as _, Signer as _};
        let failed = |error: rsa::signature::Error| KeyError::Signing(error.to_string());
        match self {
            Self::P521(key) => {
                let signer =
                    p521::ecdsa::SigningKey::from_bytes(&key.to_bytes()).map_err(failed)?;
                let signature: p521::ecdsa::Signature = signer
                    .try_sign_with_rng(&mut OsRng, message)
                    .map_err(failed)?;
                Ok(base64url(&signature.to_bytes()))
            }
            Self::Secp256k1(key) => {
                let signer =
                    k256::ecdsa::SigningKey::from_bytes(&key.to_bytes()).map_err(failed)?;
                let signature: k256::ecdsa::Signature = signer.try_sign(message).map_err(failed)?;
                Ok(base64url(&signature.to_bytes()))
            }
            _ => Err(KeyError::Signing(format!(
                "{} is not supported by the library",
                self.kind()
            ))),
        }
    }
}

fn jws_algorithm(algorithm: Algorithm) -> Option<Jws> {
    Some(match algorithm {
        Algorithm::Rs256 => Jws::RS256,
        Algorithm::Rs384 => Jws::RS384,
        Algorithm::Rs512 => Jws::RS512,
        Algorithm::Ps256 => Jws::PS256,
        Algorithm::Ps384 => Jws::PS384,
        Algorithm::Ps512 => Jws::PS512,
        Algorithm::Es256 => Jws::ES256,
        Algorithm::Es384 => Jws::ES384,
        Algorithm::EdDsa => Jws::EdDSA,
        Algorithm::Hs256 => Jws::HS256,
        Algorithm::Hs384 => Jws::HS384,
        Algorithm::Hs512 => Jws::HS512,
        _ => return None,
    })
}

/// Base64url without padding (RFC 7515 §2).
pub(crate) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Random bytes, as base64url text.
pub(crate) fn random_text(bytes: usize) -> Zeroizing<Vec<u8>> {
    let mut random = Zeroizing::new(vec![0; bytes]);
    OsRng.fill_bytes(&mut random);
    Zeroizing::new(base64url(&random).into_bytes())
}
