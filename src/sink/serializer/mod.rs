//! Serializers: how events become the bytes of a file.

#[cfg(feature = "avro")]
mod avro_event;
#[cfg(feature = "json")]
mod json;
mod text;

use std::error::Error;

use crate::event::Event;

#[cfg(feature = "avro")]
#[cfg_attr(docsrs, doc(cfg(feature = "avro")))]
pub use avro_event::{AvroCompression, AvroEvent};
#[cfg(feature = "json")]
#[cfg_attr(docsrs, doc(cfg(feature = "json")))]
pub use json::JsonLines;
pub use text::{HeaderAndText, Text};

/// Turns events into the bytes of a file.
///
/// Life, for each file: [`begin`](Self::begin) for a new one or [`resume`](Self::resume) for one that is gone on with; for
/// each batch [`event`](Self::event) for its events and then [`flush_block`](Self::flush_block); [`end`](Self::end). All of
/// them append to `out`, which the sink writes to the file; what they appended before is out of their reach.
///
/// A file can be cut at the end of any batch, without `end` and without notice: that is what a crash leaves, and what the
/// sink cuts it back to. A format should be readable when it is.
///
/// ```
/// use aqueduct::Event;
/// use aqueduct::sink::{SerializeResult, Serializer};
///
/// /// A line of `<length> <body>` for each event.
/// struct Lengths;
///
/// impl Serializer for Lengths {
///     fn event(&mut self, event: &Event, out: &mut Vec<u8>) -> SerializeResult {
///         out.extend_from_slice(format!("{} ", event.body().len()).as_bytes());
///         out.extend_from_slice(event.body());
///         out.push(b'\n');
///         Ok(())
///     }
/// }
/// ```
pub trait Serializer: Send {
    /// Appends one event, or keeps it for [`flush_block`](Self::flush_block).
    ///
    /// # Errors
    /// If this event can never be written in this format. What was appended for it is discarded; the serializer must
    /// have forgotten it, too, because the file goes on without it.
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) -> SerializeResult;

    /// Begins a new file: a header of the format.
    ///
    /// # Errors
    /// They stop the batch, which is tried again later.
    fn begin(&mut self, out: &mut Vec<u8>) -> SerializeResult {
        let _ = out;
        Ok(())
    }

    /// Goes on with a file that begins with `head` (all of it, or the first
    /// [`SERIALIZER_HEAD_BYTES`](crate::limits::SERIALIZER_HEAD_BYTES)) and ends with a whole batch. The answer `false`
    /// says that it cannot be appended to: the sink finishes the file as it stands and begins another.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    fn resume(&mut self, head: &[u8]) -> Result<bool, Box<dyn Error + Send + Sync>> {
        let _ = head;
        Ok(true)
    }

    /// The batch ends: appends what was kept.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    fn flush_block(&mut self, out: &mut Vec<u8>) -> SerializeResult {
        let _ = out;
        Ok(())
    }

    /// Ends the file: a footer of the format.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    fn end(&mut self, out: &mut Vec<u8>) -> SerializeResult {
        let _ = out;
        Ok(())
    }
}

impl<S: Serializer + ?Sized> Serializer for Box<S> {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) -> SerializeResult {
        (**self).event(event, out)
    }

    fn begin(&mut self, out: &mut Vec<u8>) -> SerializeResult {
        (**self).begin(out)
    }

    fn resume(&mut self, head: &[u8]) -> Result<bool, Box<dyn Error + Send + Sync>> {
        (**self).resume(head)
    }

    fn flush_block(&mut self, out: &mut Vec<u8>) -> SerializeResult {
        (**self).flush_block(out)
    }

    fn end(&mut self, out: &mut Vec<u8>) -> SerializeResult {
        (**self).end(out)
    }
}

/// What the methods of a [`Serializer`] give back.
pub type SerializeResult = Result<(), Box<dyn Error + Send + Sync>>;
