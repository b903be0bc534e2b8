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
mod tests {
    use super::super::data::Writer;
    use super::ThriftProtocol::{Binary, Compact};
    use super::*;
    use crate::testing::Random;

    #[test]
    fn values_are_written_as_thrift_has_them_and_read_again() {
        for (number, compact, binary) in [
            (0, &b"\x00"[..], b"\0\0\0\0"),
            (-1, b"\x01", b"\xff\xff\xff\xff"),
            (150, b"\xac\x02", b"\0\0\0\x96"),
            (i32::MIN, b"\xff\xff\xff\xff\x0f", b"\x80\0\0\0"),
            (i32::MAX, b"\xfe\xff\xff\xff\x0f", b"\x7f\xff\xff\xff"),
        ] {
            for (protocol, bytes) in [(Compact, compact), (Binary, &binary[..])] {
                let mut out = Vec::new();
                Writer::new(&mut out, protocol).i32(number);
                assert_eq!(out, bytes, "{number}");
                let mut reader = Reader::new(&out, protocol);
                assert_eq!(reader.i32("it"), Ok(number));
                reader.end().unwrap();
                for length in 0..out.len() {
                    assert_eq!(Reader::new(&out[..length], protocol).i32("it"), Err(Malformed::Short("it")));
                }
            }
        }
        for (count, compact, binary) in [
            (0, &b"\x0c"[..], b"\x0c\0\0\0\0"),
            (14, b"\xec", b"\x0c\0\0\0\x0e"),
            (15, b"\xfc\x0f", b"\x0c\0\0\0\x0f"),
            (200, b"\xfc\xc8\x01", b"\x0c\0\0\0\xc8"),
        ] {
            for (protocol, bytes) in [(Compact, compact), (Binary, &binary[..])] {
                let mut out = Vec::new();
                Writer::new(&mut out, protocol).list(Type::Struct, count);
                assert_eq!(out, bytes);
                out.extend(vec![0; count]);
                assert_eq!(Reader::new(&out, protocol).list("it"), Ok((Type::Struct, count)));
                if count > 0 {
                    out.pop();
                    assert_eq!(Reader::new(&out, protocol).list("it"), Err(Malformed::Range("it")));
                }
            }
        }
    }

    #[test]
    fn fields_are_told_by_number_and_type() {
        for (protocol, bytes) in [
            (Compact, &b"\x15\x04\x21\x4c\0\x08\xc8\x01\x02hi\x00"[..]),
            (Binary, b"\x08\0\x01\0\0\0\x02\x02\0\x03\x01\x0c\0\x07\0\x0b\0\x64\0\0\0\x02hi\0"),
        ] {
            let mut reader = Reader::new(bytes, protocol);
            let mut last = 0;
            let mut found = Vec::new();
            while let Some(field) = reader.field(&mut last).unwrap() {
                found.push((field.id, field.kind));
                match field.id {
                    1 => assert_eq!(reader.i32("it"), Ok(2)),
                    100 => assert_eq!(reader.text("it"), Ok("hi")),
                    _ => reader.skip(field).unwrap(),
                }
            }
            assert_eq!(found, [(1, Type::I32), (3, Type::Bool), (7, Type::Struct), (100, Type::Binary)]);
            reader.end().unwrap();
        }
        let overflow = [&b"\x08\xfe\xff\x03\x00"[..], b"\x18\x00"].concat();
        let (mut reader, mut last) = (Reader::new(&overflow, Compact), 0);
        assert_eq!(reader.field(&mut last).unwrap().map(|field| field.id), Some(i16::MAX));
        reader.bytes("it").unwrap();
        assert_eq!(reader.field(&mut last), Err(Malformed::Range(FIELD)));
        assert_eq!(Reader::new(b"\x1e", Compact).field(&mut 0), Err(Malformed::Type(FIELD)));
        assert_eq!(Reader::new(b"\x05\0\x01", Binary).field(&mut 0), Err(Malformed::Type(FIELD)));
    }

    #[test]
    fn values_that_are_not_understood_are_passed_over_within_a_depth() {
        let deep = |protocol, levels: usize| {
            let (open, close) = match protocol {
                Compact => (&b"\x1c"[..], 0),
                Binary => (&b"\x0c\0\x01"[..], 0),
            };
            let mut bytes = open.repeat(levels);
            bytes.extend(vec![close; levels + 1]);
            let mut reader = Reader::new(&bytes, protocol);
            let field = reader.field(&mut 0).unwrap().unwrap();
            reader.skip(field)
        };
        for protocol in [Compact, Binary] {
            assert_eq!(deep(protocol, THRIFT_DEPTH_MAX), Ok(()));
            assert_eq!(deep(protocol, THRIFT_DEPTH_MAX + 1), Err(Malformed::Depth));
            assert_eq!(deep(protocol, 1_000_000), Err(Malformed::Depth));
        }
        // Lists in lists, each of one.
        let mut bytes = b"\x19".to_vec();
        bytes.extend(vec![0x19; 100_000]);
        let mut reader = Reader::new(&bytes, Compact);
        let field = reader.field(&mut 0).unwrap().unwrap();
        assert_eq!(reader.skip(field), Err(Malformed::Depth));
    }

    #[test]
    fn lengths_and_counts_are_checked_against_what_is_there() {
        for bomb in [&b"\xff\xff\xff\xff\x07"[..], b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"]
        {
            assert!(Reader::new(bomb, Compact).bytes("it").is_err());
            assert!(Reader::new(&[b"\xfc", bomb, &[0; 50]].concat(), Compact).list("it").is_err());
            assert!(Reader::new(&[bomb, b"\x88", &[0; 50]].concat(), Compact).map("it").is_err());
        }
        for bomb in [&b"\x7f\xff\xff\xff"[..], b"\xff\xff\xff\xff", b"\0\x01\0\0"] {
            assert!(Reader::new(bomb, Binary).bytes("it").is_err());
            assert!(Reader::new(&[b"\x0c", bomb, &[0; 50]].concat(), Binary).list("it").is_err());
            assert!(Reader::new(&[b"\x0b\x0b", bomb, &[0; 50]].concat(), Binary).map("it").is_err());
        }
        assert_eq!(Reader::new(b"\x00", Compact).map("it"), Ok((Type::Byte, Type::Byte, 0)));
        assert_eq!(Reader::new(b"\0\0\0\0\0\0", Binary).map("it"), Ok((Type::Byte, Type::Byte, 0)));
        assert_eq!(Reader::new(&[0xff; 11], Compact).varint("it"), Err(Malformed::Range("it")));
    }

    #[test]
    fn any_bytes_are_passed_over_or_an_error() {
        let seed = Random::seed();
        println!("AQUEDUCT_SEED={seed}");
        let mut random = Random::new(seed);
        for _ in 0..50_000 {
            let bytes: Vec<u8> = (0..random.index(60)).map(|_| random.next_u64().to_le_bytes()[0] & 0x9f).collect();
            for protocol in [Compact, Binary] {
                let mut reader = Reader::new(&bytes, protocol);
                let mut last = 0;
                while let Ok(Some(field)) = reader.field(&mut last) {
                    let before = reader.len();
                    if reader.skip(field).is_err() {
                        break;
                    }
                    assert!(reader.len() <= before);
                }
            }
        }
    }
}
