//! Flume's `syslogtcp`, `multiport_syslogtcp` and `syslogudp` sources.

use super::super::{Keys, Made, Registry, Severity, Site, SourceSetup};
use super::{ABOVE_ZERO, ALL_INTERFACES, bind_address, known_charset, listening, number_without_effect, tls};
use crate::codec::charset::Charset;
use crate::codec::syslog::{KeepFields, SyslogFormat};
use crate::limits::{
    CONNECTION_BYTES_IN_FLIGHT_MAX, CONNECTIONS_MAX, FLUME_CONNECTION_IDLE, LINE_BYTES_CEILING, PROPERTY_MILLIS_MAX,
    SOURCE_BATCH_EVENTS, SOURCE_BYTES_IN_FLIGHT_MAX, SYSLOG_EVENT_BYTES_FLUME,
};
use crate::source::syslog::{Reading, SyslogTcp, SyslogUdp};

pub(super) fn register(registry: &mut Registry) {
    registry.source(&["syslogtcp", "org.apache.flume.source.SyslogTcpSource"], tcp);
    registry.source(&["multiport_syslogtcp", "org.apache.flume.source.MultiportSyslogTCPSource"], multiport);
    registry.source(&["syslogudp", "org.apache.flume.source.SyslogUDPSource"], udp);
}

fn tcp(keys: &mut Keys, site: &Site<'_>) -> Made<SourceSetup> {
    let source = SyslogTcp::bind(bind_address(keys, "host", None));
    let source = format(keys).into_iter().fold(source, SyslogTcp::format);
    // Flume takes ten for anything less.
    let longest = keys.number_from("eventSize", EVENT_BYTES_MIN..=LINE_BYTES_CEILING, SYSLOG_EVENT_BYTES_FLUME);
    let batch = SOURCE_BATCH_EVENTS.min(site.transaction_events_max());
    Ok(SourceSetup::new(common(keys, site, source, longest)?.batch_max(batch)))
}

fn multiport(keys: &mut Keys, site: &Site<'_>) -> Made<SourceSetup> {
    let host = listening(keys.text("host", ALL_INTERFACES));
    let ports = ports(keys);
    let mut source = SyslogTcp::multiport(&host, ports.iter().copied());
    if let Some(name) = keys.optional("portHeader") {
        source = source.port_header(name);
    }
    if let Some(charset) = keys.parsed("charset.default", charset) {
        source = source.charset(charset);
    }
    for (port, _) in keys.sub("charset.port.") {
        let key = format!("charset.port.{port}");
        let charset = keys.parsed(&key, charset);
        match port.parse() {
            Ok(port) if ports.contains(&port) => {
                source = charset.into_iter().fold(source, |source, charset| source.port_charset(port, charset));
            }
            Ok(_) => keys.warn(&key, format!("has no effect: {port} is not among the ports")),
            Err(_) => keys.mistake(&key, "must end in the number of a port"),
        }
    }
    let batch = keys.batch_size("batchSize", 100);
    number_without_effect(keys, "numProcessors", ABOVE_ZERO, "has no effect: every connection has a thread");
    let why = "has no effect: buffers have the size of what is there to read";
    number_without_effect(keys, "readBufferBytes", ABOVE_ZERO, why);
    // Its name in Flume's guide, which Flume does not know.
    keys.ignored(&["readBufferSize"], why);
    let longest = multiport_event_size(keys);
    let source = common(keys, site, source, longest)?.batch_max(batch.events().min(site.transaction_events_max()));
    Ok(SourceSetup::new(source).batch(batch))
}

fn udp(keys: &mut Keys, site: &Site<'_>) -> Made<SourceSetup> {
    let mut source = SyslogUdp::bind(bind_address(keys, "host", Some(ALL_INTERFACES)))
        .batch_max(SOURCE_BATCH_EVENTS.min(site.transaction_events_max()));
    source = format(keys).into_iter().fold(source, SyslogUdp::format);
    reading(keys, source.reading());
    match source.check() {
        Ok(source) => Ok(SourceSetup::new(source)),
        Err(reason) => Err(keys.refuse(reason)),
    }
}

/// At several ports Flume has no smallest size.
fn multiport_event_size(keys: &mut Keys) -> usize {
    let given = keys.number("eventSize", 1..=LINE_BYTES_CEILING, SYSLOG_EVENT_BYTES_FLUME);
    if given < EVENT_BYTES_MIN {
        let why = format!(
            "must be a number from {EVENT_BYTES_MIN} to {LINE_BYTES_CEILING}; Flume cuts messages into shorter pieces"
        );
        keys.problem(Severity::Ignored, "eventSize", why);
    }
    given.max(EVENT_BYTES_MIN)
}

