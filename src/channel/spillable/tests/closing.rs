//! What a close keeps, and what is committed after it.

use super::*;

#[test]
fn a_close_saves_events_and_positions_for_the_next_open() {
    let disk = Arc::new(SimVfs::new());
    let mut expected = 0..0;
    for round in 0..3 {
        let channel = open(&disk);
        assert_eq!(channel.stats().depth_events, expected.end - expected.start);
        let position = channel.position("source");
        assert_eq!(position.map(|at| at.to_vec()), (round > 0).then(|| expected.end.to_string().into_bytes()));
        assert_eq!(drain(&channel, 2), names(expected.start..expected.start + if round > 0 { 2 } else { 0 }));
        let begin = if round > 0 { expected.start + 2 } else { 0 };
        for (from, to) in [(0, 4), (4, 6), (6, 7)] {
            let mut batch = numbered(expected.end + from..expected.end + to);
            batch.set_position("source", (expected.end + 7).to_string());
            channel.put_batch(batch).expect("put");
        }
        expected = begin..expected.end + 7;
        channel.close().expect("close");
        channel.close().expect("closing twice is fine");
        assert!(matches!(channel.put("x"), Err(PutError::Closed { .. })));
    }
    let channel = open(&disk);
    assert_eq!(drain(&channel, 100), names(expected));
    channel.put("memory").expect("put");
    assert_eq!(spilled(&channel), 0);
}

#[test]
fn an_owner_that_a_close_could_not_keep_is_refused() {
    let disk = Arc::new(SimVfs::new());
    let channel = open(&disk);
    let longest = POSITION_OWNER_BYTES_MAX - "spillable/6:orders/".len();
    let owner = |length| "o".repeat(length);
    for events in [1, 5] {
        // In memory, and spilled.
        let mut batch = numbered(0..events);
        batch.set_position(owner(longest + 1), "lost");
        let refused = channel.put_batch(batch).expect_err("too long an owner");
        let PutError::TooLarge { what, actual, max, .. } = refused else { panic!("{refused}") };
        assert_eq!((what, actual, max), ("position owner bytes", longest as u64 + 1, longest as u64));
    }
    let mut batch = numbered(0..1);
    batch.set_position(owner(longest), "kept");
    channel.put_batch(batch).expect("the longest owner");
    let mut take = channel.take(1, Wait::NONE).expect("take");
    take.set_position(owner(longest + 1), "lost");
    assert!(take.commit().is_err());
    assert_eq!(drain(&channel, 1), names(0..1));
    channel.close().expect("close");
    drop(channel);
    assert_eq!(open(&disk).position(&owner(longest)).as_deref(), Some(&b"kept"[..]));
}

#[test]
fn a_take_that_is_committed_after_the_close_keeps_its_position() {
    let disk = Arc::new(SimVfs::new());
    let channel = open(&disk);
    channel.put_batch(numbered(0..4)).expect("memory");
    channel.put_batch(numbered(4..8)).expect("overflow");
    assert_eq!(drain(&channel, 4), names(0..4));
    let mut take = channel.take(2, Wait::NONE).expect("take");
    take.set_position("sink", "before");
    take.commit().expect("commit");
    let mut late = channel.take(1, Wait::NONE).expect("take");
    channel.close().expect("close");
    late.set_position("sink", "after");
    late.commit().expect("a take that was open may be committed");
    drop(channel);
    let channel = open(&disk);
    assert_eq!(channel.position("sink").as_deref(), Some(&b"after"[..]));
    assert_eq!(drain(&channel, 100), names(7..8));
}

#[test]
fn a_take_from_memory_that_is_committed_after_the_close_keeps_its_position() {
    let disk = Arc::new(SimVfs::new());
    let channel = open(&disk);
    channel.put_batch(numbered(0..4)).expect("memory");
    let mut take = channel.take(1, Wait::NONE).expect("take");
    take.set_position("sink", "before");
    take.commit().expect("commit");
    let mut late = channel.take(2, Wait::NONE).expect("take");
    channel.close().expect("close");
    late.set_position("sink", "after");
    late.commit().expect("a take that was open may be committed");
    drop(channel);
    let channel = open(&disk);
    assert_eq!(channel.position("sink").as_deref(), Some(&b"after"[..]));
    assert_eq!(drain(&channel, 100), names(3..4));
}

