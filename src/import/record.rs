//! The records of a log of Flume's file channel, version 3 (`LogFileV3`, `TransactionEventRecord`, `filechannel.proto`).
//!
//! ```text
//! record  = operation 1 | length u32 big-endian | payload
//! payload = delimited header | delimited body | delimited footer (empty)
//! ```
//!
//! Numbers inside the payload are little-endian, as Protocol Buffers write them.

use bytes::Bytes;

use super::proto::{Malformed, delimited, field, varint};
use crate::event::{Event, Headers};

/// The place of an event: number of the log, offset of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Pointer {
    pub(super) log: u32,
    pub(super) offset: u32,
}

impl Pointer {
    /// As the checkpoint stores it.
    pub(super) fn from_bits(bits: u64) -> Self {
        #[allow(clippy::cast_possible_truncation)] // the two halves
        Self { log: (bits >> 32) as u32, offset: bits as u32 }
    }
}

/// What a record says, without the event of a put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) transaction: u64,
    /// Order of writing over all logs.
    pub(super) order: u64,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Put,
    Take(Pointer),
    Rollback,
    CommitPuts,
    CommitTakes,
}

pub(super) const RECORD: u8 = 0x7F;
/// A record that Flume's integrity tool has neutralised.
pub(super) const NOOP: u8 = 0;
pub(super) const PADDING: u8 = 0x80;
/// Operation and length.
pub(super) const HEAD_BYTES: u32 = 5;

/// Bytes of a payload within which its header is.
pub(super) const HEADER_BYTES: usize = 64;

/// Reads the payload of a record but for the event of a put.
pub(super) fn decode(mut payload: Bytes) -> Result<Record, Malformed> {
    let (kind, transaction, order) = header(&mut payload)?;
    let body = delimited(&mut payload, "body of the record")?;
    if !payload.is_empty() {
        delimited(&mut payload, "footer of the record")?;
    }
    if !payload.is_empty() {
        // Its length is wrong, and may cover records that follow.
        return Err(Malformed("end of the record"));
    }
    let what = match kind {
        1 => What::Put,
        2 => What::Take(take(body)?),
        3 => What::Rollback,
        4 => commit(body)?,
        _ => return Err(Malformed("type of the record")),
    };
    Ok(Record { transaction, order, what })
}

/// Whether a payload of `len` bytes that begins with these is one of a record.
pub(super) fn is_record(mut begin: Bytes, len: u32) -> bool {
    let given = begin.len();
    let kind = header(&mut begin).map(|(kind, ..)| kind);
    let Ok(body) = varint(&mut begin, "body of the record") else { return false };
    let before = (given - begin.len()) as u64;
    matches!(kind, Ok(1..=4)) && before.checked_add(body).is_some_and(|end| end <= u64::from(len))
}

/// Type, transaction and order of a record.
fn header(payload: &mut Bytes) -> Result<(u32, u64, u64), Malformed> {
    let mut header = delimited(payload, "header of the record")?;
    let (mut kind, mut transaction, mut order) = (None, None, None);
    while let Some((number, value)) = field(&mut header, "header of the record")? {
        match number {
            1 => kind = value.fixed32(),
            2 => transaction = value.fixed64(),
            3 => order = value.fixed64(),
            _ => {}
        }
    }
    let kind = kind.ok_or(Malformed("type of the record"))?;
    let transaction = transaction.ok_or(Malformed("transaction of the record"))?;
    Ok((kind, transaction, order.ok_or(Malformed("order of the record"))?))
}

fn take(mut body: Bytes) -> Result<Pointer, Malformed> {
    let (mut log, mut offset) = (None, None);
    while let Some((number, value)) = field(&mut body, "take")? {
        match number {
            1 => log = value.fixed32(),
            2 => offset = value.fixed32(),
            _ => {}
        }
    }
    log.zip(offset).map(|(log, offset)| Pointer { log, offset }).ok_or(Malformed("take"))
}

