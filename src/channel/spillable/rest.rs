//! What stays when the channel is closed, and comes back when it is opened.

use std::io;
use std::path::Path;

use bytes::Bytes;

use super::Shared;
use crate::batch::{Positions, PutBatch};
use crate::channel::Channel;
use crate::error::{PutError, StorageError};
use crate::limits::{POSITIONS_PER_TRANSACTION_MAX, SPILLABLE_SAVE_EVENTS_MAX};
use crate::wait::Wait;

/// A commit in the store whose positions are not set yet.
pub(super) struct Committing<'a>(&'a Shared);

impl Drop for Committing<'_> {
    fn drop(&mut self) {
        self.0.gate.lock().committing -= 1;
        self.0.settled.notify_all();
    }
}

impl Shared {
    pub(super) fn close(&self) -> Result<(), StorageError> {
        self.gate.lock().is_closed = true;
        self.room.notify_all();
        self.memory.close()?;
        let flushed = self.overflow.close();
        let mut is_saved = self.is_saved.lock();
        if !*is_saved {
            let mut gate = self.gate.lock();
            while gate.committing > 0 {
                self.settled.wait(&mut gate);
            }
            drop(gate);
            self.save_events().map_err(|source| self.left_in_memory(self.memory.depth().0, source))?;
            self.save_positions().map_err(|source| self.left_in_memory(0, source))?;
            *is_saved = true;
        }
        flushed.and(self.saved.close())
    }

    /// Begins a commit whose positions are set in memory after it; a close waits for it. `None`: the positions have been saved
    /// already, and new ones go into the store with the commit.
    pub(super) fn begin_commit(&self) -> Option<Committing<'_>> {
        let mut gate = self.gate.lock();
        if !gate.is_closed {
            gate.committing += 1;
            return Some(Committing(self));
        }
        drop(gate);
        // ORDER: while a close saves, nothing begins; what begins before it or after a failed one is waited for.
        let is_saved = self.is_saved.lock();
        if *is_saved {
            return None;
        }
        self.gate.lock().committing += 1;
        Some(Committing(self))
    }

    /// Positions under the names that they have in the store.
    pub(super) fn in_store(&self, positions: Positions) -> Positions {
        let prefix = self.settings.prefix();
        positions.into_iter().map(|(owner, position)| (format!("{prefix}{owner}"), position)).collect()
    }

    /// Moves what is in memory into the store. What cannot be moved stays.
    fn save_events(&self) -> Result<(), StorageError> {
        let mut events_max = SPILLABLE_SAVE_EVENTS_MAX;
        loop {
            let take = self.memory.take_rest(events_max);
            if take.is_empty() {
                return Ok(());
            }
            let mut transaction = self.saved.begin_put();
            transaction.set_batch(PutBatch::new(take.to_vec()));
            transaction.set_wait(Wait::NONE);
            match transaction.commit() {
                // Nothing can refuse the commit of a take from memory without positions.
                Ok(_) => drop(take.commit()),
                // Several puts together may be over what one may have.
                Err(PutError::TooLarge { .. }) if take.len() > 1 => events_max = take.len() / 2,
                Err(error) => return Err(self.not_saved(error)),
            }
        }
    }

    /// Writes the positions. They must not be ahead of the events, so these come first.
    fn save_positions(&self) -> Result<(), StorageError> {
        let current = self.memory.positions("");
        let current = current.into_iter().map(|(owner, position)| (owner, Some(position))).collect();
        self.write_positions(self.in_store(current))
    }

    /// Brings back the positions of the last close. They are removed from the store: after a kill they would be older than
    /// what was delivered, and a sink that goes back to one would cut off what does not come again.
    pub(super) fn restore(&self) -> Result<(), StorageError> {
        let prefix = self.settings.prefix();
        let found: Vec<(String, Bytes)> = self.saved.positions(&prefix);
        let bare = |owner: &str| owner.get(prefix.len()..).unwrap_or_default().to_owned();
        let positions: Positions =
            found.iter().map(|(owner, position)| (bare(owner), Some(position.clone()))).collect();
        self.write_positions(found.into_iter().map(|(owner, _)| (owner, None)).collect())?;
        self.memory.set_positions(positions);
        Ok(())
    }

    fn write_positions(&self, mut positions: Positions) -> Result<(), StorageError> {
        while !positions.is_empty() {
            let rest = positions.split_off(positions.len().min(POSITIONS_PER_TRANSACTION_MAX));
            let mut batch = PutBatch::new(Vec::new());
            batch.positions = positions;
            self.saved.put_batch(batch).map_err(|error| self.not_saved(error))?;
            positions = rest;
        }
        Ok(())
    }

    /// The failure of a close, with what it leaves behind.
    fn left_in_memory(&self, events: u64, source: StorageError) -> StorageError {
        if matches!(source, StorageError::Closed) {
            return source;
        }
        StorageError::NotSaved { channel: self.settings.name.clone(), events, source: Box::new(source) }
    }

    fn not_saved(&self, error: PutError) -> StorageError {
        match error {
            PutError::NotCommitted { source, .. } | PutError::Indeterminate { source } => source,
            PutError::Closed { .. } => StorageError::Closed,
            other => StorageError::io("save", Path::new(&self.settings.name), io::Error::other(other.to_string())),
        }
    }
}