#[test]
fn what_a_take_commits_late_is_the_position_of_whoever_gets_the_lease_next() {
    for is_leased in [true, false] {
        let disk = Arc::new(SimVfs::new());
        let store = store(&disk).expect("store");
        let open = |store: &FileStore| Spillable::builder("orders").memory_events(2).open(store).expect("channel");
        let old = open(&store);
        old.put_batch(numbered(0..2)).expect("memory");
        old.put_batch(numbered(2..6)).expect("overflow");
        let lease = old.lease("edge/sink/out/").expect("nobody has it");
        let commit = |take: Result<TakeTransaction, TakeError>, position: &'static str| {
            let mut take = take.expect("take");
            take.set_position("edge/sink/out/at", position);
            take.set_position("edge/sink/other/at", position);
            take.commit().expect("a take that was open may be committed");
        };
        commit(old.take(2, Wait::NONE), "2");
        let late = old.take(2, Wait::NONE);
        old.close().expect("close");
        // The store is open all the time, and somebody still works with the channel as it was.
        let new = open(&store);
        assert!(new.lease("edge/sink/out/").is_none());
        assert_eq!(new.position("edge/sink/out/at").as_deref(), Some(&b"2"[..]));
        commit(late, "4");
        drop(lease);
        if is_leased {
            let _lease = new.lease("edge/sink/out/").expect("nobody has it any more");
            assert_eq!(new.position("edge/sink/out/at").as_deref(), Some(&b"4"[..]));
            commit(new.take(1, Wait::NONE), "5");
        }
        let now = if is_leased { "5" } else { "4" };
        let owners = new.positions("edge/sink/out/");
        assert_eq!(owners, [("edge/sink/out/at".to_owned(), Bytes::from_static(now.as_bytes()))]);
        new.close().expect("close");
        let next = open(&store);
        assert_eq!(next.position("edge/sink/out/at").as_deref(), Some(now.as_bytes()));
        assert_eq!(drain(&next, 9), if is_leased { names(5..6) } else { names(4..6) });
        // A kill leaves none that is older than what was delivered.
        let store = self::store(&Arc::new(disk.snapshot())).expect("store");
        assert_eq!(open(&store).positions("edge/sink/out/"), []);
    }
}

/// A position that could not be cleared in the store when it was brought back was taken for newer than that in memory.
#[test]
fn a_position_that_was_brought_back_does_not_come_back_again() {
    let disk = Arc::new(SimVfs::new());
    let store = store(&disk).expect("a store");
    let open = || Spillable::builder("orders").memory_events(10).open(&store).expect("a channel");
    let commit = |channel: &Spillable, position: Option<&'static str>| {
        channel.put("x").expect("a put");
        let mut take = channel.take(1, Wait::NONE).expect("a take");
        match position {
            Some(position) => take.set_position("sink/at", position),
            None => take.clear_position("sink/at"),
        }
        take.commit().expect("its commit");
    };
    let old = open();
    let lease = old.lease("sink/").expect("a lease");
    commit(&old, Some("2"));
    old.close().expect("a close");
    // The sink is left behind, and ends before the next one begins.
    let new = open();
    drop(lease);
    disk.inject(Inject::new(Fault::Errno(28)).on(OpKind::Write).sticky());
    let lease = new.lease("sink/").expect("a lease");
    disk.clear_faults();
    for position in [Some("3"), None] {
        let expected = position.map(str::as_bytes);
        assert_eq!(
            new.position("sink/at").as_deref(),
            if position.is_some() { Some(&b"2"[..]) } else { Some(&b"3"[..]) }
        );
        commit(&new, position);
        assert_eq!(new.position("sink/at").as_deref(), expected);
    }
    drop(lease);
    let _lease = new.lease("sink/").expect("a lease");
    assert_eq!(new.positions("sink/"), []);
    new.close().expect("a close");
    assert_eq!(open().positions("sink/"), []);
}

