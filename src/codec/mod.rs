//! Formats, as pure functions and state machines over bytes: no input or output, no clock.

#[cfg(any(feature = "avro", feature = "rpc"))]
pub(crate) mod avro;
pub mod charset;
mod date_text;
pub(crate) mod java_date;
pub(crate) mod java_hash;
#[cfg(feature = "http")]
pub(crate) mod json_events;
pub mod line;
pub(crate) mod multi_line;
pub mod pattern;
pub mod syslog;
pub(crate) mod text_line;
pub(crate) mod time_pattern;
pub(crate) mod utf16_stream;
