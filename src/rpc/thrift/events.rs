//! The structure `ThriftFlumeEvent`, and what it takes to make events of it.

use bytes::Bytes;

use super::data::{Malformed, Type, Writer};
use super::reader::Reader;
use crate::event::{Event, EventPacker, Headers, HeadersBuilder, HeadersError};

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

/// Where in a message the parts of an event are.
struct Parts<'a> {
    // At the head of the map.
    headers: Reader<'a>,
    body: &'a [u8],
}

/// The size of the argument `event` of a call.
pub(crate) fn size_of_one(arguments: Reader<'_>) -> Result<Size, Malformed> {
    let mut argument = find_argument(arguments, Type::Struct)?;
    let mut size = Size::default();
    size.add(&Parts::read(&mut argument)?)?;
    Ok(size)
}

/// The size of the argument `events` of a call.
pub(crate) fn size_of_many(arguments: Reader<'_>) -> Result<Size, Malformed> {
    let mut argument = find_argument(arguments, Type::List)?;
    let mut size = Size::default();
    for _ in 0..list_of_events(&mut argument)? {
        size.add(&Parts::read(&mut argument)?)?;
    }
    Ok(size)
}

/// The event whose size [`size_of_one`] has told.
pub(crate) fn read_one(arguments: Reader<'_>) -> Result<Event, EventError> {
    let mut argument = find_argument(arguments, Type::Struct)?;
    let parts = Parts::read(&mut argument)?;
    Ok(Event::from_parts(parts.kept_headers(&mut HeadersBuilder::default())?, Bytes::copy_from_slice(parts.body)))
}

/// The events whose number [`size_of_many`] has told.
pub(crate) fn read_many(arguments: Reader<'_>) -> Result<Vec<Event>, EventError> {
    let mut argument = find_argument(arguments, Type::List)?;
    let count = list_of_events(&mut argument)?;
    let mut builder = HeadersBuilder::default();
    let mut packer = EventPacker::new(count);
    for _ in 0..count {
        let parts = Parts::read(&mut argument)?;
        packer.push(parts.kept_headers(&mut builder)?, parts.body);
    }
    Ok(packer.finish())
}

/// Appends the arguments of a call with one event.
pub(crate) fn put_one(writer: &mut Writer<'_>, event: &Event) {
    writer.field(Type::Struct, 1, 0);
    put_event(writer, event);
    writer.stop();
}

/// Appends the arguments of a call with a list of events.
pub(crate) fn put_many(writer: &mut Writer<'_>, events: &[Event]) {
    writer.field(Type::List, 1, 0);
    writer.list(Type::Struct, events.len());
    events.iter().for_each(|event| put_event(writer, event));
    writer.stop();
}

fn put_event(writer: &mut Writer<'_>, event: &Event) {
    writer.field(Type::Map, 1, 0);
    writer.map(Type::Binary, Type::Binary, event.headers().len());
    for (name, value) in event.headers() {
        writer.bytes(name.as_bytes());
        writer.bytes(value.as_bytes());
    }
    writer.field(Type::Binary, 2, 1);
    writer.bytes(event.body());
    writer.stop();
}

/// The value of argument 1. Other arguments are passed over, and there is nothing behind them.
fn find_argument(mut arguments: Reader<'_>, kind: Type) -> Result<Reader<'_>, Malformed> {
    let mut found = None;
    let mut last = 0;
    while let Some(field) = arguments.field(&mut last)? {
        if field.id == 1 && field.kind == kind {
            found = Some(arguments);
        }
        arguments.skip(field)?;
    }
    arguments.end()?;
    found.ok_or(Malformed::Missing("the argument with the events"))
}

fn list_of_events(argument: &mut Reader<'_>) -> Result<usize, Malformed> {
    match argument.list(EVENTS)? {
        (Type::Struct, count) => Ok(count),
        (_, 0) => Ok(0),
        _ => Err(Malformed::Type("an event in a list")),
    }
}

impl<'a> Parts<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let (mut headers, mut body) = (None, None);
        let mut last = 0;
        while let Some(field) = reader.field(&mut last)? {
            match (field.id, field.kind) {
                (1, Type::Map) => headers = Some(*reader),
                (2, Type::Binary) => {
                    body = Some(reader.bytes(BODY)?);
                    continue;
                }
                _ => {}
            }
            reader.skip(field)?;
        }
        Ok(Self { headers: headers.ok_or(Malformed::Missing(HEADERS))?, body: body.ok_or(Malformed::Missing(BODY))? })
    }

    /// Calls `each` with every name and value.
    fn headers<E: From<Malformed>>(&self, mut each: impl FnMut(&'a [u8], &'a [u8]) -> Result<(), E>) -> Result<(), E> {
        let mut reader = self.headers;
        match reader.map(HEADERS)? {
            (_, _, 0) => Ok(()),
            (Type::Binary, Type::Binary, count) => {
                (0..count).try_for_each(|_| each(reader.bytes(NAME)?, reader.bytes(VALUE)?))
            }
            _ => Err(Malformed::Type("a header of an event").into()),
        }
    }

    fn kept_headers(&self, builder: &mut HeadersBuilder) -> Result<Headers, EventError> {
        builder.clear();
        self.headers(|name, value| {
            let name = str::from_utf8(name).map_err(|_| Malformed::Text(NAME))?;
            let value = str::from_utf8(value).map_err(|_| Malformed::Text(VALUE))?;
            // Of a name that comes several times the last value counts, as in Java's maps.
            builder.insert(name, value).map(drop).map_err(EventError::from)
        })?;
        Ok(builder.finish())
    }
}

impl Size {
    fn add(&mut self, parts: &Parts<'_>) -> Result<(), Malformed> {
        self.events += 1;
        self.bytes += size_of::<Event>() + parts.body.len();
        parts.headers(|name, value| {
            self.bytes += HEADER_COST + name.len() + value.len();
            Ok(())
        })
    }
}

/// What a header takes besides its name and value.
const HEADER_COST: usize = 6;
const EVENTS: &str = "a list of events";
const HEADERS: &str = "the headers of an event";
const NAME: &str = "the name of a header";
const VALUE: &str = "the value of a header";
const BODY: &str = "the body of an event";

#[cfg(test)]
mod tests;
