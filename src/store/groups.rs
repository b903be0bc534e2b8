//! The groups of a lane that form, and the lead: who writes the next one.
//!
//! Whoever waits for a commit and finds nobody writing becomes the leader: it takes all transactions that are pending, has
//! them written with one sync, and wakes the others. While it writes, the next group forms. There is no writer thread, so a
//! single producer pays for no hand-over between threads.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

use super::group::{Followers, Group, Outcome};
use super::keeper::Keeper;
use crate::limits::{GROUP_BYTES_MAX, GROUP_TRANSACTIONS_MAX};
use crate::sabotage::{Bug, planted};
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Mutex, thread};
use crate::wait::wake_all;

/// The transactions of a lane that nobody has written yet.
#[derive(Debug)]
pub(crate) struct Groups<E> {
    pending: Mutex<Pending<E>>,
    bytes: AtomicU64,
    // Transactions that nobody writes yet; read without the lock that those need who are to come.
    count: AtomicUsize,
    // How long groups took to be written lately, in nanoseconds; `u64::MAX` before the first.
    group_time: AtomicU64,
}

#[derive(Debug)]
struct Pending<E> {
    groups: VecDeque<Forming<E>>,
    leading: bool,
    // The group that is being written.
    current: Option<Arc<Group>>,
    // Transactions that there will be once all threads are back that the last group released. They are likely to be soon.
    expected: usize,
    // How many times in a row most of them did not come in time.
    missed: u32,
    // Groups that are not to wait for anybody.
    hurried: u32,
    // The front group when the store's thread looked last.
    seen: Weak<Group>,
}

#[derive(Debug)]
struct Forming<E> {
    group: Arc<Group>,
    entries: Vec<E>,
    bytes: u64,
    // One of them asks for a sync, which is worth sharing.
    syncs: bool,
}

impl<E> Groups<E> {
    pub(crate) fn new() -> Self {
        let pending = Pending {
            groups: VecDeque::new(),
            leading: false,
            current: None,
            expected: 0,
            missed: 0,
            hurried: 0,
            seen: Weak::new(),
        };
        Self {
            pending: Mutex::new(pending),
            bytes: AtomicU64::new(0),
            count: AtomicUsize::new(0),
            group_time: AtomicU64::new(u64::MAX),
        }
    }

    /// Bytes of the transactions that are not written yet: how busy the lane is.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Adds a transaction to the group that forms. Those of a lane are made, by `make`, in the order in which they are written.
    /// `syncs`: it asks for a sync. Returns its group and its place there.
    fn push(&self, bytes: u64, syncs: bool, make: impl FnOnce() -> E) -> (Arc<Group>, usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut pending = self.pending.lock();
        let entry = make();
        let fits = pending.groups.back().is_some_and(|forming| {
            forming.bytes + bytes <= GROUP_BYTES_MAX && forming.entries.len() < GROUP_TRANSACTIONS_MAX
        });
        if !fits {
            pending.groups.push_back(Forming { group: Arc::default(), entries: Vec::new(), bytes: 0, syncs: false });
        }
        let place = match pending.groups.back_mut() {
            Some(forming) => {
                forming.bytes += bytes;
                forming.syncs |= syncs;
                forming.entries.push(entry);
                (forming.group.clone(), forming.entries.len() - 1)
            }
            // Unreachable: a group was pushed if there was none. A place in no group would never be done.
            None => unreachable!("a forming group was just pushed"),
        };
        self.count.fetch_add(1, Ordering::Relaxed);
        place
    }

