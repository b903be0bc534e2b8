//! What can go wrong with the output.

use std::io;
use std::path::{Path, PathBuf};

use crate::sink::SinkError;

/// Why a [`FileRoll`](super::FileRoll) sink cannot write. It is inside the [`SinkError`] that the sink gives.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileRollError {
    /// A system call failed. The events stay in the channel, and it is tried again.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// Committed bytes are missing from a file. With [`Fsync::EveryBatch`](super::Fsync::EveryBatch) the sink stops:
    /// someone changed the file, or the disk lost what it had confirmed. Otherwise a power cut explains it: this is said
    /// once, then the file is finished as it is and the next one begun.
    #[error(
        "{} is {len} bytes long, but {committed} bytes with {events} events were committed to it; to go on without \
         what is missing, move the file away", path.display()
    )]
    Short {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        len: u64,
        /// The bytes that were committed.
        committed: u64,
        /// The events in them.
        events: u64,
    },
    /// The file that is written to was removed, renamed or replaced by someone else, or its directory was. What was committed to it
    /// is gone with it, or wherever it is now. This is said once, what is not committed stays in the channel, and the next file is
    /// begun. A file that stands in its place is left alone.
    #[error(
        "{} is gone while it is written to: someone removed, renamed or replaced it, or its directory, with {events} events \
         in it that were committed", path.display()
    )]
    Removed {
        /// The file.
        path: PathBuf,
        /// The events in it that were committed.
        events: u64,
    },
    /// A part of the file names cannot be used.
    #[error("the {what} {value:?} of file names {why}")]
    Name {
        /// Which part: `prefix`, `extension` or `suffix`.
        what: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The position committed under the name of this sink is none of a [`FileRoll`](super::FileRoll).
    #[error(
        "the committed position of this sink cannot be read ({0}); give the sink a name that no other kind of sink had"
    )]
    Position(&'static str),
    /// The sink was used before it was opened, or after an error without being opened again.
    #[error("the sink is not open")]
    NotOpen,
}

impl FileRollError {
    pub(super) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { operation, path: path.to_path_buf(), source }
    }

    /// As an answer to the runner.
    pub(super) fn into_sink_error(self) -> SinkError {
        match self {
            Self::Io { .. } | Self::Removed { .. } | Self::NotOpen => SinkError::retry(self),
            Self::Short { .. } | Self::Name { .. } | Self::Position(_) => SinkError::fatal(self),
        }
    }
}

impl From<FileRollError> for SinkError {
    fn from(error: FileRollError) -> Self {
        error.into_sink_error()
    }
}