/// What a close had written before it failed was believed once memory had no position of the owner any more.
#[test]
fn a_position_that_is_cleared_after_half_a_close_stays_cleared() {
    let mut failed = 0;
    for skip in 0..6 {
        let disk = Arc::new(SimVfs::new());
        let store =
            FileStore::builder("/store").vfs(disk.clone()).seed(7).segment_bytes(1 << 20).open().expect("a store");
        let open = || Spillable::builder("orders").memory_events(10).open(&store).expect("a channel");
        let channel = open();
        channel.put("x").expect("a put");
        for round in 0..2 {
            let mut put = channel.begin_put();
            for number in 0..1000 {
                put.set_position(format!("{round}-{number:04}"), "old");
            }
            put.commit().expect("positions");
        }
        let mut take = channel.take(1, Wait::NONE).expect("a take");
        disk.inject(Inject::new(Fault::Errno(28)).on(OpKind::Write).path("/store/data/*").skip(skip));
        failed += usize::from(channel.close().is_err());
        disk.clear_faults();
        take.clear_position("0-0000");
        take.commit().expect("its commit");
        assert_eq!(channel.position("0-0000"), None, "{skip}");
        channel.close().expect("a close");
        drop(channel);
        assert_eq!(open().position("0-0000"), None, "{skip}");
    }
    assert!(failed > 1, "no close failed between two parts");
}

#[test]
fn the_end_of_an_older_handle_leaves_the_channel_to_the_newer_one() {
    let store = store(&Arc::new(SimVfs::new())).expect("a store");
    let open = || Spillable::builder("orders").memory_events(1).open(&store).expect("a channel");
    let old = open();
    old.put("1").expect("a put");
    let new = open();
    drop(old);
    new.put("2").expect("a put into memory");
    new.put("3").expect("one into the overflow");
    assert_eq!(new.stats().depth_events, 3);
}

#[test]
fn what_a_close_saves_was_not_taken() {
    let channel = open(&Arc::new(SimVfs::new()));
    channel.put_batch(numbered(0..3)).expect("a put");
    channel.close().expect("a close");
    let stats = channel.stats();
    assert_eq!((stats.put_success_events, stats.take_success_events, stats.depth_events), (3, 0, 3));
}

#[test]
fn a_put_with_a_position_is_refused_by_a_handle_that_was_closed_meanwhile() {
    let store = store(&Arc::new(SimVfs::new())).expect("store");
    let open = || Spillable::builder("orders").memory_events(0).open(&store).expect("channel");
    let old = open();
    let spilling = old.shared.begin_spilling(&mut old.shared.gate.lock());
    old.close().expect("close");
    let new = open();
    let mut batch = numbered(0..1);
    batch.set_position("source", "1");
    let error = old.shared.spill(batch.clone(), Wait::NONE.deadline(), spilling).map(drop).expect_err("closed");
    assert!(matches!(error, PutError::Closed { .. }), "{error}");
    let back = error.into_batch().expect("the batch");
    assert_eq!((back.events(), back.positions()), (batch.events(), batch.positions()));
    assert_eq!(new.stats().depth_events, 0);
}

#[test]
fn a_close_waits_for_the_positions_of_commits_under_way() {
    let disk = Arc::new(SimVfs::new());
    let channel = open(&disk);
    channel.put_batch(numbered(0..4)).expect("memory");
    let gate = Gate::new();
    disk.inject(Inject::pause(&gate).on(OpKind::SyncData));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut batch = numbered(4..6);
            batch.set_position("source", "6");
            channel.put_batch(batch).expect("overflow");
        });
        gate.wait_for(1);
        let closing = scope.spawn(|| channel.close().expect("close"));
        while !channel.shared.gate.lock().is_closed {
            std::thread::yield_now();
        }
        gate.open();
        closing.join().expect("closing");
    });
    drop(channel);
    let channel = open(&disk);
    assert_eq!(channel.position("source").as_deref(), Some(&b"6"[..]));
    assert_eq!(drain(&channel, 100), names(0..6));
}

