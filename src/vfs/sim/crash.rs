//! From the running system and a choice to what the disk holds after the crash.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;

use super::SimVfs;
use super::change::{Change, Pending};
use super::choice::{CrashChoice, CrashMode, Fate, Survive};
use super::content::Content;
use super::fault::Control;
use super::rng::SplitMix;
use super::state::{Body, Node, ROOT, State, apply_name};

impl State {
    pub(super) fn after(&self, choice: &CrashChoice) -> Self {
        match choice.mode {
            CrashMode::Kill => self.after_kill(),
            _ => self.after_power_loss(choice),
        }
    }

    /// No handle, no lock, no fault is left; the page cache is.
    pub(super) fn after_kill(&self) -> Self {
        let mut nodes = self.nodes.clone();
        for node in nodes.values_mut() {
            node.opens = 0;
        }
        let mut next = self.successor(nodes, self.pending.clone());
        let unnamed: Vec<u64> = next.nodes.iter().filter(|(_, node)| !node.named).map(|(&inode, _)| inode).collect();
        for inode in unnamed {
            next.free_if_unused(inode);
        }
        next.used = used(&next.nodes);
        next
    }

    /// Keeps the present moment if recording is on and there is room.
    pub(super) fn record_moment(&mut self, index: u64) {
        let Some(moments) = &self.moments else { return };
        let next = (moments.taken.len() < moments.max).then(|| SimVfs::of(self.after_kill()));
        let Some(moments) = &mut self.moments else { return };
        match next {
            Some(next) => moments.taken.push((index, next)),
            None => moments.missed += 1,
        }
    }

    fn after_power_loss(&self, choice: &CrashChoice) -> Self {
        let mut nodes = self.nodes.clone();
        if !self.pending.is_empty() {
            let fates = choice.fates(&self.pending);
            for (at, (pending, &fate)) in self.pending.iter().zip(&fates).enumerate() {
                match pending.change.file() {
                    Some(inode) => {
                        if let Some(Node { body: Body::File { durable, .. }, .. }) = nodes.get_mut(&inode) {
                            choice.apply(durable, &pending.change, fate, at);
                        }
                    }
                    None if fate != Fate::Lost => apply_name(&mut nodes, &pending.change),
                    None => {}
                }
            }
            for inode in self.pending.iter().filter_map(|pending| pending.change.file()) {
                if let Some(Node { body: Body::File { durable, .. }, .. }) = nodes.get_mut(&inode) {
                    durable.trim();
                }
            }
        }
        let reachable = reachable(&nodes);
        if reachable.len() < nodes.len() {
            nodes.retain(|inode, _| reachable.contains(inode));
        }
        for node in nodes.values_mut() {
            node.opens = 0;
            node.named = true;
            node.diverged = false;
            match &mut node.body {
                Body::File { durable, current } => *current = durable.clone(),
                Body::Dir { durable, current } => current.clone_from(durable),
                Body::Special => {}
            }
        }
        let mut next = self.successor(nodes, Vec::new());
        next.used = used(&next.nodes);
        next
    }

    fn successor(&self, nodes: BTreeMap<u64, Node>, pending: Vec<Pending>) -> Self {
        Self {
            nodes,
            pending,
            now_ns: self.now_ns,
            capacity: self.capacity,
            used: 0,
            handles: 0,
            handles_max: self.handles_max,
            locked: BTreeSet::new(),
            control: Control::default(),
            moments: None,
        }
    }
}

fn used(nodes: &BTreeMap<u64, Node>) -> u64 {
    let allocated = |node: &Node| match &node.body {
        Body::File { current, .. } => current.allocated_bytes(),
        _ => 0,
    };
    nodes.values().map(allocated).sum()
}

fn reachable(nodes: &BTreeMap<u64, Node>) -> BTreeSet<u64> {
    let mut seen = BTreeSet::from([ROOT]);
    let mut queue = vec![ROOT];
    while let Some(inode) = queue.pop() {
        if let Some(Node { body: Body::Dir { durable, .. }, .. }) = nodes.get(&inode) {
            queue.extend(durable.values().filter(|&&child| seen.insert(child)));
        }
    }
    seen
}

