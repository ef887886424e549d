//! JSON Object Signing and Encryption, as far as a verifier of signed tokens needs it: algorithms,
//! keys, key sets and tokens in the compact form (RFC 7515, 7517, 7518, 7519, 8037).
//!
//! A token is untrusted until its signature was checked, and the types say so: [`UntrustedToken`] is
//! what a client sent, and only [`verify_with_any`] makes a [`VerifiedToken`] of it.

mod algorithm;
pub mod base64url;
mod claims;
mod der;
mod digest;
pub mod dpop;
mod envoy;
mod key;
mod key_error;
mod key_index;
mod key_set;
mod offload;
mod pem;
mod signature;
mod thumbprint;
mod token;
mod verify;

pub use algorithm::Algorithm;
pub use claims::{Claims, NumericDate, StringClaim, TimeClaim};
pub use digest::Sha256Digest;
pub use envoy::KeyType;
pub use key::{Jwk, KeyOrigin, PRIVATE_MEMBERS};
pub use key_error::KeyError;
pub use key_set::{JwkSet, JwkSetError, MAX_JWKS_BYTES, MAX_KEYS, RejectedKey};
pub use nexus_crypto::Hash;
pub use offload::{SignatureCheck, SignatureVerifier, TriedVerifier};
pub use pem::PemError;
pub use token::{Header, MAX_TOKEN_BYTES, Segment, TokenError, UntrustedToken};
pub use verify::{
    MAX_CANDIDATES, VerifiedToken, VerifyError, verify, verify_offloading, verify_with_any,
};
