//! Names of files: `<prefix><series>-<number>[.<extension>]`, as Flume's path manager `DEFAULT` makes them.

use super::FileRollError;
use super::position::Place;
use crate::limits::FILE_NAME_BYTES_MAX;

/// What is the same in all names.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) prefix: String,
    pub(super) extension: String,
    pub(super) suffix: String,
}

impl Names {
    /// The name of a finished file.
    pub(super) fn finished(&self, place: Place) -> String {
        let Place { series, number } = place;
        if self.extension.is_empty() {
            format!("{}{series}-{number}", self.prefix)
        } else {
            format!("{}{series}-{number}.{}", self.prefix, self.extension)
        }
    }

    /// The name of the file while it is written.
    pub(super) fn in_progress(&self, place: Place) -> String {
        self.finished(place) + &self.suffix
    }

    /// Whether the name is one of this series.
    pub(super) fn is_of_series(&self, name: &str, series: u64) -> bool {
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
        if longest.len() > FILE_NAME_BYTES_MAX {
            let why = "makes names of more than 255 bytes, together with what else is in a name";
            return Err(FileRollError::Name { what: "prefix", value: self.prefix.clone(), why });
        }
        Ok(())
    }
}
