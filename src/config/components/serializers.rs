//! Flume's serializers of text.

use super::super::{Keys, Made, Registry, Site};
use crate::sink::{HeaderAndText, Serializer, Text};

pub(super) fn register(registry: &mut Registry) {
    let text = ["text", "org.apache.flume.serialization.BodyTextEventSerializer$Builder"];
    registry.serializer(&text, |keys: &mut Keys, _: &Site<'_>| -> Made<Box<dyn Serializer>> {
        Ok(Box::new(Text::new().append_newline(keys.flag("appendNewline", true))))
    });
    let headers = ["header_and_text", "org.apache.flume.serialization.HeaderAndBodyTextEventSerializer$Builder"];
    registry.serializer(&headers, |keys: &mut Keys, site: &Site<'_>| -> Made<Box<dyn Serializer>> {
        let serializer = HeaderAndText::new().header_map(site.header_map());
        Ok(Box::new(serializer.append_newline(keys.flag("appendNewline", true))))
    });
    avro_event(registry);
    json(registry);
}

#[cfg(feature = "avro")]
fn avro_event(registry: &mut Registry) {
    use crate::limits::{AVRO_SYNC_INTERVAL_BYTES, AVRO_SYNC_INTERVAL_BYTES_CEILING, AVRO_SYNC_INTERVAL_BYTES_MIN};
    use crate::sink::{AvroCompression, AvroEvent};

    const COMPRESSIONS: [(&str, AvroCompression); 4] = [
        ("null", AvroCompression::Null),
        ("deflate", AvroCompression::Deflate),
        ("snappy", AvroCompression::Snappy),
        ("bzip2", AvroCompression::Bzip2),
    ];
    // The Avro library has them only with libraries in C.
    const MISSING: [&str; 2] = ["xz", "zstandard"];
    registry.serializer(&AVRO_EVENT, |keys: &mut Keys, _: &Site<'_>| -> Made<Box<dyn Serializer>> {
        let range = AVRO_SYNC_INTERVAL_BYTES_MIN..=AVRO_SYNC_INTERVAL_BYTES_CEILING;
        let plain = AvroCompression::Null;
        let is_missing = keys.value("compressionCodec").is_some_and(|name| MISSING.contains(&name));
        let instead = if is_missing {
            "Flume has this codec, this crate has not, and does not compress then"
        } else {
            "Flume does not compress then"
        };
        let codec = keys.bearable_choice("compressionCodec", &COMPRESSIONS, plain, instead);
        let serializer = AvroEvent::new()
            .sync_interval_bytes(keys.number("syncIntervalBytes", range, AVRO_SYNC_INTERVAL_BYTES))
            .compression(codec);
        Ok(Box::new(serializer))
    });
}

#[cfg(not(feature = "avro"))]
fn avro_event(registry: &mut Registry) {
    registry.serializers.without(&AVRO_EVENT, "build aqueduct with its feature avro");
}

/// One of our own.
fn json(registry: &mut Registry) {
    #[cfg(feature = "json")]
    registry.serializer(&["json"], |_: &mut Keys, _: &Site<'_>| -> Made<Box<dyn Serializer>> {
        Ok(Box::new(crate::sink::JsonLines::new()))
    });
    #[cfg(not(feature = "json"))]
    registry.serializers.without(&["json"], "build aqueduct with its feature json");
}

const AVRO_EVENT: [&str; 2] = ["avro_event", "org.apache.flume.serialization.FlumeEventAvroEventSerializer$Builder"];
