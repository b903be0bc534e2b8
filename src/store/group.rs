//! A commit group: transactions that are written together, share one sync and so one moment of outcome.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::groups::WritesGroups;
use super::lane::Lane;
use crate::error::{PutError, StorageError, TakeError};
use crate::sabotage::{Bug, planted};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Gate, thread};
use crate::ticket::{RawTicket, Receipt};

/// What became of one transaction of a group.
#[derive(Debug)]
pub(crate) enum Outcome {
    Put(Result<Receipt, PutError>),
    Take(Result<(), TakeError>),
}

/// The meeting point of a group's waiters and the one who writes it.
#[derive(Debug, Default)]
pub(crate) struct Group {
    state: Gate<State>,
    // The group is done, or one of the waiters must lead: for those who look, see `Place::look`.
    called: AtomicBool,
    looking: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    // By place in the group; `None` until the group is done, and for each outcome that was fetched.
    outcomes: Option<Vec<Option<Outcome>>>,
    wakers: Vec<(usize, Waker)>,
    // Threads that are blocked.
    waiting: usize,
    // The leader of the group before has stepped down: one of the waiters must take over.
    lead_wanted: bool,
    // A ticket was dropped, so its transaction has nobody who would lead.
    orphaned: bool,
}

/// Who could lead a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Followers {
    /// A thread is blocked on the group and was woken to lead it.
    Blocked,
    /// Only tasks, or nobody any more: the store's own thread has to lead.
    Unattended,
    /// Nobody yet; whoever comes to wait will lead.
    None,
}

impl Group {
    /// Hands the outcomes to all who wait. Says how many of them are threads, and returns the tasks to be woken.
    pub(crate) fn complete(&self, outcomes: Vec<Option<Outcome>>) -> (usize, Vec<Waker>) {
        let mut state = self.state.lock();
        state.outcomes = Some(outcomes);
        self.called.store(true, Ordering::Release);
        let looking = self.looking.load(Ordering::Relaxed);
        let wakers = std::mem::take(&mut state.wakers);
        let waiting = state.waiting;
        drop(state);
        if waiting > 0 {
            self.state.wake_all();
        }
        (waiting + looking, wakers.into_iter().map(|(_, waker)| waker).collect())
    }

    /// Whether nobody is blocked on the group and somebody counts on it all the same.
    pub(crate) fn is_unattended(&self) -> bool {
        let state = self.state.lock();
        state.waiting == 0 && !self.is_looked_at() && (state.orphaned || !state.wakers.is_empty())
    }

    /// Asks one blocked waiter to lead.
    pub(crate) fn offer_lead(&self) -> Followers {
        let mut state = self.state.lock();
        state.lead_wanted = true;
        self.called.store(true, Ordering::Release);
        if self.is_looked_at() {
            Followers::Blocked
        } else if state.waiting > 0 {
            drop(state);
            if !planted(Bug::LostLead) {
                self.state.wake_one();
            }
            Followers::Blocked
        } else if state.orphaned || !state.wakers.is_empty() {
            Followers::Unattended
        } else {
            Followers::None
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state.lock().outcomes.is_some()
    }

    /// Whether the transaction of this place failed, and nobody has fetched that.
    pub(crate) fn has_failed(&self, index: usize) -> bool {
        let state = self.state.lock();
        let outcome = state.outcomes.as_ref().and_then(|outcomes| outcomes.get(index)?.as_ref());
        matches!(outcome, Some(Outcome::Put(Err(_)) | Outcome::Take(Err(_))))
    }

    fn is_looked_at(&self) -> bool {
        self.looking.load(Ordering::Relaxed) > 0
    }
}

/// The place of one transaction in a group.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) lane: Arc<Lane>,
    pub(crate) group: Arc<Group>,
    pub(crate) index: usize,
}

impl Place {
    /// Blocks until the group is done, leading it if nobody else does.
    fn wait_outcome(&self) -> Option<Outcome> {
        while !self.group.is_done() {
            if self.lane.try_lead() {
                continue;
            }
            let called = self.look();
            let mut state = self.group.state.lock();
            if state.outcomes.is_none() && !state.lead_wanted && !called {
                state.waiting += 1;
                while state.outcomes.is_none() && !state.lead_wanted {
                    state = self.group.state.wait(state);
                }
                state.waiting -= 1;
            }
            state.lead_wanted = false;
            self.group.called.store(state.outcomes.is_some(), Ordering::Release);
        }
        self.fetch()
    }

