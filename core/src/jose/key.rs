//! Keys that verify signatures, read from JSON Web Keys (RFC 7517, RFC 7518 §6, RFC 8037 §2).
//!
//! A [`Jwk`] exists only if it can be used safely: whatever is wrong with a key is found here, once, and
//! not per token. A key fixes which algorithms it takes part in; a token can only choose among them.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::OnceCell;
use core::fmt;
use nexus_crypto::ec::{ed25519, p256, weierstrass};
use nexus_crypto::rsa;
use zeroize::Zeroizing;

use super::{Algorithm, KeyError, KeyType, base64url, der, offload, signature};
use crate::json::{self, Value};
use crate::sort::{sort_and_dedup, sort_by};

/// The shortest RSA modulus in bits (RFC 7518 §3.3).
pub(super) const MIN_RSA_BITS: usize = 2048;
/// The longest RSA modulus in bits: checking a signature takes time that grows with its square.
pub(super) const MAX_RSA_BITS: usize = 8192;

/// The members of a JWK that only its owner may know (RFC 7518 §6.2.2, §6.3.2, RFC 8037 §2).
pub const PRIVATE_MEMBERS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// Where a key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyOrigin {
    /// Over the network. Symmetric keys are refused: a set that is published is no place for a secret.
    Remote,
    /// From the configuration.
    Local,
}

/// A key that verifies signatures.
#[derive(Clone)]
pub struct Jwk {
    kid: Option<String>,
    // INVARIANT: not empty; each is one that `material` verifies.
    algorithms: Vec<Algorithm>,
    material: Material,
    private_key_material: bool,
    /// In DER, made when it is first asked for.
    spki_der: OnceCell<Option<Box<[u8]>>>,
}

/// What signatures are verified with, ready for use.
#[derive(Clone)]
pub(super) enum Material {
    Rsa(rsa::PublicKey),
    P256(p256::PublicKey),
    P384(weierstrass::PublicKey),
    P521(weierstrass::PublicKey),
    Secp256k1(weierstrass::PublicKey),
    Ed25519(ed25519::PublicKey),
    Secret(Zeroizing<Vec<u8>>),
}

/// A curve of RFC 7518 §6.2.1.1 or RFC 8812 §3.1.
#[derive(Clone, Copy)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
    Secp256k1,
}

impl Jwk {
    /// Reads a JSON Web Key.
    pub(super) fn parse(jwk: &Value<'_>, origin: KeyOrigin) -> Result<Self, KeyError> {
        if jwk.as_object().is_none() {
            return Err(KeyError::NotAnObject {
                found: jwk.kind_name(),
            });
        }
        let kid = optional_string(jwk, "kid")?.map(ToOwned::to_owned);
        let kty = required_string(jwk, "kty")?;
        require_purpose(jwk)?;
        let material = match kty {
            "RSA" => Material::rsa(&required_bytes(jwk, "n")?, &required_bytes(jwk, "e")?)?,
            "EC" => Material::ec_from_jwk(jwk)?,
            "OKP" => Material::okp_from_jwk(jwk)?,
            "oct" if origin == KeyOrigin::Remote => return Err(KeyError::SymmetricFromRemote),
            "oct" => Material::secret(required_bytes(jwk, "k")?)?,
            other => {
                return Err(KeyError::UnsupportedKeyType {
                    kty: other.to_owned(),
                });
            }
        };
        let algorithms = match optional_string(jwk, "alg")? {
            None => material.algorithms()?,
            Some(alg) => alloc::vec![material.algorithm_named(alg)?],
        };
        let private_key_material = !matches!(material, Material::Secret(_))
            && PRIVATE_MEMBERS
                .iter()
                .any(|member| jwk.member(member).is_some());
        Ok(Self {
            kid,
            algorithms,
            material,
            private_key_material,
            spki_der: OnceCell::new(),
        })
    }

    /// A key without a name that takes part in every algorithm of its kind.
    pub(super) fn unnamed(material: Material) -> Result<Self, KeyError> {
        Ok(Self {
            kid: None,
            algorithms: material.algorithms()?,
            material,
            private_key_material: false,
            spki_der: OnceCell::new(),
        })
    }

    /// A shared secret for the given algorithms.
    pub(super) fn secret(secret: &[u8], algorithms: &[Algorithm]) -> Result<Self, KeyError> {
        let material = Material::secret(secret.to_vec())?;
        let mut usable = Vec::new();
        for algorithm in algorithms {
            usable.push(material.algorithm_named(algorithm.name())?);
        }
        if usable.is_empty() {
            usable = material.algorithms()?;
        }
        sort_and_dedup(&mut usable);
        Ok(Self {
            kid: None,
            algorithms: usable,
            material,
            private_key_material: false,
            spki_der: OnceCell::new(),
        })
    }

