//! Arithmetic modulo p = 2^256 - 2^224 + 2^192 + 2^96 - 1.
//!
//! A number x is kept as x · 2^261 (Montgomery's form). As p is -1 modulo 2^96, so many times p that a low limb becomes
//! 0 is as many times as that limb says; and p + 1 has four bits. So a reduction needs shifts and no products.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "no column leaves 64 bits, see `limbs`"
)]

use crate::ec::inverse::Modulus;
use crate::ec::limbs::{self, BITS, Limbs, MASK};
use crate::ec::words::Words;

/// p, the least significant word first.
const P: [u32; 8] = [
    0xffff_ffff,
    0xffff_ffff,
    0xffff_ffff,
    0,
    0,
    0,
    1,
    0xffff_ffff,
];
const P_WORDS: Words = Words(P);
const P_LIMBS: Limbs = [
    MASK,
    MASK,
    MASK,
    (1 << 9) - 1,
    0,
    0,
    1 << 18,
    MASK - (1 << 21) + 1,
    (1 << 24) - 1,
];
static MODULUS: Modulus<9> = Modulus::new(P_LIMBS);

/// A number modulo p: one of several that are the same modulo p, negative ones among them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element(pub(super) Limbs);

impl Element {
    /// 0.
    pub(super) const ZERO: Self = Self([0; 9]);
    /// 1.
    pub(super) const ONE: Self = Self(RADIX);

    /// A number below p; `None` for others.
    pub(super) fn new(words: &Words) -> Option<Self> {
        if *words >= P_WORDS {
            return None;
        }
        Some(Self(words.limbs()).times(&Self(RADIX_SQUARE)))
    }

    /// The number, below p.
    pub(super) fn words(&self) -> Words {
        let plain = self.times(&Self([1, 0, 0, 0, 0, 0, 0, 0, 0]));
        // Now it is above -p and below 2p.
        let limbs = plain.carried().0;
        Words::from_limbs(&limbs::settled(&limbs, &P_LIMBS))
    }

    /// The product, tight. The weights have a product of 3 at most.
    #[inline(never)]
    pub(super) fn times(&self, other: &Self) -> Self {
        Self(reduced(&limbs::product(&self.0, &other.0)))
    }

    /// The square, tight. The weight is 1.
    #[inline(never)]
    pub(super) fn squared(&self) -> Self {
        Self(reduced(&limbs::square(&self.0)))
    }

    /// The sum, as large as both.
    pub(super) fn plus(&self, other: &Self) -> Self {
        Self(limbs::sum(&self.0, &other.0))
    }

    /// The difference.
    pub(super) fn minus(&self, other: &Self) -> Self {
        Self(limbs::difference(&self.0, &other.0))
    }

    /// The negative.
    pub(super) fn negated(&self) -> Self {
        Self(self.0.map(|limb| -limb))
    }

    /// The same number, tight. For weights up to 32.
    #[inline(always)]
    pub(super) fn carried(&self) -> Self {
        let [a0, a1, a2, a3, a4, a5, a6, a7, a8] = self.0;
        // 2^256 is 2^224 - 2^192 - 2^96 + 1.
        let above = a8 >> 24;
        Self(limbs::carried(&[
            a0 + above,
            a1,
            a2,
            a3 - (above << 9),
            a4,
            a5,
            a6 - (above << 18),
            a7 + (above << 21),
            a8 & ((1 << 24) - 1),
        ]))
    }

    /// Whether the number is 0. For weights up to 2.
    pub(super) fn is_zero(&self) -> bool {
        let [lowest, ..] = self.0;
        // It is within ±16p, and n times p ends like -n.
        (lowest + 16) & MASK <= 32 && {
            // Now it is above -p and below 2p.
            let limbs = self.carried().0;
            limbs == [0; 9] || limbs == P_LIMBS
        }
    }

    /// The inverse; `None` for 0.
    pub(super) fn inverse(&self) -> Option<Self> {
        let inverse = MODULUS.inverse(self.words().limbs())?;
        Self::new(&Words::from_limbs(&inverse))
    }

    /// A number whose square is this one, if there is one.
    pub(super) fn square_root(&self) -> Option<Self> {
        // To the power of (p + 1) / 4 = 2^254 - 2^222 + 2^190 + 2^94.
        const EXPONENT: Words = Words([
            0,
            0,
            0x4000_0000,
            0,
            0,
            0x4000_0000,
            0xc000_0000,
            0x3fff_ffff,
        ]);
        let mut root = Self::ONE;
        for weight in (0..256).rev() {
            root = root.squared();
            if EXPONENT.bit(weight) == 1 {
                root = root.times(self);
            }
        }
        root.squared().minus(self).is_zero().then_some(root)
    }
}

/// 2^261 modulo p.
const RADIX: Limbs = [
    0x20, 0x0, 0x0, 0x1fffc000, 0x1fffffff, 0x1fffffff, 0x1f7fffff, 0x3ffffff, 0x0,
];
/// 2^522 modulo p.
const RADIX_SQUARE: Limbs = [
    0xc00, 0x0, 0x1fff0000, 0x1fdfffff, 0x1fbfffff, 0x1fffffff, 0x1fffffff, 0x1ffffffe, 0x13,
];

/// The number of these columns divided by 2^261, tight: above -2p and below 3p.
#[inline(always)]
const fn reduced(columns: &[i64; 17]) -> Limbs {
    let [c0, c1, c2, c3, c4, c5, c6, c7, c8, ..] = *columns;
    let [.., c9, c10, c11, c12, c13, c14, c15, c16] = *columns;
    // Limb n is removed by n times p, which is p + 1 times n, minus n.
    let n0 = c0 & MASK;
    let c1 = c1 + (c0 >> BITS);
    let n1 = c1 & MASK;
    let c2 = c2 + (c1 >> BITS);
    let n2 = c2 & MASK;
    let c3 = c3 + (c2 >> BITS) + (n0 << 9);
    let n3 = c3 & MASK;
    let c4 = c4 + (c3 >> BITS) + (n1 << 9);
    let n4 = c4 & MASK;
    let c5 = c5 + (c4 >> BITS) + (n2 << 9);
    let n5 = c5 & MASK;
    let c6 = c6 + (c5 >> BITS) + (n3 << 9) + (n0 << 18);
    let n6 = c6 & MASK;
    let c7 = c7 + (c6 >> BITS) + (n4 << 9) + (n1 << 18) - (n0 << 21);
    let n7 = c7 & MASK;
    let c8 = c8 + (c7 >> BITS) + (n5 << 9) + (n2 << 18) - (n1 << 21) + (n0 << 24);
    let n8 = c8 & MASK;
    limbs::carried(&[
        c9 + (c8 >> BITS) + (n6 << 9) + (n3 << 18) - (n2 << 21) + (n1 << 24),
        c10 + (n7 << 9) + (n4 << 18) - (n3 << 21) + (n2 << 24),
        c11 + (n8 << 9) + (n5 << 18) - (n4 << 21) + (n3 << 24),
        c12 + (n6 << 18) - (n5 << 21) + (n4 << 24),
        c13 + (n7 << 18) - (n6 << 21) + (n5 << 24),
        c14 + (n8 << 18) - (n7 << 21) + (n6 << 24),
        c15 - (n8 << 21) + (n7 << 24),
        c16 + (n8 << 24),
        0,
    ])
}
