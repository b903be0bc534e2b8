//! What fuzzing finds behind the door `testing::fuzz`: the decoders of the store, with what must hold for any input. Seeds are
//! taken from the disks of small stores.

use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::begin::{begin_payload, parse_begin};
use super::buffers::Buffers;
use super::checkpoint;
use super::frame::{FRAME_MAGIC, HEAD_BYTES, Head, SEGMENT_HEADER_BYTES, SegmentHeader, StoreId};
use super::manifest::{LANE_MARK, LaneMark, MANIFEST, Manifest};
use super::record::{Payload, PutMeta, decode_ack, decode_events, decode_put, encode_ack, encode_put};
use super::segment::{LaneDir, parse_segment_name};
use crate::vfs::sim::SimVfs;

/// Heads of frames: what is accepted encodes to the same bytes, and is valid nowhere else.
pub(crate) fn frame(data: &[u8]) {
    let header = SegmentHeader { store: STORE, lane: 1, id: 2, salt: 3, size: 4096 };
    let seal = header.seal();
    for offset in [512, 513, u32::MAX] {
        let mut bytes = data.to_vec();
        if let Some(head) = Head::decode(&bytes, seal, offset) {
            assert!(bytes.starts_with(&head.encode(seal, offset)), "it is the encoding of {head:?}");
        }
        if !reseal_head(&mut bytes, header, offset) {
            return;
        }
        if let Some(head) = Head::decode(&bytes, seal, offset) {
            assert!(bytes.starts_with(&head.encode(seal, offset)), "it is the encoding of {head:?}");
            assert_eq!(Head::decode(&bytes, seal, offset ^ 1), None, "it is valid in its place only");
            assert!(head.end_seq() >= head.seq && head.frame_len() >= u64::from(HEAD_BYTES));
        }
    }
}

/// Headers of segments.
pub(crate) fn segment_header(data: &[u8]) {
    let mut bytes = data.to_vec();
    for _ in 0..2 {
        if let Ok(header) = SegmentHeader::decode(&Bytes::from(bytes.clone())) {
            let again = header.encode();
            assert_eq!(SegmentHeader::decode(&again), Ok(header));
        }
        reseal_header(&mut bytes);
    }
}

/// Payloads of records, as each kind.
pub(crate) fn record(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    if let Ok((meta, rest)) = decode_put(bytes.clone()) {
        let count = meta.runs.iter().fold(0, |sum: u32, run| sum.saturating_add(run.events));
        if let Ok(events) = decode_events(rest, count) {
            for body_copy_max in [0, usize::MAX] {
                assert_eq!(
                    flat(&encode_put(&meta, &events, body_copy_max, &Buffers::default())),
                    bytes,
                    "it is the encoding of {meta:?}"
                );
            }
            check_routes(&meta);
        }
    }
    if let Ok(ack) = decode_ack(bytes.clone()) {
        assert_eq!(flat(&encode_ack(&ack)), bytes, "it is the encoding of {ack:?}");
    }
    if let Ok((end, state)) = parse_begin(bytes) {
        let again = parse_begin(flat(&begin_payload(end, &state)));
        assert_eq!(again, Ok((end, state)), "it encodes to its like");
    }
}

fn check_routes(meta: &PutMeta) {
    for channel in meta.all_channels() {
        let (events, bytes) = meta.share(channel);
        let (all_events, all_bytes) = meta.runs.iter().fold((0, 0), |(events, bytes), run| {
            (events + u64::from(run.events), u64::saturating_add(bytes, run.bytes))
        });
        assert!(events <= all_events && bytes <= all_bytes, "a channel has no more than all");
    }
}

/// Checkpoints.
pub(crate) fn checkpoint(data: &[u8]) {
    let disk = SimVfs::new();
    drop(disk.make_dirs("/lane"));
    let dir = LaneDir::new(Arc::new(disk.clone()), "/lane".into(), STORE, 1);
    let mut bytes = data.to_vec();
    for _ in 0..2 {
        drop(disk.poke("/lane/checkpoint-0", 0, &bytes));
        if let Some(found) = checkpoint::read_newest(&dir) {
            drop(disk.erase("/lane/checkpoint-0"));
            assert!(checkpoint::write(&dir, &found).is_ok());
            assert_eq!(checkpoint::read_newest(&dir).as_ref(), Some(&found), "it encodes to its like");
            drop(disk.erase(format!("/lane/checkpoint-{}", found.generation % 2)));
        }
        // With this store's name and a checksum that fits.
        overwrite(&mut bytes, 24, &STORE);
        overwrite(&mut bytes, 40, &1_u16.to_le_bytes());
        reseal_small(&mut bytes);
    }
}

/// Manifests and the marks of lanes.
pub(crate) fn manifest(data: &[u8]) {
    let disk = SimVfs::new();
    drop(disk.make_dirs("/store"));
    let mut bytes = data.to_vec();
    for _ in 0..2 {
        for name in [MANIFEST, LANE_MARK] {
            drop(disk.cut(Path::new("/store").join(name), 0));
            drop(disk.poke(Path::new("/store").join(name), 0, &bytes));
        }
        let dir = Path::new("/store");
        if let Ok(Some(found)) = Manifest::read(&disk, dir) {
            assert!(found.write(&disk, dir).is_ok());
            assert_eq!(Manifest::read(&disk, dir).ok().flatten(), Some(found), "it encodes to its like");
        }
        if let Ok(Some(found)) = LaneMark::read(&disk, dir) {
            assert!(found.write(&disk, dir).is_ok());
            assert_eq!(LaneMark::read(&disk, dir).ok().flatten(), Some(found), "it encodes to its like");
        }
        reseal_small(&mut bytes);
    }
}

