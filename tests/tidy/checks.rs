//! The rules, each a function from a text to its violations.

use std::collections::BTreeMap;

use crate::source::{Source, closing, ident_at, line_of, names_after, words};

/// The layers of the crate, lowest first. A module may use the modules of lower layers; those of its own layer only
/// where the layer is one unit. Modules that are listed with a layer of their own are siblings that ignore each other.
const LAYERS: &[(&[&str], Siblings)] = &[
    (
        &[
            "limits",
            "clock",
            "event",
            "error",
            "lease",
            "batch",
            "durability",
            "random",
            "sabotage",
            "sync",
            "wait",
            "wakers",
            "ticket",
            "shutdown",
            "stats",
            "tell",
        ],
        Siblings::OneUnit,
    ),
    (&["codec", "vfs"], Siblings::Strangers),
    (&["tls"], Siblings::Strangers),
    (&["net"], Siblings::Strangers),
    (&["import", "rpc", "store"], Siblings::Strangers),
    (&["channel"], Siblings::Strangers),
    (&["interceptor", "selector", "source", "sink"], Siblings::Strangers),
    (&["agent"], Siblings::Strangers),
    (&["config", "metrics"], Siblings::Strangers),
    (&["testing"], Siblings::Strangers),
];

/// Files that may name one module above theirs, and why.
const UPWARD: &[(&str, &str, &str)] = &[
    ("src/store/mod.rs", "channel", "a store hands out its channels and their transactions"),
    ("src/store/inner.rs", "channel", "the commit of a take comes in the form that every channel gets it"),
];

pub(crate) const FILE_LINES_MAX: usize = 600;
pub(crate) const FUNCTION_LINES_MAX: usize = 70;
/// Of unit tests that stand in the file of what they test.
pub(crate) const INLINE_TESTS_LINES_MAX: usize = 80;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Siblings {
    OneUnit,
    Strangers,
}

/// Which module of the crate a name at the crate's root comes from, read from the `pub use` lines of `lib.rs`.
pub(crate) fn root_names(lib: &str) -> BTreeMap<String, String> {
    let code = Source::parse(lib).code;
    let mut names = BTreeMap::new();
    for at in words(&code, "use") {
        let statement = code[at + 3..].split(';').next().unwrap_or_default();
        let module = ident_at(statement, 0);
        let parts = statement.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        names.extend(parts.filter(|part| !part.is_empty()).map(|part| (part.to_owned(), module.to_owned())));
    }
    names
}

/// The exported macros of a file, which users and other modules find at the crate's root.
pub(crate) fn exported_macros(path: &str, source: &Source) -> Vec<(String, String)> {
    let Some((module, _)) = module_of(path) else { return Vec::new() };
    let names = words(&source.code, "macro_rules").map(|at| ident_at(&source.code, at + "macro_rules!".len()));
    names.map(|name| (name.to_owned(), module.clone())).collect()
}

/// Uses of a module that stands higher, or beside, in the layers.
pub(crate) fn direction(path: &str, source: &Source, roots: &BTreeMap<String, String>) -> Vec<String> {
    let Some((own, depth)) = module_of(path) else { return Vec::new() };
    let Some(own_layer) = layer(&own) else {
        return vec![format!("{path}: module {own} is in no layer; add it to LAYERS in tests/tidy/checks.rs")];
    };
    let up = vec!["super"; depth].join("::");
    let mut used = names_after(&source.code, "crate");
    used.extend(names_after(&source.code, &up).into_iter().filter(|(at, _)| !source.code[..*at].ends_with("super::")));
    let mut found = Vec::new();
    for (at, name) in used {
        let module = if layer(name).is_some() { name } else { roots.get(name).map_or(name, String::as_str) };
        // `super::super::x` of a deeper inline module, `crate` alone, and macros' own helpers name no module.
        if module.is_empty() || matches!(module, "super" | "self") {
            continue;
        }
        let line = line_of(&source.code, at);
        match layer(module) {
            None => found.push(format!("{path}:{line}: crate::{name} is in no layer of tests/tidy/checks.rs")),
            Some(layer) if module == own || layer < own_layer => {}
            Some(_) if UPWARD.iter().any(|(file, above, _)| *file == path && *above == module) => {}
            Some(layer) if layer == own_layer && LAYERS[layer].1 == Siblings::OneUnit => {}
            Some(_) => found.push(format!("{path}:{line}: {own} must not use {module}")),
        }
    }
    found
}

