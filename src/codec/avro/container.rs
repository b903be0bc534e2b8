//! Avro's object container files.
//!
//! ```text
//! +------------+------------------------+---------+ +-----------+-----------+-----------------+---------+
//! | "Obj" 0x01 | metadata: map of bytes | sync 16 | | items i64 | bytes i64 | compressed data | sync 16 | ...
//! +------------+------------------------+---------+ +-----------+-----------+-----------------+---------+
//!   header                                            block
//! ```

use apache_avro::{Bzip2Settings, Codec, DeflateSettings};

use super::data::{Malformed, Reader, put_bytes, put_long};

/// The mark that ends the header and every block of one file.
pub(crate) type Sync = [u8; SYNC_BYTES];

/// The beginning of a container file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The schema, as it is written.
    pub(crate) schema: String,
    pub(crate) codec: Codec,
    pub(crate) sync: Sync,
    /// Bytes of the header.
    pub(crate) len: usize,
}

/// Why bytes are no container file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ContainerError {
    #[error("the file does not begin as an Avro container file does")]
    Magic,
    #[error("the header {0}")]
    Header(Malformed),
    #[error("the header has no schema")]
    NoSchema,
    #[error("blocks are compressed by {0:?}, which is none of null, deflate, snappy and bzip2")]
    Codec(String),
}

/// The codec of this name.
pub(crate) fn codec(name: &str) -> Option<Codec> {
    Some(match name {
        "null" => Codec::Null,
        "deflate" => Codec::Deflate(DeflateSettings::default()),
        "snappy" => Codec::Snappy,
        "bzip2" => Codec::Bzip2(Bzip2Settings::default()),
        _ => return None,
    })
}

/// Appends a header. The codec is named also if it is `null`, as Java does.
pub(crate) fn put_header(out: &mut Vec<u8>, schema: &str, codec: Codec, sync: &Sync) {
    out.extend_from_slice(MAGIC);
    put_long(out, 2);
    for (key, value) in [(CODEC_KEY, codec.into()), (SCHEMA_KEY, schema)] {
        put_bytes(out, key.as_bytes());
        put_bytes(out, value.as_bytes());
    }
    put_long(out, 0);
    out.extend_from_slice(sync);
}

/// Appends a block of so many items.
pub(crate) fn put_block(out: &mut Vec<u8>, items: i64, compressed: &[u8], sync: &Sync) {
    put_long(out, items);
    put_bytes(out, compressed);
    out.extend_from_slice(sync);
}

/// Reads the header at the beginning of a file; `None` if there is more of it to come.
pub(crate) fn read_header(bytes: &[u8]) -> Result<Option<Header>, ContainerError> {
    let magic = bytes.get(..MAGIC.len()).unwrap_or(bytes);
    if !MAGIC.starts_with(magic) {
        return Err(ContainerError::Magic);
    }
    match try_header(bytes) {
        Ok(header) => header.map(Some),
        Err(Malformed::Short(_)) => Ok(None),
        Err(error) => Err(ContainerError::Header(error)),
    }
}

fn try_header(bytes: &[u8]) -> Result<Result<Header, ContainerError>, Malformed> {
    let mut reader = Reader::new(bytes);
    reader.fixed(MAGIC.len(), "the magic number")?;
    let (mut schema, mut codec_name) = (None, "null");
    loop {
        let count = map_block(&mut reader)?;
        if count == 0 {
            break;
        }
        for _ in 0..count {
            match reader.text("a key")? {
                SCHEMA_KEY => schema = Some(reader.text("the schema")?),
                CODEC_KEY => codec_name = reader.text("the codec")?,
                _ => drop(reader.bytes("a value")?),
            }
        }
    }
    let sync = sync(reader.fixed(SYNC_BYTES, "the mark")?);
    let len = bytes.len() - reader.rest().len();
    let Some(schema) = schema else { return Ok(Err(ContainerError::NoSchema)) };
    let Some(codec) = codec(codec_name) else { return Ok(Err(ContainerError::Codec(codec_name.to_owned()))) };
    Ok(Ok(Header { schema: schema.to_owned(), codec, sync, len }))
}

/// The entries in the next block of a map. Unlike [`Reader::block`], not all of them have to be there yet.
fn map_block(reader: &mut Reader<'_>) -> Result<u64, Malformed> {
    let count = reader.long("the metadata")?;
    if count < 0 {
        reader.long("the metadata")?;
    }
    Ok(count.unsigned_abs())
}

/// The mark in these bytes, which are as many.
pub(crate) fn sync(bytes: &[u8]) -> Sync {
    bytes.try_into().unwrap_or_default()
}

pub(crate) const SYNC_BYTES: usize = 16;
const MAGIC: &[u8] = b"Obj\x01";
const SCHEMA_KEY: &str = "avro.schema";
const CODEC_KEY: &str = "avro.codec";

#[cfg(test)]
mod tests {
    use super::*;

    const SYNC: Sync = *b"0123456789abcdef";

    #[test]
    fn headers_come_back_whatever_else_is_in_them() {
        for name in ["null", "deflate", "snappy", "bzip2"] {
            let mut file = Vec::new();
            put_header(&mut file, "\"int\"", codec(name).unwrap(), &SYNC);
            let len = file.len();
            file.extend_from_slice(b"more");
            let header = Header { schema: "\"int\"".into(), codec: codec(name).unwrap(), sync: SYNC, len };
            assert_eq!(read_header(&file), Ok(Some(header)));
            for cut in 0..len {
                assert_eq!(read_header(&file[..cut]), Ok(None), "{cut} bytes");
            }
        }
        // Other keys, a map in two blocks of which one has its length, no codec.
        let mut file = MAGIC.to_vec();
        put_long(&mut file, -1);
        put_long(&mut file, 99);
        put_bytes(&mut file, b"user.key");
        put_bytes(&mut file, b"\xff");
        put_long(&mut file, 1);
        put_bytes(&mut file, SCHEMA_KEY.as_bytes());
        put_bytes(&mut file, b"\"long\"");
        put_long(&mut file, 0);
        file.extend_from_slice(&SYNC);
        let header = read_header(&file).unwrap().unwrap();
        assert_eq!((header.schema.as_str(), header.codec, header.len), ("\"long\"", Codec::Null, file.len()));
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(read_header(b"PAR1"), Err(ContainerError::Magic));
        assert_eq!(read_header(b"Obj\x02"), Err(ContainerError::Magic));
        assert_eq!(read_header(b""), Ok(None));
        let mut file = MAGIC.to_vec();
        put_long(&mut file, 0);
        file.extend_from_slice(&SYNC);
        assert_eq!(read_header(&file), Err(ContainerError::NoSchema));
        let mut file = MAGIC.to_vec();
        put_long(&mut file, 2);
        for (key, value) in [(SCHEMA_KEY, "\"int\""), (CODEC_KEY, "lzo")] {
            put_bytes(&mut file, key.as_bytes());
            put_bytes(&mut file, value.as_bytes());
        }
        put_long(&mut file, 0);
        file.extend_from_slice(&SYNC);
        assert_eq!(read_header(&file), Err(ContainerError::Codec("lzo".into())));
        let text = [MAGIC, b"\x02\x02\xff"].concat();
        assert!(matches!(read_header(&text), Err(ContainerError::Header(Malformed::Text(_)))));
    }
}
