//! Segment files: creating, recycling, opening.
//!
//! A segment is filled with zeros and synced before its first use, so that commits neither allocate blocks nor change the
//! file's length: that is what makes `fdatasync` cheap, and it is how a full disk shows up before a transaction is begun.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rustix::io::Errno;

use super::frame::{HeaderError, SEGMENT_HEADER_BYTES, SegmentHeader, SegmentSeal, StoreId};
use crate::error::StorageError;
use crate::sabotage::{Bug, planted};
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{Mutex, OnceLock};
use crate::vfs::{OpenMode, Vfs, VfsFile};

/// The directory of a lane.
#[derive(Clone, Debug)]
pub(crate) struct LaneDir {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) path: PathBuf,
    pub(crate) store: StoreId,
    pub(crate) lane: u16,
    names: Arc<Names>,
}

/// Whether the disk knows the names in a directory.
#[derive(Debug, Default)]
struct Names {
    syncing: Mutex<()>,
    lost: OnceLock<StorageError>,
}

/// A segment that holds, or may hold, records.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) id: u32,
    pub(crate) seal: SegmentSeal,
    pub(crate) salt: u64,
    pub(crate) size: u64,
    /// The file is shorter than it was when it was made: nothing but damage makes it so.
    pub(crate) cut_short: bool,
    pub(crate) path: PathBuf,
    vfs: Arc<dyn Vfs>,
    // Closed while nobody reads it: a long backlog must not use up the process's descriptors.
    file: Mutex<Option<Arc<dyn VfsFile>>>,
    /// Sequence number of the first event in it.
    pub(crate) first_seq: u64,
    // Offset behind the last frame once the segment is sealed, `OPEN` before.
    end: AtomicU32,
    map: OnceLock<Bytes>,
    // It was there before this open: an earlier one may have mapped it.
    was_found: bool,
}

/// A file of zeros or forgotten records, to become a segment.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) size: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn VfsFile>,
}

impl Segment {
    /// Offset behind the last frame, if the segment is sealed.
    pub(crate) fn end(&self) -> Option<u32> {
        Some(self.end.load(Ordering::Acquire)).filter(|end| *end != OPEN)
    }

    /// The open file.
    pub(crate) fn file(&self) -> Result<Arc<dyn VfsFile>, StorageError> {
        let mut file = self.file.lock();
        if let Some(file) = &*file {
            return Ok(file.clone());
        }
        let opened = self.vfs.open(&self.path, OpenMode::ReadWrite);
        let opened = opened.map_err(|error| StorageError::io("open", &self.path, error))?;
        Ok(file.insert(opened).clone())
    }

    /// The same segment once more, with a file of its own.
    pub(crate) fn reopened(&self) -> Arc<Self> {
        Arc::new(Self {
            id: self.id,
            seal: self.seal,
            salt: self.salt,
            size: self.size,
            cut_short: self.cut_short,
            path: self.path.clone(),
            vfs: self.vfs.clone(),
            file: Mutex::new(None),
            first_seq: self.first_seq,
            end: AtomicU32::new(self.end.load(Ordering::Acquire)),
            map: OnceLock::new(),
            was_found: self.was_found,
        })
    }

    /// Closes the file until it is needed again.
    pub(crate) fn release(&self) {
        self.file.lock().take();
    }

    pub(crate) fn seal_at(&self, end: u32) {
        self.end.store(end, Ordering::Release);
    }

    /// The whole file, mapped.
    pub(crate) fn mapped(&self) -> Result<&Bytes, StorageError> {
        if let Some(map) = self.map.get() {
            return Ok(map);
        }
        HAS_MAPPED.store(true, Ordering::Relaxed);
        let map = self.file()?.map(self.size).map_err(|error| StorageError::io("read", &self.path, error))?;
        // Another reader may have been faster; one mapping is as good as the other.
        Ok(self.map.get_or_init(|| map))
    }

    /// Whether events may point into a mapping of the file: its bytes must not change any more. Those of an earlier life of the
    /// store in this process count, too.
    pub(crate) fn may_be_mapped(&self) -> bool {
        self.map.get().is_some() || self.was_found && HAS_MAPPED.load(Ordering::Relaxed)
    }

    pub(crate) fn corrupt(&self, offset: u32, detail: impl Into<String>) -> StorageError {
        StorageError::Corrupt { path: self.path.clone(), offset: offset.into(), detail: detail.into() }
    }
}

