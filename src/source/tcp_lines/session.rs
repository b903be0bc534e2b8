//! The conversation with one client.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::{Ack, Settings};
use crate::codec::charset::{Charset, DecodeError};
use crate::codec::utf16_stream::Utf16Stream;
use crate::error::{FullReason, PutError};
use crate::event::{Event, Headers};
use crate::limits::CONNECTION_READ_BYTES;
use crate::source::SourceContext;
use crate::source::delivery::{Delivery, EVENT_COST, Verdicts};
use crate::source::net::{Connection, Readiness};

/// Reads lines, commits them in batches, answers.
pub(super) struct Session<'a, 'c> {
    settings: &'a Settings,
    context: &'a SourceContext,
    connection: &'a mut Connection<'c>,
    headers: Headers,
    charset: Charset,
    // Where the client speaks UTF-16, lines are cut from what comes out of this.
    utf16: Option<Utf16Stream>,
    batch: Vec<Event>,
    batch_bytes: usize,
    // The beginning of a line whose newline is still to come; always shorter than the limit.
    partial: Vec<u8>,
    // UTF-16 code units that begin in it.
    partial_chars: usize,
    // The line in hand was given up, because it is too long or because the lines before it were refused.
    line_lost: bool,
    // When the client's turn began: what the timeouts count from. The time of a commit is not the client's.
    since: Duration,
    // The client is gone or closed its reading side. What it had sent is still taken.
    mute: bool,
}

/// Why a conversation ends.
#[derive(Debug)]
enum End {
    /// The client sends no more, or is gone.
    Closed,
    /// Reading from the client failed.
    Broken,
    /// The client was silent for too long.
    Silent,
    /// The line in hand is over the limit.
    LineTooLong,
    /// The source is asked to stop while the client is sending.
    Stopped,
    /// The source is asked to stop while the client is silent.
    StoppedIdle,
    /// Lines could not be committed; the client has been told, as far as it is told anything.
    Refused,
    /// The client does not read its answers.
    Deaf,
}

/// The answers to the lines of one batch.
struct Answers<'a> {
    full_texts: &'a BTreeMap<String, String>,
    text: Vec<u8>,
    dropped: usize,
    end: Option<End>,
}

impl<'a, 'c> Session<'a, 'c> {
    pub(super) fn new(settings: &'a Settings, context: &'a SourceContext, connection: &'a mut Connection<'c>) -> Self {
        // The name of the header was checked when the source was opened.
        let headers = settings.headers(&connection.peer().to_string()).unwrap_or_default();
        let charset = settings.charset().unwrap_or(Charset::BYTES);
        let utf16 = Utf16Stream::of(charset);
        let charset = if utf16.is_some() { Charset::UTF_8 } else { charset };
        let since = connection.age();
        let (batch, partial) = (Vec::new(), Vec::new());
        Self {
            settings,
            context,
            connection,
            headers,
            charset,
            utf16,
            batch,
            batch_bytes: 0,
            partial,
            partial_chars: 0,
            line_lost: false,
            since,
            mute: false,
        }
    }

    pub(super) fn run(mut self) {
        let end = self.converse();
        let unfinished = self.line_lost || !self.partial.is_empty();
        if unfinished {
            let counters = self.context.counters();
            count(&counters.dropped_events, 1);
            if matches!(end, End::LineTooLong | End::Silent | End::Broken) {
                count(&counters.event_read_fail, 1);
            }
        }
        let told = match &end {
            End::LineTooLong => {
                let max = self.settings.line_chars_max.unwrap_or(self.settings.line_bytes_max);
                self.answer(
                    format!("FAILED: Event exceeds the maximum length ({max} chars, including newline)\n").as_bytes(),
                )
            }
            End::Silent if unfinished => {
                let limit = self.settings.line_timeout;
                self.answer(format!("FAILED: line not finished within {limit:?}\n").as_bytes())
            }
            _ => Ok(()),
        };
        // Others have nothing under way that a plain close could harm.
        let sending = match end {
            End::LineTooLong | End::Stopped | End::Refused => true,
            End::Silent | End::StoppedIdle => unfinished,
            End::Closed | End::Broken | End::Deaf => false,
        };
        if told.is_ok() && sending && !self.mute {
            self.connection.close_gently();
        }
    }

