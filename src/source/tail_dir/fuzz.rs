//! For `testing::fuzz`: positions and Flume's position file are read as they were written, or not at all.

use super::position::Place;
use super::position_json::{parse, render};

pub(crate) fn positions(data: &[u8]) {
    if let Some(place) = Place::decode(data) {
        assert_eq!(place.encode(), data);
    }
    if let Ok(entries) = parse(data) {
        assert_eq!(parse(&render(&entries)), Ok(entries));
    }
}
