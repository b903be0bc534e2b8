//! Pauses that grow.

use std::time::Duration;

use crate::limits::{RETRY_MAX, RETRY_MIN, SOURCE_IDLE_MAX, SOURCE_IDLE_MIN};

/// How long to pause before the next attempt: the first pause is `min`, each further one in a row twice as long, up to
/// `max`.
///
/// ```
/// use aqueduct::agent::Backoff;
/// use std::time::Duration;
///
/// let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
/// assert_eq!(backoff.pause(0), Duration::from_millis(100));
/// assert_eq!(backoff.pause(3), Duration::from_millis(800));
/// assert_eq!(backoff.pause(60), Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    min: Duration,
    max: Duration,
}

impl Backoff {
    /// The default after errors: 100 ms to 5 s.
    pub const RETRY: Self = Self::new(RETRY_MIN, RETRY_MAX);
    /// The default of a pull source that has nothing new: 10 ms to 1 s.
    pub const IDLE: Self = Self::new(SOURCE_IDLE_MIN, SOURCE_IDLE_MAX);

    /// Pauses from `min` to `max`. The builder of the agent refuses a `min` of zero or above `max`.
    #[must_use]
    pub const fn new(min: Duration, max: Duration) -> Self {
        Self { min, max }
    }

    /// The pause after so many earlier ones in a row.
    #[must_use]
    pub fn pause(&self, earlier: u32) -> Duration {
        let factor = 1u32.checked_shl(earlier).filter(|_| earlier < 31).unwrap_or(u32::MAX);
        self.min.saturating_mul(factor).min(self.max)
    }

    pub(super) fn is_valid(&self) -> bool {
        !self.min.is_zero() && self.min <= self.max
    }
}
