#![allow(clippy::disallowed_methods)] // the tests change files behind the source's back

mod faults;
mod files;
mod lines;
mod model;
mod notes;
mod position_file;
mod restarts;
mod rotation;

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::SystemTime;

use parking_lot::Mutex;
use tempfile::TempDir;

use super::*;
use crate::clock::StepClock;
use crate::event::Event;
use crate::limits::{TAIL_GONE, TAIL_IDLE, TAIL_POLL};
use crate::shutdown::Shutdown;
use crate::source::files::tests::reuse_inode;
use crate::source::testing::Port;
use crate::vfs::OpenMode;
use crate::vfs::sim::SimVfs;

/// A directory of logs, the channel behind the source, and what was reported.
struct Bench {
    dir: TempDir,
    port: Arc<Port>,
    clock: Arc<StepClock>,
    reports: Arc<Mutex<Vec<String>>>,
    batch: usize,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, port: Arc::default(), clock: Arc::new(StepClock::new()), reports: Arc::default(), batch: 10 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let mut file = fs::File::options().append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    fn truncate(&self, name: &str, len: u64) {
        fs::File::options().write(true).open(self.path(name)).unwrap().set_len(len).unwrap();
    }

    fn set_age(&self, name: &str, age: u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 - age);
        fs::File::options().write(true).open(self.path(name)).unwrap().set_modified(time).unwrap();
    }

    /// Names that begin with `app.log`, in the directory.
    fn group(&self) -> FileGroup {
        FileGroup::new(self.dir.path(), r"app\.log.*")
    }

    fn source(&self) -> TailDir {
        self.source_of([self.group()])
    }

    fn source_of(&self, groups: impl IntoIterator<Item = FileGroup>) -> TailDir {
        let reports = self.reports.clone();
        TailDir::new(groups)
            .clock(self.clock.clone())
            .notify(false)
            .on_report(move |report| reports.lock().push(report.to_string()))
    }

    fn context(&self) -> SourceContext {
        SourceContext::new("tail", self.port.clone(), Shutdown::new())
    }

    fn opened(&self, mut source: TailDir) -> TailDir {
        source.open(&self.context()).unwrap();
        source
    }

    /// One poll and its commit, if there is something to commit.
    fn step(&self, source: &mut TailDir) -> Pulled {
        let mut out = PullBatch::new(self.batch);
        let pulled = source.poll(&mut out).unwrap();
        assert!(out.events().len() <= self.batch, "{} events", out.events().len());
        if !out.is_empty() {
            self.context().put_batch(out.into_put_batch(), None).unwrap();
            source.committed().unwrap();
        }
        pulled
    }

    /// Looks at everything, and goes on until there is no more.
    fn drain(&self, source: &mut TailDir) -> Pulled {
        self.clock.step(TAIL_POLL);
        for _ in 0..100_000 {
            match self.step(source) {
                Pulled::More => {}
                pulled => return pulled,
            }
        }
        panic!("the source does not come to an end");
    }

    fn ran(&self, source: TailDir) -> TailDir {
        let mut source = self.opened(source);
        self.drain(&mut source);
        source
    }

    /// Lets time pass, with a look every second.
    fn pass(&self, source: &mut TailDir, time: Duration) {
        for _ in 0..=time.as_secs() {
            self.drain(source);
        }
    }

    fn events(&self) -> Vec<Event> {
        self.port.0.lock().0.clone()
    }

    /// The bodies since the last call.
    fn bodies(&self) -> Vec<String> {
        let events = std::mem::take(&mut self.port.0.lock().0);
        events.iter().map(|event| String::from_utf8_lossy(event.body()).into_owned()).collect()
    }

    fn reports(&self) -> Vec<String> {
        std::mem::take(&mut *self.reports.lock())
    }

    /// How many positions are committed.
    fn positions(&self) -> usize {
        self.port.0.lock().1.len()
    }
}

/// Appends as a program does, so that the time of the last change moves on.
fn append_to(sim: &SimVfs, path: &Path, text: &str) {
    let mode = if sim.peek(path).is_ok() { OpenMode::ReadWrite } else { OpenMode::CreateNew };
    let file = sim.open(path, mode).unwrap();
    let at = file.metadata().unwrap().len;
    file.write_all_at(&mut [io::IoSlice::new(text.as_bytes())], at).unwrap();
}

fn assert_one_report(reports: &[String], part: &str) {
    assert!(reports.len() == 1 && reports[0].contains(part), "{part:?} in {reports:?}");
}
