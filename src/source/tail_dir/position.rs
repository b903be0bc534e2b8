//! What the source commits with its events: how far each file is read. Little-endian, version 2; version 1
//! has no time of creation.
//!
//! `file/<number>` holds one file; numbers are given in the order in which files are found, and are not used again. `taken`
//! says that the position file of an earlier collector was read.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::seen::Seen;
use crate::source::files::{HEAD_BYTES_MAX, Mark, read_range};
use crate::vfs::VfsFile;

/// A file and how far it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The first bytes of it are those before `offset`: where nothing was read, nothing is recognised.
    pub(super) mark: Mark,
    /// CRC-32 of the `end_len` bytes before `offset`. A file that was emptied and has grown beyond `offset` since may begin as
    /// it did before, but it does not go on like that.
    pub(super) end_len: u16,
    pub(super) end_crc: u32,
    /// Where the first line begins that was not handed over.
    pub(super) offset: u64,
    /// The line before was cut for its length: what follows continues it.
    pub(super) continues: bool,
    /// The path under which the file was found first.
    pub(super) name: PathBuf,
}

impl Place {
    /// Whether the file still begins with what was read.
    pub(super) fn is_of(&self, file: &dyn VfsFile) -> io::Result<bool> {
        Ok(self.recognised(file)?.is_some())
    }

    /// The bytes before `offset` by which the file is recognised, if it still begins with what was read.
    pub(super) fn recognised(&self, file: &dyn VfsFile) -> io::Result<Option<Bytes>> {
        let head = read_range(file, 0, usize::from(self.mark.head_len))?;
        if !self.mark.begins_with(&head) {
            return Ok(None);
        }
        let len = usize::from(self.end_len);
        let end = read_range(file, self.offset.saturating_sub(len as u64), len)?;
        Ok((end.len() == len && crc32fast::hash(&end) == self.end_crc).then_some(end))
    }

    /// Goes on to `offset`, and notes by which of the bytes that were read the file is recognised from now on.
    pub(super) fn pass(&mut self, offset: u64, seen: &mut Seen, file: &dyn VfsFile) {
        if offset == self.offset {
            return;
        }
        self.offset = offset;
        let (head_len, read) = (usize::from(self.mark.head_len), self.read_len());
        let to = read.min(HEAD_BYTES_MAX);
        if head_len < to {
            match seen.take_head(head_len, to) {
                Some(bytes) => self.mark = self.mark.with_more_head(&bytes),
                // Reading began behind bytes that could not be noted.
                None => self.note_head(file),
            }
        }
        self.note_end(&seen.before(offset, read.min(END_BYTES_MAX)));
    }

    /// Notes by what the file is recognised that is passed over up to `offset`. If that cannot be read, less will do.
    pub(super) fn note_content(&mut self, file: &dyn VfsFile) {
        self.note_head(file);
        let len = self.read_len().min(END_BYTES_MAX);
        // Fewer bytes: the file was cut just now, and will be found to be.
        self.note_end(&read_range(file, self.offset.saturating_sub(len as u64), len).unwrap_or_default());
    }

    fn note_head(&mut self, file: &dyn VfsFile) {
        let len = self.read_len().min(HEAD_BYTES_MAX);
        if usize::from(self.mark.head_len) < len
            && let Ok(head) = read_range(file, 0, len)
        {
            self.mark = self.mark.with_head(&head);
        }
    }

    fn note_end(&mut self, end: &[u8]) {
        self.end_len = u16::try_from(end.len()).unwrap_or_default();
        self.end_crc = crc32fast::hash(end);
    }

    fn read_len(&self) -> usize {
        usize::try_from(self.offset).unwrap_or(usize::MAX)
    }

    /// The place at the beginning of what the file holds now.
    pub(super) fn restart(&mut self) {
        self.mark = self.mark.with_head(&[]);
        (self.end_len, self.end_crc, self.offset, self.continues) = (0, 0, 0, false);
    }

