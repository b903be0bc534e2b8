//! The file channel passes the conformance suite, with default settings and with hostile ones.
//!
//! The hostile variants restart through a simulated power cut that keeps nothing that was not synced, use segments of a few
//! KiB over two lanes, and read every event from disk.

#![allow(clippy::expect_used)] // an error is a failed test

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use aqueduct::store::{FileStore, FileStoreBuilder, ReadMode};
use aqueduct::testing::conformance::{ChannelFactory, ChannelSetup, FactoryError};
use aqueduct::vfs::sim::{CrashChoice, CrashMode, SimVfs, Survive};
use aqueduct::{Channel, Durability};

fn open(builder: FileStoreBuilder, setup: &ChannelSetup) -> Result<Arc<dyn Channel>, FactoryError> {
    let store = builder
        .capacity_events(setup.capacity_events)
        .capacity_bytes(setup.capacity_bytes)
        .put_wait(setup.put_wait)
        .open()?;
    Ok(Arc::new(store.channel("channel")?))
}

/// Stores on the real disk. They are not closed by the suite, so every restart is one after a crash of the process.
struct OnDisk {
    dir: tempfile::TempDir,
    settings: fn(PathBuf) -> FileStoreBuilder,
}

impl OnDisk {
    fn new(settings: fn(PathBuf) -> FileStoreBuilder) -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory"), settings }
    }
}

impl ChannelFactory for OnDisk {
    fn open(&self, instance: u64, setup: &ChannelSetup) -> Result<Arc<dyn Channel>, FactoryError> {
        open((self.settings)(self.dir.path().join(instance.to_string())), setup)
    }

    fn is_durable(&self) -> bool {
        true
    }
}

/// Stores on simulated disks that lose everything unsynced at every restart.
#[derive(Default)]
struct PowerCuts {
    disks: Mutex<HashMap<u64, Arc<SimVfs>>>,
}

impl ChannelFactory for PowerCuts {
    fn open(&self, instance: u64, setup: &ChannelSetup) -> Result<Arc<dyn Channel>, FactoryError> {
        let mut disks = self.disks.lock().expect("no other test thread panicked");
        let disk = match disks.get(&instance) {
            Some(disk) => disk.crash(&CrashChoice::new(CrashMode::Posix, Survive::Nothing)),
            None => SimVfs::new(),
        };
        let disk = Arc::new(disk);
        disks.insert(instance, disk.clone());
        let builder = FileStore::builder("/store")
            .vfs(disk)
            .seed(instance)
            .data_dir("/d1")
            .data_dir("/d2")
            .segment_bytes(8 << 10)
            .replay_bytes_max(4 << 10)
            .tail_cache_bytes(0);
        open(builder, setup)
    }

    fn is_durable(&self) -> bool {
        true
    }
}

mod on_disk {
    aqueduct::channel_conformance!(super::OnDisk::new(super::FileStore::builder));
}

mod small_segments_mapped_without_cache {
    fn settings(path: std::path::PathBuf) -> super::FileStoreBuilder {
        let (a, b, c) = (path.join("a"), path.join("b"), path.join("c"));
        super::FileStore::builder(path)
            .data_dir(a)
            .data_dir(b)
            .data_dir(c)
            .segment_bytes(16 << 10)
            .tail_cache_bytes(0)
            .read_mode(super::ReadMode::Mmap)
            .durability(super::Durability::Os)
            .take_durability(super::Durability::Os)
    }

    aqueduct::channel_conformance!(super::OnDisk::new(settings));
}

mod without_a_thread {
    fn settings(path: std::path::PathBuf) -> super::FileStoreBuilder {
        super::FileStore::builder(path).background(false).tail_cache_bytes(1000)
    }

    aqueduct::channel_conformance!(super::OnDisk::new(settings));
}

mod power_cuts {
    aqueduct::channel_conformance!(super::PowerCuts::default());
}
