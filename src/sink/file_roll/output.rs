//! The file in progress.

use std::io::{ErrorKind, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::position::Position;
use super::{FileRollError, Fsync};
use crate::limits::SERIALIZER_HEAD_BYTES;
use crate::sink::SinkError;
use crate::vfs::{Vfs, VfsFile};

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

    /// Makes what was written durable. An error is never followed by another sync of the same bytes, which could say `Ok`
    /// although they are lost. What is in no committed take is cut off and written anew once the sink is opened again; but
    /// under `OnRoll` there are committed bytes among them, and then it takes a person.
    pub(super) fn sync(&mut self, fsync: Fsync) -> Result<(), SinkError> {
        if self.dirty && fsync != Fsync::Never {
            self.file.sync_data().map_err(|error| {
                let error = FileRollError::io("sync", &self.path, error);
                if fsync == Fsync::EveryBatch { SinkError::retry(error) } else { SinkError::fatal(error) }
            })?;
            self.dirty = false;
        }
        Ok(())
    }

    /// Fails if the file is not found under its name any more: what is written to it then, nobody will read.
    pub(super) fn check_there(&self, vfs: &dyn Vfs) -> Result<(), FileRollError> {
        let look = |error| FileRollError::io("look at", &self.path, error);
        let found = match vfs.metadata(&self.path) {
            Ok(found) => Some(found.id),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => None,
            Err(error) => return Err(look(error)),
        };
        if found == Some(self.file.metadata().map_err(look)?.id) {
            return Ok(());
        }
        Err(FileRollError::Removed { path: self.path.clone(), events: self.at.events })
    }

    /// Cuts the file, which is `len` bytes long, to what is committed.
    pub(super) fn cut(&mut self, len: u64) -> Result<(), FileRollError> {
        self.dirty = true;
        // A cut to the present length would change nothing, and so sync nothing; but the present length may be that of an
        // earlier cut that never reached the disk, because its sync failed.
        let longer = (len == self.at.len).then(|| self.file.set_len(len + 1)).transpose();
        let result = longer.and_then(|_| self.file.set_len(self.at.len));
        result.map_err(|error| FileRollError::io("cut", &self.path, error))
    }

    /// The first bytes of the file.
    pub(super) fn head(&self) -> Result<Vec<u8>, FileRollError> {
        let len = usize::try_from(self.at.len).unwrap_or(usize::MAX).min(SERIALIZER_HEAD_BYTES);
        let mut head = vec![0; len];
        self.file.read_exact_at(&mut head, 0).map_err(|error| FileRollError::io("read", &self.path, error))?;
        Ok(head)
    }
}
