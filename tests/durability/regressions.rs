//! Mistakes of the store that the enumeration has found, by name. Each test runs the part that shows the mistake.

use crate::crash::enumerate_once;

/// A process was killed between creating a directory, or renaming a manifest, and syncing the name. The next one found it
/// in place, did not sync it either, and accepted events that a power cut then took together with the name.
#[test]
fn names_that_a_killed_process_left_unsynced_are_made_durable() {
    enumerate_once("first-open", "sync-2");
    enumerate_once("fan-out", "sync");
}

/// The begin of the newest segment was in the page cache alone; recovery took it for durable and built on it.
#[test]
fn a_begin_that_was_never_synced_is_not_built_on() {
    enumerate_once("batch", "sync");
}

/// With a weaker level than `Sync` several segments can be unsynced. When a power cut took one of the middle, the open was
/// refused as if durable data had been damaged.
#[test]
fn a_power_cut_may_take_a_middle_segment_that_was_never_synced() {
    enumerate_once("backlog", "os");
}

/// With a weaker level than `Sync`, a segment was retired and the process killed before the next record: the open was
/// refused because the segment was missing, and a full disk had no room to open with the retired segments still there.
#[test]
fn a_segment_retired_just_before_a_kill_is_not_missed() {
    enumerate_once("full-disk", "os");
}

/// Segments that were to be removed when the power was cut came back, and left no room for the open.
#[test]
fn a_full_disk_opens_although_removed_segments_came_back() {
    enumerate_once("full-disk", "sync");
    enumerate_once("full-disk", "sync-2");
}

/// A lane freed a segment whose events were acknowledged in the log of another lane, under a weaker level than `Sync`. A
/// power cut took the acknowledgements, and the open missed the segment.
#[test]
fn a_segment_stays_until_its_acknowledgements_in_another_lane_are_durable() {
    enumerate_once("full-disk", "interval-2");
    enumerate_once("retire", "interval-2");
}

/// On a full disk, directories gave their reserves up for the open of one that had none left. The first of them took all of the room
/// for a segment of the usual size, and the open failed for want of room for the next one.
#[test]
fn directories_share_the_room_of_the_reserves_that_they_gave_up() {
    enumerate_once("full-disk+91", "sync-2");
}
