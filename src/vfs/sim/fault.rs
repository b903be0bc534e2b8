//! Counting, tracing and failing operations.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::gate::Gate;

/// Records that [`SimVfs::ops`](super::SimVfs::ops) keeps: the newest ones.
pub const TRACE_RECORDS_MAX: usize = 65_536;

/// One kind of operation of [`Vfs`](crate::vfs::Vfs) and [`VfsFile`](crate::vfs::VfsFile).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum OpKind {
    /// `Vfs::open` of an existing file.
    Open,
    /// `Vfs::open` with `CreateNew`.
    Create,
    /// `Vfs::create_dir`.
    CreateDir,
    /// `Vfs::read_dir`.
    ReadDir,
    /// `Vfs::metadata` and `VfsFile::metadata`.
    Metadata,
    /// `Vfs::rename`.
    Rename,
    /// `Vfs::remove_file`.
    Remove,
    /// `Vfs::sync_dir`.
    SyncDir,
    /// `Vfs::lock`.
    Lock,
    /// `Vfs::available_bytes`.
    Available,
    /// `VfsFile::read_at`.
    Read,
    /// `VfsFile::write_at`.
    Write,
    /// `VfsFile::sync_data`.
    SyncData,
    /// `VfsFile::set_len`.
    SetLen,
    /// `VfsFile::map`.
    Map,
}

impl OpKind {
    /// All kinds, for tests that fail each of them in turn.
    pub const ALL: [Self; 15] = [
        Self::Open,
        Self::Create,
        Self::CreateDir,
        Self::ReadDir,
        Self::Metadata,
        Self::Rename,
        Self::Remove,
        Self::SyncDir,
        Self::Lock,
        Self::Available,
        Self::Read,
        Self::Write,
        Self::SyncData,
        Self::SetLen,
        Self::Map,
    ];

    /// True if the operation can change what a crash leaves on the disk. A kill before any other operation leaves the
    /// same disk as a kill before the next one that does, so enumerations can skip the others.
    #[must_use]
    pub fn changes_disk(self) -> bool {
        match self {
            Self::Create
            | Self::CreateDir
            | Self::Rename
            | Self::Remove
            | Self::SyncDir
            | Self::Lock
            | Self::Write
            | Self::SyncData
            | Self::SetLen => true,
            Self::Open | Self::ReadDir | Self::Metadata | Self::Available | Self::Read | Self::Map => false,
        }
    }

    fn bit(self) -> u32 {
        1 << (self as u8)
    }
}

/// One operation of the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpRecord {
    /// Number of the operation, from 0.
    pub index: u64,
    /// Kind of operation.
    pub kind: OpKind,
    /// The path given, or by which the file was opened; the target of a rename.
    pub path: Arc<Path>,
    /// Offset in the file, else 0.
    pub offset: u64,
    /// Bytes asked for; the new length for `SetLen`; else 0.
    pub len: u64,
    /// What kind of error it returned, if any.
    pub error: Option<io::ErrorKind>,
    /// What the fault plan had happen, if anything.
    pub fault: Option<Fault>,
}

impl fmt::Display for OpRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {}", self.index, self.kind, self.path.display())?;
        if matches!(self.kind, OpKind::Read | OpKind::Write | OpKind::SetLen | OpKind::Map) {
            write!(f, " {}+{}", self.offset, self.len)?;
        }
        self.error.map_or(Ok(()), |error| write!(f, ": {error}"))
    }
}

/// What happens instead of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It fails with this raw OS error and changes nothing. A sync that fails drops its changes, as Linux does: the
    /// running system still reads the new bytes, the disk keeps the old ones, and later syncs succeed without writing
    /// them. Where the error says that a directory could not be opened for its sync (such as `EMFILE`), nothing is lost.
    Errno(i32),
    /// A sync fails with `errno` as by [`Fault::Errno`], but the first `kept` of its changes, in the order of
    /// [`SimVfs::unsynced`](super::SimVfs::unsynced), have reached the disk. Other operations fail and change nothing.
    PartialSync {
        /// The raw OS error.
        errno: i32,
        /// How many changes reached the disk.
        kept: usize,
    },
    /// A read or write transfers at most this many bytes; other operations are not affected.
    Short(usize),
    /// One bit of what is read or written is inverted (the bit number is taken modulo the bits transferred); other
    /// operations are not affected.
    Flip(u64),
    /// The process is killed before the operation: it and every later one fail, see [`is_simulated_kill`].
    Kill,
    /// The process is killed in the middle of the operation: a write stores this many bytes at most, any other operation
    /// takes effect in full; then as [`Fault::Kill`].
    KillAfter(usize),
}

/// When a [`Fault`] happens. Made by [`Inject::new`], handed to [`SimVfs::inject`](super::SimVfs::inject).
///
/// ```
/// use aqueduct::vfs::sim::{Fault, Inject, OpKind, SimVfs};
///
/// let sim = SimVfs::new();
/// // The third write or later to any segment fails for ever with ENOSPC.
/// sim.inject(Inject::new(Fault::Errno(28)).on(OpKind::Write).path("*.seg").skip(2).sticky());
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Inject {
    fault: Option<Fault>,
    gate: Option<Gate>,
    kinds: u32,
    path: Option<String>,
    not_before: u64,
    skip: u64,
    sticky: bool,
}