/// Makes all checksums of a file fit what it says.
pub(crate) fn reseal(disk: &SimVfs, path: &Path) {
    let Ok(mut bytes) = disk.peek(path) else { return };
    if path.extension().is_some_and(|extension| extension == "seg") {
        reseal_header(&mut bytes);
        let Ok(header) = SegmentHeader::decode(&Bytes::from(bytes.clone())) else { return };
        let mut at = SEGMENT_HEADER_BYTES;
        while let Some(frame) = bytes.get_mut(at as usize..)
            && reseal_head(frame, header, at)
        {
            let Some(head) = Head::decode(frame, header.seal(), at) else { break };
            let Some(next) = u32::try_from(u64::from(at) + head.frame_len()).ok() else { break };
            at = next;
        }
    } else {
        reseal_small(&mut bytes);
    }
    drop(disk.poke(path, 0, &bytes));
}

/// Gives the head of a frame the checksums of what it says. `false` if there is none.
fn reseal_head(frame: &mut [u8], header: SegmentHeader, offset: u32) -> bool {
    overwrite(frame, 0, FRAME_MAGIC);
    let Some((head, rest)) = frame.split_at_mut_checked(HEAD_BYTES as usize) else { return false };
    let len = head.get(4..8).and_then(|len| len.try_into().ok()).map_or(0, u32::from_le_bytes);
    if let Some(payload) = rest.get(..len as usize) {
        overwrite(head, 40, &crc32fast::hash(payload).to_le_bytes());
    }
    let covered = head.get(..HEAD_BYTES as usize - 4).unwrap_or_default();
    let crc = header.seal().crc(offset, covered);
    overwrite(head, HEAD_BYTES as usize - 4, &crc.to_le_bytes());
    true
}

fn reseal_header(bytes: &mut [u8]) {
    let covered = bytes.get(..56).map(crc32fast::hash);
    if let Some(crc) = covered {
        overwrite(bytes, 56, &crc.to_le_bytes());
    }
}

/// Manifests, marks and checkpoints: magic, length, checksum, content.
fn reseal_small(bytes: &mut [u8]) {
    let Some(content) = bytes.get(16..) else { return };
    let (len, crc) = (u32::try_from(content.len()).unwrap_or(u32::MAX), crc32fast::hash(content));
    overwrite(bytes, 8, &len.to_le_bytes());
    overwrite(bytes, 12, &crc.to_le_bytes());
}

fn overwrite(bytes: &mut [u8], at: usize, with: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + with.len()) {
        place.copy_from_slice(with);
    }
}

fn flat(payload: &Payload) -> Bytes {
    let mut bytes = BytesMut::new();
    payload.pieces().for_each(|piece| bytes.extend_from_slice(piece));
    assert_eq!((bytes.len() as u64, crc32fast::hash(&bytes)), (payload.len, payload.crc));
    bytes.freeze()
}

/// Heads and payloads of the records of a small store.
pub(crate) fn frame_seeds(disks: &[SimVfs]) -> Vec<Vec<u8>> {
    seeds_of(disks, is_segment).iter().flat_map(|segment| frames(segment, 0)).collect()
}

/// Their payloads alone.
pub(crate) fn record_seeds(disks: &[SimVfs]) -> Vec<Vec<u8>> {
    seeds_of(disks, is_segment).iter().flat_map(|segment| frames(segment, HEAD_BYTES as usize)).collect()
}

pub(crate) fn segment_header_seeds(disks: &[SimVfs]) -> Vec<Vec<u8>> {
    let segments = seeds_of(disks, is_segment);
    segments.iter().filter_map(|segment| Some(segment.get(..80)?.to_vec())).collect()
}

pub(crate) fn checkpoint_seeds(disks: &[SimVfs]) -> Vec<Vec<u8>> {
    seeds_of(disks, |name| name.starts_with("checkpoint"))
}

pub(crate) fn manifest_seeds(disks: &[SimVfs]) -> Vec<Vec<u8>> {
    seeds_of(disks, |name| name == MANIFEST || name == LANE_MARK)
}

fn is_segment(name: &str) -> bool {
    parse_segment_name(name).is_some()
}

fn seeds_of(disks: &[SimVfs], wanted: impl Fn(&str) -> bool) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for disk in disks {
        let files = disk.files().into_iter();
        let files = files.filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(&wanted));
        found.extend(files.filter_map(|path| disk.peek(path).ok()));
    }
    found
}

/// The frames of a segment, each from a byte on.
fn frames(bytes: &[u8], from: usize) -> Vec<Vec<u8>> {
    let Ok(header) = SegmentHeader::decode(&Bytes::copy_from_slice(bytes)) else { return Vec::new() };
    let (mut at, mut found) = (SEGMENT_HEADER_BYTES as usize, Vec::new());
    while let Some(frame) = bytes.get(at..)
        && let Some(head) = Head::decode(frame, header.seal(), u32::try_from(at).unwrap_or(0))
    {
        let len = usize::try_from(head.frame_len()).unwrap_or(usize::MAX);
        found.extend(frame.get(from..len).map(<[u8]>::to_vec));
        at += len;
    }
    found
}

const STORE: StoreId = *b"the fuzzed store";
