//! The supply of segment files: the one prepared to come next, files to be used again, and the reserve that keeps a full
//! disk drainable.

use std::path::PathBuf;
use std::sync::Arc;

use super::lane::Lane;
use super::segment::{LaneDir, NotActivated, Segment, Spare, segment_number};
use crate::error::StorageError;
use crate::limits::{REUSABLE_SEGMENTS_MAX, SEGMENT_BYTES_RESERVE};

/// The supply of one lane.
#[derive(Debug)]
pub(crate) struct Spares {
    next_id: u32,
    prepared: Option<Segment>,
    reusable: Vec<Spare>,
    // Puts never touch these: acknowledgements, positions of takes and the close go there when the disk is full.
    reserve: Vec<Spare>,
    reserve_bytes: u64,
    next_size: u64,
    size_max: u64,
    // Files that could not be removed; tried again from time to time.
    garbage: Vec<PathBuf>,
}

impl Spares {
    /// A supply with the reserve that the last life left. The first segment is `first_size` bytes; later ones grow fourfold
    /// up to `size_max`.
    pub(crate) fn new(next_id: u32, first_size: u64, size_max: u64, reserve: Vec<Spare>) -> Self {
        Self {
            next_id,
            prepared: None,
            reusable: Vec::new(),
            reserve,
            reserve_bytes: SEGMENT_BYTES_RESERVE.min(size_max),
            next_size: first_size.min(size_max),
            size_max,
            garbage: Vec::new(),
        }
    }

    /// Whether the reserve has room for a state that takes up to `state_bytes`.
    pub(crate) fn is_secure(&self, state_bytes: u64) -> bool {
        state_bytes.saturating_mul(2) <= self.reserve_bytes && self.has_reserve()
    }

    /// Makes the reserve large enough for a state of `state_bytes` and some growth of it. It has to be there before a put
    /// may take room: otherwise a full disk could not be drained.
    pub(crate) fn secure(&mut self, dir: &LaneDir, state_bytes: u64) -> Result<(), StorageError> {
        if state_bytes.saturating_mul(4) > self.reserve_bytes {
            self.reserve_bytes = state_bytes.saturating_mul(4).next_power_of_two();
        }
        while let Err(error) = self.fill_reserve(dir) {
            // A file that is kept only to save the zeros has the room.
            let Some(spare) = self.reusable.pop() else { return Err(error) };
            self.remove(dir, spare.path);
        }
        Ok(())
    }

    /// An empty segment with room for `total` bytes.
    pub(crate) fn acquire(
        &mut self,
        lane: &Lane,
        total: u64,
        first_seq: u64,
        put: bool,
    ) -> Result<Segment, StorageError> {
        let dir = &lane.log.dir;
        // Before a file is given up for it.
        segment_number(self.next_id)?;
        if let Some(mut segment) = self.prepared.take() {
            if segment.size >= total {
                segment.first_seq = first_seq;
                return Ok(segment);
            }
            self.keep_segment(dir, &segment);
        }
        let spare = match self.reusable.iter().position(|spare| spare.size >= total) {
            Some(index) => self.reusable.swap_remove(index),
            None => match self.create(dir, total) {
                Err(StorageError::DiskFull { .. }) if !put => self.take_reserve(dir, total)?,
                result => result?,
            },
        };
        let id = self.new_id()?;
        dir.activate(spare, id, lane.shared.random(), first_seq).map_err(|failed| self.not_activated(lane, failed))
    }

    /// Cleans up after a file that could not be made a segment.
    pub(crate) fn not_activated(&mut self, lane: &Lane, failed: NotActivated) -> StorageError {
        self.remove(&lane.log.dir, failed.left);
        if failed.names_unknown {
            lane.poison(&failed.error);
        }
        failed.error
    }

    /// Whether a segment of the size that the next one has anyway is roomy for a state of `state_bytes`.
    pub(crate) fn is_small(&self, state_bytes: u64) -> bool {
        roomy_bytes(state_bytes) <= self.next_size
    }

