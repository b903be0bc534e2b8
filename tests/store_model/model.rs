//! What a store must hold, may hold and must not hold.

use std::collections::{BTreeMap, BTreeSet};

/// Identity of an event. Identities grow, so the order of a channel is theirs.
pub(crate) type Id = u64;

/// A change of the position of an owner.
pub(crate) type Position = Option<(usize, Option<String>)>;

/// A put that returned and is not durable for sure, or that did not tell.
#[derive(Clone, Debug)]
pub(crate) struct Put {
    /// By channel.
    pub(crate) ids: BTreeMap<usize, Vec<Id>>,
    pub(crate) lane: Option<u16>,
    pub(crate) position: Position,
    /// It returned `Ok`, so only a power cut or a failed sync can undo it.
    pub(crate) returned: bool,
    pub(crate) order: u64,
}

/// A take of the same kind.
#[derive(Clone, Debug)]
pub(crate) struct Take {
    pub(crate) channel: usize,
    pub(crate) ids: Vec<Id>,
    pub(crate) position: Position,
    pub(crate) returned: bool,
    pub(crate) order: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// Visible events of each channel, those in open takes included.
    pub(crate) live: Vec<BTreeSet<Id>>,
    pub(crate) puts: Vec<Put>,
    pub(crate) takes: Vec<Take>,
    /// Position of each owner now, and at the last moment at which all was settled.
    pub(crate) positions: BTreeMap<usize, Option<String>>,
    pub(crate) settled: BTreeMap<usize, (u64, Option<String>)>,
    order: u64,
}

/// What became of a transaction that could go either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Happened,
    Lost,
    Untold,
}

impl Model {
    pub(crate) fn new(channels: usize) -> Self {
        Self { live: vec![BTreeSet::new(); channels], ..Self::default() }
    }

    pub(crate) fn next_order(&mut self) -> u64 {
        self.order += 1;
        self.order
    }

    /// A change of a position is durable for sure.
    pub(crate) fn settle_position(&mut self, position: &Position, order: u64) {
        if let Some((owner, value)) = position {
            self.settled.insert(*owner, (order, value.clone()));
        }
    }

    /// A sync of the lane made its earlier puts durable.
    pub(crate) fn lane_synced(&mut self, lane: u16) {
        let (sure, open) = std::mem::take(&mut self.puts)
            .into_iter()
            .partition::<Vec<_>, _>(|put| put.returned && put.lane == Some(lane));
        self.puts = open;
        for put in sure {
            if self
                .settled
                .get(&put.position.as_ref().map_or(usize::MAX, |(owner, _)| *owner))
                .is_none_or(|(o, _)| *o < put.order)
            {
                self.settle_position(&put.position, put.order);
            }
        }
    }

