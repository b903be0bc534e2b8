//! What tests of sinks share: a channel that survives the crash of its sink, and a runner.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{Delivered, Sink, SinkBatch, SinkContext, SinkError};
use crate::channel::{Channel, PutTarget, PutTransaction, RawTake, TakeCommit, TakeTransaction};
use crate::error::{PutError, StorageError, TakeError};
use crate::event::{Event, EventId};
use crate::shutdown::Shutdown;
use crate::stats::ChannelStats;
use crate::ticket::TakeTicket;
use crate::wait::Wait;
use crate::{PutBatch, PutTicket};

/// A channel in memory whose commits can be made to fail.
#[derive(Clone, Debug, Default)]
pub(super) struct TestChannel(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Event>,
    positions: BTreeMap<String, Bytes>,
    failing_commits: u32,
}

impl TestChannel {
    pub(super) fn new(events: impl IntoIterator<Item = Event>) -> Self {
        let channel = Self::default();
        channel.0.lock().events.extend(events);
        channel
    }

    /// An independent copy, as a durable channel is found after a crash. No take may be open.
    pub(super) fn fork(&self) -> Self {
        let state = self.0.lock();
        let (events, positions) = (state.events.clone(), state.positions.clone());
        Self(Arc::new(Mutex::new(State { events, positions, failing_commits: 0 })))
    }

    pub(super) fn push(&self, event: impl Into<Event>) {
        self.0.lock().events.push_back(event.into());
    }

    /// Events that are not in a committed take, unless a take is open.
    pub(super) fn waiting(&self) -> usize {
        self.0.lock().events.len()
    }

    /// The next `count` commits fail.
    pub(super) fn fail_commits(&self, count: u32) {
        self.0.lock().failing_commits = count;
    }

    pub(super) fn set_position(&self, owner: &str, position: Option<Bytes>) {
        let mut state = self.0.lock();
        match position {
            Some(position) => state.positions.insert(owner.to_owned(), position),
            None => state.positions.remove(owner),
        };
    }

    pub(super) fn run(&self, name: &str) -> Run {
        let context = SinkContext::new(name, Arc::new(self.clone()), Shutdown::new());
        Run { channel: self.clone(), context, open: false }
    }
}

/// What the agent does with a sink, one step at a time.
pub(super) struct Run {
    channel: TestChannel,
    pub(super) context: SinkContext,
    open: bool,
}

impl Run {
    /// Opens the sink if need be, takes at most `max` events and delivers them, or calls `idle` if there are none.
    /// Returns how many were delivered.
    pub(super) fn step(&mut self, sink: &mut dyn Sink, max: usize) -> Result<usize, SinkError> {
        let open = std::mem::replace(&mut self.open, false);
        if !open {
            sink.open(&self.context)?;
        }
        let mut take = self.channel.take(max, Wait::NONE).unwrap();
        let count = match take.len() {
            0 => {
                sink.idle()?;
                0
            }
            count => {
                let delivered = sink.write(&mut SinkBatch::new(&mut take, &self.context))?;
                let count = if let Delivered::First(first) = delivered { first } else { count };
                take.commit_first(count).map_err(SinkError::retry)?;
                self.open = true;
                sink.committed().inspect_err(|_| self.open = false)?;
                count
            }
        };
        self.open = true;
        Ok(count)
    }
}

impl Channel for TestChannel {
    fn name(&self) -> &'static str {
        "test"
    }

    fn begin_put(&self) -> PutTransaction {
        PutTransaction::new(Arc::new(self.clone()))
    }

    fn take(&self, max: usize, _: Wait) -> Result<TakeTransaction, TakeError> {
        let mut state = self.0.lock();
        let count = max.min(state.events.len());
        let events: Vec<Event> = state.events.drain(..count).collect();
        Ok(if count == 0 {
            TakeTransaction::empty()
        } else {
            TakeTransaction::new(events, Box::new(TestTake(self.clone())))
        })
    }

    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    /// Positions are there after a crash.
    fn store_part(&self) -> Option<(u64, u16)> {
        Some((u64::MAX, 0))
    }

    fn position(&self, owner: &str) -> Option<Bytes> {
        self.0.lock().positions.get(owner).cloned()
    }

    fn positions(&self, prefix: &str) -> Vec<(String, Bytes)> {
        let state = self.0.lock();
        let found = state.positions.iter().filter(|(owner, _)| owner.starts_with(prefix));
        found.map(|(owner, position)| (owner.clone(), position.clone())).collect()
    }

    fn stats(&self) -> ChannelStats {
        ChannelStats::default()
    }

    fn close(&self) -> Result<(), StorageError> {
        Ok(())
    }
}

impl PutTarget for TestChannel {
    fn submit(&self, batch: PutBatch, _: Option<Wait>) -> Result<PutTicket, PutError> {
        self.0.lock().events.extend(batch.into_parts().0);
        Ok(PutTicket::ready(Ok(crate::Receipt::default())))
    }
}

struct TestTake(TestChannel);

impl RawTake for TestTake {
    fn id(&self, index: usize) -> EventId {
        EventId { lane: 0, seq: index as u64 }
    }

    fn submit(self: Box<Self>, mut commit: TakeCommit) -> Result<TakeTicket, TakeError> {
        let mut state = self.0.0.lock();
        if state.failing_commits > 0 {
            state.failing_commits -= 1;
            drop(state);
            self.rollback(commit.events);
            let source = StorageError::Closed;
            return Err(TakeError::NotCommitted { channel: "test".to_owned(), source });
        }
        for event in commit.events.drain(commit.count..).rev() {
            state.events.push_front(event);
        }
        for (owner, position) in commit.positions {
            match position {
                Some(position) => state.positions.insert(owner, position),
                None => state.positions.remove(&owner),
            };
        }
        Ok(TakeTicket::ready(Ok(())))
    }

    fn rollback(self: Box<Self>, events: Vec<Event>) {
        let mut state = self.0.0.lock();
        for event in events.into_iter().rev() {
            state.events.push_front(event);
        }
    }
}

/// A writer whose content can be looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedBytes(Arc<Mutex<Vec<u8>>>);

impl SharedBytes {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

impl io::Write for SharedBytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
