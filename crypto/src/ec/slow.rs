//! Arithmetic bit by bit, to compare with.

use proptest::prelude::*;

use super::limbs::{BITS, Limbs};
use super::words::Words;

/// A number modulo another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slow {
    pub(super) number: Words,
    pub(super) modulus: Words,
}

impl Slow {
    /// The number of limbs.
    pub(super) fn of_limbs(limbs: &Limbs, modulus: Words) -> Self {
        let mut sum = Self::of_small(0, modulus);
        for limb in limbs.iter().rev() {
            for _ in 0..BITS {
                sum = sum.plus(sum);
            }
            let limb_size = Self::of_small(limb.unsigned_abs(), modulus);
            sum = if *limb < 0 {
                sum.minus(limb_size)
            } else {
                sum.plus(limb_size)
            };
        }
        sum
    }

    pub(super) fn of_small(number: u64, modulus: Words) -> Self {
        let number = Words([
            (number & 0xffff_ffff) as u32,
            (number >> 32) as u32,
            0,
            0,
            0,
            0,
            0,
            0,
        ]);
        Self { number, modulus }
    }

    /// Two to that power.
    pub(super) fn power_of_two(exponent: u32, modulus: Words) -> Self {
        let mut power = Self::of_small(1, modulus);
        for _ in 0..exponent {
            power = power.plus(power);
        }
        power
    }

    pub(super) fn plus(self, other: Self) -> Self {
        let (sum, carry) = self.number.plus(&other.number);
        let (reduced, borrow) = sum.minus(&self.modulus);
        let number = if carry || !borrow { reduced } else { sum };
        Self { number, ..self }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        let (difference, borrow) = self.number.minus(&other.number);
        let number = if borrow {
            difference.plus(&self.modulus).0
        } else {
            difference
        };
        Self { number, ..self }
    }

    pub(super) fn times(self, other: Self) -> Self {
        let mut product = Self::of_small(0, self.modulus);
        for weight in (0..256).rev() {
            product = product.plus(product);
            if other.number.bit(weight) == 1 {
                product = product.plus(self);
            }
        }
        product
    }
}

/// The number of this hexadecimal text.
pub(super) fn hex(text: &str) -> Words {
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(core::str::from_utf8(digits).unwrap(), 16).unwrap();
    }
    Words::from_be_bytes(&bytes)
}

/// Numbers below a modulus: any, and those where carries go far.
pub(super) fn below(modulus: Words) -> impl Strategy<Value = Words> {
    let word = prop_oneof![
        Just(0_u32),
        Just(1),
        Just(u32::MAX),
        Just(1 << 31),
        any::<u32>()
    ];
    let any_number = prop_oneof![
        any::<[u32; 8]>(),
        prop::array::uniform8(word),
        (0_u32..4).prop_map(|small| [small, 0, 0, 0, 0, 0, 0, 0]),
        (0_u32..256).prop_map(|exponent| {
            let mut words = [0; 8];
            words[exponent as usize / 32] = 1 << (exponent % 32);
            words
        }),
        (0_u32..4)
            .prop_map(move |small| { modulus.minus(&Words([small, 0, 0, 0, 0, 0, 0, 0])).0.0 }),
    ];
    any_number.prop_map(move |words| {
        let mut number = Words(words);
        while number >= modulus {
            number = number.minus(&modulus).0;
        }
        number
    })
}

/// Limbs as large as a factor may have them, of a weight, and any smaller ones.
pub(super) fn limbs(weight: i64) -> impl Strategy<Value = Limbs> {
    let (large, last) = (weight * ((1 << 29) + (1 << 16)), weight << 26);
    let limb = move |most: i64| prop_oneof![Just(most), Just(-most), Just(0), -most..=most];
    (prop::array::uniform8(limb(large)), limb(last)).prop_map(|(low, last)| {
        let [a0, a1, a2, a3, a4, a5, a6, a7] = low;
        [a0, a1, a2, a3, a4, a5, a6, a7, last]
    })
}

/// Whether a number is tight.
pub(super) fn is_tight(limbs: &Limbs) -> bool {
    let [low @ .., last] = limbs;
    let allowed = -(1 << 15)..=(1 << 29) + (1 << 15);
    low.iter().all(|limb| allowed.contains(limb)) && last.abs() < 1 << 26
}

#[test]
fn slow_arithmetic_is_right_modulo_a_small_number() {
    let modulus = Slow::of_small(97, Words::ZERO).number;
    let small = |number| Slow::of_small(number, modulus);
    for a in 0..97 {
        for b in 0..97 {
            assert_eq!(small(a).plus(small(b)), small((a + b) % 97));
            assert_eq!(small(a).minus(small(b)), small((a + 97 - b) % 97));
            assert_eq!(small(a).times(small(b)), small(a * b % 97));
        }
    }
}
