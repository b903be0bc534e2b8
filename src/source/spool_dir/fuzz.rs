//! For `testing::fuzz`: positions are read as they were written, or not at all.

use super::position::{At, Kept, VERSION, parse_tracker, tracker_line};

pub(crate) fn positions(data: &[u8]) {
    // What an earlier version wrote is written in the format of this one.
    let is_current = data.first() == Some(&VERSION);
    if let Some(at) = At::decode(data) {
        assert!(!is_current || at.encode() == data, "{at:?}");
        assert_eq!(At::decode(&at.encode()), Some(at));
    }
    if let Some(kept) = Kept::decode(data) {
        assert!(!is_current || kept.encode() == data, "{kept:?}");
        assert_eq!(Kept::decode(&kept.encode()), Some(kept));
    }
    if let Some(mark) = parse_tracker(data) {
        assert_eq!(parse_tracker(tracker_line(&mark).as_bytes()), Some(mark));
    }
}

pub(crate) fn position_seeds() -> Vec<Vec<u8>> {
    let mark = parse_tracker(b"1 2 30 400 5 0000abcd\n");
    let place = mark.map(|mark| super::position::Place { mark, rel: "a/b.log".into(), offset: 77, within: 3 });
    let at = At { done: place.clone().into_iter().collect(), current: place.clone() };
    let kept = place.map(|place| Kept { why: super::position::Why::Shrunk, place }.encode().to_vec());
    kept.into_iter().chain([at.encode().to_vec(), b"1 2 30 400 5 0000abcd\n".to_vec()]).collect()
}
