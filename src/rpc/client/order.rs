//! In which order hosts are tried, as Flume's load balancing client has it.

use std::sync::Arc;
use std::time::Duration;

use super::HostOrder;
use crate::clock::Clock;
use crate::random::{below, seed};

/// Chooses among hosts, by number.
#[derive(Debug)]
pub(super) struct Order {
    first: HostOrder,
    // The longest time for which a host that failed is passed over; `None`: it is not.
    backoff_max: Option<Duration>,
    hosts: Vec<Failures>,
    next: usize,
    random: u64,
    clock: Arc<dyn Clock>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    in_a_row: u32,
    last: Duration,
    passed_over_until: Option<Duration>,
}

impl Order {
    pub(super) fn new(order: HostOrder, backoff_max: Option<Duration>, hosts: usize, clock: Arc<dyn Clock>) -> Self {
        Self { first: order, backoff_max, hosts: vec![Failures::default(); hosts], next: 0, random: seed(), clock }
    }

    /// The hosts for one call, the preferred one first; without those that failed lately.
    pub(super) fn next(&mut self) -> Vec<usize> {
        let now = self.clock.monotonic();
        let is_up = |failures: &Failures| failures.passed_over_until.is_none_or(|until| until < now);
        let mut up: Vec<usize> =
            (0..self.hosts.len()).filter(|index| self.hosts.get(*index).is_some_and(is_up)).collect();
        match self.first {
            HostOrder::RoundRobin => {
                // There may be fewer than last time.
                let first = if self.next < up.len() { self.next } else { 0 };
                self.next = first + 1;
                up.rotate_left(first);
            }
            HostOrder::Random => {
                for unpicked in (2..=up.len()).rev() {
                    let picked = below(&mut self.random, unpicked as u64);
                    up.swap(unpicked - 1, usize::try_from(picked).unwrap_or(0));
                }
            }
        }
        up
    }

    /// How long it takes until one of the hosts is not passed over any more.
    pub(super) fn pause(&self) -> Duration {
        let now = self.clock.monotonic();
        let rest = |failures: &Failures| failures.passed_over_until.unwrap_or_default().saturating_sub(now);
        self.hosts.iter().map(rest).min().unwrap_or_default()
    }

    /// Takes note that a host failed.
    pub(super) fn failed(&mut self, index: usize) {
        let (Some(max), Some(host)) = (self.backoff_max, self.hosts.get_mut(index)) else { return };
        let now = self.clock.monotonic();
        let pause = |failures: u32| BACKOFF_FIRST.saturating_mul(1 << failures).min(max);
        let recent = now.saturating_sub(host.last) < pause(host.in_a_row) + SAME_TROUBLE;
        host.in_a_row = if host.in_a_row > 0 && recent { (host.in_a_row + 1).min(DOUBLINGS_MAX) } else { 1 };
        host.last = now;
        host.passed_over_until = Some(now + pause(host.in_a_row));
    }
}

/// Doubled with every failure, also the first one.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const DOUBLINGS_MAX: u32 = 16;
/// A failure so long after the last pause is a new trouble.
const SAME_TROUBLE: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::StepClock;

    fn order(order: HostOrder, backoff: bool, hosts: usize) -> (Order, Arc<StepClock>) {
        let clock = Arc::new(StepClock::new());
        let max = backoff.then_some(Duration::from_secs(30));
        (Order::new(order, max, hosts, Arc::clone(&clock) as Arc<dyn Clock>), clock)
    }

    #[test]
    fn hosts_take_turns_and_the_others_stand_in() {
        let (mut order, _) = order(HostOrder::RoundRobin, false, 3);
        let turns: Vec<_> = (0..4).map(|_| order.next()).collect();
        assert_eq!(turns, [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]);
        order.failed(1);
        assert_eq!(order.next(), [1, 2, 0], "without back-off a failure changes nothing");
    }

    #[test]
    fn random_order_has_every_host_once_and_prefers_none() {
        let (mut order, _) = order(HostOrder::Random, false, 4);
        let mut first = [0; 4];
        for _ in 0..4000 {
            let mut hosts = order.next();
            first[hosts[0]] += 1;
            hosts.sort_unstable();
            assert_eq!(hosts, [0, 1, 2, 3]);
        }
        assert!(first.iter().all(|count| (700..1300).contains(count)), "{first:?}");
    }

    #[test]
    fn a_host_that_failed_is_passed_over_for_longer_and_longer() {
        let (mut order, clock) = order(HostOrder::RoundRobin, true, 2);
        for seconds in [2, 4, 8, 16, 30, 30] {
            order.failed(0);
            clock.step(Duration::from_secs(seconds));
            assert_eq!(order.next(), [1], "not before {seconds} s are over");
            clock.step(Duration::from_millis(1));
            assert_eq!(order.next().len(), 2);
        }
        // An hour without a failure, and it begins anew.
        clock.step(Duration::from_secs(3700));
        order.failed(0);
        clock.step(Duration::from_millis(2001));
        assert_eq!(order.next().len(), 2);
        order.failed(0);
        order.failed(1);
        assert!(order.next().is_empty(), "all of them are passed over");
        assert_eq!(order.pause(), Duration::from_secs(2), "until the turn of the one that failed less often");
    }
}
