//! Powers modulo an odd number, by Montgomery's method, made for vectors.
//!
//! A number is a row of digits in base 2^13, eight to a block. Digits are signed and need not be reduced: that of
//! place i counts 2^(13 i) times, whatever it is, up to [`MAX_DIGIT`]. So carries need not run through a number: they
//! are moved twice, by one place each, and what is left is small. A product is one sum of products for each place,
//! without a carry between them.
//!
//! R is 2^(13 L) for L digits, at least four times the modulus n. The product of two numbers T is reduced as a whole:
//! Q = T · (-1/n) mod R, where only the lower half of the places is needed, and (T + Q n) / R, where only the upper
//! half is. Numbers stay between -n and n: |T| < n² ≤ R n / 4, and as no digit is larger than `MAX_DIGIT`,
//! |Q| < 0.54 R, so that |T + Q n| / R < 0.79 n.
//!
//! What each vector holds is said at [`Shifts`] and [`Pairs`].

use alloc::vec::Vec;

use super::lanes::{DIGIT_BITS, DIGIT_MASK, HALF, Lanes};
use super::{bit_length, without_leading_zeros};

/// The bits of a block.
const BLOCK_BITS: usize = 8 * DIGIT_BITS as usize;

/// After how many blocks of factors a sum is split; behind the last split there may be one more. Each adds four times
/// two products to it: 52 · 2 · `MAX_DIGIT`², and what the split left, is below 2^31.
const STEPS: usize = 12;

/// Who calls [`accumulate`].
const MULTIPLY: u8 = 0;
const SQUARE: u8 = 1;

/// The largest digit. What is split from a sum is at most 2^18, and that happens to each place at most 8 times for the
/// largest modulus, of 79 blocks (7 times in a product, in a square twice 4 times), and in a square once more for the
/// few products that are not doubled. So less than 2^21 + 2^16 comes to a place, of which 264 or less is carried on,
/// to a digit of up to 2^12.
pub(super) const MAX_DIGIT: i32 = (1 << 12) + 264;

const _: () = assert!(
    (STEPS as i64 + 1) * 4 * 2 * MAX_DIGIT as i64 * MAX_DIGIT as i64 + (1 << 14) < 1 << 31,
    "a sum fits 32 bits with its sign"
);

/// A block of a number at each of eight shifts: the vector of index t has the digits of places 8 k - t to 8 k - t + 7.
type Shifts = [Lanes; 8];

/// Each two neighbours of a block, four times over: the vector of index r has the digits of places 8 m + 2 r + 1 and
/// 8 m + 2 r, in this order.
///
/// The dot product of that with digits of places p and p + 1 is what the two contribute to place 8 m + 2 r + p + 1; so
/// [`Lanes::dot`] with shift 2 r + 1 gives the even places of block k + m, and with shift 2 r the odd ones.
type Pairs = [Lanes; 4];

/// The modulus, and what follows from it.
#[derive(Clone)]
pub(super) struct Modulus {
    // INVARIANT: odd, and without zeros in front.
    bytes: Vec<u8>,
    /// n.
    digits: Vec<Lanes>,
    /// -1/n mod R.
    negated_inverse: Vec<Lanes>,
    /// R² mod n.
    square: Vec<Lanes>,
}

