//! The raw loop: what the disk gives to a program that only writes.

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::measure::{Run, batch};

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

    /// The least that a log does under `Durability::Os`: makes the events of a commit, copies their bodies behind each other, takes
    /// the checksum, writes. No record has a head here, nobody is told, nothing can be read.
    pub(crate) fn run_least(&self, events: usize, commits: u64) -> Run {
        let commit = |buffer: &mut Vec<u8>| {
            let batch = batch(events);
            buffer.clear();
            batch.events().iter().for_each(|event| buffer.extend_from_slice(event.body()));
            black_box(crc32fast::hash(buffer));
            self.write(buffer);
        };
        let writes = || {
            let (mut buffer, mut latencies) = (Vec::new(), Vec::with_capacity(commits as usize));
            let begun = Instant::now();
            for _ in 0..commits {
                let one = Instant::now();
                commit(&mut buffer);
                latencies.push(one.elapsed());
            }
            Run { rate: commits as f64 / begun.elapsed().as_secs_f64(), latencies, ..Run::default() }
        };
        std::thread::scope(|scope| scope.spawn(writes).join().expect("a writer"))
    }

    /// The next place of the file.
    fn write(&self, data: &[u8]) {
        let bytes = data.len() as u64;
        let at = self.at.fetch_add(bytes, Ordering::Relaxed) % (self.len - bytes);
        self.file.write_all_at(data, at).expect("write");
    }

    fn writes(&self, bytes: usize, count: u64, sync: bool) -> Run {
        let data = vec![7; bytes];
        let mut latencies = Vec::with_capacity(count as usize);
        let begun = Instant::now();
        for _ in 0..count {
            let write = Instant::now();
            self.write(&data);
            if sync {
                self.file.sync_data().expect("sync");
            }
            latencies.push(write.elapsed());
        }
        Run { rate: count as f64 / begun.elapsed().as_secs_f64(), latencies, ..Run::default() }
    }
}
