//! Formats of files and of bodies.

#[cfg(feature = "avro")]
pub(super) use crate::codec::avro::fuzz::{schema_text, schema_text_seeds};
#[cfg(feature = "http")]
use crate::codec::json_events;
#[cfg(feature = "http")]
use crate::event::Event;
#[cfg(feature = "http")]
pub(super) use crate::source::http::fuzz::{
    parameter_seeds as http_parameter_seeds, parameters as http_parameters, text as http_text,
    text_seeds as http_text_seeds,
};

/// Events that are accepted come back from what is written of them.
#[cfg(feature = "http")]
pub(super) fn json(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut events = Vec::new();
    let mut keep = |headers, body: &str| {
        events.push(Event::from_parts(headers, body.to_owned()));
        Ok::<(), ()>(())
    };
    let _ = json_events::read_array(text, &mut keep);
    let _ = json_events::read_one(text, &mut keep);
    let _ = json_events::check_value(text);
    events.iter().for_each(comes_back);
}

/// What is written of an event is read as the event.
#[cfg(feature = "http")]
fn comes_back(event: &Event) {
    let mut out = Vec::new();
    assert!(json_events::write_event(&mut out, event).is_ok(), "it came from text");
    let again = std::str::from_utf8(&out).unwrap_or_default();
    let mut same = false;
    let outcome = json_events::read_one(again, &mut |headers, body| {
        same = Event::from_parts(headers, body.to_owned()) == *event;
        Ok::<(), ()>(())
    });
    assert!(outcome.is_ok() && same, "{event:?} as {again}: {outcome:?}");
}

/// What JSON has is read the same in the ways beside it, and what is read comes back from what is written of it.
#[cfg(feature = "http")]
pub(super) fn lenient_json(data: &[u8]) {
    type Read = fn(&str, json_events::Each<'_, ()>) -> Result<(), json_events::ReadError<()>>;
    let Ok(text) = std::str::from_utf8(data) else { return };
    let events = |read: Read| {
        let mut events = Vec::new();
        let outcome = read(text, &mut |headers, body| {
            events.push(Event::from_parts(headers, body.to_owned()));
            Ok(())
        });
        outcome.ok().map(|()| events)
    };
    let lenient = events(json_events::read_lenient_array);
    if let Some(strict) = events(json_events::read_array) {
        assert_eq!(lenient.as_ref(), Some(&strict), "{text}");
    }
    lenient.iter().flatten().for_each(comes_back);
}

#[cfg(feature = "http")]
pub(super) fn lenient_json_seeds() -> Vec<Vec<u8>> {
    [
        "// c\n[{'headers':{a:b,c=1;d=>TRUE},\"body\":un-quo.ted};{/* x */body='it\\'s\\\n\\u00e4'}]",
        ")]}'\n[{headers:[[a,b],['c',null]],x:[1,,{y:[;]}],body:NaN#e\n}]",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .into()
}

#[cfg(feature = "http")]
pub(super) fn json_seeds() -> Vec<Vec<u8>> {
    [
        r#"[{"headers":{"a":"b","n":1},"body":"x\u00e4\n"},{"body":null},{}]"#,
        r#"{"headers":null,"body":true,"more":[1]}"#,
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .into()
}

/// A header of an Avro container file lies in the file, and with one byte less there is more of it to come.
#[cfg(feature = "avro")]
pub(super) fn avro_container(data: &[u8]) {
    use crate::codec::avro::container;
    let Ok(Some(header)) = container::read_header(data) else { return };
    assert!(header.len <= data.len());
    let shorter = data.get(..header.len - 1).unwrap_or_default();
    assert!(matches!(container::read_header(shorter), Ok(None)));
}

#[cfg(feature = "avro")]
pub(super) fn avro_container_seeds() -> Vec<Vec<u8>> {
    use crate::codec::avro::container;
    let names = ["null", "deflate", "snappy", "bzip2"];
    let seed = |name| {
        let mut out = Vec::new();
        if let Some(codec) = container::codec(name) {
            container::put_header(&mut out, r#"{"type":"bytes"}"#, codec, &[7; container::SYNC_BYTES]);
            container::put_block(&mut out, 1, b"\x02x", &[7; container::SYNC_BYTES]);
        }
        out
    };
    names.map(seed).into()
}
