//! What an open found, and why it failed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::StorageError;
use crate::sabotage::{Bug, planted};
use crate::tell::tell;

/// What opening a store found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// One for each data directory.
    pub lanes: Vec<LaneReport>,
    /// Events waiting, by channel.
    pub backlog: Vec<(String, u64)>,
    /// Events lost by channel, where damage was passed over and later records still tell how many there were. For the others, of
    /// whose channels nothing is known, see [`LaneReport::damage`].
    pub lost: Vec<(String, u64)>,
    /// How long it took.
    pub took: Duration,
}

impl RecoveryReport {
    pub(crate) fn note_channel(&mut self, name: &str, backlog: u64, lost: u64) {
        self.backlog.push((name.to_owned(), backlog));
        if lost > 0 {
            self.lost.push((name.to_owned(), lost));
        }
    }

    /// Tells that the store is open, and what that took.
    pub(crate) fn tell(&self, store: &Path) {
        for lane in &self.lanes {
            for damage in lane.damage.iter().take(DAMAGE_TOLD_MAX) {
                let (file, offset) = (damage.path.display(), damage.offset);
                tell!(ERROR, "damage was passed over", file = file, offset = offset, detail = damage.detail);
            }
            tell!(
                DEBUG,
                "data directory is open",
                dir = lane.path.display(),
                clean = lane.clean,
                segments = lane.segments,
                replayed_records = lane.replayed_records,
                rewritten_records = lane.rewritten_records,
                torn_records = lane.torn_records,
                damaged_places = lane.damage.len(),
            );
        }
        for (channel, events) in &self.lost {
            tell!(ERROR, "events are lost", store = store.display(), channel = channel, events = events);
        }
        let waiting: u64 = self.backlog.iter().map(|(_, events)| events).sum();
        let took_ms = self.took.as_millis();
        tell!(INFO, "store is open", store = store.display(), waiting_events = waiting, took_ms = took_ms);
    }
}

/// Damaged places that are told, each in a line of its own; the report has all.
const DAMAGE_TOLD_MAX: usize = 16;

/// What recovery found in one data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaneReport {
    /// The directory.
    pub path: PathBuf,
    /// Segments that hold events.
    pub segments: u64,
    /// Whether a checkpoint could be used.
    pub from_checkpoint: bool,
    /// Whether the store had been closed properly.
    pub clean: bool,
    /// Records replayed.
    pub replayed_records: u64,
    /// Bytes replayed.
    pub replayed_bytes: u64,
    /// Records at the end of the log that were not known to be durable, and were written again so that they are.
    pub rewritten_records: u64,
    /// Whole or torn records behind the end of the log that were cut off: transactions whose commit never returned.
    pub torn_records: u64,
    /// Damage to data that had been durable. Without [`OnCorruption::Salvage`](super::OnCorruption) it makes the open fail.
    pub damage: Vec<Damage>,
}

impl LaneReport {
    /// Adds damage, or what is learned about a place that was reported before.
    pub(crate) fn note(&mut self, damage: Damage) {
        if planted(Bug::DamageUnreported) {
            return;
        }
        let known = self.damage.iter_mut().find(|known| (&known.path, known.offset) == (&damage.path, damage.offset));
        match known {
            None => self.damage.push(damage),
            Some(known) => {
                known.bytes = known.bytes.max(damage.bytes);
                known.events = damage.events.or(known.events);
            }
        }
    }
}

/// Damage to data that had been durable.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// Where it begins.
    pub offset: u64,
    /// How many bytes; 0 if that is not known.
    pub bytes: u64,
    /// Events lost by it, if the sequence numbers around it tell. With several channels it is an upper bound: an event of one
    /// channel may lie among those that another one still waits for.
    pub events: Option<u64>,
    /// What is wrong.
    pub detail: String,
}

/// Why a store could not be opened. Nothing that holds events was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Durable data is damaged. Restore the files, or open with
    /// [`OnCorruption::Salvage`](super::OnCorruption::Salvage) to go on without what is lost.
    #[error("{}", describe_damage(.0))]
    Corrupt(Box<RecoveryReport>),
    /// Another store, in this or another process, has the directory.
    #[error("{} is in use by another process, or opened twice in this one", .0.display())]
    Locked(PathBuf),
    /// A data directory of the store is missing among those given.
    #[error("data directory {lane} of the store {} is not among those given: is its disk mounted, is it named?", store.display())]
    MissingDir {
        /// The store's directory.
        store: PathBuf,
        /// Number of the directory, counted from 0 in the order in which they were added.
        lane: u16,
    },
    /// A directory belongs to another store, or should belong to this one and does not.
    #[error("directory {} is not part of the store {}: {detail}", dir.display(), store.display())]
    NotPartOf {
        /// The data directory.
        dir: PathBuf,
        /// The store's directory.
        store: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// There is no store, where one was to be looked at.
    #[error("{} holds no store: there is no manifest in it, and no data directory with the mark of a lane", .0.display())]
    NoStore(PathBuf),
    /// The settings contradict themselves. All problems are listed.
    #[error("invalid settings: {}", .0.join("; "))]
    Options(Vec<String>),
    /// A system call failed, or a small file of the store is damaged.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The store was written by another version of the crate, most likely a newer one.
    #[error("{} has format version {found}; this version reads up to {newest}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u16,
        /// The newest version that can be read.
        newest: u16,
    },
}

fn describe_damage(report: &RecoveryReport) -> String {
    let damage: Vec<_> = report.lanes.iter().flat_map(|lane| &lane.damage).collect();
    let Some(first) = damage.first() else { return "durable data is damaged".to_owned() };
    let events = first.events.map_or_else(String::new, |events| format!(" ({events} events lost)"));
    let more = if damage.len() > 1 { format!(", and {} more places", damage.len() - 1) } else { String::new() };
    format!(
        "{} is damaged at offset {}, {} bytes{events}: {}{more}; restore it or open with OnCorruption::Salvage",
        first.path.display(),
        first.offset,
        first.bytes,
        first.detail
    )
}
