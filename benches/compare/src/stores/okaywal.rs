//! One entry for each transaction, one chunk for each event. The segments are as large as ours (the default of 1 MiB would
//! make a checkpoint every 15 transactions), and so is the buffer for a transaction; a checkpoint throws away what it
//! covers, which is the cheapest one there can be. okaywal groups the commits of several threads by itself. A log
//! without consumers.

use std::path::Path;

use bytes::Bytes;
use okaywal::{Configuration, LogVoid, WriteAheadLog};

use super::{Class, Result, Store};

const SEGMENT_BYTES: u32 = 64 << 20;

struct Okaywal {
    log: WriteAheadLog,
}

pub fn open(dir: &Path, _: Class) -> Result<Box<dyn Store>> {
    let log = Configuration::default_for(dir)
        .preallocate_bytes(SEGMENT_BYTES)
        .checkpoint_after_bytes(u64::from(SEGMENT_BYTES) / 4 * 3)
        .buffer_bytes(64 << 10)
        .open(LogVoid)?;
    Ok(Box::new(Okaywal { log }))
}

impl Store for Okaywal {
    fn put(&self, _: usize, bodies: &[Bytes]) -> Result {
        let mut entry = self.log.begin_entry()?;
        for body in bodies {
            entry.write_chunk(body)?;
        }
        entry.commit()?;
        Ok(())
    }
}
