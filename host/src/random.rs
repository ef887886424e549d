//! Randomness as the guest gets it: the operating system's, or a sequence that a seed fixes.

use std::sync::{Mutex, PoisonError};

use crate::abi::Status;

#[derive(Debug)]
pub(crate) enum Random {
    System,
    Seeded(Mutex<SplitMix64>),
}

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self::Seeded(Mutex::new(SplitMix64(seed)))
    }

    pub(crate) fn fill(&self, bytes: &mut [u8]) -> Result<(), Status> {
        match self {
            Self::System => getrandom::fill(bytes).map_err(|_| Status::InternalFailure),
            Self::Seeded(generator) => {
                generator
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .fill(bytes);
                Ok(())
            }
        }
    }
}

/// Vigna's SplitMix64: short, and good enough for tests to be repeatable. Not for secrets.
#[derive(Debug)]
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeded_sequence_is_that_of_the_reference_implementation() {
        let mut generator = SplitMix64(1_234_567);
        assert_eq!(generator.next(), 6_457_827_717_110_365_317);
        assert_eq!(generator.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn the_system_gives_something_else_each_time() {
        let mut first = [0; 32];
        let mut second = [0; 32];
        Random::System
            .fill(&mut first)
            .expect("the system has randomness");
        Random::System
            .fill(&mut second)
            .expect("the system has randomness");
        assert_ne!(first, second);
    }
}
