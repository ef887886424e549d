//! Checks of signatures: RSA, elliptic curves and HMAC.
//!
//! Nothing here knows what is signed, or in which form keys and tokens come. Nothing here can sign, and but for the
//! secrets of [`hmac`] nothing is secret. Every input is hostile: none may make a function panic.
//!
//! The crate is one of its own so that the module can have this compiled for speed and all else for size.

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
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "a test fails by panicking"
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod ec;
mod hash;
pub mod hmac;
pub mod rsa;

pub use hash::Hash;
