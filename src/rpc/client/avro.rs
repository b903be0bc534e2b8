//! Avro RPC over one connection.

use std::io;
use std::time::Duration;

use super::RpcError;
use super::host::Address;
use super::in_flight::{Answered, InFlight};
use super::load::Requests;
use super::transport::{Settings, Transport};
use super::wire::Wire;
use crate::event::Event;
use crate::limits::RPC_READ_BYTES;
use crate::rpc::avro::events;

/// A connection to a server that speaks Flume's Avro protocol.
#[derive(Debug)]
pub(super) struct AvroTransport {
    wire: Wire,
    address: String,
    request_timeout: Duration,
    in_flight: InFlight,
    out: Vec<u8>,
    // Whether the server was listened to since the last request.
    has_heard: bool,
}

impl AvroTransport {
    pub(super) fn connect(address: &Address, settings: &Settings) -> Result<Self, RpcError> {
        let wire = Wire::connect(address, settings)
            .map_err(|source| RpcError::Connect { address: address.to_string(), source })?;
        let (address, request_timeout) = (address.to_string(), settings.request_timeout);
        Ok(Self { wire, address, request_timeout, in_flight: InFlight::new(), out: Vec::new(), has_heard: false })
    }

    /// Makes one request and waits for its answer.
    fn call(&mut self, name: &str, put_parameters: &dyn Fn(&mut Vec<u8>)) -> Result<(), RpcError> {
        let deadline = self.wire.deadline(self.request_timeout);
        loop {
            self.send(name, (0, deadline), put_parameters)?;
            if self.await_oldest()? != Answered::SendAgain {
                return Ok(());
            }
        }
    }

    /// Makes the next request and waits for its answer.
    fn append_next(&mut self, requests: &mut Requests<'_>) -> Result<(), RpcError> {
        let Some(batch) = requests.next() else { return Ok(()) };
        self.call("appendBatch", &|out| events::put_events(out, batch))?;
        requests.deliver(batch.len());
        Ok(())
    }

    /// Makes all requests, a new one as long as not too many are under way.
    fn append_all(&mut self, requests: &mut Requests<'_>) -> Result<(), RpcError> {
        while !self.in_flight.is_agreed() && !requests.are_done() {
            self.append_next(requests)?;
        }
        while !requests.are_done() {
            if self.in_flight.len() < requests.in_flight()
                && let Some(batch) = requests.next()
            {
                // Nothing more is sent behind a request that is known to have failed.
                if !std::mem::take(&mut self.has_heard) && self.in_flight.len() > 0 {
                    self.hear()?;
                }
                let deadline = self.wire.deadline(self.request_timeout);
                self.send("appendBatch", (batch.len(), deadline), |out| events::put_events(out, batch))?;
            } else if let Answered::Accepted(events) = self.await_oldest()? {
                requests.deliver(events);
            }
            self.count_answered(requests);
        }
        Ok(())
    }

    /// Takes note of what is known to be delivered.
    fn count_answered(&mut self, requests: &mut Requests<'_>) {
        while let Some(Answered::Accepted(events)) = self.in_flight.next_answered() {
            requests.deliver(events);
        }
    }

    fn send(
        &mut self,
        name: &str,
        events_and_deadline: (usize, Duration),
        put_parameters: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), RpcError> {
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        self.in_flight.put_request(&mut out, name, events_and_deadline, put_parameters);
        let written = self.write(&out);
        self.out = out;
        written
    }

    /// Writes a request, and reads answers whenever that does not go on.
    ///
    /// A server that cannot write an answer, because answers before it fill the buffers of the network, may read nothing until
    /// it can. Would the client just wait until it can write, then both would wait for each other. It reads, too, so that
    /// the server gets on with its answers, whatever their size and that of the buffers, and then with reading. What is read
    /// is not more than one answer in part, of up to `RPC_ANSWER_BYTES_MAX`, and a word for each request under way.
    fn write(&mut self, mut rest: &[u8]) -> Result<(), RpcError> {
        while !self.write_now(&mut rest)? {
            if !self.hear()? {
                let deadline = self.in_flight.deadline();
                self.wire.wait_for_either(deadline).map_err(|source| self.broken(source))?;
            }
        }
        Ok(())
    }

    /// Writes what can be written without a wait. Returns whether that was all.
    fn write_now(&mut self, rest: &mut &[u8]) -> Result<bool, RpcError> {
        let written = self.wire.write_now(rest);
        if written.is_err() {
            // What the server said before it closed the connection is still there.
            while self.hear()? {}
        }
        written.map_err(|source| self.broken(source))
    }

    /// Waits for the answer to the oldest request.
    fn await_oldest(&mut self) -> Result<Answered, RpcError> {
        loop {
            if let Some(answered) = self.in_flight.next_answered() {
                return Ok(answered);
            }
            let mut buffer = [0; READ_BYTES];
            let read = self.wire.read(&mut buffer, self.in_flight.deadline());
            let read = read.map_err(|source| self.broken(source))?;
            self.has_heard = read < buffer.len();
            self.take_in(buffer.get(..read).unwrap_or_default())?;
        }
    }

    /// Takes what the server has said by now. Returns whether there was something.
    fn hear(&mut self) -> Result<bool, RpcError> {
        let mut buffer = [0; READ_BYTES];
        let read = self.wire.read_now(&mut buffer).map_err(|source| self.broken(source))?;
        let Some(read) = read else { return Ok(false) };
        self.take_in(buffer.get(..read).unwrap_or_default())?;
        Ok(true)
    }

    fn take_in(&mut self, received: &[u8]) -> Result<(), RpcError> {
        let taken = self.in_flight.take_in(received);
        taken.map_err(|trouble| self.in_flight.error(trouble, &self.address))
    }

    fn broken(&self, source: io::Error) -> RpcError {
        RpcError::Broken { address: self.address.clone(), source }
    }
}

impl Transport for AvroTransport {
    fn append(&mut self, event: &Event) -> Result<(), RpcError> {
        self.call("append", &|out| events::put_event(out, event))
    }

    fn append_batch(&mut self, requests: &mut Requests<'_>) -> Result<(), RpcError> {
        let outcome = if requests.in_flight() > 1 {
            let outcome = self.append_all(requests);
            self.count_answered(requests);
            outcome
        } else {
            self.append_next(requests)
        };
        // A batch that was larger than others leaves no memory behind.
        self.out.clear();
        self.out.shrink_to(16 * RPC_READ_BYTES);
        outcome
    }

    fn is_alive(&mut self) -> bool {
        self.wire.is_quiet()
    }
}

/// Answers are short.
const READ_BYTES: usize = 4096;