pub(crate) fn file_length(path: &str, raw: &str) -> Vec<String> {
    let lines = raw.lines().count();
    if lines <= FILE_LINES_MAX {
        return Vec::new();
    }
    vec![format!("{path}: {lines} lines, more than {FILE_LINES_MAX}; split it by concept")]
}

/// Unit tests at the end of a file that are long enough for a file of their own.
pub(crate) fn inline_tests(path: &str, raw: &str) -> Vec<String> {
    let Some(begin) = raw.lines().position(|line| line == "mod tests {") else { return Vec::new() };
    let lines = raw.lines().count().saturating_sub(begin + 2);
    if lines <= INLINE_TESTS_LINES_MAX {
        return Vec::new();
    }
    vec![format!("{path}: {lines} lines of tests, more than {INLINE_TESTS_LINES_MAX}; move them to a sibling tests.rs")]
}

pub(crate) fn function_length(path: &str, source: &Source) -> Vec<String> {
    let code = &source.code;
    let mut found = Vec::new();
    for at in words(code, "fn") {
        let name = ident_at(code, at + 2);
        let Some(end) = body_end(code.as_bytes(), at).filter(|_| !name.is_empty()) else { continue };
        let lines = line_of(code, end) - line_of(code, at) + 1;
        if lines > FUNCTION_LINES_MAX {
            let line = line_of(code, at);
            found.push(format!("{path}:{line}: fn {name} has {lines} lines, more than {FUNCTION_LINES_MAX}"));
        }
    }
    found
}

/// The closing brace of the function that begins at `from`; `None` for a declaration without a body.
fn body_end(code: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        match code.get(at)? {
            b'(' | b'[' => at = closing(code, at)? + 1,
            b'{' => return closing(code, at),
            b';' | b'}' => return None,
            _ => at += 1,
        }
    }
}

pub(crate) fn ascii(path: &str, source: &Source) -> Vec<String> {
    let strange = source.text.char_indices().filter(|(_, c)| !c.is_ascii());
    strange.map(|(at, c)| format!("{path}:{}: {c:?} is not ASCII", line_of(&source.text, at))).collect()
}

/// Marks of unfinished work, in code and in comments.
pub(crate) fn unfinished(path: &str, source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for word in [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")] {
        let hits = words(&source.text, word);
        found.extend(hits.map(|at| format!("{path}:{}: {word}", line_of(&source.text, at))));
    }
    for name in ["todo", "unimplemented", "dbg"] {
        let hits = words(&source.code, name).filter(|at| source.code[at + name.len()..].starts_with('!'));
        found.extend(hits.map(|at| format!("{path}:{}: {name}!", line_of(&source.code, at))));
    }
    found
}

/// `std::fs` outside the one file that talks to the operating system.
pub(crate) fn file_access(path: &str, source: &Source) -> Vec<String> {
    if path == "src/vfs/os.rs" {
        return Vec::new();
    }
    let hits = names_after(&source.code, "std").into_iter().filter(|(_, name)| *name == "fs");
    hits.map(|(at, _)| format!("{path}:{}: std::fs outside src/vfs/os.rs", line_of(&source.code, at))).collect()
}

/// Reading a clock of the operating system outside the clock.
pub(crate) fn time(path: &str, source: &Source) -> Vec<String> {
    if matches!(path, "src/clock.rs" | "src/wait.rs") {
        return Vec::new();
    }
    let mut found = Vec::new();
    for clock in ["Instant", "SystemTime"] {
        let hits = names_after(&source.code, clock).into_iter().filter(|(_, name)| *name == "now");
        found.extend(
            hits.map(|(at, _)| format!("{path}:{}: {clock}::now outside src/clock.rs", line_of(&source.code, at))),
        );
    }
    found
}

