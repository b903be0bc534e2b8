//! Which transactions the events of a source go into.

use std::sync::Arc;

use super::memory::part_with_others;
use crate::batch::PutBatch;
use crate::channel::Channel;
use crate::error::PutError;
use crate::event::Event;
use crate::selector::{Route, Selector};
use crate::ticket::PutTicket;
use crate::wait::Wait;

/// Channels that one transaction spans: one channel, or several of one store.
pub(super) struct Group {
    // Indices into the source's channels.
    places: Vec<usize>,
    channels: Vec<Arc<dyn Channel>>,
    // Their numbers in the store, for several channels; empty for one.
    numbers: Vec<u16>,
    /// The store whose numbers these are.
    store: u64,
}

impl Group {
    fn new(places: Vec<usize>, all: &[Arc<dyn Channel>]) -> Self {
        let channels: Vec<_> = places.iter().filter_map(|place| all.get(*place).cloned()).collect();
        let numbers = match channels.len() {
            0 | 1 => Vec::new(),
            _ => channels.iter().filter_map(|channel| channel.store_part().map(|(_, number)| number)).collect(),
        };
        let store = channels.first().and_then(Channel::store_part).map_or(0, |(store, _)| store);
        Self { places, channels, numbers, store }
    }

    /// The channel that is asked for positions.
    pub(super) fn first(&self) -> Option<&Arc<dyn Channel>> {
        self.channels.first()
    }

    /// Starts the commit of a batch whose routes are those of this group.
    pub(super) fn submit(&self, batch: PutBatch, wait: Option<Wait>) -> Result<PutTicket, PutError> {
        let transaction = match self.channels.split_first() {
            Some((first, [])) => Some(first.begin_put()),
            Some((first, others)) => first.begin_put_with(&as_refs(others)),
            None => None,
        };
        let Some(mut transaction) = transaction else {
            let channel = self.first().map(|channel| channel.name().to_owned()).unwrap_or_default();
            return Err(PutError::Closed { channel, batch: Box::new(batch) });
        };
        transaction.set_batch(batch);
        if let Some(wait) = wait {
            transaction.set_wait(wait);
        }
        transaction.submit()
    }

    /// Routes all events of `batch` to all channels of the group.
    fn route_all(&self, batch: &mut PutBatch) {
        if !self.numbers.is_empty() {
            batch.routes.store = self.store;
            (0..batch.events.len()).for_each(|_| batch.routes.push(&self.numbers));
        }
    }

    /// Adds an event for those of the group's channels that are in `required`.
    fn add(&self, part: &mut PutBatch, event: &Event, required: &[usize], scratch: &mut Vec<u16>) {
        if self.numbers.is_empty() {
            if self.places.iter().any(|place| required.contains(place)) {
                part.events.push(event.clone());
            }
            return;
        }
        scratch.clear();
        scratch.extend(
            self.places.iter().zip(&self.numbers).filter(|(place, _)| required.contains(place)).map(|(_, n)| *n),
        );
        if !scratch.is_empty() {
            part.routes.store = self.store;
            part.routes.push(scratch);
            part.events.push(event.clone());
        }
    }
}

/// Sorts channels into groups, in the order of their commits. Channels in a store come last: the positions go with the
/// last commit, and so are as durable as they can be.
pub(super) fn group(channels: &[Arc<dyn Channel>]) -> Vec<Group> {
    let mut single = Vec::new();
    let mut stores: Vec<(u64, Vec<usize>)> = Vec::new();
    for (place, channel) in channels.iter().enumerate() {
        match channel.store_part() {
            None => single.push(vec![place]),
            Some((store, _)) => match stores.iter_mut().find(|(known, _)| *known == store) {
                Some((_, places)) => places.push(place),
                None => stores.push((store, vec![place])),
            },
        }
    }
    let mut sets = single;
    for (_, places) in stores {
        let members = Group::new(places.clone(), channels).channels;
        let joined = match members.split_first() {
            Some((first, others)) if !others.is_empty() => first.begin_put_with(&as_refs(others)).is_some(),
            _ => true,
        };
        // A wrapper may name a store without being able to share its transactions.
        if joined { sets.push(places) } else { sets.extend(places.into_iter().map(|place| vec![place])) }
    }
    sets.into_iter().map(|places| Group::new(places, channels)).collect()
}

fn as_refs(channels: &[Arc<dyn Channel>]) -> Vec<&dyn Channel> {
    channels.iter().map(|channel| &**channel as &dyn Channel).collect()
}

/// Where the events of one batch go.
pub(super) struct Routing {
    /// For each group what it gets, without positions.
    pub(super) parts: Vec<PutBatch>,
    /// For each channel of the source the events that are only offered to it.
    pub(super) offers: Vec<Vec<Event>>,
    /// Events that go nowhere.
    pub(super) unrouted: u64,
}

impl Routing {
    fn empty(groups: &[Group], channels: usize) -> Self {
        let parts = groups.iter().map(|_| PutBatch::default()).collect();
        Self { parts, offers: vec![Vec::new(); channels], unrouted: 0 }
    }

    /// All events go to all groups and are offered to the channels from `required` on.
    pub(super) fn replicate(events: Vec<Event>, groups: &[Group], required: usize, channels: usize) -> Self {
        let mut routing = Self::empty(groups, channels);
        for offered in routing.offers.iter_mut().skip(required) {
            offered.clone_from(&events);
        }
        if let Some((last, others)) = routing.parts.split_last_mut() {
            for part in others {
                part.events.clone_from(&events);
            }
            last.events = events;
        }
        for (group, part) in groups.iter().zip(&mut routing.parts) {
            group.route_all(part);
        }
        routing
    }

    /// The selector decides. Fails if it chooses a channel that does not exist.
    pub(super) fn select(
        events: &[Event],
        selector: &dyn Selector,
        groups: &[Group],
        names: &[String],
        required: usize,
    ) -> Result<Self, String> {
        let mut routing = Self::empty(groups, names.len());
        let mut route = Route::new(names, required);
        let mut scratch = Vec::new();
        for event in events {
            route.clear();
            selector.select(event, &mut route);
            if let Some(place) = route.unknown() {
                return Err(format!("it chose place {place}, but the source has {} channels", names.len()));
            }
            if route.required().is_empty() && route.optional().is_empty() {
                routing.unrouted += 1;
                continue;
            }
            for (group, part) in groups.iter().zip(&mut routing.parts) {
                group.add(part, event, route.required(), &mut scratch);
            }
            for place in route.optional() {
                if let Some(offered) = routing.offers.get_mut(*place) {
                    offered.push(event.clone());
                }
            }
        }
        let parts = routing.parts.iter_mut().map(|part| &mut part.events);
        parts.chain(&mut routing.offers).for_each(|part| part_with_others(part, events.len()));
        Ok(routing)
    }
}
