//! Flume's events in Avro container files.

use std::error::Error;

use apache_avro::Codec;

use super::{SerializeResult, Serializer};
use crate::codec::avro::container::{Sync, codec, put_block, put_header, read_header};
use crate::codec::avro::data::{put_bytes, put_long};
use crate::event::Event;
use crate::limits::{AVRO_SYNC_INTERVAL_BYTES, AVRO_SYNC_INTERVAL_BYTES_CEILING, AVRO_SYNC_INTERVAL_BYTES_MIN};
use crate::random::seed;

/// An Avro container file with headers and body of each event: Flume's serializer `avro_event`.
///
/// Each batch is a block of its own, or several if it is larger than
/// [`sync_interval_bytes`](Self::sync_interval_bytes). So a file that is cut back to a committed batch, or read while it is
/// written, is a container file at any time.
///
/// ```
/// use aqueduct::FileRoll;
/// use aqueduct::sink::{AvroCompression, AvroEvent};
///
/// let serializer = AvroEvent::new().compression(AvroCompression::Deflate);
/// let sink = FileRoll::new("out").extension("avro").serializer(serializer);
/// ```
#[derive(Debug)]
pub struct AvroEvent {
    codec: Codec,
    sync_interval_bytes: usize,
    sync: Sync,
    // The events of the block in progress.
    block: Vec<u8>,
    count: i64,
}

/// How the blocks of an Avro container file are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AvroCompression {
    /// Not at all, as in Flume.
    #[default]
    Null,
    /// Deflate (RFC 1951), at its default level.
    Deflate,
    /// Snappy, with a checksum.
    Snappy,
    /// Bzip2.
    Bzip2,
}

impl AvroEvent {
    /// The serializer with Flume's defaults: no compression, blocks of 2,048,000 bytes at most.
    #[must_use]
    pub fn new() -> Self {
        Self {
            codec: Codec::Null,
            sync_interval_bytes: AVRO_SYNC_INTERVAL_BYTES,
            sync: Sync::default(),
            block: Vec::new(),
            count: 0,
        }
    }

    /// How blocks are compressed.
    #[must_use]
    pub fn compression(mut self, compression: AvroCompression) -> Self {
        self.codec = codec(compression.name()).unwrap_or(Codec::Null);
        self
    }

    /// Bytes of events after which a block ends, also within a batch. Raised to 32 and cut to 64 MiB.
    #[must_use]
    pub fn sync_interval_bytes(mut self, bytes: usize) -> Self {
        self.sync_interval_bytes = bytes.clamp(AVRO_SYNC_INTERVAL_BYTES_MIN, AVRO_SYNC_INTERVAL_BYTES_CEILING);
        self
    }

    fn end_block(&mut self, out: &mut Vec<u8>) -> SerializeResult {
        if self.count > 0 {
            self.codec.compress(&mut self.block)?;
            put_block(out, self.count, &self.block, &self.sync);
            self.clear();
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.block.clear();
        // A giant event must not keep its memory for ever.
        self.block.shrink_to(2 * self.sync_interval_bytes);
        self.count = 0;
    }
}

impl Default for AvroEvent {
    fn default() -> Self {
        Self::new()
    }
}

impl Serializer for AvroEvent {
    fn begin(&mut self, out: &mut Vec<u8>) -> SerializeResult {
        self.clear();
        self.sync = random_sync();
        put_header(out, SCHEMA, self.codec, &self.sync);
        Ok(())
    }

    fn resume(&mut self, head: &[u8]) -> Result<bool, Box<dyn Error + Send + std::marker::Sync>> {
        self.clear();
        // A file of another format, or with other settings, is finished as it stands.
        let Ok(Some(header)) = read_header(head) else { return Ok(false) };
        self.sync = header.sync;
        Ok(header.schema == SCHEMA && header.codec == self.codec)
    }

    fn event(&mut self, event: &Event, out: &mut Vec<u8>) -> SerializeResult {
        let headers = event.headers();
        if !headers.is_empty() {
            put_long(&mut self.block, i64::try_from(headers.len())?);
            for (name, value) in headers {
                put_bytes(&mut self.block, name.as_bytes());
                put_bytes(&mut self.block, value.as_bytes());
            }
        }
        put_long(&mut self.block, 0);
        put_bytes(&mut self.block, event.body());
        self.count += 1;
        if self.block.len() >= self.sync_interval_bytes { self.end_block(out) } else { Ok(()) }
    }

    fn flush_block(&mut self, out: &mut Vec<u8>) -> SerializeResult {
        self.end_block(out)
    }
}

impl AvroCompression {
    fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Deflate => "deflate",
            Self::Snappy => "snappy",
            Self::Bzip2 => "bzip2",
        }
    }
}

/// Bytes that no other file has, and no event.
fn random_sync() -> Sync {
    let halves = [seed(), seed()].map(u64::to_le_bytes);
    let mut sync = Sync::default();
    for (to, from) in sync.iter_mut().zip(halves.as_flattened()) {
        *to = *from;
    }
    sync
}

/// Flume's schema, as its files have it.
const SCHEMA: &str = r#"{"type":"record","name":"Event","fields":[{"name":"headers","type":{"type":"map","values":"string"}},{"name":"body","type":"bytes"}]}"#;

#[cfg(test)]
mod tests;
