//! Compression of a connection: one zlib stream for each direction, flushed after each write, as Flume's `deflate` has it.

use std::io::{self, ErrorKind, Read, Write};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::limits::CONNECTION_READ_BYTES;

/// The state of both directions. Its memory does not depend on what comes: inflated bytes are made only as far as the
/// reader has room for them.
pub(crate) struct Deflate {
    compress: Compress,
    decompress: Decompress,
    // Compressed bytes that were received and not yet inflated.
    input: Vec<u8>,
    input_at: usize,
    // Compressed bytes that are still to be sent.
    output: Vec<u8>,
    output_at: usize,
    // Something was compressed since the last flush.
    unflushed: bool,
    ended: bool,
}

/// With so much output waiting, nothing is compressed before the layer below takes some.
const OUTPUT_WAITING_MAX: usize = 64 << 10;
/// The compressor stops when it has made so much. More than it keeps inside, so that it always consumes some input.
const OUTPUT_BYTES_MAX: usize = 256 << 10;

impl Deflate {
    /// `level` is zlib's, 0 to 9.
    pub(crate) fn new(level: u32) -> Self {
        Self {
            compress: Compress::new(Compression::new(level.min(9)), true),
            decompress: Decompress::new(true),
            input: Vec::new(),
            input_at: 0,
            output: Vec::new(),
            output_at: 0,
            unflushed: false,
            ended: false,
        }
    }

    pub(super) fn has_output(&self) -> bool {
        self.output_at < self.output.len()
    }

    pub(super) fn read(&mut self, below: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while !self.ended {
            let (read, written) = (self.decompress.total_in(), self.decompress.total_out());
            let input = self.input.get(self.input_at..).unwrap_or_default();
            let status = self.decompress.decompress(input, buffer, FlushDecompress::Sync).map_err(|error| {
                let text = format!("not what zlib compresses ({error}); is compression set on both sides?");
                io::Error::new(ErrorKind::InvalidData, text)
            })?;
            self.input_at += delta(self.decompress.total_in(), read);
            self.ended = status == Status::StreamEnd;
            let made = delta(self.decompress.total_out(), written);
            if made > 0 {
                return Ok(made);
            }
            if self.ended || self.input_at < self.input.len() {
                // With room for output, only the end leaves input over.
                self.ended = true;
                break;
            }
            self.input.resize(CONNECTION_READ_BYTES, 0);
            self.input_at = 0;
            let received = below.read(&mut self.input).inspect_err(|_| self.input.clear())?;
            self.input.truncate(received);
            if received == 0 {
                break;
            }
        }
        Ok(0)
    }

    pub(super) fn write(&mut self, below: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
        if self.output.len() - self.output_at >= OUTPUT_WAITING_MAX {
            self.send(below)?;
        }
        let read = self.compress.total_in();
        self.compress(bytes, FlushCompress::None)?;
        self.unflushed = true;
        Ok(delta(self.compress.total_in(), read))
    }

    pub(super) fn flush(&mut self, below: &mut impl Write) -> io::Result<()> {
        if self.unflushed {
            // Until there is room left in the output: then the flush is complete.
            while self.compress(&[], FlushCompress::Sync)? {}
            self.unflushed = false;
        }
        self.send(below)?;
        below.flush()
    }

    /// Compresses into the output. Returns whether it was filled, so that there may be more to come.
    fn compress(&mut self, bytes: &[u8], flush: FlushCompress) -> io::Result<bool> {
        self.output.drain(..self.output_at);
        self.output_at = 0;
        let mut made = [0; 4096];
        let mut rest = bytes;
        loop {
            let (read, written) = (self.compress.total_in(), self.compress.total_out());
            self.compress.compress(rest, &mut made, flush).map_err(io::Error::other)?;
            let length = delta(self.compress.total_out(), written);
            self.output.extend_from_slice(made.get(..length).unwrap_or_default());
            rest = rest.get(delta(self.compress.total_in(), read)..).unwrap_or_default();
            if length < made.len() {
                return Ok(false);
            }
            if self.output.len() >= OUTPUT_BYTES_MAX {
                return Ok(true);
            }
        }
    }

    fn send(&mut self, below: &mut impl Write) -> io::Result<()> {
        while let Some(rest) = self.output.get(self.output_at..).filter(|rest| !rest.is_empty()) {
            match below.write(rest)? {
                0 => return Err(ErrorKind::WriteZero.into()),
                written => self.output_at += written,
            }
        }
        self.output.clear();
        self.output_at = 0;
        Ok(())
    }
}

/// How far a counter of the compressor went in one call, which is never more than a buffer in memory.
fn delta(now: u64, before: u64) -> usize {
    usize::try_from(now.saturating_sub(before)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
