//! How long a check of a signature takes, natively. `cargo bench -p nexus-core --bench signatures`
//!
//! A key that has signed something has a table; the others check without. Both are measured.

use divan::Bencher;
use nexus_core::jose::{Algorithm, Jwk, JwkSet, KeyOrigin, base64url};
use serde_json::{Value, json};

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