    /// Reads and commits until there is a reason to end.
    fn converse(&mut self) -> End {
        let mut chunk = vec![0; CONNECTION_READ_BYTES];
        let mut limit = self.settings.first_byte_timeout;
        loop {
            if self.connection.is_stopping() {
                return self.flush().err().unwrap_or(End::Stopped);
            }
            let step = match self.connection.read_available(&mut chunk) {
                Ok(Some(0)) => self.flush().and(Err(End::Closed)),
                Ok(Some(read)) => {
                    let received = chunk.get(..read).unwrap_or_default();
                    let text = self.utf16.as_mut().map(|stream| stream.decode(received));
                    let outcome = self.take_in(text.as_deref().map_or(received, str::as_bytes));
                    let between_lines = self.partial.is_empty();
                    limit = if between_lines { self.settings.idle_timeout } else { self.settings.line_timeout };
                    outcome
                }
                // Whoever waits for answers gets them before it is waited for.
                Ok(None) if !self.batch.is_empty() => self.flush(),
                Ok(None) => self.wait(limit),
                Err(_) => self.flush().and(Err(End::Broken)),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    fn wait(&mut self, limit: Duration) -> Result<(), End> {
        match self.connection.wait_readable(self.since.saturating_add(limit)) {
            Ok(Readiness::Ready) => Ok(()),
            Ok(Readiness::Stopped) => Err(End::StoppedIdle),
            Ok(Readiness::TimedOut) => Err(End::Silent),
            Err(_) => Err(End::Broken),
        }
    }

    /// Cuts what was read into lines; commits whenever a batch is full.
    fn take_in(&mut self, mut received: &[u8]) -> Result<(), End> {
        // The time for a line runs from its first byte, whatever comes in between.
        if self.partial.is_empty() || received.contains(&b'\n') {
            self.since = self.connection.age();
        }
        while let Some(length) = received.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = received.split_at(length);
            received = rest.get(1..).unwrap_or_default();
            if let Err(end) = self.finish_line(line) {
                if !matches!(end, End::LineTooLong) {
                    // These were received, too, and nobody will see them.
                    let lines = received.split(|byte| *byte == b'\n').skip(1).count();
                    count(&self.context.counters().dropped_events, lines);
                }
                return Err(end);
            }
        }
        if !received.is_empty() {
            self.make_room(received.len())?;
            self.extend_partial(received);
            self.partial_chars += self.charset.chars_begun(received);
            if self.settings.line_chars_max.is_some_and(|max| self.partial_chars >= max) {
                return self.give_up_line();
            }
        }
        Ok(())
    }

    /// Commits what came before a line that is too long.
    fn give_up_line(&mut self) -> Result<(), End> {
        self.line_lost = true;
        self.flush().and(Err(End::LineTooLong))
    }

    fn finish_line(&mut self, end_of_line: &[u8]) -> Result<(), End> {
        self.make_room(end_of_line.len())?;
        let body = if self.partial.is_empty() {
            // A copy of its own size, so that an event that stays in a channel keeps no other bytes in memory.
            Bytes::copy_from_slice(end_of_line)
        } else {
            self.extend_partial(end_of_line);
            self.partial_chars = 0;
            Bytes::from(std::mem::take(&mut self.partial).into_boxed_slice())
        };
        // With this policy nothing is refused.
        let policy = DecodeError::Replace;
        if self.settings.line_chars_max.is_some_and(|max| self.charset.cut_chars(&body, max - 1, policy) < body.len()) {
            return self.give_up_line();
        }
        let body = self.charset.decode(body, policy).unwrap_or_default();
        // The first one of a batch is free: it belongs to what a connection costs anyway.
        if !self.batch.is_empty() {
            self.batch_bytes += EVENT_COST;
        }
        self.batch_bytes += body.len();
        self.batch.push(Event::from_parts(self.headers.clone(), body));
        if self.batch.len() >= self.settings.batch_max { self.flush() } else { Ok(()) }
    }

    fn extend_partial(&mut self, more: &[u8]) {
        let needed = self.partial.len() + more.len();
        if needed > self.partial.capacity() {
            // Doubles, but never beyond the longest line, which is what the base share covers.
            let capacity = (self.partial.capacity() * 2).clamp(needed, self.settings.line_bytes_max.max(needed));
            self.partial.reserve_exact(capacity - self.partial.len());
        }
        self.partial.extend_from_slice(more);
    }

    /// Makes sure that `more` bytes of the line in hand may be held, if need be by committing the lines before it.
    fn make_room(&mut self, more: usize) -> Result<(), End> {
        let line = self.partial.len() + more;
        let max = self.settings.connection_bytes_max;
        let too_long = line >= self.settings.line_bytes_max;
        let all = self.batch_bytes.saturating_add(line).saturating_add(EVENT_COST);
        if too_long || (!self.batch.is_empty() && !self.connection.share().grow_to(all, max)) {
            self.line_lost = true;
            self.flush()?;
            if too_long {
                return Err(End::LineTooLong);
            }
            self.line_lost = false;
        }
        // A line without others before it is within the base share.
        assert!(
            self.connection.share().grow_to(self.batch_bytes + line, max),
            "a line does not fit into the base share"
        );
        Ok(())
    }

    /// Commits the lines received so far and answers them.
    fn flush(&mut self) -> Result<(), End> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        let early = match self.settings.ack {
            Ack::OnReceipt => self.answer(&b"OK\n".repeat(batch.len())),
            Ack::AfterCommit | Ack::None => Ok(()),
        };
        let answers = self.commit(batch);
        self.batch_bytes = 0;
        self.connection.share().shrink();
        count(&self.context.counters().dropped_events, answers.dropped);
        early?;
        if self.settings.ack == Ack::AfterCommit {
            self.answer(&answers.text)?;
        }
        self.since = self.connection.age();
        answers.end.map_or(Ok(()), Err)
    }

    /// Answers the client, unless it is gone: then what it had sent before is still worth taking.
    fn answer(&mut self, text: &[u8]) -> Result<(), End> {
        if self.mute {
            return Ok(());
        }
        let encoded = self.utf16.as_mut().map(|stream| stream.encode(&String::from_utf8_lossy(text)));
        match self.connection.write_all(encoded.as_deref().unwrap_or(text), self.settings.answer_timeout) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::TimedOut => Err(End::Deaf),
            Err(_) => {
                self.mute = true;
                Ok(())
            }
        }
    }

