//! As much of the encoding of Protocol Buffers as Flume's file channel uses: varints, fixed numbers, nested bytes.

use bytes::{Buf, Bytes};

/// The bytes end before, or do not mean, what they should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed {0}")]
pub(super) struct Malformed(pub(super) &'static str);

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Varint(u64),
    Fixed64(u64),
    Bytes(Bytes),
    Fixed32(u32),
}

impl Value {
    pub(super) fn fixed32(&self) -> Option<u32> {
        if let Self::Fixed32(value) = self { Some(*value) } else { None }
    }

    pub(super) fn fixed64(&self) -> Option<u64> {
        if let Self::Fixed64(value) = self { Some(*value) } else { None }
    }

    pub(super) fn bytes(self) -> Option<Bytes> {
        if let Self::Bytes(value) = self { Some(value) } else { None }
    }
}

/// A base-128 number of up to ten bytes.
pub(super) fn varint(bytes: &mut Bytes, what: &'static str) -> Result<u64, Malformed> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = bytes.try_get_u8().map_err(|_| Malformed(what))?;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed(what))
}

/// A message behind its length.
pub(super) fn delimited(bytes: &mut Bytes, what: &'static str) -> Result<Bytes, Malformed> {
    let len = usize::try_from(varint(bytes, what)?).map_err(|_| Malformed(what))?;
    if len > bytes.len() {
        return Err(Malformed(what));
    }
    Ok(bytes.split_to(len))
}

/// The next field of a message with its number; `None` at the end.
pub(super) fn field(message: &mut Bytes, what: &'static str) -> Result<Option<(u64, Value)>, Malformed> {
    if message.is_empty() {
        return Ok(None);
    }
    let key = varint(message, what)?;
    let malformed = |_| Malformed(what);
    let value = match key & 7 {
        0 => Value::Varint(varint(message, what)?),
        1 => Value::Fixed64(message.try_get_u64_le().map_err(malformed)?),
        2 => Value::Bytes(delimited(message, what)?),
        5 => Value::Fixed32(message.try_get_u32_le().map_err(malformed)?),
        _ => return Err(Malformed(what)),
    };
    Ok(Some((key >> 3, value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_kind_are_read_and_cut_ones_refused() {
        let bytes = Bytes::from_static(&[
            0x08, 0xAC, 0x02, 0x11, 1, 0, 0, 0, 0, 0, 0, 0, 0x1A, 3, b'a', b'b', b'c', 0x25, 7, 0, 0, 0,
        ]);
        let mut message = bytes.clone();
        let mut fields = Vec::new();
        while let Some(found) = field(&mut message, "test").unwrap() {
            fields.push(found);
        }
        let expected = [
            (1, Value::Varint(300)),
            (2, Value::Fixed64(1)),
            (3, Value::Bytes(Bytes::from_static(b"abc"))),
            (4, Value::Fixed32(7)),
        ];
        assert_eq!(fields, expected);
        for cut in [1, 2, 5, 13, 15, 19] {
            let mut message = bytes.slice(..cut);
            let result =
                std::iter::repeat_with(|| field(&mut message, "test")).find(|result| !matches!(result, Ok(Some(_))));
            assert_eq!(result, Some(Err(Malformed("test"))), "cut at {cut}");
        }
        assert!(varint(&mut Bytes::from_static(&[0xFF; 11]), "test").is_err());
    }
}
