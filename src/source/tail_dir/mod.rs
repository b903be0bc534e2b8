//! The tail directory source: follows files that others append to, line by line.
#![allow(clippy::unnecessary_debug_formatting)] // names of files come from outside: they are quoted and escaped

mod file;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod fuzz;
mod look;
mod position;
mod position_file;
mod position_json;
mod report;
mod run;
mod seen;
mod settings;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::source::{FileReport, PullBatch, PullSource, Pulled, SettingError, SourceContext, SourceError};
use crate::vfs::{FileId, Following, OsVfs, Vfs};
use run::{Reporter, Run};
use settings::Settings;

pub use crate::codec::line::Overlong;
pub use report::TailProblem;
pub use settings::FileGroup;

/// Follows files that others append to, such as logs: Flume's `TAILDIR` source. Every line becomes an event as soon as its
/// line feed is written; nothing is lost or repeated when files are rotated or the process is killed.
///
/// ```
/// use std::sync::mpsc;
/// use std::time::Duration;
///
/// use aqueduct::TailDir;
/// use aqueduct::source::tail_dir::FileGroup;
///
/// let access = FileGroup::new("/var/log/shop", r"access\.log(\.\d+)?").header("kind", "access");
/// let audit = FileGroup::new("/var/log/audit", r".*\.log");
/// let (reports, problems) = mpsc::channel();
/// let source = TailDir::new([access, audit])
///     .file_header("file")
///     .idle_timeout(Duration::from_secs(60))
///     .on_report(move |report| drop(reports.send(report.to_string())))
///     .check()?;
/// # drop((source, problems));
/// # Ok::<(), aqueduct::source::SettingError>(())
/// ```
///
/// # Lines
///
/// A line feed ends a line; it and a carriage return before it are not part of the body, which is otherwise handed over byte
/// for byte. Blank lines are events. A last line without line feed waits: for its line feed, or until the file has not
/// changed for [`idle_timeout`](Self::idle_timeout), when it becomes an event as it is. Stopping the agent does not end it:
/// it is read as a whole after the next start.
///
/// # Files
///
/// A file is known by device and inode, by its time of creation where the file system keeps that, by the checksum of its first
/// 4 KiB, and by the checksum of the 256 bytes before the place where reading goes on; its name does not matter. So, whether
/// this source runs or not:
///
/// * A file that is *renamed* within its directory is followed, also under a name that no group matches, for as long as it is
///   there. One that is *removed*, or moved elsewhere, is read to its end if it is open ([`open_files`](Self::open_files)).
/// * A file that is *emptied* is read from its beginning, also when it has grown longer than it was. What was written
///   between the last read and the emptying cannot be read any more: rotation that copies a file and then empties it
///   (`copytruncate`) always has this gap, and the writer must append (`O_APPEND`). Choose a pattern that the copies do not
///   match, because they are other files, which would be read from their beginning. Where the writer can be told to open its
///   file again, prefer renaming.
/// * An *unfinished line* that is written anew, as programs do that show their progress, or in a file that was emptied, is read
///   anew: what was read of it is compared with the file before more of it is read, the last 4 KiB
///   ([`limits::TAIL_COMPARED_BYTES_MAX`](crate::limits::TAIL_COMPARED_BYTES_MAX)).
/// * An *inode number* that is used again belongs to a new file, which is read from its beginning. Where the file system keeps
///   no times of creation, that is noticed unless the new file begins with exactly what was read of the old one.
/// * A power cut can take the end of a file that its writer did not sync. What is left is shorter than what was read, like an
///   emptied file, and is read again.
///
/// Of several names of one file the first one counts. FIFOs, sockets and devices are never read, nor are directories below;
/// symbolic links are only if [`follow_links`](Self::follow_links) says so. Group directories themselves may be symbolic links.
///
/// # Order and fairness
///
/// Lines of one file keep their order. Files take turns: of those that have changed, the ones of the first group come first,
/// and in a group the one whose change is oldest. A turn lasts until what the file had when it began is read.
/// [`turn_events`](Self::turn_events) shortens turns, so that a large file does not hold up the others.
///
/// # Durability
///
/// How far each file is read is committed in the same transaction as its lines. With a durable channel, no line is lost and
/// none is repeated through a kill.
///
/// # Blocking
///
/// Where the kernel tells of changes (inotify), [`poll`](PullSource::poll) waits for them for up to
/// [`poll_interval`](Self::poll_interval), or until the request to stop. They are a hint: directories and files are looked at
/// in that interval anyway.
#[must_use = "a source does nothing until it is run"]
pub struct TailDir {
    settings: Settings,
    vfs: Arc<dyn Vfs>,
    clock: Arc<dyn Clock>,
    reporter: Reporter,
    run: Option<Box<Run>>,
    // Once it was opened: files that are to be passed over, as long as that is not committed.
    skipped: Option<HashMap<FileId, u64>>,
}

