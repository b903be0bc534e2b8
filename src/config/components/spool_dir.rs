//! Flume's `spooldir` source.

use std::time::Duration;

use super::super::{Keys, Made, Registry, Severity, Site, SourceSetup};
use super::{known_charset, pause};
use crate::SpoolDir;
use crate::agent::Backoff;
use crate::codec::pattern::{Pattern, PatternError};
use crate::limits::{
    BLOB_BYTES_MAX, FLUME_BODY_BYTES_MAX, MULTI_LINE_BYTES_MAX, MULTI_LINE_LINES_MAX, PROPERTY_MILLIS_MAX,
    SPOOL_LINE_BYTES_CEILING,
};
use crate::source::spool_dir::{Completed, ConsumeOrder, DecodeError, Deserializer, MultiLine};

pub(super) fn register(registry: &mut Registry) {
    registry.source(&["spooldir", "org.apache.flume.source.SpoolDirectorySource"], make);
}

fn make(keys: &mut Keys, site: &Site<'_>) -> Made<SourceSetup> {
    // All that is wrong, where the source would tell the first.
    for key in ["includePattern", "ignorePattern"] {
        keys.parsed(key, |pattern| Pattern::whole(pattern).map_err(|error| error.reason));
    }
    keys.parsed("inputCharset", known_charset);
    let mut source = SpoolDir::new(keys.required_path("spoolDir"))
        .include(keys.text("includePattern", "^.*$"))
        .ignore(keys.text("ignorePattern", "^$"))
        .recursive(keys.flag("recursiveDirectorySearch", false))
        .follow_links(keys.flag("followLinks", true))
        .order(keys.choice("consumeOrder", &ORDERS, ConsumeOrder::Oldest))
        .completed(completed(keys))
        // As in Flume, also where files are not renamed.
        .ignore_suffix(keys.text("fileSuffix", COMPLETED_SUFFIX))
        .encoding(keys.text("inputCharset", "UTF-8"))
        .decode_error(keys.choice("decodeErrorPolicy", &POLICIES, DecodeError::Fail));
    let file = (keys.flag("fileHeader", false), keys.text("fileHeaderKey", "file"));
    let basename = (keys.flag("basenameHeader", false), keys.text("basenameHeaderKey", "basename"));
    if file.0 {
        source = source.file_header(file.1);
    }
    if basename.0 {
        source = source.basename_header(basename.1);
    }
    source = deserializer(keys, source);
    // As Flume, whose log is where a file that is left alone is told.
    let log = site.log();
    source = source.on_report(move |report| log(&format!("SpoolDirectorySource: {report}")));
    let batch = keys.batch_size("batchSize", 100);
    let idle = keys.millis("pollDelay", 1..=PROPERTY_MILLIS_MAX, Duration::from_millis(500));
    let retry_max = pause(keys, "maxBackoff", Duration::from_secs(4));
    let retry = Backoff::new(RETRY_MIN.min(retry_max), retry_max);
    match source.check() {
        Ok(source) => Ok(SourceSetup::new(source).batch(batch).idle(Backoff::new(idle, idle)).retry(retry)),
        Err(error) => Err(keys.refuse_for(key_of(error.setting), error.reason)),
    }
}

/// The key of a setting.
fn key_of(setting: &str) -> &str {
    match setting {
        "dir" => "spoolDir",
        "ignore_suffix" | "completed suffix" => "fileSuffix",
        "completed tracker dir" => "trackerDir",
        "file_header" => "fileHeaderKey",
        "basename_header" => "basenameHeaderKey",
        other => other,
    }
}

fn completed(keys: &mut Keys) -> Completed {
    let suffix = keys.text("fileSuffix", COMPLETED_SUFFIX);
    let dir = keys.text("trackerDir", ".flumespool").into();
    let is_tracked = keys.choice("trackingPolicy", &[("rename", false), ("tracker_dir", true)], false);
    let is_deleted = keys.choice("deletePolicy", &[("never", false), ("immediate", true)], false);
    match (is_deleted, is_tracked) {
        (true, _) => Completed::Delete,
        (false, true) => Completed::Tracker { dir, suffix },
        (false, false) => Completed::Rename { suffix },
    }
}