impl Modulus {
    /// The modulus, from big-endian bytes. `None` if it is even.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let bytes = without_leading_zeros(bytes).to_vec();
        if bytes.last()? % 2 == 0 {
            return None;
        }
        let bits = bit_length(&bytes);
        let blocks = bits.checked_add(2)?.div_ceil(BLOCK_BITS);
        let digits = to_blocks(Digits::of(&bytes), blocks);
        let negated_inverse = to_blocks(negated_inverse(&bytes, blocks).into_iter(), blocks);
        let mut modulus = Self {
            bytes,
            digits,
            negated_inverse,
            square: Vec::new(),
        };
        // 2^s R by doubling, and R² = 2^(s 2^k) R by squaring k times.
        let r_bits = blocks.checked_mul(BLOCK_BITS)?;
        let squarings = r_bits.trailing_zeros();
        let power = r_bits.checked_add(r_bits.checked_shr(squarings)?)?;
        let mut square = to_blocks(Digits::of(&modulus.power_of_two(power)), blocks);
        let mut workspace = Workspace::new(&modulus);
        for _ in 0..squarings {
            workspace.square(&mut square);
        }
        modulus.square = square;
        Some(modulus)
    }

    /// The modulus, big-endian, without zeros in front.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its length in bits.
    pub(super) fn bits(&self) -> usize {
        bit_length(&self.bytes)
    }

    /// `base` to the power of an odd exponent of at least 3, modulo the modulus; both big-endian. The base is smaller
    /// than the modulus, and the power has as many bytes as it.
    pub(super) fn power(&self, base: &[u8], exponent: u64) -> Vec<u8> {
        let mut workspace = Workspace::new(self);
        let base = to_blocks(Digits::of(base), self.digits.len());
        // base · R, so that it stays a power of the base times R.
        let mut factor = base.clone();
        workspace.multiply(&mut factor, &self.square);
        let mut power = factor.clone();
        let bits = u64::BITS.saturating_sub(exponent.leading_zeros());
        for bit in (1..bits.saturating_sub(1)).rev() {
            workspace.square(&mut power);
            if exponent.wrapping_shr(bit) % 2 == 1 {
                workspace.multiply(&mut power, &factor);
            }
        }
        workspace.square(&mut power);
        // The last bit is set. Without R in the factor, the product is without it too.
        workspace.multiply(&mut power, &base);
        self.to_bytes(&power)
    }

    /// The number of these digits, which lies between -n and n, modulo n.
    fn to_bytes(&self, number: &[Lanes]) -> Vec<u8> {
        let digits = || number.iter().flat_map(|block| digits_of(*block));
        let mut carry = 0;
        let reduced: Vec<u16> = digits()
            .map(|digit| next_digit(digit, &mut carry))
            .collect();
        if carry == 0 {
            return bytes_of(reduced, self.bytes.len());
        }
        let modulus = self.digits.iter().flat_map(|block| digits_of(*block));
        let mut carry = 0;
        let reduced = digits()
            .zip(modulus)
            .map(|(digit, modulus)| next_digit(digit.wrapping_add(modulus), &mut carry));
        bytes_of(reduced, self.bytes.len())
    }

    /// 2^exponent modulo the modulus, big-endian. Takes time that grows with the exponent.
    fn power_of_two(&self, exponent: usize) -> Vec<u8> {
        let modulus: Vec<u32> = self.bytes.rchunks(4).map(limb).collect();
        // The largest power below the modulus, which is odd and not that power itself.
        let start = self.bits().saturating_sub(1);
        let mut power = alloc::vec![0; modulus.len()];
        if let Some(limb) = power.last_mut() {
            *limb = 1_u32.wrapping_shl(u32::try_from(start % 32).unwrap_or(0));
        }
        for _ in start..exponent {
            let mut bit = 0;
            for limb in &mut power {
                let next = *limb >> 31;
                *limb = limb.wrapping_shl(1) | bit;
                bit = next;
            }
            if bit == 1 || power.iter().rev().ge(modulus.iter().rev()) {
                let mut borrow = false;
                for (limb, subtrahend) in power.iter_mut().zip(&modulus) {
                    let (difference, first) = limb.overflowing_sub(*subtrahend);
                    let (difference, second) = difference.overflowing_sub(u32::from(borrow));
                    *limb = difference;
                    borrow = first || second;
                }
            }
        }
        power
            .iter()
            .rev()
            .flat_map(|limb| limb.to_be_bytes())
            .collect()
    }
}

/// The number of at most four big-endian bytes.
fn limb(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |limb: u32, byte| limb.wrapping_shl(8) | u32::from(*byte))
}

/// -1/n mod R, for n odd: digit by digit, the number whose product with n and 1 more has nothing but zeros.
fn negated_inverse(modulus: &[u8], blocks: usize) -> Vec<u16> {
    let modulus: Vec<u64> = Digits::of(modulus)
        .take(blocks.saturating_mul(8))
        .map(u64::from)
        .collect();
    let Some((lowest, others)) = modulus.split_first() else {
        return Vec::new();
    };
    // By Newton's method, which doubles the bits that are right: 1 bit, 2, 4, 8, 16.
    let inverse = (0..4).fold(1_u64, |inverse, _| {
        inverse.wrapping_mul(2_u64.wrapping_sub(lowest.wrapping_mul(inverse)))
    });
    let mask = u64::from(DIGIT_MASK.unsigned_abs());
    let mut digits = Vec::with_capacity(modulus.len());
    let mut rest = alloc::vec![0_u64; modulus.len()];
    let mut rest = rest.as_mut_slice();
    let mut carry = 1;
    while let Some((first, behind)) = rest.split_first_mut() {
        let found = first.wrapping_add(carry);
        let digit = found.wrapping_mul(inverse).wrapping_neg() & mask;
        // At most 632 digits, each product below 2^26: far from 2^64.
        carry = found.wrapping_add(digit.wrapping_mul(*lowest)) >> DIGIT_BITS;
        for (sum, other) in behind.iter_mut().zip(others) {
            *sum = sum.wrapping_add(digit.wrapping_mul(*other));
        }
        digits.push(u16::try_from(digit).unwrap_or_default());
        rest = behind;
    }
    digits
}

