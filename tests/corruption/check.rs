//! Opens a damaged store and compares what comes out with what may.

use std::collections::{BTreeMap, BTreeSet};

use aqueduct::store::OnCorruption;
use aqueduct::vfs::sim::SimVfs;
use aqueduct::{Channel, Event, FileStore, Wait};

use crate::damage::Damage;
use crate::harm::Harm;
use crate::image::{Content, Image, Key, builder};
use crate::layout::Kind;
use crate::look;
use crate::memory;

/// How a case went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// Everything is there.
    Whole,
    /// The end of a log was taken for unfinished, as the promises allow.
    Cut,
    /// The open refused.
    Refused,
    /// A take failed.
    TakeFailed,
    /// Something is lost, and was reported.
    Salvaged,
}

pub(crate) type Result<T> = std::result::Result<T, String>;

/// Damages a copy of the store, opens it, and says how it went. `Err`: a promise was broken.
pub(crate) fn check(image: &Image, damage: &Damage, policy: OnCorruption) -> Result<Outcome> {
    let disk = image.disk.snapshot();
    damage.apply(&disk);
    let harm = Harm::of(image, damage, &disk);
    look::agrees_with_an_open(image, &disk, policy)?;
    match policy {
        OnCorruption::Salvage => salvage(image, &harm, &disk),
        _ => fail(image, &harm, &disk),
    }
}

/// Opens an undamaged copy, in which all must be there and nothing else.
pub(crate) fn is_whole(image: &Image) -> Result<()> {
    for policy in [OnCorruption::Fail, OnCorruption::Salvage] {
        let disk = image.disk.snapshot();
        let store =
            builder(&disk, image.lanes, 1000).on_corruption(policy).open().map_err(|error| error.to_string())?;
        let found = Found::in_store(image, &store, &[])?;
        if found.content != image.whole() || !found.failures.is_empty() || found.early != found.real {
            return Err(format!("found {found:?}, expected {:?}", image.whole()));
        }
        found.agrees()?;
        goes_on(image, &disk, store, &found)?;
    }
    Ok(())
}

/// Nothing may be missing without an error.
fn fail(image: &Image, harm: &Harm, disk: &SimVfs) -> Result<Outcome> {
    let before = bytes_of(disk);
    let store = match memory::open(builder(disk, image.lanes, 1000), disk)? {
        Ok(store) => store,
        Err(error) => {
            let text = error.to_string();
            if !harm.may_refuse {
                return Err(format!("the open refuses without a reason: {text}"));
            }
            if bytes_of(disk) != before {
                return Err(format!("the open refuses ({text}) and changes files"));
            }
            return if harm.is_named_in(&text) {
                Ok(Outcome::Refused)
            } else {
                Err(format!("the error of the open does not name the place: {text}"))
            };
        }
    };
    if let Some(lane) = store.recovery_report().lanes.iter().find(|lane| !lane.damage.is_empty()) {
        return Err(format!("the store is open although {:?}", lane.damage));
    }
    let candidates = [
        image.whole(),
        image.without(|frame| harm.may_be_cut(frame)),
        image.without(|frame| harm.may_be_cut(frame) && !frame.copied),
    ];
    let found = Found::in_store(image, &store, &[])?;
    if let Some(text) = found.failures.first() {
        if !harm.may_refuse || harm.touches_nothing() {
            return Err(format!("a take fails without a reason: {text}"));
        }
        if let Some(text) = found.failures.iter().find(|text| !harm.is_named_in(text)) {
            return Err(format!("the error of the take does not name the place: {text}"));
        }
        let fits = |content: &Content| {
            found.content.waiting.iter().all(|(name, keys)| is_part_of(keys, &content.waiting[name]))
        };
        if candidates.iter().any(fits) {
            return Ok(Outcome::TakeFailed);
        }
        return Err(format!("besides what failed there is {:?}", found.content));
    }
    let Some(at) = candidates.iter().position(|content| *content == found.content) else {
        let [whole, cut, _] = candidates;
        let cut = if harm.may_cut() { format!(" or {cut:?}") } else { String::new() };
        return Err(format!("found {:?}, expected {whole:?}{cut}", found.content));
    };
    found.agrees()?;
    goes_on(image, disk, store, &found)?;
    Ok(if at == 0 { Outcome::Whole } else { Outcome::Cut })
}

