//! For `testing::fuzz`: a position is read as it was written, or not at all, and names files of the directory.

use super::position::{Place, Position};

pub(crate) fn position(data: &[u8]) {
    let Ok(position) = Position::decode(data) else { return };
    assert_eq!(position.encode(), data);
    for name in [&position.name, &position.in_progress] {
        assert_eq!(std::path::Path::new(name).file_name(), Some(name.as_ref()), "one component");
    }
}

pub(crate) fn position_seeds() -> Vec<Vec<u8>> {
    let place = Place { series: 1_700_000_000_000, number: 3 };
    let (name, in_progress) = ("3.txt".to_owned(), ".3.txt.tmp".to_owned());
    vec![Position { place, len: 100, events: 7, begun: 5, complete: true, name, in_progress }.encode().to_vec()]
}
