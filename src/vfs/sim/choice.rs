//! Which of the unsynced changes a crash lets through.

use std::fmt;
use std::str::FromStr;

use super::change::UnsyncedKind;
use super::rng::SplitMix;

/// What kind of crash, on what kind of file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CrashMode {
    /// The process is killed, the system goes on: everything that returned survives, and is as unsynced as before.
    Kill,
    /// Power loss on a journaling file system: the changes of each directory survive as a prefix.
    Journaled,
    /// Power loss on whatever POSIX allows: any subset of the changes of directories survives; a rename is atomic.
    Posix,
    /// As `Posix`, and the sectors of a lost write may hold garbage instead of what was there.
    Garbage,
}

impl CrashMode {
    /// All modes.
    pub const ALL: [Self; 4] = [Self::Kill, Self::Journaled, Self::Posix, Self::Garbage];

    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Journaled => "journaled",
            Self::Posix => "posix",
            Self::Garbage => "garbage",
        }
    }
}

/// The unit that a disk writes as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Sector {
    /// 512 bytes.
    #[default]
    Bytes512,
    /// 4096 bytes.
    Bytes4096,
}

impl Sector {
    /// Its length in bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        match self {
            Self::Bytes512 => 512,
            Self::Bytes4096 => 4096,
        }
    }
}

/// What becomes of one unsynced change. Sectors are those of the file that a write touches, counted from its first one.
/// Changes of names are lost or kept; anything but `Lost` keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fate {
    /// Nothing of it survives.
    Lost,
    /// All of it survives.
    Kept,
    /// Of a write the first sectors survive; a length goes that many sectors of the way.
    Head(u32),
    /// Of a write all but the first sectors survive; a length survives.
    Tail(u32),
    /// Of a write those sectors survive whose bit is set (bit `n` stands for the sectors `n`, `n + 64`, ...); a length
    /// survives.
    Sectors(u64),
    /// The length becomes this, or what comes closest between the old and the new one; a write survives.
    Length(u64),
}

/// Which unsynced changes survive a crash. Positions are those of [`SimVfs::unsynced`](super::SimVfs::unsynced).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Survive {
    /// None.
    Nothing,
    /// All.
    All,
    /// The first ones.
    Prefix(usize),
    /// All before this one, and the first half of it.
    Torn(usize),
    /// All but this one.
    AllBut(usize),
    /// Only this one.
    Only(usize),
    /// Only changes of directory entries: files are empty or old.
    Names,
    /// Directory entries and lengths: new bytes read as zeros.
    Metadata,
    /// Only written bytes.
    Data,
    /// Directory entries and written bytes: files have their old lengths.
    NoLengths,
    /// Written bytes and lengths.
    NoNames,
    /// What this seed decides, for each change alone: lost, kept, or torn.
    Random(u64),
    /// One decision for each change; changes beyond the end of the list are lost.
    Mask(Vec<Fate>),
}

/// One way in which a crash can end, see [`SimVfs::crash`](super::SimVfs::crash).
///
/// Its text form holds all of it, so a failing test can print it and a later run can replay it:
///
/// ```
/// # fn main() -> Result<(), aqueduct::vfs::sim::ParseChoiceError> {
/// use aqueduct::vfs::sim::{CrashChoice, CrashMode, Fate, Sector, Survive};
///
/// let choice = CrashChoice::new(CrashMode::Posix, Survive::Mask(vec![Fate::Kept, Fate::Head(1), Fate::Lost]))
///     .sector(Sector::Bytes4096);
/// assert_eq!(choice.to_string(), "posix/4096/0/mask:k,h1,l");
/// assert_eq!("posix/4096/0/mask:k,h1,l".parse::<CrashChoice>()?, choice);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CrashChoice {
    pub(super) mode: CrashMode,
    pub(super) survive: Survive,
    pub(super) sector: Sector,
    pub(super) garbage: u64,
}

impl CrashChoice {
    /// A crash with sectors of 512 bytes and garbage seed 0.
    #[must_use]
    pub fn new(mode: CrashMode, survive: Survive) -> Self {
        Self { mode, survive, sector: Sector::default(), garbage: 0 }
    }

    /// Changes the sector size.
    #[must_use]
    pub fn sector(mut self, sector: Sector) -> Self {
        self.sector = sector;
        self
    }

    /// Changes the seed of the garbage that [`CrashMode::Garbage`] puts into lost sectors.
    #[must_use]
    pub fn garbage(mut self, seed: u64) -> Self {
        self.garbage = seed;
        self
    }
}

/// The classic crashes of one moment, see [`SimVfs::crash_choices`](super::SimVfs::crash_choices).
#[derive(Clone, Debug)]
pub struct CrashChoices {
    kinds: Vec<UnsyncedKind>,
    mode: CrashMode,
    random: u64,
    seed: SplitMix,
    stage: usize,
    step: usize,
}

impl CrashChoices {
    pub(super) fn new(kinds: Vec<UnsyncedKind>, mode: CrashMode, random: u64, seed: u64) -> Self {
        Self { kinds, mode, random, seed: SplitMix::new(seed), stage: 0, step: 0 }
    }

