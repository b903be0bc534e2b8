//! Stores that earlier versions wrote, and the bytes that this one writes.
//!
//! `tests/fixtures/format/v1` has one directory for each store of `scripts`, as version 1 of the format wrote it, and beside its
//! files `content.txt`: what came out of it then. Every later version must read the same. They are never written again; a new
//! version of the format gets a directory of its own, made by
//! `cargo test --test format -- --ignored write_the_fixtures`, which leaves alone what is there.

#![allow(clippy::disallowed_methods)] // fixtures are files
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)] // an error is a failed test

mod content;
mod scripts;

use std::fs;
use std::path::{Path, PathBuf};

use aqueduct::store::{OnCorruption, OpenError};

/// The version of the format that this crate writes.
const VERSION: u16 = 1;

fn fixtures(version: u16) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/format/v{version}"))
}

/// All files below a directory with their content, by relative path.
fn files(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a directory of a store") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(&path).expect("a file of a store");
                found.push((path.strip_prefix(root).expect("below it").to_path_buf(), bytes));
            }
        }
    }
    found.sort();
    found
}

/// A copy to be opened, since that writes.
fn copy(from: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (path, bytes) in files(from) {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a directory");
        fs::write(path, bytes).expect("a file");
    }
    dir
}

#[test]
fn stores_of_every_version_are_read_with_exact_content() {
    for version in 1..=VERSION {
        for script in scripts::all() {
            let fixture = fixtures(version).join(script.name);
            let dir = copy(&fixture);
            let wanted = fs::read_to_string(fixture.join("content.txt")).expect("the content of a fixture");
            assert_eq!(content::of(dir.path(), script.lanes), wanted, "version {version}, {}", script.name);
            // What the open made of it is as good.
            let again = content::waiting(dir.path(), script.lanes, OnCorruption::Salvage);
            assert!(wanted.ends_with(&again), "version {version}, {}, opened again:\n{again}", script.name);
        }
    }
}

/// Every kind of file and record: a change of the encoding, however small, is a new version of the format.
#[test]
fn what_is_written_has_the_bytes_of_this_version() {
    let script = scripts::all().into_iter().find(|script| script.name == "golden").expect("it is there");
    let dir = tempfile::tempdir().expect("a temporary directory");
    (script.write)(dir.path());
    let (written, wanted) = (files(dir.path()), files(&fixtures(VERSION).join("golden")));
    let mut kinds = 0;
    for (path, wanted) in wanted {
        let name = path.to_string_lossy();
        if !["manifest", "lane", "checkpoint", ".seg"].iter().any(|kind| name.contains(kind)) {
            continue;
        }
        kinds += 1;
        let (_, bytes) = written.iter().find(|(known, _)| *known == path).unwrap_or_else(|| panic!("no file {name}"));
        // How much is prepared is a setting and no matter of the format.
        let end = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let (bytes, wanted) = (&bytes[..end(bytes)], &wanted[..end(&wanted)]);
        let differs = bytes.iter().zip(wanted).position(|(a, b)| a != b);
        assert_eq!(differs, None, "{name}: the byte at this offset has changed");
        assert_eq!(bytes.len(), wanted.len(), "{name}");
    }
    assert!(kinds >= 4, "a manifest, a mark, a segment and a checkpoint");
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_left_as_it_is() {
    let dir = copy(&fixtures(VERSION).join("closed"));
    let (path, mut bytes) = files(dir.path())
        .into_iter()
        .rfind(|(path, _)| path.extension().is_some_and(|e| e == "seg"))
        .expect("a segment");
    // The version stands behind magic, store and lane; the checksum of the header covers 56 bytes.
    bytes[26..28].copy_from_slice(&(VERSION + 1).to_le_bytes());
    let crc = crc32fast::hash(&bytes[..56]);
    bytes[56..60].copy_from_slice(&crc.to_le_bytes());
    fs::write(dir.path().join(&path), bytes).expect("a file");
    let before = files(dir.path());
    for policy in [OnCorruption::Fail, OnCorruption::Salvage] {
        let error = content::builder(dir.path(), 1).on_corruption(policy).open().expect_err("a newer version");
        assert!(matches!(error, OpenError::Version { found: 2, newest: VERSION, .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.ends_with("has format version 2; this version reads up to 1") && text.contains(".seg"), "{text}");
    }
    assert!(files(dir.path()) == before, "a refused store was changed");
}

#[test]
fn small_files_of_a_newer_version_are_refused_by_name() {
    for name in ["manifest", "data/lane"] {
        let dir = copy(&fixtures(VERSION).join("closed"));
        let path = dir.path().join(name);
        let mut bytes = fs::read(&path).expect("a small file");
        bytes[7] += 1;
        fs::write(&path, bytes).expect("a small file");
        let error = content::builder(dir.path(), 1).open().expect_err("a newer version").to_string();
        assert!(error.contains(name) && error.contains("another version of the format"), "{error}");
    }
}

/// Writes the fixtures of a new version. Those that are there stay as they are.
#[test]
#[ignore = "makes fixtures of a new version of the format"]
fn write_the_fixtures() {
    for script in scripts::all() {
        let fixture = fixtures(VERSION).join(script.name);
        if fixture.exists() {
            println!("{} is there", fixture.display());
            continue;
        }
        fs::create_dir_all(&fixture).expect("a directory");
        (script.write)(&fixture);
        let content = content::of(copy(&fixture).path(), script.lanes);
        println!("{}\n{content}", fixture.display());
        fs::write(fixture.join("content.txt"), content).expect("a file");
    }
}
