//! One of the channels for each event.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Route, Selector};
use crate::event::Event;
use crate::random;

/// Sends each event to one of the source's channels: Flume's `load_balancing`.
///
/// Channels that the source lists as optional take no turn; they are offered every event.
///
/// ```
/// use aqueduct::Event;
/// use aqueduct::selector::{LoadBalancing, Route, Selector};
///
/// let channels = ["a", "b"].map(str::to_owned);
/// let selector = LoadBalancing::round_robin();
/// let mut places = Vec::new();
/// for _ in 0..4 {
///     let mut route = Route::new(&channels, 2);
///     selector.select(&Event::new("x"), &mut route);
///     places.extend_from_slice(route.required());
/// }
/// assert_eq!(places, [0, 1, 0, 1]);
/// ```
#[derive(Debug)]
pub struct LoadBalancing {
    policy: Policy,
    turn: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
enum Policy {
    RoundRobin,
    Random { seed: u64 },
}

impl LoadBalancing {
    /// The channels take turns, in the order in which the source names them.
    #[must_use]
    pub fn round_robin() -> Self {
        Self { policy: Policy::RoundRobin, turn: AtomicU64::new(0) }
    }

    /// A channel is chosen at random, all with the same chance.
    #[must_use]
    pub fn random() -> Self {
        Self { policy: Policy::Random { seed: random::seed() }, turn: AtomicU64::new(0) }
    }
}

impl Selector for LoadBalancing {
    fn select(&self, _event: &Event, route: &mut Route<'_>) {
        let count = route.required_count();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let number = match self.policy {
            Policy::RoundRobin => turn,
            Policy::Random { seed } => random::splitmix(&mut seed.wrapping_add(turn)),
        };
        let place = number.checked_rem(count as u64).and_then(|place| usize::try_from(place).ok());
        if let Some(place) = place {
            route.require(place);
        }
        for place in count..route.channels().len() {
            route.offer(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(selector: &LoadBalancing, events: usize) -> [usize; 3] {
        let names = ["a", "b", "c", "optional"].map(str::to_owned);
        let mut counts = [0; 3];
        for _ in 0..events {
            let mut route = Route::new(&names, 3);
            selector.select(&Event::new("x"), &mut route);
            assert_eq!((route.required().len(), route.optional()), (1, &[3][..]));
            counts[route.required()[0]] += 1;
        }
        counts
    }

    #[test]
    fn in_turn_every_channel_gets_the_same_number() {
        assert_eq!(counts(&LoadBalancing::round_robin(), 300), [100; 3]);
    }

    #[test]
    fn at_random_every_channel_gets_about_the_same_number() {
        let counts = counts(&LoadBalancing::random(), 30_000);
        // More than twelve standard deviations: once in many more runs than there will be.
        assert!(counts.iter().all(|count| (9_000..11_000).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_source_with_optional_channels_only_is_offered_to_all_of_them() {
        let names = ["a", "b"].map(str::to_owned);
        let mut route = Route::new(&names, 0);
        LoadBalancing::round_robin().select(&Event::new("x"), &mut route);
        assert_eq!((route.required(), route.optional()), (&[][..], &[0, 1][..]));
    }
}
