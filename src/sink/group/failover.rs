//! The best sink that works.

use std::time::Duration;

use super::policy::{GroupPolicy, PolicyError, penalty};
use crate::limits::SINK_PENALTY_MAX;

/// Gives every batch to the member with the highest priority that works: Flume's `failover`.
///
/// A member that fails is left alone for a while: two seconds, then twice as long each time, up to
/// [`max_penalty`](Self::max_penalty). Then it gets the next batch, whatever its priority; once it has delivered that, its
/// priority counts again.
///
/// ```
/// use aqueduct::sink::group::{Failover, GroupPolicy};
/// use std::time::Duration;
///
/// let mut policy = Failover::new().priority("main", 10).priority("spare", 5);
/// policy.bind(&["spare", "main"].map(str::to_owned))?;
/// assert_eq!(policy.order(Duration::ZERO), [1, 0]);
/// policy.failed(1, Duration::ZERO);
/// assert_eq!(policy.order(Duration::from_secs(1)), [0]);
/// assert_eq!(policy.order(Duration::from_secs(2)), [1, 0]);
/// # Ok::<(), aqueduct::sink::group::PolicyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Failover {
    priorities: Vec<(String, i32)>,
    max_penalty: Duration,
    members: Vec<Standing>,
}

/// How a member stands.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    priority: i32,
    /// Failures since it last delivered.
    failures: u32,
    /// When it may try again, if it has failed.
    until: Duration,
}

impl Failover {
    /// With no priorities: the members are tried in the order in which they were added. Penalties are at most
    /// [`SINK_PENALTY_MAX`].
    #[must_use]
    pub fn new() -> Self {
        Self { priorities: Vec::new(), max_penalty: SINK_PENALTY_MAX, members: Vec::new() }
    }

    /// Gives a member a priority; the highest comes first. Members without one get -1, -2 and so on. No two members may
    /// have the same.
    #[must_use]
    pub fn priority(mut self, member: impl Into<String>, priority: i32) -> Self {
        self.priorities.push((member.into(), priority));
        self
    }

    /// The longest time that a member that fails is left alone.
    #[must_use]
    pub fn max_penalty(mut self, limit: Duration) -> Self {
        self.max_penalty = limit;
        self
    }
}

impl Default for Failover {
    fn default() -> Self {
        Self::new()
    }
}

impl GroupPolicy for Failover {
    fn order(&mut self, now: Duration) -> Vec<usize> {
        let members = || self.members.iter().copied().enumerate();
        let mut back: Vec<_> = members().filter(|(_, member)| member.failures > 0 && member.until <= now).collect();
        back.sort_by_key(|(_, member)| member.until);
        let mut live: Vec<_> = members().filter(|(_, member)| member.failures == 0).collect();
        live.sort_by_key(|(_, member)| std::cmp::Reverse(member.priority));
        back.into_iter().chain(live).map(|(place, _)| place).collect()
    }

    fn failed(&mut self, place: usize, now: Duration) {
        if let Some(member) = self.members.get_mut(place) {
            member.failures = member.failures.saturating_add(1);
            member.until = now.saturating_add(penalty(member.failures, self.max_penalty));
        }
    }

    fn delivered(&mut self, place: usize, _now: Duration) {
        if let Some(member) = self.members.get_mut(place) {
            member.failures = 0;
        }
    }

    fn stands_by(&self, place: usize) -> bool {
        let best = self.members.iter().map(|member| member.priority).max();
        self.members.get(place).is_some_and(|member| Some(member.priority) != best)
    }

    fn bind(&mut self, members: &[String]) -> Result<(), PolicyError> {
        let mut mistakes = Vec::new();
        for (name, _) in self.priorities.iter().filter(|(name, _)| !members.contains(name)) {
            mistakes.push(format!("{name} has a priority and is not in the group"));
        }
        let mut next = 0;
        let mut standings: Vec<Standing> = Vec::new();
        for name in members {
            let given: Vec<i32> =
                self.priorities.iter().filter(|(known, _)| known == name).map(|(_, at)| *at).collect();
            if given.len() > 1 {
                mistakes.push(format!("{name} has more than one priority"));
            }
            let priority = given.first().copied().unwrap_or_else(|| {
                next -= 1;
                next
            });
            if let Some(first) = standings.iter().position(|other| other.priority == priority) {
                let first = members.get(first).map_or("", String::as_str);
                mistakes.push(format!("{first} and {name} have the same priority, {priority}"));
            }
            standings.push(Standing { priority, ..Standing::default() });
        }
        if members.is_empty() {
            mistakes.push("it has no sink".to_owned());
        }
        self.members = standings;
        if mistakes.is_empty() { Ok(()) } else { Err(PolicyError::new(mistakes.join("; "))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn bound(mut policy: Failover, members: &[&str]) -> Result<Failover, String> {
        let names: Vec<String> = members.iter().map(|name| (*name).to_owned()).collect();
        policy.bind(&names).map(|()| policy).map_err(|error| error.to_string())
    }

    #[test]
    fn the_highest_priority_comes_first_and_members_without_one_last() {
        let policy = Failover::new().priority("b", 3).priority("d", 7);
        let mut policy = bound(policy, &["a", "b", "c", "d"]).unwrap();
        assert_eq!(policy.order(at(0)), [3, 1, 0, 2]);
    }

    #[test]
    fn penalties_double_and_end_with_a_delivery() {
        let mut policy = bound(Failover::new().max_penalty(at(5)), &["a", "b"]).unwrap();
        policy.failed(0, at(0));
        assert_eq!(policy.order(at(1)), [1]);
        assert_eq!(policy.order(at(2)), [0, 1]);
        policy.failed(0, at(2));
        assert_eq!(policy.order(at(5)), [1]);
        policy.failed(1, at(5));
        // Whoever has waited longest comes first; nobody has while both are penalised.
        assert_eq!(policy.order(at(5)), [0; 0]);
        assert_eq!(policy.order(at(6)), [0]);
        assert_eq!(policy.order(at(7)), [0, 1]);
        policy.failed(0, at(7));
        assert_eq!(policy.order(at(11)), [1]);
        assert_eq!(policy.order(at(12)), [1, 0]);
        policy.delivered(0, at(12));
        policy.delivered(1, at(12));
        assert_eq!(policy.order(at(12)), [0, 1]);
        policy.failed(0, at(12));
        assert_eq!(policy.order(at(14)), [0, 1]);
    }

    #[test]
    fn priorities_that_cannot_work_are_told_all_at_once() {
        let policy =
            Failover::new().priority("a", 1).priority("b", 1).priority("x", 2).priority("c", 3).priority("c", 4);
        assert_eq!(
            bound(policy, &["a", "b", "c"]).unwrap_err(),
            "x has a priority and is not in the group; a and b have the same priority, 1; c has more than one priority"
        );
        assert_eq!(bound(Failover::new(), &[]).unwrap_err(), "it has no sink");
    }
}
