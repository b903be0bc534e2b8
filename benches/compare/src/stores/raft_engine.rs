//! A raft group for each producer, one log batch for each transaction, `sync` in each write where that is asked for;
//! raft-engine groups the writes of several threads by itself. Log files are filled in advance and used again, which its
//! settings offer for steady syncs, and nothing is compressed, because the bodies cannot be. A take reads the entries
//! and then writes the command that removes them.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use protobuf::well_known_types::BytesValue;
use raft_engine::{Command, Config, Engine, LogBatch, MessageExt, ReadableSize};

use super::{Class, Gate, Result, Store};

const PRODUCERS_MAX: usize = 64;
const INDEX_BYTES: usize = 8;

struct Raft {
    engine: Engine,
    sync: bool,
    /// Of each producer.
    next: Vec<Mutex<u64>>,
    head: Mutex<u64>,
    gate: Gate,
}

/// An entry is its index, which the engine asks for, and the body.
struct Entries;

impl MessageExt for Entries {
    type Entry = BytesValue;

    fn index(entry: &BytesValue) -> u64 {
        let index = entry.value.first_chunk::<INDEX_BYTES>();
        index.map_or(0, |index| u64::from_le_bytes(*index))
    }
}

pub fn open(dir: &Path, class: Class) -> Result<Box<dyn Store>> {
    let config = Config {
        dir: dir.to_string_lossy().into_owned(),
        batch_compression_threshold: ReadableSize(0),
        target_file_size: ReadableSize::mb(64),
        purge_threshold: ReadableSize::mb(128),
        prefill_for_recycle: true,
        prefill_limit: Some(ReadableSize::mb(192)),
        ..Config::default()
    };
    let next = (0..PRODUCERS_MAX).map(|_| Mutex::new(1)).collect();
    let engine = Engine::open(config)?;
    Ok(Box::new(Raft { engine, sync: class == Class::Synced, next, head: Mutex::new(1), gate: Gate::default() }))
}

/// Groups are numbered from 1.
fn group(producer: usize) -> u64 {
    producer as u64 + 1
}

impl Store for Raft {
    fn put(&self, producer: usize, bodies: &[Bytes]) -> Result {
        let mut next = self.next[producer].lock().unwrap_or_else(PoisonError::into_inner);
        let entry = |(index, body): (u64, &Bytes)| {
            let mut value = Vec::with_capacity(INDEX_BYTES + body.len());
            value.extend_from_slice(&index.to_le_bytes());
            value.extend_from_slice(body);
            BytesValue { value, ..BytesValue::default() }
        };
        let entries: Vec<BytesValue> = (*next..).zip(bodies).map(entry).collect();
        let mut batch = LogBatch::with_capacity(1);
        batch.add_entries::<Entries>(group(producer), &entries)?;
        self.engine.write(&mut batch, self.sync)?;
        *next += bodies.len() as u64;
        drop(next);
        self.gate.add(bodies.len());
        Ok(())
    }

    fn take(&self, events: usize, sink: &mut dyn FnMut(&[u8])) -> Result<usize> {
        let claimed = self.gate.claim(events) as u64;
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = Vec::new();
        let taken = self.engine.fetch_entries_to::<Entries>(group(0), *head, *head + claimed, None, &mut entries)?;
        entries.iter().for_each(|entry| sink(&entry.value[INDEX_BYTES..]));
        let mut batch = LogBatch::with_capacity(1);
        batch.add_command(group(0), Command::Compact { index: *head + claimed });
        self.engine.write(&mut batch, self.sync)?;
        *head += claimed;
        Ok(taken)
    }

    fn tidy(&self) -> Result {
        self.gate.claim_all();
        for (producer, next) in self.next.iter().enumerate() {
            let next = *next.lock().unwrap_or_else(PoisonError::into_inner);
            self.engine.compact_to(group(producer), next);
            if producer == 0 {
                *self.head.lock().unwrap_or_else(PoisonError::into_inner) = next;
            }
        }
        self.engine.purge_expired_files()?;
        Ok(())
    }
}
