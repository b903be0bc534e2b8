//! For `testing::fuzz`: what is read is the same once it is written with every character escaped.

use std::fmt::Write as _;

use super::properties::{Property, parse};

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