    /// The name of the key (RFC 7517 §4.5).
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The algorithms that the key takes part in. Never empty.
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Whether the document had the private half of the key too. It was dropped, but whoever could read
    /// the document can sign.
    pub fn private_key_material(&self) -> bool {
        self.private_key_material
    }

    /// The kind of the key.
    pub(super) const fn key_type(&self) -> KeyType {
        match self.material {
            Material::Rsa(_) => KeyType::Rsa,
            Material::P256(_) | Material::P384(_) | Material::P521(_) | Material::Secp256k1(_) => {
                KeyType::Ec
            }
            Material::Ed25519(_) => KeyType::Okp,
            Material::Secret(_) => KeyType::Oct,
        }
    }

    /// Whether signer and verifier share the key.
    pub fn is_symmetric(&self) -> bool {
        matches!(self.material, Material::Secret(_))
    }

    /// Whether `signature` is a signature of `message` by this key with `algorithm`. False for an
    /// algorithm that is not among [`Self::algorithms`].
    pub fn verify_signature(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        self.algorithms.contains(&algorithm)
            && signature::is_valid(algorithm, &self.material, message, signature)
    }

    /// The key as a SubjectPublicKeyInfo in DER (RFC 5280 §4.1.2.7), for whoever else can check signatures; `None` for a
    /// kind that nobody else is asked about.
    pub fn to_spki_der(&self) -> Option<&[u8]> {
        self.spki_der
            .get_or_init(|| self.material.to_spki_der().map(Vec::into_boxed_slice))
            .as_deref()
    }

    pub(super) fn material(&self) -> &Material {
        &self.material
    }

    /// Writes the key as one or more JSON Web Keys: one that leaves `alg` out where the key takes part in
    /// all algorithms of its kind, else one for each.
    pub(super) fn write_json(&self, out: &mut String) -> fmt::Result {
        let unrestricted = self
            .material
            .algorithms()
            .is_ok_and(|all| all == self.algorithms);
        if unrestricted && !self.is_symmetric() {
            return self.write_one(out, None);
        }
        for (index, algorithm) in self.algorithms.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            self.write_one(out, Some(*algorithm))?;
        }
        Ok(())
    }

    fn write_one(&self, out: &mut String, alg: Option<Algorithm>) -> fmt::Result {
        let mut members = self.material.members();
        members.extend(alg.map(|alg| ("alg", alg.name().to_owned())));
        members.extend(self.kid.clone().map(|kid| ("kid", kid)));
        sort_by(&mut members, |one, other| one.0.cmp(other.0));
        out.push('{');
        for (index, (name, value)) in members.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            write_member(out, name, value)?;
        }
        out.push('}');
        Ok(())
    }
}

/// Shows what the key is for, and nothing of a secret.
impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwk")
            .field("kid", &self.kid)
            .field("kind", &self.material.kind())
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

