//! Headers: a small ordered map of text to text.

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::limits::{HEADER_NAME_BYTES_MAX, HEADERS_BYTES_MAX, HEADERS_COUNT_MAX};

/// The headers of an event: text to text, in the order given, each name once.
///
/// They are kept encoded in one shared buffer, so that a clone costs a reference count, headers read from disk are not
/// copied, and a look-up allocates nothing. A look-up is linear: headers are meant to be few (0 to 8).
///
/// ```
/// # use aqueduct::Headers;
/// let mut headers = Headers::new();
/// headers.insert("host", "web-1")?;
/// headers.insert("path", "/")?;
/// headers.insert("host", "web-2")?; // replaces the value, keeps the place
/// assert_eq!(headers.get("host"), Some("web-2"));
/// assert_eq!(headers.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["host", "path"]);
/// # Ok::<(), aqueduct::HeadersError>(())
/// ```
// Layout: for each header, name length u16, value length u32 (little-endian), name, value. Valid by construction:
// every constructor checks lengths and UTF-8, so the accessors need no error path.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Headers {
    // `None` if there are none: to make and to drop that costs nothing, and most events have none.
    encoded: Option<Bytes>,
}

static NOTHING: Bytes = Bytes::new();

/// Why headers were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadersError {
    /// The bytes are not an encoded header list.
    #[error("malformed headers: {0}")]
    Malformed(&'static str),
    /// One header name is too long.
    #[error("header name of {0} bytes is over the limit of {HEADER_NAME_BYTES_MAX} bytes")]
    NameTooLong(usize),
    /// All headers together are too long.
    #[error("headers of {0} bytes are over the limit of {HEADERS_BYTES_MAX} bytes")]
    TooLong(usize),
    /// There are too many headers.
    #[error("{0} headers are over the limit of {HEADERS_COUNT_MAX}")]
    TooMany(usize),
}

impl Headers {
    /// No headers. Does not allocate.
    #[must_use]
    pub const fn new() -> Self {
        Self { encoded: None }
    }

    /// Checks and adopts headers in their encoded form, as [`Headers::as_encoded`] gives it, without a copy. That each name stands
    /// there once is left to whoever wrote them: of a name that comes twice, look-ups and changes see the first.
    ///
    /// # Errors
    /// If the bytes are not such a form, or break a limit.
    pub fn from_encoded(encoded: Bytes) -> Result<Self, HeadersError> {
        if encoded.len() > HEADERS_BYTES_MAX {
            return Err(HeadersError::TooLong(encoded.len()));
        }
        let mut rest: &[u8] = &encoded;
        let mut count = 0;
        while !rest.is_empty() {
            let (_, _, next) = split_entry(rest)?;
            rest = next;
            count += 1;
        }
        if count > HEADERS_COUNT_MAX {
            return Err(HeadersError::TooMany(count));
        }
        Ok(Self::of(encoded))
    }

    /// Adopts bytes that are known to be the encoded form of headers within the limits.
    #[cfg(any(test, feature = "http", feature = "rpc"))]
    pub(super) fn adopt(encoded: Vec<u8>) -> Self {
        Self::of(encoded.into())
    }

    fn of(encoded: Bytes) -> Self {
        Self { encoded: (!encoded.is_empty()).then_some(encoded) }
    }

    /// The encoded form: for each header name length (u16), value length (u32), name, value; integers little-endian.
    #[must_use]
    pub fn as_encoded(&self) -> &Bytes {
        self.encoded.as_ref().unwrap_or(&NOTHING)
    }

    /// Sets a header. The value of a name that is there already is replaced in place.
    ///
    /// # Errors
    /// If a limit of [`limits`](crate::limits) would be passed; the headers are unchanged then.
    pub fn insert(&mut self, name: &str, value: &str) -> Result<(), HeadersError> {
        let name_len = u16::try_from(name.len()).map_err(|_| HeadersError::NameTooLong(name.len()))?;
        let value_len = u32::try_from(value.len()).map_err(|_| HeadersError::TooLong(value.len()))?;
        let entry_len = ENTRY_HEAD + name.len() + value.len();
        let found = self.find(name);
        let replaced = found.as_ref().map_or(0, std::iter::ExactSizeIterator::len);
        let total = self.as_encoded().len() - replaced + entry_len;
        if total > HEADERS_BYTES_MAX {
            return Err(HeadersError::TooLong(total));
        }
        if found.is_none() && self.len() == HEADERS_COUNT_MAX {
            return Err(HeadersError::TooMany(HEADERS_COUNT_MAX + 1));
        }
        let put_entry = |out: &mut BytesMut| {
            out.put_u16_le(name_len);
            out.put_u32_le(value_len);
            out.put_slice(name.as_bytes());
            out.put_slice(value.as_bytes());
        };
        if let Some(range) = found {
            let mut out = BytesMut::with_capacity(total);
            out.put_slice(&self.as_encoded().slice(..range.start));
            put_entry(&mut out);
            out.put_slice(&self.as_encoded().slice(range.end..));
            *self = Self::of(out.freeze());
        } else {
            let mut out =
                std::mem::take(&mut self.encoded).unwrap_or_default().try_into_mut().unwrap_or_else(|shared| {
                    let mut out = BytesMut::with_capacity(total.max(ENTRY_HEAD * 8));
                    out.put_slice(&shared);
                    out
                });
            put_entry(&mut out);
            *self = Self::of(out.freeze());
        }
        Ok(())
    }

