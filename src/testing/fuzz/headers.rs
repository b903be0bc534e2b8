//! Headers of events, as they are on disk.

use bytes::Bytes;

use crate::event::{Event, Headers};
use crate::limits::{HEADERS_BYTES_MAX, HEADERS_COUNT_MAX};

/// What is accepted keeps its bytes, stays within the limits, and can be built again from its entries.
pub(super) fn run(data: &[u8]) {
    let Ok(headers) = Headers::from_encoded(Bytes::copy_from_slice(data)) else { return };
    assert_eq!(headers.as_encoded(), data);
    assert!(headers.len() <= HEADERS_COUNT_MAX && data.len() <= HEADERS_BYTES_MAX);
    assert_eq!(headers.iter().count(), headers.len());
    let mut again = Headers::new();
    for (name, value) in &headers {
        assert!(headers.get(name).is_some(), "{name:?} is among them");
        assert!(again.insert(name, value).is_ok(), "{name:?} was accepted before");
        assert_eq!(again.get(name), Some(value));
    }
    for (name, _) in &headers {
        again.remove(name);
    }
    assert!(again.is_empty());
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let entries: [&[(&str, &str)]; 4] =
        [&[], &[("name", "value")], &[("", "")], &[("timestamp", "1"), ("host", "a"), ("\u{e4}", "\u{20ac}")]];
    let encoded = entries.iter().map(|entries| {
        let event = entries.iter().try_fold(Event::new(""), |event, (name, value)| event.with_header(name, value));
        event.map(|event| event.headers().as_encoded().to_vec()).unwrap_or_default()
    });
    encoded.collect()
}