impl Material {
    /// A public key from modulus and exponent, big-endian.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        let bits = rsa::bit_length(modulus);
        if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
            return Err(KeyError::RsaModulusSize { bits });
        }
        if modulus.last().is_none_or(|byte| byte % 2 == 0) {
            return Err(KeyError::RsaModulusEven);
        }
        let exponent = small_number(exponent);
        exponent
            .and_then(|exponent| rsa::PublicKey::new(modulus, exponent))
            .map(Self::Rsa)
            .ok_or(KeyError::RsaExponent { exponent })
    }

    /// A public key from a point in the form of SEC 1 §2.3.3.
    pub(super) fn ec(curve: Curve, point: &[u8]) -> Result<Self, KeyError> {
        use weierstrass::{P384, P521, PublicKey, SECP256K1};
        let key = match curve {
            Curve::P256 => p256::PublicKey::from_sec1_bytes(point).map(Self::P256),
            Curve::P384 => PublicKey::from_sec1_bytes(&P384, point).map(Self::P384),
            Curve::P521 => PublicKey::from_sec1_bytes(&P521, point).map(Self::P521),
            Curve::Secp256k1 => PublicKey::from_sec1_bytes(&SECP256K1, point).map(Self::Secp256k1),
        };
        key.ok_or(KeyError::NotOnCurve { crv: curve.name() })
    }

    /// A public key of Ed25519 from its encoding (RFC 8032 §5.1.2).
    pub(super) fn ed25519(encoded: &[u8]) -> Result<Self, KeyError> {
        let bytes = encoded.try_into().map_err(|_| KeyError::CoordinateLength {
            member: "x",
            bytes: encoded.len(),
            expected: 32,
        })?;
        ed25519::PublicKey::new(bytes)
            .map(Self::Ed25519)
            .map_err(|error| match error {
                ed25519::PublicKeyError::NotOnCurve => KeyError::NotOnCurve { crv: "Ed25519" },
                ed25519::PublicKeyError::SmallOrder => KeyError::SmallOrder,
            })
    }

    /// A shared secret.
    fn secret(secret: Vec<u8>) -> Result<Self, KeyError> {
        let secret = Zeroizing::new(secret);
        if is_public_key(&secret) {
            return Err(KeyError::SecretIsPublicKey);
        }
        Ok(Self::Secret(secret))
    }

    fn ec_from_jwk(jwk: &Value<'_>) -> Result<Self, KeyError> {
        let crv = required_string(jwk, "crv")?;
        let curve = Curve::from_name(crv).ok_or_else(|| KeyError::UnsupportedCurve {
            crv: crv.to_owned(),
        })?;
        // The marker of an uncompressed point (SEC 1 §2.3.3).
        let mut point = alloc::vec![4];
        for member in ["x", "y"] {
            let coordinate = required_bytes(jwk, member)?;
            if coordinate.len() != curve.coordinate_bytes() {
                return Err(KeyError::CoordinateLength {
                    member,
                    bytes: coordinate.len(),
                    expected: curve.coordinate_bytes(),
                });
            }
            point.extend_from_slice(&coordinate);
        }
        Self::ec(curve, &point)
    }

    fn okp_from_jwk(jwk: &Value<'_>) -> Result<Self, KeyError> {
        match required_string(jwk, "crv")? {
            "Ed25519" => Self::ed25519(&required_bytes(jwk, "x")?),
            other => Err(KeyError::UnsupportedCurve {
                crv: other.to_owned(),
            }),
        }
    }

    /// Every algorithm that the key is good for. An error for a secret too short for any.
    fn algorithms(&self) -> Result<Vec<Algorithm>, KeyError> {
        let all: Vec<Algorithm> = Algorithm::ALL
            .into_iter()
            .filter(|algorithm| self.fits(*algorithm) && self.has_length_for(*algorithm).is_ok())
            .collect();
        if all.is_empty() {
            self.has_length_for(Algorithm::Hs256)?;
        }
        Ok(all)
    }

    /// The algorithm of that name, if the key is good for it.
    fn algorithm_named(&self, alg: &str) -> Result<Algorithm, KeyError> {
        let algorithm = Algorithm::from_name(alg)
            .filter(|algorithm| self.fits(*algorithm))
            .ok_or_else(|| KeyError::AlgorithmMismatch {
                alg: alg.to_owned(),
                key: self.kind(),
            })?;
        self.has_length_for(algorithm)?;
        Ok(algorithm)
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm as A;
        match algorithm {
            A::Rs256 | A::Rs384 | A::Rs512 | A::Ps256 | A::Ps384 | A::Ps512 => {
                matches!(self, Self::Rsa(_))
            }
            A::Es256 => matches!(self, Self::P256(_)),
            A::Es384 => matches!(self, Self::P384(_)),
            A::Es512 => matches!(self, Self::P521(_)),
            A::Es256k => matches!(self, Self::Secp256k1(_)),
            A::EdDsa => matches!(self, Self::Ed25519(_)),
            A::Hs256 | A::Hs384 | A::Hs512 => self.is_secret(),
        }
    }

    fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }

    /// RFC 7518 §3.2: a secret is at least as long as the hash.
    fn has_length_for(&self, algorithm: Algorithm) -> Result<(), KeyError> {
        let Self::Secret(secret) = self else {
            return Ok(());
        };
        let required = match algorithm {
            Algorithm::Hs384 => 48,
            Algorithm::Hs512 => 64,
            _ => 32,
        };
        if secret.len() < required {
            return Err(KeyError::SecretTooShort {
                algorithm,
                bytes: secret.len(),
                required,
            });
        }
        Ok(())
    }

    /// The kind of key with its article, for messages.
    fn kind(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "an RSA",
            Self::P256(_) => "a P-256",
            Self::P384(_) => "a P-384",
            Self::P521(_) => "a P-521",
            Self::Secp256k1(_) => "a secp256k1",
            Self::Ed25519(_) => "an Ed25519",
            Self::Secret(_) => "a symmetric",
        }
    }

    /// The key as a SubjectPublicKeyInfo in DER: that of RSA or of a curve of RFC 5480, and nothing of a secret.
    pub(super) fn to_spki_der(&self) -> Option<Vec<u8>> {
        match self {
            Self::Secret(_) => None,
            _ => offload::subject_public_key_info(&self.members()),
        }
    }

    /// The members of the JSON Web Key that hold the key, in the order of their names.
    pub(super) fn members(&self) -> Vec<(&'static str, String)> {
        let ec = |curve: Curve, [x, y]: [&[u8]; 2]| {
            alloc::vec![
                ("crv", curve.name().to_owned()),
                ("kty", "EC".to_owned()),
                ("x", base64url::encode(x)),
                ("y", base64url::encode(y)),
            ]
        };
        let weierstrass = |curve: Curve, key: &weierstrass::PublicKey| {
            ec(curve, key.coordinates().each_ref().map(Vec::as_slice))
        };
        match self {
            Self::Rsa(key) => alloc::vec![
                ("e", base64url::encode(&key.exponent())),
                ("kty", "RSA".to_owned()),
                ("n", base64url::encode(key.modulus())),
            ],
            Self::P256(key) => ec(Curve::P256, key.coordinates().each_ref().map(|it| &it[..])),
            Self::P384(key) => weierstrass(Curve::P384, key),
            Self::P521(key) => weierstrass(Curve::P521, key),
            Self::Secp256k1(key) => weierstrass(Curve::Secp256k1, key),
            Self::Ed25519(key) => alloc::vec![
                ("crv", "Ed25519".to_owned()),
                ("kty", "OKP".to_owned()),
                ("x", base64url::encode(key.as_bytes())),
            ],
            Self::Secret(secret) => {
                alloc::vec![("k", base64url::encode(secret)), ("kty", "oct".to_owned()),]
            }
        }
    }
}

