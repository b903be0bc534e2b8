//! Waiting a moment before going to sleep.

use std::hint::spin_loop;

use crate::sync::thread;

/// Rounds of spinning, each twice as long as the one before.
const SPINS: u32 = 6;
/// Rounds in which the processor is offered to another thread.
const YIELDS: u32 = 6;

/// A producer and a consumer of about the same speed keep finding the channel full or empty for moments only. To sleep
/// and be woken costs more than such a moment, several microseconds against the nanoseconds of a transaction.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    round: u32,
}

impl Backoff {
    /// Whether it is time to go to sleep.
    pub(super) fn is_over(&self) -> bool {
        self.round >= SPINS + YIELDS
    }

    /// Waits a moment, longer each time.
    pub(super) fn pause(&mut self) {
        if self.round < SPINS {
            for _ in 0..1_u32 << self.round {
                spin_loop();
            }
        } else {
            thread::yield_now();
        }
        self.round = self.round.saturating_add(1);
    }
}
