//! Scripts: what the simulated process does, and with which settings.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aqueduct::store::ReadMode;
use aqueduct::vfs::sim::SimVfs;
use aqueduct::{Durability, FileStore, FileStoreBuilder, Wait};

/// One call.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Open,
    Channel(&'static str),
    /// For each channel-set, so many events of so many bytes.
    Put {
        shares: &'static [(&'static [&'static str], usize)],
        bytes: usize,
        set: Option<Set>,
        sync: bool,
    },
    /// So many puts of one event of so many bytes, submitted together and then waited for.
    Group(&'static str, usize, usize),
    Take(&'static str, usize),
    /// Commits the oldest open take; of it, so many events.
    Commit {
        count: Option<usize>,
        set: Option<Set>,
        weak: bool,
    },
    Rollback,
    Maintain,
    Close,
    /// The process ends without a close and the machine goes on.
    Drop,
    /// A power cut, of which this much survives (see `CrashChoice`).
    PowerCut(&'static str),
    Space(Option<u64>),
}

/// A position to set or clear.
pub(crate) type Set = (&'static str, Option<&'static str>);

/// A script with a name.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) steps: Vec<Step>,
    /// By how many bytes each event is larger than the script says.
    pub(crate) grown: usize,
}

impl Workload {
    /// The same with events that are so many bytes larger: records and segments end elsewhere.
    pub(crate) fn grow(mut self, by: usize) -> Self {
        for step in &mut self.steps {
            if let Step::Put { bytes, .. } | Step::Group(_, _, bytes) = step {
                *bytes += by;
            }
        }
        self.grown += by;
        self
    }

    /// The name, and how much larger the events are: what `find` takes.
    pub(crate) fn label(&self) -> String {
        if self.grown == 0 { self.name.to_owned() } else { format!("{}+{}", self.name, self.grown) }
    }
}

/// Settings of the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    pub(crate) name: &'static str,
    pub(crate) lanes: u16,
    pub(crate) segment_bytes: u64,
    pub(crate) tail_cache_bytes: u64,
    pub(crate) replay_bytes_max: u64,
    /// Small: checkpoints and freed segments find bytes that are not synced.
    pub(crate) unsynced_bytes_max: u64,
    pub(crate) durability: Durability,
    pub(crate) take_durability: Durability,
    pub(crate) read_mode: ReadMode,
}

pub(crate) const CONFIGS: [Config; 6] = [
    Config {
        name: "sync",
        lanes: 1,
        segment_bytes: 4 << 10,
        tail_cache_bytes: 0,
        replay_bytes_max: 1 << 10,
        unsynced_bytes_max: 64 << 20,
        durability: Durability::Sync,
        take_durability: Durability::Sync,
        read_mode: ReadMode::Pread,
    },
    Config {
        name: "sync-2",
        lanes: 2,
        segment_bytes: 8 << 10,
        tail_cache_bytes: 1 << 20,
        replay_bytes_max: 3 << 10,
        unsynced_bytes_max: 64 << 20,
        durability: Durability::Sync,
        take_durability: Durability::Sync,
        read_mode: ReadMode::Pread,
    },
    Config {
        name: "lazy-takes",
        lanes: 1,
        segment_bytes: 16 << 10,
        tail_cache_bytes: 1 << 20,
        replay_bytes_max: 1 << 20,
        unsynced_bytes_max: 64 << 20,
        durability: Durability::Sync,
        take_durability: Durability::Os,
        read_mode: ReadMode::Pread,
    },
    Config {
        name: "os",
        lanes: 1,
        segment_bytes: 4 << 10,
        tail_cache_bytes: 0,
        replay_bytes_max: 2 << 10,
        unsynced_bytes_max: 2 << 10,
        durability: Durability::Os,
        take_durability: Durability::Os,
        read_mode: ReadMode::Pread,
    },
    Config {
        name: "mmap",
        lanes: 1,
        segment_bytes: 4 << 10,
        tail_cache_bytes: 0,
        replay_bytes_max: 1 << 20,
        unsynced_bytes_max: 64 << 20,
        durability: Durability::Sync,
        take_durability: Durability::Sync,
        read_mode: ReadMode::Mmap,
    },
    Config {
        name: "interval-2",
        lanes: 2,
        segment_bytes: 4 << 10,
        tail_cache_bytes: 2 << 10,
        replay_bytes_max: 1 << 20,
        unsynced_bytes_max: 64 << 20,
        durability: Durability::Interval(Duration::from_millis(100)),
        take_durability: Durability::Os,
        read_mode: ReadMode::Pread,
    },
];

impl Config {
    /// The directories of the lanes.
    pub(crate) fn dirs(&self) -> Vec<String> {
        if self.lanes == 1 {
            return vec!["/store/data".to_owned()];
        }
        (1..=self.lanes).map(|lane| format!("/disk{lane}")).collect()
    }

    /// The lane in whose directory a file is.
    pub(crate) fn lane_of(&self, path: &Path) -> Option<u16> {
        let lane = self.dirs().iter().position(|dir| path.starts_with(dir))?;
        u16::try_from(lane).ok()
    }

    pub(crate) fn builder(&self, sim: &SimVfs, seed: u64) -> FileStoreBuilder {
        let mut builder = FileStore::builder("/store");
        if self.lanes > 1 {
            builder = self.dirs().into_iter().fold(builder, FileStoreBuilder::data_dir);
        }
        builder
            .vfs(Arc::new(sim.clone()))
            .seed(seed)
            .background(false)
            .put_wait(Wait::NONE)
            .segment_bytes(self.segment_bytes)
            .tail_cache_bytes(self.tail_cache_bytes)
            .replay_bytes_max(self.replay_bytes_max)
            .unsynced_bytes_max(self.unsynced_bytes_max)
            .durability(self.durability)
            .take_durability(self.take_durability)
            .read_mode(self.read_mode)
    }
}

const fn put(shares: &'static [(&'static [&'static str], usize)], bytes: usize) -> Step {
    Step::Put { shares, bytes, set: None, sync: false }
}

const fn put_set(shares: &'static [(&'static [&'static str], usize)], bytes: usize, set: Set) -> Step {
    Step::Put { shares, bytes, set: Some(set), sync: false }
}

const fn put_synced(shares: &'static [(&'static [&'static str], usize)], bytes: usize) -> Step {
    Step::Put { shares, bytes, set: None, sync: true }
}

const COMMIT: Step = Step::Commit { count: None, set: None, weak: false };

const fn commit_first(count: usize) -> Step {
    Step::Commit { count: Some(count), set: None, weak: false }
}

const fn commit_set(set: Set) -> Step {
    Step::Commit { count: None, set: Some(set), weak: false }
}

pub(crate) const ONE: &[(&[&str], usize)] = &[(&["a"], 1)];
const THREE: &[(&[&str], usize)] = &[(&["a"], 3)];
const TEN: &[(&[&str], usize)] = &[(&["a"], 10)];
const FAN: &[(&[&str], usize)] = &[(&["a", "b"], 2), (&["b"], 1), (&["a", "c"], 1)];

fn repeat(times: usize, steps: &[Step]) -> impl Iterator<Item = Step> {
    std::iter::repeat_n(steps.to_vec(), times).flatten()
}

/// The workload and the settings of these names; `put+37` is `put` with events that are 37 bytes larger.
pub(crate) fn find(workload: &str, config: &str) -> (Workload, Config) {
    let (name, by) = workload.split_once('+').unwrap_or((workload, "0"));
    let workload = workloads().into_iter().find(|known| known.name == name).expect("a known workload");
    (
        workload.grow(by.parse().expect("a number of bytes")),
        CONFIGS.into_iter().find(|known| known.name == config).expect("known settings"),
    )
}

/// All workloads.
#[allow(clippy::too_many_lines)] // a list
pub(crate) fn workloads() -> Vec<Workload> {
    use Step::{Channel, Close, Drop, Group, Maintain, Open, PowerCut, Rollback, Space, Take};
    let begin = [Open, Channel("a")];
    let script = |name, parts: &[&[Step]]| Workload { name, steps: [&begin[..], &parts.concat()].concat(), grown: 0 };
    let rotate: Vec<Step> = repeat(7, &[put(THREE, 300), Maintain]).collect();
    let recycle: Vec<Step> = repeat(9, &[put(THREE, 400), Take("a", 3), COMMIT, Maintain]).collect();
    let backlog: Vec<Step> = repeat(6, &[put(THREE, 350)]).collect();
    let fill: Vec<Step> = repeat(8, &[put(TEN, 150)]).collect();
    let drain: Vec<Step> = repeat(8, &[Take("a", 10), COMMIT, Maintain]).collect();
    vec![
        Workload { name: "first-open", steps: vec![Open, Channel("a"), Close, Open, Channel("a")], grown: 0 },
        script("put", &[&[put(ONE, 10), put(ONE, 600), put(ONE, 0), put(ONE, 1500), put(ONE, 5)]]),
        script("batch", &[&[put(TEN, 30), put(THREE, 700), put(TEN, 100), put_synced(ONE, 9), put(THREE, 100)]]),
        script(
            "fan-out",
            &[&[
                Channel("b"),
                Channel("c"),
                put(FAN, 40),
                put(ONE, 10),
                Take("b", 2),
                COMMIT,
                put(FAN, 500),
                Take("a", 4),
                commit_first(3),
                Maintain,
                Take("c", 9),
                COMMIT,
                put(FAN, 300),
                Take("b", 9),
                COMMIT,
                Maintain,
            ]],
        ),
        script(
            "group",
            &[&[
                Group("a", 3, 40),
                Take("a", 2),
                COMMIT,
                Group("a", 4, 700),
                put(ONE, 10),
                Maintain,
                Group("a", 3, 900),
                Take("a", 4),
                COMMIT,
                Group("a", 5, 5),
            ]],
        ),
        script("rotate", &[&rotate]),
        script(
            "take-commit",
            &[&[put(TEN, 50), Take("a", 4), COMMIT, put(THREE, 50), Take("a", 100), COMMIT, put(ONE, 1), Take("a", 1)]],
        ),
        script(
            "partial-commit",
            &[&[
                put(TEN, 60),
                Take("a", 6),
                commit_first(2),
                Take("a", 3),
                Take("a", 3),
                commit_first(1),
                commit_first(2),
                put(THREE, 200),
                Take("a", 20),
                commit_first(5),
                Close,
                Open,
                Take("a", 1),
                COMMIT,
            ]],
        ),
        script(
            "rollback",
            &[&[
                put(TEN, 60),
                Take("a", 3),
                Take("a", 3),
                Rollback,
                COMMIT,
                put(ONE, 60),
                Take("a", 9),
                Rollback,
                Take("a", 2),
                COMMIT,
                Drop,
                Open,
                Take("a", 2),
                COMMIT,
            ]],
        ),
        script(
            "checkpoint",
            &[&[
                put(THREE, 500),
                Maintain,
                put(ONE, 10),
                put(THREE, 500),
                Maintain,
                Take("a", 4),
                COMMIT,
                put(THREE, 500),
                Maintain,
                put(ONE, 5),
            ]],
        ),
        script("retire", &[&recycle]),
        script("backlog", &[&backlog, &[Take("a", 8), COMMIT, Maintain, Drop, Open, Maintain], &drain]),
        script(
            "close",
            &[&[
                put(THREE, 100),
                Take("a", 1),
                COMMIT,
                Close,
                Open,
                put(ONE, 100),
                Close,
                Open,
                Take("a", 2),
                COMMIT,
                Close,
            ]],
        ),
        script(
            "torn-tail",
            &[&[
                put(THREE, 300),
                put(THREE, 300),
                PowerCut("posix/512/0/torn:1"),
                Open,
                put(ONE, 10),
                Take("a", 2),
                COMMIT,
                PowerCut("garbage/512/7/random:99"),
                Open,
                put(THREE, 600),
                Maintain,
                Drop,
                Open,
                put(ONE, 10),
            ]],
        ),
        script(
            "positions",
            &[&[
                put_set(ONE, 10, ("source", Some("1"))),
                put_set(THREE, 700, ("source", Some("2"))),
                Take("a", 2),
                commit_set(("sink", Some("1"))),
                put_set(THREE, 700, ("other", Some("x"))),
                put_set(THREE, 700, ("source", None)),
                Maintain,
                Take("a", 2),
                commit_set(("other", None)),
                put_set(THREE, 700, ("source", Some("3"))),
                Take("a", 4),
                Step::Commit { count: Some(1), set: Some(("sink", Some("2"))), weak: true },
                Close,
                Open,
                put_set(ONE, 10, ("source", Some("4"))),
            ]],
        ),
        script(
            "new-channels",
            &[&[
                put(THREE, 50),
                Channel("b"),
                put(&[(&["a", "b"], 2)], 50),
                Take("a", 4),
                COMMIT,
                Channel("c"),
                put(&[(&["c"], 1), (&["b"], 1)], 50),
                Maintain,
                Close,
                Open,
                Channel("d"),
                put(&[(&["d"], 2)], 50),
            ]],
        ),
        script(
            "full-disk",
            &[
                &[put(TEN, 100), Space(Some(8 << 10))],
                &fill,
                &[Take("a", 10), Rollback],
                &drain,
                &[put(TEN, 100), Close, Open],
            ],
        ),
        script(
            "levels",
            &[&[
                put(THREE, 100),
                put_synced(ONE, 10),
                put(THREE, 400),
                Take("a", 3),
                Step::Commit { count: None, set: Some(("sink", Some("1"))), weak: true },
                put(THREE, 400),
                put_synced(ONE, 10),
                Take("a", 2),
                Step::Commit { count: None, set: None, weak: true },
                Maintain,
                put(ONE, 10),
                Take("a", 2),
                COMMIT,
            ]],
        ),
    ]
}
