//! Arithmetic modulo p = 2^255 - 19.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "no column leaves 64 bits, see `limbs`"
)]

use crate::ec::inverse::Modulus;
use crate::ec::limbs::{self, BITS, Limbs, MASK};
use crate::ec::words::Words;

const P_LIMBS: Limbs = [
    MASK - 18,
    MASK,
    MASK,
    MASK,
    MASK,
    MASK,
    MASK,
    MASK,
    (1 << TOP_BITS) - 1,
];
static MODULUS: Modulus<9> = Modulus::new(P_LIMBS);
/// How many bits the last limb has of a number below 2^255.
const TOP_BITS: u32 = 23;
/// 2^261 modulo p.
const RADIX: i64 = 19 << 6;

/// A number modulo p: one of several that are the same modulo p, negative ones among them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element(pub(super) Limbs);

impl Element {
    /// 0.
    pub(super) const ZERO: Self = Self([0; 9]);
    /// 1.
    pub(super) const ONE: Self = Self([1, 0, 0, 0, 0, 0, 0, 0, 0]);

    /// A number below 2^255, its highest bit not being looked at; also one that is not below p.
    pub(super) fn new(words: &Words) -> Self {
        let mut limbs = words.limbs();
        let [.., top] = &mut limbs;
        *top &= (1 << TOP_BITS) - 1;
        Self(limbs)
    }

    /// The number, below p.
    pub(super) fn words(&self) -> Words {
        // Now it is above -p and below 2p.
        let limbs = self.carried().carried().0;
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

    /// Squares the number so many times.
    fn squared_times(&self, times: u32) -> Self {
        let mut power = *self;
        for _ in 0..times {
            power = power.squared();
        }
        power
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
    pub(super) fn carried(&self) -> Self {
        let [a0, a1, a2, a3, a4, a5, a6, a7, a8] = self.0;
        // 2^255 is 19.
        let a0 = a0 + 19 * (a8 >> TOP_BITS);
        let a8 = a8 & ((1 << TOP_BITS) - 1);
        Self(limbs::carried(&[a0, a1, a2, a3, a4, a5, a6, a7, a8]))
    }

    /// Whether the number is 0.
    pub(super) fn is_zero(&self) -> bool {
        self.words().is_zero()
    }

    /// The inverse; `None` for 0.
    pub(super) fn inverse(&self) -> Option<Self> {
        let inverse = MODULUS.inverse(self.words().limbs())?;
        Some(Self::new(&Words::from_limbs(&inverse)))
    }

    /// The number to the power of 2^252 - 3, which is (p - 5) / 8. The weight is 1.
    pub(super) fn power_of_eighth(&self) -> Self {
        // `ones_n` is the number to the power of 2^n - 1.
        let ones_2 = self.squared().times(self);
        let ones_4 = ones_2.squared_times(2).times(&ones_2);
        let ones_5 = ones_4.squared().times(self);
        let ones_10 = ones_5.squared_times(5).times(&ones_5);
        let ones_20 = ones_10.squared_times(10).times(&ones_10);
        let ones_40 = ones_20.squared_times(20).times(&ones_20);
        let ones_50 = ones_40.squared_times(10).times(&ones_10);
        let ones_100 = ones_50.squared_times(50).times(&ones_50);
        let ones_200 = ones_100.squared_times(100).times(&ones_100);
        let ones_250 = ones_200.squared_times(50).times(&ones_50);
        ones_250.squared_times(2).times(self)
    }
}

/// The number of these columns, tight: below 2^255 + 2^240 and above -2^240.
#[inline(always)]
const fn reduced(columns: &[i64; 17]) -> Limbs {
    let [c0, c1, c2, c3, c4, c5, c6, c7, c8, ..] = *columns;
    let [.., c9, c10, c11, c12, c13, c14, c15, c16] = *columns;
    // The columns from 2^261 on are carried, so that they can be multiplied and added to the others.
    let c10 = c10 + (c9 >> BITS);
    let c11 = c11 + (c10 >> BITS);
    let c12 = c12 + (c11 >> BITS);
    let c13 = c13 + (c12 >> BITS);
    let c14 = c14 + (c13 >> BITS);
    let c15 = c15 + (c14 >> BITS);
    let c16 = c16 + (c15 >> BITS);
    let c17 = c16 >> BITS;
    let c0 = c0 + (c9 & MASK) * RADIX;
    let c1 = c1 + (c10 & MASK) * RADIX + (c0 >> BITS);
    let c2 = c2 + (c11 & MASK) * RADIX + (c1 >> BITS);
    let c3 = c3 + (c12 & MASK) * RADIX + (c2 >> BITS);
    let c4 = c4 + (c13 & MASK) * RADIX + (c3 >> BITS);
    let c5 = c5 + (c14 & MASK) * RADIX + (c4 >> BITS);
    let c6 = c6 + (c15 & MASK) * RADIX + (c5 >> BITS);
    let c7 = c7 + (c16 & MASK) * RADIX + (c6 >> BITS);
    let c8 = c8 + c17 * RADIX + (c7 >> BITS);
    // 2^255 is 19. That leaves less than 2^14 to carry out of the first limb.
    let c0 = (c0 & MASK) + 19 * (c8 >> TOP_BITS);
    [
        c0 & MASK,
        (c1 & MASK) + (c0 >> BITS),
        c2 & MASK,
        c3 & MASK,
        c4 & MASK,
        c5 & MASK,
        c6 & MASK,
        c7 & MASK,
        c8 & ((1 << TOP_BITS) - 1),
    ]
}
