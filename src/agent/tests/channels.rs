//! Channels for these tests: one that fails on command, and two that share transactions.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;

use super::*;
use crate::batch::PutBatch;
use crate::channel::{PutTarget, PutTransaction, RawTake, TakeCommit, TakeTransaction};
use crate::error::{FullReason, PutError, StorageError, TakeError};
use crate::event::EventId;
use crate::shutdown::Shutdown;
use crate::stats::ChannelStats;
use crate::ticket::{PutTicket, RawTicket, Receipt, TakeTicket, Ticket};
use crate::wait::Wait;

/// What happens to the next put.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// Nothing unusual.
    None,
    /// Refused at once, for lack of room.
    Full,
    /// Refused at once, for its size.
    TooLarge,
    /// Refused at once, the storage failed.
    NotCommitted,
    /// Refused when the ticket is asked.
    NotCommittedLater,
    /// The outcome is unknown; it is there.
    UnknownDone,
    /// The outcome is unknown; it is not there.
    UnknownLost,
}

/// A memory channel whose puts and take commits fail on command.
#[derive(Clone, Debug)]
pub(super) struct Faulty {
    pub(super) inner: MemoryChannel,
    puts: Arc<Mutex<VecDeque<Fault>>>,
    /// How long each put was to wait.
    pub(super) waits: Arc<Mutex<Vec<Option<Wait>>>>,
    // How many take commits are still to fail.
    takes: Arc<AtomicU64>,
}

impl Faulty {
    pub(super) fn new(name: &str, puts: &[Fault]) -> Self {
        let puts = Arc::new(Mutex::new(puts.iter().copied().collect()));
        Self { inner: memory(name), puts, waits: Arc::default(), takes: Arc::default() }
    }

    pub(super) fn failing_takes(name: &str, takes: u64) -> Self {
        let channel = Self::new(name, &[]);
        channel.takes.store(takes, Ordering::Relaxed);
        channel
    }

    /// Whether all faults have happened.
    pub(super) fn is_through(&self) -> bool {
        self.puts.lock().is_empty() && self.takes.load(Ordering::Relaxed) == 0
    }
}

impl PutTarget for Faulty {
    fn submit(&self, batch: PutBatch, wait: Option<Wait>) -> Result<PutTicket, PutError> {
        self.waits.lock().push(wait);
        let fault = self.puts.lock().pop_front().unwrap_or(Fault::None);
        let put = |batch| {
            let mut transaction = self.inner.begin_put();
            transaction.set_batch(batch);
            if let Some(wait) = wait {
                transaction.set_wait(wait);
            }
            transaction.submit()
        };
        let source = StorageError::Closed;
        let batch = match fault {
            Fault::None => return put(batch),
            Fault::UnknownDone => {
                put(batch)?.wait()?;
                return Ok(Ticket::ready(Err(PutError::Indeterminate { source })));
            }
            Fault::UnknownLost => return Ok(Ticket::ready(Err(PutError::Indeterminate { source }))),
            Fault::Full | Fault::TooLarge | Fault::NotCommitted | Fault::NotCommittedLater => Box::new(batch),
        };
        match fault {
            Fault::Full => Err(PutError::Full { channel: self.name().to_owned(), reason: FullReason::Events, batch }),
            Fault::TooLarge => {
                let (channel, actual) = (self.name().to_owned(), batch.events.len() as u64);
                Err(PutError::TooLarge { channel, what: "events", actual, max: actual / 2, batch })
            }
            Fault::NotCommittedLater => Ok(Ticket::ready(Err(PutError::NotCommitted { source, batch }))),
            _ => Err(PutError::NotCommitted { source, batch }),
        }
    }
}

struct FailingTake {
    inner: TakeTransaction,
    channel: Faulty,
}

impl RawTake for FailingTake {
    fn id(&self, index: usize) -> EventId {
        self.inner.id(index).unwrap()
    }

    fn submit(mut self: Box<Self>, commit: TakeCommit) -> Result<TakeTicket, TakeError> {
        let left = self.channel.takes.load(Ordering::Relaxed);
        if left > 0 {
            self.channel.takes.store(left - 1, Ordering::Relaxed);
            return Err(TakeError::NotCommitted { channel: "faulty".to_owned(), source: StorageError::Closed });
        }
        for (owner, position) in commit.positions {
            self.inner.set_position(owner, position.unwrap());
        }
        Ok(Ticket::ready(self.inner.commit_first(commit.count)))
    }

    fn rollback(self: Box<Self>, _: Vec<Event>) {}
}

impl Channel for Faulty {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn begin_put(&self) -> PutTransaction {
        PutTransaction::new(Arc::new(self.clone()))
    }

    fn take(&self, max: usize, wait: Wait) -> Result<TakeTransaction, TakeError> {
        let inner = self.inner.take(max, wait)?;
        if inner.is_empty() {
            return Ok(inner);
        }
        Ok(TakeTransaction::new(inner.to_vec(), Box::new(FailingTake { inner, channel: self.clone() })))
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.inner.poll_ready(cx)
    }

    fn position(&self, owner: &str) -> Option<Bytes> {
        self.inner.position(owner)
    }