#[test]
fn a_kill_loses_what_was_in_memory_and_the_positions_and_nothing_else() {
    let disk = Arc::new(SimVfs::new());
    let channel = open(&disk);
    channel.put_batch(numbered(0..4)).expect("put");
    let mut batch = numbered(4..8);
    batch.set_position("source", "8");
    channel.put_batch(batch).expect("put");
    assert_eq!(channel.position("source"), Some("8".into()));
    let disk = Arc::new(disk.snapshot());
    let channel = open(&disk);
    assert_eq!(channel.position("source"), None);
    assert_eq!(drain(&channel, 2), names(4..6));
    channel.close().expect("close");
    drop(channel);
    // The positions of a close are not those of a later kill.
    let channel = open(&disk);
    let mut take = channel.take(1, Wait::NONE).expect("take");
    take.set_position("sink", "1");
    take.commit().expect("commit of a take");
    channel.close().expect("close");
    drop(channel);
    let channel = open(&disk);
    assert_eq!(channel.position("sink"), Some("1".into()));
    let channel = open(&Arc::new(disk.snapshot()));
    assert_eq!(channel.position("sink"), None);
    assert_eq!(drain(&channel, 9), names(7..8));
}

#[test]
fn a_power_cut_loses_what_was_in_memory_and_nothing_that_was_spilled_or_saved() {
    let disk = Arc::new(SimVfs::new());
    let channel = open(&disk);
    channel.put_batch(numbered(0..4)).expect("memory");
    channel.put_batch(numbered(4..8)).expect("overflow");
    let cuts = |disk: &SimVfs| {
        let modes = [CrashMode::Journaled, CrashMode::Posix, CrashMode::Garbage];
        let choices = modes.into_iter().flat_map(|mode| disk.crash_choices(mode, 20, 1));
        choices.map(|choice| Arc::new(disk.crash(&choice))).collect::<Vec<_>>()
    };
    for cut in cuts(&disk) {
        assert_eq!(drain(&open(&cut), 9), names(4..8));
    }
    channel.close().expect("a close");
    for cut in cuts(&disk) {
        assert_eq!(drain(&open(&cut), 9), names(0..8));
    }
}

/// A take that is open when the channel is closed keeps its events: whoever rolls it back then has lost them.
#[test]
fn what_an_open_take_holds_at_a_close_is_done_with_its_commit_and_lost_with_its_rollback() {
    for is_committed in [true, false] {
        let disk = Arc::new(SimVfs::new());
        let channel = open(&disk);
        channel.put_batch(numbered(0..4)).expect("memory");
        let take = channel.take(2, Wait::NONE).expect("a take");
        channel.close().expect("a close");
        if is_committed {
            take.commit().expect("it may be committed");
        } else {
            drop(take);
        }
        drop(channel);
        assert_eq!(drain(&open(&disk), 9), names(2..4));
    }
}

/// As that of an agent that does not start.
#[test]
fn the_end_of_the_last_handle_is_a_close() {
    let disk = Arc::new(SimVfs::new());
    let channel = open(&disk);
    let mut batch = numbered(0..5);
    batch.set_position("source", "5");
    channel.put_batch(batch).expect("a put");
    let other = channel.clone();
    drop(channel);
    other.put_batch(numbered(5..6)).expect("there is another handle");
    let take = other.take(1, Wait::NONE).expect("a take");
    drop(other);
    take.commit().expect("it is a handle, too");
    let channel = open(&disk);
    assert_eq!(channel.position("source").as_deref(), Some(&b"5"[..]));
    assert_eq!(drain(&channel, 9), names(1..6));
}

#[test]
fn names_that_begin_alike_keep_their_positions_apart() {
    let disk = Arc::new(SimVfs::new());
    let open = |name: &str| Spillable::builder(name).open(&store(&disk).expect("store")).expect("channel");
    for name in ["a", "a/b"] {
        let channel = open(name);
        let mut tx = channel.begin_put();
        tx.set_position("b/owner", name.to_owned());
        tx.commit().expect("put");
        channel.close().expect("close");
    }
    for name in ["a", "a/b"] {
        assert_eq!(open(name).positions(""), [("b/owner".to_owned(), Bytes::from(name))]);
    }
}

#[test]
fn a_close_that_fails_keeps_what_it_could_not_save() {
    let disk = Arc::new(SimVfs::new());
    let channel = open(&disk);
    channel.put_batch(numbered(0..3)).expect("put");
    disk.inject(Inject::new(Fault::Errno(5)).on(OpKind::Write).sticky());
    channel.close().expect_err("the disk fails");
    assert_eq!(channel.stats().depth_events, 3);
    assert!(matches!(channel.take(1, Wait::NONE), Err(TakeError::Closed { .. })));
}

