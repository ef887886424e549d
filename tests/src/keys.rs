//! Signing keys of every algorithm that the filter verifies, and the JWKS that publish them.
//!
//! Signatures come from `jsonwebtoken`, and for the two algorithms that it lacks (ES512, ES256K)
//! from the curve's own crate; never from the library that the filter verifies with. Keys are
//! generated, once per process where a shared one will do.

use std::{collections::BTreeMap, fmt, sync::OnceLock};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm as JwtAlgorithm, EncodingKey};
use nexus_core::jose::Sha256Digest;
use rand_core::OsRng;
use rsa::{
    BigUint, RsaPrivateKey, RsaPublicKey,
    pkcs1::EncodeRsaPrivateKey as _,
    pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding},
    traits::PublicKeyParts as _,
};
use serde_json::{Map, Value, json};

/// A signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1, RFC 8812 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the RFCs'")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    ES256K,
    EdDSA,
    HS256,
    HS384,
    HS512,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::ES512,
        Self::ES256K,
        Self::EdDSA,
        Self::HS256,
        Self::HS384,
        Self::HS512,
    ];

    /// The value of a token's `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::ES256K => "ES256K",
            Self::EdDSA => "EdDSA",
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
        }
    }

    /// Whether signer and verifier share one secret.
    pub fn is_symmetric(self) -> bool {
        matches!(self, Self::HS256 | Self::HS384 | Self::HS512)
    }
}

/// A private key or a secret, with the `kid` under which its public half is published.
#[derive(Clone)]
pub struct Key {
    material: Material,
    kid: Option<String>,
}

