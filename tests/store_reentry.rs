//! Code of the application that comes back to the store from where one does not expect it.

#![allow(clippy::expect_used)] // an error is a failed test

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use aqueduct::store::{FileStore, FileStoreBuilder};
use aqueduct::vfs::sim::{Fault, Inject, OpKind, SimVfs};
use aqueduct::{Channel, FileChannel, Wait};
use bytes::Bytes;

fn settings(disk: &SimVfs) -> FileStoreBuilder {
    FileStore::builder("/store").vfs(Arc::new(disk.clone())).seed(1)
}

/// Runs what may hang. A thread that hangs is left behind.
fn in_time(run: impl FnOnce() + Send + 'static) {
    let (over, is_over) = mpsc::channel();
    let running = thread::spawn(move || {
        run();
        over.send(()).expect("somebody waits");
    });
    if is_over.recv_timeout(HANG) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("it hangs");
    }
    running.join().expect("no panic");
}

/// Lines that are put when their thread ends.
struct Buffer {
    channel: FileChannel,
    lines: Vec<&'static str>,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        for line in self.lines.drain(..) {
            self.channel.put(line).expect("a put");
        }
    }
}

thread_local! {
    static BUFFER: RefCell<Option<Buffer>> = const { RefCell::new(None) };
}

/// In a store of several data directories, a put from the destructor of a thread-local value ended the process: the thread's
/// note of its last put was gone already.
#[test]
fn a_thread_local_value_may_put_when_its_thread_ends() {
    let store = settings(&SimVfs::new()).data_dir("/one").data_dir("/two").open().expect("a new store");
    let channel = store.channel("channel").expect("a channel");
    let ended = thread::spawn({
        let channel = channel.clone();
        // The last value that a thread has begun to use is dropped first: here the note of the last put.
        move || {
            BUFFER.set(Some(Buffer { channel: channel.clone(), lines: vec!["second", "third"] }));
            channel.put("first").expect("a put");
        }
    });
    ended.join().expect("no panic");
    assert_eq!(channel.stats().depth_events, 3);
}

/// A body that belongs to the application, which does something when it gets the buffer back.
struct Lent(Vec<u8>, Arc<dyn Fn() + Send + Sync>);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        (self.1)();
    }
}

/// Goal: a buffer of the application may use the store when it is dropped, wherever the store drops it: with a record for which the
/// cache has no room, with one that is read, with the commit of a take, and with a transaction of unknown outcome. Each of these
/// happened while the store was locked, and hung.
#[test]
fn a_body_may_come_back_to_the_store_when_it_is_dropped() {
    for (cache, background) in [(0, true), (0, false), (10_000, true), (1 << 20, false)] {
        in_time(move || bodies_come_back(cache, background));
    }
}

fn bodies_come_back(cache_bytes: u64, background: bool) {
    let disk = SimVfs::new();
    let store = settings(&disk).background(background).tail_cache_bytes(cache_bytes).open().expect("a new store");
    let (busy, notes) = (store.channel("busy").expect("a channel"), store.channel("notes").expect("a channel"));
    let back = Arc::new(AtomicU64::new(0));
    let note: Arc<dyn Fn() + Send + Sync> = Arc::new({
        let (store, busy, notes, back) = (store.clone(), busy.clone(), notes.clone(), back.clone());
        move || {
            // After the failure below the put is refused, which is as good.
            let _ = notes.put("a buffer is back");
            let _ = store.stats();
            drop(busy.take(1, Wait::NONE));
            store.maintain();
            back.fetch_add(1, Ordering::Relaxed);
        }
    });
    let put = |count: u64| {
        let mut put = busy.begin_put();
        (0..count).for_each(|_| put.push(Bytes::from_owner(Lent(vec![1; 1000], note.clone()))));
        put.commit()
    };
    for _ in 0..20 {
        put(1).expect("a put");
    }
    put(200).expect("a put");
    // Whoever drops them may be at it still, and the cache keeps what is behind a note that nobody has read.
    let takes = |channel: &FileChannel| channel.take(7, Wait::NONE).expect("a take").commit().expect("its commit");
    while back.load(Ordering::Relaxed) < 220 {
        takes(&busy);
        takes(&notes);
        thread::yield_now();
    }
    disk.inject(Inject::new(Fault::Errno(5)).on(OpKind::SyncData).sticky());
    put(1).expect_err("a failed sync");
    while back.load(Ordering::Relaxed) < 221 {
        thread::yield_now();
    }
}

/// Closes the store in its waker, as an executor does that polls its task in place.
struct Closer(FileStore);

impl Wake for Closer {
    fn wake(self: Arc<Self>) {
        self.0.close().expect("a close");
    }
}

/// A task that closed the store when its channel or its commit woke it hung, and with it the close that had woken it.
#[test]
fn a_waker_may_close_the_store() {
    for background in [true, false] {
        in_time(move || {
            let store = settings(&SimVfs::new()).background(background).open().expect("a new store");
            let channel = store.channel("channel").expect("a channel");
            let waker = Waker::from(Arc::new(Closer(store.clone())));
            assert!(channel.poll_ready(&mut Context::from_waker(&waker)).is_pending());
            store.close().expect("a close");
            assert!(channel.put("late").is_err());
        });
        in_time(move || {
            let disk = SimVfs::new();
            let store = settings(&disk).background(background).open().expect("a new store");
            let channel = store.channel("channel").expect("a channel");
            let mut put = channel.begin_put();
            put.push("an event");
            let mut ticket = put.submit().expect("a ticket");
            let waker = Waker::from(Arc::new(Closer(store.clone())));
            let polled = Pin::new(&mut ticket).poll(&mut Context::from_waker(&waker));
            store.close().expect("a close");
            if polled.is_pending() {
                ticket.wait().expect("it was written");
            }
            let store = settings(&disk).open().expect("the locks are free");
            assert_eq!(store.channel("channel").expect("a channel").stats().depth_events, 1);
        });
    }
}

/// Nothing that ends takes this long.
const HANG: Duration = Duration::from_secs(60);