/// What both sources over TCP have, checked.
fn common(keys: &mut Keys, site: &Site<'_>, source: SyslogTcp, longest: usize) -> Made<SyslogTcp> {
    let mut source = source
        .event_bytes_max(longest)
        .connections_per_peer_max(CONNECTIONS_MAX)
        .connection_bytes_in_flight_max(CONNECTION_BYTES_IN_FLIGHT_MAX.max(longest))
        .bytes_in_flight_max(SOURCE_BYTES_IN_FLIGHT_MAX.max(longest * CONNECTIONS_MAX))
        // Keys of ours: Flume waits for ever.
        .idle_timeout(keys.millis("idleTimeout", 1..=PROPERTY_MILLIS_MAX, FLUME_CONNECTION_IDLE))
        .message_timeout(keys.millis("messageTimeout", 1..=PROPERTY_MILLIS_MAX, FLUME_CONNECTION_IDLE));
    reading(keys, source.reading());
    #[cfg(feature = "tls")]
    if let Some(tls) = tls::server(keys, site)? {
        source = source.tls(tls);
    }
    #[cfg(not(feature = "tls"))]
    tls::none(keys, site)?;
    source.check().map_err(|reason| keys.refuse(reason))
}

fn ports(keys: &mut Keys) -> Vec<u16> {
    let mut ports = Vec::new();
    for text in keys.required_list("ports") {
        match text.parse::<u16>() {
            Ok(port) if port > 0 && ports.contains(&port) => keys.warn("ports", format!("has {port} more than once")),
            Ok(port) => ports.push(port),
            Err(_) => {
                keys.mistake("ports", format!("{text} is no port; give numbers from 0 to 65535 with blanks between"));
            }
        }
    }
    ports
}

fn charset(label: &str) -> Result<Charset, &'static str> {
    let charset = known_charset(label)?;
    if !charset.contains_ascii() {
        return Err("does not contain ASCII, so that messages in it cannot be told apart");
    }
    Ok(charset)
}

/// What stays in the body, and what is told of clients.
fn reading(keys: &mut Keys, reading: &mut Reading) {
    reading.keep = keep_fields(keys);
    reading.client_ip_header = keys.optional("clientIPHeader");
    let Some(name) = keys.optional("clientHostnameHeader") else { return };
    if cfg!(not(feature = "dns")) {
        let why = "names of clients are not part of this build; enable the feature dns of the crate aqueduct";
        keys.mistake("clientHostnameHeader", why);
    }
    reading.tell_host_name(name);
}

/// Flume looks for the names of the fields in the text, and passes over everything else.
fn keep_fields(keys: &mut Keys) -> KeepFields {
    let text = keys.text("keepFields", "none");
    text.parse().unwrap_or_else(|error| {
        keys.problem(Severity::Ignored, "keepFields", format!("{error}"));
        let text = text.to_ascii_lowercase();
        let known = ["priority", "version", "timestamp", "hostname"].into_iter().filter(|field| text.contains(field));
        known.collect::<Vec<_>>().join(" ").parse().unwrap_or_default()
    })
}

/// A format of one's own, which Flume reads although its guide does not have it.
fn format(keys: &mut Keys) -> Option<SyslogFormat> {
    let format = keys.parsed("format.regex", SyslogFormat::new);
    if !keys.is_set("format.regex") {
        for key in ["format.search", "format.replace", "format.dateFormat"] {
            if keys.optional(key).is_some() {
                keys.mistake(key, "has no effect without format.regex, which says how messages look");
            }
        }
        return None;
    }
    let search = keys.optional("format.search");
    let replace = keys.optional("format.replace");
    let date = keys.optional("format.dateFormat");
    let mut format = format?;
    match (search, replace) {
        (Some(search), replace) => {
            // A value that is empty counts as missing, so nothing stands for "remove it".
            match format.clone().replace(&search, &replace.unwrap_or_default()) {
                Ok(made) => format = made,
                Err(error) => keys.mistake("format.search", error.to_string()),
            }
        }
        (None, Some(_)) => keys.mistake("format.replace", "has no effect without format.search"),
        (None, None) => {}
    }
    match date.map(|date| format.clone().date(&date)) {
        Some(Ok(made)) => Some(made),
        Some(Err(error)) => {
            keys.mistake("format.dateFormat", error.to_string());
            Some(format)
        }
        None => Some(format),
    }
}

/// Room for a priority and a little text.
const EVENT_BYTES_MIN: usize = 10;

#[cfg(test)]
mod tests;
