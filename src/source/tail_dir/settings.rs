//! The settings of the source, and their check.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::codec::line::Overlong;
use crate::codec::pattern::Pattern;
use crate::event::Headers;
use crate::limits::{
    BODY_BYTES_MAX, LINE_BYTES_MAX, SPOOL_LINE_BYTES_CEILING, TAIL_IDLE, TAIL_OPEN_FILES, TAIL_POLL, TAIL_READ_BYTES,
};
use crate::source::SettingError;
use crate::source::files::absolute;
use crate::source::setting::Kind;

/// Files of one directory whose names match a pattern, and headers for their events: Flume's file group.
///
/// ```
/// use aqueduct::source::tail_dir::FileGroup;
///
/// let group = FileGroup::new("/var/log/shop", r"access\.log(\.\d+)?").header("kind", "access");
/// // The same, in the form of Flume's key `filegroups.<name>`:
/// let same = FileGroup::of_path(r"/var/log/shop/access\.log(\.\d+)?").header("kind", "access");
/// # assert_eq!(format!("{group:?}"), format!("{same:?}"));
/// ```
#[derive(Clone, Debug)]
#[must_use = "a group does nothing until a source has it"]
pub struct FileGroup {
    dir: PathBuf,
    pattern: String,
    headers: Vec<(String, String)>,
}

impl FileGroup {
    /// The files in `dir`, not below it, whose whole name matches `pattern`, a
    /// [regular expression](crate::codec::pattern::Pattern) in Java's syntax. Names that are not UTF-8
    /// are matched with U+FFFD in place of what is not.
    pub fn new(dir: impl Into<PathBuf>, pattern: impl Into<String>) -> Self {
        Self { dir: dir.into(), pattern: pattern.into(), headers: Vec::new() }
    }

    /// The directory before the last slash, and the expression behind it.
    pub fn of_path(path: &str) -> Self {
        match path.rsplit_once('/') {
            Some(("", pattern)) => Self::new("/", pattern),
            Some((dir, pattern)) => Self::new(dir, pattern),
            None => Self::new("", path),
        }
    }

    /// Adds a header to the events of these files.
    pub fn header(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((key.into(), value.into()));
        self
    }
}

/// Settings as given.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // each is a switch of its own
pub(super) struct Settings {
    pub(super) groups: Vec<FileGroup>,
    pub(super) file_header: Option<String>,
    pub(super) byte_offset_header: Option<String>,
    pub(super) truncated_header: Option<String>,
    pub(super) line_bytes_max: usize,
    pub(super) overlong: Overlong,
    pub(super) read_bytes: usize,
    pub(super) skip_to_end: bool,
    pub(super) idle_timeout: Duration,
    pub(super) poll_interval: Duration,
    pub(super) turn_events: u64,
    pub(super) open_files: usize,
    pub(super) cache_listing: bool,
    pub(super) follow_links: bool,
    pub(super) position_file: Option<PathBuf>,
    /// The interval at which the position file is written.
    pub(super) write_position_file: Option<Duration>,
    pub(super) until_end: bool,
    pub(super) notify: bool,
}

/// A file group that was found to be usable.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) dir: PathBuf,
    pub(super) headers: Headers,
    pattern: Pattern,
}

/// Settings that were found to be usable.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) groups: Vec<Group>,
    pub(super) given: Settings,
}

impl Settings {
    pub(super) fn new(groups: Vec<FileGroup>) -> Self {
        Self {
            groups,
            file_header: None,
            byte_offset_header: None,
            truncated_header: None,
            line_bytes_max: LINE_BYTES_MAX,
            overlong: Overlong::default(),
            read_bytes: TAIL_READ_BYTES,
            skip_to_end: false,
            idle_timeout: TAIL_IDLE,
            poll_interval: TAIL_POLL,
            turn_events: u64::MAX,
            open_files: TAIL_OPEN_FILES,
            cache_listing: true,
            follow_links: false,
            position_file: None,
            write_position_file: None,
            until_end: false,
            notify: true,
        }
    }

    pub(super) fn check(&self) -> Result<Checked, SettingError> {
        if self.groups.is_empty() {
            return Err(KIND.error("groups", "", "there is none; name the files to read"));
        }
        if !(4..=SPOOL_LINE_BYTES_CEILING).contains(&self.line_bytes_max) {
            let reason = format!(
                "must be from 4 to {SPOOL_LINE_BYTES_CEILING}, and a channel takes {BODY_BYTES_MAX} by default"
            );
            return Err(KIND.error("line_max_bytes", self.line_bytes_max.to_string(), reason));
        }
        if self.poll_interval.is_zero() {
            let reason = "must be longer than nothing; it would look without a pause";
            return Err(KIND.error("poll_interval", "0", reason));
        }
        if !(1..=SPOOL_LINE_BYTES_CEILING).contains(&self.read_bytes) {
            let reason = format!("must be from 1 to {SPOOL_LINE_BYTES_CEILING}");
            return Err(KIND.error("read_bytes", self.read_bytes.to_string(), reason));
        }
        let at_least_one = |setting, value: u64| match value {
            0 => Err(KIND.error(setting, "0", "must be 1 at least")),
            _ => Ok(()),
        };
        at_least_one("open_files", self.open_files as u64)?;
        at_least_one("turn_events", self.turn_events)?;
        if self.write_position_file.is_some() && self.position_file.is_none() {
            let reason = "names no file; give position_file as well";
            return Err(KIND.error("write_position_file", "", reason));
        }
        KIND.check_header("file_header", self.file_header.as_deref())?;
        KIND.check_header("byte_offset_header", self.byte_offset_header.as_deref())?;
        KIND.check_header("truncated_header", self.truncated_header.as_deref())?;
        let groups = self.groups.iter().map(Group::check).collect::<Result<_, _>>()?;
        Ok(Checked { groups, given: self.clone() })
    }
}

impl Group {
    fn check(given: &FileGroup) -> Result<Self, SettingError> {
        let shown = given.dir.join(&given.pattern).to_string_lossy().into_owned();
        let wrong = |reason: String| KIND.error("group", shown.clone(), reason);
        if given.dir.as_os_str().is_empty() {
            return Err(wrong("has no directory; name it before the expression, as in /var/log/shop/.*\\.log".into()));
        }
        let dir =
            absolute(&given.dir).map_err(|error| wrong(format!("the directory cannot be made absolute: {error}")))?;
        if given.pattern.is_empty() {
            return Err(wrong("has no expression for the names of files; .* stands for all".into()));
        }
        let pattern = Pattern::whole(&given.pattern).map_err(|error| wrong(error.reason))?;
        let mut headers = Headers::new();
        for (key, value) in &given.headers {
            KIND.check_header("group header", Some(key))?;
            headers.insert(key, value).map_err(|error| wrong(error.to_string()))?;
        }
        Ok(Self { dir, headers, pattern })
    }

    /// Whether a file of this name belongs to the group.
    pub(super) fn wants(&self, name: &std::ffi::OsStr) -> bool {
        self.pattern.is_match(&name.to_string_lossy())
    }
}

impl Checked {
    /// The group whose directory holds this path, if it is one.
    pub(super) fn group_of_dir(&self, path: &Path) -> Option<usize> {
        let dir = path.parent()?;
        self.groups.iter().position(|group| group.dir == dir)
    }
}

const KIND: Kind = Kind("tail directory source");
