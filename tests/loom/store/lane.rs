//! A lane that writes nowhere: it notes in which order it was given transactions to write.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::group::{Outcome, Place, PutPlace};
use super::groups::{Groups, WritesGroups};
use super::keeper::{Keeper, Kept};
use crate::error::{PutError, StorageError};
use crate::sync::{Condvar, Mutex};
use crate::ticket::{PutTicket, Receipt};

#[derive(Debug)]
pub(crate) struct Lane {
    groups: Groups<u64>,
    keeper: Option<Arc<Keeper>>,
    // As that of a real lane, held by whoever writes; the last stamp that was written.
    writer: Mutex<u64>,
    // Nobody is told of it before it is written: not a part of the model.
    stamps: std::sync::atomic::AtomicU64,
    poisoned: std::sync::OnceLock<()>,
    written: (Mutex<u64>, Condvar),
}

impl Lane {
    pub(crate) fn new(keeper: Option<Arc<Keeper>>) -> Self {
        Self {
            groups: Groups::new(),
            keeper,
            writer: Mutex::new(0),
            stamps: std::sync::atomic::AtomicU64::new(0),
            poisoned: std::sync::OnceLock::new(),
            written: Default::default(),
        }
    }

    /// Submits a transaction. Its receipt says as many events as its stamp.
    pub(crate) fn submit(self: &Arc<Self>) -> (u64, PutTicket) {
        let mut stamp = 0;
        let make = || {
            stamp = self.stamps.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
            stamp
        };
        let (group, index) = self.push(1, true, make);
        let place = Place { lane: self.clone(), group, index };
        (stamp, PutTicket::pending(Box::new(PutPlace(place))))
    }

    /// Submits a transaction and waits for it, as a commit does.
    pub(crate) fn commit(self: &Arc<Self>) -> Result<(), PutError> {
        let (stamp, ticket) = self.submit();
        let receipt = ticket.wait()?;
        assert_eq!(receipt.events, stamp, "the receipt of another transaction");
        Ok(())
    }

    /// Blocks until so many transactions are written, without a part in it.
    pub(crate) fn wait_written(&self, count: u64) {
        let mut written = self.written.0.lock();
        while *written < count {
            self.written.1.wait(&mut written);
        }
    }

    pub(crate) fn written(&self) -> u64 {
        *self.written.0.lock()
    }

    pub(crate) fn poisoned(&self) -> Option<StorageError> {
        self.poisoned.get().map(|()| StorageError::Poisoned)
    }
}

impl WritesGroups for Lane {
    type Entry = u64;

    fn groups(&self) -> &Groups<u64> {
        &self.groups
    }

    fn keeper(&self) -> Option<&Keeper> {
        self.keeper.as_deref()
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn write(&self, entries: Vec<u64>) -> (Vec<Option<Outcome>>, Vec<Waker>) {
        let mut last = self.writer.lock();
        let mut outcomes = Vec::new();
        for stamp in entries {
            assert_eq!(stamp, *last + 1, "a transaction is written twice, never or out of order");
            *last = stamp;
            outcomes.push(Some(Outcome::Put(Ok(Receipt::new(None, stamp, 0)))));
        }
        *self.written.0.lock() = *last;
        self.written.1.notify_all();
        (outcomes, Vec::new())
    }

    fn pass_writer(&self) {
        drop(self.writer.lock());
    }

    fn abandon(&self) {
        let _ = self.poisoned.set(());
    }
}

/// A store of one such lane.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) lanes: [Arc<Lane>; 1],
}

impl Store {
    pub(crate) fn new() -> Self {
        let keeper = Arc::<Keeper>::default();
        Self { keeper: keeper.clone(), lanes: [Arc::new(Lane::new(Some(keeper)))] }
    }

    pub(crate) fn lane(&self) -> &Arc<Lane> {
        &self.lanes[0]
    }
}

impl Kept for Store {
    type Lane = Lane;

    fn lanes(&self) -> &[Arc<Lane>] {
        &self.lanes
    }

    fn maintain(&self) {
        self.lane().lead_unattended();
    }
}