    /// Removes a header and says whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let Some(range) = self.find(name) else { return false };
        let mut out = BytesMut::with_capacity(self.as_encoded().len() - range.len());
        out.put_slice(&self.as_encoded().slice(..range.start));
        out.put_slice(&self.as_encoded().slice(range.end..));
        *self = Self::of(out.freeze());
        true
    }

    /// The value of a header.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// Names and values in their order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: self.as_encoded() }
    }

    /// Number of headers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is no header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.encoded.is_none()
    }

    fn find(&self, name: &str) -> Option<std::ops::Range<usize>> {
        let total = self.as_encoded().len();
        let mut iter = self.iter();
        loop {
            let start = total - iter.rest.len();
            let (found, _) = iter.next()?;
            if found == name {
                return Some(start..total - iter.rest.len());
            }
        }
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Iterator over names and values, by [`Headers::iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (name, value, rest) = split_entry(self.rest).ok()?;
        self.rest = rest;
        Some((name, value))
    }
}

/// Name, value and what follows them.
fn split_entry(mut rest: &[u8]) -> Result<(&str, &str, &[u8]), HeadersError> {
    if rest.len() < ENTRY_HEAD {
        return Err(HeadersError::Malformed("cut short in a length"));
    }
    let name_len = usize::from(rest.get_u16_le());
    let value_len = usize::try_from(rest.get_u32_le()).map_err(|_| HeadersError::Malformed("value length"))?;
    let (name, rest) = rest.split_at_checked(name_len).ok_or(HeadersError::Malformed("cut short in a name"))?;
    let (value, rest) = rest.split_at_checked(value_len).ok_or(HeadersError::Malformed("cut short in a value"))?;
    let name = std::str::from_utf8(name).map_err(|_| HeadersError::Malformed("name is not UTF-8"))?;
    let value = std::str::from_utf8(value).map_err(|_| HeadersError::Malformed("value is not UTF-8"))?;
    Ok((name, value, rest))
}

const ENTRY_HEAD: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insert_keeps_order_and_replaces_in_place() {
        let mut headers = Headers::new();
        for (name, value) in [("a", "1"), ("b", ""), ("", "empty name"), ("a", "longer than before")] {
            headers.insert(name, value).unwrap();
        }
        let all: Vec<_> = headers.iter().collect();
        assert_eq!(all, [("a", "longer than before"), ("b", ""), ("", "empty name")]);
        assert!(headers.remove("b") && !headers.remove("b"));
        assert_eq!(headers.len(), 2);
        assert_eq!(Headers::from_encoded(headers.as_encoded().clone()), Ok(headers));
    }

    #[test]
    fn a_clone_does_not_see_later_changes() {
        let mut headers = Headers::new();
        headers.insert("a", "1").unwrap();
        let before = headers.clone();
        headers.insert("b", "2").unwrap();
        headers.insert("a", "3").unwrap();
        assert_eq!(before.iter().collect::<Vec<_>>(), [("a", "1")]);
    }

    #[test]
    fn limits_are_errors_that_change_nothing() {
        let mut headers = Headers::new();
        assert_eq!(headers.insert(&"n".repeat(65_536), ""), Err(HeadersError::NameTooLong(65_536)));
        assert!(matches!(headers.insert("n", &"v".repeat(HEADERS_BYTES_MAX)), Err(HeadersError::TooLong(_))));
        for i in 0..HEADERS_COUNT_MAX {
            headers.insert(&i.to_string(), "").unwrap();
        }
        assert_eq!(headers.insert("one more", ""), Err(HeadersError::TooMany(HEADERS_COUNT_MAX + 1)));
        headers.insert("7", "replacing is no addition").unwrap();
        assert_eq!(headers.len(), HEADERS_COUNT_MAX);
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_handled() {
        let mut headers = Headers::new();
        headers.insert("name", "välue").unwrap();
        headers.insert("other", "x").unwrap();
        let good = headers.as_encoded().to_vec();
        for len in 0..good.len() {
            let _ = Headers::from_encoded(Bytes::copy_from_slice(&good[..len]));
        }
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                if let Ok(headers) = Headers::from_encoded(bad.into()) {
                    assert!(headers.iter().count() <= HEADERS_COUNT_MAX);
                }
            }
        }
    }
}