    /// Takes a file to prepare, if one is wanted, for a segment whose state takes `state_bytes`; with the id it is to get.
    pub(crate) fn begin_prepare(&mut self, state_bytes: u64) -> Option<(u32, u64, Option<Spare>)> {
        if self.prepared.is_some() {
            return None;
        }
        let id = self.new_id().ok()?;
        let roomy = roomy_bytes(state_bytes);
        let fitting = self.reusable.iter().rposition(|spare| spare.size >= roomy);
        let spare = fitting.map(|index| self.reusable.swap_remove(index));
        let size = self.next_size.max(roomy);
        if spare.is_none() {
            self.grow();
        }
        Some((id, size, spare))
    }

    /// Takes the number back that nothing was prepared under.
    pub(crate) fn cancel_prepare(&mut self, id: u32) {
        if self.next_id == id + 1 {
            self.next_id = id;
        }
    }

    /// Takes in what was prepared, unless it comes too late.
    pub(crate) fn end_prepare(&mut self, dir: &LaneDir, segment: Segment, active: u32) {
        if self.prepared.is_none() && segment.id > active {
            self.prepared = Some(segment);
        } else {
            self.keep_segment(dir, &segment);
        }
    }

    /// Whether there is a file that can be prepared without filling it.
    pub(crate) fn has_reusable(&self) -> bool {
        !self.reusable.is_empty()
    }

    /// Whether it is time to prepare the next segment.
    pub(crate) fn wants_work(&self, offset: u32, active: &Segment) -> bool {
        self.prepared.is_none() && u64::from(offset) > active.size / 4
    }

    /// Takes back a segment that is not needed any more.
    pub(crate) fn recycle(&mut self, lane: &Lane, segment: &Arc<Segment>) {
        if segment.may_be_mapped() {
            self.remove(&lane.log.dir, segment.path.clone());
        } else {
            self.keep_segment(&lane.log.dir, segment);
        }
    }

    /// Tries again to remove what could not be removed, and to fill the reserve.
    pub(crate) fn tidy(&mut self, dir: &LaneDir) {
        for path in std::mem::take(&mut self.garbage) {
            self.remove(dir, path);
        }
        // Without a reserve puts are refused, so a failure shows there.
        let _ = self.fill_reserve(dir);
    }

    pub(crate) fn fill_reserve(&mut self, dir: &LaneDir) -> Result<(), StorageError> {
        while !self.has_reserve() {
            let size = self.reserve_bytes;
            let spare = self.create_named(dir, reserve_name, size)?;
            self.reserve.push(spare);
        }
        while self.reserve.len() > RESERVE_SEGMENTS {
            // Those that the state has outgrown.
            let smallest = (0..self.reserve.len()).min_by_key(|index| self.reserve.get(*index).map(|spare| spare.size));
            let spare = self.reserve.swap_remove(smallest.unwrap_or(0));
            self.remove(dir, spare.path);
        }
        Ok(())
    }

    fn has_reserve(&self) -> bool {
        self.reserve.iter().filter(|spare| spare.size >= self.reserve_bytes).count() >= RESERVE_SEGMENTS
    }

    /// Bytes of all files held.
    pub(crate) fn bytes(&self) -> u64 {
        let spares = self.reserve.iter().chain(&self.reusable).map(|spare| spare.size).sum::<u64>();
        spares + self.prepared.as_ref().map_or(0, |segment| segment.size)
    }

    /// Removes the files that an open makes anew, at close. The reserve stays: without it a store on a full disk could not
    /// be opened again.
    pub(crate) fn discard(&mut self, dir: &LaneDir) {
        let prepared = self.prepared.take().map(|segment| segment.path);
        let spares = self.reusable.drain(..).map(|spare| spare.path);
        for path in prepared.into_iter().chain(spares).chain(std::mem::take(&mut self.garbage)) {
            // What stays is removed by the next open.
            let _ = dir.vfs.remove_file(&path);
        }
    }

