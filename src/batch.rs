//! What a put transaction carries.

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
    /// So many events, from the first on, have passed the interceptors.
    pub(crate) intercepted: usize,
    /// Whether the selector has chosen.
    pub(crate) routed: bool,
    /// Transactions still to commit if there are several, the next one last: number and content.
    pub(crate) pending: Vec<(usize, PutBatch)>,
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
