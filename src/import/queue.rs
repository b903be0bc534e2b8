//! The checkpoint of Flume's file channel, and the queue that results from it and from the records behind it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::Path;

use bytes::{Buf, Bytes};

use super::proto::{delimited, field};
use super::record::{Pointer, Record, What};
use super::{ImportError, read_file};
use crate::limits::{IMPORT_CHECKPOINT_BYTES_MAX, IMPORT_INFLIGHT_BYTES_MAX};
use crate::vfs::Vfs;

/// The queue as a checkpoint has it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Checkpoint {
    /// Everything up to this order is in it.
    pub(super) order: u64,
    queue: Vec<Pointer>,
    /// Taken and not committed, by transaction: at the head of the queue unless a commit follows.
    takes: BTreeMap<u64, Vec<Pointer>>,
    /// Put and not committed, by transaction.
    puts: BTreeMap<u64, Vec<Pointer>>,
}

/// Longs before the entries of the checkpoint's ring.
pub(super) const RING_BEGIN: usize = 1029;
pub(super) const MARKER: usize = 4;

impl Checkpoint {
    /// The checkpoint of a directory; `None` if there is none, or it is not complete: then Flume replays its logs from the
    /// beginning, and so do we.
    pub(super) fn read(vfs: &dyn Vfs, dir: &Path) -> Result<Option<Self>, ImportError> {
        let meta = read_file(vfs, &dir.join("checkpoint.meta"), 1 << 20)?;
        let ring = read_file(vfs, &dir.join("checkpoint"), IMPORT_CHECKPOINT_BYTES_MAX)?;
        let (Some(meta), Some(ring)) = (meta, ring) else { return Ok(None) };
        let Some((order, size, head)) = parse_meta(meta) else { return Ok(None) };
        let long = |index: usize| ring.get(index * 8..index * 8 + 8).map(|mut bytes| bytes.get_u64());
        let capacity = (ring.len() / 8).saturating_sub(RING_BEGIN);
        if long(MARKER) != Some(0) || size > capacity || (capacity > 0 && head >= capacity) {
            return Ok(None);
        }
        let entries = (0..size).map(|index| long(RING_BEGIN + (head + index) % capacity).map(Pointer::from_bits));
        let Some(queue) = entries.collect::<Option<Vec<_>>>() else { return Ok(None) };
        let takes = inflight(vfs, &dir.join("inflighttakes"))?;
        let puts = inflight(vfs, &dir.join("inflightputs"))?;
        Ok(Some(Self { order, queue, takes, puts }))
    }
}

/// Order, size and head of the message `Checkpoint`, which stands behind its length.
fn parse_meta(mut bytes: Bytes) -> Option<(u64, usize, usize)> {
    let mut message = delimited(&mut bytes, "checkpoint").ok()?;
    let (mut version, mut order, mut size, mut head) = (None, None, None, None);
    while let Some((number, value)) = field(&mut message, "checkpoint").ok()? {
        match number {
            1 => version = value.fixed32(),
            2 => order = value.fixed64(),
            3 => size = value.fixed32(),
            4 => head = value.fixed32(),
            _ => {}
        }
    }
    let number = |value: Option<u32>| value.and_then(|value| usize::try_from(value).ok());
    (version == Some(3)).then_some((order?, number(size)?, number(head)?))
}

/// A file of transactions in flight: 16 bytes of checksum, then for each its number, a count, and so many pointers.
fn inflight(vfs: &dyn Vfs, path: &Path) -> Result<BTreeMap<u64, Vec<Pointer>>, ImportError> {
    let mut found = BTreeMap::new();
    let Some(mut bytes) = read_file(vfs, path, IMPORT_INFLIGHT_BYTES_MAX)? else { return Ok(found) };
    if bytes.len() < 16 {
        return Ok(found);
    }
    bytes.advance(16);
    while bytes.len() >= 16 {
        let (transaction, count) = (bytes.get_u64(), bytes.get_u64());
        let count =
            usize::try_from(count).ok().filter(|count| count.checked_mul(8).is_some_and(|len| len <= bytes.len()));
        let Some(count) = count else {
            return Err(ImportError::corrupt(path, 16, "its counts are more than the file"));
        };
        found.insert(transaction, (0..count).map(|_| Pointer::from_bits(bytes.get_u64())).collect());
    }
    Ok(found)
}

/// The records of all logs, to be folded in the order in which they were written.
#[derive(Debug, Default)]
pub(super) struct Replay {
    commits: Vec<(u64, u64, What)>,
    puts: HashMap<u64, Vec<(u64, Pointer)>>,
    takes: HashMap<u64, Vec<Pointer>>,
}

