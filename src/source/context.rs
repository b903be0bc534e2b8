//! What the agent gives to a source.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::batch::PutBatch;
use crate::channel::Channel;
use crate::error::PutError;
use crate::event::Event;
use crate::shutdown::Shutdown;
use crate::stats::SourceStats;
use crate::ticket::{PutTicket, RawTicket, Receipt, Ticket};
use crate::wait::Wait;

/// Where a source's events go. The agent implements it with interceptors, a selector and channels. Every channel implements it,
/// too, so that a source can be run without an agent.
pub trait SourcePort: Send + Sync {
    /// Puts a batch into the channels.
    ///
    /// # Errors
    /// As the commit of the first required channel that fails.
    fn submit(&self, batch: PutBatch, wait: Option<Wait>) -> Result<PutTicket, PutError>;

    /// The last committed position of an owner.
    fn position(&self, owner: &str) -> Option<Bytes>;

    /// The last committed positions of all owners whose name begins with `prefix`, by name.
    fn positions(&self, prefix: &str) -> Vec<(String, Bytes)>;
}

impl<C: Channel> SourcePort for C {
    fn submit(&self, batch: PutBatch, wait: Option<Wait>) -> Result<PutTicket, PutError> {
        let mut tx = self.begin_put();
        tx.set_batch(batch);
        if let Some(wait) = wait {
            tx.set_wait(wait);
        }
        tx.submit()
    }

    fn position(&self, owner: &str) -> Option<Bytes> {
        Channel::position(self, owner)
    }

    fn positions(&self, prefix: &str) -> Vec<(String, Bytes)> {
        Channel::positions(self, prefix)
    }
}

/// What a source works with: the way to its channels, its positions, its counters, and the request to stop. Clones share
/// everything, so each connection of a listener can own one.
#[derive(Clone)]
pub struct SourceContext {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    // `[<agent>/]source/<name>/`: keeps the positions of sources and sinks of one store apart.
    prefix: String,
    port: Arc<dyn SourcePort>,
    shutdown: Shutdown,
    counters: Arc<SourceCounters>,
}

impl SourceContext {
    /// A context for the source `name`, to run it without an agent. Its positions are those of `source/<name>/`; in an
    /// agent, they are those of `<agent>/source/<name>/`, so that two agents can share a store.
    #[must_use]
    pub fn new(name: &str, port: Arc<dyn SourcePort>, shutdown: Shutdown) -> Self {
        Self::with_prefix(name, format!("source/{name}/"), port, shutdown, Arc::default())
    }

    /// A context for a source of an agent, with counters that others count on, too.
    pub(crate) fn of_agent(
        agent: &str,
        name: &str,
        port: Arc<dyn SourcePort>,
        shutdown: Shutdown,
        counters: Arc<SourceCounters>,
    ) -> Self {
        Self::with_prefix(name, format!("{agent}/source/{name}/"), port, shutdown, counters)
    }

    fn with_prefix(
        name: &str,
        prefix: String,
        port: Arc<dyn SourcePort>,
        shutdown: Shutdown,
        counters: Arc<SourceCounters>,
    ) -> Self {
        Self { inner: Arc::new(Inner { name: name.to_owned(), prefix, port, shutdown, counters }) }
    }

    /// The name of the source.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Puts events in one transaction and returns once it is committed to every required channel.
    ///
    /// # Blocking
    /// For room in the channels as long as they are configured to, then for the storage.
    ///
    /// # Errors
    /// [`PutError`]; all variants but `Indeterminate` give the events back. `Full` says that waiting may help.
    pub fn put(&self, events: Vec<Event>) -> Result<Receipt, PutError> {
        self.put_batch(PutBatch::new(events), None)
    }

