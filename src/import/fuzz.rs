//! For `testing::fuzz`: records of Flume's file channel, which are in Protocol Buffers, and all files of such a channel.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::queue::{MARKER, RING_BEGIN};
use super::record::{self, HEAD_BYTES, PADDING, RECORD, What, decode};
use super::{FlumeFileChannel, ImportError};
use crate::vfs::sim::SimVfs;

pub(crate) fn flume_record(data: &[u8]) {
    let payload = Bytes::copy_from_slice(data);
    let again = record::decode(payload.clone());
    assert_eq!(again.is_ok(), record::decode(payload.clone()).is_ok());
    let _ = record::decode_event(payload);
}

pub(crate) fn flume_record_seeds() -> Vec<Vec<u8>> {
    // A header (type, transaction, order), then a body: a take of log 1 at offset 2, and a commit of puts.
    let header = |kind| {
        let mut bytes = vec![23, 0x0d, kind, 0, 0, 0, 0x11, 5, 0, 0, 0, 0, 0, 0, 0, 0x19, 6, 0, 0, 0, 0, 0, 0, 0];
        bytes.truncate(24);
        bytes
    };
    let take = [header(2), vec![10, 0x0d, 1, 0, 0, 0, 0x15, 2, 0, 0, 0]].concat();
    let commit = [header(4), vec![5, 0x0d, 1, 0, 0, 0]].concat();
    // An event: a header `a=b` and a body.
    let event = [0x0a, 6, 0x0a, 1, b'a', 0x12, 1, b'b', 0x12, 2, b'h', b'i'];
    let put = [header(1), vec![14, 0x0a, 12], event.to_vec()].concat();
    vec![take, commit, put]
}

/// The files of a channel, each behind its kind and its length: nothing of them is changed, they are read the same again, an
/// event costs no more memory than the bytes that speak of it, and without a checkpoint each event is a put of the logs, once.
pub(crate) fn flume_channel(data: &[u8]) {
    let disk = SimVfs::new();
    if put_files(&disk, data).is_none() {
        return;
    }
    let contents = || disk.files().into_iter().map(|path| (disk.peek(&path).ok(), path)).collect::<Vec<_>>();
    let before = contents();
    let found = open(&disk);
    let read = |found: Result<_, ImportError>| {
        found.map(|FlumeFileChannel { queue, torn, used_checkpoint, .. }| (queue, torn, used_checkpoint))
    };
    assert_eq!(format!("{:?}", read(open(&disk))), format!("{:?}", read(open(&disk))), "it is read the same again");
    assert!(contents() == before, "reading changes files");
    let bytes: usize = before.iter().filter_map(|(content, _)| content.as_ref()).map(Vec::len).sum();
    if let Ok(found) = found {
        assert!(8 * found.len() <= bytes, "{} events in {bytes} bytes", found.len());
        let events: Vec<_> = found.events().collect();
        assert_eq!(events.len(), found.len());
        let skip = events.len() / 2;
        let texts =
            |events: &[Result<_, ImportError>]| events.iter().map(|event| format!("{event:?}")).collect::<Vec<_>>();
        let rest: Vec<_> = found.events_from(skip).collect();
        assert_eq!(Some(texts(&rest)), events.get(skip..).map(texts), "it goes on at {skip}");
        for event in events.iter().flatten() {
            assert!(event.body().len() + event.headers().as_encoded().len() <= bytes, "{event:?} in {bytes} bytes");
        }
        for path in found.torn() {
            assert!(before.iter().any(|(_, known)| known == path), "{}", path.display());
        }
    }
    drop(disk.erase(Path::new(CHECKPOINT_DIR).join("checkpoint")));
    let Ok(found) = open(&disk) else { return };
    assert!(!found.used_checkpoint());
    let mut seen = HashSet::new();
    for pointer in &found.queue {
        assert!(seen.insert(*pointer), "{pointer:?} comes twice");
        let record = found.logs.get(&pointer.log).map(|log| log.record(pointer.offset.into()));
        let what = match record {
            Some(Ok(Some((RECORD, payload)))) => decode(payload).ok().map(|record| record.what),
            _ => None,
        };
        assert_eq!(what, Some(What::Put), "{pointer:?} is no put");
    }
}

fn open(disk: &SimVfs) -> Result<FlumeFileChannel, ImportError> {
    FlumeFileChannel::open_in(disk, CHECKPOINT_DIR.as_ref(), &[DATA_DIR.into()])
}

/// Writes the files of an input. Both logs have a good file beside them unless the input has another one.
fn put_files(disk: &SimVfs, mut data: &[u8]) -> Option<()> {
    disk.make_dirs(CHECKPOINT_DIR).ok()?;
    disk.make_dirs(DATA_DIR).ok()?;
    for (kind, number) in [(LOG_META, 1), (LOG_META + 1, 2)] {
        put_file(disk, kind, &[10, 0x0d, 3, 0, 0, 0, 0x15, number, 0, 0, 0])?;
    }
    while let [kind, low, high, rest @ ..] = data {
        let (content, rest) = rest.split_at(rest.len().min(usize::from(u16::from_le_bytes([*low, *high]))));
        put_file(disk, kind % KINDS, content)?;
        data = rest;
    }
    Some(())
}

