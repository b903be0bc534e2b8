//! What the cases have in common.

use std::ops::{Deref, Range};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::{ChannelFactory, ChannelSetup};
use crate::batch::PutBatch;
use crate::channel::{Channel, TakeTransaction};
use crate::clock::{Clock, SystemClock};
use crate::event::{Event, EventId};
use crate::ticket::Receipt;
use crate::wait::Wait;

/// For whatever must happen: long enough for the slowest machine, short enough to end a test that would hang.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// [`PATIENCE`] as a wait.
pub(super) const PATIENTLY: Wait = Wait::up_to(PATIENCE);

/// A channel under test.
pub(super) struct Subject<'f> {
    factory: &'f dyn ChannelFactory,
    setup: ChannelSetup,
    instance: u64,
    // `None` only while it is being opened again.
    channel: Option<Arc<dyn Channel>>,
}

impl<'f> Subject<'f> {
    /// A new channel with room for everything.
    pub(super) fn new(factory: &'f dyn ChannelFactory) -> Self {
        Self::with(factory, ChannelSetup::default())
    }

    /// A new channel for `events` events.
    pub(super) fn of_events(factory: &'f dyn ChannelFactory, events: u64) -> Self {
        Self::with(factory, ChannelSetup { capacity_events: events, ..ChannelSetup::default() })
    }

    /// A new channel for `bytes` bytes.
    pub(super) fn of_bytes(factory: &'f dyn ChannelFactory, bytes: u64) -> Self {
        Self::with(factory, ChannelSetup { capacity_bytes: bytes, ..ChannelSetup::default() })
    }

    /// A new channel.
    pub(super) fn with(factory: &'f dyn ChannelFactory, setup: ChannelSetup) -> Self {
        // One sequence for the whole process: two tests may share what a factory keeps its channels in.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let instance = NEXT.fetch_add(1, Ordering::Relaxed);
        let channel = Some(open(factory, instance, &setup));
        Self { factory, setup, instance, channel }
    }

    /// Drops the channel without closing it and opens it again.
    pub(super) fn reopen(&mut self) {
        let last = self.channel.take();
        drop(last);
        self.channel = Some(open(self.factory, self.instance, &self.setup));
    }

    /// Closes the channel and opens it again.
    pub(super) fn close_and_reopen(&mut self) {
        self.close().expect("close");
        self.reopen();
    }

    /// A handle for another thread. It must be gone before the channel is opened again.
    pub(super) fn handle(&self) -> Arc<dyn Channel> {
        Arc::clone(self)
    }

    /// Puts the numbered events of a range in one transaction.
    pub(super) fn put_range(&self, range: Range<u64>) -> Receipt {
        self.put_batch(PutBatch::new(numbered(range))).expect("put")
    }

    /// Takes exactly `count` events, in as many transactions as the channel likes to use.
    pub(super) fn take_exactly(&self, count: usize) -> Takes {
        let mut takes = Takes(Vec::new());
        while takes.len() < count {
            let take = self.take(count - takes.len(), PATIENTLY).expect("take");
            assert!(!take.is_empty(), "only {} of {count} events came", takes.len());
            assert!(take.len() <= count - takes.len(), "a take handed out more events than asked for");
            takes.0.push(take);
        }
        takes
    }

    /// Takes and commits all there is; the bodies, in order.
    pub(super) fn drain(&self) -> Vec<String> {
        let mut bodies = Vec::new();
        loop {
            let take = self.take(100, Wait::NONE).expect("take");
            if take.is_empty() {
                return bodies;
            }
            bodies.extend(bodies_of(&take));
            take.commit().expect("commit of a take");
        }
    }

    /// Asserts that a take finds nothing now.
    pub(super) fn assert_nothing_to_take(&self) {
        let take = self.take(1, Wait::NONE).expect("take");
        assert_eq!(bodies_of(&take), [""; 0], "a take found events");
    }

    /// Asserts that a drain finds the numbered events of a range.
    pub(super) fn assert_drains(&self, range: Range<u64>) {
        assert_eq!(self.drain(), names(range));
    }
}

impl Deref for Subject<'_> {
    type Target = Arc<dyn Channel>;

    fn deref(&self) -> &Arc<dyn Channel> {
        self.channel.as_ref().expect("only `reopen` empties it, and fills it")
    }
}

