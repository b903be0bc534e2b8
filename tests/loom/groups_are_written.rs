//! The lead goes on until everything is written, and everybody hears of it.

use std::sync::Arc;

use loom::thread;

use crate::explore;
use crate::store::groups::WritesGroups;
use crate::store::lane::Lane;

/// A lane of a store without a thread. `looked_at`: its groups are written fast, so that who waits looks before it blocks.
fn lane(looked_at: bool) -> Arc<Lane> {
    let lane = Arc::new(Lane::new(None));
    if looked_at {
        lane.commit().unwrap();
    }
    lane
}

fn spawn<T: 'static>(lane: &Arc<Lane>, run: impl FnOnce(&Arc<Lane>) -> T + 'static) -> thread::JoinHandle<T> {
    let lane = lane.clone();
    thread::spawn(move || run(&lane))
}

fn two_commit(looked_at: bool) {
    let lane = lane(looked_at);
    let other = spawn(&lane, |lane| lane.commit().unwrap());
    lane.commit().unwrap();
    other.join().unwrap();
}

#[test]
fn two_that_block() {
    explore(4, || two_commit(false));
}

#[test]
fn two_that_look() {
    explore(4, || two_commit(true));
}

fn three_commit(looked_at: bool) {
    let lane = lane(looked_at);
    let others = [spawn(&lane, |lane| lane.commit().unwrap()), spawn(&lane, |lane| lane.commit().unwrap())];
    lane.commit().unwrap();
    for other in others {
        other.join().unwrap();
    }
}

#[test]
fn three_that_block() {
    explore(2, || three_commit(false));
}

#[test]
fn three_that_look() {
    explore(2, || three_commit(true));
}

#[test]
fn one_commits_again_beside_another() {
    explore(3, || {
        let lane = lane(false);
        let other = spawn(&lane, |lane| {
            lane.commit().unwrap();
            lane.commit().unwrap();
        });
        lane.commit().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn a_ticket_that_is_let_go_beside_a_commit() {
    explore(3, || {
        let lane = lane(false);
        let other = spawn(&lane, |lane| drop(lane.submit()));
        lane.commit().unwrap();
        other.join().unwrap();
        assert_eq!(lane.written(), 2);
    });
}

#[test]
fn a_close_waits_for_what_was_submitted() {
    explore(3, || {
        let lane = lane(false);
        let (_, held) = lane.submit();
        let other = spawn(&lane, |lane| lane.commit().unwrap());
        lane.drain_pending();
        assert!(lane.written() >= 1);
        other.join().unwrap();
        held.wait().unwrap();
    });
}
