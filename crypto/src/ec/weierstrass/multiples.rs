//! Sums of multiples of two points, by windows of odd digits (wNAF).
//!
//! A number is a sum of odd digits within ±15 times powers of two, of which five or more bits of it share one. Each digit
//! adds one point of a table; between two bits the sum is doubled. A key that has signed something has tables for each
//! quarter of a number, so that four digits share a doubling.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "digits and their indices, far below the limits of their types"
)]

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::curve::Curve;
use super::number::{BITS, LIMBS, Number};
use super::point::{Entry, Point};

/// How many bits share a digit.
const WINDOW: u32 = 5;
/// How many odd digits there are, their signs aside: 1, 3 and so on.
const DIGITS: usize = 1 << (WINDOW - 2);
/// How many digits a number has at most: one more than bits.
const LENGTH: usize = LIMBS * BITS as usize + 1;

/// Multiples of the base point and of a key, for digits that are in as many parts.
#[derive(Clone)]
pub(super) struct Tables {
    /// How many digits a part has.
    spacing: usize,
    /// The odd multiples of 2^(i · `spacing`) times the base point, [`DIGITS`] for each part i, and then those of the key.
    entries: Box<[Entry]>,
}

impl Tables {
    /// The tables for the base point and the key, and numbers in so many parts.
    pub(super) fn new(curve: &Curve, key: &Entry, parts: usize) -> Option<Self> {
        let spacing = (8 * curve.bytes + 1).div_ceil(parts);
        let generator = curve.entry(&curve.generator)?;
        let mut bases = Vec::with_capacity(4 * parts);
        for entry in [&generator, key] {
            let mut base = curve.add(&Point::INFINITY, entry, false);
            for part in 0..parts {
                if part > 0 {
                    // The last one was doubled once.
                    for _ in 1..spacing {
                        base = curve.double(&base);
                    }
                }
                bases.push(base);
                base = curve.double(&base);
                bases.push(base);
            }
        }
        let mut multiples = Vec::with_capacity(DIGITS * 2 * parts);
        for pair in curve.entries(&bases)?.chunks_exact(2) {
            let mut multiple = curve.add(&Point::INFINITY, &pair[0], false);
            for _ in 1..DIGITS {
                multiples.push(multiple);
                multiple = curve.add(&multiple, &pair[1], false);
            }
            multiples.push(multiple);
        }
        let entries = curve.entries(&multiples)?.into_boxed_slice();
        Some(Self { spacing, entries })
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.entries.as_ref())
    }

    /// u1 times the base point plus u2 times the key.
    pub(super) fn sum(&self, curve: &Curve, u1: &Number, u2: &Number) -> Point {
        let (digits1, digits2) = (digits(u1), digits(u2));
        let (table1, table2) = self.entries.split_at(self.entries.len() / 2);
        let mut sum = Point::INFINITY;
        for position in (0..self.spacing).rev() {
            if !sum.z.is_zero() {
                sum = curve.double(&sum);
            }
            for (digits, table) in [(&digits1, table1), (&digits2, table2)] {
                let column = digits.iter().skip(position).step_by(self.spacing);
                for (digit, multiples) in column.zip(table.chunks_exact(DIGITS)) {
                    if *digit != 0 {
                        let multiple = &multiples[usize::from(digit.unsigned_abs()) / 2];
                        sum = curve.add(&sum, multiple, *digit < 0);
                    }
                }
            }
        }
        sum
    }
}

/// The digits of a number, that of 2^0 first.
pub(super) fn digits(number: &Number) -> [i8; LENGTH] {
    let mut digits = [0; LENGTH];
    let mut carry = 0;
    let mut weight = 0;
    while let Some(digit) = digits.get_mut(weight as usize) {
        if number.bits(weight, 1) == carry {
            weight += 1;
            continue;
        }
        // Odd: what is above half of the window is taken as negative, and made up for by the next digit.
        let window = (number.bits(weight, WINDOW) + carry) as i8;
        carry = u32::from(window >= 1 << (WINDOW - 1));
        *digit = window - ((carry as i8) << WINDOW);
        weight += WINDOW;
    }
    digits
}
