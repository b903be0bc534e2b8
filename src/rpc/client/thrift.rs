//! Thrift RPC over one connection.

use std::time::Duration;

use super::RpcError;
use super::host::Address;
use super::load::Requests;
use super::transport::{Settings, Transport};
use super::wire::Wire;
use crate::event::Event;
use crate::limits::{RPC_ANSWER_BYTES_MAX, RPC_READ_BYTES};
use crate::rpc::thrift::frame::{FrameReader, write_frame};
use crate::rpc::thrift::message::{self, Answer, Head, Kind};
use crate::rpc::thrift::{Status, ThriftProtocol, Writer, events};

/// A connection to a server that speaks Flume's Thrift protocol.
#[derive(Debug)]
pub(super) struct ThriftTransport {
    wire: Wire,
    address: String,
    protocol: ThriftProtocol,
    request_timeout: Duration,
    number: i32,
    out: Vec<u8>,
}

impl ThriftTransport {
    pub(super) fn connect(address: &Address, settings: &Settings, protocol: ThriftProtocol) -> Result<Self, RpcError> {
        let wire = Wire::connect(address, settings)
            .map_err(|source| RpcError::Connect { address: address.to_string(), source })?;
        let (address, request_timeout) = (address.to_string(), settings.request_timeout);
        Ok(Self { wire, address, protocol, request_timeout, number: 0, out: Vec::new() })
    }

    fn call(&mut self, name: &str, put_arguments: &dyn Fn(&mut Writer<'_>)) -> Result<(), RpcError> {
        let deadline = self.wire.deadline(self.request_timeout);
        self.number = self.number.wrapping_add(1);
        let call = Head { kind: Kind::Call, name, number: self.number };
        self.out.clear();
        write_frame(&mut self.out, |out| put_arguments(&mut message::put_head(out, self.protocol, call)));
        self.wire.write_all(&self.out, deadline).map_err(|source| self.broken(source))?;
        let status = match self.answer(call, deadline)? {
            Answer::Status(Status::Ok) => return Ok(()),
            Answer::Status(Status::Failed) => "FAILED",
            Answer::Status(Status::Error) => "ERROR",
            Answer::Status(Status::Unknown) => "UNKNOWN",
            Answer::Error(reason) => return Err(RpcError::Refused { address: self.address.clone(), reason }),
        };
        Err(RpcError::Failed { address: self.address.clone(), status })
    }

    fn answer(&mut self, call: Head<'_>, deadline: Duration) -> Result<Answer, RpcError> {
        let mut frames = FrameReader::new(RPC_ANSWER_BYTES_MAX);
        let mut buffer = [0; READ_BYTES];
        loop {
            let read = self.wire.read(&mut buffer, deadline).map_err(|source| self.broken(source))?;
            let mut received = buffer.get(..read).unwrap_or_default();
            match frames.read(&mut received) {
                Ok(false) => {}
                Ok(true) if received.is_empty() => {
                    let answer = message::read_answer(frames.message(), self.protocol, call);
                    return answer.map_err(|error| self.unexpected(error.to_string()));
                }
                Ok(true) => return Err(self.unexpected("more than one answer to one call".to_owned())),
                Err(error) => return Err(self.unexpected(error.to_string())),
            }
        }
    }

    fn broken(&self, source: std::io::Error) -> RpcError {
        RpcError::Broken { address: self.address.clone(), source }
    }

    fn unexpected(&self, reason: String) -> RpcError {
        RpcError::Protocol { address: self.address.clone(), reason }
    }
}

impl Transport for ThriftTransport {
    fn append(&mut self, event: &Event) -> Result<(), RpcError> {
        self.call("append", &|writer| events::put_one(writer, event))
    }

    fn append_batch(&mut self, requests: &mut Requests<'_>) -> Result<(), RpcError> {
        let Some(batch) = requests.next() else { return Ok(()) };
        let outcome = self.call("appendBatch", &|writer| events::put_many(writer, batch));
        // A batch that was larger than others leaves no memory behind.
        self.out.clear();
        self.out.shrink_to(16 * RPC_READ_BYTES);
        outcome.inspect(|()| requests.deliver(batch.len()))
    }

    fn is_alive(&mut self) -> bool {
        self.wire.is_quiet()
    }
}

/// Answers are short.
const READ_BYTES: usize = 4096;
