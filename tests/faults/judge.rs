//! What calls may tell when operations fail, and what the running store must show then.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use aqueduct::vfs::sim::{Fault, OpKind, OpRecord};
use aqueduct::{Channel, StorageError};

use crate::matrix::{EDQUOT, EIO, ENOSPC, EROFS, is_full};
use crate::roles::{Roles, is_dispensable, kind_of_file};
use crate::scripts::oracle::Key;
use crate::scripts::world::{Call, CallName, Outcome, World};

type Result<T = ()> = std::result::Result<T, String>;

/// Follows a world and judges each of its calls.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    seen: usize,
    pub(crate) roles: Roles,
    /// Operations that failed.
    pub(crate) hits: Vec<OpRecord>,
    // Directories whose mark or manifest is there.
    marked: BTreeSet<PathBuf>,
    /// The sync of the name of a directory failed in the open that created it. The next sync says that all is well, and a
    /// power cut takes the directory all the same: of that the store cannot know.
    pub(crate) homeless: bool,
}

impl Judge {
    /// Judges what was called since the last time, and what can be seen now.
    pub(crate) fn look(&mut self, world: &World) -> Result {
        for call in world.calls.iter().skip(self.seen) {
            let ops: Vec<OpRecord> =
                world.sim.ops_since(call.ops.start).into_iter().take_while(|op| op.index < call.ops.end).collect();
            self.call(world, call, &ops).map_err(|error| format!("{:?} {error}", call.name))?;
        }
        self.seen = world.calls.len();
        let Some(store) = &world.store else { return Ok(()) };
        for (lane, stats) in (0..).zip(store.stats().lanes) {
            let expected = self.roles.poisoned.contains(&lane);
            if stats.poisoned.is_some() != expected {
                let what = if expected { "should be poisoned" } else { "is poisoned" };
                return Err(format!("lane {lane} {what}: {:?}", stats.poisoned));
            }
        }
        counts(world)
    }

    fn call(&mut self, world: &World, call: &Call, ops: &[OpRecord]) -> Result {
        if call.name == CallName::Open {
            self.roles = Roles::default();
        }
        for op in ops {
            self.home(world, op);
        }
        let poisoned_before = self.roles.poisoned.len();
        let mut poisons = false;
        for op in ops {
            if op.kind == OpKind::Lock {
                // An open that failed for want of room, and was made once more in the same call.
                self.roles = Roles::default();
            }
            poisons |= self.roles.note(op, world.config);
        }
        let hits: Vec<&OpRecord> = ops.iter().filter(|op| op.fault.is_some()).collect();
        self.hits.extend(hits.iter().map(|op| (*op).clone()));
        let full = |op: &&OpRecord| matches!(op.fault, Some(Fault::Errno(errno)) if is_full(errno));
        match (call.outcome, &call.error) {
            (Outcome::Done, None) => {
                let retried = world.tight || hits.iter().any(full);
                if poisons && !retried && matches!(call.name, CallName::Put | CallName::Commit) {
                    return Err(format!("succeeded although its lane failed: {hits:?}"));
                }
                return Ok(());
            }
            (_, Some(error)) => self.error(world, call, error, &hits)?,
            (outcome, None) => return Err(format!("is {outcome:?} without an error")),
        }
        if call.outcome == Outcome::Unknown
            && matches!(call.name, CallName::Put | CallName::Commit)
            && self.roles.poisoned.len() == poisoned_before
        {
            return Err(format!("has an unknown outcome, but no sync and no write to the log failed: {hits:?}"));
        }
        Ok(())
    }

    fn home(&mut self, world: &World, op: &OpRecord) {
        let is_lost = matches!(op.fault, Some(Fault::Errno(EIO | ENOSPC | EDQUOT | EROFS) | Fault::PartialSync { .. }));
        if op.kind == OpKind::SyncDir && is_lost {
            let homes = world.config.dirs().into_iter().chain(["/store".to_owned()]).map(PathBuf::from);
            self.homeless |=
                { homes }.any(|home| home != *op.path && home.starts_with(&*op.path) && !self.marked.contains(&home));
        }
        if op.kind == OpKind::Rename && op.error.is_none() && matches!(kind_of_file(&op.path), "mark" | "manifest") {
            self.marked.extend(op.path.parent().map(PathBuf::from));
        }
    }

