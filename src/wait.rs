//! How long a call may wait.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use crate::limits::{PUT_WAIT, RECALL_LOOK};
use crate::shutdown::Shutdown;
use crate::sync::{Condvar, Instant, Mutex, MutexGuard};

/// How long a call may wait for room or for events.
///
/// ```
/// # use aqueduct::Wait;
/// # use std::time::Duration;
/// let patient = Wait::up_to(Duration::from_secs(1));
/// assert_ne!(patient, Wait::NONE);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait(Option<Duration>);

impl Wait {
    /// Do not wait.
    pub const NONE: Self = Self(Some(Duration::ZERO));
    /// Wait as long as it takes.
    pub const FOREVER: Self = Self(None);

    /// Wait, but not longer than this.
    #[must_use]
    pub const fn up_to(limit: Duration) -> Self {
        Self(Some(limit))
    }

    /// The limit; `None` means none.
    #[must_use]
    pub const fn limit(self) -> Option<Duration> {
        self.0
    }

    /// As long as a channel waits that is configured to wait so long: whoever would only come again, and stand behind
    /// everybody else each time, waits in its line even if that is no time at all.
    pub(crate) fn of_channel(self, recall: Option<&Recall>) -> Self {
        if self == Self::NONE && recall.is_some_and(|recall| recall.comes_again) { Self::up_to(PUT_WAIT) } else { self }
    }

    /// The moment at which this wait, begun now, ends; `None` is never.
    #[allow(clippy::disallowed_methods)] // a condition variable wants an instant of the real clock
    pub(crate) fn deadline(self) -> Deadline {
        match self.0 {
            None => Deadline::Never,
            Some(Duration::ZERO) => Deadline::Passed,
            Some(limit) => Instant::now().checked_add(limit).map_or(Deadline::Never, Deadline::At),
        }
    }
}

/// The end of a wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deadline {
    /// Do not wait at all.
    Passed,
    /// Wait until then.
    At(Instant),
    /// Wait as long as it takes.
    Never,
}

impl Deadline {
    /// Whether there is nothing left to wait.
    #[allow(clippy::disallowed_methods)] // see `Wait::deadline`
    pub(crate) fn has_passed(self) -> bool {
        match self {
            Self::Passed => true,
            Self::At(instant) => Instant::now() >= instant,
            Self::Never => false,
        }
    }

    /// This deadline, or one so much later than now if that is earlier.
    pub(crate) fn or_after(self, limit: Duration) -> Self {
        match (self, Wait::up_to(limit).deadline()) {
            (Self::At(own), Self::At(other)) => Self::At(own.min(other)),
            (Self::Passed, _) | (_, Self::Passed) => Self::Passed,
            (Self::Never, other) | (other, Self::Never) => other,
        }
    }

    /// What is left to wait.
    #[allow(clippy::disallowed_methods)] // see `Wait::deadline`
    pub(crate) fn left(self) -> Wait {
        match self {
            Self::Passed => Wait::NONE,
            Self::At(instant) => Wait::up_to(instant.saturating_duration_since(Instant::now())),
            Self::Never => Wait::FOREVER,
        }
    }

    /// Waits on a condition variable. Returns `false` once the deadline has passed; spurious wake-ups return `true`.
    pub(crate) fn wait<T>(self, condvar: &Condvar, guard: &mut MutexGuard<'_, T>) -> bool {
        match self {
            Self::Passed => false,
            Self::At(instant) => !condvar.wait_until(guard, instant).timed_out(),
            Self::Never => {
                condvar.wait(guard);
                true
            }
        }
    }
}

/// What ends a source's wait for room before its time, so that it can wait as long as the channel does and still stop.
#[derive(Clone, Debug)]
pub(crate) struct Recall {
    stop: Shutdown,
    /// Whether the source comes again with what finds no room.
    comes_again: bool,
}

impl Recall {
    /// For a source that takes the channel's "full" for an answer.
    pub(crate) fn new(stop: Shutdown) -> Self {
        Self { stop, comes_again: false }
    }

    /// For a source that comes again until there is room. It stands in the line of a channel that does not wait, too.
    pub(crate) fn of_patient(stop: Shutdown) -> Self {
        Self { stop, comes_again: true }
    }
}

/// How long a put waits for room: until a deadline, or until it is called back.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    deadline: Deadline,
    recall: Option<Recall>,
}

impl Patience {
    /// As long as `wait`, from now on, unless a recall is requested before that.
    pub(crate) fn new(wait: Wait, recall: Option<Recall>) -> Self {
        Self { deadline: wait.deadline(), recall }
    }

    fn is_recalled(&self) -> bool {
        self.recall.as_ref().is_some_and(|recall| recall.stop.is_requested())
    }

    /// The moment at which it ends if nobody calls back.
    pub(crate) fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Whether there is nothing left to wait.
    pub(crate) fn is_over(&self) -> bool {
        self.deadline.has_passed() || self.is_recalled()
    }

    /// This patience, or that of so much later than now if it is over earlier.
    pub(crate) fn or_after(&self, limit: Duration) -> Self {
        Self { deadline: self.deadline.or_after(limit), recall: self.recall.clone() }
    }

    /// Waits on a condition variable as [`wait`](Self::wait) does, but not longer than `limit`; that, too, returns `true`.
    pub(crate) fn wait_up_to<T>(&self, limit: Duration, condvar: &Condvar, guard: &mut MutexGuard<'_, T>) -> bool {
        !self.is_over() && (self.or_after(limit).wait(condvar, guard) || !self.is_over())
    }

    /// Waits on a condition variable. Returns `false` once the patience is over; spurious wake-ups return `true`.
    ///
    /// Nobody wakes a put to call it back: it looks again from time to time, and keeps its place meanwhile.
    pub(crate) fn wait<T>(&self, condvar: &Condvar, guard: &mut MutexGuard<'_, T>) -> bool {
        if self.recall.is_none() {
            return self.deadline.wait(condvar, guard);
        }
        !self.is_recalled() && (self.deadline.or_after(RECALL_LOOK).wait(condvar, guard) || !self.is_over())
    }
}

/// What a thread waits on that is woken as a task would be.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    condvar: Condvar,
}

impl Bell {
    /// Waits until it rings, or rang since the last wait, or until the deadline.
    pub(crate) fn wait(&self, deadline: Deadline) {
        let mut rung = self.rung.lock();
        while !*rung && deadline.wait(&self.condvar, &mut rung) {}
        *rung = false;
    }

    pub(crate) fn ring(&self) {
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

/// Wakes tasks. A waker that panics is its task's trouble: the panic hook has told of it, and neither the thread that happened
/// to wake it nor the tasks behind it have a part in it.
pub(crate) fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
    }
}