impl TailDir {
    /// Follows the files of these groups, with Flume's defaults. A file that several groups match belongs to the first.
    pub fn new(groups: impl IntoIterator<Item = FileGroup>) -> Self {
        Self {
            settings: Settings::new(groups.into_iter().collect()),
            vfs: Arc::new(OsVfs::new()),
            clock: Arc::new(SystemClock::new()),
            reporter: Reporter::default(),
            run: None,
            skipped: None,
        }
    }

    /// Sets a header to the absolute path under which the file was found first. Bytes that are not UTF-8 appear as `%` and two
    /// hexadecimal digits.
    pub fn file_header(mut self, key: impl Into<String>) -> Self {
        self.settings.file_header = Some(key.into());
        self
    }

    /// Sets a header to the offset of the line in its file; Flume's is `byteoffset`.
    pub fn byte_offset_header(mut self, key: impl Into<String>) -> Self {
        self.settings.byte_offset_header = Some(key.into());
        self
    }

    /// Sets a header on lines that [`Overlong::Truncate`] has cut: the number of bytes that are missing.
    pub fn truncated_header(mut self, key: impl Into<String>) -> Self {
        self.settings.truncated_header = Some(key.into());
        self
    }

    /// The longest line, in bytes without the line feed, from 4; [`LINE_BYTES_MAX`](crate::limits::LINE_BYTES_MAX) by
    /// default. Flume has no limit.
    pub fn line_max_bytes(mut self, bytes: usize) -> Self {
        self.settings.line_bytes_max = bytes;
        self
    }

    /// What to do with longer lines; [`Overlong::Split`] by default. Dropped lines are counted as `dropped_events`.
    pub fn overlong(mut self, policy: Overlong) -> Self {
        self.settings.overlong = policy;
        self
    }

    /// How many bytes are read at once; [`TAIL_READ_BYTES`](crate::limits::TAIL_READ_BYTES) by default. Bodies are slices of
    /// what was read at once.
    pub fn read_bytes(mut self, bytes: usize) -> Self {
        self.settings.read_bytes = bytes;
        self
    }

    /// Passes over what files hold when the source is opened for the first time, unless they are known from an earlier life,
    /// as Flume does: what is written to new files while the agent does not run is passed over as well.
    pub fn skip_to_end(mut self, skip: bool) -> Self {
        self.settings.skip_to_end = skip;
        self
    }

