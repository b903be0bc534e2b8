//! `pwrite`, and `fdatasync` where that is asked for, on a file of zeros that is written over and over. Producers take
//! turns. What no store can beat with one producer.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::{Class, Result, Store};

const BYTES: u64 = 64 << 20;

struct Raw {
    file: File,
    class: Class,
    at: Mutex<(u64, Vec<u8>)>,
}

pub fn open(dir: &Path, class: Class) -> Result<Box<dyn Store>> {
    std::fs::create_dir_all(dir)?;
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(dir.join("raw"))?;
    let zeros = vec![0; 1 << 20];
    for at in (0..BYTES).step_by(zeros.len()) {
        file.write_all_at(&zeros, at)?;
    }
    file.sync_all()?;
    Ok(Box::new(Raw { file, class, at: Mutex::default() }))
}

impl Store for Raw {
    fn put(&self, _: usize, bodies: &[Bytes]) -> Result {
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        let (offset, buffer) = &mut *at;
        buffer.clear();
        bodies.iter().for_each(|body| buffer.extend_from_slice(body));
        let bytes = buffer.len() as u64;
        if *offset + bytes > BYTES {
            *offset = 0;
        }
        self.file.write_all_at(buffer, *offset)?;
        *offset += bytes;
        if self.class == Class::Synced {
            self.file.sync_data()?;
        }
        Ok(())
    }
}
