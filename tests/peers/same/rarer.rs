//! Rarer keys, odd names, encodings that few use.

use std::fs;

use aqueduct::Event;
use aqueduct::rpc::RpcClient;

use super::{Run, anonymous, any_order, exact, same};
use crate::process::{Side, post, send_lines, send_tcp, send_tcp_bytes};

#[test]
fn names_and_values_in_every_spelling() {
    let drive = |run: &Run| {
        let mut agent = run.listening("a1");
        assert_eq!(send_lines(run.port, &["one", "two"]), ["OK\n"; 2]);
        run.await_lines(&mut agent, 2);
        agent.stop();
    };
    same("odd-names", drive, anonymous);
}

#[test]
fn netcat_in_utf_16() {
    let bytes = |text: &str, order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<_>>();
    let drive = |run: &Run| {
        let mut agent = run.listening("a1");
        agent.await_port(run.port2);
        let little = u16::to_le_bytes;
        let answer =
            send_tcp_bytes(run.port, &bytes("caf\u{e9} \u{1d11e}\n\n\u{10a}\u{a0a}\nlonger than twelve\n", little));
        let told = "OK\nOK\nOK\nFAILED: Event exceeds the maximum length (12 chars, including newline)\n";
        assert_eq!(answer, bytes(told, little), "{:?}", run.side);
        run.await_lines(&mut agent, 3);
        // With a mark, in either order, and without one.
        for text in [
            bytes("\u{feff}one\n", little),
            bytes("\u{feff}two\n", u16::to_be_bytes),
            bytes("three\n", u16::to_be_bytes),
        ] {
            let before = run.lines_now();
            assert_eq!(send_tcp_bytes(run.port2, &text), b"", "{:?}", run.side);
            run.await_lines(&mut agent, before + 1);
        }
        agent.stop();
    };
    same("netcat-utf16", drive, exact);
}

#[test]
fn tail_dir_with_groups_that_are_in_no_list() {
    let drive = |run: &Run| {
        for dir in ["x", "y"] {
            fs::create_dir_all(run.input.join(dir)).expect("a directory");
        }
        for file in 0..3 {
            let rows = (0..20).map(|row| format!("x{file} {row}\n")).collect::<Vec<_>>().concat();
            fs::write(run.input.join(format!("x/{file}.log")), rows).expect("a log");
        }
        fs::write(run.input.join("y/one.log"), b"a\r\nb\rc\n\n\xff\xfe\n").expect("a log");
        fs::write(run.input.join("y/other.log"), "of no group\n").expect("a log");
        let mut agent = run.start("a1");
        run.await_lines(&mut agent, 64);
        agent.stop();
        fs::write(run.input.join("x/late.log"), "while it was down\n").expect("a log");
        let mut agent = run.start("a1");
        run.await_lines(&mut agent, 65);
        agent.stop();
    };
    same("taildir-groups", drive, any_order);
}

#[test]
fn files_named_by_the_time() {
    let drive = |run: &Run| {
        let mut agent = run.start("a1");
        run.await_lines(&mut agent, 20);
        agent.stop();
        let names: Vec<String> = run.files().iter().map(|path| shape(&path.display().to_string())).collect();
        assert!(names.iter().all(|name| name.ends_with("/a/pre_00000000000000-0.log")), "{:?}: {names:?}", run.side);
    };
    same("file-roll-time", drive, anonymous);
}

#[test]
fn http_with_get() {
    let drive = |run: &Run| {
        let mut agent = run.listening("a1");
        for method in ["GET", "HEAD", "PUT", "TRACE"] {
            let body = r#"[{"headers":{"f":"1","b":"2"},"body":"with "}]"#.replace("with ", &format!("with {method}"));
            let request = format!(
                "{method} / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            );
            let answer = send_tcp(run.port, request.as_bytes());
            let status = answer.get(9..12).unwrap_or_default();
            let expected = if ["GET", "HEAD"].contains(&method) { "200" } else { "40" };
            assert!(status.starts_with(expected), "{:?}: {method}: {answer}", run.side);
        }
        run.await_lines(&mut agent, 2);
        agent.stop();
    };
    same("http-json", drive, exact);
}

/// Goal: the order of headers is Flume's whatever their number. Method: names that fall into the same buckets often enough,
/// up to the second size of a table, through copies of a list and of a map, in memory and through files. Not with twelve, whose
/// copy is larger than the map that the file channel makes of it, so that each bucket has the order of the copy.
#[test]
fn headers_in_the_order_of_javas_map() {
    let names = |event: usize| {
        let count = if event / 6 == 12 { 15 } else { event / 6 };
        (0..count).map(move |number| format!("{}", (number + 1) * (event * 7919 + 13) % 4099))
    };
    let drive = |run: &Run| {
        let mut agent = run.listening("a1");
        agent.await_port(run.port2);
        let mut client = RpcClient::builder([format!("127.0.0.1:{}", run.port2)]).build().expect("a client");
        for event in 0..84 {
            let headers: Vec<String> = names(event).map(|name| format!(r#""{name}":"{event}""#)).collect();
            let json = format!(r#"[{{"headers":{{{}}},"body":"{event}"}}]"#, headers.join(","));
            assert_eq!(post(run.port, "/", "application/json", json.as_bytes()), 200);
            let bare = Event::new(event.to_string());
            let with = names(event).try_fold(bare, |event, name| event.with_header(&name, "v"));
            client.append(&with.expect("headers")).expect("an event is sent");
        }
        run.await_lines(&mut agent, 3 * 84);
        agent.stop();
    };
    same("header-order", drive, exact);
}

#[test]
fn netcat_at_channels_that_are_full() {
    let conf = "a1.sources = m f
        a1.channels = c1 c2
        a1.channels.c1.type = memory
        a1.channels.c1.capacity = 1
        a1.channels.c1.transactionCapacity = 1
        a1.channels.c1.keep-alive = 0
        a1.channels.c2.type = file
        a1.channels.c2.capacity = 1
        a1.channels.c2.transactionCapacity = 1
        a1.channels.c2.keep-alive = 0
        a1.channels.c2.checkpointDir = ${env:STATE}/checkpoint
        a1.channels.c2.dataDirs = ${env:STATE}/data
        a1.sources.m.type = netcat
        a1.sources.m.bind = 127.0.0.1
        a1.sources.m.port = ${env:PORT}
        a1.sources.m.channels = c1
        a1.sources.f.type = netcat
        a1.sources.f.bind = 127.0.0.1
        a1.sources.f.port = ${env:PORT2}
        a1.sources.f.channels = c2";
    let root = tempfile::tempdir().expect("a directory");
    let [flume, ours] = [Side::Flume, Side::Ours].map(|side| {
        let run = Run::with_conf(side, root.path(), conf);
        let mut agent = run.listening("a1");
        agent.await_port(run.port2);
        let answers = [run.port, run.port2].map(|port| send_lines(port, &["kept", "without a place"]));
        agent.stop();
        answers
    });
    assert_eq!(ours, flume);
    assert!(flume.iter().all(|answers| answers[0] == "OK\n" && answers[1].starts_with("FAILED: ")), "{flume:?}");
}

/// The name with a zero for every digit.
fn shape(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
}
