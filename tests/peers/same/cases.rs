//! The cases: what is fed in, and how much has to come out.

use std::collections::BTreeSet;
use std::fs;

use super::{Run, anonymous, any_order, exact, same};
use crate::process::{Side, post, send_lines, send_tcp, send_udp};

/// Flume repeats lines over a restart: of each, the first counts. Ours has to do without.
#[allow(clippy::needless_pass_by_value)] // a `Normal`
fn without_repetition(run: &Run, text: String) -> String {
    let mut seen = BTreeSet::new();
    let kept = super::lines(&text).filter(|line| seen.insert(*line)).collect::<Vec<_>>().join("\n");
    assert!(run.side == Side::Flume || kept.len() + 1 == text.len(), "ours repeats lines");
    kept
}

fn lines(prefix: &str, count: usize) -> Vec<u8> {
    (0..count).flat_map(|number| format!("{prefix} {number}\n").into_bytes()).collect()
}

#[test]
fn spool_dir_with_headers_and_subdirectories() {
    let drive = |run: &Run| {
        run.drop_file("one.log", &lines("one", 1000));
        run.drop_file("sub/two.log", &lines("two", 500));
        run.drop_file(".hidden.log", b"hidden\n");
        run.drop_file("three.skip", b"ignored\n");
        let linked = run.dir.join("linked");
        fs::write(&linked, lines("behind a link", 10)).expect("a file");
        std::os::unix::fs::symlink(&linked, run.input.join("five.log")).expect("a link");
        run.drop_file("four.log", "umlauts \u{e4}\u{f6}\u{fc}, a tab\t, a return\r\n\nand no newline".as_bytes());
        let mut agent = run.start("a1");
        run.await_lines(&mut agent, 1513);
        agent.await_that("the removal of the link", || fs::symlink_metadata(run.input.join("five.log")).is_err());
        agent.stop();
        assert!(linked.exists(), "{:?} removes what the link leads to", run.side);
    };
    same("spool-headers", drive, anonymous);
}

#[test]
fn spool_dir_through_a_file_channel_with_restarts() {
    let drive = |run: &Run| {
        for file in 0..6 {
            run.drop_file(&format!("{file}.txt"), &lines(&format!("file {file} line"), 2000));
        }
        let mut agent = run.start("a1");
        run.await_lines(&mut agent, 3000);
        agent.stop();
        let mut agent = run.start("a1");
        run.await_lines(&mut agent, 12_000);
        agent.stop();
    };
    same("spool-file-channel", drive, without_repetition);
}

#[test]
fn spool_dir_cuts_long_lines_and_replaces_bad_bytes() {
    let drive = |run: &Run| {
        let mut text = b"short\n".to_vec();
        text.extend(vec![b'x'; 45]);
        text.extend(b"\nbad \xff\xfe byte, \xe2\x82 cut, \xc3\xa9 good\n");
        run.drop_file("text", &text);
        let mut agent = run.start("a1");
        run.await_lines(&mut agent, 8);
        agent.stop();
    };
    same("spool-long-lines", drive, exact);
}

#[test]
fn spool_dir_in_another_character_set() {
    let drive = |run: &Run| {
        run.drop_file("latin.csv", b"caf\xe9;na\xefve;100 \xa4\nsecond\n");
        let mut agent = run.start("a1");
        run.await_lines(&mut agent, 2);
        agent.stop();
    };
    same("spool-latin", drive, exact);
}

#[test]
fn tail_dir_through_rotation() {
    let drive = |run: &Run| {
        let log = run.input.join("app.log");
        fs::write(&log, lines("first", 300)).expect("a log");
        fs::write(run.input.join("other.log"), "with return\r\n\nblank before\n").expect("a log");
        let mut agent = run.start("a1");
        run.await_lines(&mut agent, 303);
        fs::rename(&log, run.input.join("rotated.1")).expect("a rotation");
        fs::write(&log, lines("second", 200)).expect("a new log");
        run.await_lines(&mut agent, 503);
        agent.stop();
        fs::write(run.dir.join("late"), lines("late", 50)).expect("a log");
        std::os::unix::fs::symlink(run.dir.join("late"), run.input.join("late.log")).expect("a link to a log");
        let mut agent = run.start("a1");
        run.await_lines(&mut agent, 553);
        agent.stop();
    };
    same("taildir", drive, any_order);
}

