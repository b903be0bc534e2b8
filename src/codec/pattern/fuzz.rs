//! For `testing::fuzz`: a pattern is translated or refused, what it matches lies in the text, and so does what a replacement
//! keeps of it.

use super::{Pattern, Piece, Replacement, translate};

pub(crate) fn pattern(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for whole in [false, true] {
        let _ = translate(text, whole);
    }
    // Compiled, a long one may take megabytes.
    let Some(short) = text.get(..text.len().min(12)) else { return };
    if short.contains('{') {
        return;
    }
    let Ok(pattern) = Pattern::new(short) else { return };
    for range in pattern.find(text).into_iter().flatten().flatten() {
        assert!(text.get(range.clone()).is_some(), "{range:?} of {text:?}");
    }
    let parts: usize = pattern.split(text).iter().map(|part| part.len()).sum();
    assert!(parts <= text.len(), "{parts} bytes in the parts of {text:?}");
    if let Ok(same) = Replacement::new("$0", &pattern)
        && let Some(replaced) = same.replace_all(text)
    {
        assert_eq!(replaced, text, "each match replaced by itself");
    }
}

/// A pattern, a replacement and a text, each behind the other at the first two line feeds.
pub(crate) fn replacement(data: &[u8]) {
    let Ok(input) = std::str::from_utf8(data) else { return };
    let mut parts = input.splitn(3, '\n');
    let (Some(pattern), Some(template), Some(text)) = (parts.next(), parts.next(), parts.next()) else { return };
    // Compiled, a long one may take megabytes; so may what is written for each of many matches.
    if pattern.len() > 16 || pattern.contains('{') || template.len() > 64 || text.len() > 1000 {
        return;
    }
    let Ok(pattern) = Pattern::new(pattern) else { return };
    let Ok(given) = Replacement::new(template, &pattern) else { return };
    let matches: Vec<_> = pattern.matches(text).collect();
    let replaced = given.replace_all(text);
    assert_eq!(replaced.is_some(), pattern.is_match(text));
    let mut pieces = String::new();
    let any = given.replace_each(text, |piece| match piece {
        Piece::Kept(range) => match text.get(range.clone()) {
            Some(kept) => pieces.push_str(kept),
            None => panic!("{range:?} is no part of {text:?}"),
        },
        Piece::New(new) => pieces.push_str(new),
    });
    assert_eq!(any.then_some(pieces), replaced, "the pieces make up the text");
    let Some(replaced) = replaced else { return };
    // Without anything that means something in it, the replacement stands where each match was.
    let plain: String = template.chars().flat_map(|c| ['\\', c]).collect();
    let mut expected = String::new();
    let mut from = 0;
    for found in &matches {
        assert!(from <= found.start, "{matches:?} overlap");
        expected.push_str(text.get(from..found.start).unwrap_or_default());
        expected.push_str(template);
        from = found.end;
    }
    expected.push_str(text.get(from..).unwrap_or_default());
    assert_eq!(with(&plain, &pattern, text), Some(expected));
    // What stands for a match depends on the match alone: twice the replacement adds as much again.
    let removed = with("", &pattern, text).unwrap_or_default();
    let twice = with(&format!("{template} {template}"), &pattern, text).unwrap_or_default();
    assert_eq!(twice.len() + removed.len(), 2 * replaced.len() + matches.len(), "{template:?} twice");
}

fn with(template: &str, pattern: &Pattern, text: &str) -> Option<String> {
    Replacement::new(template, pattern).ok()?.replace_all(text)
}

pub(crate) fn replacement_seeds() -> Vec<Vec<u8>> {
    [
        "(\\w)(\\d)?\n$2-$1\\$x\na1b c2",
        "(?<n>a|\u{e4})$\n<${n}$0>\nb\u{e4}\r\n",
        "x*\n$01\nxaxx\u{20ac}",
        "(?m)^|$\n|\na\n\nb\n",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .into()
}
