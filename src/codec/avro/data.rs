//! Avro's binary encoding, as far as the messages need it.
//!
//! Integers are zigzag varints. Text and bytes have their length before them. Maps and arrays are blocks of a count and so
//! many items, ended by a count of 0; a negative count is followed by the length of the block in bytes.

/// Why bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("ends too early: {0} is missing")]
    Short(&'static str),
    #[error("{0} is out of its range")]
    Range(&'static str),
    #[error("{0} is not UTF-8")]
    Text(&'static str),
    #[error("{0} bytes are left over")]
    Rest(usize),
}

/// What is still to be read. Nothing is allocated; every length and count is checked against what is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// That there is nothing left.
    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed::Rest(self.0.len())) }
    }

    #[inline]
    pub(crate) fn long(&mut self, what: &'static str) -> Result<i64, Malformed> {
        // Most numbers are short.
        match self.0 {
            [byte @ 0..=0x7f, rest @ ..] => {
                self.0 = rest;
                Ok(unzigzag(u64::from(*byte)))
            }
            [low, high @ 0..=0x7f, rest @ ..] => {
                self.0 = rest;
                Ok(unzigzag(u64::from(low & 0x7f) | u64::from(*high) << 7))
            }
            _ => self.long_of_many(what),
        }
    }

    #[inline(never)]
    fn long_of_many(&mut self, what: &'static str) -> Result<i64, Malformed> {
        let mut number = 0_u64;
        for (index, byte) in self.0.iter().enumerate() {
            let bits = u64::from(byte & 0x7f);
            let shift = 7 * u32::try_from(index).unwrap_or(u32::MAX);
            if shift > 63 || (shift == 63 && bits > 1) {
                return Err(Malformed::Range(what));
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                self.0 = self.0.get(index + 1..).unwrap_or_default();
                return Ok(unzigzag(number));
            }
        }
        Err(Malformed::Short(what))
    }

    #[inline]
    pub(crate) fn fixed(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed::Short(what))?;
        self.0 = rest;
        Ok(taken)
    }

    #[inline]
    pub(crate) fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.long(what)?).map_err(|_| Malformed::Range(what))?;
        self.fixed(length, what)
    }

    pub(crate) fn text(&mut self, what: &'static str) -> Result<&'a str, Malformed> {
        str::from_utf8(self.bytes(what)?).map_err(|_| Malformed::Text(what))
    }

    /// The number of items in the next block, 0 at the end. Each item has at least `item_bytes_min` bytes.
    #[inline]
    pub(crate) fn block(&mut self, item_bytes_min: usize, what: &'static str) -> Result<usize, Malformed> {
        let count = self.long(what)?;
        if count < 0 {
            let bytes = usize::try_from(self.long(what)?).map_err(|_| Malformed::Range(what))?;
            if bytes > self.0.len() {
                return Err(Malformed::Short(what));
            }
        }
        // Not beyond what the bytes that are there can hold, so that no count makes anyone busy for nothing.
        match usize::try_from(count.unsigned_abs()) {
            Ok(count) if count <= self.0.len() / item_bytes_min => Ok(count),
            _ => Err(Malformed::Range(what)),
        }
    }

    /// Passes over a map of bytes.
    pub(crate) fn skip_map(&mut self, what: &'static str) -> Result<(), Malformed> {
        loop {
            match self.block(2, what)? {
                0 => return Ok(()),
                count => {
                    for _ in 0..count {
                        self.bytes(what)?;
                        self.bytes(what)?;
                    }
                }
            }
        }
    }

    /// Which branch of a union comes next.
    pub(crate) fn branch(&mut self, branches: u8, what: &'static str) -> Result<u8, Malformed> {
        u8::try_from(self.long(what)?).ok().filter(|found| *found < branches).ok_or(Malformed::Range(what))
    }
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

#[inline]
pub(crate) fn put_long(out: &mut Vec<u8>, number: i64) {
    let mut rest = (number << 1 ^ number >> 63).cast_unsigned();
    while rest > 0x7f {
        out.push(0x80 | u8::try_from(rest & 0x7f).unwrap_or(0));
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap_or(0));
}

#[inline]
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    // What is in memory is not longer than an i64 can say.
    put_long(out, i64::try_from(bytes.len()).unwrap_or(i64::MAX));
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_avro_has_them_and_read_again() {
        let mut out = Vec::new();
        for (number, bytes) in [
            (0, &b"\x00"[..]),
            (-1, b"\x01"),
            (1, b"\x02"),
            (-2, b"\x03"),
            (64, b"\x80\x01"),
            (8191, b"\xfe\x7f"),
            (-8192, b"\xff\x7f"),
            (8192, b"\x80\x80\x01"),
            (i64::MAX, b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
            (i64::MIN, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        ] {
            out.clear();
            put_long(&mut out, number);
            assert_eq!(out, bytes, "{number}");
            let mut reader = Reader::new(bytes);
            assert_eq!(reader.long("it"), Ok(number));
            reader.end().unwrap();
            for length in 0..bytes.len() {
                assert_eq!(Reader::new(&bytes[..length]).long("it"), Err(Malformed::Short("it")));
            }
        }
        assert_eq!(Reader::new(b"\x80\x00").long("it"), Ok(0), "longer than it need be");
        let long = Malformed::Range("it");
        assert_eq!(Reader::new(&[0xff; 11]).long("it"), Err(long.clone()));
        assert_eq!(Reader::new(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02").long("it"), Err(long));
    }

    #[test]
    fn lengths_and_counts_are_checked_against_what_is_there() {
        let block = |bytes: &[u8]| Reader::new(bytes).block(2, "it");
        assert_eq!(block(b"\x04abcd"), Ok(2));
        assert_eq!(block(b"\x04abc"), Err(Malformed::Range("it")), "two items have four bytes at least");
        assert_eq!(block(b"\x03\x08abcd"), Ok(2), "a negative count, and the bytes");
        assert_eq!(block(b"\x03\x0aabcd"), Err(Malformed::Short("it")));
        assert_eq!(block(b"\x03\x07abcd"), Err(Malformed::Range("it")));
        assert_eq!(block(b"\x00"), Ok(0));
        for number in [i64::MAX, i64::MIN, 1 << 62, -(1 << 62)] {
            let mut bomb = Vec::new();
            put_long(&mut bomb, number);
            bomb.extend([0; 100]);
            assert_eq!(block(&bomb), Err(Malformed::Range("it")), "{number}");
            assert!(Reader::new(&bomb).bytes("it").is_err());
            assert!(Reader::new(&bomb).skip_map("it").is_err());
        }
    }
}