    /// As [`put`](Self::put), with positions and a wait of its own. Position owners are keys of this source.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn put_batch(&self, batch: PutBatch, wait: Option<Wait>) -> Result<Receipt, PutError> {
        self.count_received(&batch);
        self.put_again(batch, wait)
    }

    /// Puts a batch once more that an earlier attempt gave back: as [`put_batch`](Self::put_batch), but its events are
    /// counted as received already.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn put_again(&self, batch: PutBatch, wait: Option<Wait>) -> Result<Receipt, PutError> {
        let events = batch.received_events();
        let counters = &self.inner.counters;
        let outcome = self.submit_counted(batch, wait).and_then(PutTicket::wait);
        match &outcome {
            Ok(_) => counters.count_accepted(events),
            Err(_) => {
                counters.channel_write_fail.fetch_add(1, Ordering::Relaxed);
            }
        }
        outcome
    }

    /// Starts the commit of a batch and returns a ticket for its outcome; several may be in flight. The caller counts what was
    /// accepted, with [`counters`](Self::counters).
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn submit(&self, batch: PutBatch, wait: Option<Wait>) -> Result<PutTicket, PutError> {
        self.count_received(&batch);
        self.submit_counted(batch, wait)
    }

    /// Counts a batch as received, unless it is known to have been before.
    pub(crate) fn count_received(&self, batch: &PutBatch) {
        if batch.resume.is_none() {
            self.count_received_events(batch.events.len());
        }
    }

    /// A batch of so many events.
    pub(crate) fn count_received_events(&self, events: usize) {
        let counters = &self.inner.counters;
        counters.received_events.fetch_add(events as u64, Ordering::Relaxed);
        counters.received_batches.fetch_add(1, Ordering::Relaxed);
    }

    /// So many events of a batch whose others are put by themselves.
    pub(crate) fn count_accepted_events(&self, events: usize) {
        self.inner.counters.accepted_events.fetch_add(events as u64, Ordering::Relaxed);
    }

    /// As [`submit`](Self::submit), for a batch that is counted as received.
    pub(crate) fn submit_counted(&self, mut batch: PutBatch, wait: Option<Wait>) -> Result<PutTicket, PutError> {
        let has_positions = !batch.positions.is_empty();
        for (owner, _) in &mut batch.positions {
            owner.insert_str(0, &self.inner.prefix);
        }
        match self.inner.port.submit(batch, wait) {
            Ok(ticket) if has_positions => {
                Ok(Ticket::pending(Box::new(TicketOfKeys { ticket, inner: self.inner.clone() })))
            }
            outcome => outcome.map_err(|error| self.inner.give_back(error)),
        }
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.inner.prefix
    }

    /// The last committed position `key` of this source.
    #[must_use]
    pub fn position(&self, key: &str) -> Option<Bytes> {
        self.inner.port.position(&format!("{}{key}", self.inner.prefix))
    }

    /// All committed positions of this source whose key begins with `prefix`, by key.
    #[must_use]
    pub fn positions(&self, prefix: &str) -> Vec<(String, Bytes)> {
        let mut found = self.inner.port.positions(&format!("{}{prefix}", self.inner.prefix));
        for (owner, _) in &mut found {
            owner.drain(..self.inner.prefix.len().min(owner.len()));
        }
        found
    }

    /// The request to stop.
    #[must_use]
    pub fn shutdown(&self) -> &Shutdown {
        &self.inner.shutdown
    }

    /// The counters of this source.
    #[must_use]
    pub fn counters(&self) -> &Arc<SourceCounters> {
        &self.inner.counters
    }
}

impl Inner {
    /// What is given back has the keys that it came with: whoever puts it next may be another source.
    fn give_back(&self, mut error: PutError) -> PutError {
        for (owner, _) in error.batch_mut().into_iter().flat_map(|batch| &mut batch.positions) {
            if owner.starts_with(&self.prefix) {
                owner.drain(..self.prefix.len());
            }
        }
        error
    }
}

/// The ticket of a batch with positions.
struct TicketOfKeys {
    ticket: PutTicket,
    inner: Arc<Inner>,
}

impl RawTicket<Result<Receipt, PutError>> for TicketOfKeys {
    fn wait(self: Box<Self>) -> Result<Receipt, PutError> {
        self.ticket.wait().map_err(|error| self.inner.give_back(error))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Receipt, PutError>> {
        Pin::new(&mut self.ticket).poll(cx).map_err(|error| self.inner.give_back(error))
    }
}

impl fmt::Debug for SourceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceContext").field("name", &self.inner.name).finish_non_exhaustive()
    }
}

/// The counters of a running source; see [`SourceStats`] for their meaning.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct SourceCounters {
    /// Events handed over by the source.
    pub received_events: AtomicU64,
    /// Events committed to all required channels, or dropped by an interceptor.
    pub accepted_events: AtomicU64,
    /// Events that interceptors dropped.
    pub intercepted_events: AtomicU64,
    /// Transactions handed over.
    pub received_batches: AtomicU64,
    /// Transactions committed.
    pub accepted_batches: AtomicU64,
    /// Transactions that a channel refused.
    pub channel_write_fail: AtomicU64,
    /// Failed reads from the outside.
    pub event_read_fail: AtomicU64,
    /// Connections open now.
    pub open_connections: AtomicU64,
    /// Events that were given up.
    pub dropped_events: AtomicU64,
    /// Events that the selector sent to no channel.
    pub unrouted_events: AtomicU64,
    /// Copies of events that an optional channel refused.
    pub optional_failed_events: AtomicU64,
}

impl SourceCounters {
    /// Counts a transaction of so many events as committed.
    pub(crate) fn count_accepted(&self, events: u64) {
        self.accepted_events.fetch_add(events, Ordering::Relaxed);
        self.accepted_batches.fetch_add(1, Ordering::Relaxed);
    }

    /// The numbers as they stand.
    #[must_use]
    pub fn snapshot(&self) -> SourceStats {
        SourceStats {
            received_events: self.received_events.load(Ordering::Relaxed),
            accepted_events: self.accepted_events.load(Ordering::Relaxed),
            intercepted_events: self.intercepted_events.load(Ordering::Relaxed),
            received_batches: self.received_batches.load(Ordering::Relaxed),
            accepted_batches: self.accepted_batches.load(Ordering::Relaxed),
            channel_write_fail: self.channel_write_fail.load(Ordering::Relaxed),
            event_read_fail: self.event_read_fail.load(Ordering::Relaxed),
            open_connections: self.open_connections.load(Ordering::Relaxed),
            dropped_events: self.dropped_events.load(Ordering::Relaxed),
            unrouted_events: self.unrouted_events.load(Ordering::Relaxed),
            optional_failed_events: self.optional_failed_events.load(Ordering::Relaxed),
        }
    }
}
