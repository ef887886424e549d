//! Checks of signatures on elliptic curves, for WebAssembly first.
//!
//! A proxy pays for these checks with every token that it has not seen before, and inside WebAssembly there is
//! neither a product of 64 bits by 64 nor a carry flag. So the numbers here have limbs of 29 bits, whose products
//! add up in 64 bits, and each key keeps a table of multiples of its point once a token turned out to be signed by it.
//! [`p256`] and [`ed25519`] are for speed; [`weierstrass`] has the curves that few tokens are signed on, in little code.
//!
//! Only public numbers come here: keys, signatures, hashes. Nothing takes a constant time. Nothing signs.
//!
//! INVARIANT: no number here leaves the 64 bits of its type. `limbs` and [`weierstrass`] say how large they get. Builds
//! with overflow checks, as the tests are, would show it.

mod comb;
pub mod ed25519;
mod inverse;
mod limbs;
pub mod p256;
mod scalar;
#[cfg(test)]
mod slow;
pub mod weierstrass;
mod words;
