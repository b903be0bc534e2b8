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
mod tests;