    /// Compares what a store has after an open with what it may have. `risky`: what returned under a weak level may be gone.
    pub(crate) fn settle(
        &mut self,
        found: &[Vec<Id>],
        positions: &BTreeMap<usize, Option<String>>,
        risky: bool,
    ) -> Result<(), String> {
        for (channel, ids) in found.iter().enumerate() {
            if !ids.is_sorted_by(|a, b| a < b) {
                return Err(format!("channel {channel} is out of order, or has events twice: {ids:?}"));
            }
        }
        let sets: Vec<BTreeSet<Id>> = found.iter().map(|ids| ids.iter().copied().collect()).collect();
        let maybe_taken: BTreeSet<(usize, Id)> =
            self.takes.iter().flat_map(|take| take.ids.iter().map(|id| (take.channel, *id))).collect();
        let mut expected = self.live.clone();
        let mut changes: Vec<(u64, Fate, Position)> = Vec::new();
        let mut lost_ids = BTreeSet::new();
        let mut cut: BTreeMap<u16, u64> = BTreeMap::new();
        for put in &self.puts {
            let fate = fate_of(put, &sets, &expected, &maybe_taken)?;
            if fate == Fate::Lost && put.returned && !risky {
                return Err(format!("a put that returned is gone: {put:?}"));
            }
            match (put.lane, fate) {
                (Some(lane), Fate::Lost) if put.returned => drop(cut.insert(lane, put.order)),
                (Some(lane), Fate::Happened) if cut.contains_key(&lane) => {
                    return Err(format!("a put is there and an earlier one of its lane is not: {put:?}"));
                }
                _ => {}
            }
            for (channel, id) in put.all() {
                match fate {
                    Fate::Happened if !maybe_taken.contains(&(channel, id)) && !put.returned => {
                        expected[channel].insert(id);
                    }
                    Fate::Lost => {
                        expected[channel].remove(&id);
                        lost_ids.insert((channel, id));
                    }
                    // All of it was taken, and none is back: it may have been lost together with the take.
                    Fate::Untold if risky || !put.returned => {
                        lost_ids.insert((channel, id));
                    }
                    _ => {}
                }
            }
            changes.push((put.order, fate, put.position.clone()));
        }
        for take in &self.takes {
            let set = &sets[take.channel];
            let ids: Vec<Id> = take.ids.iter().copied().filter(|id| !lost_ids.contains(&(take.channel, *id))).collect();
            let back = ids.iter().filter(|id| set.contains(id)).count();
            if back != 0 && back != ids.len() {
                return Err(format!("{back} of {} events of a take are back: {take:?}", ids.len()));
            }
            if back > 0 && take.returned && !risky {
                return Err(format!("events of a take that returned are back: {take:?}"));
            }
            expected[take.channel].extend(ids.iter().filter(|_| back > 0));
            let fate = match (back, ids.len()) {
                (_, 0) => Fate::Untold,
                (0, _)
                    if self.puts.iter().any(|put| put.all().any(|(c, id)| c == take.channel && ids.contains(&id))) =>
                {
                    Fate::Untold
                }
                (0, _) => Fate::Happened,
                _ => Fate::Lost,
            };
            changes.push((take.order, fate, take.position.clone()));
        }
        for (channel, (expected, found)) in expected.iter().zip(&sets).enumerate() {
            let lost: Vec<&Id> = expected.difference(found).collect();
            let extra: Vec<&Id> = found.difference(expected).collect();
            if !lost.is_empty() || !extra.is_empty() {
                return Err(format!("channel {channel}: lost {lost:?}; never put, or taken before: {extra:?}"));
            }
        }
        self.check_positions(changes, positions)?;
        self.live = sets;
        self.puts.clear();
        self.takes.clear();
        self.positions.clone_from(positions);
        let order = self.next_order();
        self.settled = positions.iter().map(|(owner, value)| (*owner, (order, value.clone()))).collect();
        Ok(())
    }

    fn check_positions(
        &self,
        mut changes: Vec<(u64, Fate, Position)>,
        found: &BTreeMap<usize, Option<String>>,
    ) -> Result<(), String> {
        changes.sort_by_key(|(order, ..)| *order);
        for (owner, value) in found {
            let (since, settled) = self.settled.get(owner).cloned().unwrap_or_default();
            let mut allowed = vec![settled];
            for (order, fate, position) in &changes {
                let Some((of, value)) = position else { continue };
                if of != owner || *order < since {
                    continue;
                }
                match fate {
                    Fate::Happened => allowed = vec![value.clone()],
                    Fate::Untold => allowed.push(value.clone()),
                    Fate::Lost => {}
                }
            }
            if !allowed.contains(value) {
                return Err(format!("the position of {owner} is {value:?}, not one of {allowed:?}"));
            }
        }
        Ok(())
    }
}

impl Put {
    pub(crate) fn all(&self) -> impl Iterator<Item = (usize, Id)> + '_ {
        self.ids.iter().flat_map(|(channel, ids)| ids.iter().map(|id| (*channel, *id)))
    }
}

/// A put is there as a whole or not at all, as far as its events were not taken.
fn fate_of(
    put: &Put,
    found: &[BTreeSet<Id>],
    live: &[BTreeSet<Id>],
    maybe_taken: &BTreeSet<(usize, Id)>,
) -> Result<Fate, String> {
    let (mut free, mut there, mut taken_there) = (0, 0, 0);
    for (channel, id) in put.all() {
        let is_there = found[channel].contains(&id);
        if maybe_taken.contains(&(channel, id)) {
            taken_there += usize::from(is_there);
        } else if !put.returned || live[channel].contains(&id) {
            free += 1;
            there += usize::from(is_there);
        }
    }
    match (free, there) {
        (0, _) if taken_there > 0 => Ok(Fate::Happened),
        (0, _) => Ok(Fate::Untold),
        (free, there) if free == there => Ok(Fate::Happened),
        (_, 0) if taken_there == 0 => Ok(Fate::Lost),
        _ => Err(format!("{there} of {free} events of a put are there, {taken_there} of those taken: {put:?}")),
    }
}
