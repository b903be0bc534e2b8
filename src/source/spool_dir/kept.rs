//! Files that are kept in mind although they are not being read, and what changes of that with the next batch.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::position::{Kept, Place, Why};
use super::settings::Checked;
use crate::limits::{POSITIONS_PER_TRANSACTION_MAX, SPOOL_CANDIDATES_MAX, SPOOL_KEPT_FILES_MAX, SPOOL_SETTLE};
use crate::source::files::is_gone;
use crate::source::{PullBatch, SourceError};
use crate::vfs::{Metadata, Vfs};

/// The files that are kept in mind.
#[derive(Debug, Default)]
pub(super) struct KeptFiles {
    files: HashMap<PathBuf, (Kept, Duration)>,
    // Positions to be set or cleared with the next batch.
    changes: BTreeMap<String, Option<Kept>>,
    durable_count: usize,
}

impl KeptFiles {
    /// Adds what a position says.
    pub(super) fn restore(&mut self, kept: Kept, now: Duration) {
        self.durable_count += 1;
        self.files.insert(kept.place.rel.clone(), (kept, now));
    }

    /// Keeps a file in mind, for good if forgetting it would repeat lines.
    ///
    /// # Errors
    /// If there are too many.
    pub(super) fn keep(
        &mut self,
        why: Why,
        place: Place,
        now: Duration,
        settings: &Checked,
    ) -> Result<(), SourceError> {
        self.forget(&place.rel);
        let kept = Kept { why, place };
        if is_durable(&kept) {
            if self.durable_count >= SPOOL_KEPT_FILES_MAX {
                let text = format!(
                    "{SPOOL_KEPT_FILES_MAX} files in {:?} have problems that were reported; move them away to go on",
                    settings.dir
                );
                return Err(SourceError::retry(io::Error::other(text)));
            }
            self.durable_count += 1;
            self.changes.insert(kept.place.key(), Some(kept.clone()));
        } else if self.files.len() >= SPOOL_CANDIDATES_MAX {
            // Nothing is lost with them but that they are tried again at once.
            self.files.retain(|_, (kept, _)| is_durable(kept));
        }
        self.files.insert(kept.place.rel.clone(), (kept, now));
        Ok(())
    }

    pub(super) fn forget(&mut self, rel: &Path) {
        if let Some((kept, _)) = self.files.remove(rel)
            && is_durable(&kept)
        {
            self.durable_count -= 1;
            self.changes.insert(kept.place.key(), None);
        }
    }

    /// What is kept of this file; nothing if another file has its name now.
    pub(super) fn of(&self, rel: &Path, metadata: &Metadata) -> Option<&Kept> {
        let (kept, _) = self.files.get(rel)?;
        kept.place.mark.is_of(metadata).then_some(kept)
    }

    /// Whether a listed file is to be read now.
    pub(super) fn admits(&self, rel: &Path, metadata: &Metadata, now: Duration) -> bool {
        let Some(kept) = self.of(rel, metadata) else { return true };
        let since = self.files.get(rel).map_or(Duration::ZERO, |(_, since)| *since);
        match kept.why {
            Why::Changing | Why::Unreadable => now >= since + SPOOL_SETTLE,
            Why::Undecodable => !kept.place.mark.is_unchanged(metadata),
            Why::Shrunk | Why::Uncompleted => false,
        }
    }

    /// Whether a file waits to stand still.
    pub(super) fn has_changing(&self) -> bool {
        self.files.values().any(|(kept, _)| kept.why == Why::Changing)
    }

    /// Whether the file was read to its end and is to be completed later.
    pub(super) fn is_uncompleted(&self, rel: &Path) -> bool {
        self.files.get(rel).is_some_and(|(kept, _)| kept.why == Why::Uncompleted)
    }

    /// Files to be completed later.
    pub(super) fn uncompleted(&self) -> Vec<Place> {
        let kept = self.files.values().map(|(kept, _)| kept);
        kept.filter(|kept| kept.why == Why::Uncompleted).map(|kept| kept.place.clone()).collect()
    }

    /// Forgets files that are gone, or whose name another file has.
    pub(super) fn purge(&mut self, settings: &Checked, vfs: &dyn Vfs) {
        let is_obsolete = |rel: &PathBuf| match vfs.metadata(&settings.path(rel)) {
            Ok(metadata) => self.of(rel, &metadata).is_none(),
            Err(error) => is_gone(&error),
        };
        let obsolete: Vec<PathBuf> = self.files.keys().filter(|rel| is_obsolete(rel)).cloned().collect();
        for rel in obsolete {
            self.forget(&rel);
        }
    }

    /// Adds the changed positions to the batch.
    pub(super) fn write(&mut self, out: &mut PullBatch) {
        // What is new first: the position that it takes over from is overwritten by this batch. There are fewer of them
        // than a transaction takes.
        let (new, old): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.changes).into_iter().partition(|(_, change)| change.is_some());
        let room = POSITIONS_PER_TRANSACTION_MAX - 1;
        for (index, (key, change)) in new.into_iter().chain(old).enumerate() {
            match change {
                _ if index >= room => drop(self.changes.insert(key, change)),
                Some(kept) => out.set_position(key, kept.encode()),
                None => out.clear_position(key),
            }
        }
    }
}

/// Whether lines of the file are delivered already, so that they would be repeated if it were forgotten.
fn is_durable(kept: &Kept) -> bool {
    kept.why == Why::Uncompleted || kept.place.offset > 0
}