    pub(super) fn encode(&self) -> Bytes {
        let name = self.name.as_os_str().as_bytes();
        let mut out = BytesMut::with_capacity(name.len() + FIXED_BYTES);
        out.put_u8(VERSION);
        out.put_u8(u8::from(self.continues));
        self.mark.put(&mut out);
        out.put_u16_le(self.end_len);
        out.put_u32_le(self.end_crc);
        out.put_u64_le(self.offset);
        // A path that can be opened is shorter than 4096 bytes.
        out.put_u16_le(u16::try_from(name.len()).unwrap_or(u16::MAX));
        out.put_slice(name.get(..usize::from(u16::MAX)).unwrap_or(name));
        out.freeze()
    }

    pub(super) fn decode(mut from: &[u8]) -> Option<Self> {
        let from = &mut from;
        let version = from.try_get_u8().ok().filter(|version| (1..=VERSION).contains(version))?;
        let continues = match from.try_get_u8().ok()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let mark = Mark::read(from, version == VERSION)?;
        let (end_len, end_crc) = (from.try_get_u16_le().ok()?, from.try_get_u32_le().ok()?);
        let offset = from.try_get_u64_le().ok()?;
        let len = usize::from(from.try_get_u16_le().ok()?);
        let name = PathBuf::from(OsStr::from_bytes(from));
        let is_plausible = from.len() == len && usize::from(end_len) <= END_BYTES_MAX;
        is_plausible.then_some(Self { mark, end_len, end_crc, offset, continues, name })
    }
}

/// The key of the position of a file.
pub(super) fn key(number: u64) -> String {
    format!("{FILE_PREFIX}{number:x}")
}

/// The number in a key that begins with [`FILE_PREFIX`].
pub(super) fn number(key: &str) -> Option<u64> {
    u64::from_str_radix(key.strip_prefix(FILE_PREFIX)?, 16).ok()
}

/// What the keys of files begin with.
pub(super) const FILE_PREFIX: &str = "file/";
/// Key of the position that says that the position file was read.
pub(super) const TAKEN_KEY: &str = "taken";
/// Bytes before the offset that are part of the identity.
pub(super) const END_BYTES_MAX: usize = 256;
pub(super) const VERSION: u8 = 2;
const FIXED_BYTES: usize = 72;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::FileId;

    #[test]
    fn positions_come_back_and_damaged_ones_are_refused() {
        for (continues, name) in [(false, "/var/log/a"), (true, "")] {
            let id = FileId { device: 1, inode: u64::MAX };
            let mark = Mark { id, len: 3, modified: -4, created: -9, head_len: 5, head_crc: 6 };
            let place = Place { mark, end_len: 7, end_crc: 8, offset: 9, continues, name: name.into() };
            let good = place.encode();
            assert!(good.len() <= FIXED_BYTES + name.len());
            assert_eq!(Place::decode(&good).as_ref(), Some(&place));
            for len in 0..good.len() {
                assert_eq!(Place::decode(&good[..len]), None);
            }
            assert_eq!(Place::decode(&[&good[..], b"x"].concat()), None);
            // Version 1 has no time of creation, which stands behind 38 bytes of the mark.
            let old = [&[1], &good[1..40], &good[48..]].concat();
            assert_eq!(Place::decode(&old), Some(Place { mark: Mark { created: 0, ..mark }, ..place.clone() }));
            for (at, value) in [(0, 3), (1, 2)] {
                let mut bad = good.to_vec();
                bad[at] = value;
                assert_eq!(Place::decode(&bad), None);
            }
        }
    }

    #[test]
    fn keys_of_files_name_their_number() {
        for value in [0, 1, 255, u64::MAX] {
            assert_eq!(number(&key(value)), Some(value));
        }
        for strange in ["", "file/", "file/x", "file/-1", "taken", "file/10000000000000000"] {
            assert_eq!(number(strange), None, "{strange}");
        }
    }
}
