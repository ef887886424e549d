//! What the engines of one process share.
//!
//! A proxy runs an engine in each of its workers. They see the same store of values, such as the shared data of
//! proxy-wasm: bytes that live as long as the process, that nothing ever evicts, and that are swapped as a whole. And
//! one of them can ring for another, as the shared queues of proxy-wasm do. Whoever drives an engine hands it both;
//! that another program may write there as well is why everything read from it is checked.

use alloc::vec::Vec;
use core::fmt;

/// The store did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreError;

/// A number for an engine that no other one of its process has, from a random seed; or, where there is no randomness, from
/// the time in nanoseconds, which has nothing but zeros in its first eight bytes.
pub const fn member(seed: u128) -> u64 {
    // Cut on purpose.
    seed as u64
}

/// A value of a [`SharedStore`], and the number by which it is swapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The value.
    pub value: Vec<u8>,
    /// Another number with every write. Never 0.
    pub number: u32,
}

/// The number for a key without value. A value that appears meanwhile has another one: stores count from 1.
pub const NO_NUMBER: u32 = u32::MAX;

/// The number that sets a value whatever its number is.
pub const ANY_NUMBER: u32 = 0;

/// A store of values that several engines share.
pub trait SharedStore {
    /// The value of `key`; `None` when it has none.
    ///
    /// # Errors
    /// When the store does not say.
    fn read(&mut self, key: &str) -> Result<Option<Stored>, StoreError>;

    /// Sets the value of `key` if its number still is `number`, or if it has no value yet; says whether it did.
    /// [`ANY_NUMBER`] sets it in any case.
    ///
    /// # Errors
    /// When the store does neither.
    fn swap(&mut self, key: &str, value: &[u8], number: u32) -> Result<bool, StoreError>;
}

/// A process: a store, and a way for one engine to ring for another.
pub trait Process: SharedStore {
    /// Where this engine is rung for; `None` where there are no bells. It stays the same once it was given.
    fn bell(&mut self) -> Option<u32>;

    /// Rings at `bell` for the engine that has it: [`Engine::handle_news`](crate::engine::Engine::handle_news) is to
    /// be called there with `topic`. Nobody may be there any more, and news may get lost.
    fn ring(&mut self, bell: u32, topic: &[u8]);
}

// Not by each process for itself: the filter would have the code, and never a use for it.
impl fmt::Debug for dyn Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Process")
    }
}

#[cfg(test)]
mod tests {
    use super::member;

    #[test]
    fn members_differ_also_where_only_the_time_tells_them_apart() {
        let nanos = 1_700_000_000_000_000_000_u64;
        assert_ne!(member(nanos.into()), member((nanos + 1).into()));
        assert_ne!(member(nanos.into()), 0);
        assert_eq!(member(u128::MAX - 6), u64::MAX - 6);
    }
}