impl CrashChoice {
    /// One decision for each change, made consistent with what the mode allows.
    fn fates(&self, pending: &[Pending]) -> Vec<Fate> {
        let mut fates: Vec<Fate> = match &self.survive {
            Survive::Random(seed) => random_fates(*seed, self.mode, pending),
            survive => pending.iter().enumerate().map(|(at, p)| fate_of(survive, at, &p.change)).collect(),
        };
        match self.mode {
            CrashMode::Journaled => close_prefixes(&mut fates, pending),
            _ => imply_renames(&mut fates, pending),
        }
        fates
    }

    fn apply(&self, content: &mut Content, change: &Change, fate: Fate, at: usize) {
        match change {
            Change::Write { offset, data, .. } => self.apply_write(content, *offset, data, fate, at),
            Change::Grow { from, to, .. } => {
                if let Some(len) = self.reached(*from, *to, fate) {
                    content.extend(len);
                }
            }
            Change::SetLen { from, to, .. } => {
                if let Some(len) = self.reached(*from, *to, fate) {
                    content.set_len(len);
                }
            }
            Change::Link { .. } | Change::Unlink { .. } | Change::Rename { .. } => {}
        }
    }

    /// How far a change of length came.
    fn reached(&self, from: u64, to: u64, fate: Fate) -> Option<u64> {
        match fate {
            Fate::Lost | Fate::Head(0) => None,
            Fate::Kept | Fate::Tail(_) | Fate::Sectors(_) => Some(to),
            Fate::Head(sectors) => {
                let way = u64::from(sectors) * self.sector.bytes();
                Some(if to > from { from.saturating_add(way).min(to) } else { from.saturating_sub(way).max(to) })
            }
            Fate::Length(len) => Some(len.clamp(from.min(to), from.max(to))),
        }
    }

    fn apply_write(&self, content: &mut Content, offset: u64, data: &[u8], fate: Fate, at: usize) {
        if matches!(fate, Fate::Kept | Fate::Length(_)) {
            return content.poke(offset, data);
        }
        let mut garbage = SplitMix::new(self.garbage ^ (at as u64).wrapping_mul(0xa076_1d64_78bd_642f));
        let rots = self.mode == CrashMode::Garbage && garbage.chance(1, 2);
        if fate == Fate::Lost && !rots {
            return;
        }
        let sector = self.sector.bytes();
        let (mut from, mut index) = (0_usize, 0_u32);
        while from < data.len() {
            let room = sector - (offset + from as u64) % sector;
            let to = usize::try_from(room).unwrap_or(usize::MAX).saturating_add(from).min(data.len());
            let survives = match fate {
                Fate::Head(n) => index < n,
                Fate::Tail(n) => index >= n,
                Fate::Sectors(bits) => (bits >> (index % 64)) & 1 == 1,
                _ => false,
            };
            let piece = data.get(from..to).unwrap_or_default();
            if survives {
                content.poke(offset + from as u64, piece);
            } else if rots && garbage.chance(1, 2) {
                let mut noise = vec![0; piece.len()];
                garbage.fill(&mut noise);
                content.poke(offset + from as u64, &noise);
            }
            from = to;
            index += 1;
        }
    }
}

fn fate_of(survive: &Survive, at: usize, change: &Change) -> Fate {
    let is_name = change.file().is_none();
    let is_data = matches!(change, Change::Write { .. });
    let kept = match survive {
        Survive::Nothing | Survive::Random(_) => false,
        Survive::All => true,
        Survive::Torn(n) if at == *n => return half(change),
        Survive::Prefix(n) | Survive::Torn(n) => at < *n,
        Survive::AllBut(n) => at != *n,
        Survive::Only(n) => at == *n,
        Survive::Names => is_name,
        Survive::Metadata => !is_data,
        Survive::Data => is_data,
        Survive::NoLengths => is_name || is_data,
        Survive::NoNames => !is_name,
        Survive::Mask(fates) => return fates.get(at).copied().unwrap_or(Fate::Lost),
    };
    if kept { Fate::Kept } else { Fate::Lost }
}

