//! Reading little-endian values from untrusted bytes.

use bytes::{Buf, Bytes};

use crate::sabotage::{Bug, planted};
/// Reads values from the front of a buffer; every read is checked against what is left.
#[derive(Debug)]
pub(crate) struct Cursor {
    rest: Bytes,
}

/// The bytes end before, or do not mean, what they should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed {0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

impl Cursor {
    pub(crate) fn new(rest: Bytes) -> Self {
        Self { rest }
    }

    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, Malformed> {
        self.need(2, what)?;
        Ok(self.rest.get_u16_le())
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        self.need(4, what)?;
        Ok(self.rest.get_u32_le())
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, Malformed> {
        self.need(8, what)?;
        Ok(self.rest.get_u64_le())
    }

    /// A number or count of events, bytes or records: no more than any store will ever come to, so that what is added to it
    /// cannot run over.
    pub(crate) fn number(&mut self, what: &'static str) -> Result<u64, Malformed> {
        self.u64(what).and_then(|number| if number <= NUMBER_MAX { Ok(number) } else { Err(Malformed(what)) })
    }

    /// The next `len` bytes, shared, not copied.
    pub(crate) fn bytes(&mut self, len: usize, what: &'static str) -> Result<Bytes, Malformed> {
        self.need(len, what)?;
        Ok(self.rest.split_to(len))
    }

    pub(crate) fn text(&mut self, len: usize, what: &'static str) -> Result<String, Malformed> {
        String::from_utf8(self.bytes(len, what)?.into()).map_err(|_| Malformed(what))
    }

    /// Checks a count against the bytes left, of which each item takes at least `item_bytes`: bounds what is allocated.
    pub(crate) fn count(&self, count: u32, item_bytes: usize, what: &'static str) -> Result<usize, Malformed> {
        let count = usize::try_from(count).map_err(|_| Malformed(what))?;
        if planted(Bug::LengthBelieved) || count.checked_mul(item_bytes).is_some_and(|bytes| bytes <= self.rest.len()) {
            Ok(count)
        } else {
            Err(Malformed(what))
        }
    }

    pub(crate) fn rest(self) -> Bytes {
        self.rest
    }

    pub(crate) fn finish(self, what: &'static str) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed(what)) }
    }

    fn need(&self, len: usize, what: &'static str) -> Result<(), Malformed> {
        if self.rest.len() >= len { Ok(()) } else { Err(Malformed(what)) }
    }
}

/// More than a hundred years of a billion events a second.
const NUMBER_MAX: u64 = 1 << 62;
