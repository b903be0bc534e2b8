//! Thrift, as the session has it.

use std::borrow::Cow;

use crate::event::Event;
use crate::limits::RPC_KEPT_BYTES;
use crate::rpc::ThriftProtocol;
use crate::rpc::thrift::frame::{FrameReader, write_frame};
use crate::rpc::thrift::message::{self, ErrorKind, Head, Kind};
use crate::rpc::thrift::{Reader, Status, events};
use crate::source::rpc::{Answer, Call, Nonsense, Protocol};

/// The state of one connection.
pub(super) struct Thrift {
    protocol: ThriftProtocol,
    frames: FrameReader,
}

/// What is needed to answer, and to find the events in the frame.
#[derive(Clone, Debug)]
pub(super) struct Request {
    name: Cow<'static, str>,
    number: i32,
    form: Form,
    // Bytes at the end of the message.
    arguments: usize,
    // If it is answered with an error.
    error: ErrorKind,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    None,
    One,
    Many,
}

impl Thrift {
    pub(super) fn new(protocol: ThriftProtocol, frame_bytes_max: usize) -> Self {
        Self { protocol, frames: FrameReader::new(frame_bytes_max) }
    }
}

impl Protocol for Thrift {
    type Request = Request;

    fn read_frame(&mut self, input: &mut &[u8]) -> Result<bool, Nonsense<Request>> {
        // Which request it is stands in the frame.
        self.frames.read(input).map_err(|error| Nonsense { request: None, reason: error.to_string() })
    }

    fn held(&self) -> usize {
        self.frames.held()
    }

    fn is_idle(&self) -> bool {
        self.frames.is_idle()
    }

    fn parse(&mut self) -> Result<(Request, Call), Nonsense<Request>> {
        let (head, arguments) = message::read_head(self.frames.message(), self.protocol)
            .map_err(|error| Nonsense { request: None, reason: error.to_string() })?;
        let mut request = Request {
            name: Cow::Borrowed(""),
            number: head.number,
            form: Form::None,
            arguments: arguments.len(),
            error: ErrorKind::Internal,
        };
        let size = match head.name {
            "append" => {
                (request.name, request.form) = (Cow::Borrowed("append"), Form::One);
                events::size_of_one(arguments)
            }
            "appendBatch" => {
                (request.name, request.form) = (Cow::Borrowed("appendBatch"), Form::Many);
                events::size_of_many(arguments)
            }
            other => {
                request.name = Cow::Owned(other.to_owned());
                request.error = ErrorKind::UnknownMethod;
                let reason = format!("there is no method {other:?}; try append or appendBatch");
                return Ok((request, Call::Refused(reason)));
            }
        };
        if !matches!(head.kind, Kind::Call | Kind::OneWay) {
            request.error = ErrorKind::MessageType;
            return Ok((request, Call::Refused("the message is not a call".to_owned())));
        }
        let call = match size {
            Ok(size) => Call::Put { events: size.events, bytes: size.bytes },
            Err(error) => {
                request.error = ErrorKind::Protocol;
                Call::Refused(format!("malformed events: {error}"))
            }
        };
        Ok((request, call))
    }

    fn events(&mut self, request: &Request) -> Result<Vec<Event>, String> {
        let message = self.frames.message();
        let arguments = message.get(message.len() - request.arguments..).unwrap_or_default();
        let arguments = Reader::new(arguments, self.protocol);
        let found = match request.form {
            Form::None => Ok(Vec::new()),
            Form::One => events::read_one(arguments).map(|event| vec![event]),
            Form::Many => events::read_many(arguments),
        };
        found.map_err(|error| error.to_string())
    }

    fn forget(&mut self) {
        self.frames.forget(RPC_KEPT_BYTES);
    }

    fn put_answer(&self, request: &Request, answer: &Answer, out: &mut Vec<u8>) {
        let call = Head { kind: Kind::Call, name: &request.name, number: request.number };
        write_frame(out, |out| match answer {
            Answer::Nothing | Answer::Ok => message::put_status(out, self.protocol, call, Status::Ok),
            Answer::Failed => message::put_status(out, self.protocol, call, Status::Failed),
            Answer::Error(reason) => message::put_error(out, self.protocol, call, request.error, reason),
        });
    }
}