/// The deserializer and its keys.
fn deserializer(keys: &mut Keys, source: SpoolDir) -> SpoolDir {
    let kind = keys.choice("deserializer", &DESERIALIZERS, Kind::Line);
    if !matches!(kind, Kind::Line) {
        keys.ignored(&["bufferMaxLines", "bufferMaxLineLength"], "belongs to the deserializer LINE");
    }
    match kind {
        Kind::Line => lines(keys, source),
        Kind::Avro => avro(keys, source),
        Kind::Blob => {
            let bytes_max = keys.number("deserializer.maxBlobLength", 1..=FLUME_BODY_BYTES_MAX, BLOB_BYTES_MAX);
            source.deserializer(Deserializer::Blob { bytes_max })
        }
        Kind::MultiLine => multi_line(keys, source),
    }
}

#[cfg(feature = "avro")]
fn avro(keys: &mut Keys, source: SpoolDir) -> SpoolDir {
    use crate::source::spool_dir::AvroSchema;

    let schemas = [("HASH", AvroSchema::Hash), ("LITERAL", AvroSchema::Literal)];
    source.deserializer(Deserializer::Avro(keys.choice("deserializer.schemaType", &schemas, AvroSchema::Hash)))
}

#[cfg(not(feature = "avro"))]
fn avro(keys: &mut Keys, source: SpoolDir) -> SpoolDir {
    keys.unsupported(&["deserializer"], "build aqueduct with its feature avro");
    source
}

/// One of our own.
fn multi_line(keys: &mut Keys, source: SpoolDir) -> SpoolDir {
    type Make = fn(&str) -> Result<MultiLine, PatternError>;
    let joins: [(&str, Make); 3] =
        [("begins", MultiLine::begins), ("continues", MultiLine::continues), ("continued", MultiLine::continued)];
    let join = keys.choice("deserializer.match", &joins, MultiLine::begins);
    if !keys.is_set("deserializer.pattern") {
        keys.mistake("deserializer.pattern", "is missing");
    }
    let lines = keys.parsed("deserializer.pattern", join);
    let negated = keys.flag("deserializer.negate", false);
    let lines_max = keys.number("deserializer.maxLines", 1..=usize::MAX, MULTI_LINE_LINES_MAX);
    let bytes_max = keys.number("deserializer.maxBytes", 4..=FLUME_BODY_BYTES_MAX, MULTI_LINE_BYTES_MAX);
    let Some(lines) = lines else { return source };
    source.deserializer(Deserializer::MultiLine(lines.negated(negated).lines_max(lines_max).bytes_max(bytes_max)))
}

fn lines(keys: &mut Keys, source: SpoolDir) -> SpoolDir {
    // Its name before there were deserializers, which still wins.
    let old = keys.is_set("bufferMaxLineLength").then(|| line_length(keys, "bufferMaxLineLength"));
    let line = line_length(keys, "deserializer.maxLineLength");
    keys.ignored(&["bufferMaxLines"], "has no effect in Flume either");
    keys.choice("deserializer.outputCharset", &[("UTF-8", ())], ());
    source.line_max_chars(old.unwrap_or(line))
}

/// Characters of a line. Flume has no smallest length; here every character must fit.
fn line_length(keys: &mut Keys, key: &str) -> usize {
    if keys.value(key).is_some_and(|text| text.parse::<i32>().is_ok_and(|chars| chars < 4)) {
        let why =
            format!("must be a number from 4 to {SPOOL_LINE_BYTES_CEILING}; Flume cuts lines into shorter pieces");
        keys.problem(Severity::Ignored, key, why);
        return 4;
    }
    keys.number(key, 4..=SPOOL_LINE_BYTES_CEILING, 2048)
}

#[derive(Clone, Copy)]
enum Kind {
    Line,
    Avro,
    Blob,
    MultiLine,
}

const ORDERS: [(&str, ConsumeOrder); 3] =
    [("oldest", ConsumeOrder::Oldest), ("youngest", ConsumeOrder::Youngest), ("random", ConsumeOrder::Random)];
const POLICIES: [(&str, DecodeError); 3] =
    [("FAIL", DecodeError::Fail), ("REPLACE", DecodeError::Replace), ("IGNORE", DecodeError::Ignore)];
const DESERIALIZERS: [(&str, Kind); 6] = [
    ("LINE", Kind::Line),
    ("org.apache.flume.serialization.LineDeserializer$Builder", Kind::Line),
    ("AVRO", Kind::Avro),
    ("org.apache.flume.serialization.AvroEventDeserializer$Builder", Kind::Avro),
    ("org.apache.flume.sink.solr.morphline.BlobDeserializer$Builder", Kind::Blob),
    ("MULTILINE", Kind::MultiLine),
];
/// Where Flume begins; it doubles from there.
const RETRY_MIN: Duration = Duration::from_millis(250);
const COMPLETED_SUFFIX: &str = ".COMPLETED";
