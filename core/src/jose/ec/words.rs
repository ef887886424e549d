//! Numbers of 256 bits in eight words.

use core::cmp::Ordering;

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

    /// The limbs of the number, `bits` each (at most 32), the least significant first.
    pub(super) fn limbs(&self, bits: u32) -> [i64; 9] {
        let mut limbs = [0; 9];
        let mut words = self.0.iter();
        let mut pending: u64 = 0;
        let mut available: u32 = 0;
        for limb in &mut limbs {
            if available < bits {
                let word = words.next().copied().unwrap_or(0);
                pending |= u64::from(word) << available;
                available = available.saturating_add(32);
            }
            let low = pending & (1_u64 << bits).saturating_sub(1);
            *limb = i64::try_from(low).unwrap_or(0);
            pending >>= bits;
            available = available.saturating_sub(bits);
        }
        limbs
    }

    /// The number of these limbs, `bits` each, none of them negative or longer; the least significant first. What
    /// would not fit 256 bits is left out.
    pub(super) fn from_limbs(limbs: &[i64; 9], bits: u32) -> Self {
        let mut words = [0; 8];
        let mut limbs = limbs.iter();
        let mut pending: u64 = 0;
        let mut available: u32 = 0;
        for word in &mut words {
            while available < 32 {
                let limb = limbs.next().map_or(0, |limb| limb.unsigned_abs());
                pending |= limb << available;
                available = available.saturating_add(bits);
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