/// What is not touched must be there, and what is lost must be told, once.
fn salvage(image: &Image, harm: &Harm, disk: &SimVfs) -> Result<Outcome> {
    let salvaging = builder(disk, image.lanes, 1000).on_corruption(OnCorruption::Salvage);
    let store = match memory::open(salvaging, disk)? {
        Ok(store) => store,
        Err(error) if harm.may_refuse_salvage && harm.is_named_in(&error.to_string()) => return Ok(Outcome::Refused),
        Err(error) => return Err(format!("the open fails: {error}")),
    };
    let found = Found::in_store(image, &store, &[])?;
    if let Some(text) = found.failures.first() {
        return Err(format!("a take fails: {text}"));
    }
    for (name, keys) in &found.content.waiting {
        let least = image.waiting_in(name, &|frame| harm.is_touched(frame) || harm.may_be_cut(frame), true);
        let most = |frame: &crate::layout::Frame| {
            harm.is_touched(frame) || (frame.kind != Kind::Put && harm.may_be_cut(frame))
        };
        let most = image.waiting_in(name, &most, false);
        if !is_part_of(&least, keys) || !is_part_of(keys, &most) {
            return Err(format!("{name} has {keys:?}, expected {least:?} at least, {most:?} at most"));
        }
    }
    positions_fit(image, harm, &found)?;
    found.agrees()?;
    losses_are_told(image, harm, &store, &found)?;
    let left = disk.snapshot();
    drop(store);
    for policy in [OnCorruption::Salvage, OnCorruption::Fail] {
        let disk = left.snapshot();
        let again = builder(&disk, image.lanes, 2000).on_corruption(policy).open();
        let again = again.map_err(|error| format!("the second open ({policy:?}) fails: {error}"))?;
        let damage: Vec<_> = again.recovery_report().lanes.iter().flat_map(|lane| &lane.damage).collect();
        if !damage.is_empty() {
            return Err(format!("the second open ({policy:?}) reports {damage:?} again"));
        }
        let second = Found::in_store(image, &again, &[])?;
        second.agrees().map_err(|error| format!("the second open ({policy:?}): {error}"))?;
        let quiet = second.lost.values().sum::<u64>() == 0 && second.damaged_bytes == 0;
        if second.content != found.content || !second.failures.is_empty() || !quiet || second.early != second.late {
            return Err(format!("after {:?} the second open ({policy:?}) finds {second:?}", found.content));
        }
        if policy == OnCorruption::Fail {
            goes_on(image, &disk, again, &second)?;
        }
    }
    let cut = image.without(|frame| harm.may_be_cut(frame));
    Ok(if found.content == image.whole() {
        Outcome::Whole
    } else if harm.may_cut() && found.content == cut {
        Outcome::Cut
    } else {
        Outcome::Salvaged
    })
}

/// An owner's position is the newest one, or an older one if the record of a newer one is gone.
fn positions_fit(image: &Image, harm: &Harm, found: &Found) -> Result<()> {
    let whole = image.whole().positions;
    for (owner, values) in &image.positions {
        let now = found.content.positions.get(owner);
        let mut frames = image.layout.frames.iter();
        let shaken = frames.any(|frame| {
            (harm.is_touched(frame) || harm.may_be_cut(frame))
                && (frame.kind == Kind::Begin || frame.positions.iter().any(|(name, _)| name == owner))
        });
        let known = now.is_none_or(|now| values.contains(&Some(now.clone())));
        if !known || (!shaken && now != whole.get(owner)) {
            return Err(format!("the position of {owner} is {now:?}"));
        }
    }
    Ok(())
}

/// The numbers of what is lost are right, as far as something is left that knows them.
fn losses_are_told(image: &Image, harm: &Harm, store: &FileStore, found: &Found) -> Result<()> {
    let damage: Vec<_> = store.recovery_report().lanes.iter().flat_map(|lane| &lane.damage).collect();
    let whole = image.whole();
    let mut all = 0;
    for (name, keys) in &found.content.waiting {
        let keys: BTreeSet<Key> = keys.iter().copied().collect();
        let lost = whole.waiting[name].iter().filter(|key| !keys.contains(key)).count() as u64;
        let told = found.lost[name];
        if told > lost || (told < lost && !harm.may_cut() && harm.losses_are_counted(image)) {
            return Err(format!("{name} has lost {lost} events and tells of {told}; {damage:?}"));
        }
        all += lost;
    }
    if harm.may_cut() {
        return Ok(());
    }
    if all > 0 && damage.is_empty() && found.damaged_bytes == 0 {
        return Err(format!("{all} events are lost and nothing is reported"));
    }
    let lost = harm.lost_events(image).len() as u64;
    let told: u64 = damage.iter().filter_map(|damage| damage.events).sum();
    let exact = image.layout.channels.len() == 1;
    let complete = !damage.is_empty() && damage.iter().all(|damage| damage.events.is_some());
    if (complete && told < lost) || (exact && (told > lost || (complete && told != lost))) {
        return Err(format!("{lost} events are lost, and the report tells of {damage:?}"));
    }
    Ok(())
}

