//! Public keys in PEM (RFC 7468).
//!
//! A private key is refused with an error of its own, and nothing of it is kept: it has no business in the
//! configuration of a proxy.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use core::fmt;
use spki::der::asn1::ObjectIdentifier;

use super::der::{self, DerError};
use super::key::Material;
use super::{Jwk, KeyError, MAX_JWKS_BYTES};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
const CERTIFICATE: &str = "CERTIFICATE";

/// Why a PEM text gives no keys. Blocks count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PemError {
    /// The text is longer than [`MAX_JWKS_BYTES`].
    TooLarge {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The text is not UTF-8.
    NotUtf8,
    /// There is no line that begins a block.
    NoBlock,
    /// A block does not end, or ends with another label than it began with.
    Unterminated {
        /// Which block.
        block: usize,
    },
    /// A block is not base64.
    NotBase64 {
        /// Which block.
        block: usize,
    },
    /// A block holds a private key.
    PrivateKey {
        /// Which block.
        block: usize,
    },
    /// A block holds something that is no public key.
    UnsupportedLabel {
        /// Which block.
        block: usize,
        /// What it calls itself.
        label: String,
    },
    /// A block does not hold what it says.
    Malformed {
        /// Which block.
        block: usize,
    },
    /// A block does not hold the certificate that it says.
    CertificateMalformed {
        /// Which block.
        block: usize,
    },
    /// A block holds a certificate for a key of a kind that Nexus does not verify with.
    CertificateAlgorithm {
        /// Which block.
        block: usize,
        /// The object identifier of the algorithm or the curve.
        oid: ObjectIdentifier,
    },
    /// A block holds a key of a kind that Nexus does not verify with.
    UnsupportedAlgorithm {
        /// Which block.
        block: usize,
        /// The object identifier of the algorithm or the curve.
        oid: ObjectIdentifier,
    },
    /// A block holds a key that is not safe to use.
    Key {
        /// Which block.
        block: usize,
        /// Why.
        error: KeyError,
    },
}

/// The keys of all blocks, in their order.
pub(super) fn public_keys(text: &[u8]) -> Result<Vec<Jwk>, PemError> {
    if text.len() > MAX_JWKS_BYTES {
        return Err(PemError::TooLarge { bytes: text.len() });
    }
    let mut rest = core::str::from_utf8(text).map_err(|_| PemError::NotUtf8)?;
    let mut keys = Vec::new();
    while let Some((_, behind)) = rest.split_once(BEGIN) {
        let block = keys.len().saturating_add(1);
        let unterminated = PemError::Unterminated { block };
        let (label, behind) = behind.split_once(DASHES).ok_or(unterminated.clone())?;
        let (body, behind) = behind.split_once(END).ok_or(unterminated.clone())?;
        let (end_label, behind) = behind.split_once(DASHES).ok_or(unterminated.clone())?;
        if end_label != label {
            return Err(unterminated);
        }
        keys.push(public_key(block, label, body)?);
        rest = behind;
    }
    if keys.is_empty() {
        return Err(PemError::NoBlock);
    }
    Ok(keys)
}

/// The key of one block.
fn public_key(block: usize, label: &str, body: &str) -> Result<Jwk, PemError> {
    let read: fn(&[u8]) -> Result<Material, DerError> = match label {
        "PUBLIC KEY" => der::subject_public_key_info,
        "RSA PUBLIC KEY" => der::rsa_public_key,
        CERTIFICATE => der::certificate,
        private if private.ends_with("PRIVATE KEY") => {
            return Err(PemError::PrivateKey { block });
        }
        other => {
            return Err(PemError::UnsupportedLabel {
                block,
                label: other.to_owned(),
            });
        }
    };
    let base64: Vec<u8> = body
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let der = STANDARD
        .decode(base64)
        .map_err(|_| PemError::NotBase64 { block })?;
    let is_certificate = label == CERTIFICATE;
    let material = read(&der).map_err(|error| match error {
        DerError::Malformed if is_certificate => PemError::CertificateMalformed { block },
        DerError::UnsupportedAlgorithm(oid) if is_certificate => {
            PemError::CertificateAlgorithm { block, oid }
        }
        DerError::Malformed => PemError::Malformed { block },
        DerError::UnsupportedAlgorithm(oid) => PemError::UnsupportedAlgorithm { block, oid },
        DerError::Key(error) => PemError::Key { block, error },
    })?;
    Jwk::unnamed(material).map_err(|error| PemError::Key { block, error })
}

impl fmt::Display for PemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes } => write!(
                f,
                "the text has {bytes} bytes, the limit is {MAX_JWKS_BYTES}"
            ),
            Self::NotUtf8 => f.write_str("the text is not UTF-8"),
            Self::NoBlock => f.write_str("the text has no `-----BEGIN …-----`"),
            Self::Unterminated { block } => {
                write!(f, "block {block} has no `-----END …-----` of its own")
            }
            Self::NotBase64 { block } => write!(f, "block {block} is not base64"),
            Self::PrivateKey { block } => write!(
                f,
                "block {block} is a private key, a public key is needed here"
            ),
            Self::UnsupportedLabel { block, label } => write!(
                f,
                "block {block} is `{}`, not `PUBLIC KEY`, `RSA PUBLIC KEY` or `CERTIFICATE`",
                label.escape_default()
            ),
            Self::Malformed { block } => write!(f, "block {block} does not hold what it says"),
            Self::CertificateMalformed { block } => {
                write!(
                    f,
                    "block {block} does not hold the certificate that it says"
                )
            }
            Self::CertificateAlgorithm { block, oid } => write!(
                f,
                "block {block} is the certificate of a key of the algorithm or curve {oid}, which is not supported"
            ),
            Self::UnsupportedAlgorithm { block, oid } => write!(
                f,
                "block {block} has a key of the algorithm or curve {oid}, which is not supported"
            ),
            Self::Key { block, error } => write!(f, "block {block}: {error}"),
        }
    }
}

impl core::error::Error for PemError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Key { error, .. } => Some(error),
            _ => None,
        }
    }
}
