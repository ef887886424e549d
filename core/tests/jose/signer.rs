//! Keys to sign with, made anew by each run.

use std::sync::OnceLock;

use nexus_core::jose::{Algorithm, JwkSet, KeyOrigin, base64url};
use rsa::pkcs8::EncodePublicKey as _;
use rsa::rand_core::{OsRng, RngCore as _};
use rsa::signature::Signer as _;
use rsa::signature::hazmat::RandomizedPrehashSigner as _;
use rsa::traits::PublicKeyParts as _;
use rsa::{Pkcs1v15Sign, Pss, RsaPrivateKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// A private key or a secret.
pub(crate) enum SigningKey {
    Rsa(RsaPrivateKey),
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    P521(p521::ecdsa::SigningKey),
    Secp256k1(k256::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
    Secret(Vec<u8>),
}

/// The key of this run for an algorithm. All RSA algorithms share one, and all HMACs.
pub(crate) fn key(algorithm: Algorithm) -> &'static SigningKey {
    static KEYS: [OnceLock<SigningKey>; 7] = [const { OnceLock::new() }; 7];
    let (slot, make): (usize, fn() -> SigningKey) = match algorithm.name() {
        "ES256" => (0, || {
            SigningKey::P256(p256::ecdsa::SigningKey::random(&mut OsRng))
        }),
        "ES384" => (1, || {
            SigningKey::P384(p384::ecdsa::SigningKey::random(&mut OsRng))
        }),
        "ES512" => (2, || {
            SigningKey::P521(p521::ecdsa::SigningKey::random(&mut OsRng))
        }),
        "ES256K" => (3, || {
            SigningKey::Secp256k1(k256::ecdsa::SigningKey::random(&mut OsRng))
        }),
        "EdDSA" => (4, || {
            SigningKey::Ed25519(ed25519_dalek::SigningKey::from_bytes(&random()))
        }),
        "HS256" | "HS384" | "HS512" => (5, || SigningKey::Secret(random::<64>().to_vec())),
        _ => (6, || {
            SigningKey::Rsa(RsaPrivateKey::new(&mut OsRng, 2048).unwrap())
        }),
    };
    KEYS[slot].get_or_init(make)
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    OsRng.fill_bytes(&mut bytes);
    bytes
}

impl SigningKey {
    /// The public half as a JSON Web Key without `kid` and `alg`; of a secret, the secret.
    pub(crate) fn jwk(&self) -> Value {
        let ec = |crv: &str, point: &[u8]| {
            let (x, y) = point[1..].split_at(point.len() / 2);
            json!({ "kty": "EC", "crv": crv, "x": base64url::encode(x), "y": base64url::encode(y) })
        };
        match self {
            Self::Rsa(key) => json!({
                "kty": "RSA",
                "n": base64url::encode(&key.n().to_bytes_be()),
                "e": base64url::encode(&key.e().to_bytes_be()),
            }),
            Self::P256(key) => ec(
                "P-256",
                key.verifying_key().to_encoded_point(false).as_bytes(),
            ),
            Self::P384(key) => ec(
                "P-384",
                key.verifying_key().to_encoded_point(false).as_bytes(),
            ),
            Self::P521(key) => {
                let public = p521::ecdsa::VerifyingKey::from(key);
                ec("P-521", public.to_encoded_point(false).as_bytes())
            }
            Self::Secp256k1(key) => ec(
                "secp256k1",
                key.verifying_key().to_encoded_point(false).as_bytes(),
            ),
            Self::Ed25519(key) => json!({
                "kty": "OKP",
                "crv": "Ed25519",
                "x": base64url::encode(key.verifying_key().as_bytes()),
            }),
            Self::Secret(secret) => json!({ "kty": "oct", "k": base64url::encode(secret) }),
        }
    }

    /// The public half as a SubjectPublicKeyInfo.
    pub(crate) fn spki_der(&self) -> Vec<u8> {
        let document = match self {
            Self::Rsa(key) => key.to_public_key().to_public_key_der(),
            Self::P256(key) => key.verifying_key().to_public_key_der(),
            Self::P384(key) => key.verifying_key().to_public_key_der(),
            Self::P521(key) => p521::PublicKey::from_sec1_bytes(
                p521::ecdsa::VerifyingKey::from(key)
                    .to_encoded_point(false)
                    .as_bytes(),
            )
            .unwrap()
            .to_public_key_der(),
            Self::Secp256k1(key) => key.verifying_key().to_public_key_der(),
            Self::Ed25519(key) => key.verifying_key().to_public_key_der(),
            Self::Secret(_) => panic!("a secret has no public half"),
        };
        document.unwrap().into_vec()
    }

    /// The signature of `message`.
    pub(crate) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let pss = |key: &RsaPrivateKey, scheme: Pss, digest: &[u8]| {
            key.sign_with_rng(&mut OsRng, scheme, digest).unwrap()
        };
        match (algorithm.name(), self) {
            ("RS256", Self::Rsa(key)) => key
                .sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message))
                .unwrap(),
            ("RS384", Self::Rsa(key)) => key
                .sign(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(message))
                .unwrap(),
            ("RS512", Self::Rsa(key)) => key
                .sign(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(message))
                .unwrap(),
            ("PS256", Self::Rsa(key)) => pss(key, Pss::new::<Sha256>(), &Sha256::digest(message)),
            ("PS384", Self::Rsa(key)) => pss(key, Pss::new::<Sha384>(), &Sha384::digest(message)),
            ("PS512", Self::Rsa(key)) => pss(key, Pss::new::<Sha512>(), &Sha512::digest(message)),
            ("ES256", Self::P256(key)) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_vec()
            }
            ("ES384", Self::P384(key)) => {
                let signature: p384::ecdsa::Signature = key.sign(message);
                signature.to_vec()
            }
            ("ES512", Self::P521(key)) => {
                let signature: p521::ecdsa::Signature = key
                    .sign_prehash_with_rng(&mut OsRng, &Sha512::digest(message))
                    .unwrap();
                signature.to_vec()
            }
            ("ES256K", Self::Secp256k1(key)) => {
                let signature: k256::ecdsa::Signature = key.sign(message);
                signature.to_vec()
            }
            ("EdDSA", Self::Ed25519(key)) => key.sign(message).to_vec(),
            (_, Self::Secret(secret)) => hmac(algorithm, secret, message),
            (name, _) => panic!("the key does not sign {name}"),
        }
    }
}

