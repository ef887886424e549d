//! Numbers of 256 bits in eight words.

use core::cmp::Ordering;

use super::limbs::{BITS, Limbs, MASK};

/// A number below 2^256, the least significant word first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Words(pub(super) [u32; 8]);

impl Words {
    pub(super) const ZERO: Self = Self([0; 8]);
    pub(super) const ONE: Self = Self([1, 0, 0, 0, 0, 0, 0, 0]);

    /// The number of 32 bytes, the most significant first.
    pub(super) fn from_be_bytes(bytes: &[u8; 32]) -> Self {
        let mut words = [0; 8];
        for (word, chunk) in words.iter_mut().rev().zip(bytes.chunks_exact(4)) {
            *word = chunk
                .iter()
                .fold(0, |word, byte| word << 8 | u32::from(*byte));
        }
        Self(words)
    }

    /// The number of 32 bytes, the least significant first.
    pub(super) fn from_le_bytes(bytes: &[u8; 32]) -> Self {
        let mut reversed = *bytes;
        reversed.reverse();
        Self::from_be_bytes(&reversed)
    }

    /// The number as 32 bytes, the most significant first.
    pub(super) fn to_be_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.chunks_exact_mut(4).zip(self.0.iter().rev()) {
            chunk.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    /// The number as 32 bytes, the least significant first.
    pub(super) fn to_le_bytes(self) -> [u8; 32] {
        let mut bytes = self.to_be_bytes();
        bytes.reverse();
        bytes
    }

    pub(super) fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    pub(super) fn is_odd(&self) -> bool {
        let [lowest, ..] = self.0;
        lowest & 1 == 1
    }

    /// The bit of that weight: 0 or 1; 0 beyond the number.
    pub(super) fn bit(&self, weight: u32) -> u32 {
        let word = usize::try_from(weight / 32)
            .ok()
            .and_then(|index| self.0.get(index));
        word.map_or(0, |word| word >> (weight % 32) & 1)
    }

    /// The sum modulo 2^256, and whether it was larger.
    #[inline]
    pub(super) fn plus(&self, other: &Self) -> (Self, bool) {
        let mut sum = self.0;
        let mut carry = false;
        for (word, other) in sum.iter_mut().zip(other.0) {
            let (partial, first) = word.overflowing_add(other);
            let (total, second) = partial.overflowing_add(u32::from(carry));
            *word = total;
            carry = first || second;
        }
        (Self(sum), carry)
    }

    /// The difference modulo 2^256, and whether it was below zero.
    #[inline]
    pub(super) fn minus(&self, other: &Self) -> (Self, bool) {
        let mut difference = self.0;
        let mut borrow = false;
        for (word, other) in difference.iter_mut().zip(other.0) {
            let (partial, first) = word.overflowing_sub(other);
            let (total, second) = partial.overflowing_sub(u32::from(borrow));
            *word = total;
            borrow = first || second;
        }
        (Self(difference), borrow)
    }

    /// The limbs of the number.
    #[expect(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        reason = "a limb begins in word 7 at most"
    )]
    pub(super) const fn limbs(&self) -> Limbs {
        let mut limbs = [0; 9];
        let mut index = 0;
        while index < 9 {
            let start = BITS as usize * index;
            // A limb is within two words.
            let mut pair = self.0[start / 32] as i64;
            if start / 32 < 7 {
                pair |= (self.0[start / 32 + 1] as i64) << 32;
            }
            limbs[index] = pair >> (start % 32) & MASK;
            index += 1;
        }
        limbs
    }

    /// The number of these limbs, none of them negative or longer. What would not fit 256 bits is left out.
    #[inline]
    pub(super) fn from_limbs(limbs: &Limbs) -> Self {
        let mut words = [0; 8];
        let mut limbs = limbs.iter();
        let mut pending: u64 = 0;
        let mut available: u32 = 0;
        for word in &mut words {
            while available < 32 {
                let limb = limbs.next().map_or(0, |limb| limb.unsigned_abs());
                pending |= limb << available;
                available = available.saturating_add(BITS);
            }
            *word = (pending & 0xffff_ffff) as u32;
            pending >>= 32;
            available = available.saturating_sub(32);
        }
        Self(words)
    }
}

impl Ord for Words {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }
}

impl PartialOrd for Words {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
