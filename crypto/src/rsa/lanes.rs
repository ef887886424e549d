//! A vector of 128 bits, as far as [`montgomery`](super::montgomery) computes with it: four numbers of 32 bits, or
//! eight digits of 16 bits, all signed.
//!
//! In WebAssembly each function is an instruction or a few of its SIMD proposal, which is part of WebAssembly 2.0.
//! Only functions that have the feature enabled use it, so that nothing else in the module changes. Elsewhere the
//! same functions are written out; there the unit tests also notice a sum that does not fit.

#[cfg(not(target_arch = "wasm32"))]
pub(super) use portable::Lanes;
#[cfg(target_arch = "wasm32")]
pub(super) use wasm::Lanes;

/// How many bits a digit has.
pub(super) const DIGIT_BITS: u32 = 13;
/// The bits of a digit.
pub(super) const DIGIT_MASK: i32 = (1 << DIGIT_BITS) - 1;
/// Half of what the next digit counts.
pub(super) const HALF: i32 = 1 << (DIGIT_BITS - 1);

#[cfg(target_arch = "wasm32")]
mod wasm {
    use core::arch::wasm32::{
        i16x8, i16x8_add, i16x8_extract_lane, i16x8_shuffle, i32x4, i32x4_add, i32x4_dot_i16x8,
        i32x4_shl, i32x4_shr, i32x4_shuffle, i32x4_splat, i32x4_sub, u32x4_shr, v128, v128_and,
        v128_or,
    };

    use super::{DIGIT_BITS, DIGIT_MASK, HALF};

    #[derive(Clone, Copy)]
    pub(in super::super) struct Lanes(v128);

    impl Lanes {
        pub(in super::super) const ZERO: Self = Self(i32x4(0, 0, 0, 0));

        #[inline]
        #[target_feature(enable = "simd128")]
        pub(in super::super) fn from_digits([a, b, c, d, e, f, g, h]: [i16; 8]) -> Self {
            Self(i16x8(a, b, c, d, e, f, g, h))
        }

        #[inline]
        #[target_feature(enable = "simd128")]
        pub(in super::super) fn to_digits(self) -> [i16; 8] {
            [
                i16x8_extract_lane::<0>(self.0),
                i16x8_extract_lane::<1>(self.0),
                i16x8_extract_lane::<2>(self.0),
                i16x8_extract_lane::<3>(self.0),
                i16x8_extract_lane::<4>(self.0),
                i16x8_extract_lane::<5>(self.0),
                i16x8_extract_lane::<6>(self.0),
                i16x8_extract_lane::<7>(self.0),
            ]
        }

        /// Eight products of digits, of which each two neighbours are added.
        #[inline]
        #[target_feature(enable = "simd128")]
        pub(in super::super) fn dot(self, other: Self) -> Self {
            Self(i32x4_dot_i16x8(self.0, other.0))
        }

        #[inline]
        #[target_feature(enable = "simd128")]
        pub(in super::super) fn plus(self, other: Self) -> Self {
            Self(i32x4_add(self.0, other.0))
        }

        #[inline]
        #[target_feature(enable = "simd128")]
        pub(in super::super) fn plus_digits(self, other: Self) -> Self {
            Self(i16x8_add(self.0, other.0))
        }

        #[inline]
        #[target_feature(enable = "simd128")]
        pub(in super::super) fn twice(self) -> Self {
            Self(i32x4_shl(self.0, 1))
        }

        /// The lowest digit of each number, 0 to 2^13 - 1.
        #[inline]
        #[target_feature(enable = "simd128")]
        pub(in super::super) fn low(self) -> Self {
            Self(v128_and(self.0, i32x4_splat(DIGIT_MASK)))
        }

        /// What [`Self::low`] leaves out.
        #[inline]
        #[target_feature(enable = "simd128")]
        pub(in super::super) fn high(self) -> Self {
            Self(i32x4_shr(self.0, DIGIT_BITS))
        }

