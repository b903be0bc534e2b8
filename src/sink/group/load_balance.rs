//! All sinks share the work.

use std::time::Duration;

use super::policy::{GroupPolicy, PolicyError, penalty};
use crate::limits::{SINK_FAILURES_WITHIN, SINK_PENALTY_MAX};
use crate::random;

/// Gives each batch to another member: Flume's `load_balance`. A member that fails passes the batch on to the next one.
///
/// With [`backoff`](Self::backoff) a member that failed gets nothing for a while: two seconds, and twice as long for each
/// further failure within an hour of the last.
///
/// ```
/// use aqueduct::sink::group::{GroupPolicy, LoadBalance};
/// use std::time::Duration;
///
/// let mut policy = LoadBalance::round_robin();
/// policy.bind(&["a", "b", "c"].map(str::to_owned))?;
/// assert_eq!(policy.order(Duration::ZERO), [0, 1, 2]);
/// assert_eq!(policy.order(Duration::ZERO), [1, 2, 0]);
/// # Ok::<(), aqueduct::sink::group::PolicyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LoadBalance {
    selector: Selector,
    backoff: bool,
    max_timeout: Duration,
    members: Vec<Failures>,
}

#[derive(Clone, Debug)]
enum Selector {
    RoundRobin { next: usize },
    Random { state: u64 },
}

/// What is remembered of a member's failures.
#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    in_a_row: u32,
    last: Duration,
    until: Duration,
}

impl LoadBalance {
    /// The members take turns, in the order in which they were added.
    #[must_use]
    pub fn round_robin() -> Self {
        Self::with(Selector::RoundRobin { next: 0 })
    }

    /// The order is another one for each batch.
    #[must_use]
    pub fn random() -> Self {
        Self::with(Selector::Random { state: random::seed() })
    }

    fn with(selector: Selector) -> Self {
        Self { selector, backoff: false, max_timeout: SINK_PENALTY_MAX, members: Vec::new() }
    }

    /// Whether a member that failed is left alone for a while. It is not by default.
    #[must_use]
    pub fn backoff(mut self, backoff: bool) -> Self {
        self.backoff = backoff;
        self
    }

    /// The longest time that a member that fails is left alone: Flume's `selector.maxTimeOut`. Default
    /// [`SINK_PENALTY_MAX`].
    #[must_use]
    pub fn max_timeout(mut self, limit: Duration) -> Self {
        self.max_timeout = limit;
        self
    }
}

impl GroupPolicy for LoadBalance {
    fn order(&mut self, now: Duration) -> Vec<usize> {
        let active = self.members.iter().enumerate().filter(|(_, member)| !self.backoff || member.until <= now);
        let mut places: Vec<usize> = active.map(|(place, _)| place).collect();
        match &mut self.selector {
            Selector::RoundRobin { next } => {
                // Fewer may be active than the last time.
                let first = if *next < places.len() { *next } else { 0 };
                places.rotate_left(first);
                *next = if first + 1 < places.len() { first + 1 } else { 0 };
            }
            Selector::Random { state } => {
                for last in (1..places.len()).rev() {
                    let other = usize::try_from(random::below(state, last as u64 + 1)).unwrap_or(last);
                    places.swap(last, other);
                }
            }
        }
        places
    }

    fn failed(&mut self, place: usize, now: Duration) {
        let Some(member) = self.members.get_mut(place).filter(|_| self.backoff) else { return };
        let before = penalty(member.in_a_row, self.max_timeout);
        let is_new = member.in_a_row == 0 || now.saturating_sub(member.last) >= before + SINK_FAILURES_WITHIN;
        member.in_a_row = if is_new { 1 } else { member.in_a_row.saturating_add(1) };
        member.last = now;
        member.until = now.saturating_add(penalty(member.in_a_row, self.max_timeout));
    }

    fn bind(&mut self, members: &[String]) -> Result<(), PolicyError> {
        if members.len() < 2 {
            return Err(PolicyError::new(format!("it needs at least two sinks, not {}", members.len())));
        }
        self.members = vec![Failures::default(); members.len()];
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn bound(mut policy: LoadBalance, members: usize) -> LoadBalance {
        policy.bind(&vec![String::new(); members]).unwrap();
        policy
    }

    #[test]
    fn in_turn_everyone_is_the_first_equally_often() {
        let mut policy = bound(LoadBalance::round_robin(), 3);
        let firsts: Vec<usize> = (0..6).map(|_| policy.order(at(0))[0]).collect();
        assert_eq!(firsts, [0, 1, 2, 0, 1, 2]);
        // Without back-off failures change nothing.
        policy.failed(0, at(0));
        assert_eq!(policy.order(at(0)), [0, 1, 2]);
    }

    #[test]
    fn at_random_every_order_comes() {
        let mut policy = bound(LoadBalance::random(), 3);
        let mut orders: Vec<Vec<usize>> = (0..1000).map(|_| policy.order(at(0))).collect();
        orders.sort_unstable();
        orders.dedup();
        assert_eq!(orders.len(), 6);
    }

    #[test]
    fn who_fails_again_stays_out_longer_unless_the_last_time_is_long_past() {
        let mut policy = bound(LoadBalance::round_robin().backoff(true).max_timeout(at(10)), 2);
        policy.failed(0, at(0));
        assert_eq!((policy.order(at(1)), policy.order(at(1))), (vec![1], vec![1]));
        assert_eq!(policy.order(at(2)), [0, 1]);
        // A delivery in between does not count, as in Flume.
        policy.delivered(0, at(2));
        policy.failed(0, at(2));
        assert_eq!(policy.order(at(5)), [1]);
        assert_eq!(policy.order(at(6)).len(), 2);
        policy.failed(0, at(6));
        policy.failed(0, at(14));
        assert_eq!(policy.order(at(23)), [1], "ten seconds at most");
        assert_eq!(policy.order(at(24)).len(), 2);
        policy.failed(0, at(14 + 10 + 3600));
        assert_eq!(policy.order(at(14 + 10 + 3600 + 1)), [1]);
        assert_eq!(policy.order(at(14 + 10 + 3600 + 2)).len(), 2, "it begins anew");
        policy.failed(0, at(4000));
        policy.failed(1, at(4000));
        assert_eq!(policy.order(at(4000)), [0; 0]);
    }

    #[test]
    fn one_sink_has_nothing_to_share() {
        let error = LoadBalance::random().bind(&["a".to_owned()]).unwrap_err();
        assert_eq!(error.to_string(), "it needs at least two sinks, not 1");
    }
}
