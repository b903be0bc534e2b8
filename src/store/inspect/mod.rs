//! A look at a store from outside: nothing is changed, no lock is kept, and damage stops nothing but what it hits.
//!
//! What is found is what an open would find, by the same code (`recovery`, `losses`), on a file system that refuses every
//! change. `look` gathers it, `unreadable` lets it go on where files cannot be read, `events` reads what waits, `verify` looks at
//! every byte that counts.

mod events;
mod look;
mod segments;
mod unreadable;
mod verify;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use bytes::Bytes;

use super::losses::Done;
use super::options::FileStoreBuilder;
use super::recovery::Scanned;
use super::report::{OpenError, RecoveryReport};
use super::segment::LaneDir;
use crate::error::StorageError;
use crate::event::{Event, EventId};

pub use events::StoredEvents;
pub use verify::Verification;

/// What is in a store, as [`FileStore::inspect`](super::FileStore::inspect) found it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// The store's directory.
    pub path: PathBuf,
    /// A process has the store open: what is here may be out of date already, and a record that was just being written may
    /// look like damage. `None`: that could not be found out.
    pub in_use: Option<bool>,
    /// Why an open with these settings would fail now, besides the store's being in use; empty if it would succeed.
    pub obstacles: Vec<OpenError>,
    /// Files and data directories that could not be read, and why. What channels, lanes and positions would have from them is left
    /// out. Of a file that can be read in part, the rest is not.
    pub unreadable: BTreeMap<PathBuf, StorageError>,
    /// What an open would report. Where damage would stop it: what it would report with
    /// [`OnCorruption::Salvage`](super::OnCorruption::Salvage), as far as the directories can be read.
    pub report: RecoveryReport,
    /// All channels, by name.
    pub channels: Vec<InspectedChannel>,
    /// The data directories that could be read, by number.
    pub lanes: Vec<InspectedLane>,
    /// Positions by owner.
    pub positions: Vec<(String, Bytes)>,
    scanned: Vec<(LaneDir, Scanned)>,
    done: Done,
    numbers: Vec<(u16, String)>,
}

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InspectedChannel {
    /// Its name.
    pub name: String,
    /// Events that wait.
    pub events: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Events lost to damage that an open would pass over.
    pub lost: u64,
}

/// A data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InspectedLane {
    /// Its number.
    pub number: u16,
    /// The directory.
    pub path: PathBuf,
    /// The segments that events or records are still needed of, oldest first.
    pub segments: Vec<InspectedSegment>,
    /// The checkpoints, as far as they can be read, newest first.
    pub checkpoints: Vec<InspectedCheckpoint>,
    /// Checkpoint files that cannot be read: torn by a crash, which harms nothing, or damaged.
    pub checkpoints_unreadable: u64,
    /// Files that are kept so that a full disk can be drained.
    pub reserve: Vec<PathBuf>,
    /// Files that are of no use any more; an open removes them, or keeps those that are damaged under another name.
    pub leftovers: Vec<PathBuf>,
}

/// A segment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InspectedSegment {
    /// Its number.
    pub number: u32,
    /// The file.
    pub path: PathBuf,
    /// Its length.
    pub file_bytes: u64,
    /// Offset behind the last record that is known to be durable.
    pub used_bytes: u64,
    /// Sequence number of the first event in it.
    pub first_seq: u64,
    /// Sequence number behind the last that is known to be durable.
    pub end_seq: u64,
    /// Where the records end that are not known to be durable, which an open writes again; `used_bytes` if there are none.
    pub unproven_end_bytes: u64,
    /// Sequence number behind their last event; `end_seq` if there is none.
    pub unproven_end_seq: u64,
    /// Channels that have events in it, taken ones as well.
    pub channels: Vec<String>,
    /// When the file was last written to: no event in it is younger.
    pub modified: Option<SystemTime>,
}

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InspectedCheckpoint {
    /// Counted from the first that the lane had.
    pub generation: u64,
    /// Number of the segment up to which it knows everything.
    pub segment: u32,
    /// Offset there.
    pub offset: u32,
    /// Whether it was written by a close.
    pub by_close: bool,
}

/// An event that waits in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredEvent {
    /// Its identity.
    pub id: EventId,
    /// The event.
    pub event: Event,
    /// The segment that it is in.
    pub path: PathBuf,
    /// Where the record begins that it is a part of.
    pub offset: u32,
}

impl Inspection {
    /// A channel by its name.
    #[must_use]
    pub fn channel(&self, name: &str) -> Option<&InspectedChannel> {
        self.channels.iter().find(|channel| channel.name == name)
    }

    /// The events that wait in a channel, in the order in which takes would get them. None if there is no such channel. What is
    /// damaged is passed over: [`report`](Self::report) and [`verify`](Self::verify) tell. Holds one transaction of each data
    /// directory in memory at a time.
    #[must_use]
    pub fn events(&self, channel: &str) -> StoredEvents<'_> {
        let number = self.numbers.iter().find(|(_, name)| name == channel).map(|(number, _)| *number);
        StoredEvents::new(number, &self.scanned, &self.done)
    }
}

pub(super) fn inspect(builder: FileStoreBuilder) -> Result<Inspection, OpenError> {
    let FileStoreBuilder { path, data_dirs, options } = builder;
    let mut found = look::look(&path, &data_dirs, &options);
    for _ in 0..LOOKS_AGAIN {
        // A process that is at work changes files while they are read.
        let misled = match &found {
            Ok(found) => found.in_use == Some(true) && !found.obstacles.is_empty(),
            Err(OpenError::NoStore(_)) => false,
            Err(_) => look::in_use(&*options.vfs, &path, &data_dirs) == Some(true),
        };
        if !misled {
            break;
        }
        found = look::look(&path, &data_dirs, &options);
    }
    found
}

/// How often a store that is in use is looked at again where it seems to be damaged.
const LOOKS_AGAIN: u32 = 3;
