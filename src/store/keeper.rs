//! The store's own thread: it writes what no thread waits for, syncs at intervals, prepares segments, takes checkpoints and
//! frees segments. All of it can also be done by hand with [`FileStore::maintain`](super::FileStore::maintain).

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::groups::WritesGroups;
use crate::sabotage::{Bug, planted};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Condvar, Mutex};

/// Wakes the store's thread.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    state: Mutex<State>,
    changed: Condvar,
    // Transactions were submitted since the last look.
    busy: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    wanted: bool,
    stopped: bool,
    // On the store's monotonic clock.
    due: Option<Duration>,
    // The thread looks from time to time for transactions that nobody writes.
    watching: bool,
}

/// What the store's thread was woken for.
enum Woken {
    Work,
    Look,
    Stop,
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

    /// Notes that a transaction was submitted. Usually somebody waits for it and so writes it; the store's thread watches
    /// for those that nobody comes for.
    pub(crate) fn submitted(&self) {
        if !self.busy.load(Ordering::Relaxed) && !self.busy.swap(true, Ordering::Relaxed) {
            let watching = self.state.lock().watching;
            if !watching {
                self.changed.notify_one();
            }
        }
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_one();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.state.lock().stopped
    }

    /// Waits for work. `now` reads the store's clock.
    fn wait(&self, now: impl Fn() -> Duration) -> Woken {
        let mut state = self.state.lock();
        // Whoever calls this has looked since the last wait.
        state.watching = false;
        while !state.wanted && !state.stopped {
            // What was noted once stays so until the look: a notification may come late, after the note that it is for, or
            // for something else.
            let noted = self.busy.swap(false, Ordering::Relaxed);
            state.watching = noted || (state.watching && !planted(Bug::WatchForgotten));
            let left = state.due.map(|due| due.saturating_sub(now()));
            let looks = state.watching.then_some(LOOK);
            match left.into_iter().chain(looks).min() {
                Some(Duration::ZERO) => break,
                Some(time) => {
                    let timed_out = self.changed.wait_for(&mut state, time).timed_out();
                    if timed_out
                        && state.watching
                        && !state.wanted
                        && !state.stopped
                        && left.is_none_or(|left| time < left)
                    {
                        return Woken::Look;
                    }
                }
                None => self.changed.wait(&mut state),
            }
        }
        state.wanted = false;
        if state.due.is_some_and(|due| due <= now()) {
            state.due = None;
        }
        if state.stopped { Woken::Stop } else { Woken::Work }
    }
}

/// A store as its thread sees it. `tests/loom` has another one.
pub(crate) trait Kept {
    type Lane: WritesGroups;

    fn lanes(&self) -> &[Arc<Self::Lane>];

    /// A round of work.
    fn maintain(&self);
}

/// Works until the store is closed or dropped. `now` reads the store's clock.
pub(crate) fn run<S: Kept>(store: &Weak<S>, keeper: &Keeper, now: impl Fn() -> Duration) {
    let mut looked = now();
    loop {
        let woken = keeper.wait(&now);
        let Some(store) = store.upgrade() else { return };
        match woken {
            Woken::Work => store.maintain(),
            Woken::Look => {}
            Woken::Stop => return,
        }
        // There may be work so often that the time until a look never passes.
        let look = matches!(woken, Woken::Look) || now().saturating_sub(looked) >= LOOK;
        if look {
            looked = now();
        }
        for lane in store.lanes() {
            if if look { lane.lead_forgotten() } else { lane.has_pending() } {
                keeper.submitted();
            }
        }
    }
}

/// How long a transaction may lie that nobody waits for.
const LOOK: Duration = Duration::from_millis(10);
