//! Inodes, directories, unsynced changes: what the running system sees and what the disk holds.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path};
use std::sync::Arc;

use bytes::Bytes;
use rustix::io::Errno;

use super::SimVfs;
use super::change::{Change, Pending};
use super::content::Content;
use super::fault::Control;

/// The longest file: what a page table of 8 MiB describes.
pub(super) const FILE_BYTES_MAX: u64 = 4 << 30;
const NAME_BYTES_MAX: usize = 255;
pub(super) const ROOT: u64 = 1;

pub(super) type Entries = BTreeMap<OsString, u64>;

#[derive(Clone, Debug)]
pub(super) enum Body {
    File { durable: Content, current: Content },
    Dir { durable: Arc<Entries>, current: Arc<Entries> },
    Special,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) body: Body,
    pub(super) modified_ns: u64,
    /// Handles and locks that the running system holds.
    pub(super) opens: usize,
    /// Has a name in the running system.
    pub(super) named: bool,
    /// A failed sync dropped changes: `current` is not `durable` plus what is pending.
    pub(super) diverged: bool,
}

/// The whole simulated machine.
#[derive(Debug)]
pub(super) struct State {
    pub(super) nodes: BTreeMap<u64, Node>,
    /// In the order in which they were made.
    pub(super) pending: Vec<Pending>,
    pub(super) now_ns: u64,
    /// Bytes in all, if bounded.
    pub(super) capacity: Option<u64>,
    pub(super) used: u64,
    pub(super) handles: usize,
    pub(super) handles_max: Option<usize>,
    pub(super) locked: BTreeSet<u64>,
    pub(super) control: Control,
    /// What was kept of earlier moments, if recording is on.
    pub(super) moments: Option<Moments>,
}

/// Snapshots taken before operations.
#[derive(Debug, Default)]
pub(super) struct Moments {
    pub(super) max: usize,
    pub(super) taken: Vec<(u64, SimVfs)>,
    pub(super) missed: u64,
}

/// A directory, reached through all of its ancestors, and the name of an entry in it.
pub(super) struct Place {
    pub(super) ancestors: Vec<u64>,
    pub(super) dir: u64,
    pub(super) name: OsString,
}

impl State {
    pub(super) fn new() -> Self {
        let root = Node {
            body: Body::Dir { durable: Arc::default(), current: Arc::default() },
            modified_ns: 0,
            opens: 0,
            named: true,
            diverged: false,
        };
        Self {
            nodes: BTreeMap::from([(ROOT, root)]),
            pending: Vec::new(),
            moments: None,
            now_ns: 0,
            capacity: None,
            used: 0,
            handles: 0,
            handles_max: None,
            locked: BTreeSet::new(),
            control: Control::default(),
        }
    }

    // ---- paths ----

    /// The inodes from the root to what `path` names.
    fn walk(&self, path: &Path) -> io::Result<Vec<u64>> {
        if path.as_os_str().is_empty() {
            return Err(Errno::NOENT.into());
        }
        let mut stack = vec![ROOT];
        for component in path.components() {
            let here = stack.last().copied().unwrap_or(ROOT);
            let entries = self.entries(here)?;
            match component {
                Component::Normal(name) => {
                    check_name(name)?;
                    stack.push(*entries.get(name).ok_or(Errno::NOENT)?);
                }
                Component::ParentDir if stack.len() > 1 => drop(stack.pop()),
                _ => {}
            }
        }
        Ok(stack)
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<u64> {
        Ok(self.walk(path)?.last().copied().unwrap_or(ROOT))
    }

    pub(super) fn place(&self, path: &Path) -> io::Result<Place> {
        let name = path.file_name().ok_or(if path.as_os_str().is_empty() { Errno::NOENT } else { Errno::INVAL })?;
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("/"));
        let ancestors = self.walk(parent)?;
        let dir = ancestors.last().copied().unwrap_or(ROOT);
        self.entries(dir)?;
        check_name(name)?;
        Ok(Place { ancestors, dir, name: name.to_os_string() })
    }

