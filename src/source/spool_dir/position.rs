//! What the source commits with its events: how far it has read. Little-endian, version 3; versions 1
//! and 2 have no times of creation, version 1 has no `within`.
//!
//! `at` holds the files that were read to their end in the last batches and still have to be completed, and the file being
//! read. `kept/...` holds one file each that was left before its end, or could not be completed.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::source::files::Mark;
use crate::vfs::FileId;

/// A file below the spool directory and how far it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) mark: Mark,
    pub(super) rel: PathBuf,
    pub(super) offset: u64,
    /// Events behind the offset that were handed over already: those of a block of a container file.
    pub(super) within: u64,
}

/// The position `at`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct At {
    /// Read to the end, not completed for certain.
    pub(super) done: Vec<Place>,
    pub(super) current: Option<Place>,
}

/// Why a file is kept in mind although it is not being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It changed while it was read: to be continued after a while.
    Changing,
    /// It could not be read: to be tried again after a while.
    Unreadable,
    /// It is not valid in its encoding: to be continued when it has changed.
    Undecodable,
    /// It became shorter: left alone for as long as it exists.
    Shrunk,
    /// It was read to its end but could not be completed: to be completed later.
    Uncompleted,
}

/// A position `kept/...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) why: Why,
    pub(super) place: Place,
}

impl Place {
    /// The key under which the place is kept; unique to the file and its path.
    pub(super) fn key(&self) -> String {
        let FileId { device, inode } = self.mark.id;
        format!("{KEPT_PREFIX}{device:x}-{inode:x}-{:08x}", crc32fast::hash(self.rel.as_os_str().as_bytes()))
    }

    /// Bytes of the encoded form.
    pub(super) fn encoded_len(&self) -> usize {
        PLACE_FIXED_BYTES + self.rel.as_os_str().len()
    }

    fn put(&self, out: &mut BytesMut) {
        let path = self.rel.as_os_str().as_bytes();
        self.mark.put(out);
        out.put_u64_le(self.offset);
        out.put_u64_le(self.within);
        // A path that can be opened is shorter than 4096 bytes.
        out.put_u16_le(u16::try_from(path.len()).unwrap_or(u16::MAX));
        out.put_slice(path.get(..usize::from(u16::MAX)).unwrap_or(path));
    }

    fn read(from: &mut &[u8], version: u8) -> Option<Self> {
        let mark = Mark::read(from, version == VERSION)?;
        let offset = from.try_get_u64_le().ok()?;
        let within = if version > 1 { from.try_get_u64_le().ok()? } else { 0 };
        let len = usize::from(from.try_get_u16_le().ok()?);
        let (path, rest) = from.split_at_checked(len)?;
        *from = rest;
        Some(Self { mark, rel: PathBuf::from(OsStr::from_bytes(path)), offset, within })
    }
}

impl At {
    pub(super) fn is_empty(&self) -> bool {
        self.done.is_empty() && self.current.is_none()
    }

    pub(super) fn encode(&self) -> Bytes {
        let len = self.done.iter().chain(&self.current).map(Place::encoded_len).sum::<usize>();
        let mut out = BytesMut::with_capacity(len + 4);
        out.put_u8(VERSION);
        out.put_u16_le(u16::try_from(self.done.len()).unwrap_or(u16::MAX));
        out.put_u8(u8::from(self.current.is_some()));
        for place in self.done.iter().chain(&self.current) {
            place.put(&mut out);
        }
        out.freeze()
    }

    pub(super) fn decode(mut from: &[u8]) -> Option<Self> {
        let from = &mut from;
        let version = from.try_get_u8().ok().filter(|version| (1..=VERSION).contains(version))?;
        let count = from.try_get_u16_le().ok()?;
        let has_current = from.try_get_u8().ok()?;
        let done = (0..count).map(|_| Place::read(from, version)).collect::<Option<_>>()?;
        let current = if has_current == 1 { Some(Place::read(from, version)?) } else { None };
        (from.is_empty() && has_current <= 1).then_some(Self { done, current })
    }
}

impl Kept {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.place.encoded_len() + 2);
        out.put_u8(VERSION);
        out.put_u8(match self.why {
            Why::Changing => 0,
            Why::Unreadable => 1,
            Why::Undecodable => 2,
            Why::Shrunk => 3,
            Why::Uncompleted => 4,
        });
        self.place.put(&mut out);
        out.freeze()
    }

    pub(super) fn decode(mut from: &[u8]) -> Option<Self> {
        let from = &mut from;
        let version = from.try_get_u8().ok().filter(|version| (1..=VERSION).contains(version))?;
        let why = match from.try_get_u8().ok()? {
            0 => Why::Changing,
            1 => Why::Unreadable,
            2 => Why::Undecodable,
            3 => Why::Shrunk,
            4 => Why::Uncompleted,
            _ => return None,
        };
        let place = Place::read(from, version)?;
        from.is_empty().then_some(Self { why, place })
    }
}

