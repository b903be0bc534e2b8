//! Looks at every record that is there.

use std::path::PathBuf;
use std::sync::Arc;

use super::Inspection;
use crate::error::StorageError;
use crate::store::files::damage;
use crate::store::losses::waiting;
use crate::store::record::decode_events;
use crate::store::report::Damage;
use crate::store::segment::Segment;
use crate::store::state::SealedSegment;
use crate::store::walk::{Gap, Step, Walk};

/// What a look at every record of a store found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// Segments read.
    pub segments: u64,
    /// Records whose checksums are right and whose content makes sense.
    pub records: u64,
    /// Events in them, taken ones as well.
    pub events: u64,
    /// Bytes that were looked at.
    pub bytes: u64,
    /// All damage: what the report of an open says, and damage to what nobody waits for any more, with which an open succeeds
    /// ([`Damage::events`] is 0 then).
    pub damage: Vec<Damage>,
    /// Files that could not be read, and why.
    pub unreadable: Vec<(PathBuf, String)>,
}

impl Inspection {
    /// Reads every segment that is needed and compares all checksums, also of records that no channel waits for and that an open
    /// does not look at. `progress` is called after each segment, with the bytes read so far.
    pub fn verify(&self, mut progress: impl FnMut(u64)) -> Verification {
        let mut found = Verification::default();
        found.damage.extend(self.report.lanes.iter().flat_map(|lane| lane.damage.clone()));
        found.unreadable.extend(self.unreadable.iter().map(|(path, error)| (path.clone(), error.to_string())));
        for (dir, scanned) in &self.scanned {
            found.records += scanned.rest.records();
            found.events += scanned.rest.events();
            found.bytes += scanned.rest.bytes();
            for (id, segment) in &scanned.segments {
                let Some(sealed) = scanned.state.sealed.get(id) else { continue };
                let result = verify_segment(segment, sealed, &mut found, |bytes, (lo, hi)| {
                    let spans = scanned.spans_of(*id, sealed);
                    let events = waiting(&self.done, dir.lane, &scanned.state, spans, lo, hi).total();
                    damage(segment, bytes.0, u64::from(bytes.1 - bytes.0), Some(events), "the record is damaged")
                });
                if let Err(error) = result {
                    found.unreadable.push((segment.path.clone(), error.to_string()));
                }
                segment.release();
                progress(found.bytes);
            }
        }
        found
    }
}

fn verify_segment(
    segment: &Arc<Segment>,
    sealed: &SealedSegment,
    found: &mut Verification,
    describe: impl Fn((u32, u32), (u64, u64)) -> Damage,
) -> Result<(), StorageError> {
    found.segments += 1;
    let mut walk = Walk::new(segment.clone(), sealed)?;
    while let Some(step) = walk.next()? {
        let gap = match step {
            Step::Put { offset, head, events, .. } => {
                found.records += 1;
                found.events += u64::from(head.events);
                let end = offset.saturating_add(u32::try_from(head.frame_len()).unwrap_or(u32::MAX));
                if decode_events(events, head.events).is_ok() {
                    continue;
                }
                Gap { bytes: (offset, end), seqs: (head.seq, head.end_seq()) }
            }
            Step::Other => {
                found.records += 1;
                continue;
            }
            Step::Gap(gap) => gap,
        };
        let damage = describe(gap.bytes, gap.seqs);
        if !found.damage.iter().any(|known| (&known.path, known.offset) == (&damage.path, damage.offset)) {
            found.damage.push(damage);
        }
    }
    found.bytes += u64::from(walk.end());
    Ok(())
}
