//! Events as JSON.

use super::{SerializeResult, Serializer};
use crate::event::Event;

/// One JSON object in a line for each event: `{"headers":{"name":"value"},"body":"text"}`, in the form that Flume's HTTP
/// source takes in an array.
///
/// A body that is not UTF-8 is in Base64 (RFC 4648) and has another name: `{"headers":{},"bodyBase64":"/w=="}`.
///
/// ```
/// use aqueduct::Event;
/// use aqueduct::sink::{JsonLines, Serializer};
///
/// let mut out = Vec::new();
/// JsonLines::new().event(&Event::new("two\nlines"), &mut out)?;
/// assert_eq!(out, b"{\"headers\":{},\"body\":\"two\\nlines\"}\n");
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct JsonLines;

impl JsonLines {
    /// The serializer.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Serializer for JsonLines {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) -> SerializeResult {
        out.extend_from_slice(b"{\"headers\":{");
        for (index, (name, value)) in event.headers().iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            serde_json::to_writer(&mut *out, name)?;
            out.push(b':');
            serde_json::to_writer(&mut *out, value)?;
        }
        if let Ok(text) = std::str::from_utf8(event.body()) {
            out.extend_from_slice(b"},\"body\":");
            serde_json::to_writer(&mut *out, text)?;
        } else {
            out.extend_from_slice(b"},\"bodyBase64\":\"");
            put_base64(event.body(), out);
            out.push(b'"');
        }
        out.extend_from_slice(b"}\n");
        Ok(())
    }
}

fn put_base64(bytes: &[u8], out: &mut Vec<u8>) {
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let is_padding = at > group.len();
            let digit = usize::try_from(bits >> (18 - 6 * at) & 0x3f).unwrap_or_default();
            out.push(if is_padding { b'=' } else { BASE64.get(digit).copied().unwrap_or_default() });
        }
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn lines_are_json_whatever_is_in_the_event() {
        let event = |body: &[u8]| Event::new(body.to_vec());
        let events = [
            event(b""),
            event("a \"b\" \\ \u{e9}\u{1f600}\u{2028}\0\n".as_bytes())
                .with_header("k", "v\"\n")
                .unwrap()
                .with_header("", "")
                .unwrap(),
            event(b"\xff"),
            event(b"\xff\0"),
            event(b"\xff\xfe\xfd"),
            event(b"Man\xfb\xff"),
        ];
        let mut out = Vec::new();
        events.iter().for_each(|event| JsonLines::new().event(event, &mut out).unwrap());
        let lines: Vec<Value> =
            out.split_inclusive(|byte| *byte == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect();
        assert_eq!(
            lines,
            [
                json!({"headers": {}, "body": ""}),
                json!({"headers": {"k": "v\"\n", "": ""}, "body": "a \"b\" \\ \u{e9}\u{1f600}\u{2028}\0\n"}),
                json!({"headers": {}, "bodyBase64": "/w=="}),
                json!({"headers": {}, "bodyBase64": "/wA="}),
                json!({"headers": {}, "bodyBase64": "//79"}),
                json!({"headers": {}, "bodyBase64": "TWFu+/8="}),
            ]
        );
    }
}
