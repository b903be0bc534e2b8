//! What the tests of sources share.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;

use super::net::{ListenerHandle, ListenerStats};
use super::{Source, SourceContext, SourcePort};
use crate::batch::PutBatch;
use crate::error::{FullReason, PutError, StorageError};
use crate::event::Event;
use crate::shutdown::Shutdown;
use crate::stats::SourceStats;
use crate::sync::{Condvar, Mutex};
use crate::ticket::{PutTicket, Receipt, Ticket};
use crate::wait::{Patience, Wait};

/// A port that keeps in memory what is committed, in one step, as a channel does.
#[derive(Default)]
pub(super) struct Port(pub(super) Mutex<(Vec<Event>, BTreeMap<String, Bytes>)>);

impl SourcePort for Port {
    fn submit(&self, batch: PutBatch, _: Option<Wait>) -> Result<PutTicket, PutError> {
        let (events, positions) = batch.into_parts();
        let receipt = Receipt::new(None, events.len() as u64, 0);
        let mut state = self.0.lock();
        state.0.extend(events);
        for (owner, position) in positions {
            match position {
                Some(position) => state.1.insert(owner, position),
                None => state.1.remove(&owner),
            };
        }
        Ok(Ticket::ready(Ok(receipt)))
    }

    fn position(&self, owner: &str) -> Option<Bytes> {
        self.0.lock().1.get(owner).cloned()
    }

    fn positions(&self, prefix: &str) -> Vec<(String, Bytes)> {
        let state = self.0.lock();
        let found = state.1.iter().filter(|(owner, _)| owner.starts_with(prefix));
        found.map(|(owner, position)| (owner.clone(), position.clone())).collect()
    }
}

/// A place for events that can be full, slow, closed and picky, on demand.
#[derive(Default)]
pub(crate) struct TestPort {
    pub(crate) state: Mutex<State>,
    changed: Condvar,
}

/// What a [`TestPort`] holds, and how it behaves.
#[allow(clippy::struct_excessive_bools)] // each is a switch of its own
pub(crate) struct State {
    pub(crate) events: Vec<Event>,
    pub(crate) batches: Vec<usize>,
    pub(crate) capacity: usize,
    pub(crate) transaction_max: usize,
    pub(crate) body_max: usize,
    pub(crate) closed: bool,
    pub(crate) failing: bool,
    pub(crate) broken: bool,
    pub(crate) panics: bool,
    pub(crate) held: bool,
    pub(crate) put_wait: Wait,
    pub(crate) waiting: usize,
    pub(crate) waits: Vec<Option<Wait>>,
}

impl Default for State {
    fn default() -> Self {
        let max = usize::MAX;
        let (events, batches) = (Vec::new(), Vec::new());
        let (capacity, transaction_max, body_max) = (max, max, max);
        let (closed, failing, broken, panics, held) = (false, false, false, false, false);
        let (waiting, waits) = (0, Vec::new());
        Self {
            events,
            batches,
            capacity,
            transaction_max,
            body_max,
            closed,
            failing,
            broken,
            panics,
            held,
            put_wait: Wait::NONE,
            waiting,
            waits,
        }
    }
}

impl TestPort {
    pub(crate) fn with(change: impl FnOnce(&mut State)) -> Arc<Self> {
        let port = Self::default();
        change(&mut port.state.lock());
        Arc::new(port)
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
        self.changed.notify_all();
    }

    pub(crate) fn until(&self, condition: impl Fn(&State) -> bool) {
        let mut state = self.state.lock();
        while !condition(&state) {
            // Only so that a test that fails does not hang.
            let waited = self.changed.wait_for(&mut state, Duration::from_secs(60));
            assert!(!waited.timed_out(), "nothing changed for a minute");
        }
    }

    pub(crate) fn bodies(&self) -> Vec<Bytes> {
        self.state.lock().events.iter().map(|event| event.body().clone()).collect()
    }
}

impl SourcePort for TestPort {
    fn submit(&self, batch: PutBatch, wait: Option<Wait>) -> Result<PutTicket, PutError> {
        let channel = "test\nport".to_owned();
        let mut state = self.state.lock();
        // Whoever comes again anyway waits for ever at once.
        let comes_again = Wait::NONE.of_channel(batch.recall.as_ref()) != Wait::NONE;
        let own = if comes_again { Wait::FOREVER } else { state.put_wait };
        let patience = Patience::new(wait.unwrap_or(own), batch.recall.clone());
        state.waiting += 1;
        state.waits.push(wait);
        self.changed.notify_all();
        while state.held {
            self.changed.wait(&mut state);
        }
        let events = batch.events.len();
        let too_large = |what, actual, max| PutError::TooLarge {
            channel: channel.clone(),
            what,
            actual: actual as u64,
            max: max as u64,
            batch: Box::new(batch.clone()),
        };
        let longest = batch.events.iter().map(|event| event.body().len()).max().unwrap_or(0);
        let outcome = loop {
            if state.closed {
                break Err(PutError::Closed { channel, batch: Box::new(batch) });
            } else if state.failing {
                break Err(PutError::NotCommitted { source: StorageError::Closed, batch: Box::new(batch) });
            } else if state.broken {
                break Err(PutError::Indeterminate { source: StorageError::Closed });
            } else if events > state.transaction_max {
                break Err(too_large("events", events, state.transaction_max));
            } else if longest > state.body_max {
                break Err(too_large("event body bytes", longest, state.body_max));
            } else if state.events.len() + events <= state.capacity {
                assert!(!state.panics, "told to panic");
                state.events.extend(batch.events);
                state.batches.push(events);
                break Ok(PutTicket::ready(Ok(Receipt::new(None, events as u64, 0))));
            } else if !patience.wait(&self.changed, &mut state) {
                break Err(PutError::Full { channel, reason: FullReason::Events, batch: Box::new(batch) });
            }
        };
        state.waiting -= 1;
        self.changed.notify_all();
        outcome
    }

    fn position(&self, _owner: &str) -> Option<Bytes> {
        None
    }

    fn positions(&self, _prefix: &str) -> Vec<(String, Bytes)> {
        Vec::new()
    }
}

/// A source with a listener, in a thread of its own.
pub(crate) struct Listening<S> {
    pub(crate) context: SourceContext,
    pub(crate) shutdown: Shutdown,
    pub(crate) handle: ListenerHandle,
    thread: JoinHandle<S>,
}

impl<S: Source + Send + 'static> Listening<S> {
    pub(crate) fn start(mut source: S, handle: ListenerHandle, port: &Arc<TestPort>) -> Self {
        let shutdown = Shutdown::new();
        let context = SourceContext::new("in", Arc::clone(port) as Arc<dyn SourcePort>, shutdown.clone());
        source.open(&context).unwrap();
        let inner = context.clone();
        let thread = thread::spawn(move || {
            source.run(&inner).unwrap();
            source
        });
        Self { context, shutdown, handle, thread }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        TcpStream::connect(self.handle.local_addr().unwrap()).unwrap()
    }

    pub(crate) fn stats(&self) -> SourceStats {
        self.context.counters().snapshot()
    }

    /// Stops the source and checks that nothing is left behind.
    pub(crate) fn stop(self) -> (S, SourceStats, ListenerStats) {
        self.shutdown.request();
        let source = self.thread.join().unwrap();
        let (stats, listener) = (self.context.counters().snapshot(), self.handle.stats());
        assert_eq!((stats.open_connections, listener.bytes_in_flight), (0, 0));
        assert!(listener.bytes_in_flight_peak <= listener.bytes_in_flight_max);
        assert_eq!(self.handle.local_addr(), None);
        (source, stats, listener)
    }
}