#[derive(Clone)]
enum Material {
    Rsa(Box<RsaPrivateKey>),
    P256(p256::SecretKey),
    P384(p384::SecretKey),
    P521(p521::SecretKey),
    Secp256k1(k256::SecretKey),
    Ed25519(Box<ed25519_dalek::SigningKey>),
    Secret(Vec<u8>),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("kty", &self.material.kind())
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl Key {
    /// A new RSA key of this size in bits with the exponent 65537. 2048 bits take about a second
    /// in a release build; see [`rsa()`] for one that is shared.
    pub fn generate_rsa(bits: usize) -> Self {
        RsaPrivateKey::new(&mut OsRng, bits)
            .map(|key| Material::Rsa(Box::new(key)).into())
            .unwrap_or_else(|error| panic!("no RSA key of {bits} bits: {error}"))
    }

    /// A new RSA key with another public exponent.
    pub fn generate_rsa_with_exponent(bits: usize, exponent: u32) -> Self {
        RsaPrivateKey::new_with_exp(&mut OsRng, bits, &BigUint::from(exponent))
            .map(|key| Material::Rsa(Box::new(key)).into())
            .unwrap_or_else(|error| panic!("no RSA key of {bits} bits, e {exponent}: {error}"))
    }

    /// A new key on P-256.
    pub fn generate_p256() -> Self {
        Material::P256(p256::SecretKey::random(&mut OsRng)).into()
    }

    /// A new key on P-384.
    pub fn generate_p384() -> Self {
        Material::P384(p384::SecretKey::random(&mut OsRng)).into()
    }

    /// A new key on P-521.
    pub fn generate_p521() -> Self {
        Material::P521(p521::SecretKey::random(&mut OsRng)).into()
    }

    /// A new key on secp256k1.
    pub fn generate_secp256k1() -> Self {
        Material::Secp256k1(k256::SecretKey::random(&mut OsRng)).into()
    }

    /// A new Ed25519 key.
    pub fn generate_ed25519() -> Self {
        Material::Ed25519(Box::new(ed25519_dalek::SigningKey::generate(&mut OsRng))).into()
    }

    /// A secret for the HMAC algorithms.
    pub fn secret(secret: impl AsRef<[u8]>) -> Self {
        Material::Secret(secret.as_ref().to_vec()).into()
    }

    /// The key of a private JWK (RFC 7517), with its `kid`: Ed25519 and P-256, for keys that are committed
    /// as test-only.
    ///
    /// # Panics
    /// When it is another kind, or broken.
    pub fn from_private_jwk(jwk: &Value) -> Self {
        let member = |name: &str| jwk[name].as_str().unwrap_or_default();
        let d = URL_SAFE_NO_PAD
            .decode(member("d"))
            .expect("`d` is base64url");
        let material = match (member("kty"), member("crv")) {
            ("OKP", "Ed25519") => {
                let seed = d.as_slice().try_into().expect("`d` has 32 bytes");
                Material::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(seed)))
            }
            ("EC", "P-256") => {
                Material::P256(p256::SecretKey::from_slice(&d).expect("`d` is a scalar of P-256"))
            }
            (kty, crv) => panic!("no private JWK of `{kty}` `{crv}` can be read"),
        };
        let key = Self::from(material);
        match jwk["kid"].as_str() {
            Some(kid) => key.with_kid(kid),
            None => key,
        }
    }

    /// The secret itself.
    ///
    /// # Panics
    /// When it is no secret, or not UTF-8.
    pub fn secret_text(&self) -> String {
        match &self.material {
            Material::Secret(secret) => {
                String::from_utf8(secret.clone()).expect("the secret is UTF-8")
            }
            other => panic!("a key of kind {} is no secret", other.kind()),
        }
    }

    /// The same key, published under this `kid`.
    #[must_use]
    pub fn with_kid(&self, kid: &str) -> Self {
        Self {
            material: self.material.clone(),
            kid: Some(kid.to_owned()),
        }
    }

    /// The same key, without a `kid`.
    #[must_use]
    pub fn without_kid(&self) -> Self {
        Self {
            material: self.material.clone(),
            kid: None,
        }
    }

    /// The `kid`, if it has one.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The JWK to publish: `kty`, the key's own members, `kid` when set; neither `alg` nor `use`.
    /// For a secret this is the `oct` JWK, with the secret.
    pub fn public_jwk(&self) -> Value {
        let mut jwk = self.material.public_members();
        if let Some(kid) = &self.kid {
            jwk.insert("kid".to_owned(), json!(kid));
        }
        Value::Object(jwk)
    }

    /// The JWK to publish, with more members or other values, for example
    /// `json!({"alg": "RS256", "use": "sig"})`; a null removes the member.
    pub fn public_jwk_with(&self, members: &Value) -> Value {
        let mut jwk = self.public_jwk();
        let object = jwk.as_object_mut().expect("a JWK is an object");
        for (name, value) in members.as_object().expect("members are an object") {
            if value.is_null() {
                object.remove(name);
            } else {
                object.insert(name.clone(), value.clone());
            }
        }
        jwk
    }

    /// The thumbprint, base64url of SHA-256 over the members that make the key (RFC 7638 §3, RFC 8037 §2).
    ///
    /// # Panics
    /// For a secret, about which it would tell something.
    pub fn thumbprint(&self) -> String {
        assert!(
            !matches!(self.material, Material::Secret(_)),
            "nothing is bound to a secret"
        );
        // RFC 7638 §3.2: by their names, without white space.
        let members: BTreeMap<_, _> = self.material.public_members().into_iter().collect();
        let text = serde_json::to_string(&members).expect("members are JSON");
        Sha256Digest::of(text.as_bytes()).to_base64url()
    }

    /// The public key as PEM (`PUBLIC KEY`, RFC 5280's `SubjectPublicKeyInfo`).
    ///
    /// # Panics
    /// For a secret.
    pub fn public_pem(&self) -> String {
        fn pem(key: &impl EncodePublicKey) -> String {
            key.to_public_key_pem(LineEnding::LF)
                .expect("a public key has a PEM form")
        }
        match &self.material {
            Material::Rsa(key) => pem(&RsaPublicKey::from(key.as_ref())),
            Material::P256(key) => pem(&key.public_key()),
            Material::P384(key) => pem(&key.public_key()),
            Material::P521(key) => pem(&key.public_key()),
            Material::Secp256k1(key) => pem(&key.public_key()),
            Material::Ed25519(key) => pem(&key.verifying_key()),
            Material::Secret(_) => panic!("a secret has no public key"),
        }
    }

    /// The private key as PEM (`PRIVATE KEY`, PKCS #8).
    ///
    /// # Panics
    /// For a secret.
    pub fn private_pem(&self) -> String {
        fn pem(key: &impl EncodePrivateKey) -> String {
            key.to_pkcs8_pem(LineEnding::LF)
                .expect("a private key has a PEM form")
                .to_string()
        }
        match &self.material {
            Material::Rsa(key) => pem(key.as_ref()),
            Material::P256(key) => pem(key),
            Material::P384(key) => pem(key),
            Material::P521(key) => pem(key),
            Material::Secp256k1(key) => pem(key),
            Material::Ed25519(key) => pem(key.as_ref()),
            Material::Secret(_) => panic!("a secret has no PEM form"),
        }
    }

    /// Signs a message.
    ///
    /// # Panics
    /// When the key is not one for the algorithm.
    pub fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        use p521::ecdsa::signature::Signer as _;
        match (&self.material, algorithm) {
            (Material::P521(key), Algorithm::ES512) => {
                let key = p521::ecdsa::SigningKey::from_slice(&key.to_bytes())
                    .expect("a secret key signs");
                let signature: p521::ecdsa::Signature = key.sign(message);
                signature.to_vec()
            }
            (Material::Secp256k1(key), Algorithm::ES256K) => {
                let signature: k256::ecdsa::Signature =
                    k256::ecdsa::SigningKey::from(key).sign(message);
                signature.to_vec()
            }
            (material, algorithm) => {
                let (key, algorithm) = match (material.encoding_key(), for_jsonwebtoken(algorithm))
                {
                    (Some(key), Some(algorithm)) => (key, algorithm),
                    _ => panic!("{self:?} cannot sign {}", algorithm.name()),
                };
                let signature = jsonwebtoken::crypto::sign(message, &key, algorithm)
                    .unwrap_or_else(|error| panic!("{self:?} cannot sign {algorithm:?}: {error}"));
                URL_SAFE_NO_PAD
                    .decode(signature)
                    .expect("a signature is base64url")
            }
        }
    }
}

