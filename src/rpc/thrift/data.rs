//! Thrift's two encodings: types, and how values are written.
//!
//! Binary: integers are big-endian and of fixed length; types are a byte. Compact: integers are varints, zigzag where they
//! have a sign; types are half a byte, together with how far the number of a field is from the one before.

/// How Thrift encodes its data. Both ends of a connection must do the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ThriftProtocol {
    /// Thrift's `TCompactProtocol`: Flume's default.
    #[default]
    Compact,
    /// Thrift's `TBinaryProtocol`, written with its version, read with and without.
    Binary,
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    Byte,
    I16,
    I32,
    I64,
    Double,
    /// Text and bytes.
    Binary,
    Struct,
    Map,
    Set,
    List,
    Uuid,
}

/// Why bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("ends too early: {0} is missing")]
    Short(&'static str),
    #[error("{0} is out of its range")]
    Range(&'static str),
    #[error("{0} is not UTF-8")]
    Text(&'static str),
    #[error("{0} is of a type that does not exist")]
    Type(&'static str),
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("structures are nested too deep")]
    Depth,
    #[error("{0} bytes are left over")]
    Rest(usize),
}

impl Type {
    pub(super) fn of_code(code: u8, protocol: ThriftProtocol) -> Option<Self> {
        let codes = match protocol {
            ThriftProtocol::Compact => &COMPACT[..],
            ThriftProtocol::Binary => &BINARY[..],
        };
        codes.iter().find(|(_, found)| *found == code).map(|(kind, _)| *kind)
    }

    fn code(self, protocol: ThriftProtocol) -> u8 {
        let codes = match protocol {
            ThriftProtocol::Compact => &COMPACT[..],
            ThriftProtocol::Binary => &BINARY[..],
        };
        codes.iter().find(|(found, _)| *found == self).map_or(0, |(_, code)| *code)
    }
}

/// The codes of types. In fields of the compact protocol, 1 is `true` and 2 is `false`; in collections either is a boolean.
const COMPACT: [(Type, u8); 13] = [
    (Type::Bool, 1),
    (Type::Bool, 2),
    (Type::Byte, 3),
    (Type::I16, 4),
    (Type::I32, 5),
    (Type::I64, 6),
    (Type::Double, 7),
    (Type::Binary, 8),
    (Type::List, 9),
    (Type::Set, 10),
    (Type::Map, 11),
    (Type::Struct, 12),
    (Type::Uuid, 13),
];
const BINARY: [(Type, u8); 12] = [
    (Type::Bool, 2),
    (Type::Byte, 3),
    (Type::Double, 4),
    (Type::I16, 6),
    (Type::I32, 8),
    (Type::I64, 10),
    (Type::Binary, 11),
    (Type::Struct, 12),
    (Type::Map, 13),
    (Type::Set, 14),
    (Type::List, 15),
    (Type::Uuid, 16),
];

/// Appends values. What is in memory is not longer than the encoding can say, as frames are limited.
#[derive(Debug)]
pub(crate) struct Writer<'o> {
    out: &'o mut Vec<u8>,
    protocol: ThriftProtocol,
}

impl<'o> Writer<'o> {
    pub(crate) fn new(out: &'o mut Vec<u8>, protocol: ThriftProtocol) -> Self {
        Self { out, protocol }
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// The head of field `id`, where the field before it in the structure is `last`; 0 if it is the first.
    pub(crate) fn field(&mut self, kind: Type, id: u8, last: u8) {
        let code = kind.code(self.protocol);
        match self.protocol {
            ThriftProtocol::Binary => self.raw(&[code, 0, id]),
            // One step or more from the last field fits into the byte of the type; the field 0 does not.
            ThriftProtocol::Compact if id > last => self.raw(&[(id - last) << 4 | code]),
            ThriftProtocol::Compact => {
                self.raw(&[code]);
                self.varint(u64::from(id) << 1);
            }
        }
    }

    /// The end of a structure.
    pub(crate) fn stop(&mut self) {
        self.raw(&[0]);
    }

    pub(crate) fn i32(&mut self, number: i32) {
        match self.protocol {
            ThriftProtocol::Binary => self.fixed(number.cast_unsigned()),
            ThriftProtocol::Compact => self.varint(u64::from((number << 1 ^ number >> 31).cast_unsigned())),
        }
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.raw(bytes);
    }

    /// The head of a list of so many values.
    pub(crate) fn list(&mut self, kind: Type, count: usize) {
        let code = kind.code(self.protocol);
        match (self.protocol, u8::try_from(count)) {
            (ThriftProtocol::Compact, Ok(count @ 0..15)) => self.raw(&[count << 4 | code]),
            (ThriftProtocol::Compact, _) => {
                self.raw(&[0xf0 | code]);
                self.length(count);
            }
            (ThriftProtocol::Binary, _) => {
                self.raw(&[code]);
                self.length(count);
            }
        }
    }

    /// The head of a map of so many entries.
    pub(crate) fn map(&mut self, key: Type, value: Type, count: usize) {
        let (key, value) = (key.code(self.protocol), value.code(self.protocol));
        match self.protocol {
            ThriftProtocol::Compact => {
                self.length(count);
                if count > 0 {
                    self.raw(&[key << 4 | value]);
                }
            }
            ThriftProtocol::Binary => {
                self.raw(&[key, value]);
                self.length(count);
            }
        }
    }

    pub(crate) fn varint(&mut self, mut number: u64) {
        while number > 0x7f {
            self.out.push(0x80 | low_byte(number) & 0x7f);
            number >>= 7;
        }
        self.out.push(low_byte(number));
    }

    fn length(&mut self, length: usize) {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        match self.protocol {
            ThriftProtocol::Compact => self.varint(u64::from(length)),
            ThriftProtocol::Binary => self.fixed(length),
        }
    }

    fn fixed(&mut self, number: u32) {
        let mut bytes = number.to_le_bytes();
        bytes.reverse();
        self.raw(&bytes);
    }
}

fn low_byte(number: u64) -> u8 {
    let [byte, ..] = number.to_le_bytes();
    byte
}