fn open(factory: &dyn ChannelFactory, instance: u64, setup: &ChannelSetup) -> Arc<dyn Channel> {
    factory.open(instance, setup).unwrap_or_else(|error| panic!("cannot open channel {instance}: {error}"))
}

/// Open takes that together hold what one was asked for.
pub(super) struct Takes(pub(super) Vec<TakeTransaction>);

impl Takes {
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|take| take.len()).sum()
    }

    pub(super) fn bodies(&self) -> Vec<String> {
        self.0.iter().flat_map(|take| bodies_of(take)).collect()
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.0.iter().flat_map(|take| take.to_vec()).collect()
    }

    pub(super) fn ids(&self) -> Vec<EventId> {
        self.0.iter().flat_map(ids_of).collect()
    }

    pub(super) fn commit(self) {
        for take in self.0 {
            take.commit().expect("commit of a take");
        }
    }

    pub(super) fn rollback(self) {
        for take in self.0 {
            take.rollback();
        }
    }
}

/// The body of the event with a number.
pub(super) fn name(number: u64) -> String {
    format!("event {number}")
}

/// The bodies of the events with these numbers.
pub(super) fn names(range: Range<u64>) -> Vec<String> {
    range.map(name).collect()
}

/// The events with these numbers.
pub(super) fn numbered(range: Range<u64>) -> Vec<Event> {
    range.map(|number| Event::new(name(number))).collect()
}

/// The bodies of events, as text.
pub(super) fn bodies_of(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| String::from_utf8_lossy(event.body()).into_owned()).collect()
}

/// The identities of the events of a take.
pub(super) fn ids_of(take: &TakeTransaction) -> Vec<EventId> {
    (0..take.len()).map(|index| take.id(index).expect("every event of a take has an identity")).collect()
}

/// Runs something that waits and asserts that it was woken, and did not go on because its wait was over: that comes to the
/// same, only late.
pub(super) fn promptly<T>(what: &str, action: impl FnOnce() -> T) -> T {
    let clock = SystemClock::new();
    let outcome = action();
    assert!(clock.monotonic() < PATIENCE / 2, "{what} was not woken");
    outcome
}

/// Lets other threads run for a moment, so that those that are about to wait do. No case depends on it: where it was too
/// short, the case has only checked an easier thing.
pub(super) fn let_them_wait() {
    let clock = SystemClock::new();
    while clock.monotonic() < Duration::from_millis(3) {
        thread::yield_now();
    }
}

/// Waits until something is so; fails if it never is.
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = SystemClock::new();
    while !is_so() {
        assert!(clock.monotonic() < PATIENCE, "waited in vain until {what}");
        thread::yield_now();
    }
}

/// A task of a runtime that does nothing but count how often it is woken.
pub(super) struct Task {
    state: Arc<TaskState>,
    waker: Waker,
}

#[derive(Default)]
struct TaskState {
    wakes: Mutex<u64>,
    condvar: Condvar,
}

impl Wake for TaskState {
    fn wake(self: Arc<Self>) {
        *self.wakes.lock() += 1;
        self.condvar.notify_all();
    }
}

impl Task {
    pub(super) fn new() -> Self {
        let state = Arc::new(TaskState::default());
        Self { waker: Waker::from(Arc::clone(&state)), state }
    }

    /// How often the task was woken.
    pub(super) fn wakes(&self) -> u64 {
        *self.state.wakes.lock()
    }

    /// Asks whether a channel is ready, and to be woken if it is not.
    pub(super) fn is_ready(&self, channel: &Arc<dyn Channel>) -> bool {
        channel.poll_ready(&mut Context::from_waker(&self.waker)).is_ready()
    }

    /// Polls a future once.
    pub(super) fn poll<F: Future + Unpin>(&self, future: &mut F) -> Option<F::Output> {
        match Pin::new(future).poll(&mut Context::from_waker(&self.waker)) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    /// Polls a future each time it wakes the task, until it is complete.
    pub(super) fn block_on<F: Future>(future: F) -> F::Output {
        let task = Self::new();
        let mut future = pin!(future);
        let mut seen = 0;
        loop {
            if let Some(output) = task.poll(&mut future) {
                return output;
            }
            let mut wakes = task.state.wakes.lock();
            while *wakes == seen {
                let result = task.state.condvar.wait_for(&mut wakes, PATIENCE);
                assert!(!result.timed_out(), "a future that is not complete woke no one");
            }
            seen = *wakes;
        }
    }
}
