//! JSON Object Signing and Encryption, as far as a verifier of signed tokens needs it: algorithms,
//! keys, key sets and tokens in the compact form (RFC 7515, 7517, 7518, 7519, 8037).
//!
//! A token is untrusted until its signature was checked, and the types say so.

mod algorithm;

pub use algorithm::Algorithm;
