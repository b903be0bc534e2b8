//! The protocol that both sides speak, its text, and what makes another text as good.

use serde_json::Value;

/// The MD5 digest of a protocol's text.
pub(crate) type Hash = [u8; 16];

/// Of [`TEXT`], which is that of all releases of Flume up to 1.11.0: the digest covers the licence in the text, so that
/// one letter more makes another protocol of it.
pub(crate) const HASH: Hash =
    [0x86, 0xaa, 0xda, 0xe2, 0xc4, 0x54, 0x74, 0xc0, 0xfe, 0x93, 0xff, 0xd0, 0xf2, 0x35, 0x0a, 0x65];

/// Digests of texts that say the same: the one above; that of Flume built with Avro 1.11.1 or later, which strips the
/// stars of the comment; and that without the comment.
pub(crate) const KNOWN: [Hash; 3] = [
    HASH,
    [0x80, 0x76, 0xc5, 0x37, 0x14, 0xe0, 0x1f, 0x6e, 0x2c, 0x1d, 0xeb, 0x95, 0x44, 0xe7, 0xb1, 0xfe],
    [0x30, 0xda, 0x54, 0x05, 0x9d, 0xf7, 0x2d, 0x95, 0x84, 0xb8, 0x67, 0xd5, 0x20, 0x2e, 0x20, 0x69],
];

/// `AvroSourceProtocol` as Flume's own classes print it.
pub(crate) const TEXT: &str = concat!(
    r#"{"protocol":"AvroSourceProtocol","namespace":"org.apache.flume.source.avro","doc":""#,
    r#"* Licensed to the Apache Software Foundation (ASF) under one\n"#,
    r#" * or more contributor license agreements.  See the NOTICE file\n"#,
    r#" * distributed with this work for additional information\n"#,
    r#" * regarding copyright ownership.  The ASF licenses this file\n"#,
    r#" * to you under the Apache License, Version 2.0 (the\n"#,
    r#" * \"License\"); you may not use this file except in compliance\n"#,
    r#" * with the License.  You may obtain a copy of the License at\n"#,
    r#" *\n"#,
    r#" * http://www.apache.org/licenses/LICENSE-2.0\n"#,
    r#" *\n"#,
    r#" * Unless required by applicable law or agreed to in writing,\n"#,
    r#" * software distributed under the License is distributed on an\n"#,
    r#" * \"AS IS\" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY\n"#,
    r#" * KIND, either express or implied.  See the License for the\n"#,
    r#" * specific language governing permissions and limitations\n"#,
    r#" * under the License."#,
    r#"","#,
    r#""types":[{"type":"enum","name":"Status","symbols":["OK","FAILED","UNKNOWN"]},"#,
    r#"{"type":"record","name":"AvroFlumeEvent","fields":["#,
    r#"{"name":"headers","type":{"type":"map","values":"string"}},{"name":"body","type":"bytes"}]}],"#,
    r#""messages":{"append":{"request":[{"name":"event","type":"AvroFlumeEvent"}],"response":"Status"},"#,
    r#""appendBatch":{"request":[{"name":"events","type":{"type":"array","items":"AvroFlumeEvent"}}],"response":"Status"}}}"#,
);

/// What is different in the protocol of the other side, so that its data would be read wrongly; `None` if nothing is.
/// Comments, and types and messages that are not used here, make no difference.
pub(crate) fn difference(text: &str) -> Option<String> {
    let protocol: Value = match serde_json::from_str(text) {
        Ok(protocol) => protocol,
        Err(error) => return Some(format!("its text is not JSON: {error}")),
    };
    let types = protocol.get("types").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let named = |name: &str| types.iter().find(|found| simple_name(found.get("name")) == Some(name));
    if !named("AvroFlumeEvent").is_some_and(is_event) {
        return Some("AvroFlumeEvent is not a record of headers, a map of string, and body, bytes".to_owned());
    }
    let symbols = named("Status").and_then(|status| status.get("symbols")).and_then(Value::as_array);
    if !symbols.is_some_and(|symbols| symbols.iter().map(Value::as_str).eq(["OK", "FAILED", "UNKNOWN"].map(Some))) {
        return Some("Status is not an enum of OK, FAILED and UNKNOWN".to_owned());
    }
    let event = |kind: &Value| simple_name(Some(kind)) == Some("AvroFlumeEvent");
    let events = |kind: &Value| has(kind, "type", "array") && kind.get("items").is_some_and(event);
    let messages = protocol.get("messages");
    if !messages.and_then(|all| all.get("append")).is_some_and(|message| takes(message, event)) {
        return Some("append is not a message from one AvroFlumeEvent to a Status".to_owned());
    }
    if !messages.and_then(|all| all.get("appendBatch")).is_some_and(|message| takes(message, events)) {
        return Some("appendBatch is not a message from an array of AvroFlumeEvent to a Status".to_owned());
    }
    None
}

fn is_event(record: &Value) -> bool {
    let Some([headers, body]) = record.get("fields").and_then(Value::as_array).map(Vec::as_slice) else { return false };
    let map = headers.get("type").filter(|kind| has(kind, "type", "map"));
    has(record, "type", "record")
        && has(headers, "name", "headers")
        && has(body, "name", "body")
        && map.and_then(|map| map.get("values")).is_some_and(|values| is_primitive(values, "string"))
        && body.get("type").is_some_and(|kind| is_primitive(kind, "bytes"))
}

