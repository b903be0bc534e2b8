//! What a put transaction carries.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::durability::Durability;
use crate::event::Event;
use crate::wait::Recall;

/// The content of a put transaction: events, and positions that become durable together with them.
///
/// As [`Debug`](fmt::Debug) it shows how much it holds, never what: errors that give a batch back can be printed.
///
/// All events are there from the beginning: one that an error gave back stands for a transaction of which a part may be done,
/// so that nothing can be added to it.
///
/// ```
/// use aqueduct::{Channel, MemoryChannel, PutBatch};
///
/// let channel = MemoryChannel::new("orders");
/// let mut batch: PutBatch = (1..=3).map(|number| format!("order {number}")).collect();
/// batch.set_position("orders-db", "3");
/// assert_eq!(channel.put_batch(batch)?.events, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct PutBatch {
    pub(crate) events: Vec<Event>,
    pub(crate) routes: Routes,
    pub(crate) positions: Positions,
    pub(crate) durability: Option<Durability>,
    // Set on a batch that an agent gives back, see `Resume`.
    pub(crate) resume: Option<Box<Resume>>,
    // Set by sources that wait as long as the channel does.
    pub(crate) recall: Option<Recall>,
}

/// How far an agent came with a batch that it gives back, so that another attempt goes on from there: no event passes
/// the interceptors twice, and no channel gets it twice.
#[derive(Clone, Debug)]
pub(crate) struct Resume {
    /// Stands for the source that the batch was put by; for any other, the batch is new.
    pub(crate) source: Arc<()>,
    /// Events before the interceptors.
    pub(crate) received: usize,
    /// So many events, from the first on, have passed the interceptors; all of them once the selector has chosen.
    pub(crate) intercepted: usize,
    /// Whether the selector has chosen.
    pub(crate) routed: bool,
    /// Transactions still to commit if there are several, the next one last: number and content.
    pub(crate) pending: Vec<(usize, PutBatch)>,
    /// Whether one of several transactions is committed, or the optional channels were offered theirs: what is left goes where
    /// the selector has sent it.
    pub(crate) begun: bool,
    /// What the optional channels get once all required ones have committed: number of the channel and events.
    pub(crate) optional: Vec<(usize, Vec<Event>)>,
}

/// Positions to set (or, with `None`, to clear), by owner.
pub type Positions = Vec<(String, Option<Bytes>)>;

impl PutBatch {
    /// A batch of events without positions.
    #[must_use]
    pub fn new(events: Vec<Event>) -> Self {
        Self { events, ..Self::default() }
    }

    /// Sets the position of an owner; it is committed if and only if the events are.
    pub fn set_position(&mut self, owner: impl Into<String>, position: impl Into<Bytes>) {
        set_position(&mut self.positions, owner.into(), Some(position.into()));
    }

    /// Removes the position of an owner, with the commit.
    pub fn clear_position(&mut self, owner: impl Into<String>) {
        set_position(&mut self.positions, owner.into(), None);
    }

