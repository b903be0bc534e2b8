//! The conversation with one client.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Answer, Call, Nonsense, Protocol, RpcAck, Settings};
use crate::batch::PutBatch;
use crate::error::PutError;
use crate::event::Event;
use crate::limits::{RPC_KEPT_BYTES, RPC_PIPELINE_MAX, RPC_READ_AHEAD_BYTES, RPC_READ_BYTES, SOURCE_FULL_WAIT};
use crate::source::SourceContext;
use crate::source::net::{Connection, Readiness};
use crate::tell::tell;
use crate::ticket::PutTicket;
use crate::wait::{Recall, Wait};

/// Reads requests, commits them, answers. Requests that are there already are committed together, each in a transaction
/// of its own; a client that waits for each answer gets it before the next read.
pub(crate) struct Session<'a, 'c, P: Protocol> {
    settings: &'a Settings,
    context: &'a SourceContext,
    connection: &'a mut Connection<'c>,
    protocol: P,
    // Requests that are not answered yet, in their order.
    pending: Vec<(P::Request, Outcome)>,
    pending_bytes: usize,
    out: Vec<u8>,
    // Whether the end of the last request was read in place, to memory that is used again: so may be the most of the next one.
    is_long: bool,
    // When the client's turn began: what the timeouts count from. The time of a commit is not the client's.
    since: Duration,
}

/// Bytes that were read: to their place in the request, and behind them, to a chunk.
#[derive(Debug)]
struct Received {
    placed: usize,
    chunk: usize,
}

/// What is known of a request's outcome.
enum Outcome {
    Known(Answer),
    /// So many events are on their way.
    Committing(PutTicket, usize),
}

/// Why a conversation ends.
#[derive(Debug)]
enum End {
    /// The client sends no more, or is gone.
    Closed,
    /// Reading from the client failed.
    Broken,
    /// What the client sends cannot be unpacked.
    Garbled,
    /// The client was silent for too long.
    Silent,
    /// What the client sends makes no sense, or is over a limit.
    Malformed,
    /// The source is asked to stop while the client is sending.
    Stopped,
    /// The source is asked to stop while the client is silent.
    StoppedIdle,
    /// The client does not read its answers.
    Deaf,
}

impl Outcome {
    fn is_known(&self) -> bool {
        match self {
            Self::Known(_) => true,
            Self::Committing(ticket, _) => ticket.is_decided(),
        }
    }
}

impl<'a, 'c, P: Protocol> Session<'a, 'c, P> {
    pub(crate) fn new(
        settings: &'a Settings,
        context: &'a SourceContext,
        connection: &'a mut Connection<'c>,
        protocol: P,
    ) -> Self {
        let since = connection.age();
        let (pending, out) = (Vec::new(), Vec::new());
        Self { settings, context, connection, protocol, pending, pending_bytes: 0, out, is_long: false, since }
    }

    pub(crate) fn run(mut self) {
        let end = self.converse();
        let unfinished = !self.protocol.is_idle();
        let bad = matches!(end, End::Malformed | End::Garbled)
            || unfinished && !matches!(end, End::Stopped | End::StoppedIdle);
        if bad {
            count(&self.context.counters().event_read_fail, 1);
        }
        // Others have nothing under way that a plain close could harm.
        if matches!(end, End::Malformed | End::Stopped) || unfinished && matches!(end, End::StoppedIdle) {
            self.connection.close_gently();
        }
    }

