//! What stands where in the files of a store: a reader of the format that shares no code with the store's own.
//!
//! It reads images that are whole. The layouts are those drawn in `src/store/frame.rs` and `src/store/record.rs`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use aqueduct::vfs::sim::SimVfs;

/// Bytes of a segment's header that mean something.
pub(crate) const HEADER_USED: u64 = 60;
const HEADER_SECTOR: usize = 512;
const HEAD: usize = 48;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Put,
    Ack,
    Begin,
}

/// What an acknowledgement is about: channel, lane and sequence numbers.
type AckOf = (u16, u16, Range<u64>);
/// Owner and position.
type PositionSet = (String, Option<Vec<u8>>);

/// A record in its place.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) path: PathBuf,
    pub(crate) lane: u16,
    pub(crate) segment: u32,
    pub(crate) bytes: Range<u64>,
    pub(crate) kind: Kind,
    /// Of the events of a put.
    pub(crate) seqs: Range<u64>,
    pub(crate) stamp: u64,
    /// How far its lane was durable when it was written: segment and offset.
    pub(crate) durable: (u32, u64),
    pub(crate) acks: Vec<AckOf>,
    pub(crate) positions: Vec<PositionSet>,
    /// The segment of an earlier life still has it, behind the end that counts.
    pub(crate) copied: bool,
}

impl Frame {
    /// Its place in the order of its lane.
    pub(crate) fn place(&self) -> (u32, u64) {
        (self.segment, self.bytes.start)
    }
}

/// The log of a store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    /// Lane by lane, in the order of the log. What an earlier life left behind the end of its log is not among them.
    pub(crate) frames: Vec<Frame>,
    /// The segments with a valid header, with the end of what is in them, by lane and number.
    pub(crate) segments: BTreeMap<(u16, u32), (PathBuf, u64)>,
    /// Checkpoints: lane, place and file.
    pub(crate) checkpoints: Vec<(u16, (u32, u64), PathBuf)>,
    /// Numbers of the channels by name.
    pub(crate) channels: BTreeMap<String, u16>,
}

impl Layout {
    pub(crate) fn read(disk: &SimVfs) -> Self {
        let mut layout =
            Self { channels: channels(&disk.peek("/store/manifest").expect("a manifest")), ..Self::default() };
        let mut ends = BTreeMap::new();
        for path in disk.files() {
            let bytes = disk.peek(&path).expect("a file");
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.extension().is_some_and(|extension| extension == "seg") {
                layout.segment(&path, &bytes, &mut ends);
            } else if name.starts_with("checkpoint-") {
                let (lane, place) = checkpoint(&bytes);
                layout.checkpoints.push((lane, place, path));
            }
        }
        let counts = |frame: &Frame| ends.get(&(frame.lane, frame.segment)).is_none_or(|end| frame.bytes.end <= *end);
        let copies: Vec<(u16, u64)> =
            layout.frames.iter().filter(|frame| !counts(frame)).map(|frame| (frame.lane, frame.stamp)).collect();
        layout.frames.retain(counts);
        for frame in layout.frames.iter_mut().filter(|frame| frame.kind != Kind::Begin) {
            frame.copied = copies.contains(&(frame.lane, frame.stamp));
        }
        layout.frames.sort_by_key(|frame| (frame.lane, frame.place()));
        for ((lane, segment), (_, end)) in &mut layout.segments {
            let own = layout.frames.iter().filter(|frame| (frame.lane, frame.segment) == (*lane, *segment));
            *end = own.map(|frame| frame.bytes.end).max().unwrap_or(HEADER_SECTOR as u64);
        }
        layout
    }

