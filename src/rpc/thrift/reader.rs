//! Reading values of both encodings.

use super::data::{Malformed, ThriftProtocol, Type};
use crate::limits::THRIFT_DEPTH_MAX;

/// What is still to be read. Nothing is allocated; every length and count is checked against what is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    protocol: ThriftProtocol,
}

/// The head of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) id: i16,
    pub(crate) kind: Type,
    /// The value stands in the head, as booleans of the compact protocol do.
    is_complete: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], protocol: ThriftProtocol) -> Self {
        Self { rest: bytes, protocol }
    }

    /// Bytes that are left.
    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    /// That there is nothing left.
    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::Rest(self.rest.len())) }
    }

    pub(crate) fn byte(&mut self, what: &'static str) -> Result<u8, Malformed> {
        let (byte, rest) = self.rest.split_first().ok_or(Malformed::Short(what))?;
        self.rest = rest;
        Ok(*byte)
    }

    pub(crate) fn fixed(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed::Short(what))?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next field of a structure, whose last one was `last`; `None` at its end.
    pub(crate) fn field(&mut self, last: &mut i16) -> Result<Option<Field>, Malformed> {
        let head = self.byte(FIELD)?;
        if head == 0 {
            return Ok(None);
        }
        let kind = match self.protocol {
            ThriftProtocol::Compact => head & 0x0f,
            ThriftProtocol::Binary => head,
        };
        let kind = Type::of_code(kind, self.protocol).ok_or(Malformed::Type(FIELD))?;
        let compact = self.protocol == ThriftProtocol::Compact;
        *last = match i16::from(head >> 4) {
            step @ 1.. if compact => last.checked_add(step).ok_or(Malformed::Range(FIELD))?,
            _ if compact => {
                let number = unzigzag(self.varint(FIELD)?);
                i16::try_from(number).map_err(|_| Malformed::Range(FIELD))?
            }
            _ => match self.fixed(2, FIELD)? {
                [high, low] => (u16::from(*high) << 8 | u16::from(*low)).cast_signed(),
                _ => return Err(Malformed::Short(FIELD)),
            },
        };
        Ok(Some(Field { id: *last, kind, is_complete: compact && kind == Type::Bool }))
    }

    /// Passes over the value of a field.
    pub(crate) fn skip(&mut self, field: Field) -> Result<(), Malformed> {
        if field.is_complete { Ok(()) } else { self.skip_value(field.kind, THRIFT_DEPTH_MAX) }
    }

    pub(crate) fn i32(&mut self, what: &'static str) -> Result<i32, Malformed> {
        match self.protocol {
            ThriftProtocol::Binary => Ok(self.fixed_u32(what)?.cast_signed()),
            ThriftProtocol::Compact => i32::try_from(unzigzag(self.varint(what)?)).map_err(|_| Malformed::Range(what)),
        }
    }

    pub(crate) fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], Malformed> {
        let length = self.length(what)?;
        self.fixed(length, what)
    }

    pub(crate) fn text(&mut self, what: &'static str) -> Result<&'a str, Malformed> {
        str::from_utf8(self.bytes(what)?).map_err(|_| Malformed::Text(what))
    }

    /// The head of a list or set: the type of its values, and how many there are. Each has a byte at least.
    pub(crate) fn list(&mut self, what: &'static str) -> Result<(Type, usize), Malformed> {
        let head = self.byte(what)?;
        let (code, count) = match (self.protocol, head >> 4) {
            (ThriftProtocol::Compact, 15) => (head & 0x0f, self.length(what)?),
            (ThriftProtocol::Compact, count) => (head & 0x0f, usize::from(count)),
            (ThriftProtocol::Binary, _) => (head, self.length(what)?),
        };
        // The type of values that are not there does not matter, and some write none.
        let kind = Type::of_code(code, self.protocol).or((count == 0).then_some(Type::Byte));
        self.counted(count, 1, what)?;
        Ok((kind.ok_or(Malformed::Type(what))?, count))
    }

    /// The head of a map: the types of keys and values, and how many there are. Each has a byte at least.
    pub(crate) fn map(&mut self, what: &'static str) -> Result<(Type, Type, usize), Malformed> {
        let (key, value, count) = match self.protocol {
            ThriftProtocol::Compact => {
                let count = self.length(what)?;
                let types = if count == 0 { 0 } else { self.byte(what)? };
                (types >> 4, types & 0x0f, count)
            }
            ThriftProtocol::Binary => (self.byte(what)?, self.byte(what)?, self.length(what)?),
        };
        if count == 0 {
            return Ok((Type::Byte, Type::Byte, 0));
        }
        self.counted(count, 2, what)?;
        let kind = |code| Type::of_code(code, self.protocol).ok_or(Malformed::Type(what));
        Ok((kind(key)?, kind(value)?, count))
    }

    /// An unsigned number of up to 64 bits.
    pub(crate) fn varint(&mut self, what: &'static str) -> Result<u64, Malformed> {
        let mut number = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte(what)?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed::Range(what))
    }

    pub(crate) fn fixed_u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        Ok(self.fixed(4, what)?.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    /// A length or a count: what is negative in Thrift is out of its range here.
    fn length(&mut self, what: &'static str) -> Result<usize, Malformed> {
        let number = match self.protocol {
            ThriftProtocol::Compact => self.varint(what)?,
            ThriftProtocol::Binary => u64::from(self.fixed_u32(what)?),
        };
        match usize::try_from(number) {
            Ok(length) if i32::try_from(number).is_ok() => Ok(length),
            _ => Err(Malformed::Range(what)),
        }
    }

    /// That so many values can be there, so that no count makes anyone busy for nothing.
    fn counted(&self, count: usize, bytes_min: usize, what: &'static str) -> Result<(), Malformed> {
        if count <= self.rest.len() / bytes_min { Ok(()) } else { Err(Malformed::Range(what)) }
    }

    fn skip_value(&mut self, kind: Type, depth: usize) -> Result<(), Malformed> {
        let Some(depth) = depth.checked_sub(1) else { return Err(Malformed::Depth) };
        let compact = self.protocol == ThriftProtocol::Compact;
        match kind {
            Type::Bool | Type::Byte => self.byte(SKIPPED).map(drop),
            Type::I16 | Type::I32 | Type::I64 if compact => self.varint(SKIPPED).map(drop),
            Type::I16 => self.fixed(2, SKIPPED).map(drop),
            Type::I32 => self.fixed(4, SKIPPED).map(drop),
            Type::I64 | Type::Double => self.fixed(8, SKIPPED).map(drop),
            Type::Uuid => self.fixed(16, SKIPPED).map(drop),
            Type::Binary => self.bytes(SKIPPED).map(drop),
            Type::Struct => {
                let mut last = 0;
                while let Some(field) = self.field(&mut last)? {
                    if !field.is_complete {
                        self.skip_value(field.kind, depth)?;
                    }
                }
                Ok(())
            }
            Type::Set | Type::List => {
                let (kind, count) = self.list(SKIPPED)?;
                (0..count).try_for_each(|_| self.skip_value(kind, depth))
            }
            Type::Map => {
                let (key, value, count) = self.map(SKIPPED)?;
                for _ in 0..count {
                    self.skip_value(key, depth)?;
                    self.skip_value(value, depth)?;
                }
                Ok(())
            }
        }
    }
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

const FIELD: &str = "the head of a field";
const SKIPPED: &str = "the value of a field";

#[cfg(test)]
mod tests;
