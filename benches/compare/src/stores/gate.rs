use std::sync::{Condvar, Mutex, PoisonError};

/// Wakes the consumer of a store that has no waiting of its own, so that none of them has to poll.
#[derive(Default)]
pub struct Gate {
    waiting: Mutex<usize>,
    changed: Condvar,
}

impl Gate {
    pub fn add(&self, events: usize) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) += events;
        self.changed.notify_one();
    }

    /// Waits for at least one event; returns how many may be taken.
    pub fn claim(&self, events: usize) -> usize {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waiting =
            self.changed.wait_while(waiting, |waiting| *waiting == 0).unwrap_or_else(PoisonError::into_inner);
        let claimed = events.min(*waiting);
        *waiting -= claimed;
        claimed
    }

    /// All of them, without waiting.
    pub fn claim_all(&self) -> usize {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