#[test]
fn exec_of_a_command_and_of_a_shell() {
    let drive = |run: &Run| {
        let mut agent = run.start("a1");
        run.await_lines(&mut agent, 104);
        agent.stop();
    };
    same("exec", drive, any_order);
}

#[test]
fn netcat_answers_and_events() {
    let drive = |run: &Run| {
        let agent = run.listening("a1");
        let answers = send_lines(run.port, &["one", "", "three\r", "with \u{e9}"]);
        assert_eq!(answers, ["OK\n"; 4], "{:?}", run.side);
        let answer = send_tcp(run.port, format!("kept\n{}\nlost\n", "x".repeat(80)).as_bytes());
        assert_eq!(answer, "OK\nFAILED: Event exceeds the maximum length (64 chars, including newline)\n");
        let mut agent = agent;
        run.await_lines(&mut agent, 5);
        agent.stop();
    };
    same("netcat", drive, exact);
}

#[test]
fn netcat_over_udp() {
    let drive = |run: &Run| {
        let mut agent = run.start("a1");
        // Nothing tells when a datagram would be received.
        agent.await_that("a first datagram arrives", || {
            send_udp(run.port, &[b"ready\n"]);
            run.lines_now() > 0
        });
        let before = run.lines_now();
        send_udp(run.port, &[b"one\n", b"without newline", b"caf\xc3\xa9\n"]);
        run.await_lines(&mut agent, before + 3);
        agent.stop();
    };
    same("netcat-udp", drive, |run, text| {
        let text = anonymous(run, text);
        let sender =
            |line: &str| line.split_once("127.0.0.1:").and_then(|(_, rest)| Some(rest.split_once('}')?.1.to_owned()));
        super::lines(&text).filter_map(sender).filter(|line| line != " ready").collect::<Vec<_>>().join("\n")
    });
}

/// The bad ones come first: Flume gives them what is left of the message before, which is not worth copying.
const SYSLOG: &[u8] = b"<13>neither of both formats\n\
    <999>bad priority\n\
    no priority at all\n\
    <34>1 2026-11-23T22:14:15Z mymachine.example.com su - ID47 - 'su root' failed\n\
    <165>1 2026-08-24T05:14:15+01:00 192.0.2.1 myproc 8710 - - %% It's time\n";

#[test]
fn syslog_over_tcp() {
    let drive = |run: &Run| {
        let mut agent = run.listening("a1");
        send_tcp(run.port, SYSLOG);
        run.await_lines(&mut agent, 5);
        agent.stop();
    };
    same("syslog-tcp", drive, exact);
}

#[test]
fn syslog_over_tcp_keeping_fields() {
    let drive = |run: &Run| {
        let mut agent = run.listening("a1");
        send_tcp(run.port, SYSLOG);
        run.await_lines(&mut agent, 5);
        agent.stop();
    };
    same("syslog-keep", drive, exact);
}

#[test]
fn syslog_over_udp() {
    let drive = |run: &Run| {
        let mut agent = run.start("a1");
        agent.await_that("a first datagram arrives", || {
            send_udp(run.port, &[b"<13>ready\n"]);
            run.lines_now() > 0
        });
        let before = run.lines_now();
        let datagrams: Vec<&[u8]> = SYSLOG.split_inclusive(|byte| *byte == b'\n').collect();
        send_udp(run.port, &datagrams);
        run.await_lines(&mut agent, before + datagrams.len());
        agent.stop();
    };
    same("syslog-udp", drive, |_, text| {
        super::lines(&text).filter(|line| !line.ends_with("ready")).collect::<Vec<_>>().join("\n")
    });
}

