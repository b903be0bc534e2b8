//! Whether a history is one that a channel may have. Each rule is looked for by what breaks it ("bad patterns"), in time
//! n log n, instead of by a search for an order that would explain everything.
//!
//! * No event is fabricated: it was put, by a transaction that may have happened and had begun before the take returned.
//! * A transaction happened as a whole or not at all.
//! * No event is lost: at the end of the history, when the channel is drained, each one that was put is gone by a commit.
//! * No event comes twice: between two takes of it stands a rollback, or a crash.
//! * FIFO, and with it the order of each producer: while an event is surely in the channel, no take that began and ended
//!   meanwhile gets one that was submitted after it.
//! * While any event is surely in the channel, no take comes back empty.
//!
//! An event is surely in the channel from the moment its put (a rollback, a reopening) returned until the next take that got it
//! was begun. Takes that a rollback overlaps are thereby judged by what is certain of them only.

use std::collections::{BTreeMap, HashMap};

use crate::record::{History, Id, Outcome, Put, Span, Take};

/// What is wrong; empty if nothing is.
pub(crate) fn check(history: &History) -> Vec<String> {
    let mut known: HashMap<Id, (usize, usize)> = HashMap::new();
    for (number, put) in history.puts.iter().enumerate() {
        for (place, id) in put.ids.iter().enumerate() {
            assert!(known.insert(*id, (number, place)).is_none(), "the recorder used {} twice", name(*id));
        }
    }
    let mut cut: HashMap<Id, Vec<&Take>> = HashMap::new();
    let mut gone: HashMap<Id, u64> = HashMap::new();
    for take in &history.cut {
        take.ids.iter().for_each(|id| cut.entry(*id).or_default().push(take));
        for id in may_be_gone(take) {
            let end = gone.entry(*id).or_default();
            *end = take.span.end.max(*end);
        }
    }
    let mut checker = Checker { history, known, cut, gone, lives: BTreeMap::new(), wrong: Vec::new() };
    checker.collect();
    checker.fabricated_or_torn();
    checker.duplicated();
    checker.lost();
    checker.order_within_takes();
    checker.order_and_emptiness();
    checker.wrong
}

struct Checker<'a> {
    history: &'a History,
    /// Transaction and place in it.
    known: HashMap<Id, (usize, usize)>,
    /// The takes that got an event, and its place in them, in the order in which they returned.
    lives: BTreeMap<Id, Vec<(usize, usize)>>,
    /// The takes that had got an event when a crash cut them off.
    cut: HashMap<Id, Vec<&'a Take>>,
    /// When the last take returned that may have been committed before a crash cut it off.
    gone: HashMap<Id, u64>,
    wrong: Vec<String>,
}

/// How an event left a take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Gone,
    Back(Span),
    Either,
    /// The take was open when the store crashed, or when the history ended.
    Open,
}

