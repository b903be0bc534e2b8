//! Names of files: `<prefix><series>-<number>[.<extension>]`, as Flume's path manager `DEFAULT` makes them, or
//! `<prefix><time>-<number>[.<extension>]`, as `ROLLTIME` does.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::FileRollError;
use super::position::Place;
use crate::limits::FILE_NAME_BYTES_MAX;

/// What finished files of a [`FileRoll`](super::FileRoll) are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileNaming {
    /// `<prefix><start>-<number>[.<extension>]`: Flume's path manager `DEFAULT`.
    #[default]
    Start,
    /// `<prefix><time>-<number>[.<extension>]`: Flume's path manager `ROLLTIME`. The time is that at which the file was
    /// begun, in the system's time zone, such as `20261123221415`; the number counts the files of that second from 1.
    Date,
}

/// What is the same in all names.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) naming: FileNaming,
    pub(super) prefix: String,
    pub(super) extension: String,
    pub(super) suffix: String,
    /// Whose files in progress are unclaimed ones of this sink: `.<owner>-`, see [`Names::own`].
    pub(super) owner: String,
}

impl Names {
    /// The name of a finished file that was begun at this time, in milliseconds since 1970, when `taken` names before it
    /// are not free.
    pub(super) fn finished(&self, place: Place, begun: u64, taken: u64) -> String {
        match self.naming {
            FileNaming::Start => self.of_series(place.after(taken)),
            FileNaming::Date => self.whole(&format!("{}-{}", second(begun), taken.saturating_add(1))),
        }
    }

    /// The name of the file while it is written.
    pub(super) fn in_progress(&self, place: Place) -> String {
        self.of_series(place) + &self.suffix
    }

    /// The number of a file in progress of this series, if this is the name of one.
    pub(super) fn number_in_progress(&self, name: &str, series: u64) -> Option<u64> {
        let rest =
            name.strip_prefix(self.prefix.as_str())?.strip_prefix(series.to_string().as_str())?.strip_prefix('-')?;
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number = rest.get(..digits)?.parse().ok()?;
        (self.in_progress(Place { series, number }) == name).then_some(number)
    }

    pub(super) fn of_series(&self, place: Place) -> String {
        self.whole(&format!("{}-{}", place.series, place.number))
    }

    fn whole(&self, stem: &str) -> String {
        let dot = if self.extension.is_empty() { "" } else { "." };
        format!("{}{stem}{dot}{}", self.prefix, self.extension)
    }

    /// Remembers whose files these are. The name of a sink can be longer than that of a file, and contain what a file name
    /// must not: so its hash, FNV-1a with 64 bits, stands for it.
    pub(super) fn own(&mut self, sink: &str) {
        let bytes = sink.bytes().chain(self.prefix.bytes());
        let hash = bytes
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        self.owner = format!(".{hash:0OWNER_DIGITS$x}-");
    }

    /// The name of a file in progress while no committed take has named its series.
    pub(super) fn unclaimed(&self, in_progress: &str) -> String {
        format!("{}{in_progress}", self.owner)
    }

    /// Whether the name is one of this series.
    pub(super) fn is_of_series(&self, name: &str, series: u64) -> bool {
        let claimed = name.strip_prefix('.').and_then(|rest| {
            let (owner, rest) = rest.split_at_checked(OWNER_DIGITS)?;
            let is_owner = owner.bytes().all(|byte| byte.is_ascii_hexdigit());
            if is_owner { rest.strip_prefix('-') } else { None }
        });
        self.begins_series(name, series) || claimed.is_some_and(|name| self.begins_series(name, series))
    }

    fn begins_series(&self, name: &str, series: u64) -> bool {
        name.strip_prefix(self.prefix.as_str())
            .and_then(|rest| rest.strip_prefix(series.to_string().as_str()))
            .is_some_and(|rest| rest.starts_with('-'))
    }

    /// Checks what the user has set.
    pub(super) fn check(&self) -> Result<(), FileRollError> {
        for (what, value) in [("prefix", &self.prefix), ("extension", &self.extension), ("suffix", &self.suffix)] {
            if value.contains(|c: char| c == '/' || c.is_control()) {
                return Err(FileRollError::Name {
                    what,
                    value: value.clone(),
                    why: "contains `/` or a control character",
                });
            }
        }
        // A file in progress must not look like a finished one: `1-1` and the suffix `0` would give `1-10`.
        if !self.suffix.starts_with(|c: char| !c.is_ascii_digit()) {
            let why = "is empty or begins with a digit, so that unfinished files would look like finished ones";
            return Err(FileRollError::Name { what: "suffix", value: self.suffix.clone(), why });
        }
        let longest = self.in_progress(Place { series: u64::MAX, number: u64::MAX });
        if longest.len() + OWNER_DIGITS + 2 > FILE_NAME_BYTES_MAX {
            let why = "makes names of more than 255 bytes, together with what else is in a name";
            return Err(FileRollError::Name { what: "prefix", value: self.prefix.clone(), why });
        }
        Ok(())
    }
}

/// Year, month, day, hour, minute and second in the system's time zone, without anything between them.
fn second(millis: u64) -> String {
    let time = i64::try_from(millis).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    TimeZone::system().to_datetime(time.unwrap_or(Timestamp::MAX)).strftime("%Y%m%d%H%M%S").to_string()
}

// In hexadecimal; a dot stands before them, and a hyphen behind.
const OWNER_DIGITS: usize = 16;
