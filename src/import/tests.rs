#![allow(clippy::disallowed_methods)] // Flume's files are made here

use bytes::BufMut;

use super::*;

/// The file beside log 1.
pub(super) const META: [u8; 11] = [10, 0x0d, 3, 0, 0, 0, 0x15, 1, 0, 0, 0];

/// A log of so many events, each in a transaction of its own.
pub(super) fn log(events: u8) -> Vec<u8> {
    let mut log = Vec::new();
    for event in 0..events {
        for record in [record(1, event, b"event"), record(4, event, &[])] {
            log.extend(record);
        }
    }
    log
}

/// A put (1) of such a body or a commit (4), of a transaction of its own for each event.
fn record(kind: u8, event: u8, body: &[u8]) -> Vec<u8> {
    let number = |key| [vec![key, event + 1], vec![0; 7]].concat();
    let len = |more: usize| u8::try_from(body.len() + more).unwrap();
    let said =
        if kind == 4 { vec![5, 0x0d, 1, 0, 0, 0] } else { [&[len(4), 0x0a, len(2), 0x12, len(0)], body].concat() };
    let payload = [vec![23, 0x0d, kind, 0, 0, 0], number(0x11), number(0x19), said, vec![0]].concat();
    let mut record = vec![RECORD];
    record.put_u32(u32::try_from(payload.len()).unwrap());
    record.extend(payload);
    record
}

fn open(log: &[u8]) -> Result<FlumeFileChannel, ImportError> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("log-1.meta"), META).unwrap();
    std::fs::write(dir.path().join("log-1"), log).unwrap();
    FlumeFileChannel::open(&dir.path().join("none"), &[dir.path().to_path_buf()])
}

/// Where the log of so many events is said to be damaged.
fn damage(log: &[u8]) -> u64 {
    match open(log) {
        Err(ImportError::Corrupt { offset, detail, .. }) => {
            assert!(detail.contains("there is another record at offset"), "{detail}");
            let cut = format!("cut off at offset {offset}, it is imported without anything that is behind that");
            assert!(detail.contains(&cut), "{detail}");
            offset
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn damage_in_the_middle_of_a_log_is_an_error() {
    let whole = log(100);
    assert_eq!(open(&whole).unwrap().len(), 100);
    let one = log(1).len();
    // From the head of a record to many records, of zeros as of what Flume fills a log up with.
    for fill in [0, PADDING] {
        for (begin, len) in [(2 * one, 5), (2 * one + 20, 512), (2 * one, 4096), (2 * one + 10, 7 * one)] {
            let mut log = whole.clone();
            log[begin..begin + len].fill(fill);
            assert_eq!(damage(&log) / one as u64, 2, "{len} bytes of {fill} at {begin}");
        }
    }
    let mut log = whole.clone();
    log[2 * one] = RECORD - 1;
    assert_eq!(damage(&log), 2 * one as u64);
    // A length that leads out of the log, and one that covers whole records.
    for len in [u32::MAX, 1 << 20, u32::try_from(2 * one).unwrap(), u32::try_from(one - 5).unwrap()] {
        let mut log = whole.clone();
        (&mut log[one + 1..one + 5]).put_u32(len);
        assert_eq!(damage(&log), one as u64, "{len}");
    }
}

#[test]
fn a_record_behind_much_damage_is_found_wherever_it_begins() {
    let (before, behind) = (log(1), record(1, 7, b"behind"));
    for at in IMPORT_SEARCH_BYTES - behind.len() - 70..IMPORT_SEARCH_BYTES + 2 {
        let log = [before.clone(), vec![0; at], behind.clone()].concat();
        assert_eq!(damage(&log), before.len() as u64, "at {at}");
    }
}

#[test]
fn an_end_that_is_cut_off_is_none() {
    let (whole, one) = (log(3), log(1).len());
    // The last bytes are zeros.
    for cut in 2 * one + 1..3 * one - 4 {
        for fill in [vec![], vec![0; 3 * one - cut], vec![0; 100_000], vec![PADDING; 100_000]] {
            let log = [&whole[..cut], &fill].concat();
            let flume = open(&log).unwrap();
            assert_eq!(flume.len(), 2, "cut at {cut}, {} bytes behind", fill.len());
        }
    }
    let padded = [whole, vec![PADDING; 100_000]].concat();
    let flume = open(&padded).unwrap();
    assert_eq!((flume.len(), flume.torn().len()), (3, 0));
}