    pub(super) fn node(&self, inode: u64) -> io::Result<&Node> {
        self.nodes.get(&inode).ok_or_else(|| Errno::STALE.into())
    }

    pub(super) fn node_mut(&mut self, inode: u64) -> io::Result<&mut Node> {
        self.nodes.get_mut(&inode).ok_or_else(|| Errno::STALE.into())
    }

    pub(super) fn entries(&self, dir: u64) -> io::Result<&Arc<Entries>> {
        match &self.node(dir)?.body {
            Body::Dir { current, .. } => Ok(current),
            _ => Err(Errno::NOTDIR.into()),
        }
    }

    pub(super) fn entry(&self, place: &Place) -> io::Result<Option<u64>> {
        Ok(self.entries(place.dir)?.get(&place.name).copied())
    }

    fn entries_mut(&mut self, dir: u64) -> io::Result<&mut Entries> {
        match &mut self.node_mut(dir)?.body {
            Body::Dir { current, .. } => Ok(Arc::make_mut(current)),
            _ => Err(Errno::NOTDIR.into()),
        }
    }

    pub(super) fn content(&self, inode: u64) -> io::Result<&Content> {
        match &self.node(inode)?.body {
            Body::File { current, .. } => Ok(current),
            _ => Err(Errno::INVAL.into()),
        }
    }

    // ---- names ----

    /// Adds an entry for a new inode.
    pub(super) fn create(&mut self, place: &Place, body: Body, path: &Arc<Path>) -> io::Result<u64> {
        if self.entry(place)?.is_some() {
            return Err(Errno::EXIST.into());
        }
        let inode = self.free_inode();
        let modified_ns = self.tick();
        self.nodes.insert(inode, Node { body, modified_ns, opens: 0, named: true, diverged: false });
        self.entries_mut(place.dir)?.insert(place.name.clone(), inode);
        self.touch(place.dir)?;
        let change = Change::Link { dir: place.dir, name: place.name.clone(), inode };
        self.pending.push(Pending { change, path: Arc::clone(path) });
        Ok(inode)
    }

    /// The lowest number that nothing can refer to: numbers of removed files come back soon, as on ext4.
    fn free_inode(&self) -> u64 {
        let mut free = ROOT;
        for &inode in self.nodes.keys() {
            if inode != free {
                break;
            }
            free += 1;
        }
        free
    }

    pub(super) fn remove(&mut self, place: &Place, path: &Arc<Path>) -> io::Result<()> {
        let inode = self.entry(place)?.ok_or(Errno::NOENT)?;
        if matches!(self.node(inode)?.body, Body::Dir { .. }) {
            return Err(Errno::ISDIR.into());
        }
        self.unlink(place, path, inode)
    }

    /// Removes an entry, whatever it is.
    pub(super) fn unlink(&mut self, place: &Place, path: &Arc<Path>, inode: u64) -> io::Result<()> {
        self.entries_mut(place.dir)?.remove(&place.name);
        self.tick();
        self.touch(place.dir)?;
        let change = Change::Unlink { dir: place.dir, name: place.name.clone() };
        self.pending.push(Pending { change, path: Arc::clone(path) });
        self.unname(inode)
    }

