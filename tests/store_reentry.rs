//! Code of the application that comes back to the store from where one does not expect it.

#![allow(clippy::expect_used)] // an error is a failed test

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use aqueduct::store::{FileStore, FileStoreBuilder};
use aqueduct::vfs::sim::SimVfs;
use aqueduct::{Channel, FileChannel};

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
    assert!(is_over.recv_timeout(HANG) != Err(mpsc::RecvTimeoutError::Timeout), "it hangs");
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
