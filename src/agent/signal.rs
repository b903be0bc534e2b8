//! Waking those who wait for the agent's state to change.

use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::sync::{Condvar, Mutex};
use crate::wait::Wait;

/// Tells that something about the agent changed: a component opened or ended, a sink found its channel empty.
#[derive(Debug)]
pub(super) struct Signal {
    changes: Mutex<u64>,
    changed: Condvar,
    clock: SystemClock,
}

impl Signal {
    pub(super) fn new() -> Self {
        Self { changes: Mutex::new(0), changed: Condvar::new(), clock: SystemClock::new() }
    }

    /// Time since the agent started.
    pub(super) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    pub(super) fn notify(&self) {
        *self.changes.lock() += 1;
        self.changed.notify_all();
    }

    /// Waits until `condition` holds or `end` (by [`Self::now`]) has come; returns whether it holds. Looks again at every
    /// change, and every `POLL` for what changes unnoticed.
    pub(super) fn wait_until(&self, end: Option<Duration>, mut condition: impl FnMut() -> bool) -> bool {
        const POLL: Duration = Duration::from_millis(50);
        loop {
            let seen = *self.changes.lock();
            if condition() {
                return true;
            }
            let left = end.map_or(POLL, |end| end.saturating_sub(self.now()));
            if left.is_zero() {
                return false;
            }
            let mut changes = self.changes.lock();
            if *changes == seen {
                Wait::up_to(left.min(POLL)).deadline().wait(&self.changed, &mut changes);
            }
        }
    }
}