    /// How long whoever waits for a group is to look for its end before it blocks: as long as two groups take, if that is
    /// not long. To be woken takes a processor about as long, and costs the leader the call that wakes.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let time = Duration::from_nanos(self.group_time.load(Ordering::Relaxed));
        (time <= LOOK_MAX).then_some(time * 2)
    }

    /// Whether transactions wait for somebody to write them.
    fn is_pending(&self) -> bool {
        !self.pending.lock().groups.is_empty()
    }

    /// Claims the lead, unless somebody has it or there is nothing to write.
    fn begin_lead(&self) -> bool {
        let mut pending = self.pending.lock();
        if (pending.leading && !planted(Bug::TwoLeaders)) || pending.groups.is_empty() {
            return false;
        }
        pending.leading = true;
        true
    }

    fn pop_front(&self) -> Option<Forming<E>> {
        let mut pending = self.pending.lock();
        let forming = pending.groups.pop_front();
        let taken = forming.as_ref().map_or(0, |forming| forming.entries.len());
        self.count.fetch_sub(taken, Ordering::Relaxed);
        pending.current = forming.as_ref().map(|forming| forming.group.clone());
        forming
    }

    /// An average in which the last group counts an eighth. Only the leader writes it.
    fn note_group_time(&self, time: Duration) {
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let average = self.group_time.load(Ordering::Relaxed);
        let average = if average == u64::MAX { time } else { average - average / 8 + time / 8 };
        self.group_time.store(average, Ordering::Relaxed);
    }

    /// Whether the front group was the front group when this was called before, and nobody has come for it.
    fn is_forgotten(&self) -> bool {
        let mut pending = self.pending.lock();
        let front = pending.groups.front().map(|forming| Arc::downgrade(&forming.group)).unwrap_or_default();
        let same = front.strong_count() > 0 && front.ptr_eq(&pending.seen);
        pending.seen = front;
        same && !pending.leading
    }

    fn has_unattended(&self) -> bool {
        let groups: Vec<_> = self.pending.lock().groups.iter().map(|forming| forming.group.clone()).collect();
        groups.iter().any(|group| group.is_unattended())
    }

    /// The last group of those that are pending or being written.
    fn last(&self) -> Option<Arc<Group>> {
        let pending = self.pending.lock();
        pending.groups.back().map(|forming| forming.group.clone()).or_else(|| pending.current.clone())
    }

    /// Waits a moment for the threads that the last group released, so that they share this group's sync: until all are back
    /// or nobody has come for a while. Where most do not come, it is seldom tried again.
    fn linger(&self, now: impl Fn() -> Duration) {
        let longest = match Duration::from_nanos(self.group_time.load(Ordering::Relaxed)) {
            // No time passes in a model, and all of this is to be tried there.
            _ if cfg!(any(shuttle, aqueduct_loom)) => LINGER_MAX,
            time if time < LINGER_FROM => return,
            time => time.min(LINGER_MAX),
        };
        let (first, expected) = {
            let mut pending = self.pending.lock();
            // Read under the lock that those need who are to come.
            let first = self.count.load(Ordering::Relaxed);
            let is_worth_it = pending.groups.len() == 1 && pending.groups.front().is_some_and(|forming| forming.syncs);
            if !is_worth_it || first >= pending.expected {
                return;
            }
            if pending.hurried > 0 {
                pending.hurried -= 1;
                return;
            }
            (first, pending.expected)
        };
        let begun = now();
        let (mut seen, mut last) = (first, begun);
        for _ in 0..LINGER_YIELDS_MAX {
            let (count, now) = (self.count.load(Ordering::Relaxed), now());
            if count > seen {
                (seen, last) = (count, now);
            }
            if count >= expected || now >= last + LINGER || now >= begun + longest {
                break;
            }
            thread::yield_now();
        }
        let most_came = 2 * (seen - first) > expected - first;
        let mut pending = self.pending.lock();
        pending.missed = if most_came { 0 } else { (pending.missed + 1).min(MISSED_MAX) };
        pending.hurried = (1 << pending.missed) - 1;
    }
}

/// Where groups are written: a lane. `tests/loom` has another one, which writes nowhere.
pub(crate) trait WritesGroups: Sized {
    type Entry;

    fn groups(&self) -> &Groups<Self::Entry>;

    /// What wakes the store's own thread, if there is one.
    fn keeper(&self) -> Option<&Keeper>;

    /// On the store's monotonic clock.
    fn now(&self) -> Duration;

    /// Writes a group. Returns the outcomes by place, and the tasks to be woken once nothing is locked.
    fn write(&self, entries: Vec<Self::Entry>) -> (Vec<Option<Outcome>>, Vec<Waker>);

    /// Waits for who is writing.
    fn pass_writer(&self);

    /// Stops all writing: whoever wrote has panicked.
    fn abandon(&self);

    /// Adds a transaction to the group that forms. It is written when someone leads that group. `syncs`: it asks for a sync.
    fn push(&self, bytes: u64, syncs: bool, make: impl FnOnce() -> Self::Entry) -> (Arc<Group>, usize) {
        let announce = || self.keeper().into_iter().for_each(Keeper::submitted);
        if planted(Bug::AnnouncedEarly) {
            announce();
            return self.groups().push(bytes, syncs, make);
        }
        // ORDER: after it is there. Whoever finds it announced already may see an old announcement: the store's thread has
        // taken that one up and is about to look, and the lock that it looks under decides that it finds this one.
        let (group, index) = self.groups().push(bytes, syncs, make);
        if index == 0 {
            announce();
        }
        (group, index)
    }

    /// Writes the oldest pending group, unless there is none or someone else is writing.
    fn try_lead(&self) -> bool {
        if !self.lead_front() {
            return false;
        }
        if self.keeper().is_none() {
            // What came meanwhile and has nobody who could lead has nobody else.
            while self.groups().has_unattended() && self.lead_front() {}
        }
        true
    }

