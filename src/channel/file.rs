//! The file channel: a thin view on a store.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::{Channel, Lease, PutTarget, PutTransaction, RawTake, TakeCommit, TakeTransaction};
use crate::batch::{Positions, PutBatch};
use crate::clock::Clock;
use crate::durability::Durability;
use crate::error::{PutError, StorageError, TakeError};
use crate::event::{Event, EventId};
use crate::stats::ChannelStats;
use crate::store::{Everywhere, Handle, Piece, Queue, Taken};
use crate::ticket::{PutTicket, TakeTicket};
use crate::wait::{Wait, wake_all};

/// A durable channel of a [`FileStore`](crate::FileStore). Clones are handles of the same channel.
///
/// Positions belong to the store: every channel of it has all of them, so that an owner is the same one in each.
///
/// # Durability
///
/// A commit returns once the transaction is as durable as the store is set to; see [`Durability`](crate::Durability).
#[derive(Clone)]
pub struct FileChannel {
    view: Arc<View>,
}

struct View {
    inner: Arc<Handle>,
    queue: Arc<Queue>,
}

impl FileChannel {
    pub(crate) fn new(inner: Arc<Handle>, queue: Arc<Queue>) -> Self {
        Self { view: Arc::new(View { inner, queue }) }
    }

    /// Changes how many events and bytes the channel may hold, from now on. What it holds already stays.
    pub fn set_capacity(&self, events: u64, bytes: u64) {
        self.view.queue.set_capacity(crate::store::Capacity { events, bytes });
    }

    /// Whether the channel holds no event and none is on its way into it.
    pub(crate) fn is_idle(&self) -> bool {
        self.view.queue.is_idle()
    }

    /// What the store allows in one transaction.
    pub(crate) fn transaction_limits(&self) -> TransactionLimits {
        let options = &self.view.inner.shared.options;
        TransactionLimits {
            events: options.transaction_events_max,
            bytes: options.transaction_bytes_max as u64,
            body_bytes: options.body_bytes_max,
        }
    }

    /// Sets and clears positions by the commit of a take without events, which a closed channel and a full disk
    /// allow, too.
    pub(crate) fn commit_positions(&self, positions: Positions, durability: Durability) -> Result<(), TakeError> {
        let take = Box::new(FileTake { view: self.view.clone(), pieces: Vec::new() });
        let durability = Some(durability);
        take.submit(TakeCommit { events: Vec::new(), count: 0, positions, durability })?.wait()
    }

    /// Waits until what this thread has put is written. The error of a data directory that may have lost some of it, as long as
    /// nobody has heard of that.
    pub(crate) fn settle_own_puts(&self) -> Result<(), StorageError> {
        self.view.inner.settle_own_puts()
    }

    /// The level of puts that ask for none.
    pub(crate) fn put_durability(&self) -> Durability {
        self.view.inner.shared.options.durability
    }

    /// What owners of positions begin with that somebody has for itself now.
    pub(crate) fn leases_held(&self) -> Vec<String> {
        self.view.inner.shared.leases.held()
    }

    /// The clock of the store.
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        self.view.inner.shared.options.clock.clone()
    }

    pub(crate) fn number_in(&self, inner: &Arc<Handle>) -> Option<u16> {
        Arc::ptr_eq(&self.view.inner, inner).then_some(self.view.queue.id)
    }

    pub(crate) fn queue_name(&self) -> &str {
        &self.view.queue.name
    }
}

impl fmt::Debug for FileChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, store) = (self.queue_name(), self.view.inner.path());
        f.debug_struct("FileChannel").field("name", &name).field("store", &store).finish_non_exhaustive()
    }
}

/// What a transaction may have at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TransactionLimits {
    pub(crate) events: usize,
    pub(crate) bytes: u64,
    pub(crate) body_bytes: usize,
}

impl PutTarget for View {
    fn submit(&self, batch: PutBatch, wait: Option<Wait>) -> Result<PutTicket, PutError> {
        self.inner.submit_put(Some(self.queue.id), batch, wait)
    }
}

impl Channel for FileChannel {
    fn name(&self) -> &str {
        &self.view.queue.name
    }

    fn begin_put(&self) -> PutTransaction {
        PutTransaction::new(self.view.clone())
    }

    fn begin_put_with(&self, others: &[&dyn Channel]) -> Option<PutTransaction> {
        let (store, own) = self.store_part()?;
        let mut channels = vec![own];
        for other in others {
            let (_, id) = other.store_part().filter(|(other_store, _)| *other_store == store)?;
            channels.push(id);
        }
        Some(Everywhere::begin(self.view.inner.clone(), channels))
    }

    fn store_part(&self) -> Option<(u64, u16)> {
        Some((self.view.inner.instance, self.view.queue.id))
    }

    fn take(&self, max: usize, wait: Wait) -> Result<TakeTransaction, TakeError> {
        let inner = &self.view.inner;
        let bytes_max = inner.shared.options.transaction_bytes_max as u64;
        let Taken { pieces, events, lost, .. } = self.view.queue.take(&inner.lanes, max, bytes_max, wait)?;
        if !lost.is_empty() {
            inner.forget_lost(&self.view.queue, &lost);
        }
        if events.is_empty() {
            return Ok(TakeTransaction::empty());
        }
        Ok(TakeTransaction::new(events, Box::new(FileTake { view: self.view.clone(), pieces })))
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let polled = self.view.queue.poll_ready(cx);
        // A take would fail.
        let fails = polled.is_pending() && self.view.queue.dead_end(&self.view.inner.lanes).is_some();
        if fails { Poll::Ready(()) } else { polled }
    }

    fn position(&self, owner: &str) -> Option<Bytes> {
        self.view.inner.shared.position(owner)
    }

    fn positions(&self, prefix: &str) -> Vec<(String, Bytes)> {
        self.view.inner.shared.positions(prefix)
    }

    fn lease(&self, prefix: &str) -> Option<Lease> {
        self.view.inner.shared.leases.take(prefix)
    }

    fn stats(&self) -> ChannelStats {
        self.view.queue.stats()
    }

    /// Refuses new transactions on this channel and makes what was committed durable. The other channels of the store and
    /// the store itself stay open; [`FileStore::channel`](crate::FileStore::channel) opens this one again. Closing it again makes durable what
    /// was committed meanwhile; what could not be made durable once is in danger until the store is opened again, and each close
    /// says so.
    fn close(&self) -> Result<(), StorageError> {
        self.view.queue.close();
        self.view.inner.flush()
    }
}

/// An open take.
struct FileTake {
    view: Arc<View>,
    pieces: Vec<Piece>,
}

impl RawTake for FileTake {
    fn id(&self, index: usize) -> EventId {
        let mut rest = index as u64;
        for piece in &self.pieces {
            if rest < piece.count {
                return EventId { lane: piece.lane, seq: piece.seq + rest };
            }
            rest -= piece.count;
        }
        // The transaction asks only for events that it has.
        EventId { lane: 0, seq: u64::MAX }
    }

    fn submit(self: Box<Self>, commit: TakeCommit) -> Result<TakeTicket, TakeError> {
        let Self { view, pieces } = *self;
        view.inner.submit_take(&view.queue, pieces, commit)
    }

    fn rollback(self: Box<Self>, events: Vec<Event>) {
        let Self { view, pieces } = *self;
        wake_all(view.queue.give_back(pieces, events));
    }
}
