//! Keys as JWK (RFC 7517, 7518 §6, 8037 §2) and their thumbprints (RFC 7638).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nexus_core::jose::Algorithm;
use nexus_core::json::Value;
use rsa::traits::{PrivateKeyParts as _, PublicKeyParts as _};
use rsa::{BigUint, RsaPrivateKey};
use serde::Serialize;
use serde::ser::SerializeMap as _;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{KeyError, PrivateKey, base64url};
use crate::output::count;

/// The members of a JWK in the order in which they are written.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Members(Vec<(&'static str, String)>);

impl Serialize for Members {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Builds the members of an elliptic curve key, whichever the curve.
macro_rules! ec_public {
    ($key:expr, $curve:expr) => {{
        use p256::elliptic_curve::sec1::ToEncodedPoint as _;
        let point = $key.public_key().to_encoded_point(false);
        let coordinate = |bytes: Option<_>| bytes.map_or_else(String::new, |b: &_| base64url(b));
        vec![
            ("kty", "EC".to_owned()),
            ("crv", $curve.to_owned()),
            ("x", coordinate(point.x().map(|x| x.as_slice()))),
            ("y", coordinate(point.y().map(|y| y.as_slice()))),
        ]
    }};
}

impl PrivateKey {
    /// The JWK with its private members: a secret.
    pub(crate) fn private_jwk(&self, algorithm: Algorithm, kid: &str) -> Members {
        let mut members = self.described(algorithm, kid);
        let number = |number: &BigUint| base64url(&number.to_bytes_be());
        match self {
            Self::Rsa(key) => {
                members.push(("d", number(key.d())));
                if let [p, q] = key.primes() {
                    members.push(("p", number(p)));
                    members.push(("q", number(q)));
                    let rest = (key.dp(), key.dq(), key.crt_coefficient());
                    if let (Some(dp), Some(dq), Some(qi)) = rest {
                        members.push(("dp", number(dp)));
                        members.push(("dq", number(dq)));
                        members.push(("qi", number(&qi)));
                    }
                }
            }
            Self::P256(key) => members.push(("d", base64url(&key.to_bytes()))),
            Self::P384(key) => members.push(("d", base64url(&key.to_bytes()))),
            Self::P521(key) => members.push(("d", base64url(&key.to_bytes()))),
            Self::Secp256k1(key) => members.push(("d", base64url(&key.to_bytes()))),
            Self::Ed25519(key) => members.push(("d", base64url(key.as_bytes()))),
            // `k` is its only member, and described() has it.
            Self::Secret(_) => {}
        }
        Members(members)
    }

    /// The JWK without its private members; `None` for a shared secret, which has no public half.
    pub(crate) fn public_jwk(&self, algorithm: Algorithm, kid: &str) -> Option<Members> {
        match self {
            Self::Secret(_) => None,
            _ => Some(Members(self.described(algorithm, kid))),
        }
    }

    /// The members that make the public key what it is, and no others; `None` for a shared secret.
    pub(crate) fn bare_jwk(&self) -> Option<Members> {
        match self {
            Self::Secret(_) => None,
            _ => Some(Members(self.required_members())),
        }
    }

    /// The thumbprint with SHA-256, base64url (RFC 7638 §3).
    pub(crate) fn thumbprint(&self) -> String {
        let mut members = self.required_members();
        members.sort_unstable();
        let fields: Vec<String> = members
            .iter()
            // Names and values are base64url or registered names: nothing to escape.
            .map(|(name, value)| format!("\"{name}\":\"{value}\""))
            .collect();
        base64url(&Sha256::digest(format!("{{{}}}", fields.join(","))))
    }

    fn described(&self, algorithm: Algorithm, kid: &str) -> Vec<(&'static str, String)> {
        let mut members = self.required_members();
        let description = [
            ("kid", kid.to_owned()),
            ("use", "sig".to_owned()),
            ("alg", algorithm.name().to_owned()),
        ];
        // Behind `kty`, where people look for them.
        members.splice(1..1, description);
        members
    }