#[test]
fn syslog_on_several_ports() {
    let drive = |run: &Run| {
        let mut agent = run.listening("a1");
        send_tcp(run.port, b"<34>1 2026-11-23T22:14:15Z host.example.com app - - - first\n<13>plain\n");
        run.await_lines(&mut agent, 2);
        send_tcp(run.port2, b"<165>1 2026-08-24T05:14:15+01:00 192.0.2.1 myproc 8710 - - second\n");
        run.await_lines(&mut agent, 3);
        agent.stop();
    };
    same("syslog-multiport", drive, anonymous);
}

/// Headers by name.
fn sorted_headers(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix('{').and_then(|rest| rest.rsplit_once("} ")) {
        Some((headers, body)) => {
            let mut headers: Vec<&str> = headers.split(", ").collect();
            headers.sort_unstable();
            format!("{{{}}} {body}\n", headers.join(", "))
        }
        None => format!("{line}\n"),
    };
    super::lines(text).map(line).collect()
}

#[test]
fn syslog_that_tells_who_sent_it() {
    let drive = |run: &Run| {
        let mut agent = run.listening("a1");
        let long = format!("<34>1 2026-11-23T22:14:15Z host {}\n", "x".repeat(50));
        send_tcp(run.port, &[b"<13>Oct 11 22:14:15 web-1 app: short\n", long.as_bytes()].concat());
        run.await_lines(&mut agent, 3);
        agent.stop();
    };
    same("syslog-clients", drive, |_, text| {
        // In Flume the rest of a message has its priority, too, and so another size of its map.
        sorted_headers(&text).replace(", priority=34, version=1} xxx", "} xxx")
    });
}

#[test]
fn syslog_in_other_character_sets() {
    let drive = |run: &Run| {
        let mut agent = run.listening("a1");
        send_tcp(run.port, b"<34>1 2026-11-23T22:14:15Z h\xf6st app - - - caf\xe9\n");
        run.await_lines(&mut agent, 1);
        send_tcp(run.port2, b"<34>1 2026-11-23T22:14:15Z host app - - - caf\xe9\n<14>1 - host app\n<1>\n");
        run.await_lines(&mut agent, 4);
        agent.stop();
    };
    // The map of headers of a message that is none has another size in Flume.
    same("syslog-charsets", drive, |run, text| sorted_headers(&anonymous(run, text)));
}

