//! The stores that are damaged: small ones that have every kind of record and file among them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use aqueduct::vfs::sim::{SavedFile, SimVfs};
use aqueduct::{Channel, Event, EventId, FileStore, TakeTransaction, Wait};

use crate::image::{Image, Key, Known, builder};
use crate::layout::Layout;

/// All of them.
pub(crate) fn all() -> Vec<Image> {
    vec![fan(false), fan(true), rotated(), recycled(), reopened(), untouched(), lanes(false), lanes(true), parked()]
}

/// Several channels in one record, takes that leave gaps, positions, checkpoints; three segments.
fn fan(clean: bool) -> Image {
    let mut store = Script::new(1, 1);
    store.channels(&["a", "b", "c"]);
    store.put(&[(&["a", "b"], 2), (&["b"], 1), (&["a", "c"], 1)], 30, Some(("source", Some("one"))));
    store.put(&[(&["a"], 1)], 0, None);
    store.take("b", 1, 1, Some(("sink", "first")));
    store.age("after the first take");
    store.put(&[(&["a", "b", "c"], 3)], 200, Some(("source", Some("two"))));
    store.maintain();
    store.take("a", 0, 2, None);
    store.put(&[(&["c"], 2), (&["a"], 1)], 500, Some(("other", Some("x"))));
    store.age("with a checkpoint");
    store.take("c", 2, 2, Some(("sink", "second")));
    store.put(&[(&["b"], 3)], 400, Some(("other", None)));
    store.maintain();
    store.put(&[(&["a", "b"], 1)], 60, Some(("source", Some("three"))));
    store.take("a", 1, 1, None);
    store.put(&[(&["c"], 1)], 10, None);
    store.put(&[(&["a"], 1)], 10, None);
    store.end(if clean { "fan-out, closed" } else { "fan-out" }, clean)
}

/// A backlog over many segments in one channel, and an acknowledgement in each.
fn rotated() -> Image {
    let mut store = Script::new(1, 2);
    store.channels(&["a"]);
    for number in 0..7 {
        store.put(&[(&["a"], 3)], 330, Some(("source", Some(&number.to_string()))));
        store.take("a", 1, 1, None);
        store.put(&[(&["a"], 1)], 20, None);
        if number == 3 {
            store.age("half-way");
        }
    }
    store.end("rotated", false)
}

/// Files that were used before: behind the end of the log stand whole records of an earlier use.
fn recycled() -> Image {
    let mut store = Script::new(1, 3);
    store.channels(&["a"]);
    for round in 0..9 {
        store.put(&[(&["a"], 3)], 420, None);
        store.take("a", 0, 3, Some(("sink", &round.to_string())));
        store.maintain();
        if round == 6 {
            store.age("two rounds ago");
        }
    }
    store.put(&[(&["a"], 2)], 100, None);
    store.put(&[(&["a"], 2)], 100, None);
    store.end("recycled", false)
}

/// Lives one after the other, some of them ended by a kill.
fn reopened() -> Image {
    let mut store = Script::new(1, 4);
    store.channels(&["a", "b"]);
    store.put(&[(&["a"], 2), (&["a", "b"], 1)], 100, Some(("source", Some("1"))));
    store.put(&[(&["b"], 2)], 300, None);
    store.reopen(false);
    store.age("second life");
    store.put(&[(&["a"], 2)], 100, Some(("source", Some("2"))));
    store.take("a", 0, 3, None);
    store.reopen(true);
    store.put(&[(&["b"], 2)], 100, None);
    store.take("b", 1, 2, Some(("sink", "1")));
    store.reopen(false);
    store.put(&[(&["a", "b"], 1)], 10, None);
    store.put(&[(&["a"], 1)], 10, None);
    store.end("reopened", false)
}

/// The newest segment was begun by an open, and nothing came since.
fn untouched() -> Image {
    let mut store = Script::new(1, 5);
    store.channels(&["a"]);
    store.put(&[(&["a"], 3)], 500, Some(("source", Some("1"))));
    store.put(&[(&["a"], 3)], 500, None);
    store.take("a", 0, 1, None);
    store.reopen(false);
    store.end(SMALLEST, false)
}

/// Two lanes; the acknowledgements are in the first one's log.
fn lanes(clean: bool) -> Image {
    let mut store = Script::new(2, 6);
    store.channels(&["a", "b"]);
    for number in 0..10 {
        let to: &[&str] = if number % 3 == 0 { &["a", "b"] } else { &["a"] };
        store.put(&[(to, 2)], 40 * number, Some(("source", Some(&number.to_string()))));
        if number % 4 == 1 {
            store.take("a", 1, 2, Some(("sink", &number.to_string())));
        }
        if number == 6 {
            store.maintain();
            store.age("after the seventh");
        }
    }
    store.take("b", 0, 1, None);
    store.put(&[(&["b"], 1)], 1, None);
    store.put(&[(&["b"], 1)], 1, None);
    store.put(&[(&["a"], 1)], 1, None);
    store.end(if clean { "two lanes, closed" } else { "two lanes" }, clean)
}