impl LaneDir {
    pub(crate) fn new(vfs: Arc<dyn Vfs>, path: PathBuf, store: StoreId, lane: u16) -> Self {
        Self { vfs, path, store, lane, names: Arc::default() }
    }

    /// Makes the names in it durable. Once that has failed it is not tried again.
    pub(crate) fn sync_names(&self) -> Result<(), StorageError> {
        // IMPORTANT: a failed sync may have dropped names that another thread is about to sync, which would then be told
        // that they are durable. So one at a time, and none after one that failed.
        let _alone = self.names.syncing.lock();
        if let Some(error) = self.names_lost() {
            return Err(error);
        }
        self.vfs.sync_dir(&self.path).map_err(|error| {
            let was_tried = !is_refusal_to_open(&error);
            let error = StorageError::io("sync directory", &self.path, error);
            if was_tried {
                let _ = self.names.lost.set(error.clone());
            }
            error
        })
    }

    /// The failure after which nobody knows which names the disk has.
    pub(crate) fn names_lost(&self) -> Option<StorageError> {
        self.names.lost.get().cloned()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn error(&self, operation: &'static str, path: &Path, error: io::Error) -> StorageError {
        if is_full(&error) {
            StorageError::DiskFull { path: self.path.clone() }
        } else {
            StorageError::io(operation, path, error)
        }
    }

    /// A new file of `size` zeros, durable but for its name.
    pub(crate) fn create_spare(&self, name: &str, size: u64) -> Result<Spare, StorageError> {
        let path = self.file(name);
        let file = match self.vfs.open(&path, OpenMode::CreateNew) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.vfs.remove_file(&path).and_then(|()| self.vfs.open(&path, OpenMode::CreateNew))
            }
            result => result,
        };
        let file = file.map_err(|error| self.error("create", &path, error))?;
        let filled = fill(&*file, size).and_then(|()| file.sync_data());
        if let Err(error) = filled {
            // The half-filled file would only hold the room that others need.
            let _ = self.vfs.remove_file(&path);
            return Err(self.error("fill", &path, error));
        }
        Ok(Spare { size, path, file })
    }

    /// Turns a spare file into the empty segment `id`. The spare's old content stays and never validates again.
    pub(crate) fn activate(&self, spare: Spare, id: u32, salt: u64, first_seq: u64) -> Result<Segment, NotActivated> {
        let header = SegmentHeader { store: self.store, lane: self.lane, id, salt, size: spare.size };
        let path = self.file(&segment_name(id));
        let bytes = header.encode();
        let written = spare
            .file
            .write_all_at(&mut [io::IoSlice::new(&bytes)], 0)
            .map_err(|(_, error)| error)
            .and_then(|()| spare.file.sync_data());
        let not = |error, left: &Path, names_unknown| NotActivated { error, left: left.to_path_buf(), names_unknown };
        written.map_err(|error| not(self.error("write the header of", &spare.path, error), &spare.path, false))?;
        // ORDER: the header is durable before the file gets a segment's name, the name before the first record.
        // Never over another: a file of that name can only be somebody's events.
        let renamed = self.vfs.rename_new(&spare.path, &path);
        renamed.map_err(|error| not(self.error("rename to", &path, error), &spare.path, false))?;
        let synced = if planted(Bug::NoDirSync) { Ok(()) } else { self.sync_names() };
        synced.map_err(|error| not(error, &path, self.names_lost().is_some()))?;
        Ok(self.segment(&header, path, spare.file, first_seq))
    }

    /// Opens a spare file that is there.
    pub(crate) fn open_spare(&self, path: &Path) -> Result<Spare, StorageError> {
        let open = || -> io::Result<Spare> {
            let file = self.vfs.open(path, OpenMode::ReadWrite)?;
            let size = file.metadata()?.len;
            Ok(Spare { size, path: path.to_path_buf(), file })
        };
        open().map_err(|error| self.error("open", path, error))
    }

    pub(crate) fn segment(
        &self,
        header: &SegmentHeader,
        path: PathBuf,
        file: Arc<dyn VfsFile>,
        first_seq: u64,
    ) -> Segment {
        Segment {
            id: header.id,
            seal: header.seal(),
            salt: header.salt,
            size: header.size,
            cut_short: false,
            path,
            vfs: self.vfs.clone(),
            file: Mutex::new(Some(file)),
            first_seq,
            end: AtomicU32::new(OPEN),
            map: OnceLock::new(),
            was_found: false,
        }
    }

    /// Opens a segment that is there. `Ok(None)`: the file has no valid header of this id.
    pub(crate) fn open_segment(&self, id: u32) -> Result<Option<Segment>, SegmentError> {
        let path = self.file(&segment_name(id));
        let io = |error| SegmentError::Storage(StorageError::io("open", &path, error));
        let file = self.vfs.open(&path, OpenMode::ReadWrite).map_err(io)?;
        let len = file.metadata().map_err(io)?.len;
        if len < u64::from(SEGMENT_HEADER_BYTES) {
            return Ok(None);
        }
        let mut bytes = vec![0; SEGMENT_HEADER_BYTES as usize];
        file.read_exact_at(&mut bytes, 0).map_err(io)?;
        let header = match SegmentHeader::decode(&bytes.into()) {
            Ok(header) => header,
            Err(HeaderError::Version(found)) => return Err(SegmentError::Version { path, found }),
            Err(HeaderError::Invalid) => return Ok(None),
        };
        if header.store != self.store {
            return Err(SegmentError::Foreign { path, of: "another store" });
        }
        if header.lane != self.lane {
            return Err(SegmentError::Foreign { path, of: "another data directory" });
        }
        if header.id != id {
            return Ok(None);
        }
        let cut_short = len < header.size;
        let header = SegmentHeader { size: len.min(header.size), ..header };
        Ok(Some(Segment { cut_short, was_found: true, ..self.segment(&header, path, file, 0) }))
    }
}

