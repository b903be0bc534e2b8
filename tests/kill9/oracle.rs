//! What must be in the store, judged by what the children said.

use std::collections::{BTreeMap, BTreeSet};

use aqueduct::store::FileStore;
use aqueduct::testing::Random;
use aqueduct::{Channel, TakeTransaction, Wait};

use crate::plan::{self, Plan};

/// A put whose commit has begun and, as far as is known, not returned.
#[derive(Clone, Debug)]
struct Flying {
    first: u64,
    count: u64,
    bits: u64,
    /// Some of its events were taken: it was visible, so it happened.
    seen: bool,
}

/// A take whose commit has begun and not returned.
#[derive(Clone, Debug)]
struct Taking {
    number: u64,
    ids: Vec<u64>,
}

#[derive(Clone, Debug, Default)]
struct ChannelModel {
    /// Events that were put, or may have been, and whose take has not returned.
    events: BTreeSet<u64>,
    taking: Option<Taking>,
    position: Option<String>,
}

#[derive(Clone, Debug, Default)]
struct PutterModel {
    flying: Vec<Flying>,
    /// The last put that is known to have happened, and the position that it set.
    last: u64,
    position: Option<String>,
}

impl PutterModel {
    fn happened(&mut self, first: u64) {
        if first >= self.last {
            self.last = first;
            self.position = plan::put_position(first);
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Counts {
    puts: u64,
    takes: u64,
    happened: u64,
    lost: u64,
    checks: u64,
    events: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Oracle {
    channels: Vec<ChannelModel>,
    putters: Vec<PutterModel>,
    counts: Counts,
    /// An open has returned: from then on there is a store.
    pub(crate) opened: bool,
}

impl Oracle {
    pub(crate) fn new(plan: &Plan) -> Self {
        let channels = (0..plan.channels).map(|_| ChannelModel::default()).collect();
        let putters = (0..plan.putters).map(|_| PutterModel::default()).collect();
        Self { channels, putters, counts: Counts::default(), opened: false }
    }

    pub(crate) fn summary(&self) -> String {
        let Counts { puts, takes, happened, lost, checks, events } = &self.counts;
        format!(
            "{puts} puts and {takes} takes had returned, of those that had not {happened} happened and {lost} did not; \
             {checks} checks of {events} events"
        )
    }

    /// Takes in a line of a child.
    pub(crate) fn hear(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split(' ');
        let kind = words.next().unwrap_or_default();
        if kind == "bad" {
            return Err(line.to_owned());
        }
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
        match kind {
            "put" => {
                let (Some(first), Some(count), Some(bits)) = (number(), number(), number()) else { return Ok(()) };
                for (_, channel) in selected(&mut self.channels, bits) {
                    channel.events.extend(first..first + count);
                }
                self.putter(first).flying.push(Flying { first, count, bits, seen: false });
            }
            "ok" => {
                let first = number().ok_or("a line without a number")?;
                let putter = self.putter(first);
                putter.flying.retain(|flying| flying.first != first);
                putter.happened(first);
                self.counts.puts += 1;
            }
            "no" => {
                let first = number().ok_or("a line without a number")?;
                let putter = self.putter(first);
                let at = putter.flying.iter().position(|flying| flying.first == first).ok_or("an unknown put")?;
                let flying = putter.flying.remove(at);
                self.forget(&flying);
            }
            "take" => {
                let (Some(channel), Some(take)) = (number(), number()) else { return Ok(()) };
                let ids = words.next().unwrap_or_default().split(',').filter_map(|id| id.parse().ok()).collect();
                self.taking(index(channel), Taking { number: take, ids })?;
            }
            "taken" => {
                let channel = &mut self.channels[index(number().ok_or("a line without a number")?)];
                let taking = channel.taking.take().ok_or("a take that never began")?;
                taking.ids.iter().for_each(|id| {
                    channel.events.remove(id);
                });
                channel.position = plan::take_position(taking.number);
                self.counts.takes += 1;
            }
            "open" => self.opened = true,
            // The commit returned that nothing was taken.
            "back" => self.channels[index(number().ok_or("a line without a number")?)].taking = None,
            _ => {}
        }
        Ok(())
    }

    fn putter(&mut self, first: u64) -> &mut PutterModel {
        &mut self.putters[index(first >> 48)]
    }

    fn forget(&mut self, flying: &Flying) {
        for (_, channel) in selected(&mut self.channels, flying.bits) {
            (flying.first..flying.first + flying.count).for_each(|id| {
                channel.events.remove(&id);
            });
        }
    }

    /// A commit of a take begins: its events must be the oldest of their putters.
    fn taking(&mut self, channel: usize, taking: Taking) -> Result<(), String> {
        // What an earlier life has left open, without a look at the store between them, shows now.
        let model = &mut self.channels[channel];
        if let Some(earlier) = model.taking.take()
            && !taking.ids.iter().any(|id| earlier.ids.contains(id))
        {
            earlier.ids.iter().for_each(|id| {
                model.events.remove(id);
            });
            model.position = plan::take_position(earlier.number);
        }
        for (putter, ids) in by_putter(&taking.ids) {
            let range = putter << 48..(putter + 1) << 48;
            loop {
                let oldest: Vec<u64> =
                    self.channels[channel].events.range(range.clone()).copied().take(ids.len()).collect();
                if oldest == ids {
                    break;
                }
                let first = ids.iter().zip(&oldest).find(|(taken, old)| taken != old).map_or(0, |(_, old)| *old);
                let flying = &mut self.putters[index(putter)].flying;
                let skipped = flying.iter().position(|put| {
                    !put.seen
                        && life(put.first) < life(taking.number)
                        && (put.first..put.first + put.count).contains(&first)
                });
                let Some(skipped) = skipped else {
                    let (ids, oldest) = (hex(&ids), hex(&oldest));
                    return Err(format!("channel {channel}: a take got {ids} where the oldest events were {oldest}"));
                };
                let skipped = flying.remove(skipped);
                self.counts.lost += 1;
                self.forget(&skipped);
            }
        }
        for id in &taking.ids {
            for flying in &mut self.putters[index(id >> 48)].flying {
                flying.seen |= (flying.first..flying.first + flying.count).contains(id);
            }
        }
        self.channels[channel].taking = Some(taking);
        Ok(())
    }

    /// Compares the store with what must be there. What may go either way is settled by what is found.
    pub(crate) fn check(&mut self, store: &FileStore, random: &mut Random) -> Result<(), String> {
        self.counts.checks += 1;
        let mut found = Vec::new();
        let mut takes = Vec::new();
        for number in 0..self.channels.len() {
            let (ids, open) = read(store, number)?;
            self.counts.events += ids.len() as u64;
            found.push(ids);
            takes.push(open);
        }
        let sets: Vec<BTreeSet<u64>> = found.iter().map(|ids| ids.iter().copied().collect()).collect();
        self.settle_puts(store, &sets)?;
        for (number, ids) in found.iter().enumerate() {
            self.settle_take(store, number, &sets[number])?;
            for (putter, ids) in by_putter(ids) {
                if !ids.is_sorted_by(|a, b| a < b) {
                    return Err(format!("channel {number}: putter {putter}'s events are out of order: {}", hex(&ids)));
                }
            }
            let expected = &self.channels[number].events;
            let lost: Vec<u64> = expected.difference(&sets[number]).copied().collect();
            let extra: Vec<u64> = sets[number].difference(expected).copied().collect();
            if !lost.is_empty() || !extra.is_empty() {
                let (lost, extra) = (hex(&lost), hex(&extra));
                return Err(format!("channel {number}: lost {lost}; never put, or taken before: {extra}"));
            }
        }
        let drain = random.one_in(4) || found.iter().any(|ids| ids.len() > 3000);
        for (number, open) in takes.into_iter().enumerate() {
            for take in open {
                if drain {
                    take.commit().map_err(|error| format!("take: {error}"))?;
                } else {
                    take.rollback();
                }
            }
            if drain {
                self.channels[number].events.clear();
            }
            let channel = store.channel(&Plan::channel(number)).map_err(|error| error.to_string())?;
            let stats = channel.stats();
            let depth = self.channels[number].events.len() as u64;
            if (stats.depth_events, stats.in_flight_events) != (depth, 0) {
                return Err(format!("channel {number}: {depth} events and statistics of {stats:?}"));
            }
        }
        Ok(())
    }

    /// Puts that had not returned are there as a whole or not at all, and no later one of a putter without an earlier one.
    fn settle_puts(&mut self, store: &FileStore, found: &[BTreeSet<u64>]) -> Result<(), String> {
        for putter in 0..self.putters.len() {
            let flying = std::mem::take(&mut self.putters[putter].flying);
            let mut unknown = Vec::new();
            let mut ended = None;
            for put in flying {
                let mut wanted = 0;
                let mut there = 0;
                for (number, channel) in selected(&mut self.channels, put.bits) {
                    let taking = channel.taking.as_ref().map_or(&[][..], |taking| &taking.ids);
                    for id in put.first..put.first + put.count {
                        // Events that were taken, or may have been, tell nothing more.
                        if channel.events.contains(&id) && !taking.contains(&id) {
                            wanted += 1;
                            there += u64::from(found[number].contains(&id));
                        }
                    }
                }
                let first = put.first;
                if there != 0 && there != wanted {
                    return Err(format!("put {first:x}: {there} of {wanted} events are there"));
                }
                let happened = put.seen || there > 0;
                if put.seen && there != wanted {
                    return Err(format!("put {first:x} was visible and is not there"));
                }
                if happened && ended == Some(life(first)) {
                    return Err(format!("put {first:x} is there and an earlier one is not"));
                }
                if happened {
                    self.putters[putter].happened(first);
                    self.counts.happened += 1;
                } else if put.count == 0 {
                    unknown.push(first);
                } else {
                    ended = Some(life(first));
                    self.counts.lost += 1;
                    self.forget(&put);
                }
            }
            let model = &mut self.putters[putter];
            let later = unknown.into_iter().filter(|first| *first > model.last).map(plan::put_position);
            let allowed: BTreeSet<_> = later.chain([model.position.clone()]).collect();
            let position = position(store, &format!("put{putter}"))?;
            if !allowed.contains(&position) {
                return Err(format!("the position of putter {putter} is {position:?}, not one of {allowed:?}"));
            }
            model.position = position;
        }
        Ok(())
    }

    /// A take that had not returned happened as a whole or not at all, with its position.
    fn settle_take(&mut self, store: &FileStore, number: usize, found: &BTreeSet<u64>) -> Result<(), String> {
        let channel = &mut self.channels[number];
        if let Some(Taking { number: take, ids }) = channel.taking.take() {
            let there = ids.iter().filter(|id| found.contains(id)).count();
            if there != 0 && there != ids.len() {
                return Err(format!("channel {number}: of the take {} {there} events are back", hex(&ids)));
            }
            if there == 0 {
                self.counts.happened += 1;
                channel.position = plan::take_position(take);
                ids.iter().for_each(|id| {
                    channel.events.remove(id);
                });
            } else {
                self.counts.lost += 1;
            }
        }
        let position = position(store, &format!("take{number}"))?;
        if position != channel.position {
            let expected = &channel.position;
            return Err(format!("the position of taker {number} is {position:?} instead of {expected:?}"));
        }
        Ok(())
    }
}

/// All events of a channel, in order, in takes that are still open.
fn read(store: &FileStore, number: usize) -> Result<(Vec<u64>, Vec<TakeTransaction>), String> {
    let channel = store.channel(&Plan::channel(number)).map_err(|error| error.to_string())?;
    let (mut ids, mut open, mut bytes) = (Vec::new(), Vec::new(), 0);
    loop {
        let take = channel.take(97, Wait::NONE).map_err(|error| format!("channel {number}: {error}"))?;
        if take.is_empty() {
            break;
        }
        for event in &take {
            bytes += event.size_bytes();
            ids.push(plan::identify(event)?);
        }
        open.push(take);
    }
    let stats = channel.stats();
    let events = ids.len() as u64;
    if (stats.depth_events, stats.in_flight_events, stats.depth_bytes, stats.lost_events) != (events, events, bytes, 0)
    {
        return Err(format!("channel {number}: {events} events of {bytes} bytes and statistics of {stats:?}"));
    }
    Ok((ids, open))
}

fn position(store: &FileStore, owner: &str) -> Result<Option<String>, String> {
    let channel = store.channel(&Plan::channel(0)).map_err(|error| error.to_string())?;
    Ok(channel.position(owner).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

fn selected(channels: &mut [ChannelModel], bits: u64) -> impl Iterator<Item = (usize, &mut ChannelModel)> {
    channels.iter_mut().enumerate().filter(move |(number, _)| bits >> number & 1 == 1)
}

/// In which life a put or take was made.
fn life(first: u64) -> u64 {
    first >> 24 & 0xff_ffff
}

fn by_putter(ids: &[u64]) -> BTreeMap<u64, Vec<u64>> {
    let mut map: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    ids.iter().for_each(|id| map.entry(id >> 48).or_default().push(*id));
    map
}

fn hex(ids: &[u64]) -> String {
    let shown: Vec<String> = ids.iter().take(12).map(|id| format!("{id:x}")).collect();
    let more = ids.len().saturating_sub(shown.len());
    format!("[{}{}]", shown.join(" "), if more > 0 { format!(" and {more} more") } else { String::new() })
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("a small number")
}