/// The content of a tracker file: what it was written for, as a line of text.
pub(super) fn tracker_line(mark: &Mark) -> String {
    let Mark { id, len, modified, created, head_len, head_crc } = mark;
    format!("{} {} {len} {modified} {head_len} {head_crc:08x} {created}\n", id.device, id.inode)
}

/// Reads what [`tracker_line`] wrote; `None` for anything else, such as Flume's empty tracker files.
pub(super) fn parse_tracker(text: &[u8]) -> Option<Mark> {
    let mut fields = std::str::from_utf8(text).ok()?.strip_suffix('\n')?.split(' ');
    let mark = Mark {
        id: FileId { device: fields.next()?.parse().ok()?, inode: fields.next()?.parse().ok()? },
        len: fields.next()?.parse().ok()?,
        modified: fields.next()?.parse().ok()?,
        head_len: fields.next()?.parse().ok()?,
        head_crc: u32::from_str_radix(fields.next()?, 16).ok()?,
        // An earlier version wrote none.
        created: fields.next().map_or(Some(0), |created| created.parse().ok())?,
    };
    fields.next().is_none().then_some(mark)
}

/// Whether a path that comes from a position stays below the directory it is joined to.
pub(super) fn is_inside(rel: &Path) -> bool {
    rel.components().all(|part| matches!(part, std::path::Component::Normal(_))) && !rel.as_os_str().is_empty()
}

/// Key of the position of the files being read.
pub(super) const AT_KEY: &str = "at";
/// What the keys of kept places begin with.
pub(super) const KEPT_PREFIX: &str = "kept/";
pub(super) const VERSION: u8 = 3;
const PLACE_FIXED_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> Place {
        let mark =
            Mark { id: FileId { device: 1, inode: 2 }, len: 3, modified: -4, created: -9, head_len: 5, head_crc: 6 };
        Place { mark, rel: name.into(), offset: 7, within: 8 }
    }

    #[test]
    fn positions_come_back_and_damaged_ones_are_refused() {
        let at = At { done: vec![place("a"), place("b/c")], current: Some(place("d")) };
        let good = at.encode();
        assert_eq!(At::decode(&good), Some(at));
        assert_eq!(At::decode(&At::default().encode()), Some(At::default()));
        for why in [Why::Changing, Why::Unreadable, Why::Undecodable, Why::Shrunk, Why::Uncompleted] {
            let kept = Kept { why, place: place("x") };
            let good = kept.encode();
            assert_eq!(good.len(), place("x").encoded_len() + 2);
            assert_eq!(Kept::decode(&good), Some(kept));
            for len in 0..good.len() {
                assert_eq!(Kept::decode(&good[..len]), None);
            }
            // Version 2 has no time of creation, which stands behind 38 bytes of the mark.
            let old = Kept::decode(&[&[2], &good[1..40], &good[48..]].concat()).unwrap();
            assert_eq!(old.place.mark, Mark { created: 0, ..place("x").mark });
            assert_eq!((old.place.offset, old.place.rel), (7, "x".into()));
        }
        for len in 0..good.len() {
            assert_eq!(At::decode(&good[..len]), None);
        }
    }

    #[test]
    fn tracker_lines_come_back_and_other_text_is_refused() {
        let mark = place("a").mark;
        assert_eq!(parse_tracker(tracker_line(&mark).as_bytes()), Some(mark));
        assert_eq!(parse_tracker(b"1 2 3 -4 5 00000006\n"), Some(Mark { created: 0, ..mark }), "of an earlier version");
        for text in ["", "\n", "1 2 3 4 5\n", "1 2 3 4 5 6", "1 2 3 4 5 6 x\n", "1 2 3 4 5 6 7 8\n", "x 2 3 4 5 6\n"] {
            assert_eq!(parse_tracker(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn only_paths_below_the_directory_are_inside() {
        assert!(is_inside(Path::new("a/b.log")));
        for path in ["", "/etc/passwd", "../a", "a/../../b"] {
            assert!(!is_inside(Path::new(path)), "{path}");
        }
    }
}
