//! Changes that no sync has made durable yet.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

/// One change, in terms of inodes.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// The bytes of a write, without the growth of the file that came with it.
    Write { inode: u64, offset: u64, data: Bytes },
    /// The growth of the file that came with a write: a change of its own, because disks order the two freely.
    Grow { inode: u64, from: u64, to: u64 },
    /// A cut or an extension that was asked for.
    SetLen { inode: u64, from: u64, to: u64 },
    /// A new entry.
    Link { dir: u64, name: OsString, inode: u64 },
    /// An entry that is gone.
    Unlink { dir: u64, name: OsString },
    /// An entry that moved, replacing what was there.
    Rename { from_dir: u64, from: OsString, to_dir: u64, to: OsString, inode: u64 },
}

impl Change {
    /// The file whose bytes or length change, if it is that kind of change.
    pub(super) fn file(&self) -> Option<u64> {
        match self {
            Self::Write { inode, .. } | Self::Grow { inode, .. } | Self::SetLen { inode, .. } => Some(*inode),
            Self::Link { .. } | Self::Unlink { .. } | Self::Rename { .. } => None,
        }
    }

    /// The directories whose entries change: none, one, or two.
    pub(super) fn dirs(&self) -> (Option<u64>, Option<u64>) {
        match self {
            Self::Write { .. } | Self::Grow { .. } | Self::SetLen { .. } => (None, None),
            Self::Link { dir, .. } | Self::Unlink { dir, .. } => (Some(*dir), None),
            Self::Rename { from_dir, to_dir, .. } => (Some(*from_dir), Some(*to_dir)),
        }
    }

    /// The inode that gets a name by this change.
    pub(super) fn names(&self) -> Option<u64> {
        match self {
            Self::Link { inode, .. } | Self::Rename { inode, .. } => Some(*inode),
            _ => None,
        }
    }

    pub(super) fn kind(&self) -> UnsyncedKind {
        match self {
            Self::Write { .. } => UnsyncedKind::Write,
            Self::Grow { .. } | Self::SetLen { .. } => UnsyncedKind::Length,
            Self::Link { .. } => UnsyncedKind::Link,
            Self::Unlink { .. } => UnsyncedKind::Unlink,
            Self::Rename { .. } => UnsyncedKind::Rename,
        }
    }
}

/// A change and the path by which it was made.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) change: Change,
    pub(super) path: Arc<Path>,
}

impl Pending {
    pub(super) fn describe(&self) -> Unsynced {
        let (offset, len) = match &self.change {
            Change::Write { offset, data, .. } => (*offset, data.len() as u64),
            Change::Grow { from, to, .. } | Change::SetLen { from, to, .. } => (*from, *to),
            _ => (0, 0),
        };
        Unsynced { kind: self.change.kind(), path: self.path.to_path_buf(), offset, len }
    }
}

/// What kind of change is not durable yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnsyncedKind {
    /// Bytes of a file.
    Write,
    /// The length of a file. A write beyond the end makes two changes: first this one, then a `Write`.
    Length,
    /// A new directory entry.
    Link,
    /// A removed directory entry.
    Unlink,
    /// A renamed directory entry.
    Rename,
}

impl UnsyncedKind {
    /// True for changes of directory entries.
    #[must_use]
    pub fn is_name(self) -> bool {
        matches!(self, Self::Link | Self::Unlink | Self::Rename)
    }
}

/// A change that no sync has made durable yet, as [`SimVfs::unsynced`](super::SimVfs::unsynced) lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unsynced {
    /// Kind of change.
    pub kind: UnsyncedKind,
    /// The path by which the change was made; the target of a rename.
    pub path: PathBuf,
    /// Offset of a write, or the length before a change of length.
    pub offset: u64,
    /// Bytes written, or the length after a change of length.
    pub len: u64,
}

impl fmt::Display for Unsynced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (offset, len) = (self.offset, self.len);
        write!(f, "{:?} {}", self.kind, self.path.display())?;
        match self.kind {
            UnsyncedKind::Write => write!(f, " {offset}+{len}"),
            UnsyncedKind::Length => write!(f, " {offset}..{len}"),
            _ => Ok(()),
        }
    }
}