/// The digits of a big-endian number from the lowest, each 0 to 2^13 - 1, and zeros without an end.
struct Digits<'a> {
    bytes: core::iter::Rev<core::slice::Iter<'a, u8>>,
    window: u32,
    bits: u32,
}

impl<'a> Digits<'a> {
    fn of(number: &'a [u8]) -> Self {
        Self {
            bytes: number.iter().rev(),
            window: 0,
            bits: 0,
        }
    }
}

impl Iterator for Digits<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        while self.bits < DIGIT_BITS {
            let byte = self.bytes.next().copied().unwrap_or(0);
            self.window |= u32::from(byte).wrapping_shl(self.bits);
            self.bits = self.bits.wrapping_add(8);
        }
        let digit = self.window & DIGIT_MASK.unsigned_abs();
        self.window >>= DIGIT_BITS;
        self.bits = self.bits.wrapping_sub(DIGIT_BITS);
        u16::try_from(digit).ok()
    }
}

/// The blocks of a number whose digits are 0 to 2^13 - 1; zeros behind those that are there.
fn to_blocks(mut digits: impl Iterator<Item = u16>, blocks: usize) -> Vec<Lanes> {
    let mut carry = 0;
    let block = |_| {
        let digits = [(); 8].map(|()| {
            let number = i32::from(digits.next().unwrap_or(0)).wrapping_add(carry);
            carry = number.wrapping_add(HALF) >> DIGIT_BITS;
            let digit = number.wrapping_sub(carry.wrapping_shl(DIGIT_BITS));
            i16::try_from(digit).unwrap_or(0)
        });
        Lanes::from_digits(digits)
    };
    (0..blocks).map(block).collect()
}

fn digits_of(block: Lanes) -> impl Iterator<Item = i32> {
    block.to_digits().into_iter().map(i32::from)
}

/// The digit, 0 to 2^13 - 1, that `digit` and the carry of those below are; the carry becomes that for the next.
fn next_digit(digit: i32, carry: &mut i32) -> u16 {
    let number = digit.wrapping_add(*carry);
    *carry = number >> DIGIT_BITS;
    u16::try_from(number & DIGIT_MASK).unwrap_or(0)
}

/// The lowest `length` bytes, big-endian, of a number whose digits are 0 to 2^13 - 1.
fn bytes_of(digits: impl IntoIterator<Item = u16>, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    let (mut window, mut bits) = (0_u32, 0_u32);
    for digit in digits {
        window |= u32::from(digit).wrapping_shl(bits);
        bits = bits.wrapping_add(DIGIT_BITS);
        while bits >= 8 && bytes.len() < length {
            bytes.push(window.to_le_bytes()[0]);
            window >>= 8;
            bits = bits.wrapping_sub(8);
        }
        if bytes.len() == length {
            break;
        }
    }
    bytes.reverse();
    bytes
}

/// The memory that multiplications with one modulus share.
struct Workspace {
    // INVARIANT: three more than the modulus has blocks: one of zeros in front, and behind it the block that shifts
    // reach into, and one of zeros.
    modulus: Vec<Shifts>,
    negated_inverse: Vec<Shifts>,
    number: Vec<Shifts>,
    // From the highest block to the lowest, so that places that add up to the same stand in the same order.
    factor: Vec<Pairs>,
    product: Vec<Lanes>,
    // One block more than the modulus has.
    sum: Vec<Lanes>,
}

impl Workspace {
    fn new(modulus: &Modulus) -> Self {
        let blocks = modulus.digits.len();
        let mut workspace = Self {
            modulus: alloc::vec![[Lanes::ZERO; 8]; blocks.saturating_add(3)],
            negated_inverse: alloc::vec![[Lanes::ZERO; 8]; blocks.saturating_add(3)],
            number: alloc::vec![[Lanes::ZERO; 8]; blocks.saturating_add(3)],
            factor: alloc::vec![[Lanes::ZERO; 4]; blocks],
            product: alloc::vec![Lanes::ZERO; blocks.saturating_mul(2)],
            sum: alloc::vec![Lanes::ZERO; blocks.saturating_add(1)],
        };
        write_shifts(&modulus.digits, &mut workspace.modulus);
        write_shifts(&modulus.negated_inverse, &mut workspace.negated_inverse);
        workspace
    }

