//! What the source tells about files that are not as they should be.

use std::fmt;
use std::io;

use crate::source::FileReport;

impl fmt::Display for FileReport<TailProblem> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tailed file {:?}: {}", self.path(), self.problem())
    }
}

/// What is wrong with a tailed file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TailProblem {
    /// The file became shorter than what was read of it: someone has emptied it, as a rotation by copying does. What it holds
    /// now is read from its beginning.
    #[error("was cut to {to} bytes after {from} were read; it is read from its beginning")]
    Truncated {
        /// Bytes that were read.
        from: u64,
        /// Length now.
        to: u64,
    },
    /// The bytes before the place where reading would go on are not those that were read: the file was emptied and filled
    /// again, or its inode number belongs to another file now. What it holds is read from its beginning.
    #[error("holds another content than the {read} bytes that were read; it is read from its beginning")]
    Rewritten {
        /// Bytes that were read.
        read: u64,
    },
    /// The file was removed before it was read to its end.
    #[error("was removed with at least {bytes} bytes not read")]
    Removed {
        /// Bytes that it had beyond those that were read, when it was last looked at.
        bytes: u64,
    },
    /// The file cannot be opened or read. This is tried again.
    #[error("cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// The directory of a file group cannot be listed. This is tried again.
    #[error("cannot be listed: {0}")]
    Unlistable(#[source] io::Error),
    /// There are more files than the source keeps in mind. The others are read once some of those are gone.
    #[error("is one of more than {max} files, which is the most that are tailed at once")]
    TooMany {
        /// Files that are tailed at once, at most.
        max: usize,
    },
    /// The position file for other tools cannot be written. The source itself does not need it.
    #[error("the position file cannot be written: {0}")]
    PositionFile(#[source] io::Error),
}
