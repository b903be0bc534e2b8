//! What one client sends.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::tcp::Settings;
use crate::clock::{Clock, SystemClock};
use crate::codec::charset::Charset;
use crate::codec::syslog::{FrameEnd, STATUS_HEADER, SyslogFramer, SyslogParser};
use crate::event::{Event, Headers};
use crate::limits::{CONNECTION_READ_BYTES, CONNECTION_STOP};
use crate::source::SourceContext;
use crate::source::delivery::{Delivery, Refusals, cost};
use crate::source::net::{Connection, Readiness};

/// Reads messages and commits them in batches.
pub(super) struct Session<'a, 'c> {
    settings: &'a Settings,
    parser: &'a SyslogParser,
    context: &'a SourceContext,
    connection: &'a mut Connection<'c>,
    headers: Headers,
    clock: SystemClock,
    framer: SyslogFramer,
    batch: Vec<Event>,
    batch_bytes: usize,
    // When the client's turn began: what the timeouts count from. The time of a commit is not the client's.
    since: Duration,
}

/// Why nothing more is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The client sends no more.
    Closed,
    /// Reading from the client failed.
    Broken,
    /// The client was silent for too long.
    Silent,
    /// The source is asked to stop.
    Stopped,
    /// Messages could not be committed, and no others can.
    Refused,
}

impl<'a, 'c> Session<'a, 'c> {
    pub(super) fn new(
        (settings, parser, charset): (&'a Settings, &'a SyslogParser, Charset),
        headers: Headers,
        context: &'a SourceContext,
        connection: &'a mut Connection<'c>,
    ) -> Self {
        let since = connection.age();
        let framer = SyslogFramer::new(charset, settings.event_bytes_max, settings.overlong);
        Self {
            settings,
            parser,
            context,
            connection,
            headers,
            clock: SystemClock::new(),
            framer,
            batch: Vec::new(),
            batch_bytes: 0,
            since,
        }
    }

    pub(super) fn run(mut self) {
        let mut chunk = vec![0; CONNECTION_READ_BYTES];
        let mut end = self.receive(&mut chunk);
        if end == End::Stopped && self.take_what_is_there(&mut chunk).is_err() {
            end = End::Refused;
        }
        if end == End::Broken {
            self.count_read_fail(1);
        }
        // An unfinished message is worth keeping, too: nobody will send it again.
        if end != End::Refused && self.framer.is_within_message() {
            let last = self.framer.finish().map(|frame| self.parser.parse(frame.message, frame.end, self.clock.wall()));
            if last.is_some_and(|last| self.add(last).is_err()) || self.flush().is_err() {
                end = End::Refused;
            }
        }
        if end == End::Refused {
            self.drop_the_rest();
        }
        self.count_dropped_messages();
    }

    /// Reads and commits until there is a reason to end.
    fn receive(&mut self, chunk: &mut [u8]) -> End {
        loop {
            if self.connection.is_stopping() {
                return End::Stopped;
            }
            let step = match self.connection.read_available(chunk) {
                Ok(Some(0)) => self.flush().and(Err(End::Closed)),
                Ok(Some(read)) => self.take_in(chunk.get(..read).unwrap_or_default()),
                Ok(None) if !self.batch.is_empty() => self.flush(),
                Ok(None) => self.wait(),
                Err(_) => self.flush().and(Err(End::Broken)),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    fn wait(&mut self) -> Result<(), End> {
        let within = self.framer.is_within_message();
        let limit = if within { self.settings.message_timeout } else { self.settings.idle_timeout };
        match self.connection.wait_readable(self.since.saturating_add(limit)) {
            Ok(Readiness::Ready) => Ok(()),
            Ok(Readiness::Stopped) => Err(End::Stopped),
            Ok(Readiness::TimedOut) => Err(End::Silent),
            Err(_) => Err(End::Broken),
        }
    }

    /// Takes what the kernel has received before the source was asked to stop: the client takes it for delivered.
    fn take_what_is_there(&mut self, chunk: &mut [u8]) -> Result<(), End> {
        let until = self.connection.age().saturating_add(CONNECTION_STOP);
        while self.connection.age() < until {
            match self.connection.read_available(chunk) {
                Ok(Some(read)) if read > 0 => self.take_in(chunk.get(..read).unwrap_or_default())?,
                _ => break,
            }
        }
        self.flush()
    }

    /// Cuts what was read into messages; commits whenever a batch is full.
    fn take_in(&mut self, received: &[u8]) -> Result<(), End> {
        // The time for a message runs from its first byte, whatever comes in between.
        if !self.framer.is_within_message() {
            self.since = self.connection.age();
        }
        let now = self.clock.wall();
        self.framer.push(received);
        while let Some(frame) = self.framer.next_frame() {
            let event = self.parser.parse(frame.message, frame.end, now);
            if frame.end == FrameEnd::Whole {
                self.since = self.connection.age();
            }
            self.add(event)?;
        }
        self.count_dropped_messages();
        Ok(())
    }

    fn add(&mut self, mut event: Event) -> Result<(), End> {
        if event.headers().get(STATUS_HEADER).is_some() {
            self.count_read_fail(1);
        }
        for (name, value) in &self.headers {
            event.headers_mut().insert(name, value).unwrap_or_default();
        }
        let cost = cost(&event);
        // What is in the framer beyond a message is what was just read, which has its own room.
        let message = self.framer.buffered_bytes().min(self.settings.event_bytes_max);
        let all = self.batch_bytes.saturating_add(cost).saturating_add(message);
        let fits = self.batch.is_empty() || self.connection.share().grow_to(all, self.settings.connection_bytes_max);
        if !fits && let Err(end) = self.flush() {
            self.count_dropped(1);
            return Err(end);
        }
        self.batch_bytes += cost;
        self.batch.push(event);
        if self.batch.len() >= self.settings.batch_max { self.flush() } else { Ok(()) }
    }

    /// Commits the messages received so far.
    fn flush(&mut self) -> Result<(), End> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        let mut refusals = Refusals::default();
        let outcome = {
            let is_stopping = || self.connection.is_stopping();
            Delivery::new(self.context, self.settings.on_full, &is_stopping).put_all(batch, &mut refusals)
        };
        self.batch_bytes = 0;
        self.connection.share().shrink();
        self.count_dropped(refusals.events);
        self.since = self.connection.age();
        outcome.map_err(|_| End::Refused)
    }

    /// Counts what was received behind the messages that could not be committed.
    fn drop_the_rest(&mut self) {
        let mut messages = 0;
        while self.framer.next_frame().is_some() {
            messages += 1;
        }
        messages += usize::from(self.framer.finish().is_some());
        self.count_dropped(messages);
    }

    fn count_dropped_messages(&mut self) {
        let dropped = self.framer.take_dropped_messages();
        self.count_read_fail(dropped);
        self.count_dropped(dropped);
    }

    fn count_dropped(&self, messages: usize) {
        self.context.counters().dropped_events.fetch_add(messages as u64, Ordering::Relaxed);
    }

    fn count_read_fail(&self, messages: usize) {
        self.context.counters().event_read_fail.fetch_add(messages as u64, Ordering::Relaxed);
    }
}
