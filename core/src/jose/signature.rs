//! The one place where signatures are checked.
//!
//! RSA is [`rsa`](super::rsa)'s, and P-256 and edwards25519 are [`ec`](super::ec)'s. Every other check goes through the
//! [`Algorithm`](jwt_compact::Algorithm) trait of jwt-compact; what that crate lacks (ES384, ES512) implements the same
//! trait here. None of these can sign: their signing key is a type without values.

use alloc::borrow::Cow;
use core::convert::Infallible;
use core::num::NonZeroUsize;
use jwt_compact::AlgorithmSignature;
use jwt_compact::alg::{Es256k, Hs256, Hs256Key, Hs384, Hs384Key, Hs512, Hs512Key};
use p384::ecdsa::signature::Verifier;

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
    let data = (message, signature);
    match (algorithm, key) {
        (Algorithm::Rs256, Material::Rsa(key)) => {
            key.verify_pkcs1v15(Hash::Sha256, message, signature)
        }
        (Algorithm::Rs384, Material::Rsa(key)) => {
            key.verify_pkcs1v15(Hash::Sha384, message, signature)
        }
        (Algorithm::Rs512, Material::Rsa(key)) => {
            key.verify_pkcs1v15(Hash::Sha512, message, signature)
        }
        (Algorithm::Ps256, Material::Rsa(key)) => key.verify_pss(Hash::Sha256, message, signature),
        (Algorithm::Ps384, Material::Rsa(key)) => key.verify_pss(Hash::Sha384, message, signature),
        (Algorithm::Ps512, Material::Rsa(key)) => key.verify_pss(Hash::Sha512, message, signature),
        (Algorithm::Es256, Material::P256(key)) => key.is_valid(message, signature),
        (Algorithm::Es384, Material::P384(key)) => check(&Es384, key, data),
        (Algorithm::Es512, Material::P521(key)) => check(&Es512, key, data),
        (Algorithm::Es256k, Material::Secp256k1(key)) => check(&<Es256k>::default(), key, data),
        (Algorithm::EdDsa, Material::Ed25519(key)) => key.is_valid(message, signature),
        (Algorithm::Hs256, Material::Secret(secret)) => check(&Hs256, &Hs256Key::new(secret), data),
        (Algorithm::Hs384, Material::Secret(secret)) => check(&Hs384, &Hs384Key::new(secret), data),
        (Algorithm::Hs512, Material::Secret(secret)) => check(&Hs512, &Hs512Key::new(secret), data),
        _ => false,
    }
}

/// Checks the length first: some implementations of `try_from_slice` panic on another one.
fn check<A: jwt_compact::Algorithm>(
    algorithm: &A,
    key: &A::VerifyingKey,
    (message, signature): (&[u8], &[u8]),
) -> bool {
    let fits = A::Signature::LENGTH.is_none_or(|length| length.get() == signature.len());
    fits && A::Signature::try_from_slice(signature)
        .is_ok_and(|signature| algorithm.verify_signature(&signature, key, message))
}

/// ECDSA as RFC 7518 §3.4 has it: r and s in full length, neither 0 nor beyond the order; a high s is valid.
macro_rules! ecdsa_algorithm {
    ($(#[$doc:meta])* $algorithm:ident, $signature:ident, $curve:ident, $bytes:literal, $name:expr) => {
        $(#[$doc])*
        struct $algorithm;

        /// The signature of the algorithm, r and s behind each other.
        struct $signature($curve::ecdsa::Signature);

        impl AlgorithmSignature for $signature {
            const LENGTH: Option<NonZeroUsize> = NonZeroUsize::new($bytes);

            fn try_from_slice(bytes: &[u8]) -> anyhow::Result<Self> {
                $curve::ecdsa::Signature::from_slice(bytes)
                    .map(Self)
                    .map_err(anyhow::Error::msg)
            }

            fn as_bytes(&self) -> Cow<'_, [u8]> {
                Cow::Owned(self.0.to_bytes().to_vec())
            }
        }

        impl jwt_compact::Algorithm for $algorithm {
            type SigningKey = Infallible;
            type VerifyingKey = $curve::ecdsa::VerifyingKey;
            type Signature = $signature;

            fn name(&self) -> Cow<'static, str> {
                Cow::Borrowed($name.name())
            }

            fn sign(&self, signing_key: &Infallible, _message: &[u8]) -> Self::Signature {
                match *signing_key {}
            }

            fn verify_signature(
                &self,
                signature: &Self::Signature,
                verifying_key: &Self::VerifyingKey,
                message: &[u8],
            ) -> bool {
                verifying_key.verify(message, &signature.0).is_ok()
            }
        }
    };
}

ecdsa_algorithm!(
    /// ECDSA on P-384 with SHA-384.
    Es384, Es384Signature, p384, 96, Algorithm::Es384
);
ecdsa_algorithm!(
    /// ECDSA on P-521 with SHA-512.
    Es512, Es512Signature, p521, 132, Algorithm::Es512
);
