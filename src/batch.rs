//! What a put transaction carries.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::durability::Durability;
use crate::event::Event;

/// The content of a put transaction: events, and positions that become durable together with them.
#[derive(Clone, Debug, Default)]
pub struct PutBatch {
    pub(crate) events: Vec<Event>,
    pub(crate) routes: Routes,
    pub(crate) positions: Positions,
    pub(crate) durability: Option<Durability>,
    // Set on a batch that an agent gives back, see `Resume`.
    pub(crate) resume: Option<Box<Resume>>,
}

/// How far an agent came with a batch that it gives back, so that another attempt goes on from there: no event passes
/// the interceptors twice, and no channel gets it twice.
#[derive(Clone, Debug)]
pub(crate) struct Resume {
    /// Stands for the source that the batch was put by; for any other, the batch is new.
    pub(crate) source: Arc<()>,
    /// Events before the interceptors.
    pub(crate) received: usize,
    /// So many events, from the first on, have passed the interceptors; all of them once the selector has chosen.
    pub(crate) intercepted: usize,
    /// Whether the selector has chosen.
    pub(crate) routed: bool,
    /// Transactions still to commit if there are several, the next one last: number and content.
    pub(crate) pending: Vec<(usize, PutBatch)>,
    /// Whether one of several transactions is committed.
    pub(crate) begun: bool,
    /// What the optional channels get once all required ones have committed: number of the channel and events.
    pub(crate) optional: Vec<(usize, Vec<Event>)>,
}

/// Positions to set (or, with `None`, to clear), by owner.
pub type Positions = Vec<(String, Option<Bytes>)>;

impl PutBatch {
    /// A batch of events without positions.
    #[must_use]
    pub fn new(events: Vec<Event>) -> Self {
        Self { events, ..Self::default() }
    }

    /// Sets the position of an owner; it is committed if and only if the events are.
    pub fn set_position(&mut self, owner: impl Into<String>, position: impl Into<Bytes>) {
        set_position(&mut self.positions, owner.into(), Some(position.into()));
    }

    /// Removes the position of an owner, with the commit.
    pub fn clear_position(&mut self, owner: impl Into<String>) {
        set_position(&mut self.positions, owner.into(), None);
    }

    /// Whether there is neither event nor position.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.positions.is_empty()
    }

    /// The events.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The positions.
    #[must_use]
    pub fn positions(&self) -> &[(String, Option<Bytes>)] {
        &self.positions
    }

    /// Events and positions.
    #[must_use]
    pub fn into_parts(self) -> (Vec<Event>, Positions) {
        (self.events, self.positions)
    }

    /// A batch without positions in parts of up to `size` events, which go on where it stopped: for channels that do not take
    /// all at once.
    pub(crate) fn in_parts(mut self, size: usize) -> VecDeque<Self> {
        match self.resume.take() {
            None => self.chunks(size).collect(),
            Some(resume) => self.resumed_parts(*resume, size),
        }
    }

    /// The events, the routes that are theirs, and the durability.
    fn chunks(&mut self, size: usize) -> impl Iterator<Item = Self> {
        std::iter::from_fn(move || {
            let rest = self.events.split_off(size.clamp(1, self.events.len().max(1)).min(self.events.len()));
            let events = std::mem::replace(&mut self.events, rest);
            let routes = self.routes.split_front(events.len());
            let part = Self { events, routes, durability: self.durability, ..Self::default() };
            (!part.events.is_empty()).then_some(part)
        })
    }

    /// The parts of a batch that was given back after its events had passed the interceptors.
    fn resumed_parts(&mut self, resume: Resume, size: usize) -> VecDeque<Self> {
        let Resume { source, received, pending, begun, routed, optional, .. } = resume;
        let part_of = |part: &Self, routed, pending, optional| {
            let (received, source) = (part.events.len(), source.clone());
            Some(Box::new(Resume { source, received, intercepted: received, routed, pending, begun, optional }))
        };
        // Of several transactions those that are not committed yet, if each has all events; of a single one its events, if there
        // are others that it does not have.
        let is_aligned = pending.iter().all(|(_, part)| part.events.len() == self.events.len());
        let keeps_routes =
            routed && if pending.is_empty() { self.events.len() < received } else { begun && is_aligned };
        let mut pending = pending;
        let mut parts = VecDeque::new();
        if !keeps_routes {
            // The selector chooses again, for the optional channels, too.
            self.routes = Routes::default();
            for mut part in self.chunks(size) {
                part.resume = part_of(&part, false, Vec::new(), Vec::new());
                parts.push_back(part);
            }
            return parts;
        }
        for mut part in self.chunks(size) {
            let share = |(number, whole): &mut (usize, Self)| Some((*number, whole.chunks(part.events.len()).next()?));
            let pending = pending.iter_mut().filter_map(share).collect();
            part.resume = part_of(&part, true, pending, Vec::new());
            parts.push_back(part);
        }
        if !optional.is_empty() {
            let mut part = Self::default();
            part.resume = part_of(&part, true, Vec::new(), optional);
            parts.push_back(part);
        }
        parts
    }

    /// How many events the source handed over, those included that interceptors have dropped since.
    pub(crate) fn received(&self) -> usize {
        self.resume.as_ref().map_or(self.events.len(), |resume| resume.received)
    }

    /// The same, as it is counted.
    pub(crate) fn received_events(&self) -> u64 {
        self.received() as u64
    }

    /// Bytes of all events, as counted against capacities.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.events.iter().map(Event::size_bytes).sum()
    }
}

