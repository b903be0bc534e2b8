//! One queue, `append_records` for each transaction, `SyncPolicy::OnAppend`, the strongest that release 0.4 has: it flushes
//! to the operating system and makes no sync call, so that its class is OS. All events that are waiting are in memory, too.
//! A take reads a range from there and truncates the queue behind it. Asynchronous: each call blocks on a runtime of its own.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use mrecordlog::{MultiRecordLog, SyncPolicy};
use tokio::runtime::Runtime;

use super::{Class, Gate, Result, Store};

const QUEUE: &str = "events";

struct Records {
    runtime: Runtime,
    log: Mutex<(MultiRecordLog, u64)>,
    gate: Gate,
}

pub fn open(dir: &Path, _: Class) -> Result<Box<dyn Store>> {
    std::fs::create_dir_all(dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let log = runtime.block_on(async {
        let mut log = MultiRecordLog::open_with_prefs(dir, SyncPolicy::OnAppend).await?;
        log.create_queue(QUEUE).await?;
        Result::Ok(log)
    })?;
    Ok(Box::new(Records { runtime, log: Mutex::new((log, 0)), gate: Gate::default() }))
}

impl Records {
    fn remove(&self, events: usize, sink: &mut dyn FnMut(&[u8])) -> Result<usize> {
        let mut locked = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let (log, head) = &mut *locked;
        let end = *head + events as u64;
        let taken =
            log.range(QUEUE, *head..end).map_err(|error| format!("{error:?}"))?.map(|(_, body)| sink(&body)).count();
        if taken > 0 {
            self.runtime.block_on(log.truncate(QUEUE, end - 1))?;
            *head = end;
        }
        Ok(taken)
    }
}

impl Store for Records {
    fn put(&self, _: usize, bodies: &[Bytes]) -> Result {
        let mut locked = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        self.runtime.block_on(locked.0.append_records(QUEUE, None, bodies.iter().map(|body| &body[..])))?;
        drop(locked);
        self.gate.add(bodies.len());
        Ok(())
    }

    fn take(&self, events: usize, sink: &mut dyn FnMut(&[u8])) -> Result<usize> {
        self.remove(self.gate.claim(events), sink)
    }

    fn tidy(&self) -> Result {
        self.remove(self.gate.claim_all(), &mut |_| ())?;
        Ok(())
    }
}