    /// An error names what failed, and nothing fails that could have gone on.
    fn error(&self, world: &World, call: &Call, error: &StorageError, hits: &[&OpRecord]) -> Result {
        if self.is_excused(world, call, error) {
            return Ok(());
        }
        if hits.is_empty() {
            return Err(format!("failed although nothing failed in it: {error}"));
        }
        if hits.iter().all(|op| is_dispensable(op, world.tight)) {
            return Err(format!("failed because of an operation that the store can do without: {error}, {hits:?}"));
        }
        let poisoned = matches!(error, StorageError::Poisoned { .. }) && !self.roles.poisoned.is_empty();
        if poisoned || hits.iter().any(|op| names(error, op)) {
            return Ok(());
        }
        Err(format!("does not say what failed: {error}, {hits:?}"))
    }

    /// What was known before: a lane that takes no more writes, a disk without room.
    fn is_excused(&self, world: &World, call: &Call, error: &StorageError) -> bool {
        let poisoned = |lane: u16| self.roles.poisoned.contains(&lane);
        match error {
            StorageError::DiskFull { .. } => world.tight,
            StorageError::Poisoned { .. } => {
                let all = (0..world.config.lanes).all(poisoned);
                match call.name {
                    // A take of which nothing is left but what is withheld.
                    CallName::Put | CallName::Take => all,
                    // Events that are not durable keep their acknowledgement waiting.
                    CallName::Commit => all || call.lanes.iter().any(|lane| poisoned(*lane)),
                    CallName::Close => !self.roles.poisoned.is_empty(),
                    _ => false,
                }
            }
            _ => false,
        }
    }
}

/// Whether an error tells of this failure: the system's answer, and a path that leads there.
fn names(error: &StorageError, op: &OpRecord) -> bool {
    let answer = match (error, op.fault) {
        (StorageError::DiskFull { .. }, Some(Fault::Errno(errno) | Fault::PartialSync { errno, .. })) => is_full(errno),
        (StorageError::Io { source, .. }, Some(Fault::Errno(errno) | Fault::PartialSync { errno, .. })) => {
            source.raw_os_error() == Some(errno) || (errno == 11 && source.kind() == std::io::ErrorKind::WouldBlock)
        }
        (StorageError::Io { source, .. }, Some(Fault::Short(_))) => {
            matches!(source.kind(), std::io::ErrorKind::WriteZero | std::io::ErrorKind::UnexpectedEof)
        }
        _ => false,
    };
    let path = match error {
        StorageError::Io { path, .. } => path.as_path(),
        _ => return answer,
    };
    answer && (op.path.starts_with(path) || path.starts_with(&*op.path) || op.path.parent() == path.parent())
}

/// The statistics and positions of the running store.
fn counts(world: &World) -> Result {
    let none = Vec::new();
    for (name, channel) in &world.channels {
        let of = |map: &BTreeMap<String, Vec<Key>>| map.get(name).unwrap_or(&none).clone();
        let open = world.takes.iter().filter(|(of, ..)| of == name).flat_map(|(_, keys, _)| keys.clone());
        let limbo = of(&world.limbo);
        let in_flight: Vec<Key> = open.chain(limbo).collect();
        let mut all = of(&world.live.channels);
        all.extend(&in_flight);
        let bytes: u64 = all.iter().map(|key| world.oracle.events[*key as usize].size_bytes()).sum();
        let said = channel.stats();
        let actual = (said.depth_events, said.depth_bytes, said.in_flight_events, said.lost_events);
        let expected = (all.len() as u64, bytes, in_flight.len() as u64, 0);
        if actual != expected {
            return Err(format!("{name}: events, bytes, in flight, lost are {actual:?}, not {expected:?}"));
        }
        let positions: BTreeMap<String, Vec<u8>> =
            channel.positions("").into_iter().map(|(owner, value)| (owner, value.to_vec())).collect();
        if positions != world.live.positions {
            return Err(format!("the positions are {positions:?}, not {:?}", world.live.positions));
        }
    }
    Ok(())
}