impl Checker<'_> {
    fn collect(&mut self) {
        for (number, take) in self.history.takes.iter().enumerate() {
            for (place, id) in take.ids.iter().enumerate() {
                self.lives.entry(*id).or_default().push((number, place));
            }
        }
        for takes in self.lives.values_mut() {
            takes.sort_by_key(|(number, _)| self.history.takes[*number].span.end);
        }
    }

    fn put(&self, id: Id) -> Option<(&Put, usize)> {
        self.known.get(&id).map(|(number, place)| (&self.history.puts[*number], *place))
    }

    fn left(take: &Take, place: usize) -> Left {
        match take.finish {
            None => Left::Open,
            Some(finish) if place >= finish.count || finish.outcome == Outcome::Not => Left::Back(finish.span),
            Some(finish) if finish.outcome == Outcome::Done => Left::Gone,
            Some(_) => Left::Either,
        }
    }

    /// The reopening after the first crash that was not over at `tick`.
    fn reopened(&self, tick: u64) -> Option<u64> {
        self.history.crashes.iter().find(|crash| crash.span.end > tick).map(|crash| crash.reopened)
    }

    fn fabricated_or_torn(&mut self) {
        let mut wrong = Vec::new();
        for (id, takes) in &self.lives {
            let first = &self.history.takes[takes[0].0];
            match self.put(*id) {
                None => wrong.push(format!("fabricated: {} was never put", name(*id))),
                Some((put, _)) if put.outcome == Outcome::Not => {
                    wrong.push(format!("fabricated: {} comes from a put that was refused", name(*id)));
                }
                Some((put, _)) if put.span.begin > first.span.end => {
                    wrong.push(format!("fabricated: {} was taken before it was put", name(*id)));
                }
                Some(_) => {}
            }
        }
        for put in self.history.puts.iter().filter(|put| put.outcome == Outcome::Unknown) {
            let seen = put.ids.iter().filter(|id| self.lives.contains_key(id)).count();
            let missing = put.ids.iter().any(|id| !self.lives.contains_key(id) && !self.gone.contains_key(id));
            if seen > 0 && missing {
                wrong.push(format!("torn: {seen} of the {} events of a put with {}", put.ids.len(), name(put.ids[0])));
            }
        }
        let cut = self.history.cut.iter();
        for (take, cut) in self.history.takes.iter().map(|take| (take, false)).chain(cut.map(|take| (take, true))) {
            let Some(finish) = take.finish.filter(|finish| finish.outcome == Outcome::Unknown) else { continue };
            // What a take got while the store crashed may have been put too late for the crash to leave it.
            let counts = |id: &&Id| !cut || self.put(**id).is_some_and(|(put, _)| put.outcome == Outcome::Done);
            let ids: Vec<&Id> = take.ids[..finish.count].iter().filter(counts).collect();
            let again = |id: &&&Id| {
                let last = self.lives.get(**id).and_then(|takes| takes.last());
                last.is_some_and(|(last, _)| self.history.takes[*last].span.begin > finish.span.begin)
            };
            let seen = ids.iter().filter(again).count();
            if seen > 0 && seen < ids.len() {
                wrong.push(format!("torn: {seen} of {} events of a take with {} came again", ids.len(), name(*ids[0])));
            }
        }
        self.wrong.extend(wrong);
    }

    fn duplicated(&mut self) {
        let mut wrong = Vec::new();
        for (id, takes) in &self.lives {
            for pair in takes.windows(2) {
                let (before, next) = (&self.history.takes[pair[0].0], &self.history.takes[pair[1].0]);
                let again = match Self::left(before, pair[0].1) {
                    Left::Gone => false,
                    Left::Back(span) => span.begin < next.span.end,
                    Left::Either | Left::Open => {
                        self.reopened(before.span.end).is_some_and(|reopened| reopened < next.span.end)
                    }
                };
                if !again {
                    wrong.push(format!("duplicated: {} came to {:?} and to {:?}", name(*id), before.span, next.span));
                }
            }
        }
        self.wrong.extend(wrong);
    }

    fn lost(&mut self) {
        let mut wrong = Vec::new();
        for put in self.history.puts.iter().filter(|put| put.outcome == Outcome::Done) {
            for id in put.ids.iter().filter(|id| !self.lives.contains_key(id) && !self.gone.contains_key(id)) {
                wrong.push(format!("lost: {} was put in {:?} and never came", name(*id), put.span));
            }
        }
        for (id, takes) in &self.lives {
            let (number, place) = takes[takes.len() - 1];
            if let Left::Back(_) | Left::Open = Self::left(&self.history.takes[number], place)
                && !self.gone_after(*id, self.history.takes[number].span.end)
            {
                wrong.push(format!("lost: {} went back into the channel and never came again", name(*id)));
            }
        }
        self.wrong.extend(wrong);
    }

    /// Whether a take that returned after `tick` may have been the end of an event, unless it came again.
    fn gone_after(&self, id: Id, tick: u64) -> bool {
        self.gone.get(&id).is_some_and(|end| *end > tick)
    }

    fn order_within_takes(&mut self) {
        let mut wrong = Vec::new();
        for take in &self.history.takes {
            // From the back: nothing behind an event may have been put wholly before it, nor by the same producer.
            let mut earliest: Option<(u64, Id)> = None;
            let mut of_producers: HashMap<u64, (u64, Id)> = HashMap::new();
            let mut places: HashMap<usize, usize> = HashMap::new();
            for id in take.ids.iter().rev() {
                let Some((number, place)) = self.known.get(id).copied() else { continue };
                let put = &self.history.puts[number];
                let of_same = of_producers.get(&(id >> 32)).copied();
                for (end, other) in earliest.into_iter().chain(of_same).filter(|(end, _)| *end < put.span.begin) {
                    wrong.push(format!("order: {} stands before {}, put by {end}", name(*id), name(other)));
                }
                if places.insert(number, place).is_some_and(|behind| behind <= place) {
                    wrong.push(format!("order: {} stands before an earlier event of its transaction", name(*id)));
                }
                if earliest.is_none_or(|(end, _)| put.span.end < end) {
                    earliest = Some((put.span.end, *id));
                }
                if of_same.is_none_or(|(end, _)| put.submitted < end) {
                    of_producers.insert(id >> 32, (put.submitted, *id));
                }
            }
        }
        self.wrong.extend(wrong);
    }

    /// When an event was surely in the channel: after the first tick and before the second.
    fn stays(&self, id: Id) -> Vec<(u64, u64)> {
        let Some((put, _)) = self.put(id) else { return Vec::new() };
        let takes = self.lives.get(&id).map_or(&[][..], Vec::as_slice);
        let begin_of =
            |index: usize| takes.get(index).map_or(u64::MAX, |(number, _)| self.history.takes[*number].span.begin);
        let mut stays = Vec::new();
        if put.outcome == Outcome::Done {
            stays.push((put.span.end, begin_of(0)));
        }
        for (index, (number, place)) in takes.iter().enumerate() {
            let take = &self.history.takes[*number];
            let from = match Self::left(take, *place) {
                Left::Back(span) => Some(span.end),
                Left::Open => self.reopened(take.span.end),
                Left::Gone | Left::Either => None,
            };
            stays.extend(from.map(|from| (from, begin_of(index + 1))));
        }
        for take in self.cut.get(&id).into_iter().flatten() {
            let came_again = takes.iter().any(|(number, _)| self.history.takes[*number].span.end > take.span.end);
            let may_be_back = came_again || !may_be_gone(take).contains(&id);
            let back = self.reopened(take.span.begin).filter(|_| may_be_back).unwrap_or(u64::MAX);
            // It had the event from its begin on, for all that is known, until the store was open again.
            let split = |(from, upto): (u64, u64)| {
                if from < back && upto > take.span.begin {
                    [(from, upto.min(take.span.begin)), (from.max(back), upto)]
                } else {
                    [(from, upto), (0, 0)]
                }
            };
            stays = stays.into_iter().flat_map(split).collect();
        }
        stays.retain(|(from, upto)| from < upto);
        stays
    }

    fn order_and_emptiness(&mut self) {
        let mut stays: Vec<Stay> = Vec::new();
        for (id, (number, _)) in &self.known {
            let end = self.history.puts[*number].submitted;
            stays.extend(self.stays(*id).into_iter().map(|(from, upto)| Stay { from, upto, put: end, id: *id }));
        }
        stays.sort_by_key(|stay| (stay.from, stay.id));
        let mut bounds: Vec<u64> = stays.iter().map(|stay| stay.upto).collect();
        bounds.sort_unstable();
        bounds.dedup();
        let mut takes: Vec<&Take> = self.history.takes.iter().collect();
        takes.sort_by_key(|take| take.span.begin);
        let mut tree = Earliest::new(bounds.len());
        let mut rest = stays.iter().peekable();
        for take in takes {
            while let Some(stay) = rest.next_if(|stay| stay.from < take.span.begin) {
                let place = bounds.partition_point(|bound| *bound < stay.upto);
                tree.lower(place, (stay.put, stay.id));
            }
            let from = bounds.partition_point(|bound| *bound <= take.span.end);
            // The event that was put first among those that were there all the time.
            let Some((put_by, id)) = tree.earliest_from(from) else { continue };
            if take.ids.is_empty() {
                self.wrong.push(format!(
                    "empty: a take in {:?} found nothing although {} was there",
                    take.span,
                    name(id)
                ));
                continue;
            }
            let latest = take.ids.iter().filter_map(|id| Some((self.put(*id)?.0.span.begin, *id))).max();
            if let Some((begin, other)) = latest.filter(|(begin, _)| *begin > put_by) {
                self.wrong.push(format!(
                    "order: a take in {:?} got {}, put after {begin}, although {} was there, put by {put_by}",
                    take.span,
                    name(other),
                    name(id)
                ));
            }
        }
        self.order_within_puts();
    }

    /// As above, for events of one transaction.
    fn order_within_puts(&mut self) {
        let mut wrong = Vec::new();
        for put in &self.history.puts {
            for (place, id) in put.ids.iter().enumerate() {
                let Some(takes) = self.lives.get(id) else { continue };
                for earlier in &put.ids[..place] {
                    let stays = self.stays(*earlier);
                    for (number, _) in takes {
                        let take = &self.history.takes[*number];
                        let there = |(from, upto): &(u64, u64)| *from < take.span.begin && take.span.end < *upto;
                        if stays.iter().any(there) {
                            wrong.push(format!("order: {} came although {} was there", name(*id), name(*earlier)));
                        }
                    }
                }
            }
        }
        self.wrong.extend(wrong);
    }
}

