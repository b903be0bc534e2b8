//! What the source tells about files that are not as they should be.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::source::FileReport;

impl fmt::Display for FileReport<SpoolProblem> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spool file {:?}: {}", self.path(), self.problem())
    }
}

/// What is wrong with a spool file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolProblem {
    /// The file grew while it was read, or after. What was added is read as well, and the file is completed once it stands
    /// still.
    #[error("grew from {from} to {to} bytes after it was put here; move files here only when they are complete")]
    Grown {
        /// Length when it was opened.
        from: u64,
        /// Length now.
        to: u64,
    },
    /// The time of modification changed while the file was read, but not its length. It is completed as usual.
    #[error("was modified while it was read; what it holds now may not be what was read")]
    Modified,
    /// The file became shorter while it was read. It is left alone for as long as it exists.
    #[error("shrank from {from} to {to} bytes while it was read; it is left alone from now on")]
    Shrunk {
        /// Length before.
        from: u64,
        /// Length now.
        to: u64,
    },
    /// Another file has taken its name while it was read. The old one was read to its end; the new one is read as any
    /// other.
    #[error("was replaced by another file while it was read; the other file is read as a new one")]
    Replaced,
    /// The file vanished while it was read. It was read to its end.
    #[error("was removed by someone else before it was completed")]
    Removed,
    /// Bytes are not valid in the configured encoding. The lines before them are delivered; the file is left alone until it
    /// changes.
    #[error("bytes {bytes:02x?} at offset {offset} are not valid {charset}; it is left alone until it changes")]
    Undecodable {
        /// Where the invalid bytes begin.
        offset: u64,
        /// The invalid bytes.
        bytes: Vec<u8>,
        /// Name of the encoding.
        charset: &'static str,
    },
    /// The file is not what the deserializer reads, from some place on. The events before it are delivered; the file is left
    /// alone until it changes.
    #[error("is no valid Avro container file at offset {offset}: {reason}; it is left alone until it changes")]
    Malformed {
        /// Where the part begins that is not valid.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of this name was completed before, and its mark of completion is still there. The file is left alone.
    #[error("a file of this name was completed before as {completed:?}; remove that, or rename this file")]
    NameReused {
        /// What marks the completion.
        completed: PathBuf,
    },
    /// The file was read to its end but cannot be renamed, removed or tracked. It is not read again, and this is tried again
    /// from time to time. Where the file system keeps no times of creation it is read again if its time of modification changes:
    /// it may be another one then.
    #[error("was read to its end but cannot be completed: {0}")]
    NotCompleted(#[source] io::Error),
    /// The file cannot be opened or read. This is tried again from time to time.
    #[error("cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// A directory cannot be listed. This is tried again from time to time.
    #[error("cannot be listed: {0}")]
    Unlistable(#[source] io::Error),
}
