//! Numbers in nine signed limbs of 29 bits, and their products.
//!
//! A number is _tight_ when its limbs are from 0 to 2^29, give or take 2^15, and the last one, which may be negative,
//! stays within ±2^26. Reduced numbers are. A sum or difference of tight ones is not, and it is not brought back to
//! that before it is multiplied: its _weight_ says how many times 2^29 + 2^16 its limbs are at most, and how many times
//! 2^26 the last one. A difference of two has weight 1 but for its last limb, which may have 2; a sum of two has
//! weight 2.
//!
//! INVARIANT: the weights of two factors have a product of 3 at most. A column of their product has eight terms of
//! full size at most (in the middle one of nine, two have a last limb, which is short), so it stays within
//! 3 · 8 · (2^29 + 2^16)^2 < 0.751 · 2^63. What a reduction adds to a column is below 2^56.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "no column leaves 64 bits, as above"
)]

/// The limbs of a number, the least significant first.
pub(super) type Limbs = [i64; 9];

/// How many bits a limb has.
pub(super) const BITS: u32 = 29;

/// The bits of a limb.
pub(super) const MASK: i64 = (1 << BITS) - 1;

/// The columns of the product of two numbers, not carried.
#[inline(always)]
pub(super) const fn product(a: &Limbs, b: &Limbs) -> [i64; 17] {
    let [a0, a1, a2, a3, a4, a5, a6, a7, a8] = *a;
    let [b0, b1, b2, b3, b4, b5, b6, b7, b8] = *b;
    [
        a0 * b0,
        a0 * b1 + a1 * b0,
        a0 * b2 + a1 * b1 + a2 * b0,
        a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0,
        a0 * b4 + a1 * b3 + a2 * b2 + a3 * b1 + a4 * b0,
        a0 * b5 + a1 * b4 + a2 * b3 + a3 * b2 + a4 * b1 + a5 * b0,
        a0 * b6 + a1 * b5 + a2 * b4 + a3 * b3 + a4 * b2 + a5 * b1 + a6 * b0,
        a0 * b7 + a1 * b6 + a2 * b5 + a3 * b4 + a4 * b3 + a5 * b2 + a6 * b1 + a7 * b0,
        a0 * b8 + a1 * b7 + a2 * b6 + a3 * b5 + a4 * b4 + a5 * b3 + a6 * b2 + a7 * b1 + a8 * b0,
        a1 * b8 + a2 * b7 + a3 * b6 + a4 * b5 + a5 * b4 + a6 * b3 + a7 * b2 + a8 * b1,
        a2 * b8 + a3 * b7 + a4 * b6 + a5 * b5 + a6 * b4 + a7 * b3 + a8 * b2,
        a3 * b8 + a4 * b7 + a5 * b6 + a6 * b5 + a7 * b4 + a8 * b3,
        a4 * b8 + a5 * b7 + a6 * b6 + a7 * b5 + a8 * b4,
        a5 * b8 + a6 * b7 + a7 * b6 + a8 * b5,
        a6 * b8 + a7 * b7 + a8 * b6,
        a7 * b8 + a8 * b7,
        a8 * b8,
    ]
}

/// The columns of the square of a number.
#[inline(always)]
pub(super) const fn square(a: &Limbs) -> [i64; 17] {
    let [a0, a1, a2, a3, a4, a5, a6, a7, a8] = *a;
    let [d0, d1, d2, d3] = [2 * a0, 2 * a1, 2 * a2, 2 * a3];
    let [d4, d5, d6, d7] = [2 * a4, 2 * a5, 2 * a6, 2 * a7];
    [
        a0 * a0,
        d0 * a1,
        d0 * a2 + a1 * a1,
        d0 * a3 + d1 * a2,
        d0 * a4 + d1 * a3 + a2 * a2,
        d0 * a5 + d1 * a4 + d2 * a3,
        d0 * a6 + d1 * a5 + d2 * a4 + a3 * a3,
        d0 * a7 + d1 * a6 + d2 * a5 + d3 * a4,
        d0 * a8 + d1 * a7 + d2 * a6 + d3 * a5 + a4 * a4,
        d1 * a8 + d2 * a7 + d3 * a6 + d4 * a5,
        d2 * a8 + d3 * a7 + d4 * a6 + a5 * a5,
        d3 * a8 + d4 * a7 + d5 * a6,
        d4 * a8 + d5 * a7 + a6 * a6,
        d5 * a8 + d6 * a7,
        d6 * a8 + a7 * a7,
        d7 * a8,
        a8 * a8,
    ]
}

/// The sum, limb by limb.
#[inline(always)]
pub(super) const fn sum(a: &Limbs, b: &Limbs) -> Limbs {
    let [a0, a1, a2, a3, a4, a5, a6, a7, a8] = *a;
    let [b0, b1, b2, b3, b4, b5, b6, b7, b8] = *b;
    [
        a0 + b0,
        a1 + b1,
        a2 + b2,
        a3 + b3,
        a4 + b4,
        a5 + b5,
        a6 + b6,
        a7 + b7,
        a8 + b8,
    ]
}

/// The difference, limb by limb.
#[inline(always)]
pub(super) const fn difference(a: &Limbs, b: &Limbs) -> Limbs {
    let [a0, a1, a2, a3, a4, a5, a6, a7, a8] = *a;
    let [b0, b1, b2, b3, b4, b5, b6, b7, b8] = *b;
    [
        a0 - b0,
        a1 - b1,
        a2 - b2,
        a3 - b3,
        a4 - b4,
        a5 - b5,
        a6 - b6,
        a7 - b7,
        a8 - b8,
    ]
}

/// Moves what is above 29 bits of each limb into the next one. The last one keeps what comes to it.
#[inline(always)]
pub(super) const fn carried(limbs: &Limbs) -> Limbs {
    let [a0, a1, a2, a3, a4, a5, a6, a7, a8] = *limbs;
    let a1 = a1 + (a0 >> BITS);
    let a2 = a2 + (a1 >> BITS);
    let a3 = a3 + (a2 >> BITS);
    let a4 = a4 + (a3 >> BITS);
    let a5 = a5 + (a4 >> BITS);
    let a6 = a6 + (a5 >> BITS);
    let a7 = a7 + (a6 >> BITS);
    let a8 = a8 + (a7 >> BITS);
    [
        a0 & MASK,
        a1 & MASK,
        a2 & MASK,
        a3 & MASK,
        a4 & MASK,
        a5 & MASK,
        a6 & MASK,
        a7 & MASK,
        a8,
    ]
}

/// Whether `a` is the larger number or the same. Both are carried.
pub(super) fn is_at_least(a: &Limbs, b: &Limbs) -> bool {
    a.iter().rev().ge(b.iter().rev())
}

/// The number below `modulus`, of one that is carried, above -`modulus` and below twice that.
pub(super) fn settled(limbs: &Limbs, modulus: &Limbs) -> Limbs {
    let mut limbs = *limbs;
    let [.., top] = limbs;
    if top < 0 {
        limbs = carried(&sum(&limbs, modulus));
    }
    if is_at_least(&limbs, modulus) {
        limbs = carried(&difference(&limbs, modulus));
    }
    limbs
}

/// The limbs as a table keeps them: each of a tight number fits 32 bits.
pub(super) fn packed(limbs: &Limbs) -> [i32; 9] {
    limbs.map(|limb| limb as i32)
}

/// The limbs of a number in a table.
#[inline(always)]
pub(super) fn unpacked(limbs: &[i32; 9]) -> Limbs {
    limbs.map(i64::from)
}