    fn lead_front(&self) -> bool {
        if !self.groups().begin_lead() {
            return false;
        }
        let mut lead = Lead { writer: self, is_writing: false, expected: 0, wakers: Vec::new() };
        self.groups().linger(|| self.now());
        if let Some(Forming { group, entries, bytes, .. }) = self.groups().pop_front() {
            lead.is_writing = true;
            let begun = self.now();
            let (outcomes, wakers) = self.write(entries);
            lead.wakers = wakers;
            self.groups().note_group_time(self.now().saturating_sub(begun));
            self.groups().bytes.fetch_sub(bytes, Ordering::Relaxed);
            // Before anybody is woken, who may be back at once.
            let others = self.groups().count.load(Ordering::Relaxed);
            let (released, wakers) = group.complete(outcomes);
            lead.is_writing = false;
            // And this thread, which mostly comes back. One that does not costs the next leader a moment, and less and less often.
            lead.expected = others + released + 1;
            lead.wakers.extend(wakers);
        }
        true
    }

    /// Writes the front group if it was the front group when this was called before, and nobody has come for it. `true`:
    /// there is a group to look at again.
    fn lead_forgotten(&self) -> bool {
        if self.groups().is_forgotten() {
            self.try_lead();
        }
        self.has_pending()
    }

    /// Whether transactions wait for somebody to write them.
    fn has_pending(&self) -> bool {
        self.groups().is_pending()
    }

    /// Writes the groups that nobody is blocked on and somebody counts on.
    fn lead_unattended(&self) {
        while self.groups().has_unattended() && self.try_lead() {}
    }

    /// Has the store's own thread write what is pending; without such a thread, does it at once.
    fn request_lead(&self) {
        match self.keeper().filter(|keeper| !keeper.is_stopped()) {
            Some(keeper) => keeper.wake(),
            None => while self.try_lead() {},
        }
    }

    /// Writes everything that is pending now, and waits for who is writing it.
    fn drain_pending(&self) {
        let last = self.groups().last();
        while last.as_ref().is_some_and(|last| !last.is_done()) {
            if !self.try_lead() {
                self.pass_writer();
                thread::yield_now();
            }
        }
    }
}

/// The turn of whoever writes a group. Its end hands the lead on, also when writing it panicked.
struct Lead<'a, W: WritesGroups> {
    writer: &'a W,
    // A group is being written. Not whether the thread panics: what is written in a destructor meanwhile may well succeed.
    is_writing: bool,
    // Transactions that there will be once the threads are back that the group released.
    expected: usize,
    wakers: Vec<Waker>,
}

impl<W: WritesGroups> Drop for Lead<'_, W> {
    fn drop(&mut self) {
        if self.is_writing {
            self.writer.abandon();
        }
        let (current, next) = {
            let mut pending = self.writer.groups().pending.lock();
            pending.leading = false;
            pending.expected = self.expected;
            let next: Vec<Arc<Group>> = pending.groups.iter().map(|forming| forming.group.clone()).collect();
            (pending.current.take(), next)
        };
        // Only a panic leaves it without outcomes.
        if let Some(group) = current.filter(|group| !group.is_done()) {
            self.wakers.extend(group.complete(Vec::new()).1);
        }
        // Whoever is woken leads the front group, and goes on until its own is done.
        for group in next {
            match group.offer_lead() {
                Followers::Blocked => break,
                Followers::Unattended => {
                    if let Some(keeper) = self.writer.keeper() {
                        keeper.wake();
                    }
                    break;
                }
                Followers::None => {}
            }
        }
        wake_all(std::mem::take(&mut self.wakers));
    }
}

/// How long nobody comes, at most, while a leader waits: longer than it takes to wake a thread that prepares its next
/// transaction.
const LINGER: Duration = Duration::from_micros(50);
/// How long a leader waits in all, unless a group takes less.
const LINGER_MAX: Duration = Duration::from_micros(150);
/// Where groups take less than this, to share one saves less than it costs to wait.
const LINGER_FROM: Duration = Duration::from_micros(40);
/// Two to the power of this less one groups wait for nobody after so many at which most did not come.
const MISSED_MAX: u32 = 5;
/// Where groups take longer than this, whoever waits for one blocks at once.
const LOOK_MAX: Duration = Duration::from_micros(150);
/// Ends the waiting where the clock stands still, as that of a simulation does.
const LINGER_YIELDS_MAX: usize = if cfg!(aqueduct_loom) { 1 } else { 1000 };
