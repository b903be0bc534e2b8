//! Channels: where events wait between a source and a sink.

mod file;
pub mod memory;
mod overflow;
pub mod spillable;
mod transaction;

use std::fmt::Debug;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::batch::PutBatch;
use crate::error::{PutError, StorageError, TakeError};
use crate::event::Event;
use crate::stats::ChannelStats;
use crate::ticket::Receipt;
use crate::wait::Wait;

pub use crate::lease::{Lease, Leases};
pub use file::FileChannel;
pub use memory::MemoryChannel;
pub use overflow::Overflow;
pub use spillable::Spillable;
pub use transaction::{PutTarget, PutTransaction, RawTake, TakeCommit, TakeTransaction};

/// A channel holds events between sources and sinks and hands them over in transactions.
///
/// # Contract
///
/// * A put transaction becomes visible as a whole, at its commit, or not at all.
/// * Events are taken in the order in which their puts were committed. Commits that overlap in time may come in either order.
/// * Events of an open take are invisible to other takes and count against the capacity until the take is committed.
/// * A take that is rolled back or dropped returns its events to the head, in their old order.
/// * A position that is set in a transaction is there if and only if the transaction is. Owners of positions are told apart by
///   their names alone, over all channels of a store.
///
/// The suite in `aqueduct::testing::conformance` (feature `testing`) checks this contract on any implementation.
///
/// An `Arc` or a `Box` of a channel is a channel, so that a program can choose one while it runs:
///
/// ```
/// use aqueduct::{Agent, Channel, MemoryChannel};
///
/// let channel: Box<dyn Channel> = Box::new(MemoryChannel::new("orders"));
/// channel.put("order 1")?;
/// let agent = Agent::builder("edge").channel("orders", channel).pusher("app").to(["orders"]).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Channel: Debug + Send + Sync {
    /// The name, for messages.
    fn name(&self) -> &str;

    /// Begins a put transaction. Nothing is reserved until its commit.
    fn begin_put(&self) -> PutTransaction;

    /// Begins one transaction over this channel and `others`, if all of them are parts of one store: an event is then
    /// written once and becomes visible in all of its channels or in none.
    fn begin_put_with(&self, others: &[&dyn Channel]) -> Option<PutTransaction> {
        let _ = others;
        None
    }

    /// The store that this channel is part of, as a number that only its channels share, and its own number there.
    /// For implementers that wrap a file channel: forward it.
    fn store_part(&self) -> Option<(u64, u16)> {
        None
    }

    /// Whether the events that are left at a close are there again after the next open, instead of being lost with the process.
    /// True for a part of a store. For implementers that wrap a channel: forward it.
    fn outlives_close(&self) -> bool {
        self.store_part().is_some()
    }

    /// Takes up to `max` events. An empty transaction means that none came in time.
    ///
    /// It may be fewer than `max` even if the channel has more: a channel may limit the bytes of a take and the number of puts that
    /// it gathers events from, in a file channel
    /// [`TAKE_TRANSACTIONS_MAX`](crate::limits::TAKE_TRANSACTIONS_MAX).
    ///
    /// # Blocking
    /// For the first event, as long as `wait` says; then, if it is no longer in memory, for the disk.
    ///
    /// # Errors
    /// [`TakeError::Closed`], or [`TakeError::Storage`] if the events cannot be read, or if all that are left are withheld and none
    /// can come: see [`withheld_events`](ChannelStats::withheld_events).
    fn take(&self, max: usize, wait: Wait) -> Result<TakeTransaction, TakeError>;

    /// Ready when a take would find an event, or fail.
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// The last committed position of an owner. Channels of one store share their positions, so the name of an owner should say
    /// who it is, as the prefix `<agent>/source/<name>/` does for the keys of an agent's sources.
    fn position(&self, owner: &str) -> Option<Bytes>;

    /// The last committed positions of all owners whose name begins with `prefix`, by name.
    fn positions(&self, prefix: &str) -> Vec<(String, Bytes)>;

    /// Reserves the owners of positions that begin with `prefix` for one component, until the lease is dropped; `None` while
    /// another one has them, in a store with any of its channels. Only equal prefixes are compared: those that begin alike are
    /// kept apart by what ends them, as the `/` of an agent does. An agent opens a source or sink only with the lease of its own
    /// prefix. So one that was left behind and still works, see [`ComponentEnd::Stuck`](crate::agent::ComponentEnd::Stuck), and
    /// the one of the next agent do not commit side by side: each would undo what the other relies on.
    ///
    /// The default keeps nobody out; [`Leases`] is what an implementation needs. For implementers that wrap a channel: forward it.
    fn lease(&self, prefix: &str) -> Option<Lease> {
        Some(Lease::shared(prefix))
    }

    /// What the channel holds and did.
    fn stats(&self) -> ChannelStats;

    /// Refuses new transactions and waits for the commits in flight. Closing again is fine; it fails as long as something of
    /// what was accepted is in danger.
    ///
    /// # Blocking
    /// For the commits in flight, and for the storage.
    ///
    /// # Errors
    /// If what was accepted under a weaker durability than `Sync` could not be made durable. [`StorageError::NotSaved`] says that
    /// there are events that closing again may still save.
    fn close(&self) -> Result<(), StorageError>;

    /// Puts one event in a transaction of its own and returns once it is as durable as the channel is configured to be.
    ///
    /// # Blocking
    /// As [`PutTransaction::commit`].
    ///
    /// # Errors
    /// As [`PutTransaction::commit`].
    fn put(&self, event: impl Into<Event>) -> Result<Receipt, PutError>
    where
        Self: Sized,
    {
        self.put_batch(PutBatch::new(vec![event.into()]))
    }

    /// Puts a batch in one transaction, otherwise as [`put`](Self::put).
    ///
    /// # Blocking
    /// As [`PutTransaction::commit`].
    ///
    /// # Errors
    /// As [`PutTransaction::commit`].
    fn put_batch(&self, batch: PutBatch) -> Result<Receipt, PutError> {
        let mut tx = self.begin_put();
        tx.set_batch(batch);
        tx.commit()
    }

    /// Completes when a take would find an event, or fail.
    fn ready(&self) -> impl Future<Output = ()> + Send
    where
        Self: Sized,
    {
        poll_fn(|cx| self.poll_ready(cx))
    }
}

