//! The room that a put has in a channel.

use std::sync::Arc;
use std::task::Waker;

use super::frame::LanePos;
use super::queue::{CountsAs, Queue};
use crate::sabotage::{Bug, planted};

/// What a put adds to one channel. Reserved there when it is submitted, and given back unless it is published: also if whoever
/// writes it panics.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) queue: Arc<Queue>,
    events: u64,
    bytes: u64,
    is_settled: bool,
}

impl Share {
    /// `queue` has reserved the room.
    pub(crate) fn new(queue: Arc<Queue>, events: u64, bytes: u64) -> Self {
        Self { queue, events, bytes, is_settled: false }
    }

    /// The events are in the log of `lane` from `seq` on, in the record at `pos`. Returns the tasks to be woken.
    pub(crate) fn publish(mut self, lane: u16, seq: u64, pos: LanePos) -> Vec<Waker> {
        self.is_settled = true;
        self.queue.publish(lane, seq, pos, self.events, self.bytes)
    }

    /// The events do not come.
    pub(crate) fn give_back(mut self, counts_as: CountsAs) {
        self.unreserve(counts_as);
    }

    fn unreserve(&mut self, counts_as: CountsAs) {
        self.is_settled = true;
        if !planted(Bug::CapacityLeak) {
            self.queue.unreserve(self.events, self.bytes, counts_as);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if !self.is_settled {
            self.unreserve(CountsAs::Failed);
        }
    }
}
