//! Public keys of RSA, and the checks of signatures that RFC 8017 §8 has: RSASSA-PKCS1-v1_5 and RSASSA-PSS.
//!
//! Only the public operation exists. Nothing here is secret, so all of it may take a time that depends on its
//! input; what it must not do is to fail on one, or to accept a second form of a signature.

mod encoding;
mod lanes;
mod montgomery;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::fmt;

use self::montgomery::Modulus;
use crate::Hash;

/// The largest public exponent.
pub const MAX_EXPONENT: u64 = (1 << 33) - 1;

/// A public key, with what its modulus needs for fast arithmetic.
#[derive(Clone)]
pub struct PublicKey {
    modulus: Modulus,
    // INVARIANT: odd, 3 to `MAX_EXPONENT`.
    exponent: u64,
}

impl PublicKey {
    /// The key of that modulus, big-endian, and exponent. `None` where the modulus is even or zero, and for an
    /// exponent that is even, below 3 or beyond [`MAX_EXPONENT`].
    pub fn new(modulus: &[u8], exponent: u64) -> Option<Self> {
        if exponent % 2 == 0 || !(3..=MAX_EXPONENT).contains(&exponent) {
            return None;
        }
        let modulus = Modulus::new(modulus)?;
        Some(Self { modulus, exponent })
    }

    /// The modulus, big-endian, without zeros in front.
    pub fn modulus(&self) -> &[u8] {
        self.modulus.as_bytes()
    }

    /// The exponent, big-endian, without zeros in front.
    pub fn exponent(&self) -> Vec<u8> {
        without_leading_zeros(&self.exponent.to_be_bytes()).to_vec()
    }

    /// Whether `signature` is the RSASSA-PKCS1-v1_5 signature of `message` (RFC 8017 §8.2.2).
    #[inline(never)]
    pub fn verify_pkcs1v15(&self, hash: Hash, message: &[u8], signature: &[u8]) -> bool {
        self.recover(signature).is_some_and(|encoded| {
            encoding::pkcs1v15(hash, message, encoded.len()).is_some_and(|right| right == encoded)
        })
    }

    /// Whether `signature` is an RSASSA-PSS signature of `message` (RFC 8017 §8.1.2) with the parameters of
    /// RFC 7518 §3.5: MGF1 of the same hash, and a salt of the hash's length.
    #[inline(never)]
    pub fn verify_pss(&self, hash: Hash, message: &[u8], signature: &[u8]) -> bool {
        self.recover(signature)
            .is_some_and(|encoded| encoding::is_pss(hash, message, &encoded, self.modulus.bits()))
    }

    /// What was signed, as many bytes as the modulus has: RSAVP1 of RFC 8017 §5.2.2. `None` for a signature that
    /// has another length, or is no smaller number, so that each signature has one spelling.
    fn recover(&self, signature: &[u8]) -> Option<Vec<u8>> {
        let modulus = self.modulus();
        // Of two numbers of one length, the smaller is the one that is first in the order of bytes.
        (signature.len() == modulus.len() && signature < modulus)
            .then(|| self.modulus.power(signature, self.exponent))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("rsa::PublicKey")
            .field("bits", &self.modulus.bits())
            .field("exponent", &self.exponent)
            .finish_non_exhaustive()
    }
}

/// The number without the zeros in front of it.
pub(super) fn without_leading_zeros(mut number: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = number {
        number = rest;
    }
    number
}

/// The length of a big-endian number in bits, the zeros in front of it not counted.
pub fn bit_length(number: &[u8]) -> usize {
    let number = without_leading_zeros(number);
    let unused = number.first().map_or(0, |byte| byte.leading_zeros());
    number
        .len()
        .saturating_mul(8)
        .saturating_sub(unused as usize)
}
