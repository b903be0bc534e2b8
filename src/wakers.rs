//! Tasks that wait for events of a channel.

use std::task::Waker;

use crate::limits::READY_TASKS_MAX;

/// Tasks to be woken. Those that have ended meanwhile are among them, so that there would be more and more: from time to time all
/// are woken, and those that still wait come again.
#[derive(Debug)]
pub(crate) struct Wakers {
    tasks: Vec<Waker>,
    // So many at most, for now.
    max: usize,
}

impl Default for Wakers {
    fn default() -> Self {
        Self { tasks: Vec::new(), max: TASKS_MAX_AT_FIRST }
    }
}

impl Wakers {
    pub(crate) fn knows(&self, waker: &Waker) -> bool {
        self.tasks.iter().any(|known| known.will_wake(waker))
    }

    /// Remembers a task. Returns others, to be woken in its stead, if there are too many: all of them, and from then on there is
    /// place for twice as many. Otherwise those that still wait would take each other's place for ever.
    pub(crate) fn remember(&mut self, waker: Waker) -> Vec<Waker> {
        let mut surplus = Vec::new();
        if self.tasks.len() >= self.max {
            surplus = self.take();
            self.max = (self.max * 2).min(READY_TASKS_MAX);
        }
        self.tasks.push(waker);
        surplus
    }

    pub(crate) fn take(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.tasks)
    }
}

const TASKS_MAX_AT_FIRST: usize = 1024;