    /// The members that make the key what it is (RFC 7638 §3.2), `kty` first.
    fn required_members(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Rsa(key) => vec![
                ("kty", "RSA".to_owned()),
                ("n", base64url(&key.n().to_bytes_be())),
                ("e", base64url(&key.e().to_bytes_be())),
            ],
            Self::P256(key) => ec_public!(key, "P-256"),
            Self::P384(key) => ec_public!(key, "P-384"),
            Self::P521(key) => ec_public!(key, "P-521"),
            Self::Secp256k1(key) => ec_public!(key, "secp256k1"),
            Self::Ed25519(key) => vec![
                ("kty", "OKP".to_owned()),
                ("crv", "Ed25519".to_owned()),
                ("x", base64url(key.verifying_key().as_bytes())),
            ],
            Self::Secret(secret) => vec![("kty", "oct".to_owned()), ("k", base64url(secret))],
        }
    }
}

/// Reads a private key from a JWK.
///
/// # Errors
/// [`KeyError`]; [`KeyError::Public`] when it has no private member.
pub(super) fn parse(jwk: &Value<'_>) -> Result<PrivateKey, KeyError> {
    match text(jwk, "kty")? {
        "RSA" => rsa(jwk),
        "EC" => elliptic(jwk),
        "OKP" => octet_pair(jwk),
        "oct" => {
            let secret = bytes(jwk, "k")?;
            if secret.is_empty() {
                return Err(KeyError::InvalidMember("k", "is empty".to_owned()));
            }
            Ok(PrivateKey::Secret(secret))
        }
        other => Err(KeyError::UnknownKind(other.to_owned())),
    }
}

fn rsa(jwk: &Value<'_>) -> Result<PrivateKey, KeyError> {
    require_private(jwk)?;
    let number = |name| bytes(jwk, name).map(|bytes| BigUint::from_bytes_be(&bytes));
    // Without p and q the library finds them (RFC 7518 §6.3.2 leaves them out at will).
    let primes = match (jwk.member("p"), jwk.member("q")) {
        (None, None) => Vec::new(),
        _ => vec![number("p")?, number("q")?],
    };
    let key = RsaPrivateKey::from_components(number("n")?, number("e")?, number("d")?, primes)
        .map_err(|error| KeyError::Inconsistent(error.to_string()))?;
    key.validate()
        .map_err(|error| KeyError::Inconsistent(error.to_string()))?;
    Ok(PrivateKey::Rsa(Box::new(key)))
}

fn elliptic(jwk: &Value<'_>) -> Result<PrivateKey, KeyError> {
    require_private(jwk)?;
    let scalar = bytes(jwk, "d")?;
    let (length, curve) = match text(jwk, "crv")? {
        "P-256" => (32, "P-256"),
        "P-384" => (48, "P-384"),
        "P-521" => (66, "P-521"),
        "secp256k1" => (32, "secp256k1"),
        other => return Err(KeyError::UnknownKind(other.to_owned())),
    };
    if scalar.len() != length {
        return Err(KeyError::InvalidMember(
            "d",
            format!("has {}, {curve} has {length}", count(scalar.len(), "byte")),
        ));
    }
    let outside = |_| KeyError::InvalidMember("d", format!("is no private key of {curve}"));
    let key = match curve {
        "P-256" => PrivateKey::P256(p256::SecretKey::from_slice(&scalar).map_err(outside)?),
        "P-384" => PrivateKey::P384(p384::SecretKey::from_slice(&scalar).map_err(outside)?),
        "P-521" => PrivateKey::P521(p521::SecretKey::from_slice(&scalar).map_err(outside)?),
        _ => PrivateKey::Secp256k1(k256::SecretKey::from_slice(&scalar).map_err(outside)?),
    };
    public_half_fits(jwk, key, &["x", "y"])
}

