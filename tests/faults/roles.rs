//! What the operations of a store are for, as far as it decides what their failure means.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use aqueduct::vfs::sim::{Fault, OpKind, OpRecord};

use crate::matrix::{EACCES, EINTR, EMFILE, ENFILE, ENOMEM, is_full};
use crate::scripts::workload::Config;

/// Follows the files of the lanes: which of them are segments in use, and which lanes must be poisoned by what failed.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    // Handles (the paths by which they were opened) of segments that have their name, so that records can be in them.
    active: BTreeSet<Arc<Path>>,
    // By lane, the file that was synced last and is none of those.
    prepared: BTreeMap<u16, Arc<Path>>,
    // Lanes whose mark was written once more, and the name is not synced yet.
    marked: BTreeSet<u16>,
    // The write before this one was short: its file, where it ended, and whether it was a segment's first record.
    cut: Option<(Arc<Path>, u64, bool)>,
    // A part of a record is in this file, and is to be fenced off.
    fencing: Option<Arc<Path>>,
    /// Lanes that take no more writes.
    pub(crate) poisoned: BTreeSet<u16>,
}

/// Behind the header, where a segment's first record stands.
const FIRST_RECORD: u64 = 512;

impl Roles {
    /// Takes in an operation. Returns whether its failure has to poison its lane.
    pub(crate) fn note(&mut self, op: &OpRecord, config: Config) -> bool {
        let Some(lane) = config.lane_of(&op.path) else { return false };
        let poisons = match op.kind {
            OpKind::Write => self.write(op),
            OpKind::SyncData => self.sync(op, lane),
            OpKind::Rename if op.error.is_none() && has_extension(&op.path, "seg") => {
                self.active.extend(self.prepared.remove(&lane));
                false
            }
            OpKind::Rename if op.error.is_none() && kind_of_file(&op.path) == "mark" => {
                self.marked.insert(lane);
                false
            }
            // A full disk needs no new copy of a mark that is there, and no name that is wanted was new.
            OpKind::SyncDir if self.marked.remove(&lane) && is_no_room(op) => false,
            // Nobody knows which names the disk has, unless the directory could not even be opened: then nothing was tried.
            OpKind::SyncDir => {
                let refused = matches!(op.fault, Some(Fault::Errno(EACCES | EINTR | EMFILE | ENFILE | ENOMEM)));
                op.error.is_some() && !refused
            }
            _ => false,
        };
        if poisons {
            self.poisoned.insert(lane);
        }
        poisons
    }

    fn write(&mut self, op: &OpRecord) -> bool {
        let cut = self.cut.take();
        if !self.active.contains(&op.path) {
            return false;
        }
        if op.offset == 0 {
            // A header: the file is to be used again.
            self.active.remove(&op.path);
            return false;
        }
        let goes_on = cut.filter(|(path, end, _)| *path == op.path && *end == op.offset);
        let is_first = goes_on.as_ref().map_or(op.offset == FIRST_RECORD, |(_, _, first)| *first);
        let fencing = self.fencing.as_ref() == Some(&op.path);
        match op.fault {
            Some(Fault::Short(bytes)) if bytes > 0 => {
                self.cut = Some((op.path.clone(), op.offset + (bytes as u64).min(op.len), is_first));
                false
            }
            Some(Fault::Errno(errno)) if is_full(errno) && !fencing => {
                // Of a first record nobody was told: its segment is given up.
                self.fencing = goes_on.filter(|_| !is_first).map(|(path, ..)| path);
                false
            }
            Some(_) => true,
            None => false,
        }
    }

    fn sync(&mut self, op: &OpRecord, lane: u16) -> bool {
        if !self.active.contains(&op.path) {
            self.prepared.insert(lane, op.path.clone());
            return false;
        }
        self.fencing = None;
        matches!(op.fault, Some(Fault::Errno(_) | Fault::PartialSync { .. }))
    }
}

/// What a file is, for the report.
pub(crate) fn kind_of_file(path: &Path) -> &'static str {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match name {
        "lock" => "lock",
        _ if name.starts_with("manifest") => "manifest",
        _ if name.starts_with("lane") => "mark",
        _ if name.starts_with("checkpoint-") => "checkpoint",
        _ if ["seg", "spare", "new"].iter().any(|kind| has_extension(path, kind)) => "segment",
        _ => "directory",
    }
}

/// True if the store can do without this operation: what it is for is done later, or not needed. `tight`: the room that
/// files take is needed.
pub(crate) fn is_dispensable(op: &OpRecord, tight: bool) -> bool {
    match kind_of_file(&op.path) {
        "checkpoint" => true,
        "segment" => op.kind == OpKind::Remove && !tight,
        _ => false,
    }
}

fn is_no_room(op: &OpRecord) -> bool {
    matches!(op.fault, Some(Fault::Errno(errno) | Fault::PartialSync { errno, .. }) if is_full(errno))
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension == wanted)
}
