//! The engine of Nexus: who may pass, decided without I/O.
//!
//! This crate is sans-IO. A request and a time go in, decisions and fetches come out; it is driven by
//! the filter inside a proxy, by tests natively, and by a fuzzer. It is `no_std`, and the build checks
//! that it compiles where no standard library exists at all: it cannot read a clock, a file, a
//! socket or the environment, because it cannot name them.
//!
//! Every input is hostile here. Nothing in this crate may panic, recurse without a bound, or grow
//! without a limit, on any input.

#![no_std]
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    expect(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::arithmetic_side_effects,
        reason = "a test fails by panicking"
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod bytes16;
pub mod claim_path;
pub mod config;
pub mod discovery;
pub mod engine;
mod header_names;
pub mod issuer_pattern;
pub mod jose;
pub mod json;
pub mod matching;
pub mod path;
#[cfg(feature = "policy")]
pub mod policy;
mod read;
pub mod reason;
pub mod regex;
pub mod replay;
pub mod reply;
pub mod request;
pub mod revocation;
pub mod scalar;
pub mod scan;
pub mod shared;
mod sort;
pub mod sorted;
pub mod target_uri;
pub mod text_match;
pub mod time;
