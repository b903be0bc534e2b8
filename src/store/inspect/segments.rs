//! The segments of a lane, as a person is shown them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::InspectedSegment;
use crate::store::manifest::Manifest;
use crate::store::recovery::Scanned;
use crate::store::segment::LaneDir;

pub(super) fn segments(dir: &LaneDir, scanned: &Scanned, manifest: &Manifest) -> Vec<InspectedSegment> {
    let name = |number: u16| manifest.channels.get(&number).cloned().unwrap_or_else(|| format!("channel-{number}"));
    let mut found = BTreeMap::new();
    for (number, sealed) in &scanned.state.sealed {
        let Some(segment) = scanned.segments.get(number) else { continue };
        let end = (u64::from(sealed.end), sealed.end_seq);
        let shown = segment_at(dir, *number, segment.path.clone(), end);
        let channels = sealed.spans.keys().copied().map(name).collect();
        found.insert(*number, InspectedSegment { first_seq: sealed.first_seq, channels, ..shown });
    }
    for stretch in &scanned.rest.stretches {
        let path = &stretch.segment.path;
        // Of one whose begin is not known to be durable nothing is.
        let none = || segment_at(dir, stretch.segment.id, path.clone(), (0, stretch.seqs.0));
        let segment = found.entry(stretch.segment.id).or_insert_with(none);
        segment.unproven_end_bytes = stretch.upto.into();
        segment.unproven_end_seq = stretch.seqs.1;
        for name in stretch.channels.iter().copied().map(name) {
            if !segment.channels.contains(&name) {
                segment.channels.push(name);
            }
        }
    }
    found.into_values().collect()
}

/// A segment without events, whose durable records end at an offset and a sequence number.
fn segment_at(dir: &LaneDir, number: u32, path: PathBuf, (offset, seq): (u64, u64)) -> InspectedSegment {
    let metadata = dir.vfs.metadata(&path).ok();
    InspectedSegment {
        number,
        path,
        file_bytes: metadata.map_or(offset, |metadata| metadata.len),
        used_bytes: offset,
        first_seq: seq,
        end_seq: seq,
        unproven_end_bytes: offset,
        unproven_end_seq: seq,
        channels: Vec::new(),
        modified: metadata.map(|metadata| metadata.modified),
    }
}
