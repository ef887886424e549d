//! The one place where signatures are checked.
//!
//! RSA is [`rsa`](super::rsa)'s, and elliptic curves are [`ec`](super::ec)'s. Nothing here can sign.

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha2::{Sha256, Sha384, Sha512};

use super::key::Material;
use super::{Algorithm, Hash};

/// Whether `signature` is the key's signature of `message` by `algorithm`. False for an algorithm that is not
/// one of the key's kind.
pub(super) fn is_valid(
    algorithm: Algorithm,
    key: &Material,
    message: &[u8],
    signature: &[u8],
) -> bool {
    use Algorithm as A;
    let hash = match algorithm {
        A::Rs256 | A::Ps256 => Hash::Sha256,
        A::Rs384 | A::Ps384 => Hash::Sha384,
        _ => Hash::Sha512,
    };
    match (algorithm, key) {
        (A::Rs256 | A::Rs384 | A::Rs512, Material::Rsa(key)) => {
            key.verify_pkcs1v15(hash, message, signature)
        }
        (A::Ps256 | A::Ps384 | A::Ps512, Material::Rsa(key)) => {
            key.verify_pss(hash, message, signature)
        }
        (A::Es256, Material::P256(key)) => key.is_valid(message, signature),
        (A::Es384, Material::P384(key))
        | (A::Es512, Material::P521(key))
        | (A::Es256k, Material::Secp256k1(key)) => key.is_valid(message, signature),
        (A::EdDsa, Material::Ed25519(key)) => key.is_valid(message, signature),
        (A::Hs256, Material::Secret(key)) => is_mac::<Hmac<Sha256>>(key, message, signature),
        (A::Hs384, Material::Secret(key)) => is_mac::<Hmac<Sha384>>(key, message, signature),
        (A::Hs512, Material::Secret(key)) => is_mac::<Hmac<Sha512>>(key, message, signature),
        _ => false,
    }
}

/// Whether `mac` is the whole HMAC (RFC 2104, RFC 7518 §3.2), compared in constant time.
fn is_mac<M: Mac + KeyInit>(key: &[u8], message: &[u8], mac: &[u8]) -> bool {
    // A key may have any length.
    <M as Mac>::new_from_slice(key)
        .is_ok_and(|hmac| hmac.chain_update(message).verify_slice(mac).is_ok())
}
