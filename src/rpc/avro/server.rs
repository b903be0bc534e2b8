//! Requests as a server reads them, and its answers.
//!
//! ```text
//! request  = [handshake request, until one has come to an agreement]  metadata: map of bytes  name: text  parameters
//! answer   = [handshake answer, if the request had one]  metadata: map of bytes  error: boolean  result | error
//! ```
//!
//! A request without a name is about the handshake only, and so is the answer.

use super::Status;
use super::data::{Malformed, Reader, put_bytes, put_long};
use super::protocol::{self, HASH, Hash, KNOWN, TEXT};
use crate::limits::AVRO_PROTOCOL_BYTES_MAX;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call<'a> {
    /// The handshake only.
    Nothing,
    Append(&'a [u8]),
    AppendBatch(&'a [u8]),
    Unknown(&'a str),
}

/// The server's end of the agreement on the protocol of one connection.
#[derive(Debug, Default)]
pub(crate) struct Handshake {
    agreed: bool,
}

/// What the handshake in a request came to: the beginning of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// There was none: the agreement is older.
    Agreed,
    /// Both sides know each other's protocol.
    Both,
    /// The client has to learn the server's protocol.
    Client,
    /// The server does not know the client's protocol. The request is not served, and comes again with the text.
    None,
}

/// Why a request is not served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("malformed request: {0}")]
    Malformed(#[from] Malformed),
    #[error("the client's protocol is not Flume's: {0}")]
    Protocol(String),
}

impl Handshake {
    pub(crate) fn is_agreed(&self) -> bool {
        self.agreed
    }

    /// Reads a request.
    pub(crate) fn read<'a>(&mut self, message: &'a [u8]) -> Result<(Match, Call<'a>), RequestError> {
        let mut reader = Reader::new(message);
        let found = if self.agreed { Match::Agreed } else { self.shake_hands(&mut reader)? };
        if found == Match::None {
            return Ok((found, Call::Nothing));
        }
        reader.skip_map("the metadata of a request")?;
        let call = match reader.text("the name of a message")? {
            "" => Call::Nothing,
            "append" => Call::Append(reader.rest()),
            "appendBatch" => Call::AppendBatch(reader.rest()),
            other => Call::Unknown(other),
        };
        Ok((found, call))
    }

    fn shake_hands(&mut self, reader: &mut Reader<'_>) -> Result<Match, RequestError> {
        let client_hash = reader.fixed(size_of::<Hash>(), "the hash of the client")?;
        let text = match reader.branch(2, TEXT_OF_CLIENT)? {
            0 => None,
            _ => Some(reader.text(TEXT_OF_CLIENT)?),
        };
        let server_hash = reader.fixed(size_of::<Hash>(), "the hash of the server")?;
        if reader.branch(2, "the metadata of a handshake")? == 1 {
            reader.skip_map("the metadata of a handshake")?;
        }
        // As in Java, a hash that is known needs no text.
        if !KNOWN.iter().any(|known| known == client_hash) {
            match text {
                None => return Ok(Match::None),
                Some(text) if text.len() > AVRO_PROTOCOL_BYTES_MAX => {
                    return Err(Malformed::Range(TEXT_OF_CLIENT).into());
                }
                Some(text) => {
                    if let Some(difference) = protocol::difference(text) {
                        return Err(RequestError::Protocol(difference));
                    }
                }
            }
        }
        self.agreed = true;
        Ok(if server_hash == HASH { Match::Both } else { Match::Client })
    }
}

/// Appends the beginning of an answer. After [`Match::None`] that is all of it.
pub(crate) fn put_handshake(out: &mut Vec<u8>, found: Match) {
    match found {
        Match::Agreed => {}
        // The match, no protocol, no hash, no metadata.
        Match::Both => out.extend_from_slice(&[0, 0, 0, 0]),
        Match::Client | Match::None => {
            put_long(out, if found == Match::Client { 1 } else { 2 });
            put_long(out, 1);
            put_bytes(out, TEXT.as_bytes());
            put_long(out, 1);
            out.extend_from_slice(&HASH);
            put_long(out, 0);
        }
    }
}

/// Appends what a call came to.
pub(crate) fn put_status(out: &mut Vec<u8>, status: Status) {
    // No metadata, no error.
    out.extend_from_slice(&[0, 0]);
    put_long(
        out,
        match status {
            Status::Ok => 0,
            Status::Failed => 1,
            Status::Unknown => 2,
        },
    );
}

/// Appends an error in words, which Flume's clients show.
pub(crate) fn put_error(out: &mut Vec<u8>, text: &str) {
    // No metadata, an error, the first branch: a text.
    out.extend_from_slice(&[0, 1, 0]);
    put_bytes(out, text.as_bytes());
}

const TEXT_OF_CLIENT: &str = "the protocol of the client";

#[cfg(test)]
mod tests {
    use super::*;