        /// Splits each number into a digit of -2^12 to 2^12 - 1, and the rest, which counts for the next digit.
        #[inline]
        #[target_feature(enable = "simd128")]
        pub(in super::super) fn split(self) -> (Self, Self) {
            let carry = i32x4_shr(i32x4_add(self.0, i32x4_splat(HALF)), DIGIT_BITS);
            let digit = i32x4_sub(self.0, i32x4_shl(carry, DIGIT_BITS));
            (Self(digit), Self(carry))
        }

        /// The digits of even place as numbers.
        #[inline]
        #[target_feature(enable = "simd128")]
        pub(in super::super) fn even(self) -> Self {
            Self(i32x4_shr(i32x4_shl(self.0, 16), 16))
        }

        /// The digits of odd place as numbers.
        #[inline]
        #[target_feature(enable = "simd128")]
        pub(in super::super) fn odd(self) -> Self {
            Self(i32x4_shr(self.0, 16))
        }

        /// The digits of even and odd place, from numbers that fit 16 bits.
        #[inline]
        #[target_feature(enable = "simd128")]
        pub(in super::super) fn interleave(even: Self, odd: Self) -> Self {
            let even = v128_and(even.0, i32x4_splat(0xffff));
            Self(v128_or(even, i32x4_shl(odd.0, 16)))
        }

        /// The last number of `before`, and the first three.
        #[inline]
        #[target_feature(enable = "simd128")]
        pub(in super::super) fn behind(self, before: Self) -> Self {
            Self(i32x4_shuffle::<3, 4, 5, 6>(before.0, self.0))
        }

        /// The digits; the last digit of `before` and the first seven; the last two and the first six; and so on.
        #[inline]
        #[target_feature(enable = "simd128")]
        pub(in super::super) fn shifts(self, before: Self) -> [Self; 8] {
            let (a, b) = (before.0, self.0);
            [
                self,
                Self(i16x8_shuffle::<7, 8, 9, 10, 11, 12, 13, 14>(a, b)),
                Self(i16x8_shuffle::<6, 7, 8, 9, 10, 11, 12, 13>(a, b)),
                Self(i16x8_shuffle::<5, 6, 7, 8, 9, 10, 11, 12>(a, b)),
                Self(i16x8_shuffle::<4, 5, 6, 7, 8, 9, 10, 11>(a, b)),
                Self(i16x8_shuffle::<3, 4, 5, 6, 7, 8, 9, 10>(a, b)),
                Self(i16x8_shuffle::<2, 3, 4, 5, 6, 7, 8, 9>(a, b)),
                Self(i16x8_shuffle::<1, 2, 3, 4, 5, 6, 7, 8>(a, b)),
            ]
        }

