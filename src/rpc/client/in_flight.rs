//! Requests of one connection over Avro RPC and the answers to them, without I/O.

use std::collections::VecDeque;
use std::time::Duration;

use super::RpcError;
use crate::limits::RPC_ANSWER_BYTES_MAX;
use crate::rpc::avro::Status;
use crate::rpc::avro::client::{Answer, Handshake};
use crate::rpc::avro::frame::{FrameReader, write_frame};

/// The requests of a connection that are under way, and how far their answers have come.
#[derive(Debug)]
pub(super) struct InFlight {
    handshake: Handshake,
    frames: FrameReader,
    serial: u32,
    // The oldest first. One that was answered out of its turn stays until those before it are answered.
    requests: VecDeque<Request>,
}

#[derive(Debug)]
struct Request {
    serial: u32,
    events: usize,
    deadline: Duration,
    answered: Option<Answered>,
}

/// What has become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// So many events were accepted.
    Accepted(usize),
    /// Nothing: it has to be made again, with more of the handshake.
    SendAgain,
}

/// Why no request is made any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A request was answered with this status.
    Failed(&'static str),
    /// A request was answered with an error, in the server's words.
    Refused(String),
    /// An answer makes no sense.
    Protocol(String),
}

impl InFlight {
    pub(super) fn new() -> Self {
        let frames = FrameReader::new(RPC_ANSWER_BYTES_MAX);
        Self { handshake: Handshake::default(), frames, serial: 0, requests: VecDeque::new() }
    }

    /// Whether the server is known to have the protocol. Until then a request may have to be made again, so that there must
    /// be no other one behind it.
    pub(super) fn is_agreed(&self) -> bool {
        self.handshake.is_agreed()
    }

    /// Appends a request for so many events to `out`, whose answer must come before the deadline.
    pub(super) fn put_request(
        &mut self,
        out: &mut Vec<u8>,
        name: &str,
        (events, deadline): (usize, Duration),
        put_parameters: impl FnOnce(&mut Vec<u8>),
    ) {
        self.serial = self.serial.wrapping_add(1);
        let (serial, handshake) = (self.serial, &self.handshake);
        write_frame(serial, out, |out| {
            handshake.put_request(out, name);
            put_parameters(out);
        });
        self.requests.push_back(Request { serial, events, deadline, answered: None });
    }

    /// Requests that are under way.
    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    /// When the next answer must have come. Requests that began earlier end earlier.
    pub(super) fn deadline(&self) -> Duration {
        let waiting = self.requests.iter().find(|request| request.answered.is_none());
        waiting.or(self.requests.back()).map_or(Duration::ZERO, |request| request.deadline)
    }

    /// What the oldest request under way has come to, if that is known. It is not under way any more.
    pub(super) fn next_answered(&mut self) -> Option<Answered> {
        let answered = self.requests.front()?.answered?;
        self.requests.pop_front();
        Some(answered)
    }

    /// Takes what the server has sent.
    pub(super) fn take_in(&mut self, mut received: &[u8]) -> Result<(), Trouble> {
        while !received.is_empty() {
            match self.frames.read(&mut received) {
                Ok(Some(serial)) => self.read_answer(serial)?,
                Ok(None) => {}
                Err(error) => return Err(Trouble::Protocol(error.to_string())),
            }
        }
        let is_waiting = self.requests.iter().any(|request| request.answered.is_none());
        if is_waiting || self.frames.is_idle() {
            return Ok(());
        }
        Err(Trouble::Protocol("the beginning of an answer to no request".to_owned()))
    }

    fn read_answer(&mut self, serial: u32) -> Result<(), Trouble> {
        let is_asked = |request: &&mut Request| request.serial == serial && request.answered.is_none();
        let Some(request) = self.requests.iter_mut().find(is_asked) else {
            return Err(Trouble::Protocol(format!("an answer to request {serial}, which was not made")));
        };
        let answer = self.handshake.read(self.frames.message());
        let answer = answer.map_err(|error| Trouble::Protocol(error.to_string()))?;
        // One that was longer than others leaves no memory behind.
        self.frames.forget(KEPT_BYTES);
        request.answered = Some(match answer {
            Answer::Status(Status::Ok) => Answered::Accepted(request.events),
            Answer::SendAgain => Answered::SendAgain,
            Answer::Status(Status::Failed) => return Err(Trouble::Failed("FAILED")),
            Answer::Status(Status::Unknown) => return Err(Trouble::Failed("UNKNOWN")),
            Answer::Error(reason) => return Err(Trouble::Refused(reason)),
        });
        Ok(())
    }

    /// The trouble as an error of the connection to `address`.
    pub(super) fn error(&self, trouble: Trouble, address: &str) -> RpcError {
        let address = address.to_owned();
        let error = match trouble {
            Trouble::Failed(status) => RpcError::Failed { address, status },
            Trouble::Refused(reason) => RpcError::Refused { address, reason },
            Trouble::Protocol(reason) => return RpcError::Protocol { address, reason },
        };
        // Those that are known to be delivered do not count, nor does the one that failed.
        let unknown = self.requests.iter().skip_while(|request| request.answered.is_some()).count();
        if unknown > 1 { RpcError::InFlight { source: Box::new(error) } } else { error }
    }
}

/// Answers are short.
const KEPT_BYTES: usize = 4096;

#[cfg(test)]
mod tests;
