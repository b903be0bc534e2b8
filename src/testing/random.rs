//! Random numbers that a seed repeats.

use crate::random;

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
        given.unwrap_or_else(random::seed)
    }

    /// The next number, from the whole range.
    pub fn next_u64(&mut self) -> u64 {
        random::splitmix(&mut self.state)
    }

    /// A number below `bound`; 0 if the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        random::below(&mut self.state, bound)
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
