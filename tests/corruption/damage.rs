//! What happens to the files of a store while no process has it open.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use aqueduct::vfs::sim::{SavedFile, SimVfs};

use crate::image::Image;
use crate::layout::HEADER_USED;
use crate::stores;

/// One misfortune.
#[derive(Clone, Debug)]
pub(crate) struct Damage {
    /// The file that it begins with.
    pub(crate) path: PathBuf,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    /// Byte and mask.
    Flip(u64, u8),
    /// These bytes come to stand at an offset.
    Overwrite(u64, Vec<u8>),
    Cut(u64),
    Remove,
    Zero,
    /// A file of a name, with bytes that were elsewhere, or at another time.
    Replace(String, SavedFile),
    /// With the file of this path.
    Swap(PathBuf),
    /// A directory with everything in it.
    EmptyDir,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.what {
            What::Flip(at, mask) => write!(f, "{path}: byte {at} ^ {mask:#04x}"),
            What::Overwrite(at, bytes) => {
                let first = bytes.first().copied().unwrap_or_default();
                write!(f, "{path}: {} bytes at {at} = {first:#04x}..", bytes.len())
            }
            What::Cut(len) => write!(f, "{path}: cut to {len}"),
            What::Remove => write!(f, "{path}: removed"),
            What::Zero => write!(f, "{path}: zeroed"),
            What::Replace(by, _) => write!(f, "{path}: replaced by {by}"),
            What::Swap(other) => write!(f, "{path}: swapped with {}", other.display()),
            What::EmptyDir => write!(f, "{path}: emptied"),
        }
    }
}

impl Damage {
    fn new(path: &Path, what: What) -> Self {
        Self { path: path.to_path_buf(), what }
    }

    /// Whether it brings a file that is good, and belongs to another store or directory.
    pub(crate) fn is_foreign(&self) -> bool {
        let dir = self.path.parent().map(|dir| dir.display().to_string()).unwrap_or_default();
        match &self.what {
            What::Replace(by, _) => by == FOREIGN || (by.starts_with(COPY) && !by[COPY.len()..].starts_with(&dir)),
            What::Swap(other) => other.parent() != self.path.parent(),
            _ => false,
        }
    }

    pub(crate) fn apply(&self, disk: &SimVfs) {
        let path = &self.path;
        match &self.what {
            What::Flip(at, mask) => {
                let byte = disk.peek(path).expect("a file")[usize::try_from(*at).expect("small files")];
                disk.poke(path, *at, &[byte ^ mask]).expect("a file");
            }
            What::Overwrite(at, bytes) => disk.poke(path, *at, bytes).expect("a file"),
            What::Cut(len) => disk.cut(path, *len).expect("a file"),
            What::Remove => disk.erase(path).expect("a file"),
            What::Zero => {
                let len = disk.peek(path).expect("a file").len() as u64;
                disk.cut(path, 0).and_then(|()| disk.cut(path, len)).expect("a file");
            }
            What::Replace(_, saved) => disk.restore(path, saved).expect("a place for a file"),
            What::Swap(other) => {
                let (one, two) = (disk.save(path).expect("a file"), disk.save(other).expect("a file"));
                disk.restore(path, &two).and_then(|()| disk.restore(other, &one)).expect("two files");
            }
            What::EmptyDir => {
                disk.erase(path).and_then(|()| disk.make_dirs(path)).expect("a directory");
            }
        }
    }
}

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// What every submission can afford.
    Short,
    /// Every bit of every byte.
    Full,
}

/// Every misfortune of one store. `foreign` is another store with files of the same names.
pub(crate) fn all(image: &Image, foreign: &Image, size: Size) -> Vec<Damage> {
    let mut all = Vec::new();
    let files = image.disk.files();
    for path in &files {
        let bytes = image.disk.peek(path).expect("a file");
        flips(image, path, &bytes, size, &mut all);
        cuts(image, path, bytes.len() as u64, size, &mut all);
        all.extend([What::Remove, What::Zero].map(|what| Damage::new(path, what)));
    }
    for (path, when, saved) in &image.older {
        if image.disk.peek(path).ok().is_some_and(|now| now != saved.to_vec()) {
            all.push(Damage::new(path, What::Replace(format!("itself, {when}"), saved.clone())));
        }
    }
    mixed_up(image, &files, &mut all);
    let here = |path: &PathBuf| path.parent().is_some_and(|dir| files.iter().any(|own| own.parent() == Some(dir)));
    for path in foreign.disk.files().into_iter().filter(here) {
        let saved = foreign.disk.save(&path).expect("a file");
        all.push(Damage::new(&path, What::Replace(FOREIGN.to_owned(), saved)));
    }
    let dirs: BTreeSet<&Path> = files.iter().filter_map(|path| path.parent()).collect();
    // A directory with everything in it, empty, is a new store.
    let some_of = |dir: &&&Path| !files.iter().all(|path| path.starts_with(dir));
    all.extend(dirs.iter().filter(some_of).map(|dir| Damage::new(dir, What::EmptyDir)));
    all
}

