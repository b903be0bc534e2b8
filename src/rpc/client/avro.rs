//! Avro RPC over one connection.

use super::RpcError;
use super::host::Address;
use super::transport::{Settings, Transport};
use super::wire::Wire;
use crate::event::Event;
use crate::limits::{RPC_ANSWER_BYTES_MAX, RPC_READ_BYTES};
use crate::rpc::avro::client::{Answer, Handshake};
use crate::rpc::avro::frame::{FrameReader, write_frame};
use crate::rpc::avro::{Status, events};

/// A connection to a server that speaks Flume's Avro protocol.
#[derive(Debug)]
pub(super) struct AvroTransport {
    wire: Wire,
    address: String,
    request_timeout: std::time::Duration,
    handshake: Handshake,
    serial: u32,
    out: Vec<u8>,
}

impl AvroTransport {
    pub(super) fn connect(address: &Address, settings: &Settings) -> Result<Self, RpcError> {
        let wire = Wire::connect(address, settings)
            .map_err(|source| RpcError::Connect { address: address.to_string(), source })?;
        Ok(Self {
            wire,
            address: address.to_string(),
            request_timeout: settings.request_timeout,
            handshake: Handshake::default(),
            serial: 0,
            out: Vec::new(),
        })
    }

    fn call(&mut self, name: &str, put_parameters: &dyn Fn(&mut Vec<u8>)) -> Result<(), RpcError> {
        let deadline = self.wire.deadline(self.request_timeout);
        loop {
            self.serial = self.serial.wrapping_add(1);
            self.out.clear();
            let handshake = &self.handshake;
            write_frame(self.serial, &mut self.out, |out| {
                handshake.put_request(out, name);
                put_parameters(out);
            });
            self.wire.write_all(&self.out, deadline).map_err(|source| self.broken(source))?;
            match self.answer(deadline)? {
                Answer::Status(Status::Ok) => return Ok(()),
                Answer::Status(Status::Failed) => return Err(self.failed("FAILED")),
                Answer::Status(Status::Unknown) => return Err(self.failed("UNKNOWN")),
                Answer::Error(reason) => return Err(RpcError::Refused { address: self.address.clone(), reason }),
                Answer::SendAgain => {}
            }
        }
    }

    fn answer(&mut self, deadline: std::time::Duration) -> Result<Answer, RpcError> {
        let mut frames = FrameReader::new(RPC_ANSWER_BYTES_MAX);
        let mut buffer = [0; READ_BYTES];
        loop {
            let read = self.wire.read(&mut buffer, deadline).map_err(|source| self.broken(source))?;
            let mut received = buffer.get(..read).unwrap_or_default();
            match frames.read(&mut received) {
                Ok(None) => {}
                Ok(Some(serial)) if serial == self.serial && received.is_empty() => {
                    let answer = self.handshake.read(frames.message());
                    return answer.map_err(|error| self.protocol(error.to_string()));
                }
                Ok(Some(serial)) => {
                    return Err(self.protocol(format!("an answer to request {serial}, which was not made")));
                }
                Err(error) => return Err(self.protocol(error.to_string())),
            }
        }
    }

    fn broken(&self, source: std::io::Error) -> RpcError {
        RpcError::Broken { address: self.address.clone(), source }
    }

    fn failed(&self, status: &'static str) -> RpcError {
        RpcError::Failed { address: self.address.clone(), status }
    }

    fn protocol(&self, reason: String) -> RpcError {
        RpcError::Protocol { address: self.address.clone(), reason }
    }
}

impl Transport for AvroTransport {
    fn append(&mut self, event: &Event) -> Result<(), RpcError> {
        self.call("append", &|out| events::put_event(out, event))
    }

    fn append_batch(&mut self, batch: &[Event]) -> Result<(), RpcError> {
        let outcome = self.call("appendBatch", &|out| events::put_events(out, batch));
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
