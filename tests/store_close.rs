//! The close of a store beside what other threads are at.

#![allow(clippy::expect_used)] // an error is a failed test

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use aqueduct::store::{FileStore, FileStoreBuilder, ReadMode};
use aqueduct::vfs::sim::{Gate, Inject, OpKind, OpRecord, SimVfs};
use aqueduct::vfs::{OpenMode, Vfs};
use aqueduct::{Channel, Event, StorageError, Wait};

fn settings(disk: &SimVfs) -> FileStoreBuilder {
    FileStore::builder("/store").vfs(Arc::new(disk.clone())).seed(1).background(false).segment_bytes(4 << 10)
}

/// Closes a store while `work` hangs at a gate. Returns what came of the work, and what was still done to the disk once the
/// close was over.
fn close_beside<T: Send>(
    disk: &SimVfs,
    store: &FileStore,
    hang: impl FnOnce(&Gate) -> Inject,
    work: impl FnOnce(&FileStore) -> T + Send,
) -> (T, Vec<OpRecord>) {
    let gate = Gate::new();
    disk.inject(hang(&gate));
    let (closed, has_closed) = channel();
    let (came, over) = thread::scope(|scope| {
        let working = scope.spawn(|| work(store));
        gate.wait_for(1);
        let closing = scope.spawn(move || {
            store.close().expect("a close");
            let over = disk.op_count();
            // Nobody listens where the close waited for the work.
            let _ = closed.send(());
            over
        });
        let _ = has_closed.recv_timeout(LOOK);
        gate.open();
        (working.join().expect("no panic"), closing.join().expect("no panic"))
    });
    (came, disk.ops_since(over).into_iter().filter(|op| op.kind.changes_disk()).collect())
}

/// `maintain` went on in the directories after `close` had given them up, and put its new segment over the one with which the
/// next open had begun: acknowledged events were gone.
#[test]
fn nothing_is_done_to_the_files_once_the_close_is_over() {
    let disk = SimVfs::new();
    let store = settings(&disk).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    for _ in 0..3 {
        channel.put(vec![b'x'; 700]).expect("a put");
    }
    let hang = |gate: &Gate| Inject::pause(gate).on(OpKind::Available);
    let ((), late) = close_beside(&disk, &store, hang, FileStore::maintain);
    assert!(late.is_empty(), "{late:?}");

    let store = settings(&disk).open().expect("an open");
    assert_eq!(store.channel("channel").expect("a channel").stats().depth_events, 3);
}

/// A channel was made, and the list of channels written, after `close` had given the store up: the next open had given the same
/// number to another channel, whose events came out of the late one.
#[test]
fn a_channel_that_is_made_beside_a_close_is_there_or_refused() {
    let disk = SimVfs::new();
    let store = settings(&disk).open().expect("a new store");
    let hang = |gate: &Gate| Inject::pause(gate).on(OpKind::Create).path("*manifest*");
    let (made, late) = close_beside(&disk, &store, hang, |store| store.channel("late"));
    assert!(late.is_empty(), "{late:?}");
    let refused = made.expect("it came before the close").put("x").expect_err("the store is closed");
    assert!(refused.to_string().contains("closed"), "{refused}");
    assert!(matches!(store.channel("later"), Err(StorageError::Closed)));

    let store = settings(&disk).open().expect("an open");
    let orders = store.channel("orders").expect("a channel");
    orders.put("an order").expect("a put");
    store.close().expect("a close");
    let store = settings(&disk).open().expect("an open");
    let take = store.channel("orders").expect("a channel").take(10, Wait::NONE).expect("a take");
    assert_eq!(take.len(), 1);
    assert_eq!(store.channel_names(), ["late", "orders"]);
}

/// What did so in the end was the renaming of the new segment, over whatever had its name.
#[test]
fn a_new_segment_is_never_put_over_another_file() {
    let disk = SimVfs::new();
    let store = settings(&disk).open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    let names: Vec<_> = (2..20).map(|id| format!("/store/data/{id:010}.seg")).collect();
    for name in &names {
        drop(disk.open(name.as_ref(), OpenMode::CreateNew).expect("a file"));
    }
    let put = |_| channel.put(vec![b'x'; 700]);
    let refused = (0..40).map(put).find_map(Result::err).expect("no file for the next segment");
    assert!(refused.to_string().contains("exists"), "{refused}");
    assert!(names.iter().all(|name| disk.peek(name).is_ok_and(|bytes| bytes.is_empty())));
    // Nothing is poisoned: once a name is free, it goes on.
    for _ in 0..40 {
        if channel.put("more").is_ok() {
            return;
        }
    }
    panic!("the lane takes no more");
}

/// Events that a closed store had mapped changed their bytes when it was opened again: what was found was not known to be mapped,
/// and its files were used again.
#[test]
fn events_keep_their_bytes_when_the_store_is_opened_again() {
    for mode in [ReadMode::Mmap, ReadMode::Pread] {
        let dir = tempfile::tempdir().expect("a directory");
        let open = |mode| {
            let settings = FileStore::builder(dir.path()).segment_bytes(64 << 10).tail_cache_bytes(0).background(false);
            let store = settings.read_mode(mode).open().expect("a store");
            let channel = store.channel("channel").expect("a channel");
            (store, channel)
        };
        let (store, channel) = open(ReadMode::Mmap);
        for n in 0..200_u32 {
            channel.put(n.to_string().repeat(500)).expect("a put");
        }
        let take = channel.take(200, Wait::NONE).expect("a take");
        let held: Vec<Event> = take.to_vec();
        assert!(held.len() > 50, "the first segments are sealed");
        drop(take);
        store.close().expect("a close");
        drop((store, channel));
        let (store, channel) = open(mode);
        for _ in 0..10 {
            while let take = channel.take(100, Wait::NONE).expect("a take")
                && !take.is_empty()
            {
                take.commit().expect("its commit");
            }
            store.maintain();
            for _ in 0..100 {
                channel.put(vec![b'x'; 1000]).expect("a put");
            }
        }
        for (n, event) in held.iter().enumerate() {
            assert_eq!(event.body(), n.to_string().repeat(500).as_bytes(), "event {n}, opened again with {mode:?}");
        }
    }
}

/// How long a close that does not wait has to show it.
const LOOK: Duration = Duration::from_millis(200);
