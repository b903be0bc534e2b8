//! What a damage does to the records of a store, and what may be missing because of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use aqueduct::vfs::sim::SimVfs;

use crate::damage::Damage;
use crate::image::{Image, Key};
use crate::layout::{Frame, HEADER_USED, Kind};

#[derive(Debug)]
pub(crate) struct Harm {
    /// Files whose bytes are other ones now.
    files: BTreeSet<PathBuf>,
    // Places of frames that are not as they were.
    touched: BTreeSet<(u16, u32, u64)>,
    // For each lane, where its log may end without a word: nothing that is left knows that more was durable.
    cut: BTreeMap<u16, (u32, u64)>,
    /// There is a reason to refuse the open, or a take.
    pub(crate) may_refuse: bool,
    /// There is a reason to refuse even what may go on without what is lost.
    pub(crate) may_refuse_salvage: bool,
}

impl Harm {
    pub(crate) fn of(image: &Image, damage: &Damage, disk: &SimVfs) -> Self {
        let mut harm = Self {
            files: BTreeSet::new(),
            touched: BTreeSet::new(),
            cut: BTreeMap::new(),
            may_refuse: false,
            may_refuse_salvage: damage.is_foreign(),
        };
        let names: BTreeSet<PathBuf> = image.disk.files().into_iter().chain(disk.files()).collect();
        for path in names {
            let (old, new) = (image.disk.peek(&path).ok(), disk.peek(&path).ok());
            if old != new {
                harm.look_at(image, &path, &old.unwrap_or_default(), &new.unwrap_or_default());
                harm.files.insert(path);
            }
        }
        harm.may_refuse |= harm.may_refuse_salvage;
        for lane in 0..image.lanes {
            let known = harm.known_durable(image, lane);
            let mut own = image.layout.frames.iter().filter(|frame| frame.lane == lane);
            let unknown = own.find(|frame| harm.is_touched(frame) && frame.place() >= known);
            if let Some(first) = unknown.map(Frame::place) {
                harm.cut.insert(lane, first);
            }
        }
        harm
    }

    fn look_at(&mut self, image: &Image, path: &Path, old: &[u8], new: &[u8]) {
        let same = |begin: u64, end: u64| {
            let range = index(begin)..index(end);
            old.get(range.clone()).is_some_and(|old| new.get(range) == Some(old))
        };
        let headless = new.len() < 512 || !same(0, HEADER_USED);
        let mut touched = false;
        for frame in image.layout.frames.iter().filter(|frame| frame.path == path) {
            if headless || !same(frame.bytes.start, frame.bytes.end) {
                self.touched.insert((frame.lane, frame.segment, frame.bytes.start));
                touched = true;
            }
        }
        if path.file_name().is_some_and(|name| name == "manifest" || name == "lane") {
            (self.may_refuse, self.may_refuse_salvage) = (true, true);
        }
        let is_segment = path.extension().is_some_and(|extension| extension == "seg");
        // A segment of another length says that bytes are gone, if not which.
        self.may_refuse |= is_segment && (headless || touched || old.len() != new.len());
    }

    /// How far the log of a lane was durable, as far as what is left can tell.
    fn known_durable(&self, image: &Image, lane: u16) -> (u32, u64) {
        let frames = image.layout.frames.iter().filter(|frame| frame.lane == lane && !self.is_touched(frame));
        let checkpoints = image.layout.checkpoints.iter();
        let checkpoints = checkpoints.filter(|(of, _, path)| *of == lane && !self.files.contains(path));
        let marks = frames.map(|frame| frame.durable).chain(checkpoints.map(|(_, place, _)| *place));
        marks.max().unwrap_or_default()
    }

    pub(crate) fn is_touched(&self, frame: &Frame) -> bool {
        self.touched.contains(&(frame.lane, frame.segment, frame.bytes.start))
    }

    pub(crate) fn touches_nothing(&self) -> bool {
        self.touched.is_empty()
    }

    /// Whether the log may end before this frame, without a word.
    pub(crate) fn may_be_cut(&self, frame: &Frame) -> bool {
        self.cut.get(&frame.lane).is_some_and(|from| frame.place() >= *from)
    }

    pub(crate) fn may_cut(&self) -> bool {
        !self.cut.is_empty()
    }

    /// Whether an error names what was damaged.
    pub(crate) fn is_named_in(&self, text: &str) -> bool {
        // Small files and whole directories are told by the directory.
        let names = |path: &Path| text.contains(&*path.to_string_lossy());
        let place = text.contains("offset") || text.contains("part of the store") || text.contains("not among those");
        let marks = self.files.iter().any(|path| path.file_name().is_some_and(|name| name == "lane"));
        place && (marks || self.files.iter().any(|path| names(path) || path.parent().is_some_and(names)))
    }

    /// The touched events that waited in some channel, each once.
    pub(crate) fn lost_events(&self, image: &Image) -> BTreeSet<Key> {
        let mut lost = BTreeSet::new();
        for channel in image.layout.channels.keys() {
            let all = image.waiting_in(channel, &|_| false, true);
            let left: BTreeSet<Key> =
                image.waiting_in(channel, &|frame| self.is_touched(frame), true).into_iter().collect();
            lost.extend(all.into_iter().filter(|key| !left.contains(key)));
        }
        lost
    }

    /// Whether every lost event is still counted by a later record that is whole.
    pub(crate) fn losses_are_counted(&self, image: &Image) -> bool {
        let frames = &image.layout.frames;
        let counts = |frame: &Frame| {
            let begin =
                |later: &&Frame| later.kind == Kind::Begin && later.lane == frame.lane && !self.is_touched(later);
            let by_begin = frames.iter().filter(begin).any(|later| later.place() > frame.place());
            let mut checkpoints = image.layout.checkpoints.iter();
            by_begin
                || checkpoints.any(|(lane, place, path)| {
                    *lane == frame.lane && *place > frame.place() && !self.files.contains(path)
                })
        };
        frames.iter().filter(|frame| frame.kind == Kind::Put && self.is_touched(frame)).all(counts)
    }
}

fn index(at: u64) -> usize {
    usize::try_from(at).expect("small files")
}
