//! Checkpoints: the state of a lane at a place in its log, in two files that are written in turn.
//!
//! ```text
//! magic 8 | length u32 | crc u32 | generation u64 | store id 16 | lane u16 | clean u16 | segment u32 | segment salt u64 |
//! offset u32 | state (see `state.rs`)
//! ```
//!
//! A checkpoint is a cache: every segment begins with the same state, so a missing, torn or outdated checkpoint only makes
//! the replay longer.

use std::io::{self, IoSlice};

use bytes::{BufMut, BytesMut};

use super::cursor::{Cursor, Malformed};
use super::frame::{LanePos, StoreId};
use super::segment::LaneDir;
use super::state::LaneState;
use crate::error::StorageError;
use crate::limits::CHECKPOINT_BYTES_MAX;
use crate::vfs::OpenMode;

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) generation: u64,
    /// The state after all records before this place, all of which are durable.
    pub(crate) pos: LanePos,
    pub(crate) salt: u64,
    /// Written by a close: there is nothing behind `pos`.
    pub(crate) clean: bool,
    pub(crate) state: LaneState,
}

impl Checkpoint {
    fn encode(&self, store: &StoreId, lane: u16) -> BytesMut {
        let state = self.state.encode();
        let mut out = BytesMut::with_capacity(64 + state.len());
        out.put_u64_le(self.generation);
        out.put_slice(store);
        out.put_u16_le(lane);
        out.put_u16_le(self.clean.into());
        out.put_u32_le(self.pos.segment());
        out.put_u64_le(self.salt);
        out.put_u32_le(self.pos.offset());
        out.put_slice(&state);
        let mut file = BytesMut::with_capacity(16 + out.len());
        file.put_slice(MAGIC);
        file.put_u32_le(u32::try_from(out.len()).unwrap_or(u32::MAX));
        file.put_u32_le(crc32fast::hash(&out));
        file.put_slice(&out);
        file
    }

    fn decode(bytes: bytes::Bytes, store: &StoreId, lane: u16) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(bytes);
        if cursor.bytes(8, "magic")?.as_ref() != MAGIC {
            return Err(Malformed("magic"));
        }
        let len = cursor.u32("length")?;
        let crc = cursor.u32("crc")?;
        let payload = cursor.bytes(len as usize, "length")?;
        if crc32fast::hash(&payload) != crc {
            return Err(Malformed("checksum"));
        }
        let mut cursor = Cursor::new(payload);
        let generation = cursor.number("generation")?;
        if cursor.bytes(16, "store")?.as_ref() != store || cursor.u16("lane")? != lane {
            return Err(Malformed("store"));
        }
        let clean = cursor.u16("clean")? != 0;
        let segment = cursor.u32("segment")?;
        let salt = cursor.u64("salt")?;
        let pos = LanePos::new(segment, cursor.u32("offset")?);
        Ok(Self { generation, pos, salt, clean, state: LaneState::decode(cursor.rest())? })
    }
}

/// The newest checkpoint that can be read.
pub(crate) fn read_newest(dir: &LaneDir) -> Option<Checkpoint> {
    SLOTS.filter_map(|slot| read_slot(dir, slot)).max_by_key(|checkpoint| checkpoint.generation)
}

/// The checkpoint in a slot, if it can be read.
pub(crate) fn read_slot(dir: &LaneDir, slot: u64) -> Option<Checkpoint> {
    let path = dir.file(&slot_name(slot));
    let file = dir.vfs.open(&path, OpenMode::Read).ok()?;
    let len = file.metadata().ok()?.len;
    let mut bytes = vec![0; usize::try_from(len.min(CHECKPOINT_BYTES_MAX)).ok()?];
    file.read_exact_at(&mut bytes, 0).ok()?;
    Checkpoint::decode(bytes.into(), &dir.store, dir.lane).ok()
}

/// Writes a checkpoint over the older of the two.
pub(crate) fn write(dir: &LaneDir, checkpoint: &Checkpoint) -> Result<(), StorageError> {
    let path = dir.file(&slot_name(checkpoint.generation % 2));
    let bytes = checkpoint.encode(&dir.store, dir.lane);
    if bytes.len() as u64 > CHECKPOINT_BYTES_MAX {
        return Err(StorageError::Limit {
            what: "checkpoint bytes",
            actual: bytes.len() as u64,
            max: CHECKPOINT_BYTES_MAX,
        });
    }
    let mut created = false;
    let mut write = || -> io::Result<()> {
        let file = match dir.vfs.open(&path, OpenMode::ReadWrite) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                created = true;
                dir.vfs.open(&path, OpenMode::CreateNew)?
            }
            result => result?,
        };
        file.write_all_at(&mut [IoSlice::new(&bytes)], 0).map_err(|(_, error)| error)?;
        file.sync_data()
    };
    write().map_err(|error| dir.error("write", &path, error))?;
    if created { dir.sync_names() } else { Ok(()) }
}

pub(crate) fn slot_name(slot: u64) -> String {
    format!("checkpoint-{slot}")
}

/// The numbers of the slots.
pub(crate) const SLOTS: std::ops::Range<u64> = 0..2;
const MAGIC: &[u8; 8] = b"aquecpt\x01";
