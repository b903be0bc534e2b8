//! Messages: calls and answers.
//!
//! ```text
//! message  = kind  name of the method  number  structure
//! call     = the arguments, field 1
//! answer   = field 0, a status; or, with a kind of its own, an error: field 1, a text, and field 2, a kind
//! ```
//!
//! An answer has the name and the number of its call.

use super::Status;
use super::data::{Malformed, ThriftProtocol, Type, Writer};
use super::reader::Reader;
use crate::limits::THRIFT_NAME_BYTES_MAX;

/// The beginning of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    pub(crate) kind: Kind,
    pub(crate) name: &'a str,
    pub(crate) number: i32,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Call,
    Reply,
    Exception,
    /// A call that wants no answer. Flume has none.
    OneWay,
}

/// Kinds of errors, as Thrift numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    UnknownMethod,
    MessageType,
    Internal,
    Protocol,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Status(Status),
    /// The call failed, in the server's words.
    Error(String),
}

/// Why an answer makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error("malformed answer: {0}")]
    Malformed(#[from] Malformed),
    #[error("an answer to another call: {0}")]
    Other(String),
}

/// Reads the beginning of a message; what is left are the arguments, or the answer.
pub(crate) fn read_head(message: &[u8], protocol: ThriftProtocol) -> Result<(Head<'_>, Reader<'_>), Malformed> {
    let mut reader = Reader::new(message, protocol);
    let head = match protocol {
        ThriftProtocol::Compact => {
            if reader.byte(HEAD)? != COMPACT_ID {
                return Err(Malformed::Range("the mark of the compact protocol"));
            }
            let version = reader.byte(HEAD)?;
            if version & 0x1f != COMPACT_VERSION {
                return Err(Malformed::Range("the version of the compact protocol"));
            }
            let kind = Kind::of_code(version >> 5)?;
            // Of 32 bits, with or without a sign: Java writes the bits as they are.
            let number = u32::try_from(reader.varint(HEAD)?).map_err(|_| Malformed::Range(HEAD))?.cast_signed();
            Head { kind, name: name(&mut reader)?, number }
        }
        ThriftProtocol::Binary => {
            let mut ahead = reader;
            let version = ahead.fixed_u32(HEAD)?;
            if version & 0x8000_0000 == 0 {
                // Without a version, as the oldest clients write it: this is the length of the name.
                let name = name(&mut reader)?;
                Head { kind: Kind::of_code(reader.byte(HEAD)?)?, name, number: reader.i32(HEAD)? }
            } else if version & 0xffff_ff00 == BINARY_VERSION {
                reader = ahead;
                let [kind, ..] = version.to_le_bytes();
                Head { kind: Kind::of_code(kind)?, name: name(&mut reader)?, number: reader.i32(HEAD)? }
            } else {
                return Err(Malformed::Range("the version of the binary protocol"));
            }
        }
    };
    Ok((head, reader))
}

/// Begins a message.
pub(crate) fn put_head<'o>(out: &'o mut Vec<u8>, protocol: ThriftProtocol, head: Head<'_>) -> Writer<'o> {
    let mut writer = Writer::new(out, protocol);
    match protocol {
        ThriftProtocol::Compact => {
            writer.raw(&[COMPACT_ID, COMPACT_VERSION | head.kind.code() << 5]);
            writer.varint(u64::from(head.number.cast_unsigned()));
            writer.bytes(head.name.as_bytes());
        }
        ThriftProtocol::Binary => {
            writer.i32((BINARY_VERSION | u32::from(head.kind.code())).cast_signed());
            writer.bytes(head.name.as_bytes());
            writer.i32(head.number);
        }
    }
    writer
}

/// Appends the answer to a call.
pub(crate) fn put_status(out: &mut Vec<u8>, protocol: ThriftProtocol, call: Head<'_>, status: Status) {
    let mut writer = put_head(out, protocol, Head { kind: Kind::Reply, ..call });
    writer.field(Type::I32, 0, 0);
    writer.i32(match status {
        Status::Ok => 0,
        Status::Failed => 1,
        Status::Error => 2,
        Status::Unknown => 3,
    });
    writer.stop();
}

/// Appends an error as the answer to a call.
pub(crate) fn put_error(out: &mut Vec<u8>, protocol: ThriftProtocol, call: Head<'_>, kind: ErrorKind, text: &str) {
    let mut writer = put_head(out, protocol, Head { kind: Kind::Exception, ..call });
    writer.field(Type::Binary, 1, 0);
    writer.bytes(text.as_bytes());
    writer.field(Type::I32, 2, 1);
    writer.i32(match kind {
        ErrorKind::UnknownMethod => 1,
        ErrorKind::MessageType => 2,
        ErrorKind::Internal => 6,
        ErrorKind::Protocol => 7,
    });
    writer.stop();
}

/// Reads the answer to `call`.
pub(crate) fn read_answer(message: &[u8], protocol: ThriftProtocol, call: Head<'_>) -> Result<Answer, AnswerError> {
    let (head, mut reader) = read_head(message, protocol)?;
    if head.number != call.number || head.name != call.name {
        return Err(AnswerError::Other(format!("{} number {}", head.name, head.number)));
    }
    let is_error = match head.kind {
        Kind::Reply => false,
        Kind::Exception => true,
        Kind::Call | Kind::OneWay => return Err(Malformed::Range("the kind of an answer").into()),
    };
    let (mut status, mut text) = (None, "no reason is given");
    let mut last = 0;
    while let Some(field) = reader.field(&mut last)? {
        match (field.id, field.kind) {
            (0, Type::I32) if !is_error => status = Some(reader.i32(STATUS)?),
            (1, Type::Binary) if is_error => text = reader.text("the text of an error")?,
            _ => reader.skip(field)?,
        }
    }
    reader.end()?;
    if is_error {
        return Ok(Answer::Error(text.to_owned()));
    }
    Ok(Answer::Status(match status {
        Some(0) => Status::Ok,
        Some(1) => Status::Failed,
        Some(2) => Status::Error,
        Some(_) => Status::Unknown,
        None => return Err(Malformed::Missing(STATUS).into()),
    }))
}

fn name<'a>(reader: &mut Reader<'a>) -> Result<&'a str, Malformed> {
    let name = reader.text(NAME)?;
    if name.len() > THRIFT_NAME_BYTES_MAX { Err(Malformed::Range(NAME)) } else { Ok(name) }
}

impl Kind {
    fn of_code(code: u8) -> Result<Self, Malformed> {
        match code {
            1 => Ok(Self::Call),
            2 => Ok(Self::Reply),
            3 => Ok(Self::Exception),
            4 => Ok(Self::OneWay),
            _ => Err(Malformed::Range("the kind of a message")),
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::Call => 1,
            Self::Reply => 2,
            Self::Exception => 3,
            Self::OneWay => 4,
        }
    }
}

const COMPACT_ID: u8 = 0x82;
const COMPACT_VERSION: u8 = 1;
const BINARY_VERSION: u32 = 0x8001_0000;
const HEAD: &str = "the head of a message";
const NAME: &str = "the name of a method";
const STATUS: &str = "a status";

#[cfg(test)]
mod tests;
