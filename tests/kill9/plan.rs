//! The suites: which store, and what the child does with it.

use std::path::Path;
use std::time::Duration;

use aqueduct::store::{FileStore, FileStoreBuilder, Inspection, OpenError, ReadMode};
use aqueduct::testing::Random;
use aqueduct::{Durability, Event};

/// What a child does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Threads that put and take until the kill.
    Work,
    /// A little work, then a close, again and again.
    Close,
    /// As `Close`, but often without the close.
    Reopen,
}

/// A suite.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) mode: Mode,
    pub(crate) dirs: u64,
    pub(crate) channels: usize,
    pub(crate) putters: u64,
    pub(crate) takes: bool,
    pub(crate) segment_bytes: u64,
    pub(crate) replay_bytes_max: u64,
    pub(crate) cache_bytes: u64,
    pub(crate) durability: Durability,
    /// Transactions without events, and large positions.
    pub(crate) positions: bool,
    pub(crate) read_mode: ReadMode,
}

pub(crate) const BASE: Plan = Plan {
    name: "",
    mode: Mode::Work,
    dirs: 1,
    channels: 1,
    putters: 1,
    takes: true,
    segment_bytes: 1 << 20,
    replay_bytes_max: 1 << 20,
    cache_bytes: 1 << 20,
    durability: Durability::Sync,
    positions: false,
    read_mode: ReadMode::Pread,
};

pub(crate) const PLANS: &[Plan] = &[
    Plan { name: "puts", takes: false, putters: 2, ..BASE },
    Plan { name: "takes", cache_bytes: 0, ..BASE },
    Plan { name: "rotate", segment_bytes: 4 << 10, replay_bytes_max: 4 << 10, cache_bytes: 1000, ..BASE },
    Plan {
        name: "two_dirs",
        dirs: 2,
        channels: 3,
        putters: 2,
        segment_bytes: 16 << 10,
        replay_bytes_max: 16 << 10,
        read_mode: ReadMode::Mmap,
        ..BASE
    },
    Plan {
        name: "weak_levels_and_checkpoints",
        channels: 2,
        segment_bytes: 32 << 10,
        replay_bytes_max: 2 << 10,
        durability: Durability::Interval(Duration::from_millis(2)),
        ..BASE
    },
    Plan { name: "close", mode: Mode::Close, dirs: 2, channels: 2, segment_bytes: 8 << 10, ..BASE },
    Plan { name: "recovery_of_recovery", mode: Mode::Reopen, segment_bytes: 8 << 10, cache_bytes: 0, ..BASE },
    Plan { name: "positions", positions: true, channels: 2, putters: 2, segment_bytes: 64 << 10, ..BASE },
];

impl Plan {
    pub(crate) fn open(&self, dir: &Path) -> Result<FileStore, OpenError> {
        self.builder(dir).open()
    }

    /// What is in the store, by a look from outside.
    pub(crate) fn inspect(&self, dir: &Path) -> Result<Inspection, OpenError> {
        self.builder(dir).inspect()
    }

    fn builder(&self, dir: &Path) -> FileStoreBuilder {
        let mut builder = FileStore::builder(dir.join("store"));
        for number in 0..self.dirs {
            builder = builder.data_dir(dir.join(format!("data{number}")));
        }
        builder
            .segment_bytes(self.segment_bytes)
            .replay_bytes_max(self.replay_bytes_max)
            .tail_cache_bytes(self.cache_bytes)
            .durability(self.durability)
            .take_durability(self.durability)
            .read_mode(self.read_mode)
    }

    pub(crate) fn channel(number: usize) -> String {
        format!("channel{number}")
    }
}

/// The event with an identity: all of it follows from that, so that whoever reads it can tell whether it is right.
pub(crate) fn event(id: u64) -> Event {
    let mut random = Random::new(id);
    let filler = if random.one_in(64) { 12_000 } else { random.below(200) };
    let mut body = format!("{id:x}|").into_bytes();
    body.extend((0..filler).map(|_| random.next_u64().to_le_bytes()[0]));
    let event = Event::new(body);
    if random.one_in(4) { event.with_header("id", &id.to_string()).expect("a small header") } else { event }
}

/// The identity of an event that is wholly as it was put.
pub(crate) fn identify(found: &Event) -> Result<u64, String> {
    let text = found.body().split(|byte| *byte == b'|').next().unwrap_or_default();
    let id = std::str::from_utf8(text).ok().and_then(|text| u64::from_str_radix(text, 16).ok());
    let id = id.ok_or_else(|| format!("an event that was never put: {found:?}"))?;
    if event(id) == *found { Ok(id) } else { Err(format!("event {id:x} is not what was put: {found:?}")) }
}

/// Position of a putter after its transaction `first`; some transactions clear it.
pub(crate) fn put_position(first: u64) -> Option<String> {
    (!first.is_multiple_of(7)).then(|| first.to_string())
}

/// Position of a taker after its take `number`.
pub(crate) fn take_position(number: u64) -> Option<String> {
    (!number.is_multiple_of(5)).then(|| number.to_string())
}
