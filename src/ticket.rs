//! Commit tickets: the outcome of a submitted transaction, to be waited for or awaited.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::error::{PutError, TakeError};
use crate::event::EventId;

/// The outcome of a submitted transaction.
///
/// The transaction runs whether or not anyone looks at its ticket: dropping a ticket gives up the knowledge of the
/// outcome, not the transaction. A ticket is a plain [`Future`] and needs no particular runtime; [`Ticket::wait`] blocks
/// instead.
#[must_use = "the outcome of the commit is known only to the ticket"]
pub struct Ticket<T>(Inner<T>);

/// The ticket of a put.
pub type PutTicket = Ticket<Result<Receipt, PutError>>;

/// The ticket of a take.
pub type TakeTicket = Ticket<Result<(), TakeError>>;

/// What an implementer of a channel gives for a transaction that is not decided at once.
pub trait RawTicket<T>: Send {
    /// Blocks until the outcome is known.
    fn wait(self: Box<Self>) -> T;

    /// The outcome, or the promise to wake the task once it is there.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<T>;
}

enum Inner<T> {
    Ready(Option<T>),
    Pending(Box<dyn RawTicket<T>>),
}

impl<T> Ticket<T> {
    /// A ticket whose outcome is known.
    pub fn ready(outcome: T) -> Self {
        Self(Inner::Ready(Some(outcome)))
    }

    /// A ticket whose outcome is still to come.
    pub fn pending(raw: Box<dyn RawTicket<T>>) -> Self {
        Self(Inner::Pending(raw))
    }

    /// Whether the outcome is known to the ticket itself, so that waiting for it takes no time.
    #[cfg(feature = "rpc")]
    pub(crate) fn is_decided(&self) -> bool {
        matches!(self.0, Inner::Ready(_))
    }

    /// Blocks until the outcome is known.
    ///
    /// # Panics
    /// If the ticket was polled to completion before.
    #[allow(clippy::expect_used)] // a second use of a finished ticket is the caller's mistake, as with any future
    pub fn wait(self) -> T {
        match self.0 {
            Inner::Ready(outcome) => outcome.expect("ticket used after it was polled to completion"),
            Inner::Pending(raw) => raw.wait(),
        }
    }
}

impl<T: Unpin> Future for Ticket<T> {
    type Output = T;

    #[allow(clippy::expect_used)] // see `wait`
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let outcome = match &mut self.0 {
            Inner::Ready(outcome) => outcome.take().expect("ticket polled after completion"),
            Inner::Pending(raw) => match raw.poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(outcome) => outcome,
            },
        };
        self.0 = Inner::Ready(None);
        Poll::Ready(outcome)
    }
}

impl<T> fmt::Debug for Ticket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.0 {
            Inner::Ready(Some(_)) => "ready",
            Inner::Ready(None) => "taken",
            Inner::Pending(_) => "pending",
        };
        f.debug_tuple("Ticket").field(&state).finish()
    }
}

/// What a committed put has to tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// Identity of the first event; the others follow it. `None` if the transaction had no event or the channel keeps
    /// no identities.
    pub first: Option<EventId>,
    /// Events that the channel accepted.
    pub events: u64,
    /// Events that the channel's overflow policy dropped: new ones of this transaction or old ones in its stead.
    pub dropped: u64,
    /// Events that the channel's overflow policy put into another channel.
    pub diverted: u64,
}

impl Receipt {
    /// A receipt for `events` accepted events, `dropped` ones besides; for implementers of channels.
    #[must_use]
    pub fn new(first: Option<EventId>, events: u64, dropped: u64) -> Self {
        Self { first, events, dropped, diverted: 0 }
    }
}