impl Inject {
    /// The next operation of any kind, once.
    pub fn new(fault: Fault) -> Self {
        Self { fault: Some(fault), gate: None, kinds: 0, path: None, not_before: 0, skip: 0, sticky: false }
    }

    /// The next operation of any kind, once, waits at the gate before it is carried out; others go on meanwhile.
    pub fn pause(gate: &Gate) -> Self {
        Self { fault: None, gate: Some(gate.clone()), kinds: 0, path: None, not_before: 0, skip: 0, sticky: false }
    }

    /// After the pause this happens instead of the operation.
    pub fn then(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// Only operations of this kind; call it again to add another kind.
    pub fn on(mut self, kind: OpKind) -> Self {
        self.kinds |= kind.bit();
        self
    }

    /// Only operations on a path that matches: `*` stands for any bytes (also `/`), `?` for one, anything else for
    /// itself. The whole path must match, so a suffix is `*.seg`.
    pub fn path(mut self, pattern: impl Into<String>) -> Self {
        self.path = Some(pattern.into());
        self
    }

    /// Only operations of this number ([`OpRecord::index`]) and later ones.
    pub fn not_before(mut self, index: u64) -> Self {
        self.not_before = index;
        self
    }

    /// Lets this many operations that match pass first.
    pub fn skip(mut self, matches: u64) -> Self {
        self.skip = matches;
        self
    }

    /// From then on every operation that matches, not only one.
    pub fn sticky(mut self) -> Self {
        self.sticky = true;
        self
    }

    fn matches(&self, index: u64, kind: OpKind, path: &Path) -> bool {
        index >= self.not_before
            && (self.kinds == 0 || self.kinds & kind.bit() != 0)
            && self.path.as_ref().is_none_or(|p| glob(p.as_bytes(), path.as_os_str().as_encoded_bytes()))
    }
}

/// True if the error says that the simulated process was killed by [`Fault::Kill`].
#[must_use]
pub fn is_simulated_kill(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<SimulatedKill>)
}

#[derive(Debug, thiserror::Error)]
#[error("simulated kill")]
struct SimulatedKill;

/// What the fault plan says of one operation.
#[derive(Debug, Default)]
pub(super) struct Due {
    pub(super) index: u64,
    pub(super) fault: Option<Fault>,
    pub(super) gate: Option<Gate>,
}

/// Counter, trace and fault plan.
#[derive(Debug, Default)]
pub(super) struct Control {
    count: u64,
    trace: VecDeque<OpRecord>,
    rules: Vec<Inject>,
    killed: bool,
}

impl Control {
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn trace(&self, from: u64) -> Vec<OpRecord> {
        let oldest = self.trace.front().map_or(0, |record| record.index);
        let skip = usize::try_from(from.saturating_sub(oldest)).unwrap_or(usize::MAX);
        self.trace.iter().skip(skip).cloned().collect()
    }

    pub(super) fn add(&mut self, rule: Inject) {
        self.rules.push(rule);
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(super) fn is_killed(&self) -> bool {
        self.killed
    }

    pub(super) fn kill(&mut self) -> io::Error {
        self.killed = true;
        io::Error::other(SimulatedKill)
    }

    /// Counts and records an operation and finds what is due, if anything.
    pub(super) fn begin(&mut self, kind: OpKind, path: &Arc<Path>, offset: u64, len: u64) -> Due {
        let mut due = Due { index: self.count, ..Due::default() };
        let mut found = false;
        self.rules.retain_mut(|rule| {
            if found || !rule.matches(self.count, kind, path) {
                return true;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                return true;
            }
            found = true;
            due.fault = rule.fault;
            due.gate.clone_from(&rule.gate);
            rule.sticky
        });
        if self.trace.len() == TRACE_RECORDS_MAX {
            self.trace.pop_front();
        }
        let (index, path, fault) = (self.count, Arc::clone(path), due.fault);
        self.trace.push_back(OpRecord { index, kind, path, offset, len, error: None, fault });
        self.count += 1;
        due
    }

    /// Records how an operation ended.
    pub(super) fn finish<T>(&mut self, index: u64, result: io::Result<T>) -> io::Result<T> {
        let Err(error) = &result else { return result };
        let oldest = self.trace.front().map_or(0, |record| record.index);
        let at = index.checked_sub(oldest).and_then(|at| usize::try_from(at).ok());
        if let Some(record) = at.and_then(|at| self.trace.get_mut(at)) {
            record.error = Some(error.kind());
        }
        result
    }
}

/// `*` any run of bytes, `?` one byte; linear space, no recursion.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == byte => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((star, from)) = retry else { return false };
                retry = Some((star, from + 1));
                p = star + 1;
                t = from + 1;
            }
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|&byte| byte == b'*')
}
