//! The record `AvroFlumeEvent`: headers, a map of text to text, then body, bytes.

use std::collections::HashMap;

use bytes::Bytes;

use super::data::{Malformed, Reader, put_bytes, put_long};
use crate::event::{Event, EventPacker, Headers, HeadersError};
use crate::limits::HEADERS_COUNT_MAX;

/// What events come to in memory, known before anything is allocated for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) events: usize,
    /// Headers and bodies, and the event itself.
    pub(crate) bytes: usize,
}

/// Why an event that is well-formed cannot be one of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EventError {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Headers(#[from] HeadersError),
}

/// The size of one event.
pub(crate) fn size_of_one(bytes: &[u8]) -> Result<Size, Malformed> {
    let mut reader = Reader::new(bytes);
    let mut size = Size::default();
    size.add(&mut reader)?;
    reader.end()?;
    Ok(size)
}

/// The size of an array of events.
pub(crate) fn size_of_many(bytes: &[u8]) -> Result<Size, Malformed> {
    let mut reader = Reader::new(bytes);
    let mut size = Size::default();
    loop {
        match reader.block(EVENT_BYTES_MIN, "an array of events")? {
            0 => break,
            count => {
                for _ in 0..count {
                    size.add(&mut reader)?;
                }
            }
        }
    }
    reader.end()?;
    Ok(size)
}

/// The event whose size [`size_of_one`] has told.
pub(crate) fn read_one(bytes: &[u8]) -> Result<Event, EventError> {
    let (headers, body) = read_event(&mut Reader::new(bytes), &mut Vec::new())?;
    Ok(Event::from_parts(headers, Bytes::copy_from_slice(body)))
}

/// The events whose number [`size_of_many`] has told, with copies of their bodies.
pub(crate) fn read_many(bytes: &[u8], number: usize) -> Result<Vec<Event>, EventError> {
    let mut packer = EventPacker::new(number);
    each_of_many(bytes, |headers, body| packer.push(headers, body))?;
    Ok(packer.finish())
}

/// The same, with bodies that share the memory of `message`, at whose end so many bytes are the array.
pub(crate) fn share_many(message: &Bytes, length: usize, number: usize) -> Result<Vec<Event>, EventError> {
    let mut events = Vec::with_capacity(number);
    let bytes = message.get(message.len().saturating_sub(length)..).unwrap_or_default();
    each_of_many(bytes, |headers, body| {
        let body = if body.is_empty() { Bytes::new() } else { message.slice_ref(body) };
        events.push(Event::from_parts(headers, body));
    })?;
    Ok(events)
}

fn each_of_many(bytes: &[u8], mut push: impl FnMut(Headers, &[u8])) -> Result<(), EventError> {
    let mut reader = Reader::new(bytes);
    let mut scratch = Vec::new();
    loop {
        match reader.block(EVENT_BYTES_MIN, "an array of events")? {
            0 => return Ok(()),
            count => {
                for _ in 0..count {
                    let (headers, body) = read_event(&mut reader, &mut scratch)?;
                    push(headers, body);
                }
            }
        }
    }
}

/// Appends an event.
pub(crate) fn put_event(out: &mut Vec<u8>, event: &Event) {
    let count = event.headers().len();
    if count > 0 {
        put_long(out, i64::try_from(count).unwrap_or(i64::MAX));
        for (name, value) in event.headers() {
            put_bytes(out, name.as_bytes());
            put_bytes(out, value.as_bytes());
        }
    }
    put_long(out, 0);
    put_bytes(out, event.body());
}

/// Appends an array of events.
pub(crate) fn put_events(out: &mut Vec<u8>, events: &[Event]) {
    if !events.is_empty() {
        let bytes: usize =
            events.iter().map(|event| EVENT_OVERHEAD + event.headers().as_encoded().len() + event.body().len()).sum();
        out.reserve(bytes);
        put_long(out, i64::try_from(events.len()).unwrap_or(i64::MAX));
        for event in events {
            put_event(out, event);
        }
    }
    put_long(out, 0);
}

impl Size {
    #[inline]
    fn add(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        self.events += 1;
        self.bytes += size_of::<Event>();
        loop {
            match reader.block(ENTRY_BYTES_MIN, HEADERS)? {
                0 => break,
                count => {
                    for _ in 0..count {
                        let (name, value) = (reader.bytes(NAME)?, reader.bytes(VALUE)?);
                        self.bytes += HEADER_COST + name.len() + value.len();
                    }
                }
            }
        }
        self.bytes += reader.bytes(BODY)?.len();
        Ok(())
    }
}