#[test]
fn a_close_saves_more_than_one_transaction_may_have() {
    let disk = Arc::new(SimVfs::new());
    let open = || {
        let builder = FileStore::builder("/store").vfs(disk.clone()).seed(7).transaction_events_max(4);
        Spillable::builder("orders").open(&builder.open().expect("store")).expect("channel")
    };
    let channel = open();
    for start in (0..20).step_by(4) {
        channel.put_batch(numbered(start..start + 4)).expect("memory");
    }
    let owners = 0..2 * POSITIONS_PER_TRANSACTION_MAX + 1;
    for owner in owners.clone() {
        let mut batch = PutBatch::default();
        batch.set_position(owner.to_string(), "here");
        channel.put_batch(batch).expect("position");
    }
    channel.close().expect("close");
    drop(channel);
    let channel = open();
    assert_eq!(channel.positions("").len(), owners.end);
    assert_eq!(drain(&channel, 99), names(0..20));
}

#[test]
fn a_close_that_is_tried_again_saves_what_was_committed_since() {
    let disk = Arc::new(SimVfs::new());
    let channel = open(&disk);
    channel.put_batch(numbered(0..3)).expect("memory");
    channel.put_batch(numbered(3..8)).expect("overflow");
    let memory = channel.take(3, Wait::NONE).expect("take");
    let mut late = channel.take(2, Wait::NONE).expect("take");
    drop(memory);
    disk.inject(Inject::new(Fault::Errno(28)).on(OpKind::Write).sticky());
    let error = channel.close().expect_err("no room");
    assert!(matches!(error, StorageError::NotSaved { events: 3, .. }), "{error}");
    disk.clear_faults();
    late.set_position("sink", "5");
    late.commit().expect("a take that was open may be committed");
    channel.close().expect("room again");
    drop(channel);
    let channel = open(&disk);
    assert_eq!(channel.position("sink"), Some("5".into()));
    assert_eq!(drain(&channel, 99), [names(0..3), names(5..8)].concat());
}

#[test]
fn a_close_that_saves_all_but_the_positions_says_so() {
    let disk = Arc::new(SimVfs::new());
    let channel = open(&disk);
    let mut put = channel.begin_put();
    put.set_position("source", "1");
    put.commit().expect("a position");
    disk.inject(Inject::new(Fault::Errno(28)).on(OpKind::Write).sticky());
    let error = channel.close().expect_err("no room");
    assert!(error.to_string().starts_with("the positions of channel orders are in memory only"), "{error}");
    disk.clear_faults();
    channel.close().expect("room again");
    drop(channel);
    assert_eq!(open(&disk).position("source"), Some("1".into()));
}

#[test]
fn a_close_after_that_of_the_store_says_that_nothing_was_saved() {
    let store = store(&Arc::new(SimVfs::new())).expect("store");
    let channel = Spillable::builder("late").open(&store).expect("channel");
    channel.put_batch(numbered(0..3)).expect("memory");
    store.close().expect("close of the store");
    for _ in 0..2 {
        let error = channel.close().expect_err("the store is closed");
        assert!(matches!(error, StorageError::Closed), "{error}");
        assert_eq!(channel.stats().depth_events, 3);
    }
}

#[test]
fn a_take_that_is_committed_late_leaves_the_capacity_of_the_next_one_alone() {
    let store = store(&Arc::new(SimVfs::new())).expect("store");
    let open =
        |events| Spillable::builder("orders").memory_events(4).overflow_events(events).open(&store).expect("open");
    let old = open(20);
    old.put_batch(numbered(0..4)).expect("memory");
    old.put_batch(numbered(4..8)).expect("overflow");
    assert_eq!(drain(&old, 4), names(0..4));
    let mut late = old.take(2, Wait::NONE).expect("take");
    old.close().expect("close");
    let new = open(10);
    late.set_position("sink", "6");
    late.commit().expect("a take that was open may be committed");
    assert_eq!(new.overflow_stats().capacity_events, 14);
}
