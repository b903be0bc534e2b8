//! Reading of files in bounded pieces.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::vfs::{Metadata, VfsFile};

/// What one poll may still do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Bytes of bodies.
    pub(crate) body_bytes: usize,
    /// Bytes to read.
    pub(crate) read_bytes: usize,
}

/// The pieces of an open file, one after the other.
#[derive(Debug)]
pub(crate) struct Pieces {
    file: Arc<dyn VfsFile>,
    piece_bytes: usize,
    at: u64,
}

impl Pieces {
    /// The pieces from `at` on, of at most `piece_bytes`.
    pub(crate) fn new(file: Arc<dyn VfsFile>, piece_bytes: usize, at: u64) -> Self {
        Self { file, piece_bytes, at }
    }

    /// Where the next piece begins.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Goes on behind bytes that are known already.
    pub(crate) fn pass(&mut self, bytes: usize) {
        self.at += bytes as u64;
    }

    /// Goes on elsewhere.
    pub(crate) fn seek(&mut self, at: u64) {
        self.at = at;
    }

    pub(crate) fn file(&self) -> &dyn VfsFile {
        &*self.file
    }

    /// What the file is now.
    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    /// The next piece, not beyond `end`; empty where the file ends before that.
    pub(crate) fn next(&mut self, end: u64, budget: &mut Budget) -> io::Result<Bytes> {
        let left = usize::try_from(end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let mut piece = vec![0; left.min(self.piece_bytes)];
        let read = self.file.read_at(&mut piece, self.at)?;
        piece.truncate(read);
        self.at += read as u64;
        budget.read_bytes = budget.read_bytes.saturating_sub(read);
        Ok(piece.into())
    }
}

/// Whether the error says that there is no such file (any more), or that it is no regular file: a symbolic link or a
/// directory that took its place.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, IsADirectory, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | IsADirectory | InvalidInput)
        || error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

/// The first bytes of a file.
pub(crate) fn read_up_to(file: &dyn VfsFile, len: usize) -> io::Result<Bytes> {
    read_range(file, 0, len)
}

/// The bytes of a file from `at` on; fewer than `len` only where the file ends.
pub(crate) fn read_range(file: &dyn VfsFile, at: u64, len: usize) -> io::Result<Bytes> {
    let mut buf = vec![0; len];
    let mut done = 0;
    while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + done as u64)? {
            0 => break,
            read => done += read,
        }
    }
    buf.truncate(done);
    Ok(buf.into())
}

/// The path as text: bytes that are not UTF-8 become `%` and two hexadecimal digits.
pub(crate) fn escaped(path: &[u8]) -> String {
    let mut out = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
