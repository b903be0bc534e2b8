//! The spool directory source: reads files that are put into a directory, line by line or otherwise.
#![allow(clippy::unnecessary_debug_formatting)] // names of files come from outside: they are quoted and escaped

#[cfg(feature = "avro")]
mod avro;
mod complete;
mod content;
mod deserializer;
mod file;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod fuzz;
mod kept;
mod position;
mod report;
mod run;
mod scan;
mod settings;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::{Clock, SystemClock};
use crate::source::files::Reporter;
use crate::source::{FileReport, PullBatch, PullSource, Pulled, SettingError, SourceContext, SourceError};
use crate::vfs::{Following, OsVfs, Vfs};
use run::Run;
use settings::{LineUnit, Settings};

pub use crate::codec::charset::DecodeError;
pub use crate::codec::line::Overlong;
#[cfg(feature = "avro")]
#[cfg_attr(docsrs, doc(cfg(feature = "avro")))]
pub use deserializer::AvroSchema;
pub use deserializer::{Deserializer, MultiLine};
pub use report::SpoolProblem;
pub use settings::{Completed, ConsumeOrder};

/// Reads complete files that are put into a directory: every line becomes an event, or what a [`Deserializer`] makes one, and
/// a file that is read to its end is renamed, removed or tracked.
///
/// Files must be complete when they appear: write them elsewhere on the same file system, and rename them into the
/// directory. The source copes with those that are not (see [`SpoolProblem`]), reports each problem once and goes on with
/// the other files.
///
/// ```
/// use std::sync::{Arc, mpsc};
///
/// use aqueduct::SpoolDir;
/// use aqueduct::source::spool_dir::{Completed, ConsumeOrder, DecodeError, Overlong};
///
/// let (reports, problems) = mpsc::channel();
/// let source = SpoolDir::new("/var/spool/in")
///     .include(r".*\.log")
///     .order(ConsumeOrder::Oldest)
///     .completed(Completed::Delete)
///     .basename_header("basename")
///     .decode_error(DecodeError::Replace)
///     .overlong(Overlong::Truncate)
///     .on_report(move |report| drop(reports.send(report.to_string())))
///     .check()?;
/// # drop((source, problems));
/// # Ok::<(), aqueduct::source::SettingError>(())
/// ```
///
/// # Lines
///
/// A line feed ends a line, a carriage return before it stays in the body, as does a byte order mark in UTF-8. The last line
/// of a file needs no line feed. An empty file gives one event with an empty body, unless
/// [`skip_empty_files`](Self::skip_empty_files) is set. Other encodings are decoded: the body is always UTF-8, unless
/// [`bytes`](Self::bytes) is set.
///
/// # Durability
///
/// How far the files are read is committed in the same transaction as the events. With a durable channel, no event is lost
/// and none is repeated, through a kill and through a power cut. A file is completed after its last line is committed, and
/// the completion is made durable before the source forgets the file; a completion that was interrupted is finished when
/// the source is opened again. A file is recognised by inode, time of creation where the file system keeps that, path, length
/// and the checksum of its first 4 KiB. Where the file system keeps no times of creation, one that was read to its end, and is
/// touched before such a late completion, is read again: it may be a new file with the inode of the old one.
///
/// # What is never read
///
/// FIFOs, sockets and devices, files whose name starts with a dot, and symbolic links, unless
/// [`follow_links`](Self::follow_links) is set; with [`recursive`](Self::recursive) also directories that are symbolic links,
/// whose name starts with a dot, or that [`ignore`](Self::ignore) matches.
#[must_use = "a source does nothing until it is run"]
pub struct SpoolDir {
    settings: Settings,
    vfs: Arc<dyn Vfs>,
    clock: Arc<dyn Clock>,
    reporter: Reporter<SpoolProblem>,
    run: Option<Box<Run>>,
}

