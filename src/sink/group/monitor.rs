//! How the sinks of a group are, for whoever watches.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::super::SinkCounters;
use crate::stats::{ComponentStatus, Health, SinkStats};

/// A view of the members of a [`SinkGroup`](super::SinkGroup), also while an agent runs it.
#[derive(Clone, Debug, Default)]
pub struct GroupMonitor {
    members: Arc<[Arc<Watch>]>,
}

/// A member of a group at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberSnapshot {
    /// Its name.
    pub name: String,
    /// How it is.
    pub status: ComponentStatus,
    /// Its counters.
    pub stats: SinkStats,
    /// Why closing it failed.
    pub close_error: Option<String>,
}

impl GroupMonitor {
    pub(super) fn new(members: Vec<Arc<Watch>>) -> Self {
        Self { members: members.into() }
    }

    /// All members, in the order in which they were added.
    #[must_use]
    pub fn members(&self) -> Vec<MemberSnapshot> {
        self.members.iter().map(|watch| watch.snapshot()).collect()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.members.iter().map(|watch| watch.name.clone()).collect()
    }

    /// A member.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<MemberSnapshot> {
        self.members.iter().find(|watch| watch.name == name).map(|watch| watch.snapshot())
    }
}

/// What a member tells.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) name: String,
    pub(super) counters: SinkCounters,
    status: Mutex<ComponentStatus>,
    close_error: Mutex<Option<String>>,
}

impl Watch {
    pub(super) fn new(name: String) -> Self {
        Self { name, counters: SinkCounters::default(), status: Mutex::default(), close_error: Mutex::default() }
    }

    pub(super) fn status(&self) -> MutexGuard<'_, ComponentStatus> {
        self.status.lock()
    }

    pub(super) fn failed_to_close(&self, message: String) {
        *self.close_error.lock() = Some(message);
    }

    /// Its name, and what is wrong with it.
    pub(super) fn told(&self) -> String {
        let status = self.status.lock();
        let what = status.last_error.as_deref().unwrap_or("it waits for its turn");
        if status.health == Health::Failed {
            format!("{} for good: {what}", self.name)
        } else {
            format!("{}: {what}", self.name)
        }
    }

    fn snapshot(&self) -> MemberSnapshot {
        MemberSnapshot {
            name: self.name.clone(),
            status: self.status.lock().clone(),
            stats: self.counters.snapshot(),
            close_error: self.close_error.lock().clone(),
        }
    }
}