    fn commit(&self, lines: Vec<Event>) -> Answers<'a> {
        let full_texts = &self.settings.full_texts;
        let mut answers = Answers { full_texts, text: Vec::new(), dropped: 0, end: None };
        let is_stopping = || self.connection.is_stopping();
        let delivery = Delivery::new(self.context, self.settings.on_full, &is_stopping);
        if delivery.put_all(lines, &mut answers).is_err() {
            answers.end = Some(End::Refused);
        }
        answers
    }
}

impl Verdicts for Answers<'_> {
    fn accepted(&mut self, lines: usize) {
        self.text.extend(b"OK\n".repeat(lines));
    }

    fn reason(&self, error: &PutError) -> String {
        match error {
            PutError::Full { channel, reason: FullReason::Events, .. } => self.full_texts.get(channel).cloned(),
            _ => None,
        }
        .unwrap_or_else(|| error.to_string())
    }

    /// One answer: where it is for more than one line, it is the last of the connection.
    fn refused(&mut self, lines: usize, reason: &str) {
        self.dropped += lines;
        self.text.extend(b"FAILED: ");
        // One line, whatever the reason quotes.
        self.text.extend(reason.bytes().map(|byte| if byte.is_ascii_control() { b' ' } else { byte }));
        self.text.push(b'\n');
    }
}

fn count(counter: &AtomicU64, events: usize) {
    counter.fetch_add(events as u64, Ordering::Relaxed);
}
