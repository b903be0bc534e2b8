//! The decoders of the crate, behind one door for fuzzing.
//!
//! Not part of the API: no promise covers what is in here. It is public so that the package in `fuzz/` and the test
//! `tests/fuzzing.rs` reach the same functions. Each of them takes any bytes, feeds them to a decoder, and panics if
//! something does not hold that must hold for any input: what is accepted encodes to the same bytes, pieces of a stream
//! make no difference, nothing is counted twice.
//!
//! A new decoder needs two lines here: its module and its place in [`TARGETS`]. `docs/testing.md` says how they are run.

#[cfg(feature = "rpc")]
mod calls;
mod codec;
mod deserializers;
#[cfg(any(feature = "avro", feature = "http"))]
mod formats;
mod headers;
mod input;
mod places;
mod recovery;
#[cfg(feature = "rpc")]
mod rpc;
mod store;
mod text;

/// A decoder under test.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Target {
    /// Its name, which is also that of the directory with inputs that once broke it.
    pub name: &'static str,
    /// Feeds one input to it.
    pub run: fn(&[u8]),
    /// Inputs that it accepts, from which others are made.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "frame", run: store::frame, seeds: store::frame_seeds },
    Target { name: "record", run: store::record, seeds: store::record_seeds },
    Target { name: "segment_header", run: store::segment_header, seeds: store::segment_header_seeds },
    Target { name: "checkpoint", run: store::checkpoint, seeds: store::checkpoint_seeds },
    Target { name: "manifest", run: store::manifest, seeds: store::manifest_seeds },
    Target { name: "recovery", run: recovery::run, seeds: recovery::seeds },
    Target { name: "headers", run: headers::run, seeds: headers::seeds },
    Target { name: "lines", run: codec::lines, seeds: codec::line_seeds },
    Target { name: "charset", run: codec::charset, seeds: codec::charset_seeds },
    Target { name: "syslog", run: codec::syslog, seeds: codec::syslog_seeds },
    Target { name: "text_lines", run: deserializers::text_lines, seeds: deserializers::line_seeds },
    Target { name: "multi_lines", run: deserializers::multi_lines, seeds: deserializers::line_seeds },
    #[cfg(feature = "avro")]
    Target { name: "avro", run: deserializers::avro, seeds: deserializers::avro_seeds },
    Target { name: "properties", run: text::properties, seeds: text::properties_seeds },
    Target { name: "pattern", run: text::pattern, seeds: text::pattern_seeds },
    Target { name: "references", run: text::references, seeds: text::reference_seeds },
    Target { name: "replacement", run: text::replacement, seeds: text::replacement_seeds },
    Target { name: "time_pattern", run: text::time_pattern, seeds: text::time_pattern_seeds },
    Target { name: "java_date", run: text::java_date, seeds: text::time_pattern_seeds },
    Target { name: "tail_position", run: places::tail, seeds: places::tail_seeds },
    Target { name: "spool_position", run: places::spool, seeds: places::spool_seeds },
    Target { name: "roll_position", run: places::roll, seeds: places::roll_seeds },
    Target { name: "flume_record", run: places::flume_record, seeds: places::flume_record_seeds },
    Target { name: "flume_channel", run: places::flume_channel, seeds: places::flume_channel_seeds },
    #[cfg(feature = "http")]
    Target { name: "http_text", run: formats::http_text, seeds: formats::http_text_seeds },
    #[cfg(feature = "http")]
    Target { name: "http_parameters", run: formats::http_parameters, seeds: formats::http_parameter_seeds },
    #[cfg(feature = "http")]
    Target { name: "json_events", run: formats::json, seeds: formats::json_seeds },
    #[cfg(feature = "http")]
    Target { name: "lenient_json", run: formats::lenient_json, seeds: formats::lenient_json_seeds },
    #[cfg(feature = "avro")]
    Target { name: "avro_container", run: formats::avro_container, seeds: formats::avro_container_seeds },
    #[cfg(feature = "avro")]
    Target { name: "schema_text", run: formats::schema_text, seeds: formats::schema_text_seeds },
    #[cfg(feature = "rpc")]
    Target { name: "rpc_frames", run: rpc::frames, seeds: rpc::frame_seeds },
    #[cfg(feature = "rpc")]
    Target { name: "avro_events", run: rpc::avro_events, seeds: rpc::avro_event_seeds },
    #[cfg(feature = "rpc")]
    Target { name: "thrift", run: rpc::thrift, seeds: rpc::thrift_seeds },
    #[cfg(feature = "rpc")]
    Target { name: "avro_answers", run: calls::avro_answers, seeds: calls::avro_answer_seeds },
    #[cfg(feature = "rpc")]
    Target { name: "avro_calls", run: calls::avro_calls, seeds: calls::avro_call_seeds },
    #[cfg(feature = "rpc")]
    Target { name: "thrift_answers", run: calls::thrift_answers, seeds: calls::thrift_answer_seeds },
    #[cfg(feature = "tls")]
    Target { name: "jks", run: crate::tls::fuzz::jks, seeds: crate::tls::fuzz::jks_seeds },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