    fn positions(&self, prefix: &str) -> Vec<(String, Bytes)> {
        self.inner.positions(prefix)
    }

    fn stats(&self) -> ChannelStats {
        self.inner.stats()
    }

    fn close(&self) -> Result<(), StorageError> {
        self.inner.close()
    }
}

/// Channels that share transactions, as those of a store of files do.
#[derive(Debug)]
pub(super) struct Store {
    parts: Vec<MemoryChannel>,
    /// Transactions that were committed.
    pub(super) commits: AtomicU64,
    /// While set, tickets are not decided before it is requested.
    pub(super) hold: Mutex<Option<Shutdown>>,
}

/// One channel of a [`Store`].
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) store: Arc<Store>,
    number: u16,
}

impl Store {
    pub(super) fn parts(capacities: &[u64]) -> Vec<Part> {
        let parts = capacities.iter().enumerate().map(|(number, events)| small(&format!("part{number}"), *events));
        let store = Arc::new(Self { parts: parts.collect(), commits: AtomicU64::new(0), hold: Mutex::default() });
        let numbers = 0..u16::try_from(capacities.len()).unwrap();
        numbers.map(|number| Part { store: store.clone(), number }).collect()
    }
}

impl Part {
    pub(super) fn inner(&self) -> &MemoryChannel {
        &self.store.parts[usize::from(self.number)]
    }

    /// The events of each channel, by the routes of the batch.
    fn split(&self, batch: &PutBatch) -> Vec<Vec<Event>> {
        let mut split = vec![Vec::new(); self.store.parts.len()];
        if batch.routes.runs.is_empty() {
            split[usize::from(self.number)].clone_from(&batch.events);
            return split;
        }
        let mut events = batch.events.iter();
        for (set, count) in &batch.routes.runs {
            for event in events.by_ref().take(usize::try_from(*count).unwrap()) {
                for number in &batch.routes.sets[usize::try_from(*set).unwrap()] {
                    split[usize::from(*number)].push(event.clone());
                }
            }
        }
        assert_eq!(events.len(), 0, "every event has a route");
        split
    }
}

struct Held {
    hold: Shutdown,
    receipt: Receipt,
}

impl RawTicket<Result<Receipt, PutError>> for Held {
    fn wait(self: Box<Self>) -> Result<Receipt, PutError> {
        self.hold.sleep(HANG);
        Ok(self.receipt)
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<Result<Receipt, PutError>> {
        if self.hold.is_requested() { Poll::Ready(Ok(self.receipt)) } else { Poll::Pending }
    }
}

impl PutTarget for Part {
    fn submit(&self, batch: PutBatch, _: Option<Wait>) -> Result<PutTicket, PutError> {
        let split = self.split(&batch);
        for (part, events) in self.store.parts.iter().zip(&split) {
            let stats = part.stats();
            if stats.depth_events + events.len() as u64 > stats.capacity_events {
                let (channel, batch) = (part.name().to_owned(), Box::new(batch));
                return Err(PutError::Full { channel, reason: FullReason::Events, batch });
            }
        }
        let receipt = Receipt::new(None, batch.events.len() as u64, 0);
        let mut positions = batch.positions;
        for (part, events) in self.store.parts.iter().zip(split) {
            let mut put = PutBatch::new(events);
            // Positions belong to the store; here its first channel keeps them.
            put.positions = std::mem::take(&mut positions);
            part.put_batch(put).unwrap();
        }
        self.store.commits.fetch_add(1, Ordering::Relaxed);
        Ok(match &*self.store.hold.lock() {
            None => Ticket::ready(Ok(receipt)),
            Some(hold) => Ticket::pending(Box::new(Held { hold: hold.clone(), receipt })),
        })
    }
}

impl Channel for Part {
    fn name(&self) -> &str {
        self.inner().name()
    }

    fn begin_put(&self) -> PutTransaction {
        PutTransaction::new(Arc::new(self.clone()))
    }

    fn begin_put_with(&self, others: &[&dyn Channel]) -> Option<PutTransaction> {
        let own = self.store_part()?;
        let mut numbers = vec![own.1];
        for other in others {
            let (store, number) = other.store_part().filter(|(store, _)| *store == own.0)?;
            assert_eq!(store, own.0);
            numbers.push(number);
        }
        Some(PutTransaction::over(Arc::new(self.clone()), own.0, numbers))
    }

    fn store_part(&self) -> Option<(u64, u16)> {
        Some((Arc::as_ptr(&self.store).addr() as u64, self.number))
    }

    fn take(&self, max: usize, wait: Wait) -> Result<TakeTransaction, TakeError> {
        self.inner().take(max, wait)
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.inner().poll_ready(cx)
    }

    fn position(&self, owner: &str) -> Option<Bytes> {
        self.store.parts[0].position(owner)
    }

    fn positions(&self, prefix: &str) -> Vec<(String, Bytes)> {
        self.store.parts[0].positions(prefix)
    }

    fn stats(&self) -> ChannelStats {
        self.inner().stats()
    }

    fn close(&self) -> Result<(), StorageError> {
        self.inner().close()
    }
}
