#![allow(clippy::disallowed_methods)] // the tests prepare and inspect directories behind the source's back

mod changes;
mod completion;
mod deserializers;
mod files;
mod power;
mod text;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tempfile::TempDir;

use super::*;
use crate::clock::StepClock;
use crate::event::Event;
use crate::limits::SPOOL_SETTLE;
use crate::shutdown::Shutdown;
use crate::source::files::tests::reuse_inode;
use crate::source::testing::Port;
use crate::vfs::{Metadata, OpenMode, VfsFile, VfsLock};

/// A spool directory, the channel behind it, and what was reported.
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
        fs::create_dir(dir.path().join("in")).unwrap();
        Self { dir, port: Arc::default(), clock: Arc::new(StepClock::new()), reports: Arc::default(), batch: 10 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("in").join(name)
    }

    /// Writes a file with a time of modification `age` seconds ago.
    fn write(&self, name: &str, content: impl AsRef<[u8]>, age: u64) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        set_age(&path, age);
    }

    fn source(&self) -> SpoolDir {
        let reports = self.reports.clone();
        SpoolDir::new(self.dir.path().join("in"))
            .clock(self.clock.clone())
            .vfs(Arc::new(TestVfs::new(i64::MAX)))
            .on_report(move |report| reports.lock().push(report.to_string()))
    }

    fn context(&self) -> SourceContext {
        SourceContext::new("spool", self.port.clone(), Shutdown::new())
    }

    fn opened(&self, mut source: SpoolDir) -> SpoolDir {
        source.open(&self.context()).unwrap();
        source
    }

    /// One poll and its commit, if there is something to commit.
    fn step(&self, source: &mut SpoolDir) -> Result<Pulled, SourceError> {
        let mut out = PullBatch::new(self.batch);
        let pulled = source.poll(&mut out)?;
        assert!(out.events().len() <= self.batch, "{} events", out.events().len());
        if !out.is_empty() {
            self.context().put_batch(out.into_put_batch(), None).unwrap();
            source.committed()?;
        }
        Ok(pulled)
    }

    /// Steps until there is no more.
    fn drain(&self, source: &mut SpoolDir) -> Pulled {
        for _ in 0..1_000_000 {
            match self.step(source).unwrap() {
                Pulled::More => {}
                pulled => return pulled,
            }
        }
        panic!("the source does not come to an end");
    }

    /// Opens and drains.
    fn run(&self, source: SpoolDir) {
        drop(self.ran(source));
    }

    fn ran(&self, source: SpoolDir) -> SpoolDir {
        let mut source = self.opened(source);
        self.drain(&mut source);
        source
    }

    /// Lets the time pass after which a file that changed is believed to be complete.
    fn settle(&self) {
        self.clock.step(SPOOL_SETTLE);
    }

    fn events(&self) -> Vec<Event> {
        self.port.0.lock().0.clone()
    }

    fn bodies(&self) -> Vec<String> {
        self.events().iter().map(|event| String::from_utf8(event.body().to_vec()).unwrap()).collect()
    }

    fn reports(&self) -> Vec<String> {
        std::mem::take(&mut *self.reports.lock())
    }

    /// All files below the spool directory, sorted.
    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        collect(&self.path(""), Path::new(""), &mut names);
        names.sort();
        names
    }
}

fn collect(dir: &Path, rel: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let rel = rel.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), &rel, names);
        } else {
            names.push(rel.to_string_lossy().into_owned());
        }
    }
}

fn set_age(path: &Path, age: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 - age);
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn append(path: &Path, text: &str) {
    use std::io::Write as _;
    fs::File::options().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn assert_one_report(reports: &[String], part: &str) {
    assert!(reports.len() == 1 && reports[0].contains(part), "{part:?} in {reports:?}");
}

/// The operating system's file system, but syncs are only counted, and it stops changing after so many changes, as if the
/// process had been killed there.
#[derive(Debug)]
struct TestVfs {
    allowed: AtomicI64,
    lists: AtomicUsize,
    syncs: AtomicUsize,
    /// Whether it tells times of creation.
    keeps_created: bool,
}

impl TestVfs {
    fn new(allowed: i64) -> Self {
        let (allowed, lists, syncs) = (AtomicI64::new(allowed), AtomicUsize::new(0), AtomicUsize::new(0));
        Self { allowed, lists, syncs, keeps_created: true }
    }

    fn change(&self) -> io::Result<()> {
        if self.allowed.fetch_sub(1, Ordering::Relaxed) > 0 { Ok(()) } else { Err(io::Error::other("cut off")) }
    }
}

impl Vfs for TestVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        if mode != OpenMode::Read {
            self.change()?;
        }
        OsVfs::new().open(path, mode)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.change()?;
        OsVfs::new().create_dir(path)
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.lists.fetch_add(1, Ordering::Relaxed);
        OsVfs::new().read_dir(path)
    }
    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let metadata = OsVfs::new().metadata(path)?;
        Ok(metadata.with_created(metadata.created.filter(|_| self.keeps_created)))
    }
    fn follow(&self, path: &Path) -> io::Result<Metadata> {
        OsVfs::new().follow(path)
    }
    fn open_followed(&self, path: &Path) -> io::Result<Arc<dyn VfsFile>> {
        OsVfs::new().open_followed(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change()?;
        OsVfs::new().rename(from, to)
    }
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change()?;
        OsVfs::new().rename_new(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.change()?;
        OsVfs::new().remove_file(path)
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.change()
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn VfsLock>> {
        OsVfs::new().lock(path)
    }
    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        OsVfs::new().available_bytes(path)
    }
}

/// Goal: what is not text goes through byte for byte, and an empty file adds nothing if so wanted. Method: a file with every
/// byte, one that begins like UTF-16, an empty one, and one with an empty line.
#[test]
fn bytes_go_through_undecoded_and_empty_files_add_no_event_if_they_are_skipped() {
    let all: Vec<u8> = (0..=255).collect();
    for skips in [false, true] {
        let bench = Bench::new();
        bench.write("a", &all, 4);
        bench.write("b", b"\xff\xfe\xc3\n\x80", 3);
        bench.write("c", b"", 2);
        bench.write("d", b"\n", 1);
        let source = bench.source().bytes();
        bench.run(if skips { source.skip_empty_files() } else { source });
        let bodies: Vec<Vec<u8>> = bench.events().iter().map(|event| event.body().to_vec()).collect();
        let mut expected = vec![all[..10].to_vec(), all[11..].to_vec(), b"\xff\xfe\xc3".to_vec(), b"\x80".to_vec()];
        expected.extend(vec![Vec::new(); if skips { 1 } else { 2 }]);
        assert_eq!(bodies, expected);
        assert_eq!(
            (bench.reports().len(), bench.names().iter().filter(|name| name.ends_with(".COMPLETED")).count()),
            (0, 4)
        );
    }
    println!("covered: 256 bytes, an empty file kept and skipped");
}