    /// The first request that Flume's client makes, as it was recorded: `append` of an event without headers.
    const FIRST: &[u8] = b"\x86\xaa\xda\xe2\xc4\x54\x74\xc0\xfe\x93\xff\xd0\xf2\x35\x0a\x65\
        \x00\x86\xaa\xda\xe2\xc4\x54\x74\xc0\xfe\x93\xff\xd0\xf2\x35\x0a\x65\x02\x00\
        \x00\x0cappend\x00\x0aHello";

    fn request(client: Hash, text: Option<&str>, server: Hash, rest: &[u8]) -> Vec<u8> {
        let mut out = client.to_vec();
        put_long(&mut out, i64::from(text.is_some()));
        if let Some(text) = text {
            put_bytes(&mut out, text.as_bytes());
        }
        out.extend(server);
        out.push(0);
        out.extend(rest);
        out
    }

    #[test]
    fn flumes_own_client_is_understood_at_once() {
        let mut handshake = Handshake::default();
        assert_eq!(handshake.read(FIRST), Ok((Match::Both, Call::Append(b"\x00\x0aHello"))));
        let later = b"\x00\x16appendBatch\x02\x02\x02k\x02v\x00\x0aHello\x00";
        let expected = Call::AppendBatch(b"\x02\x02\x02k\x02v\x00\x0aHello\x00");
        assert_eq!(handshake.read(later), Ok((Match::Agreed, expected)));
        assert_eq!(handshake.read(b"\x00\x00"), Ok((Match::Agreed, Call::Nothing)));
        assert_eq!(handshake.read(b"\x02\x02k\x02v\x00\x02x"), Ok((Match::Agreed, Call::Unknown("x"))));
    }

    #[test]
    fn a_client_with_another_hash_has_to_show_its_protocol() {
        let other = [7; 16];
        let append = b"\x00\x0cappend\x00\x00";
        let mut handshake = Handshake::default();
        let without = request(other, None, other, append);
        assert_eq!(handshake.read(&without), Ok((Match::None, Call::Nothing)));
        assert_eq!(handshake.read(&without), Ok((Match::None, Call::Nothing)), "still not agreed");
        let with_text = request(other, Some(TEXT), HASH, append);
        assert_eq!(handshake.read(&with_text), Ok((Match::Both, Call::Append(b"\x00\x00"))));
        assert_eq!(handshake.read(append), Ok((Match::Agreed, Call::Append(b"\x00\x00"))));
    }

    #[test]
    fn a_client_that_expects_another_server_is_told_of_this_one() {
        for known in KNOWN {
            let found = Handshake::default().read(&request(known, None, known, b"\x00\x00")).map(|(found, _)| found);
            assert_eq!(found, Ok(if known == HASH { Match::Both } else { Match::Client }));
        }
        let mut out = Vec::new();
        put_handshake(&mut out, Match::Client);
        assert_eq!(out[..4], [2, 2, 0xec, 0x14], "CLIENT, a text of 1334 bytes");
        assert_eq!(out[4..4 + 1334], *TEXT.as_bytes());
        assert_eq!(out[4 + 1334..], [&[2][..], &HASH, &[0]].concat());
        out.clear();
        put_handshake(&mut out, Match::None);
        assert_eq!(out[0], 4);
    }

    #[test]
    fn a_client_of_another_protocol_is_refused_with_the_difference() {
        let other = TEXT.replace("\"values\":\"string\"", "\"values\":\"int\"");
        let error = Handshake::default().read(&request([7; 16], Some(&other), HASH, b"\x00\x00")).unwrap_err();
        assert!(error.to_string().contains("AvroFlumeEvent is not a record"), "{error}");
        let long = " ".repeat(AVRO_PROTOCOL_BYTES_MAX + 1);
        let error = Handshake::default().read(&request([7; 16], Some(&long), HASH, b"\x00\x00")).unwrap_err();
        assert_eq!(error, Malformed::Range(TEXT_OF_CLIENT).into());
    }

    #[test]
    fn answers_are_the_bytes_that_java_sends() {
        let answer = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            write(&mut out);
            out
        };
        assert_eq!(answer(&|out| put_handshake(out, Match::Both)), [0, 0, 0, 0]);
        assert!(answer(&|out| put_handshake(out, Match::Agreed)).is_empty());
        assert_eq!(answer(&|out| put_status(out, Status::Ok)), [0, 0, 0]);
        assert_eq!(answer(&|out| put_status(out, Status::Failed)), [0, 0, 2]);
        assert_eq!(answer(&|out| put_status(out, Status::Unknown)), [0, 0, 4]);
        assert_eq!(answer(&|out| put_error(out, "no")), b"\x00\x01\x00\x04no");
    }

    #[test]
    fn requests_cut_short_anywhere_are_malformed() {
        for length in 0..FIRST.len() - b"\x00\x0aHello".len() {
            assert!(matches!(Handshake::default().read(&FIRST[..length]), Err(RequestError::Malformed(_))), "{length}");
        }
        let mut branch = FIRST.to_vec();
        branch[16] = 4;
        assert_eq!(Handshake::default().read(&branch).unwrap_err(), Malformed::Range(TEXT_OF_CLIENT).into());
    }
}