#[test]
fn http_with_json() {
    let drive = |run: &Run| {
        let mut agent = run.listening("a1");
        let json =
            br#"[{"headers":{"a":"1","n":2,"flag":true},"body":"one"},{"body":"two, caf\u00e9"},{"headers":{}}]"#;
        assert_eq!(post(run.port, "/", "application/json; charset=UTF-8", json), 200);
        assert_eq!(post(run.port, "/any", "application/json", b"[]"), 200);
        assert_eq!(post(run.port, "/", "application/json", b"{\"not\":\"an array\"}"), 400);
        assert_eq!(post(run.port, "/", "application/json", b"[{"), 400);
        assert_eq!(post(run.port, "/", "application/json", br#"[{"headers":{"k":"v"},"body":"last"}]"#), 200);
        run.await_lines(&mut agent, 4);
        agent.stop();
    };
    same("http-json", drive, exact);
}

#[test]
fn http_with_blobs() {
    let drive = |run: &Run| {
        let mut agent = run.listening("a1");
        assert_eq!(
            post(run.port, "/x?origin=here&tag=a%20b&tag=second", "application/octet-stream", b"blob body"),
            200
        );
        run.await_lines(&mut agent, 1);
        agent.stop();
    };
    same("http-blob", drive, exact);
}

#[test]
fn sequence_and_a_bounded_total() {
    let drive = |run: &Run| {
        let mut agent = run.start("a1");
        run.await_lines(&mut agent, 1234);
        agent.stop();
    };
    same("seq", drive, exact);
}

#[test]
fn stress_of_a_bounded_total() {
    let drive = |run: &Run| {
        let mut agent = run.start("a1");
        agent.await_that("all bytes are out", || run.output().values().map(Vec::len).sum::<usize>() >= 1000 * 21);
        agent.stop();
    };
    same("stress", drive, exact);
}

#[test]
fn interceptors_in_a_chain() {
    let drive = |run: &Run| {
        let mut agent = run.listening("a1");
        let json = br#"[
            {"headers":{"keep":"k","secret1":"s","secret2":"s","timestamp":"5"},"body":"user=anna@example.com took 2026-11-23 10:11:12 password=abc"},
            {"headers":{"datacenter":"other"},"body":"DEBUG user=nobody@example.com"},
            {"headers":{},"body":"no user here, password=xyz password=123"}]"#;
        assert_eq!(post(run.port, "/", "application/json", json), 200);
        run.await_lines(&mut agent, 2);
        agent.stop();
    };
    same("interceptors", drive, |run, text| {
        // The identifier is random; that there is one, and how it looks, counts.
        let text = anonymous(run, text);
        let mask = |line: &str| match line.split_once("id=x-") {
            Some((before, rest)) => {
                let (id, rest) = rest.split_at(36);
                assert!(id.chars().all(|c| c.is_ascii_hexdigit() || c == '-'), "{id}");
                format!("{before}id=x-ID{rest}\n")
            }
            None => format!("{line}\n"),
        };
        super::lines(&text).map(mask).collect()
    });
}

#[test]
fn multiplexing_with_optional_and_default_channels() {
    let drive = |run: &Run| {
        let mut agent = run.listening("a1");
        let json = br#"[{"headers":{"state":"CZ"},"body":"to a"},{"headers":{"state":"US"},"body":"to a and b"},
            {"headers":{"state":"New Mexico"},"body":"to b"},{"headers":{"state":"xx"},"body":"default c"},
            {"headers":{"state":"OPT"},"body":"default c, optional a"},{"body":"no header, default c"}]"#;
        assert_eq!(post(run.port, "/", "application/json", json), 200);
        run.await_lines(&mut agent, 8);
        agent.stop();
    };
    same("multiplexing", drive, exact);
}

#[test]
fn replicating_to_several_channels() {
    let drive = |run: &Run| {
        let mut agent = run.listening("a1");
        send_lines(run.port, &["one", "two", "three"]);
        run.await_lines(&mut agent, 9);
        agent.stop();
    };
    same("replicating", drive, exact);
}

#[test]
fn load_balancing_sinks_take_turns_by_batch() {
    let drive = |run: &Run| {
        // All rows come in one transaction, so that each sink finds a full batch at its turn.
        run.drop_file("rows", &lines("row", 45));
        let mut agent = run.start("a1");
        run.await_lines(&mut agent, 45);
        agent.stop();
    };
    same("load-balance", drive, exact);
}

#[test]
fn load_balancing_at_random_delivers_everything_once() {
    let drive = |run: &Run| {
        run.drop_file("rows", &lines("row", 300));
        let mut agent = run.start("a1");
        run.await_lines(&mut agent, 300);
        agent.stop();
        // Who got what is chance.
        let all: Vec<u8> = run.output().into_values().flatten().collect();
        for file in run.files() {
            fs::remove_file(file).expect("an output file");
        }
        fs::write(run.out.join("a/all-1-1"), all).expect("all output in one place");
    };
    same("load-balance-all", drive, any_order);
}

#[test]
fn load_balancing_over_two_channels() {
    let drive = |run: &Run| {
        run.drop_file("rows", &lines("row", 40));
        let mut agent = run.start("a1");
        run.await_lines(&mut agent, 80);
        agent.stop();
    };
    same("load-balance-channels", drive, exact);
}

#[test]
fn failing_over_to_sinks_without_a_priority() {
    let drive = |run: &Run| {
        let mut agent = run.listening("a1");
        send_lines(run.port, &["one", "two", "three"]);
        run.await_lines(&mut agent, 3);
        agent.stop();
    };
    same("failover-priorities", drive, exact);
}

#[test]
fn failing_over_to_the_next_sink() {
    let drive = |run: &Run| {
        let mut agent = run.listening("a1");
        send_lines(run.port, &["one", "two", "three"]);
        run.await_lines(&mut agent, 3);
        agent.stop();
    };
    same("failover", drive, exact);
}

