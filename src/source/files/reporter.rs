//! The user's way to learn of problems with files.

use std::collections::HashMap;
use std::fmt::Display;
use std::mem::{Discriminant, discriminant};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use crate::limits::SPOOL_CANDIDATES_MAX;
use crate::source::SourceCounters;
use crate::tell::tell;
use crate::vfs::FileId;

/// What a source tells of one file.
pub(crate) trait FileReport: Display {
    /// What can be wrong with a file.
    type Problem;

    /// A report on the file at `path`.
    fn new(path: PathBuf, problem: Self::Problem) -> Self;
}

type Callback<R> = Box<dyn FnMut(&R) + Send>;

/// Tells the user of each problem once, and counts it.
pub(crate) struct Reporter<R: FileReport> {
    pub(crate) callback: Option<Callback<R>>,
    told: HashMap<(PathBuf, Discriminant<R::Problem>), Option<FileId>>,
}

impl<R: FileReport> Reporter<R> {
    pub(crate) fn report(&mut self, path: PathBuf, id: Option<FileId>, problem: R::Problem, counters: &SourceCounters) {
        if self.told.len() >= SPOOL_CANDIDATES_MAX {
            self.told.clear();
        }
        if self.told.insert((path.clone(), discriminant(&problem)), id) == Some(id) {
            return;
        }
        counters.event_read_fail.fetch_add(1, Ordering::Relaxed);
        let report = R::new(path, problem);
        tell!(WARN, "a file is not as it should be", report = report);
        if let Some(callback) = &mut self.callback {
            callback(&report);
        }
    }
}

impl<R: FileReport> Default for Reporter<R> {
    fn default() -> Self {
        Self { callback: None, told: HashMap::new() }
    }
}
