//! What stays when the channel is closed, and comes back when it is opened.

use std::io;
use std::path::Path;

use bytes::Bytes;

use super::Shared;
use crate::batch::{Positions, PutBatch};
use crate::channel::Channel;
use crate::durability::Durability;
use crate::error::{PutError, StorageError, TakeError};
use crate::event::Event;
use crate::limits::{POSITIONS_PER_TRANSACTION_MAX, SPILLABLE_SAVE_EVENTS_MAX};
use crate::sync::thread::{self, ThreadId};
use crate::wait::Wait;

/// A commit in the store whose positions are not set yet.
pub(super) struct Committing<'a> {
    shared: &'a Shared,
    thread: ThreadId,
}

impl Drop for Committing<'_> {
    fn drop(&mut self) {
        let committing = &mut self.shared.gate.lock().committing;
        if let Some(index) = committing.iter().position(|thread| *thread == self.thread) {
            committing.swap_remove(index);
        }
        self.shared.settled.notify_all();
    }
}

/// The close that writes what was in memory.
struct Saving<'a>(&'a Shared);

impl Drop for Saving<'_> {
    fn drop(&mut self) {
        self.0.gate.lock().saving = None;
        self.0.settled.notify_all();
    }
}

impl Shared {
    pub(super) fn close(&self) -> Result<(), StorageError> {
        self.gate.lock().is_closed = true;
        self.room.notify_all();
        self.memory.close()?;
        let flushed = self.overflow.close();
        self.save()?;
        flushed.and(self.saved.close())
    }

    /// Writes what is in memory into the store, if that is still to be done.
    pub(super) fn save(&self) -> Result<(), StorageError> {
        if let Some(_saving) = self.begin_saving()? {
            self.save_events().map_err(|source| self.left_in_memory(self.memory.depth().0, source))?;
            self.save_positions().map_err(|source| self.left_in_memory(0, source))?;
            self.gate.lock().is_saved = true;
        }
        Ok(())
    }

