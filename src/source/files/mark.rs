//! How a file is recognised after a restart.

use std::time::{Duration, SystemTime};

use bytes::{Buf, BufMut, BytesMut};

use crate::vfs::{FileId, Metadata};

/// How a file is recognised after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Device and inode. The device is recorded, but not compared: its number may change when the machine starts.
    pub(crate) id: FileId,
    pub(crate) len: u64,
    /// Nanoseconds since 1970.
    pub(crate) modified: i64,
    /// The same of its creation; 0 if that is not known.
    pub(crate) created: i64,
    /// CRC-32 of the first `head_len` bytes.
    pub(crate) head_len: u16,
    pub(crate) head_crc: u32,
}

impl Mark {
    pub(crate) fn new(metadata: &Metadata, head: &[u8]) -> Self {
        let (len, modified) = (metadata.len, nanos(metadata.modified));
        let created = metadata.created.map_or(0, nanos);
        Self { id: metadata.id, len, modified, created, head_len: 0, head_crc: 0 }.with_head(head)
    }

    /// The mark with another beginning of the file.
    pub(crate) fn with_head(self, head: &[u8]) -> Self {
        let head = head.get(..HEAD_BYTES_MAX).unwrap_or(head);
        let head_len = u16::try_from(head.len()).unwrap_or(u16::MAX);
        Self { head_len, head_crc: crc32fast::hash(head), ..self }
    }

    /// The mark with these bytes behind the beginning that it has.
    pub(crate) fn with_more_head(self, more: &[u8]) -> Self {
        let more = more.get(..HEAD_BYTES_MAX.saturating_sub(self.head_len.into())).unwrap_or(more);
        let mut hasher = crc32fast::Hasher::new_with_initial_len(self.head_crc, self.head_len.into());
        hasher.update(more);
        let head_len = self.head_len.saturating_add(u16::try_from(more.len()).unwrap_or(u16::MAX));
        Self { head_len, head_crc: hasher.finalize(), ..self }
    }

    /// The mark of the same file as it is now.
    pub(crate) fn updated(self, metadata: &Metadata) -> Self {
        let created = if self.created == 0 { metadata.created.map_or(0, nanos) } else { self.created };
        Self { id: metadata.id, len: metadata.len, modified: nanos(metadata.modified), created, ..self }
    }

    /// Whether this can be the same file: it has the inode, which was not given to another one since, as far as the file system
    /// tells.
    pub(crate) fn is_of(&self, metadata: &Metadata) -> bool {
        let created = metadata.created.map_or(0, nanos);
        self.id.inode == metadata.id.inode && (self.created == created || self.created == 0 || created == 0)
    }

    /// Whether this is the same file without a doubt: the file system keeps times of creation, and that is the same as well.
    pub(crate) fn is_surely_of(&self, metadata: &Metadata) -> bool {
        let created = metadata.created.map_or(0, nanos);
        self.id.inode == metadata.id.inode && self.created == created && created != 0
    }

    /// Whether this is the same file, unchanged.
    pub(crate) fn is_unchanged(&self, metadata: &Metadata) -> bool {
        self.is_of(metadata) && self.len == metadata.len && self.modified == nanos(metadata.modified)
    }

    /// Whether a file begins as this one did. `head` are its first bytes, at least `head_len` if it has them.
    pub(crate) fn begins_with(&self, head: &[u8]) -> bool {
        head.get(..usize::from(self.head_len)).is_some_and(|head| crc32fast::hash(head) == self.head_crc)
    }

    pub(crate) fn put(&self, out: &mut BytesMut) {
        out.put_u64_le(self.id.device);
        out.put_u64_le(self.id.inode);
        out.put_u64_le(self.len);
        out.put_i64_le(self.modified);
        out.put_u16_le(self.head_len);
        out.put_u32_le(self.head_crc);
        out.put_i64_le(self.created);
    }

    /// Reads what [`put`](Self::put) wrote, or what it wrote when it did not write times of creation.
    pub(crate) fn read(from: &mut &[u8], has_created: bool) -> Option<Self> {
        Some(Self {
            id: FileId { device: from.try_get_u64_le().ok()?, inode: from.try_get_u64_le().ok()? },
            len: from.try_get_u64_le().ok()?,
            modified: from.try_get_i64_le().ok()?,
            head_len: from.try_get_u16_le().ok()?,
            head_crc: from.try_get_u32_le().ok()?,
            created: if has_created { from.try_get_i64_le().ok()? } else { 0 },
        })
    }
}

/// Nanoseconds since 1970, saturating some 292 years from it.
fn nanos(time: SystemTime) -> i64 {
    let to_i64 = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => to_i64(after),
        Err(before) => -to_i64(before.duration()),
    }
}

/// Bytes at the beginning of a file that are part of its identity.
pub(crate) const HEAD_BYTES_MAX: usize = 4096;
