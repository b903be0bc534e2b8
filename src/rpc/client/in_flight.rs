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
mod tests {
    use super::*;
    use crate::testing::Random;

    const OK: &[u8] = &[0, 0, 0];

    /// With so many requests of ten events under way on a connection that is agreed upon.
    fn in_flight(requests: usize) -> InFlight {
        let mut in_flight = InFlight::new();
        put(&mut in_flight);
        in_flight.take_in(&answer(1, &[0; 7])).unwrap();
        assert_eq!(in_flight.next_answered(), Some(Answered::Accepted(10)));
        assert!(in_flight.is_agreed());
        (0..requests).for_each(|_| put(&mut in_flight));
        in_flight
    }

    fn put(in_flight: &mut InFlight) {
        let deadline = Duration::from_secs(u64::from(in_flight.serial));
        in_flight.put_request(&mut Vec::new(), "appendBatch", (10, deadline), |_| {});
    }

    fn answer(serial: u32, content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_frame(serial, &mut out, |out| out.extend_from_slice(content));
        out
    }

    #[test]
    fn answers_count_in_the_order_of_the_requests_however_they_come() {
        let mut in_flight = in_flight(3);
        assert_eq!(in_flight.deadline(), Duration::from_secs(1));
        in_flight.take_in(&[answer(4, OK), answer(3, OK)].concat()).unwrap();
        assert_eq!((in_flight.next_answered(), in_flight.len()), (None, 3));
        // Byte by byte.
        answer(2, OK).iter().for_each(|byte| in_flight.take_in(&[*byte]).unwrap());
        (0..3).for_each(|_| assert_eq!(in_flight.next_answered(), Some(Answered::Accepted(10))));
        assert_eq!((in_flight.next_answered(), in_flight.len()), (None, 0));
    }

    #[test]
    fn the_next_answer_must_come_before_the_deadline_of_the_oldest_request_without_one() {
        let mut in_flight = in_flight(3);
        in_flight.take_in(&answer(3, OK)).unwrap();
        assert_eq!(in_flight.deadline(), Duration::from_secs(1));
        in_flight.take_in(&answer(2, OK)).unwrap();
        assert_eq!(in_flight.deadline(), Duration::from_secs(3));
    }

    #[test]
    fn what_is_known_after_a_refusal_depends_on_the_others() {
        for (requests, before, refused, is_unknown) in [
            (1, vec![], 2, false),
            (3, vec![2, 3], 4, false),
            (3, vec![], 4, true),
            (3, vec![4, 3], 2, true),
            (3, vec![2], 3, true),
        ] {
            let mut in_flight = in_flight(requests);
            before.iter().for_each(|serial| in_flight.take_in(&answer(*serial, OK)).unwrap());
            let trouble = in_flight.take_in(&answer(refused, &[0, 0, 2])).unwrap_err();
            let error = in_flight.error(trouble, "here");
            assert_eq!(error.is_outcome_unknown(), is_unknown, "{before:?}, {refused}: {error}");
        }
    }

    #[test]
    fn what_nobody_asked_for_is_trouble() {
        for bytes in [answer(9, OK), answer(1, OK), [answer(2, OK), answer(2, OK)].concat()] {
            let Err(Trouble::Protocol(reason)) = in_flight(3).take_in(&bytes) else { panic!("{bytes:?}") };
            assert!(reason.contains("which was not made"), "{reason}");
        }
        // Also if only a part has come.
        let begun = [answer(2, OK), vec![0]].concat();
        assert!(matches!(in_flight(1).take_in(&begun), Err(Trouble::Protocol(_))));
        assert_eq!(in_flight(2).take_in(&begun), Ok(()));
    }

    #[test]
    fn any_bytes_are_answers_or_trouble() {
        let seed = Random::seed();
        println!("AQUEDUCT_SEED={seed}");
        let mut random = Random::new(seed);
        let good = [answer(3, OK), answer(2, OK), answer(4, b"\0\x01\0\x06bad")].concat();
        for _ in 0..10_000 {
            let mut bytes = good.clone();
            let at = random.index(bytes.len());
            bytes[at] = random.next_u64().to_le_bytes()[0];
            let mut in_flight = in_flight(3);
            let outcome = bytes.chunks(1 + random.index(9)).try_for_each(|chunk| in_flight.take_in(chunk));
            let known = std::iter::from_fn(|| in_flight.next_answered()).count();
            assert!(known + in_flight.len() == 3, "{outcome:?}");
        }
    }
}
