//! Who delivers the next batch.

use std::time::Duration;

/// Decides which member of a group gets a batch, and who comes next if that one fails.
///
/// ```
/// use aqueduct::sink::group::GroupPolicy;
/// use std::time::Duration;
///
/// /// Asks the member first that failed the longest time ago.
/// #[derive(Default)]
/// struct Steady {
///     failed: Vec<Duration>,
/// }
///
/// impl GroupPolicy for Steady {
///     fn order(&mut self, _now: Duration) -> Vec<usize> {
///         let mut places: Vec<usize> = (0..self.failed.len()).collect();
///         places.sort_by_key(|place| self.failed[*place]);
///         places
///     }
///
///     fn failed(&mut self, place: usize, now: Duration) {
///         self.failed[place] = now;
///     }
///
///     fn bind(&mut self, members: &[String]) -> Result<(), aqueduct::sink::group::PolicyError> {
///         self.failed = vec![Duration::ZERO; members.len()];
///         Ok(())
///     }
/// }
/// ```
pub trait GroupPolicy: Send {
    /// The places of the members that are asked to deliver the next batch, in this order, until one does. Members that are
    /// left out get nothing, but may deliver later: as long as there are some, no event counts as one that nobody can deliver.
    /// Places that do not exist, and members that have ended, are passed over.
    fn order(&mut self, now: Duration) -> Vec<usize>;

    /// A member could not be opened, or did not deliver.
    fn failed(&mut self, place: usize, now: Duration);

    /// A member has delivered.
    fn delivered(&mut self, place: usize, now: Duration) {
        let _ = (place, now);
    }

    /// Whether a member gets nothing as long as the others work. Flume's `file_roll` has no empty file for such a one.
    fn stands_by(&self, place: usize) -> bool {
        let _ = place;
        false
    }

    /// Called before everything else with the names of the members; the place of a member is its index here.
    ///
    /// # Errors
    /// If the policy cannot work with these members; an agent reports it with all other mistakes.
    fn bind(&mut self, members: &[String]) -> Result<(), PolicyError> {
        let _ = members;
        Ok(())
    }
}

/// Why a policy cannot work with the members of its group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PolicyError(String);

impl PolicyError {
    /// An error with a message for the person who configured the group.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// A group of one sink: Flume's `default`.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Single;

impl Single {
    /// The policy.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl GroupPolicy for Single {
    fn order(&mut self, _now: Duration) -> Vec<usize> {
        vec![0]
    }

    fn failed(&mut self, _place: usize, _now: Duration) {}

    fn bind(&mut self, members: &[String]) -> Result<(), PolicyError> {
        if members.len() == 1 {
            return Ok(());
        }
        Err(PolicyError::new(format!("it is for one sink, not for {}; use failover or load_balance", members.len())))
    }
}

/// A pause of a member that failed so many times in a row: two seconds after the first time, then twice as long each time,
/// up to `max`; as in Flume.
pub(super) fn penalty(failures: u32, max: Duration) -> Duration {
    let factor = 1_u32.checked_shl(failures.min(EXPONENT_MAX)).unwrap_or(u32::MAX);
    Duration::from_secs(1).saturating_mul(factor).min(max)
}

/// The largest power of two that a penalty grows to, in seconds: more than eighteen hours.
const EXPONENT_MAX: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_penalty_doubles_up_to_its_limit() {
        let seconds = |failures, max| penalty(failures, Duration::from_secs(max)).as_secs();
        assert_eq!([1, 2, 3, 4, 5].map(|failures| seconds(failures, 30)), [2, 4, 8, 16, 30]);
        assert_eq!(seconds(u32::MAX, u64::MAX), 1 << EXPONENT_MAX);
        assert_eq!(penalty(1, Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn a_single_sink_is_one() {
        let named = |count: usize| vec![String::new(); count];
        assert!(Single::new().bind(&named(1)).is_ok());
        let error = Single::new().bind(&named(2)).unwrap_err();
        assert_eq!(error.to_string(), "it is for one sink, not for 2; use failover or load_balance");
    }
}
