//! Multiples of points by combs (Lim and Lee, "More flexible exponentiation with precomputation", 1994) with signed
//! digits.
//!
//! An odd number k below 2^l is the sum of ±2^i for i below l, each with a sign: + where bit i + 1 of k + 2^l is set.
//! With `teeth` · `spacing` = l, the signs at i, i + spacing, i + 2 spacing and so on are a column. For each column one
//! point is added that is in a table, up to its sign, and the sum is doubled once between two columns. So a table of
//! 2^(teeth - 1) points takes the doublings down to `spacing`.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "numbers of teeth and bits, far below their limits"
)]

use alloc::vec::Vec;

use super::words::Words;

/// How many bits numbers have at most.
const SCALAR_BITS: u32 = 256;

/// A group of points.
pub(super) trait Group {
    /// A sum of points.
    type Sum: Copy;
    /// A point in a table.
    type Entry: Copy + 'static;

    /// The neutral point.
    const ZERO: Self::Sum;

    /// Twice the point.
    fn double(point: &Self::Sum) -> Self::Sum;

    /// The sum of both; with the negative of the second if so asked.
    fn add(point: &Self::Sum, other: &Self::Entry, negated: bool) -> Self::Sum;

    /// The points as a table keeps them. `None` when one of them is the neutral one and a table cannot keep that.
    fn entries(points: &[Self::Sum]) -> Option<Vec<Self::Entry>>;
}

/// The points of a table, and how far the teeth are from each other.
#[derive(Clone, Copy)]
pub(super) struct Comb<'t, E> {
    /// Point number n is that of the last tooth with, for each other tooth i, plus or minus the point of that: plus if
    /// bit i of n is set. There are 2^(teeth - 1).
    pub(super) table: &'t [E],
    pub(super) teeth: u32,
}

/// An odd number as signs of powers of two.
pub(super) struct Signs {
    /// Bit i + 1 of the number says the sign of 2^i.
    number: Words,
}

impl Signs {
    /// The signs of an odd number.
    pub(super) fn of_odd(number: Words) -> Self {
        Self { number }
    }
}

impl<'t, E: Copy> Comb<'t, E> {
    fn spacing(&self) -> u32 {
        SCALAR_BITS.div_ceil(self.teeth.max(1))
    }

    /// The point of a column, and whether its negative is meant.
    fn entry(&self, signs: &Signs, column: u32) -> Option<(&'t E, bool)> {
        let spacing = self.spacing();
        // The sign of the highest power is + always, as k is positive.
        let last = spacing * self.teeth - 1;
        let mut digit = 0;
        let mut tooth = self.teeth;
        while tooth > 0 {
            tooth -= 1;
            let power = column + spacing * tooth;
            let positive = if power == last {
                1
            } else {
                signs.number.bit(power + 1)
            };
            digit = digit << 1 | positive;
        }
        let mask = (1_u32 << (self.teeth - 1)) - 1;
        let negated = digit >> (self.teeth - 1) == 0;
        let index = if negated { !digit } else { digit } & mask;
        let entry = self.table.get(usize::try_from(index).ok()?)?;
        Some((entry, negated))
    }
}

/// The table of a comb for the multiples of a point.
///
/// The points of a table are the same multiples of any point, and none of them a multiple of the order of P-256; so
/// there is a table for every point there. On edwards25519 a table can keep any point.
pub(super) fn table<G: Group>(point: &G::Entry, teeth: u32) -> Option<Vec<G::Entry>> {
    let comb = Comb::<G::Entry> { table: &[], teeth };
    // For each tooth its point, and twice that.
    let mut points = Vec::new();
    let mut next = G::add(&G::ZERO, point, false);
    for tooth in 1..=teeth {
        points.push(next);
        next = G::double(&next);
        points.push(next);
        if tooth < teeth {
            for _ in 1..comb.spacing() {
                next = G::double(&next);
            }
        }
    }
    let points = G::entries(&points)?;
    let mut pairs: Vec<(G::Entry, G::Entry)> = Vec::new();
    for pair in points.chunks_exact(2) {
        if let [point, twice] = pair {
            pairs.push((*point, *twice));
        }
    }
    let (last, _) = pairs.pop()?;
    let mut sums = alloc::vec![G::add(&G::ZERO, &last, false)];
    for (point, _) in &pairs {
        for sum in &mut sums {
            *sum = G::add(sum, point, true);
        }
    }
    for (_, twice) in &pairs {
        for index in 0..sums.len() {
            if let Some(sum) = sums.get(index) {
                sums.push(G::add(sum, twice, false));
            }
        }
    }
    G::entries(&sums)
}

/// The sum of two multiples of the points of the combs: as often as the signs say, or the negative of that.
pub(super) fn sum<G: Group>(
    first: (&Comb<'_, G::Entry>, &Signs, bool),
    second: (&Comb<'_, G::Entry>, &Signs, bool),
) -> Option<G::Sum> {
    let columns = first.0.spacing().max(second.0.spacing());
    let mut sum = G::ZERO;
    for column in (0..columns).rev() {
        sum = G::double(&sum);
        for (comb, signs, is_negative) in [first, second] {
            if column < comb.spacing() {
                let (entry, negated) = comb.entry(signs, column)?;
                sum = G::add(&sum, entry, negated != is_negative);
            }
        }
    }
    Some(sum)
}
