//! How the stores came about.

use std::fs;
use std::path::{Path, PathBuf};

use aqueduct::store::FileStore;
use aqueduct::{Channel, Event, FileChannel, Wait};

use crate::content::builder;

/// A store with a name.
pub(crate) struct Script {
    pub(crate) name: &'static str,
    pub(crate) lanes: u16,
    /// Writes it into an empty directory.
    pub(crate) write: fn(&Path),
}

pub(crate) fn all() -> Vec<Script> {
    let script = |name, lanes, write| Script { name, lanes, write };
    vec![
        script("golden", 1, golden),
        script("closed", 1, closed),
        script("crashed", 1, crashed),
        script("segments", 1, segments),
        script("lanes", 2, lanes),
        script("torn", 1, torn),
        script("damaged", 1, damaged),
        script("empty", 1, empty),
    ]
}

fn open(path: &Path, lanes: u16) -> (FileStore, FileChannel, FileChannel) {
    let store = builder(path, lanes).open().expect("a store");
    let (a, b) = (store.channel("a").expect("a channel"), store.channel("b").expect("a channel"));
    (store, a, b)
}

fn put(channel: &FileChannel, events: &[Event], position: Option<(&str, Option<&str>)>) {
    let mut put = channel.begin_put();
    events.iter().for_each(|event| put.push(event.clone()));
    match position {
        Some((owner, Some(value))) => put.set_position(owner, value.to_owned()),
        Some((owner, None)) => put.clear_position(owner),
        None => {}
    }
    put.commit().expect("a put");
}

fn put_to_both(store: &FileStore, a: &FileChannel, b: &FileChannel) {
    let mut put = store.begin_put();
    put.push_to(&[a, b], event("for both"));
    put.push_to(&[b], event("for b"));
    put.commit().expect("a put");
}

/// Takes all that there are and commits the last `count`, so that what remains has a gap behind it.
fn take(channel: &FileChannel, pass: usize, count: usize, position: Option<(&str, &str)>) {
    let passed = channel.take(pass, Wait::NONE).expect("a take");
    let mut take = channel.take(count, Wait::NONE).expect("a take");
    assert_eq!((passed.len(), take.len()), (pass, count));
    if let Some((owner, value)) = position {
        take.set_position(owner, value.to_owned());
    }
    take.commit().expect("a take");
    passed.rollback();
}

fn event(body: &str) -> Event {
    Event::new(body.to_owned())
}

fn large(byte: u8) -> Event {
    Event::new(vec![byte; 900])
}

/// Everything that a store of two channels can hold.
fn fill(store: &FileStore, a: &FileChannel, b: &FileChannel) {
    let mut with_headers = event("with headers");
    with_headers.headers_mut().insert("host", "one.example").expect("it fits");
    with_headers.headers_mut().insert("empty", "").expect("it fits");
    put(a, &[with_headers, event(""), event("\u{0}\u{1}\u{e9}")], Some(("source", Some("1"))));
    put_to_both(store, a, b);
    put(b, &[event("x"), event("y"), event("z")], Some(("other", Some("gone"))));
    take(b, 1, 2, Some(("sink", "taken")));
    put(a, &[event("last of a")], Some(("other", None)));
    put(b, &[], Some(("source", Some("2"))));
}

/// One segment with a record of each kind, and a checkpoint: for the bytes.
fn golden(path: &Path) {
    let (store, a, b) = open(path, 1);
    fill(&store, &a, &b);
    store.close().expect("a close");
}

fn closed(path: &Path) {
    golden(path);
    let (store, a, _) = open(path, 1);
    put(&a, &[event("in the second life")], None);
    store.close().expect("a close");
}

fn crashed(path: &Path) {
    let (store, a, b) = open(path, 1);
    fill(&store, &a, &b);
    drop((a, b, store));
    let (_store, a, _) = open(path, 1);
    put(&a, &[event("in the second life")], None);
    take(&a, 1, 1, None);
}

/// More than one segment, some of them freed.
fn segments(path: &Path) {
    let (store, a, b) = open(path, 1);
    for byte in b'A'..=b'R' {
        put(&a, &[large(byte), event("small")], Some(("source", Some(&char::from(byte).to_string()))));
        if byte.is_multiple_of(4) {
            take(&a, 1, 1, Some(("sink", &byte.to_string())));
            put(&b, &[event("between")], None);
        }
        store.maintain();
    }
    take(&a, 0, 10, None);
    store.maintain();
    put(&a, &[event("after all")], None);
}

fn lanes(path: &Path) {
    let (store, a, b) = open(path, 2);
    fill(&store, &a, &b);
    for byte in b'a'..=b'f' {
        put(&a, &[large(byte)], None);
    }
    take(&a, 2, 3, Some(("sink", "again")));
}

/// As a power cut leaves it in the middle of a write.
fn torn(path: &Path) {
    let (store, a, b) = open(path, 1);
    fill(&store, &a, &b);
    put(&a, &[event("torn"), large(b't')], None);
    drop((a, b, store));
    let (file, mut bytes) = newest_segment(path);
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("it has records");
    bytes[end - 300..=end].fill(0);
    fs::write(file, bytes).expect("a segment");
}

/// A byte of an event has changed that was durable long ago.
fn damaged(path: &Path) {
    let (store, a, b) = open(path, 1);
    fill(&store, &a, &b);
    put(&a, &[event("to be damaged")], None);
    put(&a, &[event("behind the damage")], None);
    drop((a, b, store));
    let (file, mut bytes) = newest_segment(path);
    let at = bytes.windows(13).position(|window| window == b"to be damaged").expect("it is there");
    bytes[at] ^= 0x20;
    fs::write(file, bytes).expect("a segment");
}

fn empty(path: &Path) {
    open(path, 1).0.close().expect("a close");
}

fn newest_segment(path: &Path) -> (PathBuf, Vec<u8>) {
    let (name, bytes) = crate::files(path)
        .into_iter()
        .rfind(|(path, _)| path.extension().is_some_and(|extension| extension == "seg"))
        .expect("a segment");
    (path.join(name), bytes)
}
