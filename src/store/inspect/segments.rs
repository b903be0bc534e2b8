//! The segments of a lane, as a person is shown them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::InspectedSegment;
use crate::store::manifest::Manifest;
use crate::store::recovery::Scanned;
use crate::store::replay::What;
use crate::store::segment::{LaneDir, parse_segment_name};

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
    for item in &scanned.rest {
        let (path, offset) = item.place();
        let Some(number) = path.file_name().and_then(|name| parse_segment_name(name.to_str()?)) else { continue };
        // Of one whose begin is not known to be durable nothing is.
        let none = || segment_at(dir, number, path.to_path_buf(), (0, item.head.seq));
        let segment = found.entry(number).or_insert_with(none);
        segment.unproven_end_bytes = u64::from(offset) + item.head.frame_len();
        if let What::Put(meta) = &item.what {
            segment.unproven_end_seq = item.head.end_seq();
            meta.visit_ranges(item.head.seq, |channel, _, _| {
                let name = name(channel);
                if !segment.channels.contains(&name) {
                    segment.channels.push(name);
                }
            });
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