        /// Each pair of digits four times, the second of the pair first.
        #[inline]
        #[target_feature(enable = "simd128")]
        pub(in super::super) fn pairs(self) -> [Self; 4] {
            let swapped = v128_or(i32x4_shl(self.0, 16), u32x4_shr(self.0, 16));
            [
                Self(i32x4_shuffle::<0, 0, 0, 0>(swapped, swapped)),
                Self(i32x4_shuffle::<1, 1, 1, 1>(swapped, swapped)),
                Self(i32x4_shuffle::<2, 2, 2, 2>(swapped, swapped)),
                Self(i32x4_shuffle::<3, 3, 3, 3>(swapped, swapped)),
            ]
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod portable {
    use super::{DIGIT_BITS, DIGIT_MASK, HALF};

    /// Each number, or a digit of even place in the lower half of its bits and the next one in the upper half.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Lanes([i32; 4]);

    /// The sum, which fits unless the bounds that [`montgomery`](super::super::montgomery) reckons with are wrong.
    #[inline]
    fn sum(a: i32, b: i32) -> i32 {
        #[cfg(test)]
        assert!(a.checked_add(b).is_some(), "{a} and {b} overflow");
        a.wrapping_add(b)
    }

    /// The digit of even place.
    #[inline]
    const fn even(pair: i32) -> i32 {
        pair.wrapping_shl(16) >> 16
    }

    /// The digit of odd place.
    #[inline]
    const fn odd(pair: i32) -> i32 {
        pair >> 16
    }

    #[inline]
    const fn pair(even: i32, odd: i32) -> i32 {
        (even & 0xffff) | odd.wrapping_shl(16)
    }

    impl Lanes {
        pub(in super::super) const ZERO: Self = Self([0; 4]);

        #[inline]
        fn map(self, change: impl Fn(i32) -> i32) -> Self {
            Self(self.0.map(change))
        }

        #[inline]
        fn with(self, other: Self, combine: impl Fn(i32, i32) -> i32) -> Self {
            let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
            Self([combine(a, e), combine(b, f), combine(c, g), combine(d, h)])
        }

        #[inline]
        pub(in super::super) fn from_digits(digits: [i16; 8]) -> Self {
            let [a, b, c, d, e, f, g, h] = digits.map(i32::from);
            Self([pair(a, b), pair(c, d), pair(e, f), pair(g, h)])
        }

        #[inline]
        pub(in super::super) fn to_digits(self) -> [i16; 8] {
            let [a, b, c, d] = self.0;
            [a, odd(a), b, odd(b), c, odd(c), d, odd(d)].map(|digit| digit as i16)
        }

        #[inline]
        pub(in super::super) fn dot(self, other: Self) -> Self {
            self.with(other, |a, b| {
                sum(even(a).wrapping_mul(even(b)), odd(a).wrapping_mul(odd(b)))
            })
        }

        #[inline]
        pub(in super::super) fn plus(self, other: Self) -> Self {
            self.with(other, sum)
        }

        #[inline]
        pub(in super::super) fn plus_digits(self, other: Self) -> Self {
            self.with(other, |a, b| {
                pair(sum(even(a), even(b)), sum(odd(a), odd(b)))
            })
        }

        #[inline]
        pub(in super::super) fn twice(self) -> Self {
            self.map(|number| sum(number, number))
        }

        #[inline]
        pub(in super::super) fn low(self) -> Self {
            self.map(|number| number & DIGIT_MASK)
        }

        #[inline]
        pub(in super::super) fn high(self) -> Self {
            self.map(|number| number >> DIGIT_BITS)
        }

        #[inline]
        pub(in super::super) fn split(self) -> (Self, Self) {
            let carry = self.map(|number| sum(number, HALF) >> DIGIT_BITS);
            let digit = self.with(carry, |number, carry| {
                number.wrapping_sub(carry.wrapping_shl(DIGIT_BITS))
            });
            (digit, carry)
        }

        #[inline]
        pub(in super::super) fn even(self) -> Self {
            self.map(even)
        }

        #[inline]
        pub(in super::super) fn odd(self) -> Self {
            self.map(odd)
        }

        #[inline]
        pub(in super::super) fn interleave(even: Self, odd: Self) -> Self {
            even.with(odd, |even, odd| {
                #[cfg(test)]
                assert!(even.abs().max(odd.abs()) <= super::super::montgomery::MAX_DIGIT);
                pair(even, odd)
            })
        }

        #[inline]
        pub(in super::super) fn behind(self, before: Self) -> Self {
            let ([.., last], [a, b, c, _]) = (before.0, self.0);
            Self([last, a, b, c])
        }

        #[inline]
        pub(in super::super) fn shifts(self, before: Self) -> [Self; 8] {
            let ([p, q, r, s], [a, b, c, d]) = (before.0, self.0);
            // One digit on: the odd one of a pair, and the even one of the next.
            let odd = |left: i32, right: i32| pair(odd(left), right);
            [
                self,
                Self([odd(s, a), odd(a, b), odd(b, c), odd(c, d)]),
                Self([s, a, b, c]),
                Self([odd(r, s), odd(s, a), odd(a, b), odd(b, c)]),
                Self([r, s, a, b]),
                Self([odd(q, r), odd(r, s), odd(s, a), odd(a, b)]),
                Self([q, r, s, a]),
                Self([odd(p, q), odd(q, r), odd(r, s), odd(s, a)]),
            ]
        }

        #[inline]
        pub(in super::super) fn pairs(self) -> [Self; 4] {
            self.0.map(|pair| Self([pair.rotate_left(16); 4]))
        }
    }
}
