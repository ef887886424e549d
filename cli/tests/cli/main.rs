//! The command from outside: whole transcripts, exit codes, and what an independent library says
//! about its keys and signatures.

mod compile_policy;
mod compile_revocations;
mod completions;
mod help;
mod import;
mod inspect_token;
mod jwks_check;
mod keygen;
mod mint_proof;
mod mint_token;
mod sandbox;
mod test_token;
