//! Flume's `file_roll` sink.

use super::super::{Keys, Made, Registry, SinkSetup, Site};
use super::seconds_or_none;
use crate::limits::FILE_ROLL_INTERVAL;
use crate::sink::{FileNaming, FileRoll};

pub(super) fn register(registry: &mut Registry) {
    registry.sink(&["file_roll", "org.apache.flume.sink.RollingFileSink"], make);
}

fn make(keys: &mut Keys, site: &Site<'_>) -> Made<SinkSetup> {
    let sink = FileRoll::new(keys.required_path("sink.directory"))
        .roll_interval(seconds_or_none(keys, "sink.rollInterval", FILE_ROLL_INTERVAL))
        .empty_files(true);
    let sink = sink.naming(path_manager(keys));
    let sink = sink.prefix(part_of_name(keys, "sink.pathManager.prefix"));
    let sink = sink.extension(part_of_name(keys, "sink.pathManager.extension"));
    let batch = keys.batch_size("sink.batchSize", 100);
    let sink = sink.serializer(site.serializer(keys, "sink.serializer", "TEXT")?);
    Ok(SinkSetup::new(sink).batch(batch))
}

fn part_of_name(keys: &mut Keys, key: &str) -> String {
    let text = keys.text(key, "");
    if text.contains(|c: char| c == '/' || c.is_control()) {
        keys.mistake(key, "is a part of the names of files, which have neither / nor control characters");
    }
    text
}

fn path_manager(keys: &mut Keys) -> FileNaming {
    let name = keys.text("sink.pathManager", "DEFAULT");
    let is = |known: [&str; 2]| known.iter().any(|known| name.eq_ignore_ascii_case(known));
    if is(ROLL_TIME) {
        return FileNaming::Date;
    }
    if !is(DEFAULT) {
        keys.mistake("sink.pathManager", "must be DEFAULT or ROLLTIME");
    }
    FileNaming::Start
}

const DEFAULT: [&str; 2] = ["DEFAULT", "org.apache.flume.formatter.output.DefaultPathManager$Builder"];
const ROLL_TIME: [&str; 2] = ["ROLLTIME", "org.apache.flume.formatter.output.RollTimePathManager$Builder"];
