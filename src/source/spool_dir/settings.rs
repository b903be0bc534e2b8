//! The settings of the source, and their check.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use super::deserializer::Deserializer;
use crate::codec::charset::{Charset, DecodeError};
use crate::codec::line::Overlong;
use crate::codec::pattern::Pattern;
use crate::limits::{BODY_BYTES_MAX, LINE_BYTES_MAX, SPOOL_LINE_BYTES_CEILING, SPOOL_READ_BYTES};
use crate::source::SettingError;
use crate::source::files::absolute;
use crate::source::setting::Kind;

/// Which file of those that are present is read next. Files of the same age are read in the order of their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsumeOrder {
    /// By time of last modification, the oldest first.
    #[default]
    Oldest,
    /// By time of last modification, the youngest first.
    Youngest,
    /// In random order.
    Random,
}

/// How a file that was read to its end is kept from being read again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Completed {
    /// It is renamed by appending a suffix.
    Rename {
        /// The suffix; `.COMPLETED` by default.
        suffix: String,
    },
    /// It is removed.
    Delete,
    /// It is left as it is, and a small file of its name and a suffix is created in a directory besides.
    Tracker {
        /// The directory; a relative one is below the spool directory. It is created if it does not exist, its parent is not.
        dir: PathBuf,
        /// The suffix; `.COMPLETED` by default.
        suffix: String,
    },
}

impl Completed {
    /// Renaming with the suffix `.COMPLETED`.
    #[must_use]
    pub fn rename() -> Self {
        Self::Rename { suffix: SUFFIX.to_owned() }
    }

    /// Tracking in `dir` with the suffix `.COMPLETED`; Flume's directory is `.flumespool`.
    #[must_use]
    pub fn tracker(dir: impl Into<PathBuf>) -> Self {
        Self::Tracker { dir: dir.into(), suffix: SUFFIX.to_owned() }
    }
}

impl Default for Completed {
    fn default() -> Self {
        Self::rename()
    }
}

/// What the longest line is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineUnit {
    Bytes,
    Chars,
}

/// Settings as given.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // each is a switch of its own
pub(super) struct Settings {
    pub(super) dir: PathBuf,
    pub(super) include: Option<String>,
    pub(super) ignore: Option<String>,
    pub(super) ignore_suffix: Option<String>,
    pub(super) order: ConsumeOrder,
    pub(super) completed: Completed,
    pub(super) recursive: bool,
    pub(super) follow_links: bool,
    pub(super) file_header: Option<String>,
    pub(super) basename_header: Option<String>,
    pub(super) truncated_header: Option<String>,
    /// `None`: bodies are the bytes of the file.
    pub(super) encoding: Option<String>,
    pub(super) deserializer: Deserializer,
    pub(super) skip_empty_files: bool,
    pub(super) decode_error: DecodeError,
    pub(super) line_max: usize,
    pub(super) line_unit: LineUnit,
    pub(super) overlong: Overlong,
    pub(super) read_bytes: usize,
    pub(super) until_empty: bool,
}

/// Settings that were found to be usable.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) dir: PathBuf,
    /// The directory as it appears in headers.
    pub(super) absolute_dir: PathBuf,
    pub(super) include: Option<Pattern>,
    pub(super) ignore: Option<Pattern>,
    pub(super) charset: Charset,
    pub(super) completed: Completed,
    /// The directory of the tracker files.
    pub(super) tracker_dir: Option<PathBuf>,
    pub(super) given: Settings,
}

