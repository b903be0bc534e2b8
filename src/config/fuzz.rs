//! For `testing::fuzz`: properties are the same once they are written with every character escaped; references in them bring in
//! no more than they may, and tell nobody what is secret.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::file::{Raw, trim};
use super::lookup::{Resolved, Resolver, base64_decode, base64_encode};
use super::options::Options;
use super::problem::{Origin, Severity};
use super::properties::{Property, parse};
use crate::limits::{REFERENCES_BYTES_MAX, REFERENCES_MAX, VALUE_BYTES_MAX};

pub(crate) fn properties(data: &[u8]) {
    let Ok(found) = parse(data) else { return };
    let mut text = String::new();
    for Property { key, value, .. } in &found {
        // Characters beyond 16 bits come as pairs of escapes, which Java and we read as two.
        for unit in key.encode_utf16() {
            let _ = write!(text, "\\u{unit:04x}");
        }
        text.push('=');
        for unit in value.encode_utf16() {
            let _ = write!(text, "\\u{unit:04x}");
        }
        text.push('\n');
    }
    let again = parse(text.as_bytes()).unwrap_or_default();
    let pairs = |list: &[Property]| list.iter().map(|one| (one.key.clone(), one.value.clone())).collect::<Vec<_>>();
    // One line may get too long by the escapes.
    if text.len() < 4096 {
        assert_eq!(pairs(&found), pairs(&again));
    }
}

/// A value with references in its first line, and the keys that it may refer to in the others.
pub(crate) fn references(data: &[u8]) {
    base64(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    // Files are not read, which may be pipes. Their kinds may be put together out of other references, if letters are left.
    let small = text.to_ascii_lowercase();
    if small.contains("fi") || small.contains("le") || small.contains("prop") || small.contains("ties") {
        return;
    }
    let mut lines = text.split('\n');
    let value = lines.next().unwrap_or_default();
    let pairs = lines.filter_map(|line| line.split_once('='));
    let entries: BTreeMap<_, _> = pairs.map(|(key, value)| (key.to_owned(), raw(value))).collect();
    let options = Options::new().with_environment(environment).with_home("/home").with_property("zone", "eu");
    let mut brought_in = 0;
    let resolver = Resolver::new(&entries, &options);
    for value in std::iter::once(value).chain(entries.values().map(|raw| raw.value.as_str())) {
        let Resolved { value: found, problems } = resolver.resolve(&raw(value));
        let is_fatal = problems.iter().any(|(severity, _)| *severity == Severity::Fatal);
        assert!(is_fatal || found.len() <= VALUE_BYTES_MAX + value.len(), "a value of {} bytes", found.len());
        assert!(problems.len() <= REFERENCES_MAX + 3, "{} problems", problems.len());
        for (_, why) in &problems {
            assert!(text.contains(SECRET) || !why.contains(SECRET), "{why}");
        }
        if !value.contains("${") {
            assert_eq!((found.as_str(), problems.len()), (trim(value), 0), "there is nothing to resolve");
        }
        brought_in += found.len().saturating_sub(value.len());
        // Without meaning, it is what it is.
        let Resolved { value: plain, problems } = resolver.resolve(&raw(&value.replace("${", "$${")));
        assert_eq!((plain.as_str(), problems), (trim(value), Vec::new()));
    }
    assert!(brought_in <= REFERENCES_BYTES_MAX + VALUE_BYTES_MAX, "{brought_in} bytes in all");
}

/// Text comes back, and what is taken for Base64 is that of one text.
fn base64(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        assert_eq!(base64_decode(&base64_encode(data)).as_deref(), Some(text));
        if let Some(found) = base64_decode(text) {
            // Bits at the end that are part of no byte are passed over, as is the filling.
            let (given, again) = (text.trim_end_matches('='), base64_encode(found.as_bytes()));
            let again = again.trim_end_matches('=');
            let whole = given.len().saturating_sub(1);
            assert_eq!((again.len(), again.get(..whole)), (given.len(), given.get(..whole)), "{text:?}");
        }
    }
}

fn environment(name: &str) -> Option<String> {
    match name {
        "PORT" => Some("4141".to_owned()),
        "NAME" => Some("PORT".to_owned()),
        "TEXT" => Some("<${env:PORT}>".to_owned()),
        "SECRET" => Some(SECRET.to_owned()),
        "TRAP" => Some(format!("a${{{SECRET}}}${{{SECRET}:-b}}")),
        _ => None,
    }
}

fn raw(value: &str) -> Raw {
    Raw { value: value.to_owned(), origin: Origin::line("f", 1) }
}

pub(crate) fn reference_seeds() -> Vec<Vec<u8>> {
    [
        "${env:PORT}/${sys:zone} ${env:NONE:-${env:${env:NAME}}} $${x} ${none:-a:-b}",
        "${base64Decoder:SGVsbG8gRmx1bWU=}|${base64Encoder:${env:SECRET}}|${base64Decoder:${env:SECRET}}",
        "${a}${a${n}}\na=${b}${b}${b}${b}\nb=${c}${c}${c}${c}\nc=0123456789\nn=1\na1=${a}",
        "${env:TRAP}${${env:SECRET}}${date:${env:SECRET}}${const:${env:SECRET}}\nx=${x}",
        "${date:yyyy-MM-dd HH:mm} ${java:version} ${ENV:TEXT} ${a1.x} ${a1.y}\na1.x=${y}\ny=${a1.x",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .into()
}

/// The value that nobody may be told.
const SECRET: &str = "s3cret-Text";