fn octet_pair(jwk: &Value<'_>) -> Result<PrivateKey, KeyError> {
    require_private(jwk)?;
    match text(jwk, "crv")? {
        "Ed25519" => {}
        other => return Err(KeyError::UnknownKind(other.to_owned())),
    }
    let seed = bytes(jwk, "d")?;
    let seed: Zeroizing<[u8; 32]> = Zeroizing::new(seed.as_slice().try_into().map_err(|_| {
        KeyError::InvalidMember(
            "d",
            format!("has {}, Ed25519 has 32", count(seed.len(), "byte")),
        )
    })?);
    let key = PrivateKey::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&seed)));
    public_half_fits(jwk, key, &["x"])
}

/// A JWK whose public members belong to another key would sign what nobody can verify.
fn public_half_fits(
    jwk: &Value<'_>,
    key: PrivateKey,
    members: &[&'static str],
) -> Result<PrivateKey, KeyError> {
    let own = key.required_members();
    for &name in members {
        let Some(value) = jwk.member(name) else {
            continue;
        };
        let fits = own
            .iter()
            .any(|(own_name, own_value)| *own_name == name && value.as_str() == Some(own_value));
        if !fits {
            return Err(KeyError::Inconsistent(format!(
                "`{name}` is not that of `d`"
            )));
        }
    }
    Ok(key)
}

fn require_private(jwk: &Value<'_>) -> Result<(), KeyError> {
    match jwk.member("d") {
        Some(_) => Ok(()),
        None => Err(KeyError::Public),
    }
}

fn text<'v>(jwk: &'v Value<'_>, name: &'static str) -> Result<&'v str, KeyError> {
    let value = jwk.member(name).ok_or(KeyError::MissingMember(name))?;
    value.as_str().ok_or_else(|| {
        KeyError::InvalidMember(name, format!("is {}, not a string", value.kind_name()))
    })
}

fn bytes(jwk: &Value<'_>, name: &'static str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    URL_SAFE_NO_PAD
        .decode(text(jwk, name)?)
        .map(Zeroizing::new)
        .map_err(|_| KeyError::InvalidMember(name, "is not base64url without padding".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_core::json;

    #[test]
    fn a_jwk_whose_halves_do_not_belong_together_is_refused() {
        let one = PrivateKey::generate(Algorithm::Es256, 0).unwrap();
        let other = PrivateKey::generate(Algorithm::Es256, 0).unwrap();
        let mut members = one.private_jwk(Algorithm::Es256, "k").0;
        for (name, value) in &mut members {
            if *name == "d" {
                let Members(others) = other.private_jwk(Algorithm::Es256, "k");
                *value = others.into_iter().find(|(n, _)| n == name).unwrap().1;
            }
        }
        let text = serde_json::to_string(&Members(members)).unwrap();
        let error = parse(&json::parse(text.as_bytes()).unwrap()).err().unwrap();
        assert_eq!(
            error.to_string(),
            "the parts of the key do not fit: `x` is not that of `d`"
        );
    }

    #[test]
    fn every_kind_survives_its_jwk() {
        for algorithm in Algorithm::ALL {
            let key = PrivateKey::generate(algorithm, 2048).unwrap();
            let written = serde_json::to_string(&key.private_jwk(algorithm, "k")).unwrap();
            let read = parse(&json::parse(written.as_bytes()).unwrap()).unwrap();
            assert!(
                read.private_jwk(algorithm, "k") == key.private_jwk(algorithm, "k"),
                "{algorithm}"
            );
        }
    }

    /// The example of RFC 8037 appendix A.3: its private key, and the thumbprint it has there.
    #[test]
    fn the_thumbprint_is_that_of_rfc_8037() {
        let seed: [u8; 32] = URL_SAFE_NO_PAD
            .decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
            .unwrap()
            .try_into()
            .unwrap();
        let key = PrivateKey::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&seed)));
        assert_eq!(
            key.thumbprint(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }
}