fn put_file(disk: &SimVfs, kind: u8, content: &[u8]) -> Option<()> {
    let data = |name: &str| Path::new(DATA_DIR).join(name);
    let of_checkpoint = |name: &str| Path::new(CHECKPOINT_DIR).join(name);
    let path: PathBuf = match kind {
        LOG_META => data("log-1.meta"),
        3 => data("log-2.meta"),
        CHECKPOINT_META => of_checkpoint("checkpoint.meta"),
        RING => of_checkpoint("checkpoint"),
        TAKES => of_checkpoint("inflighttakes"),
        PUTS => of_checkpoint("inflightputs"),
        LOG => data("log-1"),
        _ => data("log-2"),
    };
    let content = if kind == RING { ring(content) } else { content.to_vec() };
    // There may be an earlier one.
    drop(disk.erase(&path));
    disk.poke(&path, 0, &content).ok()
}

/// A checkpoint with this marker and these entries. What stands before these is longer than an input may be.
fn ring(content: &[u8]) -> Vec<u8> {
    let (marker, entries) = content.split_first().unwrap_or((&0, &[]));
    let mut ring = vec![0; 8 * RING_BEGIN];
    if let Some(place) = ring.get_mut(8 * MARKER + 7) {
        *place = *marker;
    }
    ring.extend_from_slice(entries);
    ring
}

pub(crate) fn flume_channel_seeds() -> Vec<Vec<u8>> {
    let record = |kind: u8, transaction: u8, order: u8, body: &[u8]| {
        let number = |key, value| [vec![key, value], vec![0; 7]].concat();
        let length = u8::try_from(body.len()).unwrap_or_default();
        let payload = [
            vec![23, 0x0d, kind, 0, 0, 0],
            number(0x11, transaction),
            number(0x19, order),
            vec![length],
            body.to_vec(),
            vec![0],
        ];
        let payload = payload.concat();
        [&[RECORD, 0, 0, 0, u8::try_from(payload.len()).unwrap_or_default()], &payload[..]].concat()
    };
    let event = [0x0a, 12, 0x0a, 6, 0x0a, 1, b'a', 0x12, 1, b'b', 0x12, 2, b'h', b'i'];
    let put = |transaction, order| record(1, transaction, order, &event);
    let commit = |transaction, order, kind| record(4, transaction, order, &[0x0d, kind, 0, 0, 0]);
    let take = |transaction, order, offset| record(2, transaction, order, &[0x0d, 1, 0, 0, 0, 0x15, offset, 0, 0, 0]);
    let second = u8::try_from(put(1, 1).len()).unwrap_or_default();
    let first = [put(1, 1), put(1, 2), commit(1, 3, 1), put(7, 4)].concat();
    let other = [take(2, 5, 0), commit(2, 6, 2), take(3, 7, second), record(3, 3, 8, &[]), commit(7, 9, 1)].concat();
    // Version 3, up to order 3, two events from the first place on, of which one is taken.
    let meta = [&[24, 0x0d, 3, 0, 0, 0, 0x11, 3], &[0; 7][..], &[0x1d, 1, 0, 0, 0, 0x25, 0, 0, 0, 0]].concat();
    let pointer = |offset: u8| [0, 0, 0, 1, 0, 0, 0, offset];
    let ring = [&[0], &pointer(second)[..]].concat();
    let transaction = |number: u8, offset: u8| [&[0; 23], &[number][..], &[0; 7], &[1], &pointer(offset)].concat();
    let file = |kind: u8, content: &[u8]| {
        let length = u16::try_from(content.len()).unwrap_or_default();
        [&[kind], &length.to_le_bytes()[..], content].concat()
    };
    let logs = [file(LOG, &first), file(LOG + 1, &other)].concat();
    let checkpoint = [
        file(CHECKPOINT_META, &meta),
        file(RING, &ring),
        file(TAKES, &transaction(2, 0)),
        file(PUTS, &transaction(7, u8::try_from(first.len() - put(7, 4).len()).unwrap_or_default())),
    ];
    let torn = first.get(..first.len() - 9).unwrap_or_default();
    vec![
        logs.clone(),
        [checkpoint.concat(), logs].concat(),
        file(LOG, torn),
        file(LOG, &[&first[..], &[PADDING; 3 * HEAD_BYTES as usize]].concat()),
    ]
}

const CHECKPOINT_DIR: &str = "/checkpoint";
const DATA_DIR: &str = "/data";
// Kinds of files.
const LOG: u8 = 0;
const LOG_META: u8 = 2;
const CHECKPOINT_META: u8 = 4;
const RING: u8 = 5;
const TAKES: u8 = 6;
const PUTS: u8 = 7;
const KINDS: u8 = 8;
