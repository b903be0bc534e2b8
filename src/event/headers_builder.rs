//! Headers, as they come out of what was received.

use std::collections::HashMap;
use std::ops::Range;

use super::{Headers, HeadersError};
use crate::limits::{HEADERS_BYTES_MAX, HEADERS_COUNT_MAX};

/// Collects the headers of one event after the other, in a time that grows with their number only: [`Headers::insert`]
/// looks through all headers that are there. The limits of headers are checked, so that nothing grows beyond them.
#[derive(Debug, Default)]
pub(crate) struct HeadersBuilder {
    // Names and values, one after the other.
    text: String,
    entries: Vec<Entry>,
    // Where each name is among the entries, once they are many.
    places: HashMap<Box<str>, usize>,
    encoded_bytes: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    name: Range<usize>,
    value: Range<usize>,
}

/// Whether a name was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    New,
    Replaced,
}

impl HeadersBuilder {
    /// Sets a header. The value of a name that is there already is replaced in place.
    pub(crate) fn insert(&mut self, name: &str, value: &str) -> Result<Inserted, HeadersError> {
        if u16::try_from(name.len()).is_err() {
            return Err(HeadersError::NameTooLong(name.len()));
        }
        let found = self.find(name);
        let replaced = found.and_then(|place| self.entries.get(place)).map_or(0, Entry::encoded_bytes);
        let bytes = self.encoded_bytes - replaced + ENTRY_HEAD + name.len() + value.len();
        if bytes > HEADERS_BYTES_MAX {
            return Err(HeadersError::TooLong(bytes));
        }
        if found.is_none() && self.entries.len() == HEADERS_COUNT_MAX {
            return Err(HeadersError::TooMany(HEADERS_COUNT_MAX + 1));
        }
        self.encoded_bytes = bytes;
        let Some(entry) = found.and_then(|place| self.entries.get_mut(place)) else {
            let (name, value) = (self.keep(name), self.keep(value));
            self.entries.push(Entry { name, value });
            self.index();
            return Ok(Inserted::New);
        };
        // What was replaced stays in the text until the event is finished; it is as short as what was received.
        let start = self.text.len();
        self.text.push_str(value);
        entry.value = start..self.text.len();
        Ok(Inserted::Replaced)
    }

    #[cfg(feature = "http")]
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The headers, and none from now on.
    pub(crate) fn finish(&mut self) -> Headers {
        if self.entries.is_empty() {
            return Headers::new();
        }
        let mut encoded = Vec::with_capacity(self.encoded_bytes);
        for entry in &self.entries {
            // Both lengths were checked when they came.
            encoded.extend_from_slice(&u16::try_from(entry.name.len()).unwrap_or_default().to_le_bytes());
            encoded.extend_from_slice(&u32::try_from(entry.value.len()).unwrap_or_default().to_le_bytes());
            for part in [&entry.name, &entry.value] {
                encoded.extend_from_slice(self.text.get(part.clone()).unwrap_or_default().as_bytes());
            }
        }
        self.clear();
        Headers::adopt(encoded)
    }

    /// Forgets all headers.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(KEPT_BYTES);
        self.entries.clear();
        self.places.clear();
        self.encoded_bytes = 0;
    }

    fn find(&self, name: &str) -> Option<usize> {
        if self.entries.len() > FEW {
            return self.places.get(name).copied();
        }
        self.entries.iter().position(|entry| self.text.get(entry.name.clone()) == Some(name))
    }

    fn keep(&mut self, text: &str) -> Range<usize> {
        let start = self.text.len();
        self.text.push_str(text);
        start..self.text.len()
    }

    /// Keeps the places of the names, from the moment on at which there are many.
    fn index(&mut self) {
        let count = self.entries.len();
        if count <= FEW {
            return;
        }
        let first = if self.places.is_empty() { 0 } else { count - 1 };
        for (place, entry) in self.entries.iter().enumerate().skip(first) {
            self.places.insert(self.text.get(entry.name.clone()).unwrap_or_default().into(), place);
        }
    }
}

impl Entry {
    fn encoded_bytes(&self) -> usize {
        ENTRY_HEAD + self.name.len() + self.value.len()
    }
}

const ENTRY_HEAD: usize = 6;
/// More headers than this are looked up by hash.
const FEW: usize = 8;
/// Memory that is kept for the next event.
const KEPT_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn what_comes_out_is_what_inserting_one_by_one_makes() {
        let seed = Random::seed();
        println!("AQUEDUCT_SEED={seed}");
        let mut random = Random::new(seed);
        let mut builder = HeadersBuilder::default();
        for _ in 0..500 {
            let mut expected = Headers::new();
            for _ in 0..random.below(40) {
                let name = random.below(24).to_string();
                let value = "v".repeat(random.index(4));
                let known = expected.get(&name).is_some();
                expected.insert(&name, &value).unwrap();
                let inserted = builder.insert(&name, &value).unwrap();
                assert_eq!(inserted == Inserted::Replaced, known);
            }
            let headers = builder.finish();
            assert_eq!(headers, expected);
            assert_eq!(Headers::from_encoded(headers.as_encoded().clone()), Ok(expected));
        }
        assert_eq!(builder.finish(), Headers::new(), "nothing is left over");
    }

    #[test]
    fn limits_are_those_of_headers() {
        let mut builder = HeadersBuilder::default();
        assert_eq!(builder.insert(&"n".repeat(65_536), ""), Err(HeadersError::NameTooLong(65_536)));
        assert!(matches!(builder.insert("n", &"v".repeat(HEADERS_BYTES_MAX)), Err(HeadersError::TooLong(_))));
        for i in 0..HEADERS_COUNT_MAX {
            builder.insert(&i.to_string(), "").unwrap();
        }
        assert_eq!(builder.insert("one more", ""), Err(HeadersError::TooMany(HEADERS_COUNT_MAX + 1)));
        assert_eq!(builder.insert("7", "replacing is no addition"), Ok(Inserted::Replaced));
        assert_eq!(builder.finish().len(), HEADERS_COUNT_MAX);
        for _ in 0..3 {
            builder.insert("a", &"v".repeat(HEADERS_BYTES_MAX / 2)).unwrap();
        }
        assert_eq!(builder.finish().get("a").map(str::len), Some(HEADERS_BYTES_MAX / 2));
    }
}
