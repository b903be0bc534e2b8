//! The user's way to learn of problems with files.

use std::collections::HashMap;
use std::fmt::Display;
use std::mem::{Discriminant, discriminant};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use crate::limits::SPOOL_CANDIDATES_MAX;
use crate::source::SourceCounters;
use crate::tell::tell;
use crate::vfs::FileId;

/// One file is not as it should be. The source goes on with the others.
#[derive(Debug)]
pub struct FileReport<P> {
    path: PathBuf,
    problem: P,
}

impl<P> FileReport<P> {
    /// The file or directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong, and what becomes of the file.
    #[must_use]
    pub fn problem(&self) -> &P {
        &self.problem
    }
}

type Callback<P> = Box<dyn FnMut(&FileReport<P>) + Send>;

/// Tells the user of each problem once, and counts it.
pub(crate) struct Reporter<P> {
    pub(crate) callback: Option<Callback<P>>,
    told: HashMap<(PathBuf, Discriminant<P>), Option<FileId>>,
}

impl<P> Reporter<P>
where
    FileReport<P>: Display,
{
    pub(crate) fn report(&mut self, path: PathBuf, id: Option<FileId>, problem: P, counters: &SourceCounters) {
        if self.told.len() >= SPOOL_CANDIDATES_MAX {
            self.told.clear();
        }
        if self.told.insert((path.clone(), discriminant(&problem)), id) == Some(id) {
            return;
        }
        counters.event_read_fail.fetch_add(1, Ordering::Relaxed);
        let report = FileReport { path, problem };
        tell!(WARN, "a file is not as it should be", report = report);
        if let Some(callback) = &mut self.callback {
            callback(&report);
        }
    }
}

impl<P> Default for Reporter<P> {
    fn default() -> Self {
        Self { callback: None, told: HashMap::new() }
    }
}
