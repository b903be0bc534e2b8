//! Flume's `TAILDIR` source.

use std::time::Duration;

use super::super::number::Borne;
use super::super::{Keys, Made, Registry, Severity, Site, SourceSetup};
use super::pollable;
use crate::TailDir;
use crate::codec::java_hash;
use crate::limits::{
    LINE_BYTES_CEILING, PROPERTY_MILLIS_MAX, SPOOL_LINE_BYTES_CEILING, TAIL_IDLE, TAIL_OPEN_FILES,
    TAIL_POSITION_FILE_INTERVAL,
};
use crate::source::tail_dir::{FileGroup, Overlong};

pub(super) fn register(registry: &mut Registry) {
    registry.source(&["TAILDIR", "org.apache.flume.source.taildir.TaildirSource"], make);
}

fn make(keys: &mut Keys, site: &Site<'_>) -> Made<SourceSetup> {
    let names = keys.required_list("filegroups");
    let groups = groups(keys, &names);
    headers_of_groups(keys, &names);
    keys.ignored(&["filegroups."], NO_GROUP);
    let idle = u64::try_from(TAIL_IDLE.as_millis()).unwrap_or(u64::MAX);
    let mut source = own_limits(keys, TailDir::new(groups))
        .skip_to_end(keys.flag("skipToEnd", false))
        .idle_timeout(Duration::from_millis(keys.number_from("idleTimeout", 0..=u64::MAX, idle)))
        .cache_listing(keys.flag("cachePatternMatching", true))
        .follow_links(keys.flag("followLinks", true));
    let file = (keys.flag("fileHeader", false), keys.text("fileHeaderKey", "file"));
    if file.0 {
        source = source.file_header(file.1);
    }
    if keys.flag("byteOffsetHeader", false) {
        source = source.byte_offset_header("byteoffset");
    }
    source = position_file(keys, site, source);
    let log = site.log();
    source = source.on_report(move |report| log(&format!("TaildirSource: {report}")));
    let batch = keys.batch_size("batchSize", 100);
    let batches = keys.bearable("maxBatchCount", 1..=u64::MAX, Borne::Numbers, "Flume takes the default of no limit");
    let batches = batches.unwrap_or(JAVA_LONG_MAX);
    if batches < JAVA_LONG_MAX {
        source = source.turn_events(batches.saturating_mul(batch.events() as u64));
    }
    let idle = pollable(keys);
    match source.check() {
        Ok(source) => Ok(SourceSetup::new(source).batch(batch).idle(idle)),
        Err(error) if error.setting == "file_header" => Err(keys.refuse_for("fileHeaderKey", error.reason)),
        Err(error) => Err(keys.refuse(error)),
    }
}

/// Keys that Flume does not have: its lines may have any length, and its files are all open.
fn own_limits(keys: &mut Keys, source: TailDir) -> TailDir {
    source
        .line_max_bytes(keys.number("maxLineLength", 4..=SPOOL_LINE_BYTES_CEILING, LINE_BYTES_CEILING))
        .overlong(keys.choice("overlongLines", &OVERLONG, Overlong::Split))
        .open_files(keys.number("maxOpenFiles", 1..=usize::MAX, TAIL_OPEN_FILES))
}

/// The groups in the order of the hash map in which Flume keeps them, whatever that of the list.
fn groups(keys: &mut Keys, names: &[String]) -> Vec<FileGroup> {
    let path_key = |name: &str| format!("filegroups.{name}");
    let is_any_left = names.iter().any(|name| keys.is_set(&path_key(name)));
    let mut groups = Vec::new();
    for name in names {
        let headers = keys.sub(&format!("headers.{name}."));
        if let Some(path) = keys.optional(&path_key(name)) {
            if let Err(error) = TailDir::new([FileGroup::of_path(&path)]).check() {
                keys.mistake(&path_key(name), error.reason);
            }
            let group = FileGroup::of_path(&path);
            groups.push((name, headers.into_iter().fold(group, |group, (key, value)| group.header(key, value))));
        } else if is_any_left {
            let why = "is missing; Flume passes over the group";
            keys.missing_for("filegroups", &path_key(name), Severity::Ignored, why);
        } else {
            keys.missing_for("filegroups", &path_key(name), Severity::Dropped, "is missing");
        }
    }
    let buckets = java_hash::buckets_of_map(groups.len());
    groups.sort_by_key(|(name, _)| java_hash::place(name, buckets));
    groups.into_iter().map(|(_, group)| group).collect()
}

