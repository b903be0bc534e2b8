//! Bodies of requests, read within limits.

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::{sleep, timeout};

use super::Rejection;
use super::hold::Hold;
use super::settings::Settings;
use crate::limits::{
    HTTP_FULL_PAUSE_MIN, HTTP_GZIP_BYTES_FREE, HTTP_GZIP_RATIO_MAX, HTTP_READ_BYTES, SOURCE_FULL_WAIT,
};

/// Bytes that are held, up to a limit, in a buffer that grows as they come: nobody gets memory for announcing some.
struct Buffer<'a> {
    bytes: Vec<u8>,
    hold: &'a Hold,
    // Bytes that are held besides.
    before: usize,
    max: usize,
}

impl Buffer<'_> {
    /// Whether there is room for so many more now.
    fn has_room(&mut self, more: usize) -> Result<bool, Rejection> {
        let needed = self.bytes.len().saturating_add(more);
        if needed > self.max {
            return Err(Rejection::too_large(format!("the body is over the limit of {} bytes", self.max)));
        }
        if needed > self.bytes.capacity() {
            let capacity = self.bytes.capacity().saturating_mul(2).clamp(needed, self.max);
            if !self.hold.grow_to(self.before.saturating_add(capacity)) {
                return Ok(false);
            }
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        Ok(true)
    }

    /// Waits for room for so many more.
    async fn wait_for_room(&mut self, more: usize, limit: Duration) -> Result<(), Rejection> {
        let (mut waited, mut pause) = (Duration::ZERO, HTTP_FULL_PAUSE_MIN);
        while !self.has_room(more)? {
            if waited >= limit {
                return Err(no_room());
            }
            sleep(pause.min(limit.saturating_sub(waited))).await;
            waited += pause;
            pause = (pause * 2).min(SOURCE_FULL_WAIT);
        }
        Ok(())
    }

    /// The bytes, in memory of their own size: they may stay in a channel for long.
    fn finish(self) -> Bytes {
        self.bytes.into_boxed_slice().into()
    }
}

/// Reads a body within the limits of `settings`, and nothing of one that is longer and says so.
pub(super) async fn read(mut body: Incoming, hold: &Hold, settings: &Settings) -> Result<Bytes, Rejection> {
    let max = settings.body_bytes_max;
    let announced = body.size_hint().lower();
    if announced > max as u64 {
        let reason = format!("the body has {announced} bytes, which is over the limit of {max}");
        return Err(Rejection::too_large(reason));
    }
    let mut buffer = Buffer { bytes: Vec::new(), hold, before: 0, max };
    loop {
        let next = timeout(settings.silence_timeout, body.frame()).await;
        let silent = |_| Rejection::too_slow(format!("nothing of the body came for {:?}", settings.silence_timeout));
        let Some(frame) = next.map_err(silent)? else { return Ok(buffer.finish()) };
        let frame = frame.map_err(|error| Rejection::bad_request(format!("the body cannot be read: {error}")))?;
        // Anything else is trailers, which mean nothing here.
        if let Ok(data) = frame.into_data() {
            buffer.wait_for_room(data.len(), settings.full_timeout).await?;
            buffer.bytes.extend_from_slice(&data);
        }
    }
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
            Ok(read) if !buffer.has_room(read)? => return Err(no_room()),
            Ok(read) => buffer.bytes.extend_from_slice(chunk.get(..read).unwrap_or_default()),
            Err(error) => return Err(Rejection::bad_request(format!("the body is not gzip: {error}"))),
        }
    }
}

fn no_room() -> Rejection {
    Rejection::busy("the source holds as many bytes as it may; send the request again later")
}
