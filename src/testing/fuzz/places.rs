//! Positions that owners keep, and what Flume's file channel left.

pub(super) use crate::import::fuzz::{flume_channel, flume_channel_seeds, flume_record, flume_record_seeds};
pub(super) use crate::sink::file_roll::fuzz::{position as roll, position_seeds as roll_seeds};
pub(super) use crate::source::spool_dir::fuzz::{position_seeds as spool_seeds, positions as spool};
pub(super) use crate::source::tail_dir::fuzz::positions as tail;

pub(super) fn tail_seeds() -> Vec<Vec<u8>> {
    let json =
        r#"[{"inode":1,"pos":2,"file":"/a \"b\\u00e4"},{"pos":3,"inode":18446744073709551615,"file":"/c","x":null}]"#;
    // Version, flag, mark, length and checksum of the end, offset, name.
    let mut place = vec![1, 0];
    place.extend([0; 38]);
    place.extend([0; 14]);
    place.extend([1, 0, b'a']);
    vec![json.as_bytes().to_vec(), place]
}