impl Curve {
    const ALL: [Self; 4] = [Self::P256, Self::P384, Self::P521, Self::Secp256k1];

    const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::Secp256k1 => "secp256k1",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|curve| curve.name() == name)
    }

    /// The length of a coordinate in bytes (RFC 7518 §6.2.1.2, RFC 8812 §3.1).
    const fn coordinate_bytes(self) -> usize {
        match self {
            Self::P256 | Self::Secp256k1 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

/// RFC 7517 §4.2 and §4.3: a key that says what it is for says that it verifies signatures.
fn require_purpose(jwk: &Value<'_>) -> Result<(), KeyError> {
    if let Some(key_use) = optional_string(jwk, "use")? {
        if key_use != "sig" {
            return Err(KeyError::NotForSignatures {
                key_use: key_use.to_owned(),
            });
        }
    }
    let Some(key_ops) = jwk.member("key_ops") else {
        return Ok(());
    };
    let wrong = |value: &Value<'_>| KeyError::WrongType {
        member: "key_ops",
        expected: "an array of strings",
        found: value.kind_name(),
    };
    let operations = key_ops.as_array().ok_or_else(|| wrong(key_ops))?;
    if let Some(stranger) = operations.iter().find(|value| value.as_str().is_none()) {
        return Err(wrong(stranger));
    }
    if operations
        .iter()
        .any(|value| value.as_str() == Some("verify"))
    {
        Ok(())
    } else {
        Err(KeyError::NotForVerification)
    }
}

fn optional_string<'v>(
    jwk: &'v Value<'_>,
    member: &'static str,
) -> Result<Option<&'v str>, KeyError> {
    match jwk.member(member) {
        None => Ok(None),
        Some(value) => match value.as_str() {
            Some(text) => Ok(Some(text)),
            None => Err(KeyError::WrongType {
                member,
                expected: "a string",
                found: value.kind_name(),
            }),
        },
    }
}

fn required_string<'v>(jwk: &'v Value<'_>, member: &'static str) -> Result<&'v str, KeyError> {
    optional_string(jwk, member)?.ok_or(KeyError::MissingMember { member })
}

fn required_bytes(jwk: &Value<'_>, member: &'static str) -> Result<Vec<u8>, KeyError> {
    base64url::decode(required_string(jwk, member)?.as_bytes())
        .map_err(|_| KeyError::NotBase64url { member })
}

/// The number that `bytes` are, big-endian, if it fits 64 bits.
fn small_number(bytes: &[u8]) -> Option<u64> {
    bytes.iter().try_fold(0_u64, |number, byte| {
        number.checked_mul(256)?.checked_add(u64::from(*byte))
    })
}

/// Whether a secret is the public text that attackers of RS256 sign with: PEM, an OpenSSH key, a JSON
/// Web Key, or DER.
fn is_public_key(secret: &[u8]) -> bool {
    let text = secret.strip_prefix(b"\xef\xbb\xbf").unwrap_or(secret);
    let text = text.trim_ascii_start();
    let has = |needle: &[u8]| text.windows(needle.len()).any(|window| window == needle);
    has(b"-----BEGIN ")
        || text.starts_with(b"ssh-")
        || text.starts_with(b"ecdsa-sha2-")
        || json::parse(text.trim_ascii_end())
            .is_ok_and(|value| value.member("kty").is_some() || value.member("keys").is_some())
        || der::is_public_key(secret)
}

fn write_member(out: &mut String, name: &str, value: &str) -> fmt::Result {
    json::write_string(out, name)?;
    out.push(':');
    json::write_string(out, value)
}