/// Pointers to a channel are that channel.
macro_rules! forward {
    ($pointer:ident) => {
        impl<C: Channel + ?Sized> Channel for $pointer<C> {
            fn name(&self) -> &str {
                (**self).name()
            }

            fn begin_put(&self) -> PutTransaction {
                (**self).begin_put()
            }

            fn begin_put_with(&self, others: &[&dyn Channel]) -> Option<PutTransaction> {
                (**self).begin_put_with(others)
            }

            fn store_part(&self) -> Option<(u64, u16)> {
                (**self).store_part()
            }

            fn outlives_close(&self) -> bool {
                (**self).outlives_close()
            }

            fn take(&self, max: usize, wait: Wait) -> Result<TakeTransaction, TakeError> {
                (**self).take(max, wait)
            }

            fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
                (**self).poll_ready(cx)
            }

            fn position(&self, owner: &str) -> Option<Bytes> {
                (**self).position(owner)
            }

            fn positions(&self, prefix: &str) -> Vec<(String, Bytes)> {
                (**self).positions(prefix)
            }

            fn lease(&self, prefix: &str) -> Option<Lease> {
                (**self).lease(prefix)
            }

            fn stats(&self) -> ChannelStats {
                (**self).stats()
            }

            fn close(&self) -> Result<(), StorageError> {
                (**self).close()
            }

            fn put_batch(&self, batch: PutBatch) -> Result<Receipt, PutError> {
                (**self).put_batch(batch)
            }
        }
    };
}

forward!(Arc);
forward!(Box);
