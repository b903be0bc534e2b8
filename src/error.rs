//! Errors of storage, puts and takes.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::batch::PutBatch;

/// What went wrong below a channel. Cheap to clone: one failure can reach many waiting commits.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// A system call failed.
    #[error("{operation} {}: {source}", path.display())]
    Io {
        /// What was tried, such as `write` or `sync`.
        operation: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: Arc<io::Error>,
    },
    /// A write or sync on this data directory failed before. Nothing more is written there until the store is opened
    /// again, which recovers what is durable.
    #[error("{} takes no more writes since an earlier failure ({cause}); close the store and open it again", path.display())]
    Poisoned {
        /// The data directory.
        path: PathBuf,
        /// The failure.
        cause: String,
    },
    /// Bytes on disk are not what was written.
    #[error("{} is damaged at offset {offset}: {detail}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        offset: u64,
        /// What is wrong there.
        detail: String,
    },
    /// There is no room on the disk.
    #[error("no room left on the disk of {}", path.display())]
    DiskFull {
        /// The data directory.
        path: PathBuf,
    },
    /// A limit of the store would be passed.
    #[error("{what} of {actual} is over the limit of {max}")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// How much it would be.
        actual: u64,
        /// How much it may be.
        max: u64,
    },
    /// A channel could not write what it has in memory into its store. It has it still, and closing it again tries again, unless
    /// the store takes no more.
    #[error("{} of channel {channel} are in memory only, as they could not be saved: {source}", unsaved(*events))]
    NotSaved {
        /// The channel.
        channel: String,
        /// Events in memory, at the time. None if all of them were saved, and only the positions could not be.
        events: u64,
        /// Why they could not be saved.
        source: Box<Self>,
    },
    /// A channel has no name.
    #[error("the name of a channel is empty")]
    EmptyName,
    /// The name of a new channel has a control character in it, which would spoil every message about it.
    #[error("the name of a channel, {name:?}, has the character {character:?} in it")]
    NameCharacter {
        /// The name.
        name: String,
        /// The first such character.
        character: char,
    },
    /// The store or channel is closed.
    #[error("the store is closed")]
    Closed,
}

fn unsaved(events: u64) -> String {
    if events == 0 { "the positions".to_owned() } else { format!("{events} events") }
}

impl StorageError {
    /// An [`StorageError::Io`].
    #[must_use]
    pub fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { operation, path: path.to_path_buf(), source: Arc::new(source) }
    }

    /// Whether a close that ended like this is not over: the channel has something that a later close may still save.
    pub(crate) fn leaves_something_to_save(&self) -> bool {
        matches!(self, Self::NotSaved { source, .. } if !matches!(**source, Self::Poisoned { .. }))
    }
}

/// Why a channel had no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FullReason {
    /// The channel's capacity in events is used up.
    Events,
    /// The channel's capacity in bytes is used up.
    Bytes,
    /// The disk has no room for another segment.
    Disk,
}

impl fmt::Display for FullReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Events => "its capacity in events is used up",
            Self::Bytes => "its capacity in bytes is used up",
            Self::Disk => "the disk is full",
        })
    }
}

