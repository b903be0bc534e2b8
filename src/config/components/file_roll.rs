//! Flume's `file_roll` sink.

use super::super::{Keys, Made, Registry, SinkSetup, Site};
use crate::limits::FILE_ROLL_INTERVAL;
use crate::sink::FileRoll;

pub(super) fn register(registry: &mut Registry) {
    registry.sink(&["file_roll", "org.apache.flume.sink.RollingFileSink"], make);
}

fn make(keys: &mut Keys, site: &Site<'_>) -> Made<SinkSetup> {
    let sink = FileRoll::new(keys.required_path("sink.directory"))
        .roll_interval(keys.seconds("sink.rollInterval", 0..=u64::MAX, FILE_ROLL_INTERVAL))
        .empty_files(true);
    path_manager(keys);
    let sink =
        sink.prefix(keys.text("sink.pathManager.prefix", "")).extension(keys.text("sink.pathManager.extension", ""));
    let batch = keys.batch_size("sink.batchSize", 100);
    let sink = sink.serializer(site.serializer(keys, "sink.serializer", "TEXT")?);
    Ok(SinkSetup::new(sink).batch(batch))
}

fn path_manager(keys: &mut Keys) {
    match keys.text("sink.pathManager", "DEFAULT").to_ascii_uppercase().as_str() {
        "DEFAULT" => {}
        name if name == DEFAULT_CLASS.to_ascii_uppercase() => {}
        "ROLLTIME" => keys.mistake("sink.pathManager", ROLL_TIME),
        _ => keys.mistake("sink.pathManager", "must be DEFAULT"),
    }
}

const ROLL_TIME: &str = "names with the date are not made; those of DEFAULT begin with the milliseconds since 1970";
const DEFAULT_CLASS: &str = "org.apache.flume.formatter.output.DefaultPathManager$Builder";