    /// The time after which a file that has not changed is closed, and its last line counts as complete although it has no
    /// line feed; [`TAIL_IDLE`](crate::limits::TAIL_IDLE) by default. A file that changes later is opened again.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.idle_timeout = timeout;
        self
    }

    /// The longest time after which directories and files are looked at again; [`TAIL_POLL`](crate::limits::TAIL_POLL) by
    /// default.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.settings.poll_interval = interval;
        self
    }

    /// Events that a file hands over in its turn at most, before the next file has its turn. No limit by default.
    pub fn turn_events(mut self, events: u64) -> Self {
        self.settings.turn_events = events;
        self
    }

    /// Files that are kept open at most; [`TAIL_OPEN_FILES`](crate::limits::TAIL_OPEN_FILES) by default. With more, those
    /// that were not read for the longest time are closed; a closed file that is removed before it is opened again is lost.
    pub fn open_files(mut self, files: usize) -> Self {
        self.settings.open_files = files;
        self
    }

    /// Whether a directory is listed only when it has changed, which is the default. Files are looked at in either case.
    /// Switch it off on file systems whose directories have no reliable time of change.
    pub fn cache_listing(mut self, cache: bool) -> Self {
        self.settings.cache_listing = cache;
        self
    }

    /// Whether names that are symbolic links to regular files are read; off by default, in a properties file on, as in Flume.
    /// A link is read as if the file were there: the header of [`file_header`](Self::file_header) names the link. The kernel
    /// does not tell of changes behind a link; they are found after [`poll_interval`](Self::poll_interval).
    ///
    /// When the link leads to another file, the earlier one is read to its end as long as it is in its directory, under whatever
    /// name, and the link is there. So are logs that are rotated where the link leads, as kubelet does with those of containers,
    /// also over a restart; if the link is turned to another directory while the source does not run, the rest of the earlier file
    /// is not found. While what a link leads to cannot be seen, because its disk is away for instance, its place is kept. A
    /// file that several groups have, here by a link and there by its name, belongs to the one that saw it first.
    ///
    /// Whoever may create links in the directory of a group has the source read any file that this process may read, and a
    /// file system behind a link that does not answer stops the source.
    pub fn follow_links(mut self, follow: bool) -> Self {
        self.settings.follow_links = follow;
        self
    }

    /// Goes on where Flume stopped: its position file is read once, when there is no position of this source yet. It applies
    /// to files with the same inode and path.
    pub fn position_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.position_file = Some(path.into());
        self
    }

    /// Writes the position file as well, at most at this interval, for tools that look at it. The source itself goes by what
    /// is committed in its channel.
    pub fn write_position_file(mut self, interval: Duration) -> Self {
        self.settings.write_position_file = Some(interval);
        self
    }

    /// The source is done once all files are read to their end, instead of waiting for more. Last lines need no line feed
    /// then. Files that were reported as not readable do not count.
    pub fn until_end(mut self) -> Self {
        self.settings.until_end = true;
        self
    }

    /// Whether the kernel is asked to tell of changes, which is the default.
    pub fn notify(mut self, notify: bool) -> Self {
        self.settings.notify = notify;
        self
    }

    /// Calls this once for each kind of problem of each file. Each report also counts as `event_read_fail`.
    pub fn on_report(mut self, callback: impl FnMut(&FileReport<TailProblem>) + Send + 'static) -> Self {
        self.reporter.callback = Some(Box::new(callback));
        self
    }

    /// Uses another file system, of whose changes the kernel does not tell.
    pub fn vfs(mut self, vfs: Arc<dyn Vfs>) -> Self {
        self.vfs = vfs;
        self.settings.notify = false;
        self
    }

    /// Uses another clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Checks the settings, which [`open`](PullSource::open) does as well.
    ///
    /// # Errors
    /// [`SettingError`] names the first setting that cannot be used.
    pub fn check(self) -> Result<Self, SettingError> {
        self.settings.check()?;
        Ok(self)
    }
}

impl PullSource for TailDir {
    fn open(&mut self, context: &SourceContext) -> Result<(), SourceError> {
        self.run = None;
        let settings = self.settings.check().map_err(SourceError::fatal)?;
        let vfs =
            if settings.given.follow_links { Arc::new(Following::over(self.vfs.clone())) } else { self.vfs.clone() };
        let (clock, skipped) = (self.clock.clone(), self.skipped.clone());
        let run = Run::open(settings, vfs, clock, context, skipped, &mut self.reporter)?;
        self.skipped = Some(run.skipped.clone());
        self.run = Some(Box::new(run));
        Ok(())
    }

    fn poll(&mut self, out: &mut PullBatch) -> Result<Pulled, SourceError> {
        let run =
            self.run.as_mut().ok_or_else(|| SourceError::fatal("tail directory source polled before it was opened"))?;
        run.poll(out, &mut self.reporter)
    }

    fn committed(&mut self) -> Result<(), SourceError> {
        if let Some(run) = &mut self.run {
            run.committed(&mut self.reporter);
            self.skipped = Some(run.skipped.clone());
        }
        Ok(())
    }

    fn close(&mut self) {
        if let Some(mut run) = self.run.take() {
            run.close(&mut self.reporter);
        }
    }
}

impl fmt::Debug for TailDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TailDir").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
