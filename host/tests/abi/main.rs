//! The host against guests written by hand: each test is a small module, what happens to it, and the lines that it logs.

mod callouts;
mod failure;
mod guest;
mod headers;
mod lifecycle;
#[cfg(feature = "live")]
mod live;
mod modules;
mod shared;
mod streams;
mod system;
mod wasi;
