//! What becomes a line, and what an event has besides.

use super::*;

#[test]
fn lines_are_handed_over_as_they_are_written() {
    let bench = Bench::new();
    bench.append("app.log", b"one\r\ntwo\n\n\xff\xfe\rx\n\r\nlast");
    let mut source = bench.ran(bench.source());
    let bodies: Vec<Vec<u8>> = bench.events().iter().map(|event| event.body().to_vec()).collect();
    assert_eq!(bodies, [&b"one"[..], b"two", b"", b"\xff\xfe\rx", b""]);
    bench.bodies();
    bench.drain(&mut source);
    assert_eq!(bench.bodies(), [""; 0]);
    bench.append("app.log", " line");
    bench.drain(&mut source);
    assert_eq!(bench.bodies(), [""; 0], "it has no end yet");
    bench.append("app.log", "\r");
    bench.drain(&mut source);
    bench.append("app.log", "\nmore\n");
    bench.drain(&mut source);
    assert_eq!(bench.bodies(), ["last line", "more"]);
    assert_eq!(bench.reports(), [""; 0]);
}

/// Goal: an unfinished line becomes an event when its file is idle, whole or not, and never by a stop. Method: the clock.
#[test]
fn an_unfinished_line_waits_until_the_file_is_idle() {
    let bench = Bench::new();
    bench.append("app.log", "a\nbegun\r");
    let mut source = bench.ran(bench.source());
    bench.pass(&mut source, TAIL_IDLE / 2);
    bench.append("app.log", "!");
    bench.pass(&mut source, TAIL_IDLE.saturating_sub(2 * TAIL_POLL));
    assert_eq!(bench.bodies(), ["a"]);
    source.close();
    let mut source = bench.ran(bench.source());
    assert_eq!(bench.bodies(), [""; 0], "a restart is no end");
    bench.pass(&mut source, TAIL_IDLE);
    assert_eq!(bench.bodies(), ["begun\r!"]);
    bench.pass(&mut source, TAIL_IDLE);
    bench.append("app.log", " rest\nnext\n");
    bench.drain(&mut source);
    assert_eq!(bench.bodies(), [" rest", "next"], "what comes later is another line");
    assert_eq!(bench.reports(), [""; 0]);
}

#[test]
fn long_lines_are_split_cut_or_dropped_and_counted() {
    let text = format!("{}\nshort\n{}\r\n{}\r\nend\n", "x".repeat(25), "y".repeat(10), "z".repeat(20));
    let split = ["x".repeat(10), "x".repeat(10), "x".repeat(5), "short".into(), "y".repeat(10)];
    let split = [&split[..], &["z".repeat(10), "z".repeat(10), "end".into()]].concat();
    let cut = ["x".repeat(10), "short".into(), "y".repeat(10), "z".repeat(10), "end".into()];
    let dropped = ["short".to_owned(), "end".into()];
    for (overlong, expected, lost) in [
        (Overlong::Split, &split[..], &[][..]),
        (Overlong::Truncate, &cut, &["15", "1", "11"]),
        (Overlong::Drop, &dropped, &[]),
    ] {
        for batch in [1, 2, 100] {
            for read_bytes in [1, 7, 4096] {
                let mut bench = Bench::new();
                bench.batch = batch;
                bench.append("app.log", &text);
                let make = || {
                    let source = bench.source().line_max_bytes(10).overlong(overlong).read_bytes(read_bytes);
                    source.truncated_header("lost")
                };
                // A restart after each batch makes no difference.
                let mut source = bench.opened(make());
                bench.clock.step(TAIL_POLL);
                while bench.step(&mut source) == Pulled::More {
                    source = bench.opened(make());
                }
                let what = format!("{overlong:?}, batches of {batch}, {read_bytes} bytes at once");
                let events = bench.events();
                let found: Vec<&str> = events.iter().filter_map(|event| event.headers().get("lost")).collect();
                assert_eq!(found, lost, "{what}");
                assert_eq!(bench.bodies(), expected, "{what}");
                assert_eq!(bench.reports(), [""; 0], "{what}");
            }
        }
    }
    let bench = Bench::new();
    bench.append("app.log", &text);
    let context = bench.context();
    let mut source = bench.source().line_max_bytes(10).overlong(Overlong::Drop);
    source.open(&context).unwrap();
    let mut out = PullBatch::new(100);
    source.poll(&mut out).unwrap();
    // What is not committed comes again, and is counted then.
    source.open(&context).unwrap();
    assert_eq!(context.counters().snapshot().dropped_events, 0);
    bench.drain(&mut source);
    assert_eq!(context.counters().snapshot().dropped_events, 3);
}

#[test]
fn headers_name_offset_group_and_file_in_flumes_order() {
    let bench = Bench::new();
    fs::create_dir(bench.path("sub")).unwrap();
    bench.append("app.log", "first\nsecond\n");
    bench.append("sub/audit", "third\n");
    let one = bench.group().header("kind", "app").header("zone", "");
    let two = FileGroup::of_path(bench.path("sub/a.dit").to_str().unwrap()).header("kind", "audit");
    let source = bench.source_of([one, two]).file_header("file").byte_offset_header("byteoffset");
    drop(bench.ran(source));
    let file = |name: &str| bench.path(name).to_str().unwrap().to_owned();
    let headers: Vec<Vec<(String, String)>> = bench
        .events()
        .iter()
        .map(|event| event.headers().iter().map(|(key, value)| (key.into(), value.into())).collect())
        .collect();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let of_app = |offset| {
        vec![pair("byteoffset", offset), pair("kind", "app"), pair("zone", ""), pair("file", &file("app.log"))]
    };
    let of_audit = vec![pair("byteoffset", "0"), pair("kind", "audit"), pair("file", &file("sub/audit"))];
    assert_eq!(headers, [of_app("0"), of_app("6"), of_audit]);
}

/// Goal: all lines of a file say where it was found first, whatever it is called when they are read.
#[test]
fn the_file_header_stays_over_rotation_and_restart() {
    let bench = Bench::new();
    bench.append("app.log", "1\n");
    let make = || bench.source().file_header("file");
    let mut source = bench.ran(make());
    bench.append("app.log", "2\n");
    bench.rename("app.log", "app.log.1");
    bench.append("app.log", "a\n");
    bench.drain(&mut source);
    bench.append("app.log.1", "3\n");
    bench.rename("app.log.1", "app.log.2");
    bench.drain(&mut bench.opened(make()));
    let expected = [("1", "app.log"), ("2", "app.log"), ("a", "app.log"), ("3", "app.log")];
    let found: Vec<(String, String)> = bench
        .events()
        .iter()
        .map(|event| {
            let path = Path::new(event.headers().get("file").unwrap()).file_name().unwrap().to_str().unwrap();
            (String::from_utf8(event.body().to_vec()).unwrap(), path.to_owned())
        })
        .collect();
    assert_eq!(found, expected.map(|(body, name)| (body.to_owned(), name.to_owned())));
}
