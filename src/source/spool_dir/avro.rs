//! Avro container files.

use std::io;

use bytes::Bytes;

use super::content::{Unit, Unusable};
use super::deserializer::AvroSchema;
use super::report::SpoolProblem;
use crate::codec::avro::blocks::{BlockError, Blocks};
use crate::codec::avro::container::{ContainerError, read_header};
use crate::codec::avro::java_text::java_text;
use crate::codec::avro::schema::ShapeError;
use crate::event::Headers;
use crate::limits::AVRO_HEADER_BYTES_MAX;
use crate::source::files::read_up_to;
use crate::vfs::VfsFile;

/// The data of one container file.
#[derive(Debug)]
pub(super) struct Container(Result<Blocks, String>);

impl Container {
    /// Opens a container whose first bytes are known, at a place that [`offset`](Self::offset) and [`within`](Self::within)
    /// gave. A file that is none says so when it is read. Returns also where to read on.
    pub(super) fn open(file: &dyn VfsFile, first: &Bytes, offset: u64, within: u64) -> io::Result<(Self, u64)> {
        let mut head = first.clone();
        loop {
            match read_header(&head) {
                Ok(None) if head.len() < AVRO_HEADER_BYTES_MAX => {
                    let wanted = (2 * head.len()).clamp(HEAD_STEP, AVRO_HEADER_BYTES_MAX);
                    let longer = read_up_to(file, wanted)?;
                    if longer.len() <= head.len() {
                        return Ok(Self::broken("the file ends within its header"));
                    }
                    head = longer;
                }
                Ok(None) => return Ok(Self::broken(format!("its header has more than {AVRO_HEADER_BYTES_MAX} bytes"))),
                Ok(Some(header)) => {
                    let start = offset.max(header.len as u64);
                    let blocks = Blocks::new(header, offset, within).map_err(|error: ShapeError| error.to_string());
                    let start = if blocks.is_ok() { start } else { 0 };
                    return Ok((Self(blocks), start));
                }
                Err(error) => return Ok(Self::broken(broken_header(&error))),
            }
        }
    }

    fn broken(reason: impl Into<String>) -> (Self, u64) {
        (Self(Err(reason.into())), 0)
    }

    /// Adds the header that tells the schema.
    pub(super) fn tell_schema(&self, how: AvroSchema, headers: &mut Headers) -> io::Result<()> {
        let Ok(blocks) = &self.0 else { return Ok(()) };
        let (name, value) = match how {
            AvroSchema::Hash => ("flume.avro.schema.hash", blocks.shape().fingerprint()),
            AvroSchema::Literal => {
                let text = java_text(&blocks.header().schema);
                return headers.insert("flume.avro.schema.literal", &text).map_err(io::Error::other);
            }
        };
        headers.insert(name, value).map_err(io::Error::other)
    }

    pub(super) fn push(&mut self, piece: &[u8]) {
        if let Ok(blocks) = &mut self.0 {
            blocks.push(piece);
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<Unit>, Unusable> {
        match &mut self.0 {
            Err(reason) => Err(malformed(0, reason)),
            Ok(blocks) => {
                let start = blocks.offset();
                let datum = blocks.next_datum().map_err(|error| bad_block(blocks, &error))?;
                Ok(datum.map(|datum| Unit::whole(datum, start)))
            }
        }
    }

    pub(super) fn finish(&mut self) -> Result<Option<Unit>, Unusable> {
        let next = self.next()?;
        if next.is_none()
            && let Ok(blocks) = &self.0
        {
            blocks.end().map_err(|error| bad_block(blocks, &error))?;
        }
        Ok(next)
    }

    pub(super) fn is_finished(&self) -> bool {
        self.0.as_ref().is_ok_and(|blocks| blocks.end().is_ok())
    }

    pub(super) fn offset(&self) -> u64 {
        self.0.as_ref().map_or(0, Blocks::offset)
    }

    pub(super) fn within(&self) -> u64 {
        self.0.as_ref().map_or(0, Blocks::within)
    }

    pub(super) fn buffered_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, Blocks::buffered_bytes)
    }
}

fn bad_block(blocks: &Blocks, error: &BlockError) -> Unusable {
    malformed(blocks.offset(), &error.to_string())
}

fn broken_header(error: &ContainerError) -> String {
    error.to_string()
}

fn malformed(offset: u64, reason: &str) -> Unusable {
    Unusable(SpoolProblem::Malformed { offset, reason: reason.to_owned() })
}

/// A header is looked for in so many bytes at first.
const HEAD_STEP: usize = 8192;