#[test]
fn spillable_channel_keeps_the_order() {
    let drive = |run: &Run| {
        run.drop_file("rows", &lines("row", 1000));
        let mut agent = run.start("a1");
        run.await_lines(&mut agent, 1000);
        agent.stop();
    };
    same("spillable", drive, exact);
}

#[test]
fn spillable_channel_without_an_overflow() {
    let drive = |run: &Run| {
        run.drop_file("rows", &lines("row", 1000));
        let mut agent = run.start("a1");
        run.await_lines(&mut agent, 1000);
        agent.stop();
    };
    same("spillable-memory", drive, exact);
}

#[test]
fn file_roll_names_and_serializers() {
    let drive = |run: &Run| {
        let mut agent = run.listening("a1");
        send_lines(run.port, &["one", "two"]);
        run.await_lines(&mut agent, 4);
        agent.stop();
        let named = run.files().into_iter().filter(|path| path.starts_with(run.out.join("a")));
        for path in named {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            assert!(name.starts_with("tick-") && name.ends_with("-1.txt"), "{:?}: {name}", run.side);
        }
    };
    same("file-roll", drive, exact);
}

#[test]
fn avro_between_two_agents_of_one_file() {
    let drive = |run: &Run| {
        let collector = run.listening("collector");
        let mut collector = collector;
        run.drop_file("rows", &lines("row", 3000));
        let edge = run.start("edge");
        run.await_lines(&mut collector, 3000);
        edge.stop();
        collector.stop();
    };
    same("avro-tiers", drive, anonymous);
}

#[test]
fn thrift_between_two_agents_of_one_file() {
    let drive = |run: &Run| {
        let mut collector = run.listening("collector");
        run.drop_file("rows", &lines("row", 3000));
        let edge = run.start("edge");
        run.await_lines(&mut collector, 3000);
        edge.stop();
        collector.stop();
    };
    same("thrift-tiers", drive, anonymous);
}

#[test]
fn odd_but_legal_syntax() {
    let drive = |run: &Run| {
        let mut agent = run.listening("a1");
        send_lines(run.port, &["one", "two"]);
        run.await_lines(&mut agent, 2);
        agent.stop();
    };
    same("odd-syntax", drive, exact);
}

#[test]
fn a_killed_agent_loses_nothing_it_acknowledged() {
    let drive = |run: &Run| {
        let agent = run.listening("a1");
        let rows: Vec<String> = (0..500).map(|number| format!("row {number}")).collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        assert_eq!(send_lines(run.port, &rows), ["OK\n"; 500]);
        agent.kill();
        let mut agent = run.listening("a1");
        send_lines(run.port, &["after the restart"]);
        run.await_lines(&mut agent, 501);
        agent.stop();
    };
    same("file-channel-kill", drive, without_repetition);
}

/// Data of a container file with a schema that has every kind of type, as they stand in it; no byte of them is a line end.
fn avro_data(count: i64) -> Vec<Vec<u8>> {
    let datum = |number: i64| {
        let mut out = Vec::new();
        avro_long(&mut out, 1_000_000 + number);
        avro_bytes(&mut out, format!("text of the datum number {number}").as_bytes());
        out.push(if number % 2 == 0 { 0 } else { 2 });
        avro_long(&mut out, 2);
        avro_bytes(&mut out, b"one tag");
        avro_bytes(&mut out, b"another tag");
        out.push(0);
        // Nothing, or the enumeration again.
        out.extend(if number % 3 == 0 { &b"\x00"[..] } else { b"\x02\x02" });
        out.extend(b"HASH");
        out.push(1);
        out
    };
    (0..count).map(datum).collect()
}

