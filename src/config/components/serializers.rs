//! Flume's serializers of text.

use super::super::{Keys, Made, Registry, Site};
use crate::sink::{HeaderAndText, Serializer, Text};

pub(super) fn register(registry: &mut Registry) {
    let text = ["text", "org.apache.flume.serialization.BodyTextEventSerializer$Builder"];
    registry.serializer(&text, |keys: &mut Keys, _: &Site<'_>| -> Made<Box<dyn Serializer>> {
        Ok(Box::new(Text::new().append_newline(keys.flag("appendNewline", true))))
    });
    let headers = ["header_and_text", "org.apache.flume.serialization.HeaderAndBodyTextEventSerializer$Builder"];
    registry.serializer(&headers, |keys: &mut Keys, _: &Site<'_>| -> Made<Box<dyn Serializer>> {
        Ok(Box::new(HeaderAndText::new().append_newline(keys.flag("appendNewline", true))))
    });
}
