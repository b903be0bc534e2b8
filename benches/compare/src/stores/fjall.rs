//! One keyspace, keys in the order of arrival, one write batch for each transaction. `PersistMode::SyncData` is the sync
//! that suffices on ext4; without a mode a batch goes to the operating system. A take reads behind the last key that was
//! removed, so that it does not walk over tombstones. fjall has no group commit: each batch syncs under the journal's lock.
//! The journal does not compress here, because the bodies cannot be compressed.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{Class, Gate, Result, Store};

struct Fjall {
    db: Database,
    events: Keyspace,
    mode: Option<PersistMode>,
    next: AtomicU64,
    head: AtomicU64,
    gate: Gate,
}

pub fn open(dir: &Path, class: Class) -> Result<Box<dyn Store>> {
    let db = Database::builder(dir).journal_compression(CompressionType::None).open()?;
    let events = db.keyspace("events", KeyspaceCreateOptions::default)?;
    let mode = (class == Class::Synced).then_some(PersistMode::SyncData);
    Ok(Box::new(Fjall { db, events, mode, next: AtomicU64::new(0), head: AtomicU64::new(0), gate: Gate::default() }))
}

impl Fjall {
    fn remove(&self, events: usize, mode: Option<PersistMode>, sink: &mut dyn FnMut(&[u8])) -> Result<usize> {
        let head = self.head.load(Ordering::Relaxed).to_be_bytes();
        let mut batch = self.db.batch().durability(mode);
        let mut last = None;
        for entry in self.events.range(head..).take(events) {
            let (key, body) = entry.into_inner()?;
            sink(&body);
            last = Some(u64::from_be_bytes(key.as_ref().try_into()?));
            batch.remove(&self.events, key);
        }
        let removed = batch.len();
        batch.commit()?;
        if let Some(last) = last {
            self.head.store(last + 1, Ordering::Relaxed);
        }
        Ok(removed)
    }
}

impl Store for Fjall {
    fn put(&self, _: usize, bodies: &[Bytes]) -> Result {
        let first = self.next.fetch_add(bodies.len() as u64, Ordering::Relaxed);
        let mut batch = self.db.batch().durability(self.mode);
        for (key, body) in (first..).zip(bodies) {
            batch.insert(&self.events, key.to_be_bytes(), &body[..]);
        }
        batch.commit()?;
        self.gate.add(bodies.len());
        Ok(())
    }

    fn take(&self, events: usize, sink: &mut dyn FnMut(&[u8])) -> Result<usize> {
        self.remove(self.gate.claim(events), self.mode, sink)
    }

    fn tidy(&self) -> Result {
        self.gate.claim_all();
        while self.remove(10_000, None, &mut |_| ())? > 0 {}
        Ok(())
    }
}
