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
