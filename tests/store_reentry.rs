//! Code of the application that comes back to the store from where one does not expect it.

#![allow(clippy::expect_used)] // an error is a failed test

use std::cell::RefCell;
use std::sync::Arc;
use std::thread;

use aqueduct::store::{FileStore, FileStoreBuilder};
use aqueduct::vfs::sim::SimVfs;
use aqueduct::{Channel, FileChannel};

fn settings(disk: &SimVfs) -> FileStoreBuilder {
    FileStore::builder("/store").vfs(Arc::new(disk.clone())).seed(1)
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