pub(crate) fn unsafe_code(path: &str, source: &Source) -> Vec<String> {
    if path == "src/vfs/os.rs" {
        return Vec::new();
    }
    let hits = words(&source.code, "unsafe");
    hits.map(|at| format!("{path}:{}: unsafe outside src/vfs/os.rs", line_of(&source.code, at))).collect()
}

/// Paths that exist on one machine only.
pub(crate) fn machine_paths(path: &str, raw: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in raw.lines().enumerate() {
        for home in [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")] {
            let begins = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-*/}".contains(c));
            if line.match_indices(home).any(|(at, _)| begins(at)) {
                found.push(format!("{path}:{}: absolute path below {home}", number + 1));
            }
        }
    }
    found
}

/// What `exclude` of a manifest leaves out of the package.
pub(crate) fn excluded(manifest: &str) -> Vec<String> {
    let list = manifest.lines().find_map(|line| line.strip_prefix("exclude = [")).unwrap_or_default();
    list.split('"').skip(1).step_by(2).map(|path| path.trim_start_matches('/').to_owned()).collect()
}

/// Files that a packaged source includes and that are left out of the package, so that it does not compile there.
pub(crate) fn left_out(path: &str, raw: &str, excluded: &[String]) -> Vec<String> {
    let is_out = |file: &str| excluded.iter().any(|out| file.strip_prefix(&**out).is_some_and(|r| r.starts_with('/')));
    if is_out(path) {
        return Vec::new();
    }
    let folder = path.rfind('/').map_or("", |slash| &path[..slash]);
    let mut found = Vec::new();
    for name in [concat!("include", "_str!"), concat!("include", "_bytes!")] {
        for (at, _) in raw.match_indices(name) {
            let rest = raw[at + name.len()..].trim_start();
            let Some(end) = closing(rest.as_bytes(), 0).filter(|_| rest.starts_with('(')) else { continue };
            // All texts in it together, in one or in several: the name of the variable is the root.
            let written: String = rest[..end].split('"').skip(1).step_by(2).collect();
            let file = match written.strip_prefix("CARGO_MANIFEST_DIR") {
                Some(file) => join("", file),
                None => join(folder, &written),
            };
            if is_out(&file) {
                found.push(format!("{path}:{}: {file} is not in the package, see Cargo.toml", line_of(raw, at)));
            }
        }
    }
    found
}

/// Files of `docs/` that no other page links to, and links of pages that lead nowhere. `pages` are paths with contents,
/// `exists` tells of any path of the repository.
pub(crate) fn links(pages: &BTreeMap<String, String>, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    let mut linked = Vec::new();
    for (page, text) in pages {
        let folder = page.rfind('/').map_or("", |slash| &page[..=slash]);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let target = join(folder, target);
            if !exists(&target) {
                found.push(format!("{page}: link to {target}, which does not exist"));
            }
            if target != *page {
                linked.push(target);
            }
        }
    }
    let lonely = pages.keys().filter(|page| page.starts_with("docs/") && !linked.contains(page));
    found.extend(lonely.map(|page| format!("{page}: no other page links to it")));
    found
}

/// Names of tests in the tables of a page that no source has. `known` tells whether a word stands in the sources.
pub(crate) fn tests_named(page: &str, text: &str, known: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with('|')) {
        // Code stands between every other pair of backticks. A sentence as a name has underscores and nothing else.
        let names = line.split('`').skip(1).step_by(2);
        let names = names.filter(|name| name.contains('_') && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
        found.extend(names.filter(|name| !known(name)).map(|name| format!("{page}:{}: no test {name}", number + 1)));
    }
    found
}

/// `folder` and a relative link, with `..` resolved.
fn join(folder: &str, link: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// The top module that a file under `src/` belongs to and how deep its own module is; `None` for the crate's root.
fn module_of(path: &str) -> Option<(String, usize)> {
    let inner = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    if inner == "lib" {
        return None;
    }
    let mut parts: Vec<&str> = inner.split('/').collect();
    if parts.last() == Some(&"mod") {
        parts.pop();
    }
    Some(((*parts.first()?).to_owned(), parts.len()))
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|(modules, _)| modules.contains(&module))
}