    pub(super) fn rename(&mut self, from: Place, to: Place, path: &Arc<Path>) -> io::Result<()> {
        let inode = self.entry(&from)?.ok_or(Errno::NOENT)?;
        let replaced = self.entry(&to)?;
        if replaced == Some(inode) {
            return Ok(());
        }
        if to.ancestors.contains(&inode) {
            return Err(Errno::INVAL.into());
        }
        if let Some(old) = replaced {
            let moves_dir = matches!(self.node(inode)?.body, Body::Dir { .. });
            match &self.node(old)?.body {
                Body::Dir { .. } if from.ancestors.contains(&old) => return Err(Errno::NOTEMPTY.into()),
                Body::Dir { .. } if !moves_dir => return Err(Errno::ISDIR.into()),
                Body::Dir { current, .. } if !current.is_empty() => return Err(Errno::NOTEMPTY.into()),
                Body::File { .. } | Body::Special if moves_dir => return Err(Errno::NOTDIR.into()),
                _ => {}
            }
        }
        self.tick();
        self.entries_mut(from.dir)?.remove(&from.name);
        self.entries_mut(to.dir)?.insert(to.name.clone(), inode);
        self.touch(from.dir)?;
        self.touch(to.dir)?;
        let change = Change::Rename { from_dir: from.dir, from: from.name, to_dir: to.dir, to: to.name, inode };
        self.pending.push(Pending { change, path: Arc::clone(path) });
        replaced.map_or(Ok(()), |old| self.unname(old))
    }

    /// The last name is gone: the space is freed unless a handle keeps it.
    fn unname(&mut self, inode: u64) -> io::Result<()> {
        let node = self.node_mut(inode)?;
        node.named = false;
        self.free_if_unused(inode);
        Ok(())
    }

    pub(super) fn free_if_unused(&mut self, inode: u64) {
        let Some(node) = self.nodes.get_mut(&inode) else { return };
        if node.named || node.opens > 0 {
            return;
        }
        if let Body::File { current, .. } = &mut node.body {
            self.used = self.used.saturating_sub(current.allocated_bytes());
            *current = Content::default();
            // What is left is what a power cut may bring back.
            node.diverged = true;
        }
    }

    // ---- bytes ----

    /// Writes as many bytes as there is space for.
    pub(super) fn write(&mut self, inode: u64, offset: u64, mut data: Bytes, path: &Arc<Path>) -> io::Result<usize> {
        let room = usize::try_from(FILE_BYTES_MAX.saturating_sub(offset)).unwrap_or(usize::MAX);
        if room == 0 {
            return Err(Errno::FBIG.into());
        }
        data.truncate(room);
        let free = self.free_bytes();
        let now = self.tick();
        let node = self.node_mut(inode)?;
        let Body::File { current, .. } = &mut node.body else { return Err(Errno::INVAL.into()) };
        data.truncate(current.fitting(offset, data.len(), free));
        if data.is_empty() {
            return Err(Errno::NOSPC.into());
        }
        node.modified_ns = now;
        let (before, allocated) = (current.len(), current.allocated_bytes());
        current.write(offset, &data);
        let (after, n) = (current.len(), data.len());
        self.used += current.allocated_bytes() - allocated;
        if after > before {
            let change = Change::Grow { inode, from: before, to: after };
            self.pending.push(Pending { change, path: Arc::clone(path) });
        }
        self.pending.push(Pending { change: Change::Write { inode, offset, data }, path: Arc::clone(path) });
        Ok(n)
    }

    pub(super) fn set_len(&mut self, inode: u64, len: u64, path: &Arc<Path>) -> io::Result<()> {
        if len > FILE_BYTES_MAX {
            return Err(Errno::FBIG.into());
        }
        let now = self.tick();
        let node = self.node_mut(inode)?;
        let Body::File { current, .. } = &mut node.body else { return Err(Errno::INVAL.into()) };
        node.modified_ns = now;
        let (from, allocated) = (current.len(), current.allocated_bytes());
        current.set_len(len);
        let freed = allocated - current.allocated_bytes();
        self.used = self.used.saturating_sub(freed);
        if from != len {
            let change = Change::SetLen { inode, from, to: len };
            self.pending.push(Pending { change, path: Arc::clone(path) });
        }
        Ok(())
    }