    /// Begins to write what is in memory, once what is under way is over; `None` if that is done.
    fn begin_saving(&self) -> Result<Option<Saving<'_>>, StorageError> {
        let thread = thread::current().id();
        let mut gate = self.gate.lock();
        loop {
            if gate.is_saved {
                return Ok(None);
            }
            // In a waker: what called it goes on only when it returns.
            if gate.saving == Some(thread) || gate.committing.contains(&thread) {
                drop(gate);
                let cause = io::Error::other(
                    "a commit or a close of this channel called the waker that closes it; close it again",
                );
                let source = StorageError::io("save", Path::new(&self.settings.name), cause);
                return Err(self.left_in_memory(self.memory.depth().0, source));
            }
            if gate.saving.is_none() && gate.committing.is_empty() {
                gate.saving = Some(thread);
                return Ok(Some(Saving(self)));
            }
            self.settled.wait(&mut gate);
        }
    }

    /// Begins a commit whose positions are set in memory after it; a close waits for it. `None`: the positions have been saved
    /// already, and new ones go into the store with the commit.
    pub(super) fn begin_commit(&self) -> Option<Committing<'_>> {
        let thread = thread::current().id();
        let mut gate = self.gate.lock();
        // ORDER: while a close saves, nothing begins; what begins before it or after a failed one is waited for. In a waker that
        // the close itself wakes, it goes into the store behind what that has written.
        while gate.saving.is_some_and(|saving| saving != thread) {
            self.settled.wait(&mut gate);
        }
        if gate.is_saved || gate.saving.is_some() {
            return None;
        }
        gate.committing.push(thread);
        Some(Committing { shared: self, thread })
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
                Ok(_) => {
                    let (events, bytes) = (take.len() as u64, take.iter().map(Event::size_bytes).sum());
                    drop(take.commit());
                    let mut gate = self.gate.lock();
                    gate.saved_events += events;
                    self.left_memory(&mut gate, events, bytes);
                }
                // Several puts together may be over what one may have.
                Err(PutError::TooLarge { .. }) if take.len() > 1 => events_max = take.len() / 2,
                Err(error) => return Err(self.not_saved(error)),
            }
        }
    }

    /// Writes the positions. They must not be ahead of the events, so these come first.
    fn save_positions(&self) -> Result<(), StorageError> {
        let owners = {
            let mut gate = self.gate.lock();
            // What this writes is not to be believed before all of it is there.
            gate.brought_back.extend(self.memory.positions("").into_iter().map(|(owner, _)| owner));
            gate.brought_back.clone()
        };
        let owners = owners.into_iter().map(|owner| (owner, None)).collect();
        in_parts(owners, |part| {
            // Looked up for each part: a waker of the one before may have committed newer ones.
            let now = part.into_iter().map(|(owner, _)| (self.memory.position(&owner), owner));
            let now = self.in_store(now.map(|(position, owner)| (owner, position)).collect());
            // Not by a put: that may go into another directory than what clears them at the next open, and wait for room.
            self.saved.commit_positions(now, self.saved.put_durability()).map_err(of_take)
        })?;
        self.gate.lock().brought_back.clear();
        Ok(())
    }

    /// Brings back the positions of the last close, but for those of owners that somebody still has the lease of: it may commit
    /// newer ones into the store, through the handle that was closed. They are brought back for whoever gets the lease next.
    pub(super) fn restore(&self) -> Result<(), StorageError> {
        // ORDER: before their positions are read. Who lets go has committed what it will.
        let held = self.overflow.leases_held();
        let mut left = self.left_positions("");
        left.retain(|(owner, _)| !held.iter().any(|prefix| owner.starts_with(prefix)));
        // If it fails, the end of this handle saves them again.
        self.bring_back(left)
    }

    /// Brings back what was left in the store for the one that has this lease now.
    pub(super) fn take_over(&self, prefix: &str) -> Result<(), StorageError> {
        // After a close they stay there.
        let Some(_committing) = self.begin_commit() else { return Ok(()) };
        self.bring_back(self.left_positions(prefix))
    }

    /// Positions that are in the store, from a close or a commit after it.
    pub(super) fn left_positions(&self, prefix: &str) -> Vec<(String, Bytes)> {
        let own = self.settings.prefix();
        let left = self.saved.positions(&format!("{own}{prefix}")).into_iter();
        let left = left.filter_map(|(owner, position)| Some((owner.strip_prefix(&own)?.to_owned(), position)));
        let gate = self.gate.lock();
        left.filter(|(owner, _)| !gate.brought_back.contains(owner)).collect()
    }

    pub(super) fn left_position(&self, owner: &str) -> Option<Bytes> {
        let left = self.saved.position(&format!("{}{owner}", self.settings.prefix()))?;
        if self.gate.lock().brought_back.contains(owner) { None } else { Some(left) }
    }

    /// Moves positions from the store into memory. There, after a kill, they would be older than what was delivered, and a
    /// sink that goes back to one would cut off what does not come again.
    fn bring_back(&self, left: Vec<(String, Bytes)>) -> Result<(), StorageError> {
        let mut gate = self.gate.lock();
        gate.brought_back.extend(left.iter().map(|(owner, _)| owner.clone()));
        // Those too that could not be cleared before.
        let owners: Vec<String> = gate.brought_back.iter().cloned().collect();
        drop(gate);
        self.memory.set_positions(left.into_iter().map(|(owner, position)| (owner, Some(position))).collect());
        let cleared = self.in_store(owners.iter().map(|owner| (owner.clone(), None)).collect());
        in_parts(cleared, |part| self.saved.commit_positions(part, Durability::Sync).map_err(of_take))?;
        let brought_back = &mut self.gate.lock().brought_back;
        brought_back.retain(|owner| owners.binary_search(owner).is_err());
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

/// Commits positions, in as many transactions as it takes.
fn in_parts(
    mut positions: Positions,
    commit: impl Fn(Positions) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    while !positions.is_empty() {
        let rest = positions.split_off(positions.len().min(POSITIONS_PER_TRANSACTION_MAX));
        commit(positions)?;
        positions = rest;
    }
    Ok(())
}

fn of_take(error: TakeError) -> StorageError {
    match error {
        TakeError::Closed { .. } => StorageError::Closed,
        TakeError::Storage { source, .. }
        | TakeError::NotCommitted { source, .. }
        | TakeError::Indeterminate { source } => source,
    }
}
