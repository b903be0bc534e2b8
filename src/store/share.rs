//! The room that a put has in a channel.

use std::sync::Arc;
use std::task::Waker;

use super::capacity::CountsAs;
use super::frame::LanePos;
use super::queue::Queue;
use crate::sabotage::{Bug, planted};

/// What a put adds to one channel. Reserved there when it is submitted, and given back unless it is published: also if whoever
/// writes it panics.
#[derive(Debug)]
pub(crate) struct Share {
    // None once it is published or given back.
    queue: Option<Arc<Queue>>,
    events: u64,
    bytes: u64,
}

impl Share {
    /// `queue` has reserved the room.
    pub(crate) fn new(queue: Arc<Queue>, events: u64, bytes: u64) -> Self {
        Self { queue: Some(queue), events, bytes }
    }

    pub(crate) fn channel(&self) -> &str {
        self.queue.as_ref().map_or("", |queue| &queue.name)
    }

    /// The events are in the log of `lane` from `seq` on, in the record at `pos`. Returns the tasks to be woken.
    pub(crate) fn publish(mut self, lane: u16, seq: u64, pos: LanePos) -> Vec<Waker> {
        let queue = self.queue.take();
        queue.map_or_else(Vec::new, |queue| queue.publish(lane, seq, pos, self.events, self.bytes))
    }

    /// The events do not come.
    pub(crate) fn give_back(mut self, counts_as: CountsAs) {
        self.unreserve(counts_as);
    }

    fn unreserve(&mut self, counts_as: CountsAs) {
        if let Some(queue) = self.queue.take().filter(|_| !planted(Bug::CapacityLeak)) {
            queue.unreserve(self.events, self.bytes, counts_as);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.unreserve(CountsAs::Failed);
    }
}