    pub(super) fn free_bytes(&self) -> u64 {
        self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used))
    }

    // ---- syncs ----

    pub(super) fn sync_file(&mut self, inode: u64) -> io::Result<()> {
        let mine = self.take_pending(|change| change.file() == Some(inode));
        let node = self.node_mut(inode)?;
        let Body::File { durable, current } = &mut node.body else { return Ok(()) };
        if node.diverged {
            for pending in mine {
                apply_bytes(durable, &pending.change);
            }
        } else {
            *durable = current.clone();
        }
        Ok(())
    }

    /// Makes the entries durable. A rename between two directories is atomic, so it takes along what happened in the
    /// other directory before it.
    pub(super) fn sync_entries(&mut self, dir: u64) -> io::Result<()> {
        self.entries(dir)?;
        for pending in self.take_dir_pending(dir) {
            apply_name(&mut self.nodes, &pending.change);
        }
        self.collect();
        Ok(())
    }

    /// What a failed `sync_data` does: all but the first changes are forgotten, the running system does not notice.
    pub(super) fn lose_file(&mut self, inode: u64, kept: usize) {
        let changes = self.take_pending(|change| change.file() == Some(inode));
        if let Some(Node { body: Body::File { durable, .. }, diverged, .. }) = self.nodes.get_mut(&inode) {
            changes.iter().take(kept).for_each(|pending| apply_bytes(durable, &pending.change));
            *diverged |= kept < changes.len();
        }
    }

    /// What a failed `sync_dir` does.
    pub(super) fn lose_entries(&mut self, dir: u64, kept: usize) {
        for pending in self.take_dir_pending(dir).iter().take(kept) {
            apply_name(&mut self.nodes, &pending.change);
        }
        self.collect();
    }

    /// Reads again what a failed sync has left clean: the bytes of the disk, at the length that the system knows.
    pub(super) fn drop_caches(&mut self) {
        for (&inode, node) in &mut self.nodes {
            let Body::File { durable, current } = &mut node.body else { continue };
            if !node.diverged || !(node.named || node.opens > 0) {
                continue;
            }
            let (len, allocated) = (current.len(), current.allocated_bytes());
            *current = durable.clone();
            let mine = self.pending.iter().filter(|p| p.change.file() == Some(inode));
            mine.for_each(|pending| apply_bytes(current, &pending.change));
            node.diverged = current.len() != len;
            current.set_len(len);
            self.used = (self.used + current.allocated_bytes()).saturating_sub(allocated);
        }
    }

    /// Makes everything durable that is not lost yet.
    pub(super) fn sync_everything(&mut self) -> io::Result<()> {
        let inodes: Vec<(u64, bool)> =
            self.nodes.iter().map(|(&inode, node)| (inode, matches!(node.body, Body::Dir { .. }))).collect();
        for (inode, is_dir) in inodes {
            match self.nodes.contains_key(&inode) {
                true if is_dir => self.sync_entries(inode)?,
                true => self.sync_file(inode)?,
                false => {}
            }
        }
        Ok(())
    }

    fn take_pending(&mut self, mut wanted: impl FnMut(&Change) -> bool) -> Vec<Pending> {
        self.pending.extract_if(.., |pending| wanted(&pending.change)).collect()
    }

    fn take_dir_pending(&mut self, dir: u64) -> Vec<Pending> {
        let mut dirs = BTreeSet::from([dir]);
        let mut wanted: Vec<bool> = Vec::with_capacity(self.pending.len());
        for pending in self.pending.iter().rev() {
            let (a, b) = pending.change.dirs();
            let hit = a.is_some_and(|d| dirs.contains(&d)) || b.is_some_and(|d| dirs.contains(&d));
            if hit {
                dirs.extend(a.into_iter().chain(b));
            }
            wanted.push(hit);
        }
        self.take_pending(|_| wanted.pop().unwrap_or_default())
    }

    /// Drops inodes that neither the running system nor any crash can reach.
    fn collect(&mut self) {
        if !self.nodes.values().any(|node| !node.named && node.opens == 0) {
            return;
        }
        let mut reachable: BTreeSet<u64> = self.pending.iter().filter_map(|p| p.change.names()).collect();
        for node in self.nodes.values() {
            if let Body::Dir { durable, .. } = &node.body {
                reachable.extend(durable.values());
            }
        }
        self.nodes.retain(|inode, node| node.named || node.opens > 0 || reachable.contains(inode));
        let nodes = &self.nodes;
        self.pending.retain(|p| p.change.file().is_none_or(|inode| nodes.contains_key(&inode)));
    }

    // ---- handles and time ----

    pub(super) fn take_handle(&mut self) -> io::Result<()> {
        if self.handles_max.is_some_and(|max| self.handles >= max) {
            return Err(Errno::MFILE.into());
        }
        self.handles += 1;
        Ok(())
    }

    pub(super) fn release(&mut self, inode: u64) {
        self.handles -= 1;
        if let Some(node) = self.nodes.get_mut(&inode) {
            node.opens -= 1;
        }
        self.free_if_unused(inode);
    }

    /// A new moment for every change, so that modification times tell the order.
    fn tick(&mut self) -> u64 {
        self.now_ns += 1_000;
        self.now_ns
    }

    fn touch(&mut self, inode: u64) -> io::Result<()> {
        let now = self.now_ns;
        self.node_mut(inode)?.modified_ns = now;
        Ok(())
    }
}

