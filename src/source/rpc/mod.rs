//! What the sources of Flume's RPC share, whatever the encoding: requests are read, committed and answered within limits.

mod methods;
mod session;

use std::time::Duration;

use super::net::{ListenerOptions, not_zero};
use crate::event::Event;
use crate::limits;
pub(crate) use methods::rpc_settings;
pub(crate) use session::Session;

/// When a client of an RPC source is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RpcAck {
    /// After the commit of its events to all required channels: what the client sees accepted is as durable as they are.
    /// What cannot be committed, such as for a full channel, is answered with the status `FAILED`, and the client has
    /// to send it again. This is what Flume does.
    #[default]
    AfterCommit,
    /// As soon as the events are received. What the channel does not take after that is lost and counted.
    OnReceipt,
}

/// An encoding of the requests, on one connection. Pure: bytes come in and go out.
pub(crate) trait Protocol {
    /// What the answer to a request has to know of it.
    type Request;

    /// Takes bytes from the front of `input`, up to the end of a frame. Returns whether there is a whole one.
    ///
    /// # Errors
    /// What is wrong, if it cannot be told where the next frame begins.
    fn read_frame(&mut self, input: &mut &[u8]) -> Result<bool, Nonsense<Self::Request>>;

    /// How many of the next bytes can be read to their [`place`](Self::place) in the frame, instead of being handed to
    /// [`read_frame`](Self::read_frame); 0 unless it is worth it. No more new memory than for what is held.
    fn room(&self) -> usize {
        0
    }

    /// The place of the next bytes, of which there is [`room`](Self::room) for so many.
    fn place(&mut self, room: usize) -> &mut [u8] {
        let _ = room;
        &mut []
    }

    /// Takes note that the first `bytes` of the [`place`](Self::place) were read. Returns whether there is a whole frame.
    fn placed(&mut self, bytes: usize) -> bool {
        let _ = bytes;
        false
    }

    /// Bytes that are held of the frame that is under way or whole.
    fn held(&self) -> usize;

    /// Whether no frame is under way.
    fn is_idle(&self) -> bool;

    /// What the whole frame asks for.
    ///
    /// # Errors
    /// What is wrong, if nothing that follows can be understood.
    fn parse(&mut self) -> Result<(Self::Request, Call), Nonsense<Self::Request>>;

    /// The events of a request to put some, whose size was told before.
    ///
    /// # Errors
    /// What is wrong with them.
    fn events(&mut self, request: &Self::Request) -> Result<Vec<Event>, String>;

    /// Forgets the whole frame.
    fn forget(&mut self);

    /// Appends the answer to a request.
    fn put_answer(&self, request: &Self::Request, answer: &Answer, out: &mut Vec<u8>);
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Nothing but an answer.
    Nothing,
    /// To put so many events, which take so many bytes in memory.
    Put { events: usize, bytes: usize },
    /// Something that is not to be had, for this reason.
    Refused(String),
}

/// Why a conversation has to end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Nonsense<R> {
    /// What to answer to, if that is known.
    pub(crate) request: Option<R>,
    /// What is wrong.
    pub(crate) reason: String,
}

/// What a request came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// There was nothing to do.
    Nothing,
    /// The events are accepted.
    Ok,
    /// They are not, and can be sent again.
    Failed,
    /// They are not, for this reason.
    Error(String),
}

/// What a connection needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) ack: RpcAck,
    pub(crate) frame_bytes_max: usize,
    pub(crate) batch_events_max: usize,
    pub(crate) idle_timeout: Duration,
    pub(crate) frame_timeout: Duration,
    pub(crate) silence_timeout: Duration,
    pub(crate) answer_timeout: Duration,
}

impl Settings {
    /// Settings with the defaults of [`limits`].
    pub(crate) fn new() -> Self {
        Self {
            ack: RpcAck::default(),
            frame_bytes_max: limits::RPC_FRAME_BYTES_MAX,
            batch_events_max: limits::TRANSACTION_EVENTS_MAX,
            idle_timeout: limits::RPC_IDLE,
            frame_timeout: limits::CONNECTION_FRAME,
            silence_timeout: limits::CONNECTION_SILENCE,
            answer_timeout: limits::CONNECTION_ANSWER,
        }
    }

    /// The options of a listener for these settings.
    pub(crate) fn listener() -> ListenerOptions {
        let mut options = ListenerOptions::new(limits::RPC_CONNECTION_BYTES, b"");
        options.keep_alive = Some(limits::CONNECTION_IDLE);
        options.bytes_in_flight_max = limits::RPC_BYTES_IN_FLIGHT_MAX;
        options.reserve_bytes = Self::reserve(limits::RPC_FRAME_BYTES_MAX);
        options
    }

    /// What one connection must be able to hold: a request, as received and as events.
    pub(crate) fn reserve(frame_bytes_max: usize) -> usize {
        frame_bytes_max.saturating_mul(2)
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        for (name, value) in [("frame_bytes_max", self.frame_bytes_max), ("batch_events_max", self.batch_events_max)] {
            if value == 0 {
                return Err(format!("{name} is 0, so that nothing could ever be received; it must be at least 1"));
            }
        }
        not_zero(&[
            ("idle_timeout", self.idle_timeout),
            ("frame_timeout", self.frame_timeout),
            ("silence_timeout", self.silence_timeout),
            ("answer_timeout", self.answer_timeout),
        ])
    }
}