impl Replay {
    pub(super) fn add(&mut self, at: Pointer, record: &Record) {
        let Record { transaction, order, what } = record;
        match what {
            What::Put => self.puts.entry(*transaction).or_default().push((*order, at)),
            What::Take(pointer) => self.takes.entry(*transaction).or_default().push(*pointer),
            What::Rollback | What::CommitPuts | What::CommitTakes => {
                self.commits.push((*order, *transaction, what.clone()));
            }
        }
    }

    /// The events that were put and not taken, in the order of the queue.
    pub(super) fn finish(mut self, checkpoint: Option<Checkpoint>) -> Vec<Pointer> {
        let Checkpoint { order: begin, queue, takes, puts } = checkpoint.unwrap_or_default();
        let mut queue: VecDeque<Pointer> = queue.into();
        let mut present: HashSet<Pointer> = queue.iter().copied().collect();
        // What was in flight and never committed goes back to the head.
        // Which of them came first only their places tell.
        let mut back: Vec<Pointer> =
            takes.values().flatten().copied().filter(|pointer| present.insert(*pointer)).collect();
        back.sort_unstable();
        back.into_iter().rev().for_each(|pointer| queue.push_front(pointer));
        for (transaction, pointers) in takes {
            self.takes.entry(transaction).or_default().extend(pointers);
        }
        for (transaction, pointers) in puts {
            let known = self.puts.entry(transaction).or_default();
            let missing: Vec<_> =
                pointers.into_iter().filter(|pointer| !known.iter().any(|(_, known)| known == pointer)).collect();
            known.extend(missing.into_iter().map(|pointer| (0, pointer)));
        }
        self.commits.sort_unstable_by_key(|(order, transaction, _)| (*order, *transaction));
        // A take can be committed before the put that it is about, as the two are in different logs.
        let mut taken: HashSet<Pointer> = HashSet::new();
        for (order, transaction, what) in self.commits {
            match what {
                What::CommitPuts if order > begin => {
                    let mut pointers = self.puts.remove(&transaction).unwrap_or_default();
                    pointers.sort_unstable();
                    for (_, pointer) in pointers {
                        if !taken.remove(&pointer) && present.insert(pointer) {
                            queue.push_back(pointer);
                        }
                    }
                }
                What::CommitTakes if order > begin => {
                    for pointer in self.takes.remove(&transaction).unwrap_or_default() {
                        if !present.remove(&pointer) {
                            taken.insert(pointer);
                        }
                    }
                }
                _ => {}
            }
        }
        queue.into_iter().filter(|pointer| present.contains(pointer)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u32) -> Pointer {
        Pointer { log: 1, offset }
    }

    fn record(transaction: u64, order: u64, what: What) -> Record {
        Record { transaction, order, what }
    }

    #[test]
    fn committed_puts_minus_committed_takes_are_left_in_order() {
        let mut replay = Replay::default();
        for offset in 0..4 {
            replay.add(at(offset), &record(1, u64::from(offset), What::Put));
        }
        replay.add(at(9), &record(2, 5, What::Put));
        replay.add(at(10), &record(1, 6, What::CommitPuts));
        replay.add(at(11), &record(3, 7, What::Take(at(0))));
        replay.add(at(12), &record(3, 8, What::CommitTakes));
        // Rolled back, and never finished.
        replay.add(at(13), &record(4, 9, What::Take(at(1))));
        replay.add(at(14), &record(4, 10, What::Rollback));
        replay.add(at(15), &record(5, 11, What::Take(at(2))));
        assert_eq!(replay.finish(None), [at(1), at(2), at(3)]);
    }

    #[test]
    fn a_checkpoint_stands_for_everything_before_it() {
        let mut replay = Replay::default();
        // Before the checkpoint: its take is in a log that is gone.
        replay.add(at(0), &record(1, 1, What::Put));
        replay.add(at(1), &record(1, 2, What::CommitPuts));
        // In flight at the checkpoint, committed behind it.
        replay.add(at(2), &record(2, 3, What::Put));
        replay.add(at(3), &record(2, 11, What::CommitPuts));
        replay.add(at(4), &record(3, 12, What::CommitTakes));
        let checkpoint = Checkpoint {
            order: 10,
            queue: vec![at(20), at(21)],
            takes: BTreeMap::from([(3, vec![at(18)]), (4, vec![at(19)])]),
            puts: BTreeMap::from([(2, vec![at(2)])]),
        };
        assert_eq!(replay.finish(Some(checkpoint)), [at(19), at(20), at(21), at(2)]);
    }

    #[test]
    fn takes_in_flight_go_back_in_their_order() {
        let checkpoint = Checkpoint {
            order: 10,
            queue: vec![at(20), at(21)],
            takes: BTreeMap::from([(3, vec![at(17), at(19)]), (4, vec![at(18)])]),
            puts: BTreeMap::new(),
        };
        assert_eq!(Replay::default().finish(Some(checkpoint)), [at(17), at(18), at(19), at(20), at(21)]);
    }
}