/// The first half of a change.
fn half(change: &Change) -> Fate {
    match change {
        // With small sectors; larger ones tear later.
        Change::Write { data, .. } => Fate::Head(u32::try_from(data.len().div_ceil(1024)).unwrap_or(u32::MAX)),
        Change::Grow { from, to, .. } | Change::SetLen { from, to, .. } => Fate::Length(from.midpoint(*to)),
        _ => Fate::Lost,
    }
}

fn random_fates(seed: u64, mode: CrashMode, pending: &[Pending]) -> Vec<Fate> {
    let mut rng = SplitMix::new(seed);
    // Few, half or most of the changes survive: each regime has bugs of its own.
    let kept_of_8 = [1, 4, 7].get(rng.index(3)).copied().unwrap_or(4);
    let torn_of_8 = rng.below(5);
    let one_journal = rng.chance(1, 2);
    let cut_seed = rng.next_u64();
    let cut = |dir: u64| {
        let salt = if one_journal { 0 } else { dir };
        SplitMix::new(cut_seed ^ salt.wrapping_mul(0xe703_7ed1_a0b4_28db)).index(pending.len() + 1)
    };
    let mut decide = |(at, pending): (usize, &Pending)| {
        if rng.chance(torn_of_8, 8) && pending.change.file().is_some() {
            return tear(&mut rng, &pending.change);
        }
        let kept = match pending.change.dirs() {
            (Some(dir), _) if mode == CrashMode::Journaled => at < cut(dir),
            _ => rng.chance(kept_of_8, 8),
        };
        if kept { Fate::Kept } else { Fate::Lost }
    };
    pending.iter().enumerate().map(&mut decide).collect()
}

fn tear(rng: &mut SplitMix, change: &Change) -> Fate {
    match change {
        Change::Write { data, .. } => {
            let sectors = u32::try_from(rng.below(data.len() as u64 / 512 + 2)).unwrap_or(u32::MAX);
            match rng.below(3) {
                0 => Fate::Head(sectors),
                1 => Fate::Tail(sectors),
                _ => Fate::Sectors(rng.next_u64()),
            }
        }
        Change::Grow { from, to, .. } | Change::SetLen { from, to, .. } => {
            Fate::Length(from.min(to) + rng.below(from.abs_diff(*to) + 1))
        }
        _ => Fate::Lost,
    }
}

/// A journal replays the changes of a directory in order up to some point.
fn close_prefixes(fates: &mut [Fate], pending: &[Pending]) {
    let mut ended = BTreeSet::new();
    for (fate, pending) in fates.iter_mut().zip(pending) {
        let (a, b) = pending.change.dirs();
        let mut dirs = a.into_iter().chain(b);
        if *fate != Fate::Lost && dirs.clone().any(|dir| ended.contains(&dir)) {
            *fate = Fate::Lost;
        }
        if *fate == Fate::Lost {
            ended.extend(&mut dirs);
        }
    }
}

/// A rename is atomic: if the name it freed is seen to be used again, then it has happened, or else the renamed file
/// would have neither of its names.
fn imply_renames(fates: &mut [Fate], pending: &[Pending]) {
    if !pending.iter().any(|p| matches!(p.change, Change::Rename { .. })) {
        return;
    }
    let mut used: BTreeSet<(u64, &OsStr)> = BTreeSet::new();
    for (fate, pending) in fates.iter_mut().zip(pending).rev() {
        match &pending.change {
            Change::Rename { from_dir, from, to_dir, to, .. } => {
                if *fate == Fate::Lost && used.contains(&(*from_dir, from.as_os_str())) {
                    *fate = Fate::Kept;
                }
                if *fate != Fate::Lost {
                    used.insert((*to_dir, to));
                }
            }
            Change::Link { dir, name, .. } if *fate != Fate::Lost => {
                used.insert((*dir, name));
            }
            _ => {}
        }
    }
}
