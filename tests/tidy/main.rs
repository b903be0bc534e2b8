//! The rules of docs/style.md that a program can check, checked on this repository.
//!
//! Each rule is a function from a text to its violations (`checks.rs`), tried on planted violations in `planted.rs`.

#![allow(clippy::disallowed_methods)] // tests read the repository's own files
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)] // a panic is how a test fails

mod checks;
mod planted;
mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use source::Source;

#[test]
fn modules_depend_downwards_only() {
    let product = product();
    let mut roots = checks::root_names(&read(&root().join("src/lib.rs")));
    roots.extend(product.iter().flat_map(|(path, raw)| checks::exported_macros(path, &Source::parse(raw))));
    report(&product, |path, raw| checks::direction(path, &Source::parse(raw), &roots));
}

#[test]
fn files_are_short() {
    report(&product(), checks::file_length);
}

#[test]
fn long_unit_tests_stand_in_files_of_their_own() {
    report(&product(), checks::inline_tests);
}

#[test]
fn functions_are_short() {
    report(&product(), |path, raw| checks::function_length(path, &Source::parse(raw)));
}

#[test]
fn sources_are_ascii() {
    report(&with_programs(), |path, raw| checks::ascii(path, &Source::parse(raw)));
}

#[test]
fn nothing_is_left_unfinished() {
    report(&files(&root(), &["rs"]), |path, raw| checks::unfinished(path, &Source::parse(raw)));
}

#[test]
fn files_are_reached_through_the_vfs_only() {
    report(&product(), |path, raw| checks::file_access(path, &Source::parse(raw)));
}

#[test]
fn time_comes_from_the_clock_only() {
    report(&product(), |path, raw| checks::time(path, &Source::parse(raw)));
}

#[test]
fn unsafe_stands_in_one_file() {
    report(&with_programs(), |path, raw| checks::unsafe_code(path, &Source::parse(raw)));
}

#[test]
fn no_path_of_one_machine_is_named() {
    let kinds = ["rs", "md", "toml", "sh", "txt", "yml", "yaml", "json", "run", "suites", "properties"];
    report(&files(&root(), &kinds), checks::machine_paths);
}

#[test]
fn what_sources_include_is_in_the_package() {
    let excluded = checks::excluded(&read(&root().join("Cargo.toml")));
    assert!(!excluded.is_empty(), "nothing is excluded from the package");
    report(&files(&root(), &["rs"]), |path, raw| checks::left_out(path, raw, &excluded));
}

#[test]
fn pages_are_linked_and_links_lead_somewhere() {
    let pages: BTreeMap<String, String> = files(&root(), &["md"]).into_iter().collect();
    assert!(pages.contains_key("README.md"), "README.md is missing");
    let found = checks::links(&pages, |path| root().join(path).exists());
    println!("{} pages", pages.len());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn promises_name_tests_that_exist() {
    let sources = files(&root(), &["rs"]);
    let known = |name: &str| sources.iter().any(|(_, raw)| source::words(raw, name).next().is_some());
    let pages = ["docs/guarantees.md", "docs/testing.md"].map(|page| (page.to_owned(), read(&root().join(page))));
    report(&pages, |page, text| checks::tests_named(page, text, known));
}

/// Fails with all violations that `check` finds.
fn report(files: &[(String, String)], check: impl Fn(&str, &str) -> Vec<String>) {
    let found: Vec<String> = files.iter().flat_map(|(path, raw)| check(path, raw)).collect();
    println!("{} files", files.len());
    assert!(!files.is_empty(), "found no files to check");
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// The library's sources, files of unit tests apart.
fn product() -> Vec<(String, String)> {
    let mut found = files(&root(), &["rs"]);
    found.retain(|(path, _)| path.starts_with("src/") && !path.ends_with("/tests.rs") && !path.contains("/tests/"));
    found
}

/// The library's sources, examples and benchmarks.
fn with_programs() -> Vec<(String, String)> {
    let mut found = product();
    let programs = files(&root(), &["rs"]);
    found
        .extend(programs.into_iter().filter(|(path, _)| path.starts_with("examples/") || path.starts_with("benches/")));
    found
}

/// Files below `folder` whose name ends in one of `kinds`, with paths relative to the repository, sorted. Build output
/// and whatever else is not part of the repository is passed over.
fn files(folder: &Path, kinds: &[&str]) -> Vec<(String, String)> {
    const PASSED_OVER: &[&str] = &["target", ".git", "corpus", "artifacts", "fixtures"];
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the repository can be listed") {
            let entry = entry.expect("a folder of the repository can be listed");
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if !PASSED_OVER.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if kinds.contains(&name.rsplit('.').next().unwrap_or(&name)) {
                let relative = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
                found.push((relative, read(&path)));
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