/// Why a put was not, or perhaps not, committed. Every variant but `Indeterminate` gives the batch back.
///
/// A batch of a transaction over several channels of a store still knows the channels of each event. To put it again, use
/// [`StorePut::set_batch`](crate::store::StorePut::set_batch), which has an example, or
/// [`PutTransaction::set_batch`](crate::channel::PutTransaction::set_batch) of a transaction over several channels. If it is put
/// into a single channel, all its events go there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// There was no room within the wait. Try again later.
    #[error("channel {channel} is full: {reason}")]
    Full {
        /// The channel.
        channel: String,
        /// What is used up.
        reason: FullReason,
        /// What was to be put.
        batch: Box<PutBatch>,
    },
    /// The channel is closed.
    #[error("channel {channel} is closed")]
    Closed {
        /// The channel.
        channel: String,
        /// What was to be put.
        batch: Box<PutBatch>,
    },
    /// A transaction over several channels has an event for a channel of another store, or a batch that does not say where its
    /// events go.
    #[error("{channel} is not a channel of the store that the transaction belongs to")]
    ForeignChannel {
        /// The channel, or what stands for it.
        channel: String,
        /// What was to be put.
        batch: Box<PutBatch>,
    },
    /// The transaction can never be put as it is. Waiting does not help.
    #[error("{what} of {actual} is over the limit of {max}{}", of_channel(channel))]
    TooLarge {
        /// The channel; empty if a transaction of a store has no event for any.
        channel: String,
        /// What is too large, such as `event body bytes`.
        what: &'static str,
        /// How much it is.
        actual: u64,
        /// How much it may be.
        max: u64,
        /// What was to be put.
        batch: Box<PutBatch>,
    },
    /// The storage failed and nothing of the transaction happened.
    #[error("not committed: {source}")]
    NotCommitted {
        /// The failure.
        source: StorageError,
        /// What was to be put.
        batch: Box<PutBatch>,
    },
    /// The agent takes nothing more from this source: the agent is stopping, or the source has said that it has finished.
    #[error("source {source_name} takes no more events: it has finished or its agent is stopping")]
    Stopped {
        /// The source.
        source_name: String,
        /// What was to be put.
        batch: Box<PutBatch>,
    },
    /// An interceptor or selector failed. Nothing was put; another attempt goes on with the event that it failed on.
    #[error("{component} failed: {reason}")]
    Component {
        /// Which one, such as `interceptor 1 of source app`.
        component: String,
        /// What happened.
        reason: String,
        /// What was to be put.
        batch: Box<PutBatch>,
    },
    /// The storage failed after the transaction was written and before it was known to be durable. When the store is opened
    /// again, the transaction is there as a whole or not at all.
    #[error("the outcome of the commit is unknown until the store is opened again: {source}")]
    Indeterminate {
        /// The failure.
        source: StorageError,
    },
}

impl PutError {
    /// What was to be put, unless the outcome is unknown.
    #[must_use]
    pub fn into_batch(self) -> Option<PutBatch> {
        match self {
            Self::Full { batch, .. }
            | Self::Closed { batch, .. }
            | Self::ForeignChannel { batch, .. }
            | Self::TooLarge { batch, .. }
            | Self::NotCommitted { batch, .. }
            | Self::Stopped { batch, .. }
            | Self::Component { batch, .. } => Some(*batch),
            Self::Indeterminate { .. } => None,
        }
    }

    /// What was to be put, in place, unless the outcome is unknown.
    pub(crate) fn batch_mut(&mut self) -> Option<&mut PutBatch> {
        match self {
            Self::Full { batch, .. }
            | Self::Closed { batch, .. }
            | Self::ForeignChannel { batch, .. }
            | Self::TooLarge { batch, .. }
            | Self::NotCommitted { batch, .. }
            | Self::Stopped { batch, .. }
            | Self::Component { batch, .. } => Some(batch),
            Self::Indeterminate { .. } => None,
        }
    }

    /// Whether waiting and trying again can help.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}

/// Why a take, or the commit of a take, failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TakeError {
    /// The channel is closed.
    #[error("channel {channel} is closed")]
    Closed {
        /// The channel.
        channel: String,
    },
    /// Reading failed. The events stay in the channel.
    #[error("cannot take from channel {channel}: {source}")]
    Storage {
        /// The channel.
        channel: String,
        /// The failure.
        source: StorageError,
    },
    /// The take was not committed; its events are back at the head of the channel.
    #[error("take not committed, its events are back in channel {channel}: {source}")]
    NotCommitted {
        /// The channel.
        channel: String,
        /// The failure.
        source: StorageError,
    },
    /// The take was written but is not known to be durable. Its events do not come again until the store is opened again, and may
    /// come then.
    #[error("the outcome of the take is unknown until the store is opened again: {source}")]
    Indeterminate {
        /// The failure.
        source: StorageError,
    },
}

fn of_channel(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" of channel {name}") }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

/// An error and its causes, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        // Many errors name their cause in their own message.
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}
