//! Requests as a client writes them, and the answers; see [`server`](super::server) for their form.

use super::Status;
use super::data::{Malformed, Reader, put_bytes, put_long};
use super::protocol::{self, HASH, Hash, TEXT};

/// The client's end of the agreement on the protocol of one connection.
#[derive(Debug, Default)]
pub(crate) struct Handshake {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    /// Nothing was said: the server is taken for one that has the same protocol.
    #[default]
    Guess,
    /// The server has to see the text, and has told its own hash.
    Explain(Hash),
    Agreed,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Status(Status),
    /// The call failed, in the server's words.
    Error(String),
    /// The call was not made: the server has to be told more first, with the same request again.
    SendAgain,
}

/// Why an answer makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error("malformed answer: {0}")]
    Malformed(#[from] Malformed),
    #[error("the server's protocol is not Flume's: {0}")]
    Protocol(String),
    #[error("the server does not accept the protocol that it was shown")]
    NoAgreement,
}

impl Handshake {
    /// Whether nothing has to be said about the protocol any more.
    pub(crate) fn is_agreed(&self) -> bool {
        matches!(self.state, State::Agreed)
    }

    /// Appends the beginning of a request, up to its parameters.
    pub(crate) fn put_request(&self, out: &mut Vec<u8>, name: &str) {
        let (text, server) = match self.state {
            State::Agreed => (None, None),
            State::Guess => (None, Some(HASH)),
            State::Explain(server) => (Some(TEXT), Some(server)),
        };
        if let Some(server) = server {
            out.extend_from_slice(&HASH);
            match text {
                None => put_long(out, 0),
                Some(text) => {
                    put_long(out, 1);
                    put_bytes(out, text.as_bytes());
                }
            }
            out.extend_from_slice(&server);
            // Metadata, empty but there, as Java sends it.
            out.extend_from_slice(&[2, 0]);
        }
        // No metadata.
        put_long(out, 0);
        put_bytes(out, name.as_bytes());
    }

    /// Reads an answer.
    pub(crate) fn read(&mut self, message: &[u8]) -> Result<Answer, AnswerError> {
        let mut reader = Reader::new(message);
        if !self.is_agreed() && !self.shake_hands(&mut reader)? {
            return Ok(Answer::SendAgain);
        }
        reader.skip_map("the metadata of an answer")?;
        let answer = match reader.fixed(1, "the kind of an answer")? {
            [0] => Answer::Status(match reader.branch(3, "a status")? {
                0 => Status::Ok,
                1 => Status::Failed,
                _ => Status::Unknown,
            }),
            [1] => {
                reader.branch(1, "the kind of an error")?;
                Answer::Error(reader.text("the text of an error")?.to_owned())
            }
            _ => return Err(Malformed::Range("the kind of an answer").into()),
        };
        reader.end()?;
        Ok(answer)
    }

    /// Whether there is an agreement now.
    fn shake_hands(&mut self, reader: &mut Reader<'_>) -> Result<bool, AnswerError> {
        let found = reader.branch(3, "the match of a handshake")?;
        let text = match reader.branch(2, "the protocol of the server")? {
            0 => None,
            _ => Some(reader.text("the protocol of the server")?),
        };
        let hash: Option<Hash> = match reader.branch(2, "the hash of the server")? {
            0 => None,
            _ => reader.fixed(size_of::<Hash>(), "the hash of the server")?.try_into().ok(),
        };
        if reader.branch(2, "the metadata of a handshake")? == 1 {
            reader.skip_map("the metadata of a handshake")?;
        }
        if let Some(difference) = text.and_then(protocol::difference) {
            return Err(AnswerError::Protocol(difference));
        }
        if found == 2 {
            if matches!(self.state, State::Explain(_)) {
                return Err(AnswerError::NoAgreement);
            }
            self.state = State::Explain(hash.unwrap_or(HASH));
            return Ok(false);
        }
        self.state = State::Agreed;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::server::{self, Call, Match};
    use super::*;
    use crate::testing::Random;

    fn request(handshake: &Handshake) -> Vec<u8> {
        let mut out = Vec::new();
        handshake.put_request(&mut out, "append");
        out
    }

    fn answer(found: Match) -> Vec<u8> {
        let mut out = Vec::new();
        server::put_handshake(&mut out, found);
        if found != Match::None {
            server::put_status(&mut out, Status::Ok);
        }
        out
    }

    #[test]
    fn the_first_request_is_the_one_of_flumes_own_client() {
        let mut handshake = Handshake::default();
        let expected = [&HASH[..], b"\x00", &HASH, b"\x02\x00\x00\x0cappend"].concat();
        assert_eq!(request(&handshake), expected);
        assert_eq!(handshake.read(&answer(Match::Both)), Ok(Answer::Status(Status::Ok)));
        assert_eq!(request(&handshake), b"\x00\x0cappend");
        assert_eq!(handshake.read(b"\x00\x00\x02"), Ok(Answer::Status(Status::Failed)));
        assert_eq!(handshake.read(b"\x00\x00\x04"), Ok(Answer::Status(Status::Unknown)));
        assert_eq!(handshake.read(b"\x00\x01\x00\x06bad"), Ok(Answer::Error("bad".to_owned())));
    }

    #[test]
    fn a_server_that_asks_for_the_protocol_gets_it_once() {
        let mut handshake = Handshake::default();
        assert_eq!(handshake.read(&answer(Match::None)), Ok(Answer::SendAgain));
        let again = request(&handshake);
        let mut server = server::Handshake::default();
        assert_eq!(server.read(&again), Ok((Match::Both, Call::Append(b""))));
        assert!(again.windows(TEXT.len()).any(|part| part == TEXT.as_bytes()));
        assert_eq!(handshake.read(&answer(Match::None)), Err(AnswerError::NoAgreement));
        assert_eq!(handshake.read(&answer(Match::Client)), Ok(Answer::Status(Status::Ok)));
        assert_eq!(request(&handshake), b"\x00\x0cappend");
    }

    #[test]
    fn a_server_of_another_protocol_is_an_error_with_the_difference() {
        let mut other = answer(Match::Client);
        let place = other.windows(6).position(|part| part == b"FAILED").unwrap();
        other[place] = b'f';
        let error = Handshake::default().read(&other).unwrap_err().to_string();
        assert!(error.contains("Status is not an enum"), "{error}");
    }

    #[test]
    fn any_bytes_are_an_answer_or_an_error() {
        let seed = Random::seed();
        println!("AQUEDUCT_SEED={seed}");
        let mut random = Random::new(seed);
        for found in [Match::Both, Match::Client, Match::None] {
            let good = answer(found);
            for length in 0..good.len() {
                assert!(Handshake::default().read(&good[..length]).is_err());
            }
            for _ in 0..2000 {
                let mut bad = good.clone();
                let at = random.index(bad.len());
                bad[at] = random.next_u64().to_le_bytes()[0];
                let _ = Handshake::default().read(&bad);
            }
        }
    }
}