    /// `number` becomes `number² / R`.
    fn square(&mut self, number: &mut [Lanes]) {
        write_shifts(number, &mut self.number);
        write_pairs(number, &mut self.factor);
        square(number, &self.number, &self.factor, &mut self.product);
        self.reduce(number);
    }

    /// `number` becomes `number · factor / R`.
    fn multiply(&mut self, number: &mut [Lanes], factor: &[Lanes]) {
        write_shifts(number, &mut self.number);
        write_pairs(factor, &mut self.factor);
        multiply(&self.number, &self.factor, 0, &[], &mut self.product);
        self.reduce(number);
    }

    /// `number` becomes the product, divided by R.
    fn reduce(&mut self, number: &mut [Lanes]) {
        let blocks = number.len();
        let (low, _) = self.product.split_at_checked(blocks).unwrap_or_default();
        write_pairs(low, &mut self.factor);
        let (quotient, _) = self.sum.split_at_mut_checked(blocks).unwrap_or_default();
        multiply(&self.negated_inverse, &self.factor, 0, &[], quotient);
        write_pairs(quotient, &mut self.factor);
        // The lower half is a multiple of R, so that only what it carries matters. The highest of its blocks tells
        // that: those below are less than a 2^80th of it. Once its digits are small it is less than R in value, and
        // being a multiple, it is zero: all of it has been carried.
        let highest = blocks.saturating_sub(1);
        let (_, addend) = self.product.split_at_checked(highest).unwrap_or_default();
        multiply(&self.modulus, &self.factor, highest, addend, &mut self.sum);
        let (_, upper) = self.sum.split_at_checked(1).unwrap_or_default();
        for (block, upper) in number.iter_mut().zip(upper) {
            *block = *upper;
        }
    }
}

#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
fn write_shifts(number: &[Lanes], shifts: &mut [Shifts]) {
    let mut before = Lanes::ZERO;
    let mut slots = shifts.iter_mut().skip(1);
    for (block, slot) in number.iter().zip(&mut slots) {
        *slot = block.shifts(before);
        before = *block;
    }
    if let Some(slot) = slots.next() {
        *slot = Lanes::ZERO.shifts(before);
    }
}

#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
fn write_pairs(number: &[Lanes], pairs: &mut [Pairs]) {
    for (block, slot) in number.iter().rev().zip(pairs) {
        *slot = block.pairs();
    }
}

/// The sums of products for the places of a block.
#[derive(Clone, Copy)]
struct Sums {
    even: Lanes,
    odd: Lanes,
    /// What was split from them, which counts for the place above.
    even_high: Lanes,
    odd_high: Lanes,
}

impl Sums {
    const ZERO: Self = Self {
        even: Lanes::ZERO,
        odd: Lanes::ZERO,
        even_high: Lanes::ZERO,
        odd_high: Lanes::ZERO,
    };

    /// Adds the products of two blocks.
    #[inline]
    #[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
    fn add_products(&mut self, shifts: &Shifts, pairs: &Pairs) {
        let [s0, s1, s2, s3, s4, s5, s6, s7] = shifts;
        let [p0, p1, p2, p3] = pairs;
        self.even = self
            .even
            .plus(s1.dot(*p0))
            .plus(s3.dot(*p1))
            .plus(s5.dot(*p2))
            .plus(s7.dot(*p3));
        self.odd = self
            .odd
            .plus(s0.dot(*p0))
            .plus(s2.dot(*p1))
            .plus(s4.dot(*p2))
            .plus(s6.dot(*p3));
    }

    #[inline]
    #[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
    fn add_block(&mut self, block: Lanes) {
        self.even = self.even.plus(block.even());
        self.odd = self.odd.plus(block.odd());
    }

    #[inline]
    #[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
    fn split(&mut self) {
        self.even_high = self.even_high.plus(self.even.high());
        self.odd_high = self.odd_high.plus(self.odd.high());
        self.even = self.even.low();
        self.odd = self.odd.low();
    }

    #[inline]
    #[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
    fn double(&mut self) {
        self.even_high = self.even_high.twice();
        self.odd_high = self.odd_high.twice();
        self.even = self.even.twice();
        self.odd = self.odd.twice();
    }
}

/// What one block carries to the next.
struct Carries {
    high: Lanes,
    carry: Lanes,
}

impl Carries {
    const NONE: Self = Self {
        high: Lanes::ZERO,
        carry: Lanes::ZERO,
    };