    /// Whether there is neither event nor position.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.positions.is_empty()
    }

    /// The events.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The positions.
    #[must_use]
    pub fn positions(&self) -> &[(String, Option<Bytes>)] {
        &self.positions
    }

    /// Events and positions.
    #[must_use]
    pub fn into_parts(self) -> (Vec<Event>, Positions) {
        (self.events, self.positions)
    }

    /// A batch without positions in parts of up to `size` events, which go on where it stopped: for channels that do not take
    /// all at once.
    pub(crate) fn in_parts(mut self, size: usize) -> VecDeque<Self> {
        match self.resume.take() {
            None => Pieces::of(self).parts(size).collect(),
            Some(resume) => self.resumed_parts(*resume, size),
        }
    }

    /// The parts of a batch that was given back after its events had passed the interceptors.
    fn resumed_parts(mut self, resume: Resume, size: usize) -> VecDeque<Self> {
        let Resume { source, received, mut intercepted, pending, begun, routed, optional } = resume;
        let mut part_of = |part: &Self, begun, pending, optional| {
            let (received, source) = (part.events.len(), source.clone());
            // A panic of an interceptor may have left some that have not passed.
            let passed = intercepted.min(received);
            intercepted -= passed;
            Some(Box::new(Resume { source, received, intercepted: passed, routed: begun, pending, begun, optional }))
        };
        // Of several transactions those that are not committed yet, if each has all events; of a single one its events, if there
        // are others that it does not have, or have been offered elsewhere.
        let is_aligned = pending.iter().all(|(_, part)| part.events.len() == self.events.len());
        let has_part = pending.is_empty() && self.events.len() < received;
        if !(routed && is_aligned && (begun || has_part)) {
            // The selector chooses again, for the optional channels, too.
            self.routes = Routes::default();
            let again = |mut part: Self| {
                part.resume = part_of(&part, false, Vec::new(), Vec::new());
                part
            };
            return Pieces::of(self).parts(size).map(again).collect();
        }
        let mut pending: Vec<_> = pending.into_iter().map(|(number, whole)| (number, Pieces::of(whole))).collect();
        let go_on = |mut part: Self| {
            let share = |(number, whole): &mut (usize, Pieces)| (*number, whole.next(part.events.len()));
            let pending = pending.iter_mut().map(share).collect();
            part.resume = part_of(&part, true, pending, Vec::new());
            part
        };
        let mut parts: VecDeque<Self> = Pieces::of(self).parts(size).map(go_on).collect();
        if !optional.is_empty() {
            let mut part = Self::default();
            part.resume = part_of(&part, true, Vec::new(), optional);
            parts.push_back(part);
        }
        parts
    }

    /// How many events the source handed over, those included that interceptors have dropped since.
    pub(crate) fn received(&self) -> usize {
        self.resume.as_ref().map_or(self.events.len(), |resume| resume.received)
    }

    /// The same, as it is counted.
    pub(crate) fn received_events(&self) -> u64 {
        self.received() as u64
    }

    /// Bytes of all events, as counted against capacities.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.events.iter().map(Event::size_bytes).sum()
    }
}

/// Events of a batch, with their routes and the durability, to be taken from the front.
struct Pieces {
    events: std::vec::IntoIter<Event>,
    routes: Routes,
    durability: Option<Durability>,
}

impl Pieces {
    fn of(batch: PutBatch) -> Self {
        let PutBatch { events, routes, durability, .. } = batch;
        Self { events: events.into_iter(), routes, durability }
    }

    /// The next so many events, or as many as there are.
    fn next(&mut self, events: usize) -> PutBatch {
        let events: Vec<Event> = self.events.by_ref().take(events).collect();
        let routes = self.routes.split_front(events.len());
        PutBatch { events, routes, durability: self.durability, ..PutBatch::default() }
    }

    /// All of them, up to `size` at a time.
    fn parts(mut self, size: usize) -> impl Iterator<Item = PutBatch> {
        std::iter::from_fn(move || (self.events.len() > 0).then(|| self.next(size.max(1))))
    }
}

impl<E: Into<Event>> FromIterator<E> for PutBatch {
    fn from_iter<I: IntoIterator<Item = E>>(events: I) -> Self {
        Self::new(events.into_iter().map(Into::into).collect())
    }
}

impl From<Vec<Event>> for PutBatch {
    fn from(events: Vec<Event>) -> Self {
        Self::new(events)
    }
}

impl fmt::Debug for PutBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PutBatch")
            .field("events", &self.events.len())
            .field("bytes", &self.size_bytes())
            .field("positions", &self.positions.len())
            .finish_non_exhaustive()
    }
}

/// Sets `owner` in `positions`, replacing an earlier entry.
pub(crate) fn set_position(positions: &mut Positions, owner: String, value: Option<Bytes>) {
    match positions.iter_mut().find(|(found, _)| *found == owner) {
        Some((_, old)) => *old = value,
        None => positions.push((owner, value)),
    }
}

/// Which events of a batch go to which channels of a store: runs of neighbouring events with the same set of channels.
/// Without runs, all events go to the one channel that the transaction belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Routes {
    /// The store whose channel numbers these are; anywhere else they mean nothing.
    pub(crate) store: u64,
    /// The distinct sets, each sorted and without repetition.
    pub(crate) sets: Vec<Vec<u16>>,
    /// Index into `sets`, number of events.
    pub(crate) runs: Vec<(u32, u32)>,
}

