//! Arithmetic modulo the order of a group.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "every index counts up to 8; a product of two words and two more words fit 64 bits"
)]

use super::inverse;
use super::words::Words;

/// The order of a group: odd, above 2^252 and below 2^256.
pub(super) struct Order {
    words: Words,
    /// The inverse of its negative modulo 2^32.
    negated_inverse: u32,
    /// 2^512 modulo the order.
    square: Words,
    modulus: inverse::Modulus<9>,
}

impl Order {
    /// The order with these words, the least significant first.
    pub(super) const fn new(words: [u32; 8]) -> Self {
        let mut inverse = words[0];
        let mut round = 0;
        while round < 4 {
            inverse = inverse.wrapping_mul(2_u32.wrapping_sub(words[0].wrapping_mul(inverse)));
            round += 1;
        }
        Self {
            words: Words(words),
            negated_inverse: inverse.wrapping_neg(),
            square: Words(power_of_two(512, &words)),
            modulus: inverse::Modulus::new(Words(words).limbs()),
        }
    }

    /// The order itself.
    pub(super) const fn words(&self) -> &Words {
        &self.words
    }

    /// The inverse of a number below the order; `None` for 0.
    pub(super) fn inverse(&self, number: &Words) -> Option<Words> {
        let inverse = self.modulus.inverse(number.limbs())?;
        Some(Words::from_limbs(&inverse))
    }

    /// `a` · `b` · 2^-256 modulo the order, by the method of Montgomery. `b` is below the order.
    pub(super) fn montgomery_product(&self, a: &Words, b: &Words) -> Words {
        // Below twice the order after each round.
        let mut sum = [0_u32; 9];
        for word in a.0 {
            let mut carry = 0_u64;
            for (limb, factor) in sum.iter_mut().zip(b.0) {
                carry += u64::from(*limb) + u64::from(word) * u64::from(factor);
                *limb = carry as u32;
                carry >>= 32;
            }
            let top = carry + u64::from(sum[8]);
            let times = u64::from(sum[0].wrapping_mul(self.negated_inverse));
            carry = (u64::from(sum[0]) + times * u64::from(self.words.0[0])) >> 32;
            for index in 1..8 {
                carry += u64::from(sum[index]) + times * u64::from(self.words.0[index]);
                sum[index - 1] = carry as u32;
                carry >>= 32;
            }
            carry += top;
            sum[7] = carry as u32;
            sum[8] = (carry >> 32) as u32;
        }
        let [low @ .., top] = sum;
        let low = Words(low);
        let (reduced, below) = low.minus(&self.words);
        if below && top == 0 { low } else { reduced }
    }

    /// `number` · 2^256 modulo the order.
    pub(super) fn times_radix(&self, number: &Words) -> Words {
        self.montgomery_product(number, &self.square)
    }

    /// The number of 64 bytes modulo the order, its halves the least significant first.
    pub(super) fn reduce(&self, low: &Words, high: &Words) -> Words {
        let low = self.montgomery_product(&self.times_radix(low), &Words::ONE);
        let (sum, carry) = low.plus(&self.times_radix(high));
        let (reduced, below) = sum.minus(&self.words);
        if below && !carry { sum } else { reduced }
    }
}

/// 2 to the power of `exponent`, modulo a number.
const fn power_of_two(exponent: u32, modulus: &[u32; 8]) -> [u32; 8] {
    let mut power = [0_u32; 8];
    power[0] = 1;
    let mut step = 0;
    while step < exponent {
        // Twice the power, and that minus the modulus.
        let mut reduced = [0_u32; 8];
        let (mut carry, mut borrow) = (0, 0_u64);
        let mut index = 0;
        while index < 8 {
            let doubled = power[index] << 1 | carry;
            carry = power[index] >> 31;
            let difference = (doubled as u64)
                .wrapping_sub(modulus[index] as u64)
                .wrapping_sub(borrow);
            power[index] = doubled;
            reduced[index] = difference as u32;
            borrow = difference >> 63;
            index += 1;
        }
        if carry == 1 || borrow == 0 {
            power = reduced;
        }
        step += 1;
    }
    power
}
