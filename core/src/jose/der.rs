//! Public keys in DER: SubjectPublicKeyInfo (RFC 5280 §4.1.2.7, RFC 5480, RFC 8410), the RSAPublicKey of
//! PKCS #1 (RFC 8017 A.1.1), and the key of an X.509 certificate.
//!
//! Nothing of a certificate but its key is looked at: who configures it trusts it.

use core::fmt;
use spki::SubjectPublicKeyInfoRef;
use spki::der::asn1::{AnyRef, ContextSpecific, ObjectIdentifier, UintRef};
use spki::der::{self, Decode, Reader as _, SliceReader, Tag, TagNumber, Tagged};

use super::KeyError;
use super::key::{Curve, Material};

/// rsaEncryption (RFC 8017 A.1).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// id-ecPublicKey (RFC 5480 §2.1.1).
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// id-Ed25519 (RFC 8410 §3).
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// The curves of RFC 5480 §2.1.1.1 and SEC 2 §2.4.
const CURVES: [(ObjectIdentifier, Curve); 4] = [
    (
        ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
        Curve::P256,
    ),
    (ObjectIdentifier::new_unwrap("1.3.132.0.34"), Curve::P384),
    (ObjectIdentifier::new_unwrap("1.3.132.0.35"), Curve::P521),
    (
        ObjectIdentifier::new_unwrap("1.3.132.0.10"),
        Curve::Secp256k1,
    ),
];

/// Why DER holds no key to verify with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DerError {
    /// The bytes are not the structure that they have to be.
    Malformed,
    /// The key is of a kind that Nexus does not verify with.
    UnsupportedAlgorithm(ObjectIdentifier),
    /// The key is not safe to use.
    Key(KeyError),
}

impl From<der::Error> for DerError {
    fn from(_: der::Error) -> Self {
        Self::Malformed
    }
}

impl From<KeyError> for DerError {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

/// The key of a SubjectPublicKeyInfo.
pub(super) fn subject_public_key_info(bytes: &[u8]) -> Result<Material, DerError> {
    from_info(&SubjectPublicKeyInfoRef::from_der(bytes)?)
}

/// The key of an RSAPublicKey.
pub(super) fn rsa_public_key(bytes: &[u8]) -> Result<Material, DerError> {
    let (modulus, exponent) = rsa_numbers(bytes)?;
    Ok(Material::rsa(modulus.as_bytes(), exponent.as_bytes())?)
}

/// Modulus and exponent of an RSAPublicKey.
fn rsa_numbers(bytes: &[u8]) -> Result<(UintRef<'_>, UintRef<'_>), der::Error> {
    let mut reader = SliceReader::new(bytes)?;
    let numbers = reader.sequence(|numbers| Ok((numbers.decode()?, numbers.decode()?)))?;
    reader.finish(numbers)
}

/// The key of a certificate (RFC 5280 §4.1).
pub(super) fn certificate(bytes: &[u8]) -> Result<Material, DerError> {
    let mut certificate = enter(&AnyRef::from_der(bytes)?)?;
    let to_be_signed = AnyRef::decode(&mut certificate)?;
    let mut fields = enter(&to_be_signed)?;
    // The version, absent in version 1.
    let _ = ContextSpecific::<AnyRef<'_>>::decode_explicit(&mut fields, TagNumber::N0)?;
    // The serial number, the signature's algorithm, the issuer, the validity, the subject.
    for _ in 0..5 {
        AnyRef::decode(&mut fields)?;
    }
    from_info(&SubjectPublicKeyInfoRef::decode(&mut fields)?)
}

/// Whether the bytes are one of the structures of this module, with a key of any kind and strength.
pub(super) fn is_public_key(bytes: &[u8]) -> bool {
    SubjectPublicKeyInfoRef::from_der(bytes).is_ok()
        || rsa_numbers(bytes).is_ok()
        || !matches!(certificate(bytes), Err(DerError::Malformed))
}

fn enter<'a>(value: &AnyRef<'a>) -> Result<SliceReader<'a>, DerError> {
    if value.tag() != Tag::Sequence {
        return Err(DerError::Malformed);
    }
    Ok(SliceReader::new(value.value())?)
}

fn from_info(info: &SubjectPublicKeyInfoRef<'_>) -> Result<Material, DerError> {
    let key = info
        .subject_public_key
        .as_bytes()
        .ok_or(DerError::Malformed)?;
    match info.algorithm.oid {
        RSA => rsa_public_key(key),
        EC => {
            let curve = info
                .algorithm
                .parameters_oid()
                .map_err(|_| DerError::Malformed)?;
            let (_, curve) = CURVES
                .iter()
                .find(|(oid, _)| *oid == curve)
                .ok_or(DerError::UnsupportedAlgorithm(curve))?;
            Ok(Material::ec(*curve, key)?)
        }
        ED25519 => Ok(Material::ed25519(key)?),
        other => Err(DerError::UnsupportedAlgorithm(other)),
    }
}

impl fmt::Display for DerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the bytes are not a key of that kind"),
            Self::UnsupportedAlgorithm(oid) => {
                write!(f, "the algorithm or curve {oid} is not supported")
            }
            Self::Key(error) => error.fmt(f),
        }
    }
}