impl SpoolDir {
    /// Reads the files in `dir`, with Flume's defaults.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            settings: Settings::new(dir.into()),
            vfs: Arc::new(OsVfs::new()),
            clock: Arc::new(SystemClock::new()),
            reporter: Reporter::default(),
            run: None,
        }
    }

    /// Only files whose whole name matches this regular expression; all by default. Names that are not UTF-8 are matched with
    /// U+FFFD in place of what is not.
    pub fn include(mut self, pattern: impl Into<String>) -> Self {
        self.settings.include = Some(pattern.into());
        self
    }

    /// No files whose whole name matches this regular expression, even if [`include`](Self::include) does; none by default.
    pub fn ignore(mut self, pattern: impl Into<String>) -> Self {
        self.settings.ignore = Some(pattern.into());
        self
    }

    /// No files whose names end like this, such as those that were completed by renaming before another way was chosen. Default:
    /// none, with [`Completed::Rename`] its suffix.
    pub fn ignore_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.settings.ignore_suffix = Some(suffix.into());
        self
    }

    /// Which file is read next; [`ConsumeOrder::Oldest`] by default. The order is that of one listing: files that come later
    /// wait until those it found are read, except that [`ConsumeOrder::Youngest`] lists again now and then.
    pub fn order(mut self, order: ConsumeOrder) -> Self {
        self.settings.order = order;
        self
    }

    /// What is done with a file that was read; by default `.COMPLETED` is appended to its name.
    ///
    /// To rename and to delete need write permission on the directory, to track does not.
    pub fn completed(mut self, completed: Completed) -> Self {
        self.settings.completed = completed;
        self
    }

    /// Whether directories below are read, too; off by default.
    pub fn recursive(mut self, recursive: bool) -> Self {
        self.settings.recursive = recursive;
        self
    }

    /// Whether symbolic links to regular files are read; off by default, in a properties file on, as in Flume. The link takes
    /// the place of the file: it is what is renamed or removed in the end, and headers name it. Directories that are links are
    /// not read in any case.
    ///
    /// Whoever may create links in the directory has the source read any file that this process may read.
    pub fn follow_links(mut self, follow: bool) -> Self {
        self.settings.follow_links = follow;
        self
    }

    /// Sets a header to the absolute path of the file. Bytes that are not UTF-8 appear as `%` and two hexadecimal digits.
    pub fn file_header(mut self, key: impl Into<String>) -> Self {
        self.settings.file_header = Some(key.into());
        self
    }

    /// Sets a header to the name of the file, written as by [`file_header`](Self::file_header).
    pub fn basename_header(mut self, key: impl Into<String>) -> Self {
        self.settings.basename_header = Some(key.into());
        self
    }

    /// Sets a header on lines that [`Overlong::Truncate`] has cut: the number of bytes that are missing.
    pub fn truncated_header(mut self, key: impl Into<String>) -> Self {
        self.settings.truncated_header = Some(key.into());
        self
    }

    /// The encoding of the files; UTF-8 by default. Labels as by
    /// [`Charset::for_label`](crate::codec::charset::Charset::for_label).
    pub fn encoding(mut self, label: impl Into<String>) -> Self {
        self.settings.encoding = Some(label.into());
        self
    }

    /// Hands the bytes of the lines on as they are, instead of decoding them: whatever the encoding, no file is set aside for
    /// bytes that are not valid. Lines still end with the byte of a line feed.
    pub fn bytes(mut self) -> Self {
        self.settings.encoding = None;
        self
    }

    /// What of a file becomes one event; each line by default.
    pub fn deserializer(mut self, deserializer: Deserializer) -> Self {
        self.settings.deserializer = deserializer;
        self
    }

    /// Makes no event of an empty file. By default, as in Flume, it gives one with an empty body.
    pub fn skip_empty_files(mut self) -> Self {
        self.settings.skip_empty_files = true;
        self
    }

    /// What to do with bytes that are not valid in the encoding. By default the file is reported and left alone until it
    /// changes; the lines before are delivered.
    pub fn decode_error(mut self, policy: DecodeError) -> Self {
        self.settings.decode_error = policy;
        self
    }

    /// The longest line, in bytes of the file without the line feed, from 4;
    /// [`LINE_BYTES_MAX`](crate::limits::LINE_BYTES_MAX) by default.
    pub fn line_max_bytes(mut self, bytes: usize) -> Self {
        self.settings.line_max = bytes;
        self.settings.line_unit = LineUnit::Bytes;
        self
    }

    /// The longest line in UTF-16 code units, as Flume counts, from 4: a character takes one, some take two. In encodings
    /// of several bytes a character other than UTF-8 and UTF-16, bytes are counted.
    pub fn line_max_chars(mut self, chars: usize) -> Self {
        self.settings.line_max = chars;
        self.settings.line_unit = LineUnit::Chars;
        self
    }

    /// What to do with longer lines; [`Overlong::Split`] by default. Dropped lines are counted as `dropped_events`.
    pub fn overlong(mut self, policy: Overlong) -> Self {
        self.settings.overlong = policy;
        self
    }

    /// How many bytes are read at once; [`SPOOL_READ_BYTES`](crate::limits::SPOOL_READ_BYTES) by default. Bodies are slices
    /// of what was read at once.
    pub fn read_bytes(mut self, bytes: usize) -> Self {
        self.settings.read_bytes = bytes;
        self
    }

    /// The source is done once all files that are there are read, instead of waiting for more. Files that were reported and
    /// left alone do not count.
    pub fn until_empty(mut self) -> Self {
        self.settings.until_empty = true;
        self
    }

    /// Calls this once for each file that is not as it should be. Each report also counts as `event_read_fail`.
    pub fn on_report(mut self, callback: impl FnMut(&FileReport<SpoolProblem>) + Send + 'static) -> Self {
        self.reporter.callback = Some(Box::new(callback));
        self
    }

    /// Uses another file system.
    pub fn vfs(mut self, vfs: Arc<dyn Vfs>) -> Self {
        self.vfs = vfs;
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

impl PullSource for SpoolDir {
    fn open(&mut self, context: &SourceContext) -> Result<(), SourceError> {
        self.run = None;
        let settings = self.settings.check().map_err(SourceError::fatal)?;
        let vfs =
            if settings.given.follow_links { Arc::new(Following::over(self.vfs.clone())) } else { self.vfs.clone() };
        let run = Run::open(settings, vfs, self.clock.clone(), context, &mut self.reporter)?;
        self.run = Some(Box::new(run));
        Ok(())
    }

    fn poll(&mut self, out: &mut PullBatch) -> Result<Pulled, SourceError> {
        let run = self
            .run
            .as_mut()
            .ok_or_else(|| SourceError::fatal("spool directory source polled before it was opened"))?;
        run.poll(out, &mut self.reporter)
    }

    fn committed(&mut self) -> Result<(), SourceError> {
        self.run.as_mut().map_or(Ok(()), |run| run.committed(&mut self.reporter))
    }

    fn close(&mut self) {
        self.run = None;
    }
}

impl fmt::Debug for SpoolDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpoolDir").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
