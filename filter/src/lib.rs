//! The Nexus filter: it carries events of a proxy-wasm host to the engine, and what the engine says
//! back to the host. What a token means is the engine's affair; no check of one belongs here.
//!
//! A trap costs the proxy the whole VM, so nothing here may panic: host calls go through
//! [`host`], which returns results, and state is borrowed with `try_borrow_mut`. The host's calls come in by [`events`].

#![no_std]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects
)]

extern crate alloc;

mod events;
mod host;
mod memory;
mod metrics;
mod panic;
mod plugin;
mod pool;
mod possession;
mod process;
mod reply;
mod verifier;
