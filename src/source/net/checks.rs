//! Checks of settings that listening sources share. An error says what is wrong, and what would be right.

use std::time::Duration;

/// A number below its smallest value is a mistake; `why` is put behind that value.
pub(crate) fn at_least(name: &str, value: usize, min: usize, why: &str) -> Result<(), String> {
    if value < min { Err(format!("{name} is {value}; it must be at least {min}{why}")) } else { Ok(()) }
}

/// A time of zero for what clients do is a mistake.
pub(crate) fn not_zero(timeouts: &[(&str, Duration)]) -> Result<(), String> {
    match timeouts.iter().find(|(_, timeout)| timeout.is_zero()) {
        None => Ok(()),
        Some((name, _)) => {
            Err(format!("{name} is zero, so that every client would be closed at once; it must be longer"))
        }
    }
}