/// The events that a take which a crash cut off had perhaps committed before.
fn may_be_gone(take: &Take) -> &[Id] {
    let finish = take.finish.filter(|finish| finish.outcome != Outcome::Not);
    &take.ids[..finish.map_or(0, |finish| finish.count)]
}

struct Stay {
    from: u64,
    upto: u64,
    put: u64,
    id: Id,
}

/// The smallest of the values at or behind a place; values only become smaller.
struct Earliest {
    leaves: usize,
    nodes: Vec<Option<(u64, Id)>>,
}

impl Earliest {
    fn new(places: usize) -> Self {
        let leaves = places.next_power_of_two();
        Self { leaves, nodes: vec![None; leaves * 2] }
    }

    fn lower(&mut self, place: usize, value: (u64, Id)) {
        let mut node = place + self.leaves;
        while node > 0 && self.nodes[node].is_none_or(|known| value < known) {
            self.nodes[node] = Some(value);
            node /= 2;
        }
    }

    fn earliest_from(&self, place: usize) -> Option<(u64, Id)> {
        if place >= self.leaves {
            return None;
        }
        let mut node = place + self.leaves;
        let mut found = self.nodes[node];
        while node > 1 {
            if node.is_multiple_of(2) {
                found = [found, self.nodes[node + 1]].into_iter().flatten().min();
            }
            node /= 2;
        }
        found
    }
}

fn name(id: Id) -> String {
    format!("{}/{}", id >> 32, id & 0xffff_ffff)
}