impl Settings {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            include: None,
            ignore: None,
            ignore_suffix: None,
            order: ConsumeOrder::default(),
            completed: Completed::default(),
            recursive: false,
            follow_links: false,
            file_header: None,
            basename_header: None,
            truncated_header: None,
            encoding: Some("UTF-8".to_owned()),
            deserializer: Deserializer::Lines,
            skip_empty_files: false,
            decode_error: DecodeError::default(),
            line_max: LINE_BYTES_MAX,
            line_unit: LineUnit::Bytes,
            overlong: Overlong::default(),
            read_bytes: SPOOL_READ_BYTES,
            until_empty: false,
        }
    }

    pub(super) fn check(&self) -> Result<Checked, SettingError> {
        let shown_dir = self.dir.to_string_lossy();
        if self.dir.as_os_str().is_empty() {
            return Err(KIND.error("dir", shown_dir, "is empty; name the directory to read"));
        }
        let absolute_dir = absolute(&self.dir)
            .map_err(|error| KIND.error("dir", shown_dir, format!("cannot be made absolute: {error}")))?;
        let label = self.encoding.as_deref();
        let charset = label.map_or(Some(Charset::BYTES), Charset::for_label).ok_or_else(|| {
            let reason = "is no known encoding; give a label such as UTF-8, UTF-16LE, ISO-8859-1 or Shift_JIS";
            KIND.error("encoding", label.unwrap_or_default(), reason)
        })?;
        self.deserializer.check()?;
        if !(4..=SPOOL_LINE_BYTES_CEILING).contains(&self.line_max) {
            let reason = format!(
                "must be from 4 to {SPOOL_LINE_BYTES_CEILING}, and a channel takes {BODY_BYTES_MAX} by default"
            );
            return Err(KIND.error("line_max_bytes", self.line_max.to_string(), reason));
        }
        if !(1..=SPOOL_LINE_BYTES_CEILING).contains(&self.read_bytes) {
            let reason = format!("must be from 1 to {SPOOL_LINE_BYTES_CEILING}");
            return Err(KIND.error("read_bytes", self.read_bytes.to_string(), reason));
        }
        KIND.check_header("file_header", self.file_header.as_deref())?;
        KIND.check_header("basename_header", self.basename_header.as_deref())?;
        KIND.check_header("truncated_header", self.truncated_header.as_deref())?;
        Ok(Checked {
            dir: self.dir.clone(),
            absolute_dir,
            include: whole_name("include", self.include.as_deref())?,
            ignore: whole_name("ignore", self.ignore.as_deref())?,
            charset: if self.deserializer.is_text() { charset } else { Charset::BYTES },
            completed: self.completed.clone(),
            tracker_dir: self.check_completed()?,
            given: self.clone(),
        })
    }

    fn check_completed(&self) -> Result<Option<PathBuf>, SettingError> {
        if let Some(suffix) = self.ignore_suffix.as_ref().filter(|suffix| suffix.is_empty()) {
            return Err(KIND.error("ignore_suffix", suffix, "must not be empty: all names end like that"));
        }
        let (suffix, dir) = match &self.completed {
            Completed::Delete => return Ok(None),
            Completed::Rename { suffix } => (suffix, None),
            Completed::Tracker { dir, suffix } => (suffix, Some(dir)),
        };
        if suffix.is_empty() || suffix.contains(['/', '\0']) {
            let reason = "must not be empty, nor contain a slash or NUL; Flume's is .COMPLETED";
            return Err(KIND.error("completed suffix", suffix, reason));
        }
        let Some(dir) = dir else { return Ok(None) };
        let is_plain = dir.components().all(|part| !matches!(part, Component::ParentDir | Component::CurDir));
        if dir.as_os_str().is_empty() || !is_plain {
            let reason = "must name a directory, without . and .. in its path; Flume's is .flumespool";
            return Err(KIND.error("completed tracker dir", dir.to_string_lossy(), reason));
        }
        let joined = self.dir.join(dir);
        if joined == self.dir {
            let reason = "must not be the spool directory itself";
            return Err(KIND.error("completed tracker dir", dir.to_string_lossy(), reason));
        }
        Ok(Some(joined))
    }
}

impl Checked {
    /// The suffix of completed files or of tracker files.
    pub(super) fn suffix(&self) -> &OsStr {
        match &self.completed {
            Completed::Delete => OsStr::new(""),
            Completed::Rename { suffix } | Completed::Tracker { suffix, .. } => OsStr::new(suffix.as_str()),
        }
    }

    pub(super) fn path(&self, rel: &Path) -> PathBuf {
        self.dir.join(rel)
    }

    /// Whether a file of this name is wanted.
    pub(super) fn wants(&self, name: &str) -> bool {
        let is_ignored = self.given.ignore_suffix.as_ref().is_some_and(|suffix| name.ends_with(suffix.as_str()));
        !is_ignored && self.include.as_ref().is_none_or(|include| include.is_match(name)) && !self.ignores(name)
    }

    /// Whether a file or directory of this name is ignored.
    pub(super) fn ignores(&self, name: &str) -> bool {
        self.ignore.as_ref().is_some_and(|ignore| ignore.is_match(name))
    }
}

/// An expression that matches whole names only.
fn whole_name(setting: &'static str, pattern: Option<&str>) -> Result<Option<Pattern>, SettingError> {
    let Some(pattern) = pattern else { return Ok(None) };
    Pattern::whole(pattern).map(Some).map_err(|error| KIND.error(setting, pattern, error.reason))
}

pub(super) const KIND: Kind = Kind("spool directory source");
const SUFFIX: &str = ".COMPLETED";
