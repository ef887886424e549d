//! EdDSA on edwards25519 (RFC 8032 §5.1), accepting one signature only for each key and message.

mod field;
mod generator;
mod point;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use core::cell::{Cell, OnceCell};

use self::point::{Edwards25519, Entry, Point};
use super::comb::{self, Comb, Group, Signs};
use super::scalar::Order;
use super::words::Words;
use crate::Hash;

/// L, the order of the base point.
static ORDER: Order = Order::new([
    0x5cf5_d3ed,
    0x5812_631a,
    0xa2f7_9cd6,
    0x14de_f9de,
    0,
    0,
    0,
    0x1000_0000,
]);

/// The table of the base point B.
const GENERATOR: Comb<'static, Entry> = Comb {
    table: &generator::TABLE,
    teeth: 8,
};

/// The teeth for a key that has not signed anything yet: its table is made for one check.
const FIRST_TEETH: u32 = 4;
/// The teeth for a key that has. Its table has 64 points of 108 bytes each.
const TEETH: u32 = 7;

/// A public key.
#[derive(Clone)]
pub struct PublicKey {
    encoded: [u8; 32],
    /// The negative of the point.
    negative: Entry,
    /// Whether a signature was the key's. Only such a key gets a table, so that forged tokens cannot fill the memory.
    has_signed: Cell<bool>,
    table: OnceCell<Box<[Entry]>>,
}

/// Why an encoding is no public key.
pub enum PublicKeyError {
    /// It is not that of a point.
    NotOnCurve,
    /// The point has an order of 8 or less, so that anybody can sign.
    SmallOrder,
}

impl PublicKey {
    /// The key with this encoding (RFC 8032 §5.1.2).
    pub fn new(encoded: &[u8; 32]) -> Result<Self, PublicKeyError> {
        let [x, y] = point::decompressed(encoded).ok_or(PublicKeyError::NotOnCurve)?;
        let negative = point::entry(&[x.negated().carried(), y]);
        if Edwards25519::add(&Edwards25519::ZERO, &negative, false).has_small_order() {
            return Err(PublicKeyError::SmallOrder);
        }
        Ok(Self {
            encoded: *encoded,
            negative,
            has_signed: Cell::new(false),
            table: OnceCell::new(),
        })
    }

    /// The encoding of the key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.encoded
    }

    /// Whether `signature` is the one of `message`: R in its only encoding and S reduced (§5.1.7), where R has no small
    /// order and is S · B - h · A, not only a multiple of eight of that.
    #[inline(never)]
    pub fn is_valid(&self, message: &[u8], signature: &[u8]) -> bool {
        let is_valid = self.verify(message, signature).is_some();
        self.has_signed.set(self.has_signed.get() || is_valid);
        is_valid
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Option<()> {
        let signature: &[u8; 64] = signature.try_into().ok()?;
        let (r, s) = signature.split_first_chunk::<32>()?;
        let s = Words::from_le_bytes(s.try_into().ok()?);
        if s >= *ORDER.words() {
            return None;
        }
        let hash = Hash::Sha512.of(&[r, &self.encoded, message]);
        let (low, high) = hash.split_first_chunk()?;
        let h = ORDER.reduce(
            &Words::from_le_bytes(low),
            &Words::from_le_bytes(high.try_into().ok()?),
        );
        let point = self.sum(&s, &h)?;
        (point.compressed()? == *r && !point.has_small_order()).then_some(())
    }

    /// s · B - h · A, for numbers below L.
    fn sum(&self, s: &Words, h: &Words) -> Option<Point> {
        // B has the order L, so that L - s is as good as -s.
        let (s, s_negated) = if s.is_odd() {
            (*s, false)
        } else {
            (ORDER.words().minus(s).0, true)
        };
        // A may have one eight times as large: nothing but h will do, or h + 1 and once less.
        let (odd_h, _) = if h.is_odd() {
            (*h, false)
        } else {
            h.plus(&Words::ONE)
        };
        let (s, signs) = (Signs::of_odd(s), Signs::of_odd(odd_h));
        let temporary;
        let (table, teeth) = if self.has_signed.get() {
            let table = match self.table.get() {
                Some(table) => table,
                None => {
                    let table = comb::table::<Edwards25519>(&self.negative, TEETH)?;
                    self.table.get_or_init(|| table.into_boxed_slice())
                }
            };
            (table.as_ref(), TEETH)
        } else {
            temporary = comb::table::<Edwards25519>(&self.negative, FIRST_TEETH)?;
            (temporary.as_slice(), FIRST_TEETH)
        };
        let comb = Comb { table, teeth };
        let sum = comb::sum::<Edwards25519>((&GENERATOR, &s, s_negated), (&comb, &signs, false))?;
        if h.is_odd() {
            return Some(sum);
        }
        Some(Edwards25519::add(&sum, &self.negative, true))
    }
}
