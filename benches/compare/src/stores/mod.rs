//! The stores that are compared, each behind the same small trait.
//!
//! Each adapter says in its first lines how it uses its store and why that is the way its documentation recommends for
//! the durability that is asked for.

mod aqueduct;
mod fjall;
mod gate;
mod mrecordlog;
mod okaywal;
mod raft_engine;
mod raw;
mod redb;
mod sqlite;
mod yaque;

use std::path::Path;

use bytes::Bytes;

pub use gate::Gate;

pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type Result<T = ()> = std::result::Result<T, Error>;

/// What a call that has returned promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Survives a power cut: a sync of what was written has succeeded.
    Synced,
    /// Survives the end of the process: what was written is with the operating system.
    Os,
}

impl Class {
    pub fn name(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Os => "OS",
        }
    }
}

/// What of a store is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Puts only.
    Puts,
    /// Puts, and takes that are acknowledged in the same class.
    PutsAndTakes,
}

pub trait Store: Sync {
    /// Puts `bodies` as one transaction.
    fn put(&self, producer: usize, bodies: &[Bytes]) -> Result;

    /// Waits until events are there, reads the oldest, `events` of them at most, gives each to `sink`, and
    /// acknowledges them. Called by one thread at a time.
    fn take(&self, events: usize, sink: &mut dyn FnMut(&[u8])) -> Result<usize> {
        let _ = (events, sink);
        Err("this store is a log without a consumer".into())
    }

    /// Throws away what earlier puts left behind, so that a store does not grow from round to round. Not measured.
    fn tidy(&self) -> Result {
        Ok(())
    }
}

pub struct System {
    pub name: &'static str,
    pub open: fn(&Path, Class) -> Result<Box<dyn Store>>,
    /// The classes it has.
    pub classes: &'static [Class],
    pub takes: bool,
}

impl System {
    pub fn can(&self, class: Class, what: Use) -> bool {
        self.classes.contains(&class) && (self.takes || what == Use::Puts)
    }
}

const BOTH: &[Class] = &[Class::Synced, Class::Os];

/// Ours first, then the raw loop, then the rest by name.
pub const SYSTEMS: &[System] = &[
    System { name: "aqueduct", open: aqueduct::open, classes: BOTH, takes: true },
    System { name: "raw loop", open: raw::open, classes: BOTH, takes: false },
    System { name: "fjall", open: fjall::open, classes: BOTH, takes: true },
    System { name: "mrecordlog", open: mrecordlog::open, classes: &[Class::Os], takes: true },
    System { name: "okaywal", open: okaywal::open, classes: &[Class::Synced], takes: false },
    System { name: "raft-engine", open: raft_engine::open, classes: BOTH, takes: true },
    System { name: "redb", open: redb::open, classes: &[Class::Synced], takes: true },
    System { name: "SQLite", open: sqlite::open, classes: BOTH, takes: true },
    System { name: "yaque", open: yaque::open, classes: &[Class::Os], takes: true },
];
