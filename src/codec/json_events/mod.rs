//! Events as JSON objects, `{"headers": {"name": "value"}, "body": "text"}`, as Flume's HTTP source has them.
//!
//! Both members may be missing. Values may be numbers and booleans, which are taken as they are written. A header that is
//! `null` is none, a body that is `null` is empty, and further members are ignored.

mod lenient;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use serde_core::de::{Deserialize, DeserializeSeed, Deserializer, Error as _};
use serde_core::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::event::{Event, Headers, HeadersBuilder, HeadersInserted};

/// What is done with each event: its headers, and the text of its body. An error ends the reading.
pub(crate) type Each<'e, E> = &'e mut dyn FnMut(Headers, &str) -> Result<(), E>;

/// Why reading ended early.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadError<E> {
    /// The text is not what it should be.
    #[error("{0}")]
    Malformed(String),
    /// Whoever got the events wants no more.
    #[error("stopped")]
    Stopped(E),
}

/// Reads an array of events.
pub(crate) fn read_array<E>(text: &str, each: Each<'_, E>) -> Result<(), ReadError<E>> {
    let mut reader = Reader { headers: HeadersBuilder::default(), each, stopped: None };
    let mut json = serde_json::Deserializer::from_str(text);
    let outcome = json.deserialize_seq(ArrayVisitor(&mut reader)).and_then(|()| json.end());
    reader.outcome(outcome)
}

/// Reads an array of events that may be written in the ways beside JSON that Gson, and so Flume, takes.
pub(crate) fn read_lenient_array<E>(text: &str, each: Each<'_, E>) -> Result<(), ReadError<E>> {
    match lenient::read_array(text, each) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(stopped)) => Err(ReadError::Stopped(stopped)),
        Err(lenient::Odd) => Err(ReadError::Malformed("is not an array of events".to_owned())),
    }
}

/// Reads one event.
pub(crate) fn read_one<E>(text: &str, each: Each<'_, E>) -> Result<(), ReadError<E>> {
    let mut reader = Reader { headers: HeadersBuilder::default(), each, stopped: None };
    let mut json = serde_json::Deserializer::from_str(text);
    let outcome = EventSeed(&mut reader).deserialize(&mut json).and_then(|()| json.end());
    reader.outcome(outcome)
}

/// Whether a text is one JSON value.
pub(crate) fn check_value(text: &str) -> Result<(), String> {
    serde_json::from_str::<&RawValue>(text).map(drop).map_err(|error| error.to_string())
}

/// An event whose body JSON cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body of an event is not UTF-8 from byte {at} on, so that JSON cannot hold it")]
pub(crate) struct NotText {
    at: usize,
}

/// Appends an event.
pub(crate) fn write_event(out: &mut Vec<u8>, event: &Event) -> Result<(), NotText> {
    let body = std::str::from_utf8(event.body()).map_err(|error| NotText { at: error.valid_up_to() })?;
    out.extend_from_slice(b"{\"headers\":{");
    for (number, (name, value)) in event.headers().iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        write_text(out, name);
        out.push(b':');
        write_text(out, value);
    }
    out.extend_from_slice(b"},\"body\":");
    write_text(out, body);
    out.push(b'}');
    Ok(())
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    // Writing text to memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

/// What is needed on the way through a text.
struct Reader<'e, E> {
    headers: HeadersBuilder,
    each: Each<'e, E>,
    stopped: Option<E>,
}

impl<E> Reader<'_, E> {
    fn outcome(self, outcome: serde_json::Result<()>) -> Result<(), ReadError<E>> {
        match (self.stopped, outcome) {
            (Some(stopped), _) => Err(ReadError::Stopped(stopped)),
            (None, Ok(())) => Ok(()),
            (None, Err(error)) => Err(ReadError::Malformed(error.to_string())),
        }
    }

    fn hand_over<D: serde_core::de::Error>(&mut self, body: Option<&RawValue>) -> Result<(), D> {
        let body = match body {
            Some(raw) => scalar(raw).map_err(|reason| D::custom(format_args!("the body of an event {reason}")))?,
            None => None,
        };
        (self.each)(self.headers.finish(), body.as_deref().unwrap_or_default()).map_err(|stopped| {
            self.stopped = Some(stopped);
            D::custom("stopped")
        })
    }
}

struct ArrayVisitor<'r, 'e, E>(&'r mut Reader<'e, E>);

impl<'de, E> Visitor<'de> for ArrayVisitor<'_, '_, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element_seed(EventSeed(self.0))?.is_some() {}
        Ok(())
    }
}

struct EventSeed<'r, 'e, E>(&'r mut Reader<'e, E>);

impl<'de, E> DeserializeSeed<'de> for EventSeed<'_, '_, E> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de, E> Visitor<'de> for EventSeed<'_, '_, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event, which is an object with headers and a body")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.0.headers.clear();
        let mut body = None;
        while let Some(member) = members.next_key::<Member>()? {
            match member {
                // Of members that come twice the last one counts, as in Flume.
                Member::Headers => {
                    self.0.headers.clear();
                    members.next_value_seed(HeadersSeed(&mut self.0.headers))?;
                }
                Member::Body => body = Some(members.next_value::<&RawValue>()?),
                Member::Other => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        self.0.hand_over(body)
    }
}

/// The members of an event.
enum Member {
    Headers,
    Body,
    Other,
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct MemberVisitor;

        impl Visitor<'_> for MemberVisitor {
            type Value = Member;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a member")
            }

            fn visit_str<E>(self, name: &str) -> Result<Member, E> {
                Ok(match name {
                    "headers" => Member::Headers,
                    "body" => Member::Body,
                    _ => Member::Other,
                })
            }
        }

        json.deserialize_identifier(MemberVisitor)
    }
}

struct HeadersSeed<'r>(&'r mut HeadersBuilder);

impl<'de> DeserializeSeed<'de> for HeadersSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for HeadersSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("headers, which are an object")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some((name, value)) = members.next_entry::<String, &'de RawValue>()? {
            let value = scalar(value).map_err(|reason| A::Error::custom(format_args!("header {name:?} {reason}")))?;
            let Some(value) = value else { continue };
            match self.0.insert(&name, &value) {
                Ok(HeadersInserted::New) => {}
                Ok(HeadersInserted::Replaced) => {
                    return Err(A::Error::custom(format_args!("header {name:?} comes twice")));
                }
                Err(error) => return Err(A::Error::custom(error)),
            }
        }
        Ok(())
    }
}

/// A value as text, borrowed where nothing in it is escaped; `None` is `null`.
fn scalar(raw: &RawValue) -> Result<Option<Cow<'_, str>>, String> {
    let text = raw.get();
    match text.as_bytes() {
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => {
            Ok(Some(Cow::Borrowed(text.get(1..text.len() - 1).unwrap_or_default())))
        }
        [b'"', ..] => match serde_json::from_str::<String>(text) {
            Ok(text) => Ok(Some(Cow::Owned(text))),
            Err(error) => Err(format!("is not text: {error}")),
        },
        [b'{' | b'[', ..] => Err("is neither text nor a number".to_owned()),
        b"null" => Ok(None),
        _ => Ok(Some(Cow::Borrowed(text))),
    }
}
