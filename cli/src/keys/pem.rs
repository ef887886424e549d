//! Keys in PEM: PKCS#8 written, PKCS#8, PKCS#1 and SEC1 read (RFC 7468, 5208, 8017, 5915).

use p256::elliptic_curve::pkcs8::AssociatedOid as _;
use rsa::RsaPrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::der::SecretDocument;
use rsa::pkcs8::{
    DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding,
    ObjectIdentifier, PrivateKeyInfo,
};
use zeroize::Zeroizing;

use super::{KeyError, PrivateKey};

/// id-Ed25519 (RFC 8410 §3).
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// rsaEncryption (RFC 8017 appendix A.1).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// id-ecPublicKey (RFC 5480 §2.1.1).
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

impl PrivateKey {
    /// The key as PKCS#8 in PEM: a secret. `None` for a shared secret.
    ///
    /// # Errors
    /// [`KeyError::Signing`] when the key cannot be encoded.
    pub(crate) fn private_pem(&self) -> Result<Option<Zeroizing<String>>, KeyError> {
        let encoded = match self {
            Self::Rsa(key) => key.to_pkcs8_pem(LineEnding::LF),
            Self::P256(key) => key.to_pkcs8_pem(LineEnding::LF),
            Self::P384(key) => key.to_pkcs8_pem(LineEnding::LF),
            Self::P521(key) => key.to_pkcs8_pem(LineEnding::LF),
            Self::Secp256k1(key) => key.to_pkcs8_pem(LineEnding::LF),
            Self::Ed25519(key) => key.to_pkcs8_pem(LineEnding::LF),
            Self::Secret(_) => return Ok(None),
        };
        encoded
            .map(Some)
            .map_err(|error| KeyError::Signing(error.to_string()))
    }

    /// The public key as SubjectPublicKeyInfo in PEM; `None` for a shared secret.
    ///
    /// # Errors
    /// [`KeyError::Signing`] when the key cannot be encoded.
    pub(crate) fn public_pem(&self) -> Result<Option<String>, KeyError> {
        let encoded = match self {
            Self::Rsa(key) => key.to_public_key().to_public_key_pem(LineEnding::LF),
            Self::P256(key) => key.public_key().to_public_key_pem(LineEnding::LF),
            Self::P384(key) => key.public_key().to_public_key_pem(LineEnding::LF),
            Self::P521(key) => key.public_key().to_public_key_pem(LineEnding::LF),
            Self::Secp256k1(key) => key.public_key().to_public_key_pem(LineEnding::LF),
            Self::Ed25519(key) => key.verifying_key().to_public_key_pem(LineEnding::LF),
            Self::Secret(_) => return Ok(None),
        };
        encoded
            .map(Some)
            .map_err(|error| KeyError::Signing(error.to_string()))
    }
}

/// Reads the first private key of a PEM text.
///
/// # Errors
/// [`KeyError`]; [`KeyError::Public`] when there are only public keys and certificates.
pub(super) fn parse(text: &str) -> Result<PrivateKey, KeyError> {
    let block = private_block(text)?;
    let (label, document) = SecretDocument::from_pem(block).map_err(unreadable)?;
    match label {
        "PRIVATE KEY" => pkcs8(document.as_bytes()),
        "RSA PRIVATE KEY" => {
            checked_rsa(RsaPrivateKey::from_pkcs1_der(document.as_bytes()).map_err(unreadable)?)
        }
        "EC PRIVATE KEY" => sec1(document.as_bytes()),
        "ENCRYPTED PRIVATE KEY" => Err(KeyError::Encrypted),
        other => Err(KeyError::UnknownKind(other.to_owned())),
    }
}

fn unreadable(error: impl std::fmt::Display) -> KeyError {
    KeyError::Inconsistent(error.to_string())
}

/// The first block that says it is a private key; `openssl ecparam` puts one with parameters before it.
fn private_block(text: &str) -> Result<&str, KeyError> {
    for (start, _) in text.match_indices("-----BEGIN ") {
        let block = &text[start..];
        let label = block
            .trim_start_matches("-----BEGIN ")
            .split("-----")
            .next()
            .unwrap_or_default();
        if !label.ends_with("PRIVATE KEY") {
            continue;
        }
        if block
            .lines()
            .nth(1)
            .is_some_and(|line| line.starts_with("Proc-Type:"))
        {
            return Err(KeyError::Encrypted);
        }
        let end = format!("-----END {label}-----");
        return match block.find(&end) {
            Some(offset) => Ok(&block[..offset + end.len()]),
            None => Err(KeyError::Inconsistent(format!("there is no `{end}`"))),
        };
    }
    Err(KeyError::Public)
}

