//! Points of edwards25519: -x² + y² = 1 + d x² y².

use alloc::vec::Vec;

use super::field::Element;
use crate::ec::comb::Group;
use crate::ec::limbs;
use crate::ec::words::Words;

/// The coefficient d.
const D: Element = Element([
    0x135978a3, 0xf5a6e50, 0x10762add, 0x149a82, 0x1e898007, 0x3cbbbc, 0x19ce331d, 0x1dc56dff,
    0x52036c,
]);
/// Twice d.
const TWICE_D: Element = Element([
    0x6b2f159, 0x1eb4dca1, 0xec55ba, 0x293505, 0x1d13000e, 0x797779, 0x139c663a, 0x1b8adbff,
    0x2406d9,
]);
/// A square root of -1.
const ROOT_OF_MINUS_ONE: Element = Element([
    0xa0ea0b0, 0x770d93a, 0xbf91e31, 0x6300d5a, 0x1d7a72f4, 0x4c9efd, 0x1c2cad34, 0x1009f83b,
    0x2b8324,
]);

/// A point: y + x, y - x and 2dxy, tight.
pub(super) type Entry = [[i32; 9]; 3];

/// A point with x = e / g and y = h / f. The products e·f, e·h, f·g and g·h are within what can be multiplied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    e: Element,
    f: Element,
    g: Element,
    h: Element,
}

/// The group of the curve. Its order is eight times a prime, and its formulas hold for all points.
pub(super) struct Edwards25519;

/// The point with this encoding (RFC 8032 §5.1.3), if there is one. A y that is not below p is taken for what it is
/// modulo p, and a sign that an x of 0 does not have is not looked at.
pub(super) fn decompressed(encoded: &[u8; 32]) -> Option<[Element; 2]> {
    let [.., last] = encoded;
    let is_negative = last >> 7 == 1;
    let y = Element::new(&Words::from_le_bytes(encoded));
    let square = y.squared();
    let u = square.minus(&Element::ONE).carried();
    let v = square.times(&D).plus(&Element::ONE).carried();
    // The square root of u / v is u v³ (u v⁷)^((p - 5) / 8), or that times the root of -1.
    let v3 = v.squared().times(&v);
    let v7 = v3.squared().times(&v);
    let root = u.times(&v7).power_of_eighth().times(&v3).times(&u);
    let check = root.squared().times(&v);
    let root = if check.minus(&u).is_zero() {
        root
    } else if check.plus(&u).is_zero() {
        root.times(&ROOT_OF_MINUS_ONE)
    } else {
        return None;
    };
    if root.words().is_odd() == is_negative {
        Some([root, y])
    } else {
        Some([root.negated().carried(), y])
    }
}

/// The entry of the point with these coordinates, which are tight.
pub(super) fn entry([x, y]: &[Element; 2]) -> Entry {
    [
        y.plus(x).carried(),
        y.minus(x).carried(),
        x.times(y).times(&TWICE_D),
    ]
    .map(|it| limbs::packed(&it.0))
}

impl Point {
    /// Whether the order is 1, 2, 4 or 8.
    pub(super) fn has_small_order(&self) -> bool {
        // Twice the point then has an order of 1, 2 or 4: it has an x or a y of 0.
        let Self { e, h, .. } = Edwards25519::double(self);
        e.is_zero() || h.is_zero()
    }

    /// The encoding of the point (RFC 8032 §5.1.2).
    pub(super) fn compressed(&self) -> Option<[u8; 32]> {
        // The formulas never give a denominator of 0.
        let Self { e, f, g, h } = self;
        let inverse = f.times(g).inverse()?;
        let x = e.times(f).times(&inverse);
        let y = g.times(h).times(&inverse);
        let mut encoded = y.words().to_le_bytes();
        let [.., last] = &mut encoded;
        *last |= u8::from(x.words().is_odd()) << 7;
        Some(encoded)
    }
}

impl Group for Edwards25519 {
    type Sum = Point;
    type Entry = Entry;

    const ZERO: Point = Point {
        e: Element::ZERO,
        f: Element::ONE,
        g: Element::ONE,
        h: Element::ONE,
    };

    /// By dbl-2008-hwcd of the Explicit-Formulas Database, with f and h negated.
    fn double(point: &Point) -> Point {
        let Point { e, f, g, h } = point;
        let (x, y, z) = (e.times(f), g.times(h), f.times(g));
        let (xx, yy, zz) = (x.squared(), y.squared(), z.squared());
        let g = yy.minus(&xx);
        Point {
            e: x.plus(&x).times(&y),
            f: zz.plus(&zz).minus(&g).carried(),
            g,
            h: yy.plus(&xx),
        }
    }

    /// By madd-2008-hwcd-3 of the Explicit-Formulas Database.
    fn add(point: &Point, other: &Entry, negated: bool) -> Point {
        let [plus, minus, product] = other.each_ref().map(|it| Element(limbs::unpacked(it)));
        let (plus, minus, product) = if negated {
            (minus, plus, product.negated())
        } else {
            (plus, minus, product)
        };
        let Point { e, f, g, h } = point;
        let (x, y, z, t) = (e.times(f), g.times(h), f.times(g), e.times(h));
        let a = y.minus(&x).times(&minus);
        let b = y.plus(&x).times(&plus);
        let c = t.times(&product);
        let d = z.plus(&z);
        Point {
            e: b.minus(&a),
            f: d.minus(&c),
            g: d.plus(&c).carried(),
            h: b.plus(&a),
        }
    }

    fn entries(points: &[Point]) -> Option<Vec<Entry>> {
        // One inversion for all: of the product of every z.
        let mut products = Vec::with_capacity(points.len());
        let mut product = Element::ONE;
        for Point { f, g, .. } in points {
            products.push(product);
            product = product.times(&f.times(g));
        }
        let mut inverse = product.inverse()?;
        let mut entries = Vec::with_capacity(points.len());
        for (Point { e, f, g, h }, before) in points.iter().zip(&products).rev() {
            let inverse_z = inverse.times(before);
            inverse = inverse.times(&f.times(g));
            let x = e.times(f).times(&inverse_z);
            let y = g.times(h).times(&inverse_z);
            entries.push(entry(&[x, y]));
        }
        entries.reverse();
        Some(entries)
    }
}
