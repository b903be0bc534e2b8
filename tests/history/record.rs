//! What was called, when, and what came back.

use std::sync::atomic::{AtomicU64, Ordering};

/// The number of an event: its producer's in the upper half, a running number in the lower. Never used twice in a history.
pub(crate) type Id = u64;

/// The order of calls and returns, by all threads.
#[derive(Debug, Default)]
pub(crate) struct Ticks(AtomicU64);

impl Ticks {
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// What is known of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// It happened not at all.
    Not,
    /// As a whole or not at all.
    Unknown,
}

/// A call, from its begin to its return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) begin: u64,
    pub(crate) end: u64,
}

/// A put transaction.
#[derive(Clone, Debug)]
pub(crate) struct Put {
    pub(crate) span: Span,
    /// The channel had accepted it: whatever was put later comes later, if both are there.
    pub(crate) submitted: u64,
    pub(crate) ids: Vec<Id>,
    pub(crate) outcome: Outcome,
}

/// How a take ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finish {
    pub(crate) span: Span,
    /// So many events, from the first on, were to be gone; the others went back.
    pub(crate) count: usize,
    pub(crate) outcome: Outcome,
}

/// A take transaction. Without events it found none.
#[derive(Clone, Debug)]
pub(crate) struct Take {
    pub(crate) span: Span,
    pub(crate) ids: Vec<Id>,
    /// `None`: it was open when the history ended, or at the crash.
    pub(crate) finish: Option<Finish>,
}

/// The end of a life, with or without a close.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crash {
    /// What the next life finds is what there was at some moment of this span.
    pub(crate) span: Span,
    /// The channel was open again.
    pub(crate) reopened: u64,
}

/// All that happened to one channel, over all lives of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) puts: Vec<Put>,
    pub(crate) takes: Vec<Take>,
    /// Takes that were under way at the crash: what they got is known, and that it may have been gone by the crash, if they were
    /// finished in time. Nothing else is asked of them.
    pub(crate) cut: Vec<Take>,
    pub(crate) crashes: Vec<Crash>,
}

impl History {
    pub(crate) fn calls(&self) -> usize {
        self.puts.len() + self.takes.iter().map(|take| 1 + usize::from(take.finish.is_some())).sum::<usize>()
    }

    /// Adds what the threads of one life recorded. Nothing that began after `crash` happened in the history that the next life
    /// goes on with, and of what had not returned before, nobody knows whether it did.
    pub(crate) fn add_life(&mut self, puts: Vec<Put>, takes: Vec<Take>, crash: Option<Span>) {
        let Span { begin, end } = crash.unwrap_or(Span { begin: u64::MAX, end: u64::MAX });
        for mut put in puts.into_iter().filter(|put| put.span.begin < end) {
            if put.span.end > begin && put.outcome != Outcome::Not {
                put.outcome = Outcome::Unknown;
            }
            self.puts.push(put);
        }
        for mut take in takes.into_iter().filter(|take| take.span.begin < end) {
            take.finish = match take.finish {
                Some(finish) if finish.span.begin > end => None,
                Some(finish) if finish.span.end > begin && finish.outcome == Outcome::Done => {
                    Some(Finish { outcome: Outcome::Unknown, ..finish })
                }
                finish => finish,
            };
            if take.span.end > begin { self.cut.push(take) } else { self.takes.push(take) }
        }
    }
}