fn pkcs8(der: &[u8]) -> Result<PrivateKey, KeyError> {
    let info = PrivateKeyInfo::try_from(der).map_err(unreadable)?;
    match info.algorithm.oid {
        RSA => checked_rsa(RsaPrivateKey::from_pkcs8_der(der).map_err(unreadable)?),
        ED25519 => ed25519_dalek::SigningKey::from_pkcs8_der(der)
            .map(|key| PrivateKey::Ed25519(Box::new(key)))
            .map_err(unreadable),
        EC => {
            let curve = info.algorithm.parameters_oid().map_err(unreadable)?;
            on_curve(
                curve,
                || p256::SecretKey::from_pkcs8_der(der).map_err(unreadable),
                || p384::SecretKey::from_pkcs8_der(der).map_err(unreadable),
                || p521::SecretKey::from_pkcs8_der(der).map_err(unreadable),
                || k256::SecretKey::from_pkcs8_der(der).map_err(unreadable),
            )
        }
        other => Err(KeyError::UnknownKind(other.to_string())),
    }
}

fn sec1(der: &[u8]) -> Result<PrivateKey, KeyError> {
    let key = sec1::EcPrivateKey::try_from(der).map_err(unreadable)?;
    let curve = key
        .parameters
        .and_then(|parameters| parameters.named_curve())
        .ok_or_else(|| KeyError::Inconsistent("the curve is not named".to_owned()))?;
    on_curve(
        curve,
        || p256::SecretKey::from_sec1_der(der).map_err(unreadable),
        || p384::SecretKey::from_sec1_der(der).map_err(unreadable),
        || p521::SecretKey::from_sec1_der(der).map_err(unreadable),
        || k256::SecretKey::from_sec1_der(der).map_err(unreadable),
    )
}

fn on_curve(
    curve: ObjectIdentifier,
    p256: impl FnOnce() -> Result<p256::SecretKey, KeyError>,
    p384: impl FnOnce() -> Result<p384::SecretKey, KeyError>,
    p521: impl FnOnce() -> Result<p521::SecretKey, KeyError>,
    k256: impl FnOnce() -> Result<k256::SecretKey, KeyError>,
) -> Result<PrivateKey, KeyError> {
    match curve {
        p256::NistP256::OID => p256().map(PrivateKey::P256),
        p384::NistP384::OID => p384().map(PrivateKey::P384),
        p521::NistP521::OID => p521().map(PrivateKey::P521),
        k256::Secp256k1::OID => k256().map(PrivateKey::Secp256k1),
        other => Err(KeyError::UnknownKind(other.to_string())),
    }
}

fn checked_rsa(key: RsaPrivateKey) -> Result<PrivateKey, KeyError> {
    key.validate().map_err(unreadable)?;
    Ok(PrivateKey::Rsa(Box::new(key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_core::jose::Algorithm;

    #[test]
    fn every_kind_survives_its_pem() {
        for algorithm in Algorithm::ALL {
            let key = PrivateKey::generate(algorithm, 2048).unwrap();
            let Some(pem) = key.private_pem().unwrap() else {
                assert!(algorithm.is_symmetric());
                continue;
            };
            let read = parse(&pem).unwrap();
            assert!(
                read.private_jwk(algorithm, "k") == key.private_jwk(algorithm, "k"),
                "{algorithm}"
            );
        }
    }

    #[test]
    fn what_is_no_private_key_is_refused_with_a_reason() {
        let key = PrivateKey::generate(Algorithm::Es256, 0).unwrap();
        let cases = [
            (key.public_pem().unwrap().unwrap(), KeyError::Public),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n"
                    .to_owned(),
                KeyError::Encrypted,
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n".to_owned(),
                KeyError::Encrypted,
            ),
            (
                "-----BEGIN PRIVATE KEY-----\nMAA=\n".to_owned(),
                KeyError::Inconsistent("there is no `-----END PRIVATE KEY-----`".to_owned()),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(&text).err(), Some(expected), "{text}");
        }
    }
}