    /// Reads the frames of one segment; `ends` learns where the segment before ends.
    fn segment(&mut self, path: &Path, bytes: &[u8], ends: &mut BTreeMap<(u16, u32), u64>) {
        let covered = 56;
        if bytes.len() < HEADER_SECTOR || crc32fast::hash(&bytes[..covered]) != u32_at(bytes, covered) {
            return;
        }
        let (lane, segment) = (u16_at(bytes, 24), u32_at(bytes, 32));
        let mut seal = crc32fast::Hasher::new();
        // Store, lane, segment and salt.
        [8..24, 24..26, 32..36, 40..48].into_iter().for_each(|part| seal.update(&bytes[part]));
        let seal = seal.finalize();
        self.segments.insert((lane, segment), (path.to_path_buf(), 0));
        let mut at = HEADER_SECTOR;
        while let Some(head) = bytes.get(at..at + HEAD) {
            let mut crc = crc32fast::Hasher::new_with_initial(seal);
            crc.update(&u32::try_from(at).expect("small segments").to_le_bytes());
            crc.update(&head[..HEAD - 4]);
            if crc.finalize() != u32_at(head, HEAD - 4) {
                break;
            }
            let len = HEAD + u32_at(head, 4) as usize;
            let payload = &bytes[at + HEAD..at + len];
            assert_eq!(crc32fast::hash(payload), u32_at(head, 40), "the image is whole");
            let kind = match u32_at(head, 8) {
                1 => Kind::Put,
                2 => Kind::Ack,
                _ => Kind::Begin,
            };
            let seq = u64_at(head, 16);
            let (acks, positions) = match kind {
                Kind::Put => (Vec::new(), put_positions(payload)),
                Kind::Ack => acks(payload),
                Kind::Begin => {
                    let (before, end) = place_at(payload, 0);
                    let known = ends.entry((lane, before)).or_insert(u64::MAX);
                    // Two lives can have gone on behind one segment; the later one says where it ended.
                    if before > 0 {
                        *known = end;
                    }
                    (Vec::new(), Vec::new())
                }
            };
            self.frames.push(Frame {
                path: path.to_path_buf(),
                lane,
                segment,
                bytes: at as u64..(at + len) as u64,
                kind,
                seqs: seq..seq + u64::from(u32_at(head, 12)),
                stamp: u64_at(head, 24),
                durable: place_at(head, 32),
                acks,
                positions,
                copied: false,
            });
            at += len;
        }
    }
}

fn channels(manifest: &[u8]) -> BTreeMap<String, u16> {
    let mut at = 16 + 16 + 2;
    let count = u16_at(manifest, at);
    at += 2;
    let read = (0..count).map(|_| {
        let (number, len) = (u16_at(manifest, at), usize::from(u16_at(manifest, at + 2)));
        let name = String::from_utf8(manifest[at + 4..at + 4 + len].to_vec()).expect("names are text");
        at += 4 + len;
        (name, number)
    });
    read.collect()
}

/// Lane and place of a checkpoint.
fn checkpoint(bytes: &[u8]) -> (u16, (u32, u64)) {
    let body = &bytes[16..];
    (u16_at(body, 24), (u32_at(body, 28), u64::from(u32_at(body, 40))))
}

fn acks(payload: &[u8]) -> (Vec<AckOf>, Vec<PositionSet>) {
    let channel = u16_at(payload, 0);
    let ranges = usize::from(u16_at(payload, 2));
    let range = |n: usize| {
        let at = 4 + 30 * n;
        (channel, u16_at(payload, at), u64_at(payload, at + 14)..u64_at(payload, at + 22))
    };
    ((0..ranges).map(range).collect(), positions(payload, 4 + 30 * ranges))
}

fn put_positions(payload: &[u8]) -> Vec<PositionSet> {
    let mut at = 2;
    for _ in 0..u16_at(payload, 0) {
        at += 2 + 2 * usize::from(u16_at(payload, at));
    }
    at += 4 + 16 * u32_at(payload, at) as usize;
    positions(payload, at)
}

fn positions(payload: &[u8], mut at: usize) -> Vec<PositionSet> {
    let count = u16_at(payload, at);
    at += 2;
    let read = (0..count).map(|_| {
        let (owner, len) = (usize::from(u16_at(payload, at)), u32_at(payload, at + 2));
        let name = String::from_utf8(payload[at + 6..at + 6 + owner].to_vec()).expect("owners are text");
        at += 6 + owner;
        let value = (len != u32::MAX).then(|| payload[at..at + len as usize].to_vec());
        at += value.as_ref().map_or(0, Vec::len);
        (name, value)
    });
    read.collect()
}

/// A place in a lane: the segment is in the upper half.
fn place_at(bytes: &[u8], at: usize) -> (u32, u64) {
    (u32_at(bytes, at + 4), u64::from(u32_at(bytes, at)))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