/// `scratch` is memory for the headers, to be used again for the next event.
fn read_event<'a>(reader: &mut Reader<'a>, scratch: &mut Vec<u8>) -> Result<(Headers, &'a [u8]), EventError> {
    let headers = read_headers(reader, scratch)?;
    Ok((headers, reader.bytes(BODY)?))
}

/// Headers in the encoding in which they are kept.
#[inline]
fn read_headers(reader: &mut Reader<'_>, scratch: &mut Vec<u8>) -> Result<Headers, EventError> {
    let beginning = *reader;
    if reader.block(ENTRY_BYTES_MIN, HEADERS)? == 0 {
        return Ok(Headers::new());
    }
    *reader = beginning;
    read_some_headers(reader, scratch)
}

/// The same, as long as they are few and no name comes twice.
#[inline(never)]
fn read_some_headers(reader: &mut Reader<'_>, scratch: &mut Vec<u8>) -> Result<Headers, EventError> {
    scratch.clear();
    let mut names: [&[u8]; FEW] = [&[]; FEW];
    let mut count = 0;
    let beginning = *reader;
    loop {
        match reader.block(ENTRY_BYTES_MIN, HEADERS)? {
            0 => return finish_headers(scratch),
            more => {
                for _ in 0..more {
                    let (name, value) = (reader.bytes(NAME)?, reader.bytes(VALUE)?);
                    let known = names.get(..count).is_some_and(|before| before.contains(&name));
                    let Some(place) = names.get_mut(count).filter(|_| !known) else {
                        *reader = beginning;
                        return read_many_headers(reader, scratch);
                    };
                    *place = name;
                    count += 1;
                    put_header(scratch, name, value)?;
                }
            }
        }
    }
}

/// The same for any number of headers. Of a name that comes several times the last value counts, as in Java's maps.
fn read_many_headers(reader: &mut Reader<'_>, scratch: &mut Vec<u8>) -> Result<Headers, EventError> {
    let mut all: Vec<(&[u8], &[u8])> = Vec::new();
    let mut places = HashMap::new();
    loop {
        match reader.block(ENTRY_BYTES_MIN, HEADERS)? {
            0 => break,
            more => {
                for _ in 0..more {
                    let (name, value) = (reader.bytes(NAME)?, reader.bytes(VALUE)?);
                    let place = *places.entry(name).or_insert(all.len());
                    match all.get_mut(place) {
                        Some(known) => known.1 = value,
                        None if place < HEADERS_COUNT_MAX => all.push((name, value)),
                        None => return Err(HeadersError::TooMany(place + 1).into()),
                    }
                }
            }
        }
    }
    scratch.clear();
    for (name, value) in all {
        put_header(scratch, name, value)?;
    }
    finish_headers(scratch)
}

fn put_header(out: &mut Vec<u8>, name: &[u8], value: &[u8]) -> Result<(), HeadersError> {
    let name_length = u16::try_from(name.len()).map_err(|_| HeadersError::NameTooLong(name.len()))?;
    let value_length = u32::try_from(value.len()).map_err(|_| HeadersError::TooLong(value.len()))?;
    out.extend_from_slice(&name_length.to_le_bytes());
    out.extend_from_slice(&value_length.to_le_bytes());
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    Ok(())
}

fn finish_headers(encoded: &[u8]) -> Result<Headers, EventError> {
    if encoded.is_empty() {
        return Ok(Headers::new());
    }
    match Headers::from_encoded(Bytes::copy_from_slice(encoded)) {
        // The lengths are right, so it is the text.
        Err(HeadersError::Malformed(_)) => Err(Malformed::Text("a header").into()),
        outcome => Ok(outcome?),
    }
}

/// More headers than this are looked up by hash.
const FEW: usize = 8;
/// More than an event takes besides its headers, as they are kept, and its body: counts and the body's length.
const EVENT_OVERHEAD: usize = 16;
/// Bytes of an event, at least: the ends of its headers and of its body's length.
const EVENT_BYTES_MIN: usize = 2;
const ENTRY_BYTES_MIN: usize = 2;
/// What a header takes besides its name and value.
const HEADER_COST: usize = 6;
const HEADERS: &str = "the headers of an event";
const NAME: &str = "the name of a header";
const VALUE: &str = "the value of a header";
const BODY: &str = "the body of an event";

#[cfg(test)]
mod tests;
