//! Points of the curves.

use alloc::vec::Vec;

use super::curve::Curve;
use super::number::Number;

/// A point that is not at infinity: x and y, each times R.
pub(super) type Entry = [Number; 2];

/// A point with x = X / Z² and y = Y / Z³, each times R. It is at infinity when Z is 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) x: Number,
    pub(super) y: Number,
    pub(super) z: Number,
}

impl Point {
    pub(super) const INFINITY: Self = Self {
        x: Number::ZERO,
        y: Number::ZERO,
        z: Number::ZERO,
    };
}

impl Curve {
    /// The point with these coordinates, if it is one of the curve.
    pub(super) fn entry(&self, coordinates: &[Number; 2]) -> Option<Entry> {
        let p = &self.p;
        if coordinates.iter().any(|number| number >= p.number()) {
            return None;
        }
        let [x, y] = coordinates.each_ref().map(|number| p.times_radix(number));
        (p.square(&y) == self.equation(&x)).then_some([x, y])
    }

    /// The y of the point with this x that is odd or even, if there is one.
    pub(super) fn decompressed(&self, x: &Number, is_odd: bool) -> Option<Number> {
        if x >= self.p.number() {
            return None;
        }
        let y = self.p.square_root(&self.equation(&self.p.times_radix(x)))?;
        let y = self.p.without_radix(&y);
        if y.is_odd() == is_odd {
            return Some(y);
        }
        // Of 0, which is its own negative, this is p, which no point has.
        Some(self.p.number().minus(&y).0)
    }

    /// x³ + a x + b.
    fn equation(&self, x: &Number) -> Number {
        let p = &self.p;
        let mut sum = p.sum(&p.product(&p.square(x), x), &p.times_radix(&self.b));
        if self.is_a_minus_three {
            for _ in 0..3 {
                sum = p.difference(&sum, x);
            }
        }
        sum
    }

    /// Twice the point: by dbl-2001-b of the Explicit-Formulas Database, which a = 0 has with another alpha. There is no
    /// point of order two, and Z of the one at infinity stays 0.
    pub(super) fn double(&self, point: &Point) -> Point {
        let p = &self.p;
        let Point { x, y, z } = point;
        let twice = |number: &Number| p.sum(number, number);
        let third = if self.is_a_minus_three {
            let delta = p.square(z);
            p.product(&p.sum(x, &delta), &p.difference(x, &delta))
        } else {
            p.square(x)
        };
        let alpha = p.sum(&twice(&third), &third);
        let twice_gamma = twice(&p.square(y));
        let beta4 = twice(&p.product(x, &twice_gamma));
        let z = p.product(&twice(y), z);
        let x = p.difference(&p.square(&alpha), &twice(&beta4));
        // 8 gamma².
        let last = twice(&p.square(&twice_gamma));
        let y = p.difference(&p.product(&alpha, &p.difference(&beta4, &x)), &last);
        Point { x, y, z }
    }

    /// The sum of both; with the negative of the second if so asked.
    pub(super) fn add(&self, point: &Point, other: &Entry, negated: bool) -> Point {
        let p = &self.p;
        let [other_x, other_y] = other;
        let negative;
        let other_y = if negated {
            negative = p.difference(&Number::ZERO, other_y);
            &negative
        } else {
            other_y
        };
        let Point { x, y, z } = point;
        if z.is_zero() {
            return Point {
                x: *other_x,
                y: *other_y,
                z: p.times_radix(&Number::ONE),
            };
        }
        let z_squared = p.square(z);
        let h = p.difference(&p.product(other_x, &z_squared), x);
        let r = p.difference(&p.product(other_y, &p.product(&z_squared, z)), y);
        if h.is_zero() {
            // The same x: the same point or its negative.
            return if r.is_zero() {
                self.double(point)
            } else {
                Point::INFINITY
            };
        }
        let h_squared = p.square(&h);
        let h_cubed = p.product(&h_squared, &h);
        let v = p.product(x, &h_squared);
        let new_x = p.difference(&p.square(&r), &h_cubed);
        let new_x = p.difference(&new_x, &p.sum(&v, &v));
        let new_y = p.product(&r, &p.difference(&v, &new_x));
        Point {
            x: new_x,
            y: p.difference(&new_y, &p.product(&h_cubed, y)),
            z: p.product(z, &h),
        }
    }

    /// The points as a table keeps them. `None` when one of them is at infinity.
    pub(super) fn entries(&self, points: &[Point]) -> Option<Vec<Entry>> {
        let p = &self.p;
        // One inversion for all: of the product of every z.
        let mut products = Vec::with_capacity(points.len());
        let mut product = p.times_radix(&Number::ONE);
        for point in points {
            products.push(product);
            product = p.product(&product, &point.z);
        }
        // 0 when one of them is at infinity.
        let inverse = p.inverse(&p.without_radix(&product))?;
        let mut inverse = p.times_radix(&inverse);
        let mut entries = Vec::with_capacity(points.len());
        for (point, before) in points.iter().zip(&products).rev() {
            let inverse_z = p.product(&inverse, before);
            inverse = p.product(&inverse, &point.z);
            let square = p.square(&inverse_z);
            entries.push([
                p.product(&point.x, &square),
                p.product(&point.y, &p.product(&square, &inverse_z)),
            ]);
        }
        entries.reverse();
        Some(entries)
    }
}