fn headers_of_groups(keys: &mut Keys, names: &[String]) {
    for (rest, _) in keys.sub("headers.") {
        let key = format!("headers.{rest}");
        match rest.split_once('.') {
            None | Some((_, "")) => {
                keys.mistake(&key, "must be headers.<group>.<name of a header>; Flume drops the source");
            }
            Some((group, _)) if !names.iter().any(|name| name == group) => keys.warn(&key, NO_GROUP),
            Some(_) => {}
        }
    }
}

fn position_file(keys: &mut Keys, site: &Site<'_>, source: TailDir) -> TailDir {
    let path = keys.optional("positionFile").map(Into::into);
    let source = source.position_file(path.unwrap_or_else(|| site.home().join(POSITION_FILE)));
    let interval = keys.millis("writePosInterval", 1..=PROPERTY_MILLIS_MAX, TAIL_POSITION_FILE_INTERVAL);
    // On a channel that keeps no positions this file is what a restart goes on from, as in Flume.
    if keys.flag("writePositionFile", true) {
        return source.write_position_file(interval);
    }
    source
}

const NO_GROUP: &str = "belongs to no group that is in the list filegroups";
const POSITION_FILE: &str = ".flume/taildir_position.json";
const OVERLONG: [(&str, Overlong); 3] =
    [("split", Overlong::Split), ("truncate", Overlong::Truncate), ("drop", Overlong::Drop)];
const JAVA_LONG_MAX: u64 = i64::MAX as u64;

#[cfg(test)]
mod tests {
    use super::super::testing::problems_of_source;
    use super::*;

    #[test]
    fn headers_of_a_group_have_names() {
        let problems = |pair| {
            let all = [("filegroups", "f1"), ("filegroups.f1", "/x/y"), ("headers.f1.a", "b"), pair];
            problems_of_source("TAILDIR", &all)
        };
        assert_eq!(problems(("headers.f1.a.b", "c")), [] as [&str; 0]);
        for (pair, expected) in [
            (("headers.f1", "x"), "headers.f1 = x: must be headers.<group>.<name of a header>; Flume drops the source"),
            (("headers.f2", "x"), "headers.f2 = x: must be headers.<group>.<name of a header>; Flume drops the source"),
            (("headers.f2.a", "x"), "headers.f2.a = x: belongs to no group that is in the list filegroups"),
            (("filegroups.f2", "/z/y"), "filegroups.f2 = /z/y: belongs to no group that is in the list filegroups"),
        ] {
            assert_eq!(problems(pair), [format!("a1.sources.r1.{expected}")]);
        }
    }

    #[test]
    fn groups_come_in_the_order_of_flumes_hash_map() {
        let pairs = ["logs", "app", "errors"].map(|name| (format!("filegroups.{name}"), format!("/{name}/x")));
        let mut keys = Keys::of("x.", pairs.iter().map(|(key, path)| (key.as_str(), path.as_str())));
        let groups = groups(&mut keys, &["logs", "app", "errors"].map(str::to_owned));
        // As a running Flume has them.
        let expected = ["/app/x", "/logs/x", "/errors/x"].map(FileGroup::of_path);
        assert_eq!(format!("{groups:?}"), format!("{expected:?}"));
    }

    #[test]
    fn a_line_may_be_as_long_as_those_of_a_command() {
        let limited = |pairs: &[(&str, &str)]| {
            let source = own_limits(&mut Keys::of("x.", pairs.iter().copied()), TailDir::new([]));
            format!("{source:?}")
        };
        let source = limited(&[]);
        assert!(source.contains(&format!("line_bytes_max: {LINE_BYTES_CEILING}")), "{source}");
        let source = limited(&[("maxLineLength", "100"), ("overlongLines", "drop"), ("maxOpenFiles", "7")]);
        for setting in ["line_bytes_max: 100", "Drop", "open_files: 7"] {
            assert!(source.contains(setting), "{setting}: {source}");
        }
    }
}