fn commit(mut body: Bytes) -> Result<What, Malformed> {
    while let Some((number, value)) = field(&mut body, "commit")? {
        match (number, value.fixed32()) {
            (1, Some(1)) => return Ok(What::CommitPuts),
            (1, Some(2)) => return Ok(What::CommitTakes),
            _ => {}
        }
    }
    Err(Malformed("commit"))
}

/// The event of a put record. Flume's checksum covers the body alone.
pub(super) fn decode_event(mut payload: Bytes) -> Result<Event, Malformed> {
    let _header = delimited(&mut payload, "header of the record")?;
    let mut put = delimited(&mut payload, "put")?;
    let (mut event, mut checksum) = (None, None);
    while let Some((number, value)) = field(&mut put, "put")? {
        match number {
            1 => event = value.bytes(),
            2 => checksum = value.fixed64(),
            _ => {}
        }
    }
    let mut event = event.ok_or(Malformed("put without an event"))?;
    let mut headers = Headers::new();
    let mut body = Bytes::new();
    while let Some((number, value)) = field(&mut event, "event")? {
        match number {
            1 => {
                let (name, value) = header_of(value.bytes().ok_or(Malformed("header of the event"))?)?;
                headers.insert(&name, &value).map_err(|_| Malformed("header of the event (over the limits)"))?;
            }
            2 => body = value.bytes().ok_or(Malformed("body of the event"))?,
            _ => {}
        }
    }
    if checksum.is_some_and(|checksum| checksum != u64::from(crc32fast::hash(&body))) {
        return Err(Malformed("body of the event (its checksum is another one)"));
    }
    // The log's buffer is larger than the body that would keep it.
    Ok(Event::from_parts(headers, Bytes::copy_from_slice(&body)))
}

fn header_of(mut message: Bytes) -> Result<(String, String), Malformed> {
    let (mut name, mut value) = (None, String::new());
    while let Some((number, found)) = field(&mut message, "header of the event")? {
        let text = |found: super::proto::Value| {
            let bytes = found.bytes().ok_or(Malformed("header of the event"))?;
            String::from_utf8(bytes.into()).map_err(|_| Malformed("header of the event (not UTF-8)"))
        };
        match number {
            1 => name = Some(text(found)?),
            2 => value = text(found)?,
            _ => {}
        }
    }
    Ok((name.ok_or(Malformed("header without a name"))?, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Bytes {
        let hex: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        hex.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    /// Two records of a real log: a put of `abc` with the header `k`, and its commit.
    const PUT: &str = "17 0d01000000 110100000000000000 190200000000000000
        18 0a0d 0a06 0a016b 120176 1203616263 11c241243500000000 00";
    const COMMIT: &str = "17 0d04000000 110100000000000000 190300000000000000 05 0d01000000 00";

    #[test]
    fn records_that_flume_wrote_are_read() {
        let put = decode(bytes(PUT)).unwrap();
        assert_eq!(put, Record { transaction: 1, order: 2, what: What::Put });
        let event = decode_event(bytes(PUT)).unwrap();
        assert_eq!((event.headers().get("k"), event.body().as_ref()), (Some("v"), &b"abc"[..]));
        let commit = decode(bytes(COMMIT)).unwrap();
        assert_eq!(commit, Record { transaction: 1, order: 3, what: What::CommitPuts });
    }

    #[test]
    fn a_changed_body_and_cut_records_are_refused() {
        let mut changed = bytes(PUT).to_vec();
        let at = changed.windows(3).position(|window| window == b"abc").unwrap();
        changed[at] ^= 1;
        assert!(decode_event(changed.into()).unwrap_err().0.contains("checksum"));
        for (record, end) in [(bytes(PUT), 47), (bytes(COMMIT), 29)] {
            for cut in 0..end {
                assert!(decode(record.slice(..cut)).is_err(), "cut at {cut}");
            }
        }
    }
}
