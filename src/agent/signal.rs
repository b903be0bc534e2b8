//! Waking: of those who wait for the agent's state to change, and of sink runners that wait for events.

use std::sync::Arc;
use std::task::Wake;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::clock::{Clock, SystemClock};
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

/// What a sink runner waits on while its channel is empty: woken by the channel, and by the agent when it stops.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    condvar: Condvar,
}

impl Bell {
    /// Waits until it rings, or rang since the last wait, but not longer than `limit`.
    pub(super) fn wait(&self, limit: Duration) {
        let deadline = Wait::up_to(limit).deadline();
        let mut rung = self.rung.lock();
        while !*rung && deadline.wait(&self.condvar, &mut rung) {}
        *rung = false;
    }

    pub(super) fn ring(&self) {
        *self.rung.lock() = true;
        self.condvar.notify_one();
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}