/// One event waits while the segments behind it are filled, emptied and freed.
fn parked() -> Image {
    let mut store = Script::new(1, 7);
    store.channels(&["parked", "busy"]);
    store.put(&[(&["parked"], 1)], 50, None);
    for _ in 0..6 {
        store.put(&[(&["busy"], 3)], 400, None);
        store.take("busy", 0, 3, None);
        store.maintain();
    }
    store.age("before the last channel");
    store.channels(&["late"]);
    store.put(&[(&["busy"], 1)], 300, None);
    store.put(&[(&["late", "busy"], 2)], 300, None);
    store.put(&[(&["late"], 2)], 300, None);
    store.end("parked", false)
}

/// A process that works on a store.
struct Script {
    disk: SimVfs,
    lanes: u16,
    // Seeds of the opens: stores of the same seed would have the same name.
    lives: u64,
    store: Option<FileStore>,
    numbers: u32,
    events: BTreeMap<Key, Known>,
    acked: BTreeSet<(String, Key)>,
    positions: BTreeMap<String, Vec<Option<Vec<u8>>>>,
    older: Vec<(PathBuf, &'static str, SavedFile)>,
}

impl Script {
    fn new(lanes: u16, seed: u64) -> Self {
        let mut script = Self {
            disk: SimVfs::new(),
            lanes,
            lives: seed * 100,
            store: None,
            numbers: 0,
            events: BTreeMap::new(),
            acked: BTreeSet::new(),
            positions: BTreeMap::new(),
            older: Vec::new(),
        };
        script.open();
        script
    }

    fn open(&mut self) {
        self.lives += 1;
        self.store = Some(builder(&self.disk, self.lanes, self.lives).open().expect("a healthy store opens"));
    }

    fn store(&self) -> &FileStore {
        self.store.as_ref().expect("it is open")
    }

    fn channels(&mut self, names: &[&str]) {
        names.iter().for_each(|name| drop(self.store().channel(name).expect("a channel")));
    }

    fn put(&mut self, shares: &[(&[&str], u32)], bytes: usize, position: Option<(&str, Option<&str>)>) {
        let store = self.store().clone();
        let mut put = store.begin_put();
        let mut known = Vec::new();
        for (names, count) in shares {
            let channels: Vec<_> = names.iter().map(|name| store.channel(name).expect("a channel")).collect();
            for _ in 0..*count {
                self.numbers += 1;
                let mut body = self.numbers.to_le_bytes().to_vec();
                body.extend(
                    (0..bytes).map(|at| u8::try_from((at * 31 + self.numbers as usize * 7) % 253).expect("a byte")),
                );
                let mut event = Event::new(body);
                if self.numbers.is_multiple_of(2) {
                    event = event.with_header("number", &self.numbers.to_string()).expect("a small header");
                }
                put.push_to(&channels.iter().collect::<Vec<_>>(), event.clone());
                known.push(Known { event, channels: names.iter().map(|name| (*name).to_owned()).collect() });
            }
        }
        if let Some((owner, value)) = position {
            match value {
                Some(value) => put.set_position(owner, value.to_owned()),
                None => put.clear_position(owner),
            }
            self.moved(owner, value);
        }
        let EventId { lane, seq } = put.commit().expect("a put").first.expect("it has events");
        for (known, seq) in known.into_iter().zip(seq..) {
            assert!(self.events.insert((lane, seq), known).is_none(), "sequence numbers are used once");
        }
    }

    fn moved(&mut self, owner: &str, value: Option<&str>) {
        let value = value.map(|value| value.as_bytes().to_vec());
        self.positions.entry(owner.to_owned()).or_default().push(value);
    }

    /// Takes `count` events behind the first `skip`, which stay.
    fn take(&mut self, channel: &str, skip: usize, count: usize, position: Option<(&str, &str)>) {
        let handle = self.store().channel(channel).expect("a channel");
        let skipped = if skip > 0 { handle.take(skip, Wait::NONE).expect("a take") } else { TakeTransaction::empty() };
        let mut take = handle.take(count, Wait::NONE).expect("a take");
        assert_eq!((skipped.len(), take.len()), (skip, count), "the script knows what waits in {channel}");
        for at in 0..take.len() {
            let id = take.id(at).expect("its number");
            self.acked.insert((channel.to_owned(), (id.lane, id.seq)));
        }
        if let Some((owner, value)) = position {
            take.set_position(owner, value.to_owned());
            self.moved(owner, Some(value));
        }
        take.commit().expect("its commit");
        skipped.rollback();
    }

    fn maintain(&mut self) {
        self.store().maintain();
    }

    fn reopen(&mut self, clean: bool) {
        self.leave(clean);
        self.open();
    }

    fn leave(&mut self, clean: bool) {
        let store = self.store.take().expect("it is open");
        if clean {
            store.close().expect("a close");
        }
        let left = self.disk.snapshot();
        drop(store);
        self.disk = left;
    }

    /// Keeps all files as they are now.
    fn age(&mut self, when: &'static str) {
        for path in self.disk.files() {
            let saved = self.disk.save(&path).expect("a file");
            self.older.push((path, when, saved));
        }
    }

    fn end(mut self, name: &'static str, clean: bool) -> Image {
        self.leave(clean);
        let Self { disk, lanes, events, acked, positions, older, .. } = self;
        let layout = Layout::read(&disk);
        Image { name, disk, layout, lanes, events, acked, positions, older }
    }
}

/// The one with the fewest records.
pub(crate) const SMALLEST: &str = "untouched since the open";