impl Routes {
    /// Cuts off the routes of the first `events` events. Sets that none of them has are not among them: who is in a set counts
    /// as getting something.
    fn split_front(&mut self, events: usize) -> Self {
        let mut left = u32::try_from(events).unwrap_or(u32::MAX);
        let mut front = Self { store: self.store, ..Self::default() };
        let mut used: Vec<u32> = Vec::new();
        for (set, count) in &mut self.runs {
            let taken = left.min(*count);
            if taken == 0 {
                continue;
            }
            let place = used.iter().position(|known| known == set).unwrap_or_else(|| {
                used.push(*set);
                front.sets.push(self.sets.get(*set as usize).cloned().unwrap_or_default());
                used.len() - 1
            });
            front.runs.push((u32::try_from(place).unwrap_or(u32::MAX), taken));
            *count -= taken;
            left -= taken;
        }
        self.runs.retain(|(_, count)| *count > 0);
        front
    }

    /// Routes the next event to the channels `set`.
    pub(crate) fn push(&mut self, set: &[u16]) {
        if let Some((index, count)) = self.runs.last_mut()
            && self.sets.get(*index as usize).is_some_and(|last| last == set)
            && *count < u32::MAX
        {
            *count += 1;
            return;
        }
        let sorted = {
            let mut sorted = set.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            sorted
        };
        let index = self.sets.iter().position(|known| *known == sorted).unwrap_or_else(|| {
            self.sets.push(sorted);
            self.sets.len() - 1
        });
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        match self.runs.last_mut() {
            Some((last, count)) if *last == index && *count < u32::MAX => *count += 1,
            _ => self.runs.push((index, 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::TakeCommit;
    use crate::error::{FullReason, PutError};
    use crate::event::{EventPacker, Headers};
    use crate::source::PullBatch;

    #[test]
    fn batches_and_their_errors_show_how_much_they_hold_and_never_what() {
        let event = || Event::new("secret body").with_header("secret name", "secret value").unwrap();
        let mut batch = PutBatch::new(vec![event(), event()]);
        batch.set_position("secret owner", "secret position");
        let bytes = batch.size_bytes();
        assert_eq!(format!("{batch:?}"), format!("PutBatch {{ events: 2, bytes: {bytes}, positions: 1, .. }}"));
        let commit =
            TakeCommit { events: vec![event()], count: 1, positions: batch.positions.clone(), durability: None };
        let mut pulled = PullBatch::new(3);
        pulled.push(event());
        let mut packer = EventPacker::new(3);
        packer.push(Headers::new(), b"secret body");
        let (channel, reason) = ("c".to_owned(), FullReason::Events);
        let error = PutError::Full { channel, reason, batch: Box::new(batch) };
        for text in [format!("{error:?}"), format!("{commit:?}"), format!("{pulled:?}"), format!("{packer:?}")] {
            assert!(text.contains("events: ") && !text.contains("secret"), "{text}");
        }
    }

    /// Each event's channels.
    fn spread(routes: &Routes) -> Vec<Vec<u16>> {
        let run = |(set, count): &(u32, u32)| vec![routes.sets[*set as usize].clone(); *count as usize];
        routes.runs.iter().flat_map(run).collect()
    }

    #[test]
    fn pieces_keep_their_routes_and_no_set_that_is_not_theirs() {
        let sets: [&[u16]; 7] = [&[1], &[1], &[1, 2], &[3], &[1], &[3], &[1, 2]];
        for size in 1..=8 {
            let mut routes = Routes { store: 5, ..Routes::default() };
            sets.iter().for_each(|set| routes.push(set));
            let events = (0..sets.len()).map(|number| Event::new(number.to_string())).collect();
            let batch = PutBatch { events, routes, ..PutBatch::default() };
            let mut at = 0;
            for part in batch.in_parts(size) {
                assert!(part.events.len() <= size && part.routes.store == 5);
                let expected = &sets[at..at + part.events.len()];
                assert_eq!(spread(&part.routes), expected);
                assert!(part.routes.sets.iter().all(|set| expected.contains(&&set[..])));
                assert_eq!(part.events[0].body(), at.to_string().as_str());
                at += part.events.len();
            }
            assert_eq!(at, sets.len());
        }
        assert!(PutBatch::default().in_parts(3).is_empty());
    }
}
