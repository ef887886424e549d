//! Sixteen bytes at once: what reading a token takes most of.
//!
//! In WebAssembly each function is an instruction or a few of its SIMD proposal, which is part of WebAssembly 2.0. Only
//! functions that have the feature enabled use it, so that nothing else in the module changes. Elsewhere the same
//! functions are written out.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use portable::Bytes16;
#[cfg(target_arch = "wasm32")]
pub(crate) use wasm::Bytes16;

#[cfg(target_arch = "wasm32")]
mod wasm {
    use core::arch::wasm32::{
        i8x16_add, i8x16_eq, i8x16_shuffle, i8x16_sub, i16x8_shl, i32x4_dot_i16x8, u8x16_all_true,
        u8x16_bitmask, u8x16_lt, u8x16_min, u8x16_splat, u16x8_shr, u16x8_splat,
        u32x4_extract_lane, u32x4_splat, u64x2, u64x2_extract_lane, v128, v128_and, v128_or,
    };

    #[derive(Clone, Copy)]
    pub(crate) struct Bytes16(v128);

    impl Bytes16 {
        #[inline]
        #[target_feature(enable = "simd128")]
        pub(crate) fn new(bytes: &[u8; 16]) -> Self {
            let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *bytes;
            Self(u64x2(
                u64::from_le_bytes([a, b, c, d, e, f, g, h]),
                u64::from_le_bytes([i, j, k, l, m, n, o, p]),
            ))
        }

        /// The same byte in every place.
        #[inline]
        #[target_feature(enable = "simd128")]
        pub(crate) fn all(byte: u8) -> Self {
            Self(u8x16_splat(byte))
        }

        #[inline]
        #[target_feature(enable = "simd128")]
        pub(crate) fn plus(self, other: Self) -> Self {
            Self(i8x16_add(self.0, other.0))
        }

        #[inline]
        #[target_feature(enable = "simd128")]
        pub(crate) fn minus(self, byte: u8) -> Self {
            Self(i8x16_sub(self.0, u8x16_splat(byte)))
        }

        /// All ones where it is this byte, else zero.
        #[inline]
        #[target_feature(enable = "simd128")]
        pub(crate) fn equals(self, byte: u8) -> Self {
            Self(i8x16_eq(self.0, u8x16_splat(byte)))
        }

        /// All ones where it is less than this byte, else zero.
        #[inline]
        #[target_feature(enable = "simd128")]
        pub(crate) fn is_below(self, byte: u8) -> Self {
            Self(u8x16_lt(self.0, u8x16_splat(byte)))
        }

        /// `byte` where this is all ones, zero where it is zero.
        #[inline]
        #[target_feature(enable = "simd128")]
        pub(crate) fn select(self, byte: u8) -> Self {
            Self(v128_and(self.0, u8x16_splat(byte)))
        }

        #[inline]
        #[target_feature(enable = "simd128")]
        pub(crate) fn or(self, other: Self) -> Self {
            Self(v128_or(self.0, other.0))
        }

        /// The lesser one in each place.
        #[inline]
        #[target_feature(enable = "simd128")]
        pub(crate) fn min(self, other: Self) -> Self {
            Self(u8x16_min(self.0, other.0))
        }

        #[inline]
        #[target_feature(enable = "simd128")]
        pub(crate) fn has_no_zero(self) -> bool {
            u8x16_all_true(self.0)
        }

        /// The place of the first byte whose top bit is set.
        #[inline]
        #[target_feature(enable = "simd128")]
        pub(crate) fn first_marked(self) -> Option<usize> {
            match u8x16_bitmask(self.0) {
                0 => None,
                marks => Some(marks.trailing_zeros() as usize),
            }
        }

        /// Writes the lower six bits of each byte one behind the other. The upper ones are zero.
        #[inline]
        #[target_feature(enable = "simd128")]
        pub(crate) fn write_sixes(self, bytes: &mut [u8; 12]) {
            // In each 16 bits, the second byte is the upper one.
            let twelves = v128_or(
                v128_and(i16x8_shl(self.0, 6), u16x8_splat(0xfc0)),
                u16x8_shr(self.0, 8),
            );
            let twenty_fours = i32x4_dot_i16x8(twelves, u32x4_splat(0x0001_1000));
            let joined = i8x16_shuffle::<2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, 0, 0, 0, 0>(
                twenty_fours,
                twenty_fours,
            );
            let (eight, four) = bytes.split_at_mut(8);
            eight.copy_from_slice(&u64x2_extract_lane::<0>(joined).to_le_bytes());
            four.copy_from_slice(&u32x4_extract_lane::<2>(joined).to_le_bytes());
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod portable {
    #[derive(Clone, Copy)]
    pub(crate) struct Bytes16([u8; 16]);

    const fn ones_if(condition: bool) -> u8 {
        if condition { u8::MAX } else { 0 }
    }

    impl Bytes16 {
        #[inline]
        pub(crate) fn new(bytes: &[u8; 16]) -> Self {
            Self(*bytes)
        }

        /// The same byte in every place.
        #[inline]
        pub(crate) fn all(byte: u8) -> Self {
            Self([byte; 16])
        }

        #[inline]
        fn with(self, other: Self, of_both: impl Fn(u8, u8) -> u8) -> Self {
            let mut result = self;
            for (one, other) in result.0.iter_mut().zip(other.0) {
                *one = of_both(*one, other);
            }
            result
        }

        #[inline]
        pub(crate) fn plus(self, other: Self) -> Self {
            self.with(other, u8::wrapping_add)
        }

        #[inline]
        pub(crate) fn minus(self, byte: u8) -> Self {
            Self(self.0.map(|it| it.wrapping_sub(byte)))
        }

        /// All ones where it is this byte, else zero.
        #[inline]
        pub(crate) fn equals(self, byte: u8) -> Self {
            Self(self.0.map(|it| ones_if(it == byte)))
        }

        /// All ones where it is less than this byte, else zero.
        #[inline]
        pub(crate) fn is_below(self, byte: u8) -> Self {
            Self(self.0.map(|it| ones_if(it < byte)))
        }

        /// `byte` where this is all ones, zero where it is zero.
        #[inline]
        pub(crate) fn select(self, byte: u8) -> Self {
            Self(self.0.map(|it| it & byte))
        }

        #[inline]
        pub(crate) fn or(self, other: Self) -> Self {
            self.with(other, |one, other| one | other)
        }

        /// The lesser one in each place.
        #[inline]
        pub(crate) fn min(self, other: Self) -> Self {
            self.with(other, u8::min)
        }

        #[inline]
        pub(crate) fn has_no_zero(self) -> bool {
            !self.0.contains(&0)
        }

        /// The place of the first byte whose top bit is set.
        #[inline]
        pub(crate) fn first_marked(self) -> Option<usize> {
            self.0.iter().position(|it| *it >= 0x80)
        }

        /// Writes the lower six bits of each byte one behind the other. The upper ones are zero.
        #[inline]
        pub(crate) fn write_sixes(self, bytes: &mut [u8; 12]) {
            for (four, three) in self.0.chunks_exact(4).zip(bytes.chunks_exact_mut(3)) {
                if let ([a, b, c, d], [x, y, z]) = (four, three) {
                    [*x, *y, *z] = [a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d];
                }
            }
        }
    }
}
