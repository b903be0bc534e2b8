//! The store's own thread: it writes what no thread waits for, syncs at intervals, prepares segments, takes checkpoints and
//! frees segments. All of it can also be done by hand with [`FileStore::maintain`](super::FileStore::maintain).

use std::sync::Weak;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::inner::Inner;

/// Wakes the store's thread.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    wanted: bool,
    stopped: bool,
    // On the store's monotonic clock.
    due: Option<Duration>,
}

impl Keeper {
    /// Asks for a round of work soon.
    pub(crate) fn wake(&self) {
        let mut state = self.state.lock();
        if !state.wanted {
            state.wanted = true;
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Asks for a round of work at `time` or earlier.
    pub(crate) fn schedule(&self, time: Duration) {
        let mut state = self.state.lock();
        if state.due.is_none_or(|due| time < due) {
            state.due = Some(time);
            drop(state);
            self.changed.notify_one();
        }
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_one();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.state.lock().stopped
    }

    /// Waits for work; `false` once stopped. `now` reads the store's clock.
    fn wait(&self, now: impl Fn() -> Duration) -> bool {
        let mut state = self.state.lock();
        while !state.wanted && !state.stopped {
            match state.due.map(|due| due.saturating_sub(now())) {
                Some(Duration::ZERO) => break,
                Some(left) => {
                    self.changed.wait_for(&mut state, left);
                }
                None => self.changed.wait(&mut state),
            }
        }
        state.wanted = false;
        if state.due.is_some_and(|due| due <= now()) {
            state.due = None;
        }
        !state.stopped
    }
}

/// Works until the store is closed or dropped.
pub(crate) fn run(store: &Weak<Inner>, shared: &super::shared::Shared) {
    while shared.keeper.wait(|| shared.options.clock.monotonic()) {
        let Some(store) = store.upgrade() else { return };
        store.maintain();
    }
}
