//! Which operation fails how: the errors that fit each kind of operation, once or for good.

use std::fmt;

use aqueduct::vfs::sim::{Fault, OpKind, OpRecord, SplitMix};

use crate::scripts::workload::Config;
use crate::scripts::world::Planned;

pub(crate) const EINTR: i32 = 4;
pub(crate) const EIO: i32 = 5;
pub(crate) const EAGAIN: i32 = 11;
pub(crate) const ENOMEM: i32 = 12;
pub(crate) const EACCES: i32 = 13;
pub(crate) const ENFILE: i32 = 23;
pub(crate) const EMFILE: i32 = 24;
pub(crate) const ENOSPC: i32 = 28;
pub(crate) const EROFS: i32 = 30;
pub(crate) const ENOLCK: i32 = 37;
pub(crate) const EDQUOT: i32 = 122;

/// Whether an error says that there is no room.
pub(crate) fn is_full(errno: i32) -> bool {
    matches!(errno, ENOSPC | EDQUOT)
}

/// What happens instead of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failure {
    Errno(i32),
    /// So many bytes are transferred.
    Short(usize),
    /// So many bytes are written, and the write of the others fails.
    Torn(usize, i32),
    /// A sync fails, of whose changes so many have reached the disk.
    Half(usize, i32),
}

/// How long it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Span {
    Once,
    /// From then on every operation of the kind.
    Kind,
    /// From then on every operation below the lane's directory, or that of the store.
    Dir,
}

/// One cell of the matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) workload: &'static str,
    pub(crate) config: &'static str,
    pub(crate) op: u64,
    pub(crate) failure: Failure,
    pub(crate) span: Span,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Errno(errno) => write!(f, "{}", name(*errno)),
            Self::Short(bytes) => write!(f, "short:{bytes}"),
            Self::Torn(bytes, errno) => write!(f, "torn:{bytes}:{}", name(*errno)),
            Self::Half(changes, errno) => write!(f, "half:{changes}:{}", name(*errno)),
        }
    }
}

impl Failure {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let kind = parts.next()?;
        let number = parts.next().map(str::parse::<usize>).transpose().ok()?;
        let errno = parts.next().and_then(number_of);
        Some(match (kind, number, errno) {
            ("short", Some(bytes), None) => Self::Short(bytes),
            ("torn", Some(bytes), Some(errno)) => Self::Torn(bytes, errno),
            ("half", Some(changes), Some(errno)) => Self::Half(changes, errno),
            (name, None, None) => Self::Errno(number_of(name)?),
            _ => return None,
        })
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = match self.span {
            Span::Once => "once",
            Span::Kind => "kind",
            Span::Dir => "dir",
        };
        write!(f, "{};{};{};{};{span}", self.workload, self.config, self.op, self.failure)
    }
}

impl Case {
    /// The case that a line is about. `known` finds the names.
    pub(crate) fn parse(line: &str, known: impl Fn(&str) -> Option<&'static str>) -> Option<Self> {
        let parts: Vec<&str> = line.split(';').collect();
        let [workload, config, op, failure, span] = parts.as_slice() else { return None };
        let span = match *span {
            "once" => Span::Once,
            "kind" => Span::Kind,
            "dir" => Span::Dir,
            _ => return None,
        };
        let (workload, config) = (known(workload)?, known(config)?);
        Some(Self { workload, config, op: op.parse().ok()?, failure: Failure::parse(failure)?, span })
    }

    /// The plan for the simulator. `op` is the operation of a run without faults.
    pub(crate) fn plan(&self, op: &OpRecord, config: Config) -> Vec<Planned> {
        let planned = |at, fault, sticky| Planned { at, fault, kind: Some(op.kind), below: None, sticky };
        let sticky = self.span != Span::Once;
        let mut faults = match self.failure {
            Failure::Errno(errno) => vec![planned(self.op, Fault::Errno(errno), sticky)],
            Failure::Short(bytes) => vec![planned(self.op, Fault::Short(bytes), sticky)],
            Failure::Torn(bytes, errno) => {
                let error = planned(self.op + 1, Fault::Errno(errno), sticky);
                vec![planned(self.op, Fault::Short(bytes), false), error]
            }
            Failure::Half(kept, errno) => vec![planned(self.op, Fault::PartialSync { errno, kept }, sticky)],
        };
        if self.span == Span::Dir {
            let dirs = config.dirs().into_iter().chain(["/store".to_owned(), "/".to_owned()]);
            let dir = { dirs }.find(|dir| op.path.starts_with(dir));
            for planned in &mut faults {
                planned.kind = None;
                planned.below.clone_from(&dir);
            }
        }
        faults
    }
}

