#![allow(clippy::disallowed_methods)] // files are made behind the sources' backs

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::*;
use crate::vfs::{FileId, FileKind, Metadata};

/// Writes a file that has the inode number of a removed one and another time of creation. Returns whether the file system
/// made one.
pub(crate) fn reuse_inode(removed: &fs::Metadata, path: &Path, content: &str) -> bool {
    for _ in 0..20_000 {
        fs::write(path, content).unwrap();
        let made = fs::metadata(path).unwrap();
        match (removed.created(), made.created()) {
            (Ok(old), Ok(new)) if made.ino() == removed.ino() && old != new => return true,
            (Ok(_), Ok(_)) => fs::remove_file(path).unwrap(),
            _ => return false,
        }
    }
    false
}

#[test]
fn a_file_is_another_one_if_its_number_is_or_its_time_of_creation() {
    let time = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
    let file = |inode, created: Option<u64>| {
        let id = FileId { device: 1, inode };
        Metadata::new(FileKind::File, 3, time(9), id).with_created(created.map(time))
    };
    for (old, new, is_same) in [
        ((1, Some(5)), (1, Some(5)), true),
        ((1, Some(5)), (1, Some(6)), false),
        ((1, Some(5)), (2, Some(5)), false),
        // Not known of one of them.
        ((1, None), (1, Some(6)), true),
        ((1, Some(5)), (1, None), true),
        ((1, None), (2, None), false),
    ] {
        let (mark, metadata) = (Mark::new(&file(old.0, old.1), &[]), file(new.0, new.1));
        assert_eq!((mark.is_of(&metadata), mark.is_unchanged(&metadata)), (is_same, is_same), "{old:?} {new:?}");
        assert_eq!(mark.is_surely_of(&metadata), is_same && old == new, "{old:?} {new:?}");
        let known = old.1.or(new.1).map_or(0, |second| i64::try_from(second).unwrap() * 1_000_000_000);
        assert_eq!(mark.updated(&metadata).created, known);
    }
}
