//! ECDSA on P-384, P-521 and secp256k1 with the hashes of RFC 7518 §3.4 and RFC 8812 §3.2 (FIPS 186-5 §6.4.2).
//!
//! One code for all three: the curve is data, and so is the length of its numbers. Few tokens are signed so, and a proxy
//! compiles all code of the module before it starts.

mod curve;
mod multiples;
mod number;
mod point;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::cell::{Cell, OnceCell};

pub use self::curve::{Curve, P384, P521, SECP256K1};
use self::multiples::Tables;
use self::number::Number;
use self::point::Point;

/// In how many parts numbers are for a key that has signed something. Its tables are 9,216 bytes.
const PARTS: usize = 4;

/// A public key.
#[derive(Clone)]
pub struct PublicKey {
    curve: &'static Curve,
    coordinates: [Number; 2],
    /// Whether a signature was the key's. Only such a key gets tables, so that forged tokens cannot fill the memory.
    has_signed: Cell<bool>,
    tables: OnceCell<Tables>,
}

impl PublicKey {
    /// The key from a point in the form of SEC 1 §2.3.3, compressed or not. `None` when it is none of the curve, or the
    /// one at infinity.
    pub fn from_sec1_bytes(curve: &'static Curve, bytes: &[u8]) -> Option<Self> {
        let (form, coordinates) = bytes.split_first()?;
        let (x, rest) = coordinates.split_at_checked(curve.bytes)?;
        let x = Number::from_be_bytes(x)?;
        let y = match (form, rest) {
            (2 | 3, []) => curve.decompressed(&x, *form == 3)?,
            (4, rest) if rest.len() == curve.bytes => Number::from_be_bytes(rest)?,
            _ => return None,
        };
        let coordinates = [x, y];
        curve.entry(&coordinates)?;
        Some(Self {
            curve,
            coordinates,
            has_signed: Cell::new(false),
            tables: OnceCell::new(),
        })
    }

    /// The coordinates, in full length.
    pub fn coordinates(&self) -> [Vec<u8>; 2] {
        self.coordinates
            .map(|number| number.to_be_bytes(self.curve.bytes))
    }

    /// Whether `signature` is one of `message`: r and s behind each other in full length (RFC 7518 §3.4), neither 0 nor
    /// beyond the order. A high s is valid.
    #[inline(never)]
    pub fn is_valid(&self, message: &[u8], signature: &[u8]) -> bool {
        let digest = self.curve.hash.of(&[message]);
        let is_valid = self.verify(&digest, signature).is_some();
        self.has_signed.set(self.has_signed.get() || is_valid);
        is_valid
    }

    /// The digest has no more bits than the order.
    fn verify(&self, digest: &[u8], signature: &[u8]) -> Option<()> {
        let Curve { bytes, p, n, .. } = self.curve;
        let (r, s) = signature.split_at_checked(*bytes)?;
        if s.len() != *bytes {
            return None;
        }
        let (r, s) = (Number::from_be_bytes(r)?, Number::from_be_bytes(s)?);
        if [&r, &s]
            .iter()
            .any(|number| number.is_zero() || *number >= n.number())
        {
            return None;
        }
        let inverse = n.times_radix(&n.inverse(&s)?);
        let u1 = n.product(&Number::from_be_bytes(digest)?, &inverse);
        let u2 = n.product(&r, &inverse);
        let point = self.sum(&u1, &u2)?;
        if point.z.is_zero() {
            return None;
        }
        // Whether x is r modulo n. x is X / Z², below p: it is r, or r + n if that is below p too.
        let z_squared = p.square(&point.z);
        let is_x = |number: &Number| {
            number < p.number() && p.product(&p.times_radix(number), &z_squared) == point.x
        };
        (is_x(&r) || is_x(&r.plus(n.number()))).then_some(())
    }

    /// u1 · G + u2 · Q, for numbers below n.
    fn sum(&self, u1: &Number, u2: &Number) -> Option<Point> {
        let new = |parts| {
            let key = self.curve.entry(&self.coordinates)?;
            Tables::new(self.curve, &key, parts)
        };
        if !self.has_signed.get() {
            return Some(new(1)?.sum(self.curve, u1, u2));
        }
        let tables = match self.tables.get() {
            Some(tables) => tables,
            None => {
                let tables = new(PARTS)?;
                self.tables.get_or_init(|| tables)
            }
        };
        Some(tables.sum(self.curve, u1, u2))
    }
}
