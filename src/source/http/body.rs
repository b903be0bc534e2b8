//! Bodies of requests, read within limits.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use super::Rejection;
use super::hold::Hold;
use crate::limits::{HTTP_GZIP_BYTES_FREE, HTTP_GZIP_RATIO_MAX, HTTP_READ_BYTES};

/// Bytes that are held, up to a limit, in a buffer that grows as they come: nobody gets memory for announcing some.
struct Buffer<'a> {
    bytes: Vec<u8>,
    hold: &'a Hold,
    // Bytes that are held besides.
    before: usize,
    max: usize,
}

impl Buffer<'_> {
    fn extend(&mut self, more: &[u8]) -> Result<(), Rejection> {
        let needed = self.bytes.len().saturating_add(more.len());
        if needed > self.max {
            return Err(Rejection::too_large(format!("the body is over the limit of {} bytes", self.max)));
        }
        if needed > self.bytes.capacity() {
            let capacity = self.bytes.capacity().saturating_mul(2).clamp(needed, self.max);
            if !self.hold.grow_to(self.before.saturating_add(capacity)) {
                return Err(Rejection::busy("the source holds as many bytes as it may; send the request again later"));
            }
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    /// The bytes, in memory of their own size: they may stay in a channel for long.
    fn finish(self) -> Bytes {
        self.bytes.into_boxed_slice().into()
    }
}

/// Reads a body of up to `max` bytes, and nothing of one that is longer and says so.
pub(super) async fn read(mut body: Incoming, hold: &Hold, max: usize) -> Result<Bytes, Rejection> {
    let announced = body.size_hint().lower();
    if announced > max as u64 {
        let reason = format!("the body has {announced} bytes, which is over the limit of {max}");
        return Err(Rejection::too_large(reason));
    }
    let mut buffer = Buffer { bytes: Vec::new(), hold, before: 0, max };
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Rejection::bad_request(format!("the body cannot be read: {error}")))?;
        // Anything else is trailers, which mean nothing here.
        if let Ok(data) = frame.into_data() {
            buffer.extend(&data)?;
        }
    }
    Ok(buffer.finish())
}

/// Unpacks a body to up to `max` bytes, and refuses one that grows suspiciously much.
pub(super) fn unpack(body: &[u8], hold: &Hold, max: usize) -> Result<Bytes, Rejection> {
    let by_ratio = body.len().saturating_mul(HTTP_GZIP_RATIO_MAX).max(HTTP_GZIP_BYTES_FREE);
    let mut buffer = Buffer { bytes: Vec::new(), hold, before: body.len(), max: max.min(by_ratio) };
    let mut decoder = MultiGzDecoder::new(body);
    let mut chunk = vec![0; HTTP_READ_BYTES];
    loop {
        match decoder.read(&mut chunk) {
            Ok(0) => return Ok(buffer.finish()),
            Ok(read) => buffer.extend(chunk.get(..read).unwrap_or_default())?,
            Err(error) => return Err(Rejection::bad_request(format!("the body is not gzip: {error}"))),
        }
    }
}
