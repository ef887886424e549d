//! How long a check of a signature takes, natively. `cargo bench -p nexus-core --bench signatures`
//!
//! A key that has signed something has a table; the others check without. Both are measured.

use divan::Bencher;
use nexus_core::jose::{Algorithm, Jwk, JwkSet, KeyOrigin, base64url};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

const MESSAGE: [u8; 500] = [b'a'; 500];

fn main() {
    divan::main();
}

fn es256() -> (Value, Vec<u8>) {
    use p256::ecdsa::signature::Signer as _;
    let key = p256::ecdsa::SigningKey::from_bytes(&[7; 32].into()).unwrap();
    let point = key.verifying_key().to_encoded_point(false);
    let (x, y) = point.as_bytes()[1..].split_at(32);
    let jwk = json!({
        "kty": "EC",
        "crv": "P-256",
        "x": base64url::encode(x),
        "y": base64url::encode(y),
    });
    let signature: p256::ecdsa::Signature = key.sign(&MESSAGE);
    (jwk, signature.to_vec())
}

/// A key on one of the other curves, and what it signs. `$digest` is of the message.
macro_rules! ecdsa {
    ($name:ident, $krate:ident, $crv:literal, $bytes:literal, $digest:expr) => {
        fn $name() -> (Value, Vec<u8>) {
            use $krate::ecdsa::signature::hazmat::RandomizedPrehashSigner as _;
            let mut secret = [7; $bytes];
            secret[0] = 0;
            let key = $krate::ecdsa::SigningKey::from_slice(&secret).unwrap();
            let point = $krate::ecdsa::VerifyingKey::from(&key).to_encoded_point(false);
            let (x, y) = point.as_bytes()[1..].split_at($bytes);
            let (x, y) = (base64url::encode(x), base64url::encode(y));
            let jwk = json!({ "kty": "EC", "crv": $crv, "x": x, "y": y });
            let signature: $krate::ecdsa::Signature = key
                .sign_prehash_with_rng(&mut rsa::rand_core::OsRng, &$digest)
                .unwrap();
            (jwk, signature.to_bytes().to_vec())
        }
    };
}

ecdsa!(es384, p384, "P-384", 48, Sha384::digest(MESSAGE));
ecdsa!(es512, p521, "P-521", 66, Sha512::digest(MESSAGE));
ecdsa!(es256k, k256, "secp256k1", 32, Sha256::digest(MESSAGE));

fn eddsa() -> (Value, Vec<u8>) {
    use ed25519_dalek::Signer as _;
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let x = base64url::encode(key.verifying_key().as_bytes());
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
    (jwk, key.sign(&MESSAGE).to_vec())
}

fn read(jwk: &Value) -> Jwk {
    let set = json!({ "keys": [jwk] }).to_string();
    let set = JwkSet::parse(set.as_bytes(), KeyOrigin::Remote).unwrap();
    set.keys()[0].clone()
}

/// Checks with a key that has signed something.
fn known(bencher: Bencher<'_, '_>, algorithm: Algorithm, (jwk, signature): (Value, Vec<u8>)) {
    let key = read(&jwk);
    let check = || key.verify_signature(algorithm, &MESSAGE, &signature);
    assert!(check() && check());
    bencher.bench_local(check);
}

/// Checks with a key that was only read.
fn new(bencher: Bencher<'_, '_>, algorithm: Algorithm, (jwk, signature): (Value, Vec<u8>)) {
    let key = read(&jwk);
    bencher
        .with_inputs(|| key.clone())
        .bench_local_values(|key| assert!(key.verify_signature(algorithm, &MESSAGE, &signature)));
}

#[divan::bench]
fn es256_known_key(bencher: Bencher<'_, '_>) {
    known(bencher, Algorithm::Es256, es256());
}

#[divan::bench]
fn es256_new_key(bencher: Bencher<'_, '_>) {
    new(bencher, Algorithm::Es256, es256());
}

#[divan::bench]
fn es256_by_the_crate_p256(bencher: Bencher<'_, '_>) {
    use p256::ecdsa::signature::Verifier as _;
    let key = p256::ecdsa::SigningKey::from_bytes(&[7; 32].into()).unwrap();
    let signature = p256::ecdsa::Signature::from_slice(&es256().1).unwrap();
    bencher.bench_local(|| key.verifying_key().verify(&MESSAGE, &signature));
}

#[divan::bench]
fn eddsa_known_key(bencher: Bencher<'_, '_>) {
    known(bencher, Algorithm::EdDsa, eddsa());
}

#[divan::bench]
fn eddsa_new_key(bencher: Bencher<'_, '_>) {
    new(bencher, Algorithm::EdDsa, eddsa());
}

#[divan::bench]
fn eddsa_by_ed25519_dalek(bencher: Bencher<'_, '_>) {
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key();
    let signature = ed25519_dalek::Signature::from_slice(&eddsa().1).unwrap();
    bencher.bench_local(|| key.verify_strict(&MESSAGE, &signature));
}

#[divan::bench]
fn es384_known_key(bencher: Bencher<'_, '_>) {
    known(bencher, Algorithm::Es384, es384());
}

#[divan::bench]
fn es384_new_key(bencher: Bencher<'_, '_>) {
    new(bencher, Algorithm::Es384, es384());
}

#[divan::bench]
fn es512_known_key(bencher: Bencher<'_, '_>) {
    known(bencher, Algorithm::Es512, es512());
}

#[divan::bench]
fn es512_new_key(bencher: Bencher<'_, '_>) {
    new(bencher, Algorithm::Es512, es512());
}

#[divan::bench]
fn es256k_known_key(bencher: Bencher<'_, '_>) {
    known(bencher, Algorithm::Es256k, es256k());
}

#[divan::bench]
fn es256k_new_key(bencher: Bencher<'_, '_>) {
    new(bencher, Algorithm::Es256k, es256k());
}
