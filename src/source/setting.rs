//! What is wrong with a setting of a source, and the checks that several of them share.

use crate::limits::HEADER_NAME_BYTES_MAX;

/// A setting of a source that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{component}: {setting} = {value:?}: {reason}")]
#[non_exhaustive]
pub struct SettingError {
    /// What kind of source it is.
    pub component: &'static str,
    /// Name of the setting: that of the builder's method.
    pub setting: &'static str,
    /// Its value.
    pub value: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

/// One kind of source, as its errors name it.
#[derive(Clone, Copy)]
pub(super) struct Kind(pub(super) &'static str);

impl Kind {
    pub(super) fn error(
        self,
        setting: &'static str,
        value: impl Into<String>,
        reason: impl Into<String>,
    ) -> SettingError {
        SettingError { component: self.0, setting, value: value.into(), reason: reason.into() }
    }

    /// Whether events can have a header of this name.
    pub(super) fn check_header(self, setting: &'static str, key: Option<&str>) -> Result<(), SettingError> {
        match key {
            Some(key) if key.is_empty() || key.len() > HEADER_NAME_BYTES_MAX => {
                let reason = format!("must have 1 to {HEADER_NAME_BYTES_MAX} bytes");
                Err(self.error(setting, key.chars().take(80).collect::<String>(), reason))
            }
            _ => Ok(()),
        }
    }
}