impl From<Vec<Event>> for PutBatch {
    fn from(events: Vec<Event>) -> Self {
        Self::new(events)
    }
}

/// Sets `owner` in `positions`, replacing an earlier entry.
pub(crate) fn set_position(positions: &mut Positions, owner: String, value: Option<Bytes>) {
    match positions.iter_mut().find(|(found, _)| *found == owner) {
        Some((_, old)) => *old = value,
        None => positions.push((owner, value)),
    }
}

/// Which events of a batch go to which channels of a store: runs of neighbouring events with the same set of channels.
/// Without runs, all events go to the one channel that the transaction belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Routes {
    /// The store whose channel numbers these are; anywhere else they mean nothing.
    pub(crate) store: u64,
    /// The distinct sets, each sorted and without repetition.
    pub(crate) sets: Vec<Vec<u16>>,
    /// Index into `sets`, number of events.
    pub(crate) runs: Vec<(u32, u32)>,
}

impl Routes {
    /// Cuts off the routes of the first `events` events.
    fn split_front(&mut self, events: usize) -> Self {
        let mut left = u32::try_from(events).unwrap_or(u32::MAX);
        let mut front = Self { store: self.store, sets: self.sets.clone(), runs: Vec::new() };
        for (set, count) in &mut self.runs {
            let taken = left.min(*count);
            if taken > 0 {
                front.runs.push((*set, taken));
            }
            *count -= taken;
            left -= taken;
        }
        self.runs.retain(|(_, count)| *count > 0);
        front
    }

    /// Routes the next event to the channels `set`.
    pub(crate) fn push(&mut self, set: &[u16]) {
        if let Some((index, count)) = self.runs.last_mut()
            && self.sets.get(*index as usize).is_some_and(|last| last == set)
            && *count < u32::MAX
        {
            *count += 1;
            return;
        }
        let sorted = {
            let mut sorted = set.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            sorted
        };
        let index = self.sets.iter().position(|known| *known == sorted).unwrap_or_else(|| {
            self.sets.push(sorted);
            self.sets.len() - 1
        });
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        match self.runs.last_mut() {
            Some((last, count)) if *last == index && *count < u32::MAX => *count += 1,
            _ => self.runs.push((index, 1)),
        }
    }
}
