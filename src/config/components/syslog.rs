//! Flume's `syslogtcp`, `multiport_syslogtcp` and `syslogudp` sources.

use super::super::{Keys, Made, Registry, Severity, Site, SourceSetup};
use super::{ABOVE_ZERO, all_interfaces, bind_address, known_charset, number_without_effect, tls};
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
    let host = keys.text("host", all_interfaces());
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
    let mut source = SyslogUdp::bind(bind_address(keys, "host", Some(all_interfaces())))
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
mod tests {
    use super::super::testing::problems_of_source;

    const NONE: [&str; 0] = [];
    const TCP: [(&str, &str); 2] = [("host", "127.0.0.1"), ("port", "5140")];
    const UDP: [(&str, &str); 1] = [("port", "5140")];
    const FORMAT: [(&str, &str); 3] = [("host", "127.0.0.1"), ("port", "5140"), ("format.regex", "<(\\d+)>(.*)")];
    const PORTS: [(&str, &str); 1] = [("ports", "5140 5141")];

    #[test]
    fn every_key_of_flumes_is_known() {
        let tls = [
            ("ssl", "false"),
            ("keystore", "k"),
            ("keystore-password", "p"),
            ("keystore-type", "JKS"),
            ("exclude-protocols", "SSLv3"),
            ("include-protocols", "TLSv1.2"),
            ("exclude-cipher-suites", "A"),
            ("include-cipher-suites", "B"),
        ];
        let client = [("clientIPHeader", "ip"), ("clientHostnameHeader", "name")];
        for keep in ["none", "all", "TRUE", "false", "priority,version timestamp  hostname"] {
            let more = [
                &client[..],
                &[("eventSize", "10"), ("keepFields", keep), ("idleTimeout", "60000"), ("messageTimeout", "500")],
            ]
            .concat();
            assert_eq!(problems_of_source("syslogtcp", &[&TCP[..], &more, &tls].concat()), NONE, "{keep}");
            assert_eq!(problems_of_source("Multiport_SyslogTcp", &[&PORTS[..], &more, &tls].concat()), NONE, "{keep}");
            let udp = [&[("port", "5140"), ("keepFields", keep)], &client[..]].concat();
            assert_eq!(problems_of_source("syslogudp", &udp), NONE, "{keep}");
        }
        let format = [("format.search", "T"), ("format.replace", " "), ("format.dateFormat", "yyyy-MM-dd HH:mm:ss")];
        assert_eq!(problems_of_source("syslogtcp", &[&FORMAT[..], &format].concat()), NONE);
        assert_eq!(problems_of_source("syslogudp", &[&FORMAT[..], &format].concat()), NONE);
        let multiport = [
            ("host", "::1"),
            ("portHeader", "port"),
            ("batchSize", "500"),
            ("charset.default", "ISO-8859-1"),
            ("charset.port.5141", "utf-8"),
        ];
        assert_eq!(problems_of_source("multiport_syslogtcp", &[&PORTS[..], &multiport].concat()), NONE);
        for key in ["numProcessors", "readBufferSize", "readBufferBytes", "charset.port.9"] {
            let value = if key.starts_with("charset") { "UTF-8" } else { "4" };
            let found = problems_of_source("multiport_syslogtcp", &[&PORTS[..], &[(key, value)]].concat());
            assert!(matches!(&found[..], [only] if only.contains("has no effect")), "{key}: {found:?}");
        }
    }

    #[test]
    fn mistakes_are_named_with_what_to_do() {
        for (kind, base, more, expected) in [
            ("syslogtcp", &TCP[1..], ("keepFields", "all"), "host: is missing"),
            ("syslogtcp", &TCP[..1], ("keepFields", "all"), "port: is missing"),
            ("syslogtcp", &TCP, ("keepFields", "priority host"), "\"host\" is no field of a syslog message"),
            ("syslogtcp", &TCP, ("eventSize", "x"), "must be a number from 10 to 16777216"),
            ("syslogtcp", &TCP, ("format.regex", "(x"), "format.regex"),
            ("syslogtcp", &TCP, ("format.search", "x"), "has no effect without format.regex"),
            ("syslogudp", &UDP, ("format.dateFormat", "yyyy"), "has no effect without format.regex"),
            ("syslogtcp", &TCP, ("format.pattern", "x"), "syslogtcp has no such key"),
            ("multiport_syslogtcp", &PORTS, ("format.regex", "x"), "multiport_syslogtcp has no such key"),
            ("syslogtcp", &FORMAT, ("format.replace", "x"), "has no effect without format.search"),
            ("syslogtcp", &FORMAT, ("format.search", "("), "format.search"),
            ("syslogtcp", &FORMAT, ("format.dateFormat", "yyyy-MM-ddTHH"), "T is not a letter of dates"),
            ("syslogtcp", &TCP, ("ports", "1 2"), "syslogtcp has no such key"),
            ("syslogtcp", &TCP, ("clientIpHeader", "ip"), "is it clientIPHeader?"),
            ("syslogtcp", &TCP, ("idleTimeout", "0"), "must be a number from 1 to 86400000"),
            ("multiport_syslogtcp", &PORTS, ("messageTimeout", "86400001"), "must be a number from 1 to 86400000"),
            ("syslogudp", &UDP, ("idleTimeout", "5"), "syslogudp has no such key"),
            ("syslogudp", &TCP, ("eventSize", "100"), "syslogudp has no such key"),
            ("syslogudp", &TCP, ("ssl", "true"), "syslogudp has no such key"),
            ("multiport_syslogtcp", &[], ("host", "h"), "ports: is missing"),
            ("multiport_syslogtcp", &[], ("ports", "514 x"), "x is no port"),
            ("multiport_syslogtcp", &[], ("ports", "514 514"), "has 514 more than once"),
            ("multiport_syslogtcp", &PORTS, ("port", "1"), "multiport_syslogtcp has no such key"),
            ("multiport_syslogtcp", &PORTS, ("charset.default", "utf-16"), "does not contain ASCII"),
            ("multiport_syslogtcp", &PORTS, ("charset.port.5140", "klingon"), "is no known character set"),
            ("multiport_syslogtcp", &PORTS, ("charset.port.x", "utf-8"), "must end in the number of a port"),
            ("multiport_syslogtcp", &PORTS, ("numProcessors", "many"), "must be a number"),
            ("multiport_syslogtcp", &PORTS, ("eventSize", "0"), "must be a number from 1 to 16777216"),
            (
                "multiport_syslogtcp",
                &PORTS,
                ("eventSize", "9"),
                "must be a number from 10 to 16777216; Flume cuts messages",
            ),
            ("multiport_syslogtcp", &PORTS, ("numProcessors", "0"), "must be a number from 1 on"),
        ] {
            let found = problems_of_source(kind, &[base, &[more]].concat());
            assert!(matches!(&found[..], [only] if only.contains(expected)), "{kind} {expected}: {found:?}");
        }
    }
}
