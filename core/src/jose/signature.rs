//! Which algorithm has which check of [`nexus_crypto`].

use nexus_crypto::{Hash, hmac};

use super::Algorithm;
use super::key::Material;

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
        A::Rs256 | A::Ps256 | A::Hs256 => Hash::Sha256,
        A::Rs384 | A::Ps384 | A::Hs384 => Hash::Sha384,
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
        (A::Hs256 | A::Hs384 | A::Hs512, Material::Secret(key)) => {
            hmac::is_valid(hash, key, message, signature)
        }
        _ => false,
    }
}
