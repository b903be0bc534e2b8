//! The raw loop: what the disk gives to a program that only writes.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::measure::Run;

/// A file of zeros, written in a loop.
pub(crate) struct Raw {
    file: File,
    len: u64,
    at: AtomicU64,
}

impl Raw {
    pub(crate) fn new(dir: &Path, len: u64) -> Self {
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(true).write(true).read(true).open(dir.join("raw")).expect("a file");
        let zeros = vec![0; 1 << 20];
        (0..len.div_ceil(1 << 20)).for_each(|i| file.write_all_at(&zeros, i << 20).expect("zeros"));
        file.sync_all().expect("sync");
        Self { file, len, at: AtomicU64::new(0) }
    }

    /// Writes `count` times `bytes`, in a thread of its own as our producers are; the rate is in writes a second.
    pub(crate) fn run(&self, bytes: usize, count: u64, sync: bool) -> Run {
        std::thread::scope(|scope| scope.spawn(|| self.writes(bytes, count, sync)).join().expect("a writer"))
    }

    fn writes(&self, bytes: usize, count: u64, sync: bool) -> Run {
        let data = vec![7; bytes];
        let mut latencies = Vec::with_capacity(count as usize);
        let begun = Instant::now();
        for _ in 0..count {
            let write = Instant::now();
            let at = self.at.fetch_add(bytes as u64, Ordering::Relaxed) % (self.len - bytes as u64);
            self.file.write_all_at(&data, at).expect("write");
            if sync {
                self.file.sync_data().expect("sync");
            }
            latencies.push(write.elapsed());
        }
        Run { rate: count as f64 / begun.elapsed().as_secs_f64(), latencies, ..Run::default() }
    }
}
