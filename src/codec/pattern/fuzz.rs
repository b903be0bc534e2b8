//! For `testing::fuzz`: a pattern is translated or refused, and what it matches lies in the text.

use super::{Pattern, Replacement, translate};

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