impl From<Material> for Key {
    fn from(material: Material) -> Self {
        Self {
            material,
            kid: None,
        }
    }
}

impl Material {
    fn kind(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RSA",
            Self::P256(_) => "P-256",
            Self::P384(_) => "P-384",
            Self::P521(_) => "P-521",
            Self::Secp256k1(_) => "secp256k1",
            Self::Ed25519(_) => "Ed25519",
            Self::Secret(_) => "oct",
        }
    }

    /// RFC 7518 §6, RFC 8037 §2, RFC 8812 §3.1.
    fn public_members(&self) -> Map<String, Value> {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let point = |point: &[u8]| {
            // SEC 1 §2.3.3, uncompressed: a byte 4, then x and y of the same length.
            let (x, y) = point[1..].split_at((point.len() - 1) / 2);
            json!({"kty": "EC", "crv": self.kind(), "x": text(x), "y": text(y)})
        };
        let members = match self {
            Self::Rsa(key) => json!({
                "kty": "RSA",
                "n": text(&key.n().to_bytes_be()),
                "e": text(&key.e().to_bytes_be()),
            }),
            Self::P256(key) => point(&key.public_key().to_sec1_bytes_uncompressed()),
            Self::P384(key) => point(&key.public_key().to_sec1_bytes_uncompressed()),
            Self::P521(key) => point(&key.public_key().to_sec1_bytes_uncompressed()),
            Self::Secp256k1(key) => point(&key.public_key().to_sec1_bytes_uncompressed()),
            Self::Ed25519(key) => json!({
                "kty": "OKP", "crv": "Ed25519", "x": text(key.verifying_key().as_bytes()),
            }),
            Self::Secret(secret) => json!({"kty": "oct", "k": text(secret)}),
        };
        match members {
            Value::Object(members) => members,
            _ => unreachable!("JWK members are an object"),
        }
    }

    fn encoding_key(&self) -> Option<EncodingKey> {
        Some(match self {
            Self::Rsa(key) => {
                EncodingKey::from_rsa_der(key.to_pkcs1_der().expect("an RSA key").as_bytes())
            }
            Self::P256(key) => {
                EncodingKey::from_ec_der(key.to_pkcs8_der().expect("a P-256 key").as_bytes())
            }
            Self::P384(key) => {
                EncodingKey::from_ec_der(key.to_pkcs8_der().expect("a P-384 key").as_bytes())
            }
            Self::Ed25519(key) => {
                EncodingKey::from_ed_der(key.to_pkcs8_der().expect("an Ed25519 key").as_bytes())
            }
            Self::Secret(secret) => EncodingKey::from_secret(secret),
            Self::P521(_) | Self::Secp256k1(_) => return None,
        })
    }
}

