//! Pairs in their order, in little code: whatever the pairs are of, there is one set below, of numbers.

use alloc::collections::BTreeSet;
use core::marker::PhantomData;

use super::{RequestId, SourceIndex};
use crate::time::Timestamp;

/// What is ordered as its number is.
pub(super) trait Numbered: Copy {
    fn number(self) -> u64;

    /// The one of that number, which has to be the number of one.
    fn numbered(number: u64) -> Self;
}

/// Pairs in their order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Queue<A, B> {
    pairs: BTreeSet<(u64, u64)>,
    of: PhantomData<(A, B)>,
}

impl<A, B> Default for Queue<A, B> {
    fn default() -> Self {
        Self {
            pairs: BTreeSet::new(),
            of: PhantomData,
        }
    }
}

impl<A: Numbered, B: Numbered> Queue<A, B> {
    /// Adds a pair; `false` when it is there already.
    pub(super) fn insert(&mut self, a: A, b: B) -> bool {
        self.pairs.insert((a.number(), b.number()))
    }

    pub(super) fn remove(&mut self, a: A, b: B) {
        self.pairs.remove(&(a.number(), b.number()));
    }

    pub(super) fn clear(&mut self) {
        self.pairs.clear();
    }

    pub(super) fn first(&self) -> Option<(A, B)> {
        self.pairs.first().map(of_numbers)
    }

    /// The pairs whose first part is at most `a`.
    pub(super) fn up_to(&self, a: A) -> impl Iterator<Item = (A, B)> {
        let is_in_time = move |pair: &&(u64, u64)| pair.0 <= a.number();
        self.pairs.iter().take_while(is_in_time).map(of_numbers)
    }

    /// The second parts of those whose first one is `a`.
    pub(super) fn of(&self, a: A) -> impl Iterator<Item = B> {
        let pairs = self.pairs.range((a.number(), 0)..=(a.number(), u64::MAX));
        pairs.map(|pair| B::numbered(pair.1))
    }
}

fn of_numbers<A: Numbered, B: Numbered>(pair: &(u64, u64)) -> (A, B) {
    (A::numbered(pair.0), B::numbered(pair.1))
}

impl Numbered for Timestamp {
    fn number(self) -> u64 {
        self.as_millis()
    }

    fn numbered(number: u64) -> Self {
        Self::from_millis(number)
    }
}

impl Numbered for SourceIndex {
    fn number(self) -> u64 {
        // A usize fits 64 bits wherever Nexus runs.
        self.0 as u64
    }

    fn numbered(number: u64) -> Self {
        Self(usize::try_from(number).unwrap_or(usize::MAX))
    }
}

impl Numbered for RequestId {
    fn number(self) -> u64 {
        self.0.into()
    }

    fn numbered(number: u64) -> Self {
        Self(u32::try_from(number).unwrap_or(u32::MAX))
    }
}
