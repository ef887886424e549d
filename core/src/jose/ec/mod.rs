//! Checks of signatures on the curves P-256 and edwards25519, for WebAssembly first.
//!
//! A proxy pays for these checks with every token that it has not seen before, and inside WebAssembly there is
//! neither a product of 64 bits by 64 nor a carry flag. So the numbers here have limbs of 29 bits, whose products
//! add up in 64 bits, and each key keeps a table of multiples of its point once a token turned out to be signed by it.
//!
//! Only public numbers come here: keys, signatures, hashes. Nothing takes a constant time. Nothing signs.
//!
//! INVARIANT: no number here leaves the 64 bits of its type. [`limbs`] says how large they get. Builds with overflow
//! checks, as the tests are, would show it.

mod comb;
pub(super) mod ed25519;
mod inverse;
mod limbs;
pub(super) mod p256;
mod scalar;
#[cfg(test)]
mod slow;
mod words;
