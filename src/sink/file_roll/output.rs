//! The file in progress.

use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::FileRollError;
use super::position::Position;
use crate::limits::SERIALIZER_HEAD_BYTES;
use crate::vfs::VfsFile;

/// The file that batches are written to.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) file: Arc<dyn VfsFile>,
    pub(super) path: PathBuf,
    /// What was written, whether committed or not.
    pub(super) at: Position,
    /// When it is to be finished, by the monotonic clock.
    pub(super) due: Option<Duration>,
    /// Whether there may be bytes, or a cut, that no sync has covered.
    pub(super) dirty: bool,
}

impl Output {
    /// Writes and empties `buffer`.
    pub(super) fn write(&mut self, buffer: &mut Vec<u8>) -> Result<(), FileRollError> {
        if buffer.is_empty() {
            return Ok(());
        }
        self.dirty = true;
        self.file
            .write_all_at(&mut [IoSlice::new(buffer)], self.at.len)
            .map_err(|(_, error)| FileRollError::io("write to", &self.path, error))?;
        self.at.len += buffer.len() as u64;
        buffer.clear();
        Ok(())
    }

    /// Makes what was written durable.
    pub(super) fn sync(&mut self) -> Result<(), FileRollError> {
        if self.dirty {
            // An error is never followed by another sync of the same bytes: the sink is opened again, which cuts the
            // file to the committed length and writes what follows anew.
            self.file.sync_data().map_err(|error| FileRollError::io("sync", &self.path, error))?;
            self.dirty = false;
        }
        Ok(())
    }

    /// The first bytes of the file.
    pub(super) fn head(&self) -> Result<Vec<u8>, FileRollError> {
        let len = usize::try_from(self.at.len).unwrap_or(usize::MAX).min(SERIALIZER_HEAD_BYTES);
        let mut head = vec![0; len];
        self.file.read_exact_at(&mut head, 0).map_err(|error| FileRollError::io("read", &self.path, error))?;
        Ok(head)
    }
}