/// Bytes that mean something: the beginning of a file, and in segments everything up to the end of the log.
fn means_something(image: &Image, path: &Path, at: u64) -> bool {
    match image.layout.segments.values().find(|(segment, _)| segment == path) {
        Some((_, end)) => at < HEADER_USED || (512..*end).contains(&at),
        None => !path.extension().is_some_and(|extension| extension == "spare" || extension == "seg"),
    }
}

/// Bytes of heads and headers, in which a length or a number can come to say something else.
fn is_structure(image: &Image, path: &Path, at: u64) -> bool {
    let own = image.layout.frames.iter().filter(|frame| frame.path == path);
    let in_head = own.map(|frame| frame.bytes.start).any(|start| (start..start + 48).contains(&at));
    in_head || at < HEADER_USED
}

fn flips(image: &Image, path: &Path, bytes: &[u8], size: Size, all: &mut Vec<Damage>) {
    for (at, &byte) in (0..).zip(bytes) {
        let (dead, structure) = (!means_something(image, path, at), is_structure(image, path, at));
        // Bytes that mean nothing are all alike.
        if dead && size == Size::Short && at % 61 != 0 {
            continue;
        }
        let bits = if size == Size::Full && !dead {
            0..8
        } else {
            let bit = (at * 5 + 3) % 8;
            bit..bit + 1
        };
        all.extend(bits.map(|bit| Damage::new(path, What::Flip(at, 1 << bit))));
        if structure || (size == Size::Full && !dead) {
            let values = [0x00, 0xff].into_iter().filter(|value| *value != byte);
            all.extend(values.map(|value| Damage::new(path, What::Overwrite(at, vec![value]))));
        }
    }
    // Whole sectors, as a disk loses them.
    for sector in 0..bytes.len().div_ceil(512) {
        let begin = sector * 512;
        let old = &bytes[begin..bytes.len().min(begin + 512)];
        for value in [0x00, 0x5a] {
            if old.iter().any(|byte| *byte != value) {
                all.push(Damage::new(path, What::Overwrite(begin as u64, vec![value; old.len()])));
            }
        }
    }
}

/// At every length in the smallest store, and where something begins or ends in the others.
fn cuts(image: &Image, path: &Path, len: u64, size: Size, all: &mut Vec<Damage>) {
    let mut lengths = vec![0, 1, 59, 60, 511, 512, 513, len / 2, len.saturating_sub(512), len.saturating_sub(1)];
    for frame in image.layout.frames.iter().filter(|frame| frame.path == path) {
        let (begin, end) = (frame.bytes.start, frame.bytes.end);
        lengths.extend([
            begin,
            begin + 1,
            begin + 47,
            begin + 48,
            begin + 49,
            begin.midpoint(end),
            end - 1,
            end,
            end + 1,
        ]);
    }
    if size == Size::Full || image.name == stores::SMALLEST {
        lengths.extend(0..len);
    }
    lengths.sort_unstable();
    lengths.dedup();
    all.extend(lengths.into_iter().filter(|cut| *cut < len).map(|cut| Damage::new(path, What::Cut(cut))));
}

/// Files in the place of others of their kind, and records in the place of others.
fn mixed_up(image: &Image, files: &[PathBuf], all: &mut Vec<Damage>) {
    for (index, path) in files.iter().enumerate() {
        for other in files.iter().skip(index + 1).filter(|other| other.extension() == path.extension()) {
            all.push(Damage::new(path, What::Swap(other.clone())));
            for (to, from) in [(path, other), (other, path)] {
                let saved = image.disk.save(from).expect("a file");
                let by = format!("{COPY}{}", from.display());
                all.push(Damage::new(to, What::Replace(by, saved)));
            }
        }
    }
    // A segment under a number that nobody has.
    for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "seg")) {
        for number in ["0000000777.seg", "4294967295.seg"] {
            let saved = image.disk.save(path).expect("a file");
            let by = format!("{COPY}{}", path.display());
            all.push(Damage::new(&path.with_file_name(number), What::Replace(by, saved)));
        }
    }
    for (at, frame) in image.layout.frames.iter().enumerate() {
        let others = image.layout.frames.iter().skip(at + 1).filter(|other| other.kind == frame.kind).take(3);
        for other in others {
            let from = image.disk.peek(&frame.path).expect("a file");
            let range = |range: &std::ops::Range<u64>| {
                usize::try_from(range.start).expect("small")..usize::try_from(range.end).expect("small")
            };
            let bytes = from[range(&frame.bytes)].to_vec();
            let room = image.disk.peek(&other.path).expect("a file").len() as u64;
            if other.bytes.start + bytes.len() as u64 <= room {
                all.push(Damage::new(&other.path, What::Overwrite(other.bytes.start, bytes)));
            }
        }
    }
}

const COPY: &str = "a copy of ";
const FOREIGN: &str = "that of another store";