/// The ways in which an operation of this kind and length can fail.
pub(crate) fn failures(op: &OpRecord) -> Vec<Failure> {
    let errnos: &[i32] = match op.kind {
        OpKind::Open => &[EIO, EMFILE, ENFILE, ENOMEM, EACCES, EINTR, EROFS],
        OpKind::Create => &[EIO, ENOSPC, EDQUOT, EMFILE, ENFILE, ENOMEM, EROFS, EACCES, EINTR],
        OpKind::ReadDir => &[EIO, EMFILE, ENFILE, ENOMEM, EACCES],
        OpKind::Metadata => &[EIO, ENOMEM, EACCES],
        OpKind::CreateDir | OpKind::Rename => &[EIO, ENOSPC, EDQUOT, ENOMEM, EROFS, EACCES],
        OpKind::Remove => &[EIO, ENOSPC, ENOMEM, EROFS, EACCES],
        OpKind::SyncDir => &[EIO, ENOSPC, EDQUOT, EMFILE, ENFILE, ENOMEM, EROFS, EINTR],
        OpKind::Lock => &[EIO, EMFILE, ENFILE, ENOMEM, ENOLCK, EROFS, EACCES, EAGAIN],
        OpKind::Read | OpKind::Map => &[EIO, ENOMEM, EINTR, EAGAIN],
        OpKind::Write => &[EIO, ENOSPC, EDQUOT, ENOMEM, EROFS, EINTR, EAGAIN],
        OpKind::SyncData => &[EIO, ENOSPC, EDQUOT, ENOMEM, EROFS],
        OpKind::Available | OpKind::SetLen => &[EIO, ENOMEM],
        _ => &[EIO],
    };
    let mut found: Vec<Failure> = errnos.iter().map(|errno| Failure::Errno(*errno)).collect();
    let half = usize::try_from(op.len / 2).unwrap_or(0);
    match op.kind {
        OpKind::Read => found.extend([Failure::Short(0), Failure::Short(half.max(1))]),
        OpKind::Write => {
            found.extend([Failure::Short(0), Failure::Short(half.max(1))]);
            // Of several records in one write all but the last are whole then.
            let cut = usize::try_from(op.len).unwrap_or(0).saturating_sub(1).max(1);
            found.extend([EIO, ENOSPC, EDQUOT].map(|errno| Failure::Torn(cut, errno)));
        }
        OpKind::SyncData | OpKind::SyncDir => found.push(Failure::Half(1, EIO)),
        _ => {}
    }
    found
}

/// All cases of one workload with one setting, given the operations of a run without faults.
pub(crate) fn cases(workload: &'static str, config: &'static str, trace: &[OpRecord]) -> Vec<(OpKind, Case)> {
    let mut found = Vec::new();
    for (op, record) in (0..).zip(trace) {
        for failure in failures(record) {
            let mut spans = vec![Span::Once, Span::Kind];
            if failure == Failure::Errno(EIO) {
                spans.push(Span::Dir);
            }
            // A device that transfers a byte at a time would take a million operations to fill a segment.
            if matches!(failure, Failure::Short(1..100)) {
                spans.truncate(1);
            }
            found.extend(spans.into_iter().map(|span| (record.kind, Case { workload, config, op, failure, span })));
        }
    }
    found
}

/// So many of the cases of each combination of kind of operation, failure and span; more where it matters which operation
/// of the kind it is.
pub(crate) fn sample(cases: Vec<(OpKind, Case)>, each: usize, random: &mut SplitMix) -> Vec<Case> {
    let mut groups: Vec<((OpKind, String, Span), Vec<Case>)> = Vec::new();
    for (kind, case) in cases {
        let failure = match case.failure {
            // How many bytes depends on the operation.
            Failure::Short(1..) => "short".to_owned(),
            Failure::Torn(_, errno) => format!("torn:{errno}"),
            failure => failure.to_string(),
        };
        let key = (kind, failure, case.span);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, group)) => group.push(case),
            None => groups.push((key, vec![case])),
        }
    }
    let mut chosen = Vec::new();
    for ((kind, ..), mut group) in groups {
        let weight = match kind {
            OpKind::Write | OpKind::SyncData => 3,
            OpKind::Read | OpKind::Rename => 2,
            _ => 1,
        };
        for _ in 0..each.saturating_mul(weight).min(group.len()) {
            chosen.push(group.swap_remove(random.index(group.len())));
        }
    }
    chosen
}

const NAMES: [(i32, &str); 11] = [
    (EINTR, "EINTR"),
    (EIO, "EIO"),
    (EAGAIN, "EAGAIN"),
    (ENOMEM, "ENOMEM"),
    (EACCES, "EACCES"),
    (ENFILE, "ENFILE"),
    (EMFILE, "EMFILE"),
    (ENOSPC, "ENOSPC"),
    (EROFS, "EROFS"),
    (ENOLCK, "ENOLCK"),
    (EDQUOT, "EDQUOT"),
];

fn name(errno: i32) -> &'static str {
    NAMES.iter().find(|(number, _)| *number == errno).map_or("E?", |(_, name)| name)
}

fn number_of(name: &str) -> Option<i32> {
    NAMES.iter().find(|(_, known)| *known == name).map(|(number, _)| *number)
}