/// As Java prints a schema.
const AVRO_SCHEMA: &str = concat!(
    r#"{"type":"record","name":"Rec","namespace":"org.example","doc":"said of it","fields":["#,
    r#"{"name":"id","type":"long","doc":"a number"},{"name":"text","type":"string"},"#,
    r#"{"name":"kind","type":{"type":"enum","name":"Kind","symbols":["A","B"]}},"#,
    r#"{"name":"tags","type":{"type":"array","items":"string"}},{"name":"maybe","type":["null","Kind"]},"#,
    r#"{"name":"hash","type":{"type":"fixed","name":"H","size":4}},{"name":"flag","type":"boolean"}]}"#
);

fn avro_long(out: &mut Vec<u8>, number: i64) {
    let mut rest = (number << 1 ^ number >> 63).cast_unsigned();
    while rest > 0x7f {
        out.push(0x80 | u8::try_from(rest & 0x7f).expect("seven bits"));
        rest >>= 7;
    }
    out.push(u8::try_from(rest).expect("seven bits"));
}

fn avro_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    avro_long(out, i64::try_from(bytes.len()).expect("a length"));
    out.extend(bytes);
}

/// A container file with blocks of seven data.
fn avro_container(data: &[Vec<u8>]) -> Vec<u8> {
    let mut out = b"Obj\x01".to_vec();
    avro_long(&mut out, 1);
    avro_bytes(&mut out, b"avro.schema");
    avro_bytes(&mut out, AVRO_SCHEMA.as_bytes());
    out.push(0);
    out.extend(b"0123456789abcdef");
    for block in data.chunks(7) {
        avro_long(&mut out, i64::try_from(block.len()).expect("a length"));
        avro_bytes(&mut out, &block.concat());
        out.extend(b"0123456789abcdef");
    }
    out
}

#[test]
fn avro_containers_from_a_spool_directory() {
    use aqueduct::Event;
    use aqueduct::sink::{AvroCompression, AvroEvent, Serializer as _};

    let mut own = Vec::new();
    let mut serializer = AvroEvent::new().compression(AvroCompression::Deflate);
    serializer.begin(&mut own).expect("a header");
    for number in 0..200 {
        let event = Event::new(format!("the body of event number {number}")).with_header("key", "four");
        serializer.event(&event.expect("a header"), &mut own).expect("an event");
        if number % 9 == 0 {
            serializer.flush_block(&mut own).expect("a block");
        }
    }
    serializer.flush_block(&mut own).expect("a block");
    let drive = |run: &Run| {
        run.drop_file("hash/every.avro", &avro_container(&avro_data(100)));
        run.drop_file("hash/events.avro", &own);
        run.drop_file("literal/every.avro", &avro_container(&avro_data(20)));
        run.drop_file("literal/events.avro", &own);
        let mut agent = run.start("a1");
        run.await_lines(&mut agent, 520);
        agent.stop();
    };
    same("spool-avro", drive, any_order);
}

#[test]
fn blobs_from_a_spool_directory() {
    let drive = |run: &Run| {
        run.drop_file("blob", b"a whole file\nof two lines\n");
        let mut agent = run.start("a1");
        run.await_lines(&mut agent, 2);
        agent.stop();
    };
    same("spool-blob", drive, exact);
}

#[test]
fn logger_prints_the_same() {
    let drive = |run: &Run| {
        let mut agent = run.listening("a1");
        send_lines(run.port, &["hello flume world, this is long", "tab\tand caf\u{e9}", ""]);
        agent.await_that("three events are logged", || agent_events(&run.dir).len() >= 3);
        fs::write(run.out.join("a/x-1-1"), agent_events(&run.dir).join("\n")).expect("the events as output");
        agent.stop();
    };
    same("logger", drive, exact);
}

/// What the logger sink wrote to any log of the run.
fn agent_events(dir: &std::path::Path) -> Vec<String> {
    let logs = fs::read_dir(dir).expect("the directory").filter_map(|entry| {
        let path = entry.expect("an entry").path();
        path.extension()
            .is_some_and(|extension| extension == "log")
            .then(|| fs::read_to_string(path).unwrap_or_default())
    });
    let text = logs.collect::<String>();
    super::lines(&text).filter_map(|line| Some(line[line.find("Event: {")?..].trim_end().to_owned())).collect()
}
