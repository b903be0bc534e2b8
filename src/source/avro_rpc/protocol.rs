//! Avro, as sources of RPC see it.

use crate::event::Event;
use crate::limits::{AVRO_SHARED_BYTES_MAX, RPC_KEPT_BYTES};
use crate::rpc::avro::frame::{FrameReader, write_frame};
use crate::rpc::avro::server::{self, Handshake, Match};
use crate::rpc::avro::{Status, events};
use crate::source::rpc::{Answer, Call, Nonsense, Protocol};

/// The state of one connection.
pub(super) struct Avro {
    frames: FrameReader,
    // Of the frame that was read last.
    serial: u32,
    handshake: Handshake,
}

/// What is needed to answer, and to find the events in the frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    serial: u32,
    found: Match,
    form: Form,
    // Bytes at the end of the message.
    parameters: usize,
    events: usize,
    // Bytes of their headers and bodies.
    content: usize,
}

impl Request {
    /// Without events.
    fn none(found: Match) -> Self {
        Self { serial: 0, found, form: Form::None, parameters: 0, events: 0, content: 0 }
    }
}

#[derive(Clone, Copy, Debug)]
enum Form {
    None,
    One,
    Many,
}

impl Avro {
    pub(super) fn new(frame_bytes_max: usize) -> Self {
        Self { frames: FrameReader::new(frame_bytes_max), serial: 0, handshake: Handshake::default() }
    }

    /// How a request is answered whose handshake was not read: with an agreement, so that the client gets as far as to
    /// read the error.
    fn found_unread(&self) -> Match {
        if self.handshake.is_agreed() { Match::Agreed } else { Match::Both }
    }
}

impl Protocol for Avro {
    type Request = Request;

    fn read_frame(&mut self, input: &mut &[u8]) -> Result<bool, Nonsense<Request>> {
        match self.frames.read(input) {
            Ok(Some(serial)) => {
                self.serial = serial;
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(error) => {
                let found = self.found_unread();
                let request = self.frames.serial().map(|serial| Request { serial, ..Request::none(found) });
                Err(Nonsense { request, reason: error.to_string() })
            }
        }
    }

    fn room(&self) -> usize {
        self.frames.room()
    }

    fn place(&mut self, room: usize) -> &mut [u8] {
        self.frames.place(room)
    }

    fn placed(&mut self, bytes: usize) -> bool {
        let serial = self.frames.placed(bytes);
        self.serial = serial.unwrap_or(self.serial);
        serial.is_some()
    }

    fn held(&self) -> usize {
        self.frames.held()
    }

    fn is_idle(&self) -> bool {
        self.frames.is_idle()
    }

    fn parse(&mut self) -> Result<(Request, Call), Nonsense<Request>> {
        let mut request = Request { serial: self.serial, ..Request::none(Match::Agreed) };
        let unread = self.found_unread();
        let (found, call) = match self.handshake.read(self.frames.message()) {
            Ok(found) => found,
            Err(error) => {
                request.found = unread;
                return Err(Nonsense { request: Some(request), reason: error.to_string() });
            }
        };
        request.found = found;
        let (form, size, parameters) = match call {
            server::Call::Nothing => return Ok((request, Call::Nothing)),
            server::Call::Unknown(name) => {
                return Ok((
                    request,
                    Call::Refused(format!("there is no message {name:?}; try append or appendBatch")),
                ));
            }
            server::Call::Append(parameters) => (Form::One, events::size_of_one(parameters), parameters),
            server::Call::AppendBatch(parameters) => (Form::Many, events::size_of_many(parameters), parameters),
        };
        request.form = form;
        request.parameters = parameters.len();
        let call = match size {
            Ok(size) => {
                request.events = size.events;
                request.content = size.bytes.saturating_sub(size.events * size_of::<Event>());
                Call::Put { events: size.events, bytes: size.bytes }
            }
            Err(error) => Call::Refused(format!("malformed events: {error}")),
        };
        Ok((request, call))
    }

    fn events(&mut self, request: &Request) -> Result<Vec<Event>, String> {
        // A very long request would stay whole in memory for the last of its events, and one that carries little else than metadata
        // for nearly nothing that a channel counts.
        let shared_max = AVRO_SHARED_BYTES_MAX.min(request.content.saturating_mul(2));
        if matches!(request.form, Form::Many)
            && let Some(message) = self.frames.give_away(shared_max, RPC_KEPT_BYTES)
        {
            let found = events::share_many(&message, request.parameters, request.events);
            return found.map_err(|error| error.to_string());
        }
        let message = self.frames.message();
        let parameters = message.get(message.len() - request.parameters..).unwrap_or_default();
        let found = match request.form {
            Form::None => Ok(Vec::new()),
            Form::One => events::read_one(parameters).map(|event| vec![event]),
            Form::Many => events::read_many(parameters, request.events),
        };
        found.map_err(|error| error.to_string())
    }

    fn forget(&mut self) {
        self.frames.forget(RPC_KEPT_BYTES);
    }

    fn put_answer(&self, request: &Request, answer: &Answer, out: &mut Vec<u8>) {
        write_frame(request.serial, out, |out| {
            server::put_handshake(out, request.found);
            match answer {
                Answer::Nothing => {}
                Answer::Ok => server::put_status(out, Status::Ok),
                Answer::Failed => server::put_status(out, Status::Failed),
                Answer::Error(reason) => server::put_error(out, reason),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::avro::data::{put_bytes, put_long};
    use crate::rpc::avro::client;

    /// How many bytes of memory the body of an event holds on to, that comes in a request with so many bytes of metadata.
    fn held_by_an_event(body: usize, metadata: usize) -> usize {
        let mut avro = Avro::new(1 << 20);
        let mut frame = Vec::new();
        write_frame(1, &mut frame, |out| {
            let mut request = Vec::new();
            client::Handshake::default().put_request(&mut request, "appendBatch");
            // Instead of the empty metadata before the name.
            let name = request.len() - "appendBatch".len() - 2;
            out.extend_from_slice(&request[..name]);
            put_long(out, 1);
            put_bytes(out, b"name");
            put_bytes(out, &vec![7; metadata]);
            out.extend_from_slice(&request[name..]);
            events::put_events(out, &[Event::new(vec![1; body])]);
        });
        assert!(matches!(avro.read_frame(&mut &frame[..]), Ok(true)));
        let Ok((request, Call::Put { events: 1, .. })) = avro.parse() else { panic!("a request of one event") };
        let events = avro.events(&request).expect("an event");
        assert_eq!(events[0].body()[..], vec![1; body]);
        let whole = avro.frames.message().len();
        if whole == 0 { frame.len() } else { body }
    }

    #[test]
    fn events_share_a_request_only_if_they_are_most_of_it() {
        assert!(held_by_an_event(1000, 10) > 1000, "shared");
        assert_eq!(held_by_an_event(1000, 5000), 1000, "copied");
    }
}
