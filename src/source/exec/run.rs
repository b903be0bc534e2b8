//! One life of the command.

use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::process::{ChildStderr, ChildStdout};
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::group::Group;
use super::{ExecReport, Settings};
use crate::clock::{Clock, SystemClock};
use crate::codec::charset::{Charset, DecodeError};
use crate::codec::text_line::TextLines;
use crate::event::Event;
use crate::limits::{
    EXEC_BATCH_BYTES_MAX, EXEC_END_SLICE, EXEC_ERROR_LINE_BYTES_MAX, EXEC_EXIT, EXEC_READ_BYTES, EXEC_STOP, WATCH_SLICE,
};
use crate::source::delivery::{Delivery, Kept, Refusals, Unusable, cost};
use crate::source::{OnFull, SourceContext, SourceError};

/// A command that runs, and what was read from it and is not committed yet.
pub(super) struct Run {
    settings: Settings,
    context: SourceContext,
    clock: SystemClock,
    group: Group,
    output: Option<Stream<ChildStdout>>,
    errors: Option<Stream<ChildStderr>>,
    charset: Charset,
    // What a channel refused comes before what is pending.
    refused: Kept,
    pending: Vec<Event>,
    pending_bytes: usize,
    // When it is committed at the latest.
    due: Duration,
    piece: Vec<u8>,
}

/// A pipe from the command; gone once it has ended.
struct Stream<P> {
    pipe: P,
    lines: TextLines,
}

/// How far the end of the command has come.
#[derive(Clone, Copy)]
enum End {
    /// Nobody wants it to end.
    Open,
    /// It has closed its output, and should end by itself before this time.
    Awaited(Duration),
    /// It was asked to end before this time.
    Asked(Duration),
}

impl Run {
    pub(super) fn start(settings: &Settings, charset: Charset, context: &SourceContext) -> io::Result<Self> {
        let (settings, context) = (settings.clone(), context.clone());
        let mut group = Group::start(&mut settings.command())?;
        let command = group.command();
        let lines = TextLines::new(charset, settings.line_max_bytes);
        let output = command.stdout.take().map(|pipe| Stream { pipe, lines });
        let errors = command.stderr.take();
        let errors = errors.map(|pipe| Stream { pipe, lines: TextLines::new(charset, EXEC_ERROR_LINE_BYTES_MAX) });
        let clock = SystemClock::new();
        let due = clock.monotonic().saturating_add(settings.batch_wait);
        Ok(Self {
            settings,
            context,
            clock,
            group,
            output,
            errors,
            charset,
            refused: Kept::default(),
            pending: Vec::new(),
            pending_bytes: 0,
            due,
            piece: vec![0; EXEC_READ_BYTES],
        })
    }

    /// Reads until the command has ended, or until the source is asked to stop and it has had its time. After an error that
    /// can pass another call goes on where this one stopped; until then the command waits in its pipe.
    pub(super) fn read_to_end(&mut self, tell: &mut dyn FnMut(ExecReport)) -> Result<(), SourceError> {
        if !self.refused.is_empty() {
            self.flush()?;
            self.take_lines(true)?;
        }
        self.read_all(tell)?;
        self.flush()
    }

    /// Ends what is left of the command, and gives up what is not committed.
    pub(super) fn end(mut self, tell: &mut dyn FnMut(ExecReport)) {
        // Also what has no end.
        let left = self.output.as_mut().map_or(0, |output| std::iter::from_fn(|| output.lines.finish()).count());
        self.drop_events(self.refused.len() + self.pending.len() + left);
        let status = self.group.kill();
        tell(ExecReport::Ended(status));
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.context.shutdown().is_requested()
    }

    fn drop_events(&self, events: usize) {
        self.context.counters().dropped_events.fetch_add(events as u64, Ordering::Relaxed);
    }

    fn read_all(&mut self, tell: &mut dyn FnMut(ExecReport)) -> Result<(), SourceError> {
        let mut end = End::Open;
        loop {
            let now = self.clock.monotonic();
            let is_stopping = self.is_stopping();
            end = match end {
                End::Open if is_stopping => self.ask_to_end(now),
                End::Open if self.output.is_none() => End::Awaited(now + EXEC_EXIT),
                End::Awaited(until) if now >= until || is_stopping => self.ask_to_end(now),
                End::Asked(until) if now >= until => return Ok(()),
                unchanged => unchanged,
            };
            if !self.pending.is_empty() && now >= self.due {
                self.flush()?;
            }
            // ORDER: before the look at its pipes. What it wrote just before it ended is in them then.
            let has_ended = self.output.is_none() && self.group.status().is_some();
            let (output_ready, errors_ready) = self.wait(end, now).map_err(SourceError::retry)?;
            if has_ended && !errors_ready {
                return Ok(());
            }
            if output_ready {
                self.read_output()?;
            }
            if errors_ready {
                self.read_errors(tell);
            }
        }
    }

