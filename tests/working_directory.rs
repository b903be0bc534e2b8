//! A program that changes its working directory, as daemons do. Alone in its process, whose directory it is.

#![allow(clippy::expect_used)] // an error is a failed test

use std::env;

use aqueduct::store::OpenError;
use aqueduct::{Channel, FileStore, Wait};

/// A store that was opened by a relative path went on in whatever the path led to later.
#[test]
fn a_store_stays_where_it_was_opened() {
    let (first, second) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    env::set_current_dir(first.path()).expect("it is there");
    let open = || FileStore::builder("spool").data_dir("disk").segment_bytes(4 << 10).open().expect("a store");
    let store = open();
    let channel = store.channel("channel").expect("a channel");
    env::set_current_dir(second.path()).expect("it is there");
    for n in 0..100 {
        channel.put(n.to_string().repeat(100)).expect("a put");
    }
    store.channel("another").expect("a channel");
    store.close().expect("a close");
    assert_eq!(second.path().read_dir().expect("it is there").count(), 0);

    env::set_current_dir(first.path()).expect("it is there");
    drop((channel, store));
    let channel = open().channel("channel").expect("a channel");
    assert_eq!(channel.take(1000, Wait::NONE).expect("a take").len(), 100);

    let here = first.path().canonicalize().expect("it is there");
    for (store, dirs, problem) in [
        ("a", [here.join("disk"), "disk".into()], "a data directory is named twice"),
        ("b", ["disk".into(), "./disk".into()], "a data directory is named twice"),
        (
            "c",
            ["disk".into(), "./c".into()],
            "a data directory is the store's own directory; name one in it, or beside it",
        ),
        ("d", ["disk".into(), "".into()], "a data directory has an empty name"),
    ] {
        let [one, other] = dirs;
        let Err(OpenError::Options(problems)) = FileStore::builder(store).data_dir(one).data_dir(other).open() else {
            panic!("it is refused")
        };
        assert_eq!(problems, [problem]);
    }
    env::set_current_dir(env::temp_dir()).expect("it is there");
}
