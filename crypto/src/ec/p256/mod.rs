//! ECDSA on P-256 with SHA-256 (FIPS 186-5 §6.4.2).

mod field;
mod generator;
mod point;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use core::cell::{Cell, OnceCell};

use self::field::Element;
use self::point::{Entry, P256, Point};
use super::comb::{self, Comb, Signs};
use super::scalar::Order;
use super::words::Words;
use crate::Hash;

/// n, the order of the group.
static ORDER: Order = Order::new([
    0xfc63_2551,
    0xf3b9_cac2,
    0xa717_9e84,
    0xbce6_faad,
    0xffff_ffff,
    0xffff_ffff,
    0,
    0xffff_ffff,
]);

/// The table of the base point G.
const GENERATOR: Comb<'static, Entry> = Comb {
    table: &generator::TABLE,
    teeth: 8,
};

/// The teeth for a key that has not signed anything yet: its table is made for one check.
const FIRST_TEETH: u32 = 4;
/// The teeth for a key that has. Its table has 64 points of 72 bytes each.
const TEETH: u32 = 7;

/// A public key.
#[derive(Clone)]
pub struct PublicKey {
    x: Words,
    y: Words,
    /// Whether a signature was the key's. Only such a key gets a table, so that forged tokens cannot fill the memory.
    has_signed: Cell<bool>,
    table: OnceCell<Box<[Entry]>>,
}

impl PublicKey {
    /// The key from a point in the form of SEC 1 §2.3.3, compressed or not. `None` when it is none of the curve, or the
    /// one at infinity.
    pub fn from_sec1_bytes(bytes: &[u8]) -> Option<Self> {
        let (form, coordinates) = bytes.split_first()?;
        let (x, rest) = coordinates.split_first_chunk()?;
        let x = Words::from_be_bytes(x);
        let y = match (form, rest) {
            (2 | 3, []) => point::decompressed(&x, *form == 3)?,
            (4, rest) => Words::from_be_bytes(rest.try_into().ok()?),
            _ => return None,
        };
        point::entry(&x, &y)?;
        Some(Self {
            x,
            y,
            has_signed: Cell::new(false),
            table: OnceCell::new(),
        })
    }

    /// The coordinates, 32 bytes each.
    pub fn coordinates(&self) -> [[u8; 32]; 2] {
        [self.x.to_be_bytes(), self.y.to_be_bytes()]
    }

    /// Whether `signature` is one of `message`: r and s behind each other in full length (RFC 7518 §3.4), neither 0 nor
    /// beyond the order. A high s is valid.
    #[inline(never)]
    pub fn is_valid(&self, message: &[u8], signature: &[u8]) -> bool {
        let digest = Hash::Sha256.of(&[message]);
        let digest = digest.first_chunk();
        let is_valid = digest.is_some_and(|digest| self.verify(digest, signature).is_some());
        self.has_signed.set(self.has_signed.get() || is_valid);
        is_valid
    }

    fn verify(&self, digest: &[u8; 32], signature: &[u8]) -> Option<()> {
        let signature: &[u8; 64] = signature.try_into().ok()?;
        let (r, s) = signature.split_first_chunk()?;
        let r = Words::from_be_bytes(r);
        let s = Words::from_be_bytes(s.try_into().ok()?);
        if [&r, &s]
            .iter()
            .any(|number| number.is_zero() || *number >= ORDER.words())
        {
            return None;
        }
        let inverse = ORDER.times_radix(&ORDER.inverse(&s)?);
        let u1 = ORDER.montgomery_product(&Words::from_be_bytes(digest), &inverse);
        let u2 = ORDER.montgomery_product(&r, &inverse);
        let point = self.sum(&u1, &u2)?;
        if point.is_infinity {
            return None;
        }
        // Whether x is r modulo n. x is X / Z², below p: it is r, or r + n if that is below p too.
        let z_squared = point.z.squared();
        let is_x = |number: &Words| {
            Element::new(number)
                .is_some_and(|number| number.times(&z_squared).minus(&point.x).is_zero())
        };
        let (beyond, is_too_large) = r.plus(ORDER.words());
        (is_x(&r) || !is_too_large && is_x(&beyond)).then_some(())
    }

    /// u1 · G + u2 · Q, for numbers below n.
    fn sum(&self, u1: &Words, u2: &Words) -> Option<Point> {
        let (signs1, negated1) = signs(u1);
        let (signs2, negated2) = signs(u2);
        let temporary;
        let (table, teeth) = if self.has_signed.get() {
            let table = match self.table.get() {
                Some(table) => table,
                None => {
                    let table = comb::table::<P256>(&self.entry()?, TEETH)?;
                    self.table.get_or_init(|| table.into_boxed_slice())
                }
            };
            (table.as_ref(), TEETH)
        } else {
            temporary = comb::table::<P256>(&self.entry()?, FIRST_TEETH)?;
            (temporary.as_slice(), FIRST_TEETH)
        };
        let comb = Comb { table, teeth };
        comb::sum::<P256>((&GENERATOR, &signs1, negated1), (&comb, &signs2, negated2))
    }

    fn entry(&self) -> Option<Entry> {
        point::entry(&self.x, &self.y)
    }
}

/// A number below n, or n minus that number, whichever is odd; and whether it is the latter.
fn signs(number: &Words) -> (Signs, bool) {
    if number.is_odd() {
        (Signs::of_odd(*number), false)
    } else {
        (Signs::of_odd(ORDER.words().minus(number).0), true)
    }
}