    /// The choice at the current step of the current stage, if the stage goes that far.
    fn candidate(&mut self) -> Option<Survive> {
        let (n, step) = (self.kinds.len(), self.step);
        let wholes = [
            Survive::Nothing,
            Survive::All,
            Survive::Names,
            Survive::Metadata,
            Survive::Data,
            Survive::NoLengths,
            Survive::NoNames,
        ];
        match self.stage {
            0 if self.mode == CrashMode::Kill => (step == 0).then_some(Survive::All),
            _ if self.mode == CrashMode::Kill => None,
            0 if n == 0 => (step == 0).then_some(Survive::Nothing),
            _ if n == 0 => None,
            0 => wholes.get(step).cloned(),
            // The prefixes of length 0 and n are `Nothing` and `All`.
            1 => (step + 1 < n).then_some(Survive::Prefix(step + 1)),
            2 => (step < n).then_some(Survive::Torn(step)),
            3 => (step < n).then_some(Survive::AllBut(step)),
            4 => (step < n).then_some(Survive::Only(step)),
            _ => ((step as u64) < self.random).then(|| Survive::Random(self.seed.next_u64())),
        }
    }

    /// Whether the choice only repeats another one.
    fn repeats(&self, survive: &Survive) -> bool {
        let is_name = |at: &usize| self.kinds.get(*at).is_some_and(|kind| kind.is_name());
        match survive {
            Survive::Torn(at) => is_name(at),
            // In a journal a hole among the names is a prefix.
            Survive::AllBut(at) => self.mode == CrashMode::Journaled && is_name(at),
            _ => false,
        }
    }
}

impl Iterator for CrashChoices {
    type Item = CrashChoice;

    fn next(&mut self) -> Option<CrashChoice> {
        while self.stage <= 5 {
            let Some(survive) = self.candidate() else {
                self.stage += 1;
                self.step = 0;
                continue;
            };
            self.step += 1;
            if self.repeats(&survive) {
                continue;
            }
            let mut choice = CrashChoice::new(self.mode, survive);
            if matches!(choice.survive, Survive::Random(_)) && self.step.is_multiple_of(2) {
                choice.sector = Sector::Bytes4096;
            }
            if self.mode == CrashMode::Garbage {
                choice.garbage = self.seed.next_u64();
            }
            return Some(choice);
        }
        None
    }
}

/// A text that is not a [`CrashChoice`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a crash choice: {text:?}; expected mode/sector/garbage/survivors, such as posix/512/0/prefix:3")]
pub struct ParseChoiceError {
    text: String,
}

impl fmt::Display for CrashChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/", self.mode.name(), self.sector.bytes(), self.garbage)?;
        match &self.survive {
            Survive::Nothing => f.write_str("nothing"),
            Survive::All => f.write_str("all"),
            Survive::Names => f.write_str("names"),
            Survive::Metadata => f.write_str("metadata"),
            Survive::Data => f.write_str("data"),
            Survive::NoLengths => f.write_str("no-lengths"),
            Survive::NoNames => f.write_str("no-names"),
            Survive::Prefix(n) => write!(f, "prefix:{n}"),
            Survive::Torn(n) => write!(f, "torn:{n}"),
            Survive::AllBut(n) => write!(f, "all-but:{n}"),
            Survive::Only(n) => write!(f, "only:{n}"),
            Survive::Random(seed) => write!(f, "random:{seed}"),
            Survive::Mask(fates) => {
                f.write_str("mask:")?;
                for (i, fate) in fates.iter().enumerate() {
                    write!(f, "{}{fate}", if i == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => f.write_str("l"),
            Self::Kept => f.write_str("k"),
            Self::Head(n) => write!(f, "h{n}"),
            Self::Tail(n) => write!(f, "t{n}"),
            Self::Sectors(bits) => write!(f, "s{bits}"),
            Self::Length(n) => write!(f, "n{n}"),
        }
    }
}

impl FromStr for CrashChoice {
    type Err = ParseChoiceError;

    fn from_str(text: &str) -> Result<Self, ParseChoiceError> {
        parse(text).ok_or_else(|| ParseChoiceError { text: text.to_owned() })
    }
}

fn parse(text: &str) -> Option<CrashChoice> {
    let mut parts = text.splitn(4, '/');
    let mode = parts.next()?;
    let mode = CrashMode::ALL.into_iter().find(|m| m.name() == mode)?;
    let sector = match parts.next()? {
        "512" => Sector::Bytes512,
        "4096" => Sector::Bytes4096,
        _ => return None,
    };
    let garbage = parts.next()?.parse().ok()?;
    let (name, value) = parts.next().map(|s| s.split_once(':').unwrap_or((s, "")))?;
    let survive = match (name, value) {
        ("nothing", "") => Survive::Nothing,
        ("all", "") => Survive::All,
        ("names", "") => Survive::Names,
        ("metadata", "") => Survive::Metadata,
        ("data", "") => Survive::Data,
        ("no-lengths", "") => Survive::NoLengths,
        ("no-names", "") => Survive::NoNames,
        ("prefix", n) => Survive::Prefix(n.parse().ok()?),
        ("torn", n) => Survive::Torn(n.parse().ok()?),
        ("all-but", n) => Survive::AllBut(n.parse().ok()?),
        ("only", n) => Survive::Only(n.parse().ok()?),
        ("random", n) => Survive::Random(n.parse().ok()?),
        ("mask", "") => Survive::Mask(Vec::new()),
        ("mask", list) => Survive::Mask(list.split(',').map(parse_fate).collect::<Option<_>>()?),
        _ => return None,
    };
    Some(CrashChoice { mode, survive, sector, garbage })
}

fn parse_fate(text: &str) -> Option<Fate> {
    let (kind, number) = text.split_at_checked(1)?;
    match (kind, number) {
        ("l", "") => Some(Fate::Lost),
        ("k", "") => Some(Fate::Kept),
        ("h", n) => n.parse().ok().map(Fate::Head),
        ("t", n) => n.parse().ok().map(Fate::Tail),
        ("s", n) => n.parse().ok().map(Fate::Sectors),
        ("n", n) => n.parse().ok().map(Fate::Length),
        _ => None,
    }
}
