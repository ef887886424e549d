//! What remembers that a proof was used, so that it cannot be used again (RFC 9449 §11.1).
//!
//! A proxy runs one engine for each of its workers, and a proof that one of them has seen must be known to all.
//! [`SharedMemory`] keeps it in a [`SharedStore`], from which nothing is ever evicted. So it has a fixed
//! number of buckets with a fixed number of places each. It must never forget a proof before its time: where there
//! is no place left, or the store does not do what it is asked, the proof counts as not to be trusted.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use core::fmt;

use crate::jose::Sha256Digest;
use crate::shared::{NO_NUMBER, SharedStore, StoreError};
use crate::time::Timestamp;

/// How many buckets a [`SharedMemory`] has.
pub const BUCKETS: u16 = 4096;

/// How many proofs one bucket holds.
pub const PROOFS_PER_BUCKET: usize = 256;

/// How many bytes of a proof's digest are kept. Two of 2^20 proofs agree in 16 bytes with a chance of 2^-89.
const DIGEST_BYTES: usize = 16;

/// The bytes of one proof: those of its digest, and the second from which it can be forgotten.
const ENTRY_BYTES: usize = DIGEST_BYTES + 4;

/// The most that a [`SharedMemory`] ever holds, in bytes of values: 20 MiB.
pub const MAX_SHARED_BYTES: usize = BUCKETS as usize * PROOFS_PER_BUCKET * ENTRY_BYTES;

/// How often a write is tried again because another worker wrote first. Each time somebody else got on.
const ATTEMPTS: usize = 16;

/// How many proofs a [`LocalMemory`] holds.
pub const MAX_LOCAL_PROOFS: usize = 65_536;

/// Bytes that differ between processes, by which buckets are chosen: nobody can choose what falls into one.
type Salt = [u8; 16];

/// Whether a proof was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It was not, and from now on it is known.
    First,
    /// It was.
    Repeated,
    /// Nobody knows, or nobody would know the next time.
    Unknown,
}

/// Remembers proofs.
pub trait ReplayMemory {
    /// Remembers the proof of that digest until `until`, when it would not be accepted any more, and says whether
    /// it was known already.
    fn remember(&mut self, proof: &Sha256Digest, until: Timestamp, now: Timestamp) -> Use;
}

// Not by each memory for itself: the filter would have the code, and never a use for it.
impl fmt::Debug for dyn ReplayMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplayMemory")
    }
}

/// The memory of one engine: for a process that has only one.
#[derive(Debug, Default)]
pub struct LocalMemory {
    proofs: BTreeMap<Sha256Digest, Timestamp>,
}

impl ReplayMemory for LocalMemory {
    fn remember(&mut self, proof: &Sha256Digest, until: Timestamp, now: Timestamp) -> Use {
        if self.proofs.get(proof).is_some_and(|until| *until > now) {
            return Use::Repeated;
        }
        if self.proofs.len() >= MAX_LOCAL_PROOFS {
            self.proofs.retain(|_, until| *until > now);
        }
        if self.proofs.len() >= MAX_LOCAL_PROOFS {
            return Use::Unknown;
        }
        self.proofs.insert(*proof, until);
        Use::First
    }
}

/// A memory in a [`SharedStore`].
#[derive(Debug)]
pub struct SharedMemory<S> {
    store: S,
    /// Taken for the salt if this engine is the first to need one.
    seed: Salt,
    salt: Option<Salt>,
}

impl<S: SharedStore> SharedMemory<S> {
    /// A memory in `store`. `seed` is random: the first engine's becomes the salt of all.
    pub const fn new(store: S, seed: [u8; 16]) -> Self {
        Self {
            store,
            seed,
            salt: None,
        }
    }

    fn try_remember(
        &mut self,
        proof: &Sha256Digest,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Use, StoreError> {
        let salt = self.salt()?;
        let place = Sha256Digest::of_parts(&[&salt, proof.as_bytes()]);
        let [high, low, digest @ ..] = place.as_bytes();
        let digest = digest.first_chunk().ok_or(StoreError)?;
        let key = format!(
            "nexus.dpop.1.{}",
            u16::from_be_bytes([*high, *low]) % BUCKETS
        );
        for _ in 0..ATTEMPTS {
            let stored = self.store.read(&key)?;
            let (value, number) = match stored {
                Some(stored) => (stored.value, stored.number),
                None => (Vec::new(), NO_NUMBER),
            };
            let value = match with(&value, digest, until, now)? {
                Change::Known => return Ok(Use::Repeated),
                Change::Full => return Ok(Use::Unknown),
                Change::Added(value) => value,
            };
            if self.store.swap(&key, &value, number)? {
                return Ok(Use::First);
            }
        }
        Ok(Use::Unknown)
    }

    /// The salt that all engines of the process use.
    fn salt(&mut self) -> Result<Salt, StoreError> {
        const KEY: &str = "nexus.dpop.1.salt";
        if let Some(salt) = self.salt {
            return Ok(salt);
        }
        if self.store.read(KEY)?.is_none() {
            // If another engine was faster, its salt counts.
            self.store.swap(KEY, &self.seed, NO_NUMBER)?;
        }
        let stored = self.store.read(KEY)?.ok_or(StoreError)?;
        let salt = stored.value.try_into().map_err(|_| StoreError)?;
        self.salt = Some(salt);
        Ok(salt)
    }
}

impl<S: SharedStore> ReplayMemory for SharedMemory<S> {
    fn remember(&mut self, proof: &Sha256Digest, until: Timestamp, now: Timestamp) -> Use {
        self.try_remember(proof, until, now).unwrap_or(Use::Unknown)
    }
}

/// What a proof makes of a bucket.
enum Change {
    /// The bucket has it.
    Known,
    /// Every place is taken by a proof that still has to be known.
    Full,
    /// The bucket with it, and without the proofs whose time is over.
    Added(Vec<u8>),
}

fn with(
    bucket: &[u8],
    digest: &[u8; DIGEST_BYTES],
    until: Timestamp,
    now: Timestamp,
) -> Result<Change, StoreError> {
    let now = now.as_seconds();
    let mut kept = Vec::with_capacity(bucket.len().saturating_add(ENTRY_BYTES));
    let mut entries = bucket.chunks_exact(ENTRY_BYTES);
    for entry in &mut entries {
        let (known, end) = entry.split_first_chunk().ok_or(StoreError)?;
        let end = u32::from_be_bytes(end.try_into().map_err(|_| StoreError)?);
        if i64::from(end) <= now {
            continue;
        }
        if known == digest {
            return Ok(Change::Known);
        }
        kept.extend_from_slice(entry);
    }
    if !entries.remainder().is_empty() {
        return Err(StoreError);
    }
    if kept.len() >= PROOFS_PER_BUCKET.saturating_mul(ENTRY_BYTES) {
        return Ok(Change::Full);
    }
    kept.extend_from_slice(digest);
    kept.extend_from_slice(&end_second(until).to_be_bytes());
    Ok(Change::Added(kept))
}

/// The first whole second at or behind `until`. Beyond the year 2105 a proof is never forgotten.
fn end_second(until: Timestamp) -> u32 {
    u32::try_from(until.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
