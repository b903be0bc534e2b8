//! An open take of a memory channel.

use std::sync::Arc;

use super::Shared;
use super::positions::{self, Excess};
use super::queue::Run;
use super::state::{Size, TakeSlot};
use crate::channel::transaction::{RawTake, TakeCommit};
use crate::error::{StorageError, TakeError};
use crate::event::{Event, EventId};
use crate::ticket::TakeTicket;

#[derive(Debug)]
pub(super) struct OpenTake {
    pub(super) shared: Arc<Shared>,
    pub(super) runs: Vec<Run>,
    pub(super) size: Size,
    pub(super) slot: TakeSlot,
}

impl RawTake for OpenTake {
    fn id(&self, index: usize) -> EventId {
        let mut left = index;
        for run in &self.runs {
            if left < run.count {
                return EventId { lane: 0, seq: run.first.saturating_add(left as u64) };
            }
            left -= run.count;
        }
        // Not reached: a transaction asks for no index that it does not have.
        EventId { lane: 0, seq: u64::MAX }
    }

    fn submit(self: Box<Self>, commit: TakeCommit) -> Result<TakeTicket, TakeError> {
        let TakeCommit { events, count, positions, .. } = commit;
        if let Err(excess) = positions::check(&positions, self.shared.settings.owner_bytes_max) {
            return Err(self.refuse(events, excess));
        }
        let mut events = events;
        let rest = events.split_off(count.min(events.len()));
        let done = if rest.is_empty() { self.size } else { size_of(&events) };
        let mut state = self.shared.state.lock();
        if !positions.is_empty() {
            if let Err(excess) = state.positions.check_room(&positions) {
                drop(state);
                events.extend(rest);
                return Err(self.refuse(events, excess));
            }
            state.positions.apply(positions);
        }
        state.end_take(self.slot, self.size, done);
        if !rest.is_empty() {
            state.queue.put_back(rest, &runs_behind(&self.runs, events.len()));
        }
        self.shared.announce(state);
        Ok(TakeTicket::ready(Ok(())))
    }

    fn rollback(self: Box<Self>, events: Vec<Event>) {
        self.put_back(events);
    }
}

impl OpenTake {
    fn put_back(&self, events: Vec<Event>) {
        let mut state = self.shared.state.lock();
        state.end_take(self.slot, self.size, Size::default());
        state.queue.put_back(events, &self.runs);
        self.shared.announce(state);
    }

    fn refuse(&self, events: Vec<Event>, excess: Excess) -> TakeError {
        self.put_back(events);
        self.shared.state.lock().counts.take_error_count += 1;
        let Excess { what, actual, max } = excess;
        let channel = self.shared.settings.name.clone();
        TakeError::NotCommitted { channel, source: StorageError::Limit { what, actual, max } }
    }
}

fn size_of(events: &[Event]) -> Size {
    Size { events: events.len() as u64, bytes: events.iter().map(Event::size_bytes).sum() }
}

/// The runs without their first `count` events.
fn runs_behind(runs: &[Run], count: usize) -> Vec<Run> {
    let mut gone = count;
    let mut behind = Vec::new();
    for run in runs {
        let here = gone.min(run.count);
        gone -= here;
        if here < run.count {
            behind.push(Run { first: run.first + here as u64, count: run.count - here, put_at: run.put_at });
        }
    }
    behind
}