    /// Waits for a moment without blocking, where groups take not much longer than it takes to wake a thread. `true`: the
    /// group is done, or must be led.
    fn look(&self) -> bool {
        let Some(patience) = self.lane.groups().patience() else { return false };
        let deadline = self.lane.now() + patience;
        // Of very many each would mostly wait for its turn to look.
        if self.group.looking.fetch_add(1, Ordering::Relaxed) >= LOOKING_MAX {
            self.group.looking.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        let mut called = false;
        for _ in 0..LOOKS_MAX {
            called = self.group.called.load(Ordering::Acquire);
            if called || self.lane.now() >= deadline {
                break;
            }
            thread::yield_now();
        }
        self.group.looking.fetch_sub(1, Ordering::Relaxed);
        called
    }

    fn fetch(&self) -> Option<Outcome> {
        self.group.state.lock().outcomes.as_mut()?.get_mut(self.index)?.take()
    }

    fn poll_outcome(&self, cx: &Context<'_>) -> Poll<Option<Outcome>> {
        // Wakers are the user's code: none is made or dropped while this is locked.
        let waker = cx.waker().clone();
        let mut state = self.group.state.lock();
        if let Some(outcomes) = &mut state.outcomes {
            return Poll::Ready(outcomes.get_mut(self.index).and_then(Option::take));
        }
        let known = state.wakers.iter_mut().find(|(index, _)| *index == self.index);
        let earlier = if let Some((_, known)) = known {
            Some(std::mem::replace(known, waker))
        } else {
            state.wakers.push((self.index, waker));
            None
        };
        drop(state);
        drop(earlier);
        // A task must not block, so the store's own thread writes what no thread waits for.
        self.lane.request_lead();
        Poll::Pending
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (orphaned, unheard) = {
            let mut state = self.group.state.lock();
            state.orphaned = true;
            let unheard = state.outcomes.as_mut().and_then(|outcomes| outcomes.get_mut(self.index)?.take());
            (state.outcomes.is_none(), unheard)
        };
        // It may hold events, whose bodies are the user's.
        drop(unheard);
        if orphaned {
            // Nobody may ever wait for this transaction again, and it is to be written all the same.
            self.lane.request_lead();
        }
    }
}

/// The ticket of a put.
#[derive(Debug)]
pub(crate) struct PutPlace(pub(crate) Place);

impl RawTicket<Result<Receipt, PutError>> for PutPlace {
    fn wait(self: Box<Self>) -> Result<Receipt, PutError> {
        put_outcome(self.0.wait_outcome(), &self.0)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Receipt, PutError>> {
        self.0.poll_outcome(cx).map(|outcome| put_outcome(outcome, &self.0))
    }
}

/// The ticket of a take.
#[derive(Debug)]
pub(crate) struct TakePlace(pub(crate) Place);

impl RawTicket<Result<(), TakeError>> for TakePlace {
    fn wait(self: Box<Self>) -> Result<(), TakeError> {
        take_outcome(self.0.wait_outcome(), &self.0)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TakeError>> {
        self.0.poll_outcome(cx).map(|outcome| take_outcome(outcome, &self.0))
    }
}

/// What is said of a transaction whose group has no outcome for it: whoever wrote it panicked, or it was asked for twice.
fn lost(place: &Place) -> StorageError {
    place.lane.poisoned().unwrap_or(StorageError::Closed)
}

#[allow(clippy::panic)] // a place holds the index of its own transaction, whose kind never changes
fn put_outcome(outcome: Option<Outcome>, place: &Place) -> Result<Receipt, PutError> {
    match outcome {
        Some(Outcome::Put(result)) => result,
        Some(Outcome::Take(result)) => panic!("the outcome of a put is {result:?}"),
        None => Err(PutError::Indeterminate { source: lost(place) }),
    }
}

#[allow(clippy::panic)] // see `put_outcome`
fn take_outcome(outcome: Option<Outcome>, place: &Place) -> Result<(), TakeError> {
    match outcome {
        Some(Outcome::Take(result)) => result,
        Some(Outcome::Put(result)) => panic!("the outcome of a take is {result:?}"),
        None => Err(TakeError::Indeterminate { source: lost(place) }),
    }
}

/// Threads that look for the end of one group, at most; others block.
const LOOKING_MAX: usize = 16;
/// Ends the looking where the clock stands still, as that of a simulation does.
const LOOKS_MAX: usize = if cfg!(any(shuttle, aqueduct_loom)) { 3 } else { 1000 };
