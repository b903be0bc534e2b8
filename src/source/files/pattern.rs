//! Patterns of file names.

use regex::Regex;

/// An expression that matches whole names only, as Java's `matches`; or what is wrong with it.
pub(crate) fn whole_name(pattern: &str) -> Result<Regex, String> {
    let compile = |pattern: &str| Regex::new(pattern);
    // On its own first: parentheses that do not match must not be matched by those around it.
    compile(pattern)
        .and_then(|_| compile(&format!(r"\A(?:{pattern})\z")))
        .map_err(|error| format!("{error}; look-around and back-references are not supported"))
}
