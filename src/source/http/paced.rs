//! The time limits of a connection, below HTTP.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long a client may take for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) first_byte: Duration,
    pub(super) idle: Duration,
    pub(super) head: Duration,
    pub(super) answer: Duration,
}

/// Whose turn it is on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The client has sent nothing yet.
    First,
    /// The client is between two requests.
    Idle,
    /// The head of a request has begun.
    Head,
    /// The source reads a body, with a time limit of its own, or works.
    Busy,
}

/// The turn, as the parts of a connection tell each other.
#[derive(Clone, Debug)]
pub(super) struct Turns(Arc<Mutex<State>>);

#[derive(Clone, Copy, Debug)]
struct State {
    turn: Turn,
    // How many there were before.
    number: u64,
    is_overdue: bool,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { turn: Turn::First, number: 0, is_overdue: false })))
    }

    pub(super) fn set(&self, turn: Turn) {
        let mut state = self.0.lock();
        state.turn = turn;
        state.number += 1;
    }

    pub(super) fn current(&self) -> Turn {
        self.0.lock().turn
    }

    /// Whether the client took too long for something.
    pub(super) fn is_overdue(&self) -> bool {
        self.0.lock().is_overdue
    }

    fn state(&self) -> State {
        *self.0.lock()
    }

    fn overdue(&self) -> io::Error {
        self.0.lock().is_overdue = true;
        io::Error::new(io::ErrorKind::TimedOut, "the client took too long")
    }
}

/// A stream that fails with `TimedOut` when the client takes too long.
#[derive(Debug)]
pub(super) struct Paced<S> {
    stream: S,
    turns: Turns,
    pace: Pace,
    // For the turn of this number.
    reading: Option<(u64, Pin<Box<Sleep>>)>,
    writing: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, turns: Turns, pace: Pace) -> Self {
        Self { stream, turns, pace, reading: None, writing: None }
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    /// Fails once the client has been waited for too long.
    fn wait_for_input(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let State { turn, number, .. } = self.turns.state();
        let limit = match turn {
            Turn::First => self.pace.first_byte,
            Turn::Idle => self.pace.idle,
            Turn::Head => self.pace.head,
            Turn::Busy => {
                self.reading = None;
                return Poll::Pending;
            }
        };
        if self.reading.as_ref().is_none_or(|(of, _)| *of != number) {
            self.reading = Some((number, Box::pin(sleep(limit))));
        }
        let timer = self.reading.as_mut().map(|(_, timer)| timer.as_mut().poll(cx));
        if timer.is_some_and(|outcome| outcome.is_ready()) { Poll::Ready(self.turns.overdue()) } else { Poll::Pending }
    }

    fn wait_for_output<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.writing = None;
            return outcome;
        }
        let limit = self.pace.answer;
        let timer = self.writing.get_or_insert_with(|| Box::pin(sleep(limit)));
        timer.as_mut().poll(cx).map(|()| Err(self.turns.overdue()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Pending => self.wait_for_input(cx).map(Err),
            outcome @ Poll::Ready(_) => {
                if buffer.filled().len() > before && matches!(self.turns.current(), Turn::First | Turn::Idle) {
                    self.turns.set(Turn::Head);
                }
                outcome
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wait_for_output(cx, outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.wait_for_output(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.wait_for_output(cx, outcome)
    }
}