/// The uncompressed form of a public point, for every curve.
trait UncompressedPoint {
    fn to_sec1_bytes_uncompressed(&self) -> Vec<u8>;
}

macro_rules! uncompressed_point {
    ($($curve:ident),+) => {$(
        impl UncompressedPoint for $curve::PublicKey {
            fn to_sec1_bytes_uncompressed(&self) -> Vec<u8> {
                use p256::elliptic_curve::sec1::ToEncodedPoint as _;
                self.to_encoded_point(false).as_bytes().to_vec()
            }
        }
    )+};
}

uncompressed_point!(p256, p384, p521, k256);

fn for_jsonwebtoken(algorithm: Algorithm) -> Option<JwtAlgorithm> {
    algorithm.name().parse().ok()
}

/// A JWKS with these JWKs, as the text of a JSON document.
pub fn jwks(keys: impl IntoIterator<Item = Value>) -> String {
    json!({"keys": keys.into_iter().collect::<Vec<_>>()}).to_string()
}

/// An RSA key of 2048 bits, the same for the whole process.
pub fn rsa() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| Key::generate_rsa(2048))
}

/// Another RSA key of 2048 bits, for tokens that somebody else signed and for rotation.
pub fn other_rsa() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| Key::generate_rsa(2048))
}

/// A key that can sign with this algorithm, the same for the whole process.
pub fn for_algorithm(algorithm: Algorithm) -> &'static Key {
    macro_rules! shared {
        ($make:expr) => {{
            static KEY: OnceLock<Key> = OnceLock::new();
            KEY.get_or_init(|| $make)
        }};
    }
    match algorithm {
        Algorithm::RS256
        | Algorithm::RS384
        | Algorithm::RS512
        | Algorithm::PS256
        | Algorithm::PS384
        | Algorithm::PS512 => rsa(),
        Algorithm::ES256 => shared!(Key::generate_p256()),
        Algorithm::ES384 => shared!(Key::generate_p384()),
        Algorithm::ES512 => shared!(Key::generate_p521()),
        Algorithm::ES256K => shared!(Key::generate_secp256k1()),
        Algorithm::EdDSA => shared!(Key::generate_ed25519()),
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => {
            shared!(Key::secret(random_text(64)))
        }
    }
}

/// Random printable text with `bytes` bytes of randomness, for secrets that go through an
/// environment variable.
pub fn random_text(bytes: usize) -> String {
    use rand_core::RngCore as _;
    let mut random = vec![0; bytes];
    OsRng.fill_bytes(&mut random);
    URL_SAFE_NO_PAD.encode(random)
}