fn check_name(name: &OsStr) -> io::Result<()> {
    if name.len() > NAME_BYTES_MAX {
        return Err(Errno::NAMETOOLONG.into());
    }
    if name.as_encoded_bytes().contains(&0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "file name contained an unexpected NUL byte"));
    }
    Ok(())
}

/// Carries a change of bytes or length out in full. A write reaches as far as it reaches: if the growth of the file was
/// lost before, rewriting the bytes makes it anew.
fn apply_bytes(content: &mut Content, change: &Change) {
    match change {
        Change::Write { offset, data, .. } => content.write(*offset, data),
        Change::Grow { to, .. } => content.extend(*to),
        Change::SetLen { to, .. } => content.set_len(*to),
        Change::Link { .. } | Change::Unlink { .. } | Change::Rename { .. } => {}
    }
}

/// Carries a change of names out on what the disk holds.
pub(super) fn apply_name(nodes: &mut BTreeMap<u64, Node>, change: &Change) {
    match change {
        Change::Link { dir, name, inode } => {
            if let Some(entries) = durable_entries(nodes, *dir) {
                entries.insert(name.clone(), *inode);
            }
        }
        Change::Unlink { dir, name } => {
            if let Some(entries) = durable_entries(nodes, *dir) {
                entries.remove(name);
            }
        }
        Change::Rename { from_dir, from, to_dir, to, inode } => {
            let was_there = durable_entries(nodes, *from_dir).is_some_and(|entries| {
                let there = entries.get(from) == Some(inode);
                if there {
                    entries.remove(from);
                }
                there
            });
            if !was_there {
                unlink_everywhere(nodes, *inode);
            }
            if let Some(entries) = durable_entries(nodes, *to_dir) {
                entries.insert(to.clone(), *inode);
            }
        }
        Change::Write { .. } | Change::Grow { .. } | Change::SetLen { .. } => {}
    }
}

/// An earlier rename of the same inode was lost: the later one still leaves it with one name only.
fn unlink_everywhere(nodes: &mut BTreeMap<u64, Node>, inode: u64) {
    for node in nodes.values_mut() {
        if let Body::Dir { durable, .. } = &mut node.body
            && durable.values().any(|&there| there == inode)
        {
            Arc::make_mut(durable).retain(|_, there| *there != inode);
        }
    }
}

fn durable_entries(nodes: &mut BTreeMap<u64, Node>, dir: u64) -> Option<&mut Entries> {
    match &mut nodes.get_mut(&dir)?.body {
        Body::Dir { durable, .. } => Some(Arc::make_mut(durable)),
        _ => None,
    }
}
