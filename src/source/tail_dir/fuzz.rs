//! For `testing::fuzz`: positions and Flume's position file are read as they were written, or not at all.

use super::position::{Place, VERSION};
use super::position_json::{parse, render};

pub(crate) fn positions(data: &[u8]) {
    if let Some(place) = Place::decode(data) {
        // What an earlier version wrote is written in the format of this one.
        assert!(data.first() != Some(&VERSION) || place.encode() == data, "{place:?}");
        assert_eq!(Place::decode(&place.encode()), Some(place));
    }
    if let Ok(entries) = parse(data) {
        assert_eq!(parse(&render(&entries)), Ok(entries));
    }
}
