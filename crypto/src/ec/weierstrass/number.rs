//! Numbers of up to 522 bits, and arithmetic modulo an odd one of them.
//!
//! Limbs have 29 bits, so that a column of two products holds for as many limbs as there are: 36 · 2^58 < 2^64. How many
//! limbs a modulus has is found out at run time, so that there is one code for all.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "every index is below the number of limbs, or twice that for columns; columns are within 64 bits, as above"
)]

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::ec::inverse;

/// How many limbs a number has.
pub(super) const LIMBS: usize = 18;
/// How many bits a limb has.
pub(super) const BITS: u32 = 29;
const MASK: u32 = (1 << BITS) - 1;

/// A number below 2^522, the least significant limb first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(pub(super) [u32; LIMBS]);

impl Number {
    pub(super) const ZERO: Self = Self([0; LIMBS]);
    pub(super) const ONE: Self = Self::from_hex("1");

    /// The number of these hexadecimal digits.
    pub(super) const fn from_hex(text: &str) -> Self {
        let digits = text.as_bytes();
        let mut number = [0; LIMBS];
        let mut index = 0;
        while index < digits.len() {
            let mut carry = match digits[index] {
                digit @ b'0'..=b'9' => digit - b'0',
                digit => digit - b'a' + 10,
            } as u32;
            let mut limb = 0;
            while limb < LIMBS {
                // Sixteen times the number, and the digit.
                let shifted = (number[limb] as u64) << 4 | carry as u64;
                number[limb] = shifted as u32 & MASK;
                carry = (shifted >> BITS) as u32;
                limb += 1;
            }
            index += 1;
        }
        Self(number)
    }

    /// The number of these bytes, the most significant first. `None` when it has more than 522 bits.
    pub(super) fn from_be_bytes(bytes: &[u8]) -> Option<Self> {
        let mut limbs = [0; LIMBS];
        let mut pending = 0_u64;
        let mut available = 0;
        let mut bytes = bytes.iter().rev();
        for limb in &mut limbs {
            while available < BITS {
                pending |= bytes.next().map_or(0, |byte| u64::from(*byte)) << available;
                available += 8;
            }
            *limb = pending as u32 & MASK;
            pending >>= BITS;
            available -= BITS;
        }
        (pending == 0 && bytes.all(|byte| *byte == 0)).then_some(Self(limbs))
    }

    /// The last `length` bytes of the number, the most significant first.
    pub(super) fn to_be_bytes(self, length: usize) -> Vec<u8> {
        let weights = (0..length).rev().map(|index| 8 * index as u32);
        weights.map(|weight| self.bits(weight, 8) as u8).collect()
    }

    /// So many bits, at most 29, from that weight on. 0 beyond the number.
    pub(super) fn bits(&self, weight: u32, count: u32) -> u32 {
        let index = (weight / BITS) as usize;
        let limb = |index: usize| self.0.get(index).map_or(0, |limb| u64::from(*limb));
        let pair = limb(index) | limb(index + 1) << BITS;
        (pair >> (weight % BITS)) as u32 & ((1 << count) - 1)
    }

    pub(super) fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    pub(super) fn is_odd(&self) -> bool {
        self.0[0] & 1 == 1
    }

    /// The sum, which has to fit.
    pub(super) fn plus(&self, other: &Self) -> Self {
        self.plus_within(other, LIMBS)
    }

    /// The difference modulo 2^522, and whether it was below zero.
    pub(super) fn minus(&self, other: &Self) -> (Self, bool) {
        self.minus_within(other, LIMBS)
    }

    /// The sum of numbers of so many limbs, modulo what these have room for.
    fn plus_within(&self, other: &Self, length: usize) -> Self {
        let mut sum = [0; LIMBS];
        let mut carry = 0;
        for (sum, (a, b)) in sum.iter_mut().zip(self.0.iter().zip(&other.0)).take(length) {
            carry += a + b;
            *sum = carry & MASK;
            carry >>= BITS;
        }
        Self(sum)
    }

    /// The difference of numbers of so many limbs, modulo what these have room for, and whether it was below zero.
    fn minus_within(&self, other: &Self, length: usize) -> (Self, bool) {
        let mut difference = [0; LIMBS];
        let mut borrow = 0;
        let limbs = self.0.iter().zip(&other.0);
        for (difference, (a, b)) in difference.iter_mut().zip(limbs).take(length) {
            let limb = a.wrapping_sub(b + borrow);
            *difference = limb & MASK;
            borrow = limb >> 31;
        }
        (Self(difference), borrow == 1)
    }

