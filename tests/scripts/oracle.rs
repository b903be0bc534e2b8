//! What may be there: the transactions of a workload, and every content of the store that the promises allow.

use std::collections::{BTreeMap, HashSet};

use aqueduct::{Channel, Event, FileStore, TakeTransaction, Wait};

/// Number of an event; events are numbered in the order of the commits of their puts.
pub(crate) type Key = u32;

/// The content of a store, as its users see it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// Waiting events by channel, in order.
    pub(crate) channels: BTreeMap<String, Vec<Key>>,
    pub(crate) positions: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Channel(String),
    Put(Vec<(String, Vec<Key>)>),
    Take(String, Vec<Key>),
}

/// A transaction that happened, or may have.
#[derive(Clone, Debug)]
pub(crate) struct Tx {
    pub(crate) what: What,
    pub(crate) positions: Vec<(String, Option<Vec<u8>>)>,
    /// Its commit returned `Ok`.
    pub(crate) acked: bool,
    /// Survives a power cut.
    pub(crate) durable: bool,
    /// Where its record is, if known.
    pub(crate) lane: Option<u16>,
}

/// All that a workload did since the last recovery, on top of what was there then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Oracle {
    pub(crate) base: State,
    pub(crate) txs: Vec<Tx>,
    /// All events that were ever to be put.
    pub(crate) events: Vec<Event>,
    pub(crate) lanes: u16,
    /// The power was cut and no recovery has shown yet what is left.
    pub(crate) unsettled: bool,
}

impl State {
    pub(crate) fn apply(&mut self, tx: &Tx) {
        match &tx.what {
            What::Channel(name) => {
                self.channels.entry(name.clone()).or_default();
            }
            What::Put(shares) => {
                for (channel, keys) in shares {
                    self.channels.entry(channel.clone()).or_default().extend(keys);
                }
            }
            What::Take(channel, keys) => {
                let waiting = self.channels.entry(channel.clone()).or_default();
                waiting.retain(|key| !keys.contains(key));
            }
        }
        for (owner, value) in &tx.positions {
            match value {
                Some(value) => self.positions.insert(owner.clone(), value.clone()),
                None => self.positions.remove(owner),
            };
        }
    }
}

impl Oracle {
    /// Makes a new event that no other one is equal to.
    pub(crate) fn event(&mut self, bytes: usize) -> (Key, Event) {
        let key = Key::try_from(self.events.len()).expect("few events");
        let mut body = key.to_le_bytes().to_vec();
        body.extend((0..bytes).map(|i| u8::try_from((i * 7 + key as usize * 13) % 251).expect("below 251")));
        let mut event = Event::new(body);
        if key % 3 == 0 {
            event = event.with_header("n", &key.to_string()).expect("a small header");
        }
        self.events.push(event.clone());
        (key, event)
    }

    /// The number of an event, if it is byte for byte one of ours.
    pub(crate) fn key_of(&self, event: &Event) -> Result<Key, String> {
        let key = event.body().first_chunk::<4>().map(|bytes| Key::from_le_bytes(*bytes));
        let known = key.filter(|key| self.events.get(*key as usize) == Some(event));
        known.ok_or_else(|| format!("an event came that was never put: {event:?}"))
    }

    /// What was acknowledged of the changes in `lane` so far survives from now on.
    pub(crate) fn make_durable(&mut self, lane: Option<u16>) {
        for tx in self.txs.iter_mut().filter(|tx| tx.acked && (lane.is_none() || tx.lane == lane)) {
            tx.durable = true;
        }
    }

    /// A recovery has decided what happened.
    pub(crate) fn settle(&mut self, state: State) {
        self.base = state;
        self.txs.clear();
        self.unsettled = false;
    }

    /// Every content that may be found after the process was killed (`power`: after a power cut).
    pub(crate) fn candidates(&self, power: bool) -> HashSet<State> {
        let mut found = HashSet::new();
        self.any_candidate(power, |state| {
            found.insert(state);
            false
        });
        found
    }

