//! What a put transaction carries.

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
}

/// Positions to set (or, with `None`, to clear), by owner.
pub type Positions = Vec<(String, Option<Bytes>)>;

impl PutBatch {
    /// A batch of events without positions.
    #[must_use]
    pub fn new(events: Vec<Event>) -> Self {
        Self { events, ..Self::default() }
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

    /// Bytes of all events, as counted against capacities.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.events.iter().map(Event::size_bytes).sum()
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
