//! Events that nobody needs any more, until nothing is locked: a body may be a buffer of the application, whose own code runs
//! when it is dropped and may come back to the store.

use std::sync::Arc;

use super::log::Record;
use crate::event::Event;
use crate::sync::Mutex;

/// What is to be dropped once nothing is locked.
#[derive(Debug, Default)]
pub(crate) struct Discarded {
    bin: Mutex<Bin>,
}

#[derive(Debug, Default)]
struct Bin {
    records: Vec<Arc<Record>>,
    events: Vec<Vec<Event>>,
    // Somebody drops what is here. Others leave it to him, and so does code that runs meanwhile in the same thread: it would go
    // deeper with each event.
    is_emptied: bool,
}

impl Discarded {
    pub(crate) fn add_record(&self, record: Arc<Record>) {
        self.bin.lock().records.push(record);
    }

    pub(crate) fn add_events(&self, events: Vec<Event>) {
        if !events.is_empty() {
            self.bin.lock().events.push(events);
        }
    }

    /// Drops everything. Nothing may be locked that a user of the store can need.
    pub(crate) fn drop_all(&self) {
        {
            let mut bin = self.bin.lock();
            if bin.is_emptied || (bin.records.is_empty() && bin.events.is_empty()) {
                return;
            }
            bin.is_emptied = true;
        }
        let emptying = Emptying(self);
        while let Some(gone) = emptying.next() {
            drop(gone);
        }
    }
}

/// The turn of whoever drops what is there; it ends also when one of the drops panics.
struct Emptying<'a>(&'a Discarded);

type Gone = (Option<Arc<Record>>, Option<Vec<Event>>);

impl Emptying<'_> {
    fn next(&self) -> Option<Gone> {
        let mut bin = self.0.bin.lock();
        let gone = (bin.records.pop(), bin.events.pop());
        // ORDER: under the lock that finds nothing left. What is added from then on finds nobody who drops it.
        bin.is_emptied = gone.0.is_some() || gone.1.is_some();
        bin.is_emptied.then_some(gone)
    }
}

impl Drop for Emptying<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.bin.lock().is_emptied = false;
        }
    }
}
