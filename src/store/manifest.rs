//! The manifest of a store, and the mark of a data directory.
//!
//! ```text
//! manifest   magic 8 | length u32 | crc u32 | store id 16 | lanes u16 | channels u16, for each: number u16, name length u16, name
//! lane       magic 8 | length u32 | crc u32 | store id 16 | lane u16
//! ```
//!
//! Both are replaced as a whole: written beside the old one, synced, renamed, and the directory synced.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::Path;

use bytes::{BufMut, Bytes, BytesMut};

use super::cursor::{Cursor, Malformed};
use super::frame::StoreId;
use super::segment::is_full;
use crate::error::StorageError;
use crate::limits::MANIFEST_BYTES_MAX;
use crate::sabotage::{Bug, planted};
use crate::vfs::{OpenMode, Vfs};

/// What a store consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) store: StoreId,
    pub(crate) lanes: u16,
    /// Name by number.
    pub(crate) channels: BTreeMap<u16, String>,
}

/// To which store, and as what, a data directory belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LaneMark {
    pub(crate) store: StoreId,
    pub(crate) lane: u16,
}

impl Manifest {
    fn encode(&self) -> BytesMut {
        let mut out = BytesMut::new();
        out.put_slice(&self.store);
        out.put_u16_le(self.lanes);
        out.put_u16_le(u16::try_from(self.channels.len()).unwrap_or(u16::MAX));
        for (number, name) in &self.channels {
            out.put_u16_le(*number);
            out.put_u16_le(u16::try_from(name.len()).unwrap_or(u16::MAX));
            out.put_slice(name.as_bytes());
        }
        out
    }

    fn decode(payload: Bytes) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        let store = store_id(&mut cursor)?;
        let lanes = cursor.u16("lanes")?;
        let mut channels = BTreeMap::new();
        for _ in 0..cursor.u16("channels")? {
            let number = cursor.u16("channel")?;
            let len = cursor.u16("channel name length")?;
            channels.insert(number, cursor.text(len.into(), "channel name")?);
        }
        cursor.finish("bytes behind the manifest")?;
        Ok(Self { store, lanes, channels })
    }

    pub(crate) fn write(&self, vfs: &dyn Vfs, dir: &Path) -> Result<(), StorageError> {
        replace(vfs, dir, MANIFEST, MANIFEST_MAGIC, &self.encode())
    }

    /// The manifest of a store's directory; `None` if there is none.
    pub(crate) fn read(vfs: &dyn Vfs, dir: &Path) -> Result<Option<Self>, StorageError> {
        read(vfs, dir, MANIFEST, MANIFEST_MAGIC, Self::decode)
    }
}

impl LaneMark {
    pub(crate) fn write(&self, vfs: &dyn Vfs, dir: &Path) -> Result<(), StorageError> {
        let mut out = BytesMut::new();
        out.put_slice(&self.store);
        out.put_u16_le(self.lane);
        replace(vfs, dir, LANE_MARK, LANE_MAGIC, &out)
    }

    /// The mark of a data directory; `None` if there is none.
    pub(crate) fn read(vfs: &dyn Vfs, dir: &Path) -> Result<Option<Self>, StorageError> {
        read(vfs, dir, LANE_MARK, LANE_MAGIC, |payload| {
            let mut cursor = Cursor::new(payload);
            let mark = Self { store: store_id(&mut cursor)?, lane: cursor.u16("lane")? };
            cursor.finish("bytes behind the mark")?;
            Ok(mark)
        })
    }
}

fn store_id(cursor: &mut Cursor) -> Result<StoreId, Malformed> {
    cursor.bytes(16, "store id")?.as_ref().try_into().map_err(|_| Malformed("store id"))
}

fn replace(vfs: &dyn Vfs, dir: &Path, name: &str, magic: [u8; 8], payload: &[u8]) -> Result<(), StorageError> {
    let path = dir.join(name);
    let beside = if planted(Bug::ReplaceInPlace) { path.clone() } else { dir.join(format!("{name}.tmp")) };
    let mut head = BytesMut::with_capacity(16);
    head.put_slice(&magic);
    head.put_u32_le(u32::try_from(payload.len()).unwrap_or(u32::MAX));
    head.put_u32_le(crc32fast::hash(payload));
    let write = || -> io::Result<()> {
        match vfs.remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = vfs.open(&beside, OpenMode::CreateNew)?;
        let mut slices = [IoSlice::new(&head), IoSlice::new(payload)];
        file.write_all_at(&mut slices, 0).map_err(|(_, error)| error)?;
        // ORDER: content, then name: the name never stands for anything but a whole file.
        if !planted(Bug::RenameBeforeSync) {
            file.sync_data()?;
        }
        vfs.rename(&beside, &path)?;
        vfs.sync_dir(dir)
    };
    write().map_err(|error| {
        // Half of a file only takes room.
        let _ = vfs.remove_file(&beside);
        if is_full(&error) {
            StorageError::DiskFull { path: dir.to_path_buf() }
        } else {
            StorageError::io("write", &path, error)
        }
    })
}

fn read<T>(
    vfs: &dyn Vfs,
    dir: &Path,
    name: &str,
    magic: [u8; 8],
    decode: impl FnOnce(Bytes) -> Result<T, Malformed>,
) -> Result<Option<T>, StorageError> {
    let path = dir.join(name);
    let io = |error| StorageError::io("read", &path, error);
    let file = match vfs.open(&path, OpenMode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result.map_err(io)?,
    };
    let len = file.metadata().map_err(io)?.len.min(MANIFEST_BYTES_MAX);
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0).map_err(io)?;
    let parse = || -> Result<T, Malformed> {
        let mut cursor = Cursor::new(bytes.into());
        let found = cursor.bytes(8, "magic")?;
        if found.as_ref() != magic.as_slice() {
            // The last byte is the version.
            let ours = found.get(..7) == magic.get(..7);
            return Err(Malformed(if ours { "magic: it is of another version of the format" } else { "magic" }));
        }
        let len = cursor.u32("length")?;
        let crc = cursor.u32("checksum")?;
        let payload = cursor.bytes(len as usize, "length")?;
        cursor.finish("bytes behind the end")?;
        if crc32fast::hash(&payload) != crc {
            return Err(Malformed("checksum"));
        }
        decode(payload)
    };
    parse().map(Some).map_err(|error| StorageError::Corrupt {
        path: path.clone(),
        offset: 0,
        detail: error.to_string(),
    })
}

pub(crate) const MANIFEST: &str = "manifest";
pub(crate) const LANE_MARK: &str = "lane";
const MANIFEST_MAGIC: [u8; 8] = *b"aquestr\x01";
const LANE_MAGIC: [u8; 8] = *b"aquelan\x01";
