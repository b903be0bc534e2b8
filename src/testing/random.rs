//! Random numbers that a seed repeats.

use std::hash::{BuildHasher, RandomState};

/// A small generator of random numbers for tests. The same seed gives the same numbers on every machine.
///
/// ```
/// # use aqueduct::testing::Random;
/// let mut first = Random::new(7);
/// let mut second = Random::new(7);
/// assert_eq!(first.next_u64(), second.next_u64());
/// assert!(first.below(10) < 10);
/// ```
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A generator that starts from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The seed for a randomised test: the environment variable `AQUEDUCT_SEED` if it holds a number, else a new one.
    /// Whoever uses it prints it, so that a failure can be repeated.
    #[must_use]
    pub fn seed() -> u64 {
        let given = std::env::var("AQUEDUCT_SEED").ok().and_then(|text| text.trim().parse().ok());
        given.unwrap_or_else(|| RandomState::new().hash_one(0_u8))
    }

    /// The next number, from the whole range.
    pub fn next_u64(&mut self) -> u64 {
        // SplitMix64: each state is visited once, so no seed is a bad one.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 if the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The bias of the remainder is below bound / 2^64: nothing that a test could notice.
        self.next_u64().checked_rem(bound).unwrap_or(0)
    }

    /// An index below `len`; 0 if the length is 0.
    pub fn index(&mut self, len: usize) -> usize {
        let bound = u64::try_from(len).unwrap_or(u64::MAX);
        usize::try_from(self.below(bound)).unwrap_or(0)
    }

    /// `true` once in `times` calls on average.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}