    /// Reads and commits until there is a reason to end.
    fn converse(&mut self) -> End {
        let mut chunk = vec![0; RPC_READ_BYTES];
        loop {
            if self.connection.is_stopping() {
                return self.settle().err().unwrap_or(End::Stopped);
            }
            let step = match self.read(&mut chunk) {
                Ok(Some(Received { placed: 0, chunk: 0 })) => self.settle().and(Err(End::Closed)),
                Ok(Some(received)) => self.take_in(received.placed, chunk.get(..received.chunk).unwrap_or_default()),
                // Whoever waits for an answer gets it before it is waited for.
                Ok(None) if !self.pending.is_empty() => self.settle(),
                Ok(None) => self.wait(),
                Err(error) if error.kind() == ErrorKind::InvalidData => {
                    self.tell_nonsense(&error.to_string());
                    self.settle().and(Err(End::Garbled))
                }
                Err(_) => self.settle().and(Err(End::Broken)),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Reads what is there.
    fn read(&mut self, chunk: &mut [u8]) -> io::Result<Option<Received>> {
        let room = self.protocol.room();
        let few = chunk.len().min(RPC_READ_AHEAD_BYTES);
        let all = self.pending_bytes.saturating_add(self.protocol.held() + room + few);
        if room > 0 && self.connection.share().grow_request_to(all) {
            let (ahead, _) = chunk.split_at_mut(few);
            let read = self.connection.read_available_to(self.protocol.place(room), ahead)?;
            return Ok(read.map(|read| Received { placed: read.min(room), chunk: read.saturating_sub(room) }));
        }
        // Of a long request only the beginning, so that the rest is read to its place.
        let most = if self.is_long && self.protocol.is_idle() { few } else { chunk.len() };
        let (chunk, _) = chunk.split_at_mut(most);
        Ok(self.connection.read_available(chunk)?.map(|read| Received { placed: 0, chunk: read }))
    }

    fn wait(&mut self) -> Result<(), End> {
        let until = if self.protocol.is_idle() {
            self.since.saturating_add(self.settings.idle_timeout)
        } else {
            // Whatever the client has sent before was read, so that its silence begins now.
            let silent = self.connection.age().saturating_add(self.settings.silence_timeout);
            silent.min(self.since.saturating_add(self.settings.frame_timeout))
        };
        match self.connection.wait_readable(until) {
            Ok(Readiness::Ready) => Ok(()),
            Ok(Readiness::Stopped) => Err(End::StoppedIdle),
            Ok(Readiness::TimedOut) => Err(End::Silent),
            Err(_) => Err(End::Broken),
        }
    }

    /// Cuts what was read into requests: bytes that are in their place, then others.
    fn take_in(&mut self, placed: usize, mut received: &[u8]) -> Result<(), End> {
        if placed > 0 && self.protocol.placed(placed) {
            self.is_long = self.protocol.held() <= RPC_KEPT_BYTES;
            self.serve()?;
        }
        while !received.is_empty() {
            // The time for a frame runs from its first byte, whatever comes in between.
            if self.protocol.is_idle() {
                self.since = self.connection.age();
            }
            self.hold(self.protocol.held() + received.len())?;
            match self.protocol.read_frame(&mut received) {
                Ok(true) => {
                    self.is_long = false;
                    self.serve()?;
                }
                Ok(false) => {}
                Err(nonsense) => return self.give_up(nonsense),
            }
        }
        // A client with several requests in flight goes on with the next one while this source reads what it has sent before.
        // Answers that have to wait for a disk wait for what else there is to commit.
        if self.pending.iter().all(|(_, outcome)| outcome.is_known()) { self.settle() } else { Ok(()) }
    }

    /// Makes sure that so many bytes may be held besides those of pending requests.
    fn hold(&mut self, bytes: usize) -> Result<(), End> {
        let all = bytes.saturating_add(self.pending_bytes);
        if self.connection.share().grow_request_to(all) {
            return Ok(());
        }
        // With nothing pending, what is held is within the reserve, so that it is worth waiting for.
        self.settle()?;
        let begun = self.connection.age();
        let is_there = self.connection.wait_for_room(bytes);
        // The client could not go on meanwhile.
        self.since += self.connection.age().saturating_sub(begun);
        if is_there { Ok(()) } else { Err(End::Stopped) }
    }

    /// Does what a whole frame asks for.
    fn serve(&mut self) -> Result<(), End> {
        match self.protocol.parse() {
            Ok((request, Call::Put { events, bytes })) => self.put(request, events, bytes)?,
            Ok((request, call)) => {
                self.protocol.forget();
                let answer = match call {
                    Call::Refused(reason) => {
                        count(&self.context.counters().event_read_fail, 1);
                        Answer::Error(reason)
                    }
                    _ => Answer::Nothing,
                };
                self.pending.push((request, Outcome::Known(answer)));
            }
            Err(nonsense) => return self.give_up(nonsense),
        }
        if self.pending.len() >= RPC_PIPELINE_MAX { self.settle() } else { Ok(()) }
    }

    /// Says why nothing more is understood, if it is known to what that is an answer.
    fn give_up(&mut self, Nonsense { request, reason }: Nonsense<P::Request>) -> Result<(), End> {
        self.protocol.forget();
        self.tell_nonsense(&reason);
        self.pending.extend(request.map(|request| (request, Outcome::Known(Answer::Error(reason)))));
        self.settle().and(Err(End::Malformed))
    }

    /// A client with other settings sends it again and again, so that not each time is told aloud.
    fn tell_nonsense(&self, reason: &str) {
        let failures = self.connection.count_nonsense();
        let peer = self.connection.peer();
        if failures.is_power_of_two() {
            tell!(WARN, "client sends what is no request", peer = peer, reason = reason, failures = failures);
        } else {
            tell!(DEBUG, "client sends what is no request", peer = peer, reason = reason, failures = failures);
        }
    }

    fn put(&mut self, request: P::Request, events: usize, bytes: usize) -> Result<(), End> {
        let settings = self.settings;
        let outcome = if events > settings.batch_events_max {
            Err(format!("a request of {events} events is over the limit of {}", settings.batch_events_max))
        } else if bytes > settings.frame_bytes_max {
            Err(format!("events of {bytes} bytes in one request are over the limit of {}", settings.frame_bytes_max))
        } else {
            self.hold(self.protocol.held() + bytes)?;
            self.protocol.events(&request)
        };
        self.protocol.forget();
        let outcome = match outcome {
            Ok(events) if events.is_empty() => Outcome::Known(Answer::Ok),
            Ok(events) if settings.ack == RpcAck::OnReceipt => {
                self.pending.push((request, Outcome::Known(Answer::Ok)));
                let told = self.settle();
                self.commit_told(events);
                return told;
            }
            Ok(events) => self.submit(events),
            Err(reason) => {
                count(&self.context.counters().event_read_fail, 1);
                Outcome::Known(Answer::Error(reason))
            }
        };
        if matches!(outcome, Outcome::Committing(..)) {
            self.pending_bytes += bytes;
        }
        self.pending.push((request, outcome));
        Ok(())
    }

    fn submit(&self, events: Vec<Event>) -> Outcome {
        let number = events.len();
        match self.context.submit(self.recallable(events), None) {
            Ok(ticket) => Outcome::Committing(ticket, number),
            Err(error) => Outcome::Known(self.refused(&error)),
        }
    }

    /// Commits events that the client takes for accepted already.
    fn commit_told(&self, events: Vec<Event>) {
        let number = events.len();
        let committed = match self.context.put_batch(self.recallable(events), None) {
            // Nobody has these events any more: they get the moment that all get who wait for room at a stop.
            // The recall is that of the request, which the connection hears of later.
            Err(PutError::Full { batch, .. }) if self.context.shutdown().is_requested() => {
                let batch = PutBatch { recall: None, ..*batch };
                self.context.put_again(batch, Some(Wait::up_to(SOURCE_FULL_WAIT)))
            }
            outcome => outcome,
        };
        if committed.is_err() {
            count(&self.context.counters().dropped_events, number);
        }
    }

    /// A put that waits for room as long as the channel does, but not longer than until a stop.
    fn recallable(&self, events: Vec<Event>) -> PutBatch {
        PutBatch { recall: Some(Recall::new(self.context.shutdown().clone())), ..PutBatch::new(events) }
    }

    fn refused(&self, error: &PutError) -> Answer {
        count(&self.context.counters().channel_write_fail, 1);
        match error {
            // It would fail again and again, so that someone should get to know the reason.
            PutError::TooLarge { .. } => Answer::Error(error.to_string()),
            _ => Answer::Failed,
        }
    }

    /// Waits for the commits under way and answers all requests.
    fn settle(&mut self) -> Result<(), End> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let counters = self.context.counters();
        for (request, outcome) in std::mem::take(&mut self.pending) {
            let answer = match outcome {
                Outcome::Known(answer) => answer,
                Outcome::Committing(ticket, events) => match ticket.wait() {
                    Ok(_) => {
                        counters.count_accepted(events as u64);
                        Answer::Ok
                    }
                    Err(error) => self.refused(&error),
                },
            };
            self.protocol.put_answer(&request, &answer, &mut self.out);
        }
        self.pending_bytes = 0;
        // A frame may be under way.
        self.connection.share().shrink_to(self.protocol.held());
        let written = self.connection.write_all(&self.out, self.settings.answer_timeout);
        self.out.clear();
        self.since = self.connection.age();
        written.map_err(|error| if error.kind() == ErrorKind::TimedOut { End::Deaf } else { End::Closed })
    }
}

fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}