    fn create(&mut self, dir: &LaneDir, total: u64) -> Result<Spare, StorageError> {
        let mut size = self.next_size.max(total);
        self.grow();
        let available = dir.vfs.available_bytes(&dir.path).unwrap_or(u64::MAX);
        loop {
            // Filling the rest of a disk only to find that it does not suffice would take long.
            if size > available && size > total.max(SEGMENT_BYTES_MIN) {
                size = (size / 4).max(total);
                continue;
            }
            match self.create_named(dir, spare_name, size) {
                // Little room is better than none.
                Err(StorageError::DiskFull { .. }) if size > total.max(SEGMENT_BYTES_MIN) => {
                    size = (size / 4).max(total);
                }
                result => return result,
            }
        }
    }

    fn take_reserve(&mut self, dir: &LaneDir, total: u64) -> Result<Spare, StorageError> {
        match self.reserve.iter().position(|spare| spare.size >= total) {
            Some(index) => Ok(self.reserve.swap_remove(index)),
            None => Err(StorageError::DiskFull { path: dir.path.clone() }),
        }
    }

    fn keep_segment(&mut self, dir: &LaneDir, segment: &Segment) {
        let fits_reserve = segment.size >= self.reserve_bytes && segment.size <= self.reserve_bytes * 4;
        // The next open knows the reserve by its name.
        let wanted = fits_reserve && self.reserve.len() < RESERVE_SEGMENTS;
        let name = if wanted { self.new_id().ok().map(reserve_name) } else { None };
        let for_reserve = name.is_some();
        let name = name.unwrap_or_else(|| spare_name(segment.id));
        let path = dir.file(&name);
        // Opened by the name that it is about to lose.
        let file = segment.file();
        // ORDER: the file loses a segment's name before its header is overwritten: a segment without a valid header is
        // damaged.
        let renamed = dir.vfs.rename(&segment.path, &path).is_ok() && dir.sync_names().is_ok();
        match file {
            Ok(file) if renamed => {
                let kept = if for_reserve { &mut self.reserve } else { &mut self.reusable };
                kept.push(Spare { size: segment.size, path, file });
                self.drop_smallest(dir);
            }
            _ => {
                self.remove(dir, path);
                self.remove(dir, segment.path.clone());
            }
        }
    }

    fn drop_smallest(&mut self, dir: &LaneDir) {
        if self.reusable.len() > REUSABLE_SEGMENTS_MAX {
            self.reusable.sort_unstable_by_key(|spare| std::cmp::Reverse(spare.size));
            let smallest = self.reusable.pop().map(|spare| spare.path);
            smallest.into_iter().for_each(|path| self.remove(dir, path));
        }
    }

    fn remove(&mut self, dir: &LaneDir, path: PathBuf) {
        if dir.vfs.remove_file(&path).is_err_and(|error| error.kind() != std::io::ErrorKind::NotFound) {
            self.garbage.push(path);
        }
    }

    /// A file with a number of its own. One that cannot be made uses no number up: on a full disk that is tried again and
    /// again.
    fn create_named(&mut self, dir: &LaneDir, name: fn(u32) -> String, size: u64) -> Result<Spare, StorageError> {
        let id = segment_number(self.next_id)?;
        let spare = dir.create_spare(&name(id), size)?;
        self.next_id = id + 1;
        Ok(spare)
    }

    fn new_id(&mut self) -> Result<u32, StorageError> {
        let id = segment_number(self.next_id)?;
        self.next_id += 1;
        Ok(id)
    }

    fn grow(&mut self) {
        self.next_size = (self.next_size * 4).min(self.size_max);
    }
}

/// Whether a file's name is that of a spare of the reserve; its number.
pub(crate) fn parse_reserve_name(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("reserve-")?.strip_suffix(".spare")?;
    digits.parse().ok().filter(|id| reserve_name(*id) == name)
}

/// Bytes of a segment that has room for more than the state it begins with.
pub(crate) fn roomy_bytes(state_bytes: u64) -> u64 {
    state_bytes.saturating_mul(4).min(u32::MAX.into())
}

/// The name of a file that is to become segment `id`, or was it.
pub(crate) fn spare_name(id: u32) -> String {
    format!("{id:010}.spare")
}

fn reserve_name(id: u32) -> String {
    format!("reserve-{id:010}.spare")
}

pub(crate) const RESERVE_SEGMENTS: usize = 2;
const SEGMENT_BYTES_MIN: u64 = 64 << 10;