/// Why a spare did not become a segment.
#[derive(Debug)]
pub(crate) struct NotActivated {
    pub(crate) error: StorageError,
    /// The file that is of no use now.
    pub(crate) left: PathBuf,
    /// A sync of the directory failed: nobody knows which of its names are durable, and no later sync would tell.
    pub(crate) names_unknown: bool,
}

/// Why a segment file was not opened.
#[derive(Debug)]
pub(crate) enum SegmentError {
    Storage(StorageError),
    Version { path: PathBuf, found: u16 },
    Foreign { path: PathBuf, of: &'static str },
}

/// Whether an error says that there is no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether the sync of a directory failed because the directory could not be opened for it: then nothing was tried.
fn is_refusal_to_open(error: &io::Error) -> bool {
    let refusals = [Errno::ACCESS, Errno::INTR, Errno::MFILE, Errno::NFILE, Errno::NOENT, Errno::NOMEM];
    error.raw_os_error().is_some_and(|errno| refusals.contains(&Errno::from_raw_os_error(errno)))
}

/// The number of a new segment. The last one is never given: whatever stands behind a segment has a number, too.
pub(crate) fn segment_number(next: u32) -> Result<u32, StorageError> {
    if next == u32::MAX {
        let (actual, max) = (u64::from(next), u64::from(next) - 1);
        return Err(StorageError::Limit { what: "the number of a segment", actual, max });
    }
    Ok(next)
}

pub(crate) fn segment_name(id: u32) -> String {
    format!("{id:010}.seg")
}

/// The id in a segment's file name.
pub(crate) fn parse_segment_name(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".seg")?;
    digits.parse().ok().filter(|id| segment_name(*id) == name)
}

fn fill(file: &dyn VfsFile, size: u64) -> io::Result<()> {
    let zeros = vec![0; usize::try_from(size.min(FILL_BYTES)).unwrap_or(0)];
    let mut at = 0;
    while at < size {
        let len = usize::try_from((size - at).min(FILL_BYTES)).unwrap_or(0);
        let piece = zeros.get(..len).unwrap_or(&zeros);
        file.write_all_at(&mut [io::IoSlice::new(piece)], at).map_err(|(_, error)| error)?;
        at += piece.len() as u64;
    }
    Ok(())
}

/// This process has mapped a segment of some store.
static HAS_MAPPED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

const OPEN: u32 = u32::MAX;
/// How much is written at once also decides how large the pieces are in which Linux keeps the file in memory, and of each piece
/// that a write touches it looks at every block: pieces of 1 MiB made a write of 50 KiB a fifth slower.
const FILL_BYTES: u64 = 128 << 10;

#[cfg(test)]
mod tests {
    use super::segment_number;

    #[test]
    fn the_last_number_is_given_to_no_segment() {
        assert_eq!(segment_number(u32::MAX - 1).expect("the last but one"), u32::MAX - 1);
        let error = segment_number(u32::MAX).expect_err("the last one").to_string();
        assert!(error.contains("the number of a segment") && error.contains("4294967294"), "{error}");
    }
}