    /// The digits of a block, from its sums and what the blocks below carry.
    #[inline]
    #[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
    fn digits(&mut self, mut sums: Sums) -> Lanes {
        sums.split();
        let even = sums.even.plus(sums.odd_high.behind(self.high));
        let (even, even_carry) = even.split();
        let odd = sums.odd.plus(sums.even_high).plus(even_carry);
        let (odd, odd_carry) = odd.split();
        let even = even.plus(odd_carry.behind(self.carry));
        self.high = sums.odd_high;
        self.carry = odd_carry;
        Lanes::interleave(even, odd)
    }
}

/// The sums for two neighbouring blocks: those of the products of each factor with the block of the same index, and
/// with the one behind it. Each block is read once, for the factor of its index and the one before.
///
/// Each caller has one of its own, `CALLER`, which compilers make a part of it: a call would take a tenth of the time.
#[inline]
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
fn accumulate<const CALLER: u8>(shifts: &[Shifts], factors: &[Pairs]) -> (Sums, Sums) {
    let (mut lower, mut upper) = (Sums::ZERO, Sums::ZERO);
    let mut shifts = shifts.iter();
    let (Some((first, factors)), Some(block)) = (factors.split_first(), shifts.next()) else {
        return (lower, upper);
    };
    lower.add_products(block, first);
    let mut before = *first;
    for chunk in factors.chunks(STEPS) {
        lower.split();
        upper.split();
        for (factor, block) in chunk.iter().zip(shifts.by_ref()) {
            upper.add_products(block, &before);
            lower.add_products(block, factor);
            before = *factor;
        }
    }
    if let Some(block) = shifts.next() {
        upper.add_products(block, &before);
    }
    (lower, upper)
}

/// Writes the blocks of the product from `from` on, and adds the addend to them. What the blocks below carry is left
/// out.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
fn multiply(
    shifts: &[Shifts],
    factors: &[Pairs],
    from: usize,
    addend: &[Lanes],
    product: &mut [Lanes],
) {
    let mut carries = Carries::NONE;
    let mut addend = addend.iter();
    let highest = factors.len().saturating_sub(1);
    for (two, block) in product.chunks_mut(2).zip((from..).step_by(2)) {
        // Block k of the one and m of the other count for k + m; k is -1 at least, with its zeros, as is one more
        // than there are.
        let last = block.saturating_add(1).min(highest);
        let first = block.saturating_sub(factors.len());
        let (mut lower, mut upper) = accumulate::<MULTIPLY>(
            shifts
                .get(block.saturating_add(1).saturating_sub(last)..)
                .unwrap_or_default(),
            factors
                .get(highest.saturating_sub(last)..factors.len().saturating_sub(first))
                .unwrap_or_default(),
        );
        for (slot, sums) in two.iter_mut().zip([&mut lower, &mut upper]) {
            if let Some(block) = addend.next() {
                sums.add_block(*block);
            }
            *slot = carries.digits(*sums);
        }
    }
}

/// Writes the square of a number. Of each two products of different blocks that are the same, one is computed and
/// doubled.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
fn square(number: &[Lanes], shifts: &[Shifts], factors: &[Pairs], product: &mut [Lanes]) {
    let mut carries = Carries::NONE;
    let blocks = factors.len();
    let mut numbers = number.iter();
    let mut block = numbers.next().copied().unwrap_or(Lanes::ZERO);
    // The own block m of the factor counts for 2 m and 2 m + 1, and so does m - 1 with m + 1, and so on.
    for ((middle, two), factor) in (0_usize..)
        .zip(product.chunks_mut(2))
        .zip(factors.iter().rev())
    {
        let first = middle.saturating_mul(2).saturating_sub(blocks);
        let above = middle.saturating_add(2);
        let (mut lower, mut upper) = accumulate::<SQUARE>(
            shifts.get(above..).unwrap_or_default(),
            factors
                .get(blocks.saturating_sub(middle)..blocks.saturating_sub(first))
                .unwrap_or_default(),
        );
        lower.split();
        lower.double();
        upper.split();
        upper.double();
        // The block itself once; what of its shifts is in the block above twice.
        let next = numbers.next().copied().unwrap_or(Lanes::ZERO);
        lower.add_products(&block.shifts(Lanes::ZERO), factor);
        if let Some(shifts) = shifts.get(above) {
            let mut doubled = next.shifts(Lanes::ZERO);
            for (digits, shift) in doubled.iter_mut().zip(shifts) {
                *digits = digits.plus_digits(*shift);
            }
            upper.add_products(&doubled, factor);
        }
        block = next;
        for (slot, sums) in two.iter_mut().zip([lower, upper]) {
            *slot = carries.digits(sums);
        }
    }
}
