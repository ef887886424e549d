//! Which status of Envoy's `jwt_authn` an error of this module is: what an operator who comes from there
//! knows it by.

use super::key_set::RejectedKey;
use super::{JwkSetError, KeyError, PemError};
use crate::reason::EnvoyStatus;

/// The kinds of key that have statuses of their own (RFC 7518 §6.1, RFC 8037 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// `RSA`.
    Rsa,
    /// `EC`.
    Ec,
    /// `OKP`.
    Okp,
    /// `oct`.
    Oct,
}

impl KeyType {
    /// The kind that `kty` names.
    pub fn from_name(kty: &str) -> Option<Self> {
        match kty {
            "RSA" => Some(Self::Rsa),
            "EC" => Some(Self::Ec),
            "OKP" => Some(Self::Okp),
            "oct" => Some(Self::Oct),
            _ => None,
        }
    }
}

impl JwkSetError {
    /// What Envoy calls it.
    pub const fn envoy_status(&self) -> EnvoyStatus {
        match self {
            Self::TooLarge { .. } | Self::NotJson(_) | Self::NotAnObject { .. } => {
                EnvoyStatus::JwksParseError
            }
            Self::NoKeys => EnvoyStatus::JwksNoKeys,
            Self::KeysNotArray { .. } => EnvoyStatus::JwksBadKeys,
        }
    }
}

impl RejectedKey {
    /// What Envoy calls it; `None` for a key that Envoy would use, or leave out without a word.
    pub fn envoy_status(&self) -> Option<EnvoyStatus> {
        match (self.key_type, &self.error) {
            (_, KeyError::MissingMember { member: "kty" }) => Some(EnvoyStatus::JwksMissingKty),
            (_, KeyError::WrongType { member: "kty", .. }) => Some(EnvoyStatus::JwksBadKty),
            (_, KeyError::UnsupportedKeyType { .. }) => Some(EnvoyStatus::JwksNotImplementedKty),
            (Some(KeyType::Rsa), error) => rsa(error),
            (Some(KeyType::Ec), error) => ec(error),
            (Some(KeyType::Okp), error) => okp(error),
            (Some(KeyType::Oct), error) => oct(error),
            (None, _) => None,
        }
    }
}

fn rsa(error: &KeyError) -> Option<EnvoyStatus> {
    use EnvoyStatus as E;
    Some(match error {
        KeyError::AlgorithmMismatch { .. } => E::JwksRSAKeyBadAlg,
        KeyError::MissingMember { member: "n" } => E::JwksRSAKeyMissingN,
        KeyError::MissingMember { member: "e" } => E::JwksRSAKeyMissingE,
        KeyError::WrongType { member: "n", .. } => E::JwksRSAKeyBadN,
        KeyError::WrongType { member: "e", .. } => E::JwksRSAKeyBadE,
        KeyError::NotBase64url { .. }
        | KeyError::RsaModulusSize { .. }
        | KeyError::RsaModulusEven
        | KeyError::RsaExponent { .. } => E::JwksRsaParseError,
        _ => return None,
    })
}

fn ec(error: &KeyError) -> Option<EnvoyStatus> {
    use EnvoyStatus as E;
    Some(match error {
        KeyError::AlgorithmMismatch { alg, .. } if alg.starts_with("ES") => {
            E::JwksECKeyAlgNotCompatibleWithCrv
        }
        KeyError::AlgorithmMismatch { .. } => E::JwksECKeyBadAlg,
        KeyError::WrongType { member: "crv", .. } => E::JwksECKeyBadCrv,
        // Envoy takes the curve from `alg`, or takes it to be P-256.
        KeyError::MissingMember { member: "crv" } | KeyError::UnsupportedCurve { .. } => {
            E::JwksECKeyAlgOrCrvUnsupported
        }
        KeyError::MissingMember { member: "x" } => E::JwksECKeyMissingX,
        KeyError::MissingMember { member: "y" } => E::JwksECKeyMissingY,
        KeyError::WrongType { member: "x", .. } => E::JwksECKeyBadX,
        KeyError::WrongType { member: "y", .. } => E::JwksECKeyBadY,
        KeyError::NotBase64url { .. } => E::JwksEcXorYBadBase64,
        KeyError::CoordinateLength { .. } | KeyError::NotOnCurve { .. } => E::JwksEcParseError,
        _ => return None,
    })
}

fn okp(error: &KeyError) -> Option<EnvoyStatus> {
    use EnvoyStatus as E;
    Some(match error {
        KeyError::AlgorithmMismatch { .. } => E::JwksOKPKeyBadAlg,
        KeyError::MissingMember { member: "crv" } => E::JwksOKPKeyMissingCrv,
        KeyError::WrongType { member: "crv", .. } => E::JwksOKPKeyBadCrv,
        KeyError::UnsupportedCurve { .. } => E::JwksOKPKeyCrvUnsupported,
        KeyError::MissingMember { member: "x" } => E::JwksOKPKeyMissingX,
        KeyError::WrongType { member: "x", .. } => E::JwksOKPKeyBadX,
        KeyError::NotBase64url { .. } => E::JwksOKPXBadBase64,
        KeyError::CoordinateLength { .. } => E::JwksOKPXWrongLength,
        _ => return None,
    })
}

fn oct(error: &KeyError) -> Option<EnvoyStatus> {
    use EnvoyStatus as E;
    Some(match error {
        KeyError::AlgorithmMismatch { .. } => E::JwksHMACKeyBadAlg,
        KeyError::MissingMember { member: "k" } => E::JwksHMACKeyMissingK,
        KeyError::WrongType { member: "k", .. } => E::JwksHMACKeyBadK,
        KeyError::NotBase64url { .. } | KeyError::SecretTooShort { bytes: 0, .. } => {
            E::JwksOctBadBase64
        }
        _ => return None,
    })
}

impl PemError {
    /// What Envoy calls it; `None` for a key that Envoy would use.
    pub fn envoy_status(&self) -> Option<EnvoyStatus> {
        use EnvoyStatus as E;
        Some(match self {
            Self::TooLarge { .. }
            | Self::NotUtf8
            | Self::NoBlock
            | Self::Unterminated { .. }
            | Self::NotBase64 { .. }
            | Self::PrivateKey { .. }
            | Self::UnsupportedLabel { .. }
            | Self::Malformed { .. } => E::JwksPemBadBase64,
            Self::CertificateMalformed { .. } => E::JwksX509ParseError,
            Self::CertificateAlgorithm { .. } => E::JwksX509GetPubkeyError,
            Self::UnsupportedAlgorithm { .. } => E::JwksPemNotImplementedKty,
            Self::Key { error, .. } => match error {
                KeyError::CoordinateLength { .. } => E::JwksPemGetRawEd25519Error,
                KeyError::NotOnCurve { crv } if *crv != "Ed25519" => E::JwksEcParseError,
                KeyError::RsaModulusSize { .. }
                | KeyError::RsaModulusEven
                | KeyError::RsaExponent { .. } => E::JwksRsaParseError,
                _ => return None,
            },
        })
    }
}