    fn ask_to_end(&self, now: Duration) -> End {
        self.group.ask_to_end();
        End::Asked(now + EXEC_STOP)
    }

    /// Waits until there is something to read, or something else to do. Says whether there is output, and whether there are
    /// errors.
    fn wait(&self, end: End, now: Duration) -> io::Result<(bool, bool)> {
        let mut limit = if matches!(end, End::Open) { WATCH_SLICE } else { EXEC_END_SLICE };
        if !self.pending.is_empty() {
            limit = limit.min(self.due.saturating_sub(now));
        }
        let output = self.output.as_ref().map(|output| output.pipe.as_fd());
        let errors = self.errors.as_ref().map(|errors| errors.pipe.as_fd());
        let watched = output.iter().chain(&errors).map(|pipe| PollFd::from_borrowed_fd(*pipe, PollFlags::IN));
        let mut watched: Vec<_> = watched.collect();
        match poll(&mut watched, Timespec::try_from(limit).ok().as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready = watched.iter().map(|pipe| !pipe.revents().is_empty());
        let output_ready = output.is_some() && ready.next() == Some(true);
        Ok((output_ready, errors.is_some() && ready.next() == Some(true)))
    }

    fn read_output(&mut self) -> Result<(), SourceError> {
        let Some(output) = &mut self.output else { return Ok(()) };
        let is_open = output.read(&mut self.piece);
        self.take_lines(is_open)
    }

    /// Takes the lines that were read, and if there is nothing more to come, the last one as well.
    fn take_lines(&mut self, is_open: bool) -> Result<(), SourceError> {
        while let Some(line) = self.output.as_mut().and_then(|output| output.line(is_open)) {
            let event = Event::new(body(self.charset, line));
            self.pending_bytes += cost(&event);
            self.pending.push(event);
            let is_full = self.pending.len() >= self.settings.batch_max || self.pending_bytes >= EXEC_BATCH_BYTES_MAX;
            if is_full || self.clock.monotonic() >= self.due {
                self.flush()?;
            }
        }
        if !is_open {
            self.output = None;
        }
        Ok(())
    }

    fn read_errors(&mut self, tell: &mut dyn FnMut(ExecReport)) {
        let Some(errors) = &mut self.errors else { return };
        let is_open = errors.read(&mut self.piece);
        while let Some(line) = errors.line(is_open) {
            let text = self.charset.decode(line, DecodeError::Replace).unwrap_or_default();
            tell(ExecReport::Error(String::from_utf8_lossy(&text).into_owned()));
        }
        if !is_open {
            self.errors = None;
        }
    }

    /// Commits what was read. A full channel is waited for, and meanwhile the command waits in its pipe.
    fn flush(&mut self) -> Result<(), SourceError> {
        let mut events = std::mem::take(&mut self.refused);
        events.append(&mut self.pending);
        self.pending_bytes = 0;
        let is_stopping = || self.is_stopping();
        let mut refusals = Refusals::default();
        let outcome = Delivery::new(&self.context, OnFull::Wait, &is_stopping).put_kept(events, &mut refusals);
        self.due = self.clock.monotonic().saturating_add(self.settings.batch_wait);
        let Err(Unusable { can_pass, kept, .. }) = outcome else {
            self.drop_events(refusals.events);
            return Ok(());
        };
        self.drop_events(refusals.events - kept.len());
        self.refused = kept;
        let text = format!("lines of {:?} cannot be put: {}", self.settings.program(), refusals.reason);
        Err(if can_pass { SourceError::retry(text) } else { SourceError::fatal(text) })
    }
}

impl<P: Read> Stream<P> {
    /// Reads what is there. Returns whether there may be more to come.
    fn read(&mut self, piece: &mut [u8]) -> bool {
        match self.pipe.read(piece) {
            Ok(0) => false,
            Ok(read) => {
                self.lines.push(piece.get(..read).unwrap_or_default());
                true
            }
            Err(error) => error.kind() == ErrorKind::Interrupted,
        }
    }

    fn line(&mut self, is_open: bool) -> Option<Bytes> {
        if is_open { self.lines.next_line() } else { self.lines.finish() }
    }
}

/// A line as the body of an event, in its own encoding.
fn body(charset: Charset, line: Bytes) -> Bytes {
    if charset.decode(line.clone(), DecodeError::Fail).is_ok() {
        return line;
    }
    let text = charset.decode(line, DecodeError::Replace).unwrap_or_default();
    let mut out = Vec::new();
    charset.encode(&String::from_utf8_lossy(&text), &mut out);
    out.into()
}
