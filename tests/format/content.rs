//! What is in a store, as text.

use std::fmt::Write;
use std::path::Path;

use aqueduct::store::{FileStore, FileStoreBuilder, OnCorruption};
use aqueduct::{Channel, Wait};

/// Settings with which all of the stores are written and read.
pub(crate) fn builder(path: &Path, lanes: u16) -> FileStoreBuilder {
    let mut builder = FileStore::builder(path).background(false).put_wait(Wait::NONE).seed(1);
    for lane in 1..=lanes {
        let name = if lanes == 1 { "data".to_owned() } else { format!("data{lane}") };
        builder = builder.data_dir(path.join(name));
    }
    builder.segment_bytes(8 << 10).replay_bytes_max(4 << 10)
}

/// Why it is refused, if it is, and what is in it otherwise, or if damage is passed over.
pub(crate) fn of(path: &Path, lanes: u16) -> String {
    match builder(path, lanes).open() {
        Ok(store) => contents(&store),
        Err(error) => {
            let text = error.to_string().replace(&*path.to_string_lossy(), "STORE");
            format!("refused: {text}\n{}", waiting(path, lanes, OnCorruption::Salvage))
        }
    }
}

/// What is in it.
pub(crate) fn waiting(path: &Path, lanes: u16, policy: OnCorruption) -> String {
    contents(&builder(path, lanes).on_corruption(policy).open().expect("a store that can be read"))
}

fn contents(store: &FileStore) -> String {
    let mut out = String::new();
    for name in store.channel_names() {
        let channel = store.channel(&name).expect("a channel that is there");
        let take = channel.take(1000, Wait::NONE).expect("a take");
        let stats = channel.stats();
        writeln!(out, "channel {name}: {} events, {} bytes", stats.depth_events, stats.depth_bytes).expect("text");
        for (index, event) in take.iter().enumerate() {
            let id = take.id(index).expect("an identity");
            write!(out, "  {}/{}", id.lane, id.seq).expect("text");
            for (name, value) in event.headers() {
                write!(out, " {name}={value:?}").expect("text");
            }
            let body = event.body();
            let same = body.first().filter(|first| body.len() > 40 && body.iter().all(|byte| byte == *first));
            match same {
                Some(byte) => writeln!(out, " {} times {:?}", body.len(), char::from(*byte)).expect("text"),
                None => writeln!(out, " \"{}\"", body.escape_ascii()).expect("text"),
            }
        }
        drop(take);
        for (owner, value) in channel.positions("") {
            writeln!(out, "  position of {owner}: \"{}\"", value.escape_ascii()).expect("text");
        }
    }
    out
}
