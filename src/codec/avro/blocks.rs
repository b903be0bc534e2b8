//! The data of a container file that arrives in pieces.

use bytes::{Buf, Bytes, BytesMut};

use super::container::{Header, SYNC_BYTES, sync};
use super::data::{Malformed, Reader};
use super::schema::{Shape, ShapeError};
use crate::limits::{AVRO_BLOCK_BYTES_MAX, AVRO_EMPTY_ITEMS_MAX};

/// Takes data out of the blocks of a container file, each as the bytes that stand there.
#[derive(Debug)]
pub(crate) struct Blocks {
    header: Header,
    shape: Shape,
    // From `start` on; a whole block is taken out at once.
    buffered: BytesMut,
    start: u64,
    // So many data of the block at `start` are passed over.
    within: u64,
    block: Option<Block>,
}

/// An unpacked block.
#[derive(Debug)]
struct Block {
    data: Bytes,
    at: usize,
    left: u64,
    // Bytes of it in the file.
    len: u64,
}

/// What is wrong with a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BlockError {
    #[error("the block is not valid: {0}")]
    Malformed(#[from] Malformed),
    #[error("the block does not end with the mark of the file")]
    Mark,
    #[error("the block cannot be unpacked: {0}")]
    Packed(String),
    #[error("the file ends within a block")]
    Unfinished,
}

impl Blocks {
    /// The data behind a header, from a place that [`offset`](Self::offset) and [`within`](Self::within) gave: what comes
    /// first is what stands at the larger of `offset` and the end of the header.
    pub(crate) fn new(header: Header, offset: u64, within: u64) -> Result<Self, ShapeError> {
        let shape = Shape::of(&header.schema)?;
        let start = offset.max(header.len as u64);
        Ok(Self { header, shape, buffered: BytesMut::new(), start, within, block: None })
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Where the block of the next datum begins; 0 before the first one.
    pub(crate) fn offset(&self) -> u64 {
        let is_first = self.within == 0 && self.start == self.header.len as u64;
        if is_first { 0 } else { self.start }
    }

    /// Data of that block before the next one.
    pub(crate) fn within(&self) -> u64 {
        self.within
    }

    /// Bytes held, packed and not.
    pub(crate) fn buffered_bytes(&self) -> usize {
        // A datum may have none.
        let block = self.block.as_ref().map_or(0, |block| (block.data.len() - block.at).max(1));
        self.buffered.len() + block
    }

    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.buffered.extend_from_slice(piece);
    }

    /// The next datum, or `None` if more of the file is needed.
    pub(crate) fn next_datum(&mut self) -> Result<Option<Bytes>, BlockError> {
        while self.block.is_none() {
            if !self.open_block()? {
                return Ok(None);
            }
        }
        let Some(block) = &mut self.block else { return Ok(None) };
        let datum = block.next(&self.shape)?;
        self.within += 1;
        if block.left == 0 {
            if block.at < block.data.len() {
                return Err(Malformed::Rest(block.data.len() - block.at).into());
            }
            self.start += block.len;
            self.within = 0;
            self.block = None;
        }
        Ok(Some(datum))
    }

    /// That nothing is left at the end of the file.
    pub(crate) fn end(&self) -> Result<(), BlockError> {
        if self.buffered.is_empty() && self.block.is_none() { Ok(()) } else { Err(BlockError::Unfinished) }
    }

    /// Unpacks the next block, if it is there as a whole and has data; returns whether it was there.
    fn open_block(&mut self) -> Result<bool, BlockError> {
        let mut reader = Reader::new(&self.buffered);
        let Some((items, packed)) = block_head(&mut reader)? else { return Ok(false) };
        let head = self.buffered.len() - reader.rest().len();
        let Some(mark) = reader.rest().get(packed..packed + SYNC_BYTES) else { return Ok(false) };
        if sync(mark) != self.header.sync {
            return Err(BlockError::Mark);
        }
        let len = (head + packed + SYNC_BYTES) as u64;
        self.buffered.advance(head);
        let data = self.buffered.split_to(packed).freeze();
        self.buffered.advance(SYNC_BYTES);
        let mut block = Block { data: self.unpacked(data)?, at: 0, left: items, len };
        if items > (block.data.len() as u64).max(AVRO_EMPTY_ITEMS_MAX as u64) {
            return Err(Malformed::Range("the number of its data").into());
        }
        for _ in 0..self.within {
            if block.left == 0 {
                break;
            }
            block.next(&self.shape)?;
        }
        if block.left > 0 {
            self.block = Some(block);
        } else {
            self.start += len;
            self.within = 0;
        }
        Ok(true)
    }

    fn unpacked(&self, data: Bytes) -> Result<Bytes, BlockError> {
        if self.header.codec == apache_avro::Codec::Null {
            return Ok(data);
        }
        if self.header.codec == apache_avro::Codec::Snappy && !is_plausible(&data) {
            return Err(BlockError::Packed("it claims to be longer than it can be".to_owned()));
        }
        let mut unpacked = data.into();
        self.header.codec.decompress(&mut unpacked).map_err(|error| BlockError::Packed(error.to_string()))?;
        Ok(unpacked.into())
    }
}

impl Block {
    fn next(&mut self, shape: &Shape) -> Result<Bytes, Malformed> {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let mut reader = Reader::new(rest);
        shape.skip(&mut reader)?;
        let len = rest.len() - reader.rest().len();
        let datum = self.data.slice(self.at..self.at + len);
        self.at += len;
        self.left -= 1;
        Ok(datum)
    }
}

/// Whether the length that Snappy's data claim at their beginning is one that so many bytes can have: room is made for it
/// before it is checked. Three bytes stand for 64 at most.
fn is_plausible(packed: &[u8]) -> bool {
    let bytes = packed.iter().take(5).enumerate();
    let mut claimed = 0_u64;
    for (index, byte) in bytes {
        claimed |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return claimed <= packed.len() as u64 * 22;
        }
    }
    false
}

/// The number of data in a block and its bytes, if they are there.
fn block_head(reader: &mut Reader<'_>) -> Result<Option<(u64, usize)>, Malformed> {
    let mut number = |what| match reader.long(what) {
        Ok(number) => u64::try_from(number).map(Some).map_err(|_| Malformed::Range(what)),
        Err(Malformed::Short(_)) => Ok(None),
        Err(error) => Err(error),
    };
    let Some(items) = number("the number of its data")? else { return Ok(None) };
    let Some(bytes) = number("its length")? else { return Ok(None) };
    let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes <= AVRO_BLOCK_BYTES_MAX);
    Ok(Some((items, bytes.ok_or(Malformed::Range("its length"))?)))
}

#[cfg(test)]
mod tests;
