//! For `testing::fuzz`: records of Flume's file channel, which are in Protocol Buffers.

use bytes::Bytes;

use super::record;

pub(crate) fn flume_record(data: &[u8]) {
    let payload = Bytes::copy_from_slice(data);
    let again = record::decode(payload.clone());
    assert_eq!(again.is_ok(), record::decode(payload.clone()).is_ok());
    let _ = record::decode_event(payload);
}

pub(crate) fn flume_record_seeds() -> Vec<Vec<u8>> {
    // A header (type, transaction, order), then a body: a take of log 1 at offset 2, and a commit of puts.
    let header = |kind| {
        let mut bytes = vec![23, 0x0d, kind, 0, 0, 0, 0x11, 5, 0, 0, 0, 0, 0, 0, 0, 0x19, 6, 0, 0, 0, 0, 0, 0, 0];
        bytes.truncate(24);
        bytes
    };
    let take = [header(2), vec![10, 0x0d, 1, 0, 0, 0, 0x15, 2, 0, 0, 0]].concat();
    let commit = [header(4), vec![5, 0x0d, 1, 0, 0, 0]].concat();
    // An event: a header `a=b` and a body.
    let event = [0x0a, 6, 0x0a, 1, b'a', 0x12, 1, b'b', 0x12, 2, b'h', b'i'];
    let put = [header(1), vec![14, 0x0a, 12], event.to_vec()].concat();
    vec![take, commit, put]
}
