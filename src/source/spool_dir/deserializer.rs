//! What of a file becomes one event.

use super::settings::KIND;
use crate::limits::{BLOB_BYTES_MAX, BODY_BYTES_MAX, SPOOL_LINE_BYTES_CEILING};
use crate::source::SettingError;

pub use crate::codec::multi_line::MultiLine;

/// What of a file becomes one event.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Deserializer {
    /// Each line: Flume's `LINE`.
    #[default]
    Lines,
    /// Several lines that belong together.
    MultiLine(MultiLine),
    /// The whole file, byte for byte: Flume's `BlobDeserializer`. A file that is longer than this goes on as the next event.
    Blob {
        /// Bytes of one event, from 1; see [`Deserializer::blob`].
        bytes_max: usize,
    },
    /// Each datum of an Avro container file, byte for byte: Flume's `AVRO`. Encoding and lengths of lines have no effect.
    #[cfg(feature = "avro")]
    #[cfg_attr(docsrs, doc(cfg(feature = "avro")))]
    Avro(AvroSchema),
}

/// How an event tells the schema of its datum.
#[cfg(feature = "avro")]
#[cfg_attr(docsrs, doc(cfg(feature = "avro")))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AvroSchema {
    /// Header `flume.avro.schema.hash`: the schema's fingerprint CRC-64-AVRO, in hexadecimal digits.
    #[default]
    Hash,
    /// Header `flume.avro.schema.literal`: the schema of the file, as Java writes it (`Schema.toString`).
    Literal,
}

impl Deserializer {
    /// Whole files of up to [`BLOB_BYTES_MAX`] bytes. A channel that is to take them may need a larger limit of its own, which
    /// is [`BODY_BYTES_MAX`] by default.
    #[must_use]
    pub fn blob() -> Self {
        Self::Blob { bytes_max: BLOB_BYTES_MAX }
    }

    /// Whether events are text in the encoding of the files.
    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Lines | Self::MultiLine(_))
    }

    pub(super) fn check(&self) -> Result<(), SettingError> {
        let (setting, bytes, min) = match self {
            Self::MultiLine(lines) => ("deserializer bytes_max", lines.largest(), 4),
            Self::Blob { bytes_max } => ("deserializer bytes_max", *bytes_max, 1),
            _ => return Ok(()),
        };
        if !(min..=SPOOL_LINE_BYTES_CEILING).contains(&bytes) {
            let reason = format!(
                "must be from {min} to {SPOOL_LINE_BYTES_CEILING}, and a channel takes {BODY_BYTES_MAX} by default"
            );
            return Err(KIND.error(setting, bytes.to_string(), reason));
        }
        Ok(())
    }
}