/// An HMAC with any secret, also one that Nexus would refuse.
pub(crate) fn hmac(algorithm: Algorithm, secret: &[u8], message: &[u8]) -> Vec<u8> {
    use jwt_compact::alg::{Hs256, Hs256Key, Hs384, Hs384Key, Hs512, Hs512Key};
    use jwt_compact::{Algorithm as _, AlgorithmSignature as _};
    match algorithm.name() {
        "HS256" => Hs256
            .sign(&Hs256Key::new(secret), message)
            .as_bytes()
            .into_owned(),
        "HS384" => Hs384
            .sign(&Hs384Key::new(secret), message)
            .as_bytes()
            .into_owned(),
        "HS512" => Hs512
            .sign(&Hs512Key::new(secret), message)
            .as_bytes()
            .into_owned(),
        other => panic!("{other} is no HMAC"),
    }
}

/// `header.payload` of the two texts.
pub(crate) fn signing_input(header: &[u8], payload: &[u8]) -> String {
    format!(
        "{}.{}",
        base64url::encode(header),
        base64url::encode(payload)
    )
}

/// A token with this header and payload, signed by the run's key of `algorithm` whatever the header says.
pub(crate) fn token(algorithm: Algorithm, header: &str, payload: &str) -> String {
    let input = signing_input(header.as_bytes(), payload.as_bytes());
    let signature = key(algorithm).sign(algorithm, input.as_bytes());
    format!("{input}.{}", base64url::encode(&signature))
}

/// A good token of `algorithm`, without `kid`.
pub(crate) fn good_token(algorithm: Algorithm) -> String {
    token(
        algorithm,
        &format!(r#"{{"alg":"{algorithm}"}}"#),
        r#"{"iss":"https://issuer.example.com","exp":4102444800}"#,
    )
}

/// The set of the run's key for `algorithm`, without `kid` and `alg`.
pub(crate) fn key_set(algorithm: Algorithm) -> JwkSet {
    set_of(&[key(algorithm).jwk()])
}

/// A set of these JSON Web Keys, from a local source, none of which may be rejected.
pub(crate) fn set_of(keys: &[Value]) -> JwkSet {
    let set = JwkSet::parse(
        json!({ "keys": keys }).to_string().as_bytes(),
        KeyOrigin::Local,
    )
    .unwrap();
    assert_eq!(set.rejected(), [], "every key of the set is usable");
    set
}
