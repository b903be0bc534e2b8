//! What calls have promised about each event, and whether it is kept.

#![allow(clippy::expect_used, clippy::panic)] // an error is a failed test

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use aqueduct::{Channel, PutError, Receipt, TakeError, TakeTransaction, Wait};

/// What has been said of all events. Its own lock is none of the exploration: it is never held while others may go on.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    events: Mutex<BTreeMap<String, Fate>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    put: Put,
    take: Take,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Put {
    /// Nobody said anything: it may be there.
    #[default]
    Unknown,
    Accepted,
    Refused,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Take {
    #[default]
    None,
    /// An open take has it.
    Held,
    /// It may be gone, and is not seen again before the next open.
    Unknown,
    Gone,
}

impl Ledger {
    /// Notes that an event is on its way.
    pub(crate) fn putting(&self, body: &str) {
        let before = self.events().insert(body.to_owned(), Fate::default());
        assert!(before.is_none(), "the test puts {body} twice");
    }

    /// Notes how a put ended. Says whether the event was accepted.
    pub(crate) fn put(&self, body: &str, outcome: Result<Receipt, PutError>) -> bool {
        let put = match outcome {
            Ok(_) => Put::Accepted,
            Err(PutError::Indeterminate { .. }) => Put::Unknown,
            Err(_) => Put::Refused,
        };
        let mut events = self.events();
        let fate = events.get_mut(body).expect("an event that was put");
        assert!(put != Put::Refused || fate.take == Take::None, "{body} was refused, and taken: {fate:?}");
        fate.put = put;
        put == Put::Accepted
    }

    /// Notes what a take got.
    pub(crate) fn taken(&self, take: &TakeTransaction) -> Vec<String> {
        let bodies: Vec<String> = take.iter().map(|event| text(event.body())).collect();
        for body in &bodies {
            let mut events = self.events();
            let fate = events.get_mut(body).unwrap_or_else(|| panic!("{body} was never put"));
            assert_ne!(fate.put, Put::Refused, "{body} was refused, and comes out");
            assert_eq!(fate.take, Take::None, "{body} comes out a second time");
            fate.take = Take::Held;
        }
        bodies
    }

    /// Notes that the commit of a take was begun.
    pub(crate) fn committing(&self, bodies: &[String]) {
        self.set(bodies, Take::Unknown);
    }

    /// Notes how the commit of a take ended. Says whether it is gone.
    pub(crate) fn committed(&self, bodies: &[String], outcome: &Result<(), TakeError>) -> bool {
        match outcome {
            Ok(()) => self.set(bodies, Take::Gone),
            Err(TakeError::Indeterminate { .. }) => {}
            Err(_) => {
                // It is back before the call returns, and may have been taken again meanwhile.
                for body in bodies {
                    let mut events = self.events();
                    let fate = events.get_mut(body).expect("an event that was taken");
                    if fate.take == Take::Unknown {
                        fate.take = Take::None;
                    }
                }
            }
        }
        outcome.is_ok()
    }

    /// Notes that a take is about to be rolled back.
    pub(crate) fn returning(&self, bodies: &[String]) {
        self.set(bodies, Take::None);
    }

    /// How many events are surely in the channel once nobody works on it any more.
    pub(crate) fn left(&self) -> u64 {
        let left = self.events().values().filter(|fate| fate.put == Put::Accepted && fate.take == Take::None).count();
        u64::try_from(left).expect("few events")
    }

    /// Checks what is in a channel that nobody else works on, after an open if `reopened`; takes it all.
    pub(crate) fn check(&self, channel: &dyn Channel, reopened: bool) {
        let mut seen = Vec::new();
        loop {
            let take = channel.take(100, Wait::NONE).expect("a take");
            if take.is_empty() {
                break;
            }
            seen.extend(take.iter().map(|event| text(event.body())));
            take.commit().expect("a commit");
        }
        for (body, fate) in &*self.events() {
            let count = seen.iter().filter(|other| *other == body).count();
            assert!(count <= 1, "{body} is there {count} times: {seen:?}");
            let (must, may) = match (fate.put, fate.take) {
                (Put::Refused, _) | (_, Take::Gone) => (false, false),
                (_, Take::Unknown) => (false, reopened),
                (Put::Unknown, _) => (false, true),
                (Put::Accepted, Take::Held) => (reopened, reopened),
                (Put::Accepted, Take::None) => (true, true),
            };
            assert!(count == 1 || !must, "{body} is lost ({fate:?}): {seen:?}");
            assert!(count == 0 || may, "{body} is there ({fate:?}): {seen:?}");
        }
        for producer in seen.iter().filter_map(|body| Some(body.split_once('.')?.0)) {
            let own = seen.iter().filter(|body| body.split_once('.').is_some_and(|(other, _)| other == producer));
            assert!(own.is_sorted(), "the events of {producer} are out of order: {seen:?}");
        }
        let known = self.events();
        assert!(seen.iter().all(|body| known.contains_key(body)), "events that nobody put: {seen:?}");
    }

    fn set(&self, bodies: &[String], take: Take) {
        let mut events = self.events();
        for body in bodies {
            events.get_mut(body).expect("an event that was taken").take = take;
        }
    }

    fn events(&self) -> MutexGuard<'_, BTreeMap<String, Fate>> {
        self.events.lock().expect("a failure ends the process")
    }
}

/// A body without what makes it long.
fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).trim_end().to_owned()
}
