//! Points of P-256: y² = x³ - 3x + b.

use alloc::vec::Vec;

use super::field::Element;
use crate::ec::comb::Group;
use crate::ec::limbs;
use crate::ec::words::Words;

/// The coefficient b.
const B: Words = Words([
    0x27d2_604b,
    0x3bce_3c3e,
    0xcc53_b0f6,
    0x651d_06b0,
    0x7698_86bc,
    0xb3eb_bd55,
    0xaa3a_93e7,
    0x5ac6_35d8,
]);

/// A point that is not at infinity: x and y, tight.
pub(super) type Entry = [[i32; 9]; 2];

/// A point with x = X / Z² and y = Y / Z³, all three tight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) x: Element,
    y: Element,
    pub(super) z: Element,
    pub(super) is_infinity: bool,
}

/// The group of the curve. Its order is prime.
pub(super) struct P256;

/// The point with these coordinates, if it is one of the curve.
pub(super) fn entry(x: &Words, y: &Words) -> Option<Entry> {
    let (x, y) = (Element::new(x)?, Element::new(y)?);
    let is_on_curve = y.squared().minus(&equation(&x)?).is_zero();
    is_on_curve.then(|| pack(&x, &y))
}

/// The y of the point with this x that is odd or even, if there is one.
pub(super) fn decompressed(x: &Words, is_odd: bool) -> Option<Words> {
    let root = equation(&Element::new(x)?)?.square_root()?;
    let y = root.words();
    if y.is_odd() == is_odd {
        return Some(y);
    }
    Some(root.negated().words())
}

/// x³ - 3x + b, tight.
fn equation(x: &Element) -> Option<Element> {
    let thrice = x.plus(x).plus(x);
    let sum = x.squared().times(x).minus(&thrice).plus(&Element::new(&B)?);
    Some(sum.carried())
}

fn pack(x: &Element, y: &Element) -> Entry {
    [limbs::packed(&x.0), limbs::packed(&y.0)]
}

impl Group for P256 {
    type Sum = Point;
    type Entry = Entry;

    const ZERO: Point = Point {
        x: Element::ONE,
        y: Element::ONE,
        z: Element::ZERO,
        is_infinity: true,
    };

    /// By dbl-2001-b of the Explicit-Formulas Database.
    fn double(point: &Point) -> Point {
        if point.is_infinity {
            return *point;
        }
        let Point { x, y, z, .. } = point;
        let delta = z.squared();
        let gamma = y.squared();
        let twice_gamma = gamma.plus(&gamma).carried();
        let twice_beta = x.times(&twice_gamma);
        let third = x.plus(&delta).times(&x.minus(&delta));
        let alpha = third.plus(&third).plus(&third).carried();
        let beta4 = twice_beta.plus(&twice_beta);
        let x = alpha.squared().minus(&beta4).minus(&beta4).carried();
        // 8 gamma².
        let square = twice_gamma.squared();
        let last = square.plus(&square);
        let z = y.plus(y).times(z);
        let y = beta4.minus(&x).times(&alpha).minus(&last).carried();
        Point {
            x,
            y,
            z,
            // There is no point of order two.
            is_infinity: false,
        }
    }

    fn add(point: &Point, other: &Entry, negated: bool) -> Point {
        let [other_x, other_y] = other.each_ref().map(|it| Element(limbs::unpacked(it)));
        let other_y = if negated { other_y.negated() } else { other_y };
        if point.is_infinity {
            return Point {
                x: other_x,
                y: other_y.carried(),
                z: Element::ONE,
                is_infinity: false,
            };
        }
        let Point { x, y, z, .. } = point;
        let z_squared = z.squared();
        let h = other_x.times(&z_squared).minus(x);
        let r = other_y.times(&z_squared.times(z)).minus(y);
        if h.is_zero() {
            // The same x: the same point or its negative.
            return if r.is_zero() {
                Self::double(point)
            } else {
                Self::ZERO
            };
        }
        let h_squared = h.squared();
        let h_cubed = h_squared.times(&h);
        let v = x.times(&h_squared);
        let new_x = r.squared().minus(&h_cubed).minus(&v).minus(&v).carried();
        let new_y = v.minus(&new_x).times(&r).minus(&h_cubed.times(y)).carried();
        Point {
            x: new_x,
            y: new_y,
            z: z.times(&h),
            is_infinity: false,
        }
    }

    fn entries(points: &[Point]) -> Option<Vec<Entry>> {
        // One inversion for all: of the product of every z.
        let mut products = Vec::with_capacity(points.len());
        let mut product = Element::ONE;
        for point in points {
            products.push(product);
            product = product.times(&point.z);
        }
        // 0 when one of them is at infinity.
        let mut inverse = product.inverse()?;
        let mut entries = Vec::with_capacity(points.len());
        for (point, before) in points.iter().zip(&products).rev() {
            let inverse_z = inverse.times(before);
            inverse = inverse.times(&point.z);
            let square = inverse_z.squared();
            let x = point.x.times(&square);
            let y = point.y.times(&square.times(&inverse_z));
            entries.push(pack(&x, &y));
        }
        entries.reverse();
        Some(entries)
    }
}