    const fn signed(&self) -> [i64; LIMBS] {
        let mut limbs = [0; LIMBS];
        let mut index = 0;
        while index < LIMBS {
            limbs[index] = self.0[index] as i64;
            index += 1;
        }
        limbs
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// An odd modulus m below 2^521. Its radix R is 2^29 to the power of its limbs, and at least 2m.
#[derive(Debug)]
pub(super) struct Modulus {
    number: Number,
    /// How many limbs it has.
    length: usize,
    /// The inverse of its negative modulo 2^29.
    negated_inverse: u32,
    /// R² modulo it.
    square: Number,
    steps: inverse::Modulus<LIMBS>,
}

impl Modulus {
    /// The modulus of these hexadecimal digits.
    pub(super) const fn new(text: &str) -> Self {
        let number = Number::from_hex(text);
        let mut length = LIMBS;
        while number.0[length - 1] == 0 {
            length -= 1;
        }
        Self {
            number,
            length,
            negated_inverse: inverse::of_word(number.0[0]).wrapping_neg(),
            square: power_of_two(2 * length * BITS as usize, &number),
            steps: inverse::Modulus::new(number.signed()),
        }
    }

    /// The modulus itself.
    pub(super) const fn number(&self) -> &Number {
        &self.number
    }

    /// a · b / R, below m, by the method of Montgomery. `a` is below R and `b` below m.
    #[inline(never)]
    pub(super) fn product(&self, a: &Number, b: &Number) -> Number {
        // The lengths of 256, 384 and 521 bits by themselves, for speed.
        match self.length {
            9 => self.product_of::<9>(a, b),
            14 => self.product_of::<14>(a, b),
            _ => self.product_of::<LIMBS>(a, b),
        }
    }

    #[inline(always)]
    fn product_of<const LENGTH: usize>(&self, a: &Number, b: &Number) -> Number {
        let mut columns = [0_u64; 2 * LIMBS];
        for (start, factor) in a.0[..LENGTH].iter().enumerate() {
            let columns = &mut columns[start..];
            // So many times the modulus that the lowest column becomes a multiple of 2^29.
            let lowest = (columns[0] as u32).wrapping_add(factor.wrapping_mul(b.0[0]));
            let times = u64::from(lowest.wrapping_mul(self.negated_inverse) & MASK);
            let factor = u64::from(*factor);
            let terms = b.0[..LENGTH].iter().zip(&self.number.0[..LENGTH]);
            for (column, (b, modulus)) in columns.iter_mut().zip(terms) {
                *column += factor * u64::from(*b) + times * u64::from(*modulus);
            }
            columns[1] += columns[0] >> BITS;
        }
        let mut product = Number::ZERO;
        let mut carry = 0;
        for (limb, column) in product.0.iter_mut().zip(&columns[LENGTH..2 * LENGTH]) {
            carry += column;
            *limb = carry as u32 & MASK;
            carry >>= BITS;
        }
        self.reduced(product)
    }

    pub(super) fn square(&self, a: &Number) -> Number {
        self.product(a, a)
    }

    /// The number, which is below 2m, modulo m.
    fn reduced(&self, number: Number) -> Number {
        let (reduced, is_below) = number.minus_within(&self.number, self.length);
        if is_below { number } else { reduced }
    }

    /// The sum of two numbers below m, modulo m.
    #[inline(never)]
    pub(super) fn sum(&self, a: &Number, b: &Number) -> Number {
        self.reduced(a.plus_within(b, self.length))
    }

    /// The difference of two numbers below m, modulo m.
    #[inline(never)]
    pub(super) fn difference(&self, a: &Number, b: &Number) -> Number {
        let (difference, is_below) = a.minus_within(b, self.length);
        if is_below {
            // What goes beyond R makes up for what was below zero.
            difference.plus_within(&self.number, self.length)
        } else {
            difference
        }
    }

    /// a · R modulo m. `a` is below R.
    pub(super) fn times_radix(&self, a: &Number) -> Number {
        self.product(a, &self.square)
    }

    /// a / R modulo m. `a` is below R.
    pub(super) fn without_radix(&self, a: &Number) -> Number {
        self.product(a, &Number::ONE)
    }

    /// The inverse of a number below m; `None` when it has none.
    pub(super) fn inverse(&self, a: &Number) -> Option<Number> {
        let inverse = self.steps.inverse(a.signed())?;
        Some(Number(inverse.map(|limb| limb as u32)))
    }

    /// A number whose square is `a`, if there is one, where m is a prime and 3 modulo 4; both are R times what is meant.
    pub(super) fn square_root(&self, a: &Number) -> Option<Number> {
        // To the power of (m + 1) / 4.
        let exponent = self.number.plus(&Number::ONE);
        let mut root = self.times_radix(&Number::ONE);
        for weight in (2..LIMBS as u32 * BITS).rev() {
            root = self.square(&root);
            if exponent.bits(weight, 1) == 1 {
                root = self.product(&root, a);
            }
        }
        (self.square(&root) == *a).then_some(root)
    }
}

/// 2 to the power of `exponent`, modulo a number.
const fn power_of_two(exponent: usize, modulus: &Number) -> Number {
    let mut power = Number::ONE.0;
    let mut step = 0;
    while step < exponent {
        // Twice the power, and that minus the modulus.
        let mut reduced = [0; LIMBS];
        let (mut carry, mut borrow) = (0, 0);
        let mut index = 0;
        while index < LIMBS {
            let doubled = power[index] << 1 | carry;
            carry = doubled >> BITS;
            power[index] = doubled & MASK;
            let difference = power[index].wrapping_sub(modulus.0[index] + borrow);
            reduced[index] = difference & MASK;
            borrow = difference >> 31;
            index += 1;
        }
        if borrow == 0 {
            power = reduced;
        }
        step += 1;
    }
    Number(power)
}