/// New events come and stay, whatever was lost before.
fn goes_on(image: &Image, disk: &SimVfs, store: FileStore, found: &Found) -> Result<()> {
    let mut new = Vec::new();
    for number in 0..3_u64 {
        for name in store.channel_names() {
            let event = Event::new(format!("new {number} in {name}"));
            let channel = store.channel(&name).map_err(|error| error.to_string())?;
            channel.put(event.clone()).map_err(|error| format!("a put after the damage: {error}"))?;
            new.push((image.name_of(&name), event));
        }
    }
    let left = disk.snapshot();
    drop(store);
    let store = builder(&left, image.lanes, 3000).open().map_err(|error| format!("an open after new puts: {error}"))?;
    let now = Found::in_store(image, &store, &new)?;
    let mut expected = found.content.clone();
    for (number, (name, _)) in (0..).zip(&new) {
        expected.waiting.entry(name.clone()).or_default().push((NEW, number));
    }
    if now.failures.is_empty() && now.content == expected {
        now.agrees()
    } else {
        Err(format!("after new puts there is {now:?}, expected {expected:?}"))
    }
}

/// What comes out of a store.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) content: Content,
    pub(crate) failures: Vec<String>,
    /// Events and bytes in each channel: what it says before anything is read, what it says after, what there is.
    pub(crate) early: BTreeMap<String, (u64, u64)>,
    late: BTreeMap<String, (u64, u64)>,
    real: BTreeMap<String, (u64, u64)>,
    lost: BTreeMap<String, u64>,
    damaged_bytes: u64,
}

impl Found {
    /// Reads all that a store holds and leaves it there.
    pub(crate) fn in_store(image: &Image, store: &FileStore, new: &[(String, Event)]) -> Result<Self> {
        let mut found = Self {
            content: Content::default(),
            failures: Vec::new(),
            early: BTreeMap::new(),
            late: BTreeMap::new(),
            real: BTreeMap::new(),
            lost: BTreeMap::new(),
            damaged_bytes: 0,
        };
        for name in store.channel_names() {
            let channel = store.channel(&name).map_err(|error| error.to_string())?;
            let name = image.name_of(&name);
            let said = channel.stats();
            found.early.insert(name.clone(), (said.depth_events, said.depth_bytes));
            let mut takes = Vec::new();
            for max in [1, 3, 1000].into_iter().chain(std::iter::repeat(1000)) {
                match channel.take(max, Wait::NONE) {
                    Ok(take) if take.is_empty() => break,
                    Ok(take) => takes.push(take),
                    Err(error) => {
                        found.failures.push(error.to_string());
                        break;
                    }
                }
            }
            let mut keys = Vec::new();
            let mut bytes = 0;
            for event in takes.iter().flatten() {
                let fresh = new.iter().position(|(to, new)| *to == name && new == event);
                keys.push(match fresh {
                    Some(number) => (NEW, number as u64),
                    None => image.key_of(&name, event)?,
                });
                bytes += event.size_bytes();
            }
            let distinct: BTreeSet<_> = keys.iter().collect();
            if distinct.len() != keys.len() {
                return Err(format!("{name} has events twice: {keys:?}"));
            }
            drop(takes);
            let said = channel.stats();
            found.late.insert(name.clone(), (said.depth_events, said.depth_bytes));
            found.real.insert(name.clone(), (keys.len() as u64, bytes));
            found.lost.insert(name.clone(), said.lost_events);
            found
                .content
                .positions
                .extend(channel.positions("").into_iter().map(|(owner, value)| (owner, value.to_vec())));
            found.content.waiting.insert(name, keys);
        }
        found.damaged_bytes = store.stats().lanes.iter().map(|lane| lane.damaged_bytes).sum();
        Ok(found)
    }

    /// What the statistics say is what there is.
    fn agrees(&self) -> Result<()> {
        if self.late == self.real {
            return Ok(());
        }
        Err(format!("there are {:?}, the statistics say {:?}", self.real, self.late))
    }
}

/// Whether all of `part` is in `whole`, in the same order.
fn is_part_of(part: &[Key], whole: &[Key]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|key| rest.any(|other| other == key))
}

pub(crate) fn bytes_of(disk: &SimVfs) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let files = disk.files().into_iter();
    let mut all: Vec<_> = files.map(|path| (path.clone(), disk.peek(&path).expect("a file"))).collect();
    all.retain(|(path, _)| path.file_name().is_none_or(|name| name != "lock"));
    all
}

/// Lane of the events that are put after the damage.
const NEW: u16 = u16::MAX;