    /// Whether a content is one of the [`candidates`](Self::candidates).
    pub(crate) fn allows(&self, power: bool, state: &State) -> bool {
        self.any_candidate(power, |candidate| candidate == *state)
    }

    /// Acknowledged transactions are there; of those that a weaker level left unsynced, a power cut may take an end of
    /// each lane. A transaction in doubt is there or not, as a whole; not if its lane lost anything before it.
    fn any_candidate(&self, power: bool, mut found: impl FnMut(State) -> bool) -> bool {
        let power = power || self.unsettled;
        let weak: Vec<usize> = (0..self.txs.len()).filter(|i| self.txs[*i].acked && !self.txs[*i].durable).collect();
        let doubtful: Vec<usize> = (0..self.txs.len()).filter(|i| !self.txs[*i].acked).collect();
        assert!(doubtful.len() <= 10, "too many transactions in doubt to try all outcomes");
        let lanes = [0, 1].map(|lane| weak.iter().copied().filter(|i| self.txs[*i].lane == Some(lane)).collect());
        let [first, second]: [Vec<usize>; 2] = lanes;
        assert_eq!(first.len() + second.len(), weak.len(), "a weak transaction without a lane");
        let kept_at_least = |lane: &[usize]| if power { 0 } else { lane.len() };
        for a in kept_at_least(&first)..=first.len() {
            for b in kept_at_least(&second)..=second.len() {
                for mask in 0..1_u32 << doubtful.len() {
                    let cut_short = a < first.len() && (self.lanes == 1 || b < second.len());
                    // Channels are in no lane.
                    let needs_all = |(bit, i): (usize, &usize)| {
                        mask & (1 << bit) != 0 && !matches!(self.txs[*i].what, What::Channel(_))
                    };
                    if cut_short && doubtful.iter().enumerate().any(needs_all) {
                        continue;
                    }
                    let mut state = self.base.clone();
                    for (i, tx) in self.txs.iter().enumerate() {
                        let lost = first[a..].contains(&i) || second[b..].contains(&i);
                        let undone = doubtful.iter().position(|d| *d == i).is_some_and(|bit| mask & (1 << bit) == 0);
                        if !lost && !undone {
                            state.apply(tx);
                        }
                    }
                    if found(state) {
                        return true;
                    }
                }
            }
        }
        false
    }

    /// Reads all that a store holds, leaves it as it was, and checks its statistics against it.
    pub(crate) fn observe(&self, store: &FileStore) -> Result<State, String> {
        let mut state = State::default();
        for name in store.channel_names() {
            let channel = store.channel(&name).map_err(|error| format!("channel {name}: {error}"))?;
            let takes = take_all(&channel)?;
            let mut keys = Vec::new();
            let mut bytes = 0;
            for event in takes.iter().flatten() {
                keys.push(self.key_of(event)?);
                bytes += event.size_bytes();
            }
            let said = channel.stats();
            if (said.depth_events, said.depth_bytes, said.lost_events) != (keys.len() as u64, bytes, 0) {
                return Err(format!("{name} has {} events and {bytes} bytes, but says {said:?}", keys.len()));
            }
            if said.in_flight_events != said.depth_events {
                return Err(format!("all events of {name} are taken, but {said:?}"));
            }
            drop(takes);
            if channel.stats().in_flight_events != 0 {
                return Err(format!("all takes of {name} are rolled back, but {:?}", channel.stats()));
            }
            for (owner, value) in channel.positions("") {
                state.positions.insert(owner, value.to_vec());
            }
            state.channels.insert(name, keys);
        }
        Ok(state)
    }
}

/// Takes everything, in small and large bites.
pub(crate) fn take_all(channel: &impl Channel) -> Result<Vec<TakeTransaction>, String> {
    let mut takes = Vec::new();
    for max in [1, 3, 1000].into_iter().chain(std::iter::repeat(1000)) {
        let take = channel.take(max, Wait::NONE).map_err(|error| format!("take: {error}"))?;
        if take.is_empty() {
            break;
        }
        takes.push(take);
    }
    Ok(takes)
}