/// A message with one parameter that returns a `Status`.
fn takes(message: &Value, parameter: impl Fn(&Value) -> bool) -> bool {
    let request = message.get("request").and_then(Value::as_array).map(Vec::as_slice);
    let Some([only]) = request else { return false };
    only.get("type").is_some_and(parameter) && simple_name(message.get("response")) == Some("Status")
}

/// A primitive type may come alone, or as an object with annotations.
fn is_primitive(kind: &Value, name: &str) -> bool {
    kind.as_str() == Some(name) || has(kind, "type", name)
}

fn has(value: &Value, key: &str, text: &str) -> bool {
    value.get(key).and_then(Value::as_str) == Some(text)
}

/// A name without its namespace.
fn simple_name(name: Option<&Value>) -> Option<&str> {
    name?.as_str()?.rsplit('.').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1321, in the words of its definition.
    fn md5(message: &[u8]) -> Hash {
        let shifts = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // as the definition has it
        let sines: Vec<u32> = (1..=64).map(|i| (f64::from(i).sin().abs() * 4_294_967_296.0) as u32).collect();
        let mut padded = message.to_vec();
        padded.push(0x80);
        padded.resize(padded.len().next_multiple_of(64), 0);
        if padded.len() - message.len() < 9 {
            padded.resize(padded.len() + 64, 0);
        }
        let end = padded.len() - 8;
        padded[end..].copy_from_slice(&(8 * message.len() as u64).to_le_bytes());
        let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
        for block in padded.chunks(64) {
            let words: Vec<u32> = block.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
            let [mut a, mut b, mut c, mut d] = state;
            for i in 0..64 {
                let (mixed, word) = match i / 16 {
                    0 => (b & c | !b & d, i),
                    1 => (d & b | !d & c, 5 * i + 1),
                    2 => (b ^ c ^ d, 3 * i + 5),
                    _ => (c ^ (b | !d), 7 * i),
                };
                let sum = a.wrapping_add(mixed).wrapping_add(sines[i]).wrapping_add(words[word % 16]);
                (a, d, c) = (d, c, b);
                b = b.wrapping_add(sum.rotate_left(shifts[i / 16][i % 4]));
            }
            for (sum, add) in state.iter_mut().zip([a, b, c, d]) {
                *sum = sum.wrapping_add(add);
            }
        }
        state.map(u32::to_le_bytes).concat().try_into().unwrap()
    }

    #[test]
    fn the_text_is_the_one_that_flume_has_the_digest_of() {
        let hex = |hash: Hash| hash.map(|byte| format!("{byte:02x}")).concat();
        assert_eq!(hex(md5(b"abc")), "900150983cd24fb0d6963f7d28e17f72", "the definition's own example");
        assert_eq!((TEXT.len(), md5(TEXT.as_bytes())), (1334, HASH));
        let without_stars = TEXT.replace("\"* L", "\"L").replace("\\n *\\n", "\\n\\n").replace("\\n * ", "\\n");
        assert_eq!((without_stars.len(), md5(without_stars.as_bytes())), (1289, KNOWN[1]));
        let (before, rest) = TEXT.split_once("\"doc\":").unwrap();
        let without_doc = format!("{before}{}", &rest[rest.find("\"types\"").unwrap()..]);
        assert_eq!((without_doc.len(), md5(without_doc.as_bytes())), (509, KNOWN[2]));
    }

    #[test]
    fn a_protocol_is_as_good_if_its_data_look_the_same() {
        assert_eq!(difference(TEXT), None);
        for (from, to) in [
            ("one\\n", "two "),
            ("\"string\"", "{\"type\":\"string\",\"avro.java.string\":\"String\"}"),
            ("\"items\":\"Avro", "\"items\":\"org.apache.flume.source.avro.Avro"),
            ("\"messages\":{", "\"messages\":{\"ping\":{\"request\":[],\"response\":\"null\"},"),
        ] {
            assert!(TEXT.contains(from));
            assert_eq!(difference(&TEXT.replace(from, to)), None, "{to}");
        }
        for (from, to, what) in [
            ("\"values\":\"string\"", "\"values\":\"bytes\"", "AvroFlumeEvent"),
            ("\"body\"", "\"data\"", "AvroFlumeEvent"),
            ("\"type\":\"bytes\"}", "\"type\":\"bytes\"},{\"name\":\"more\",\"type\":\"int\"}", "AvroFlumeEvent"),
            ("\"OK\",\"FAILED\"", "\"FAILED\",\"OK\"", "Status"),
            ("\"append\"", "\"put\"", "append is not"),
            ("\"array\"", "\"map\"", "appendBatch is not"),
            ("{\"protocol\"", "\"protocol\"", "not JSON"),
        ] {
            assert!(TEXT.contains(from), "{from}");
            let found = difference(&TEXT.replace(from, to)).unwrap_or_default();
            assert!(found.contains(what), "{to}: {found}");
        }
        assert!(difference("[]").is_some() && difference(&"[".repeat(10_000)).is_some());
    }
}
