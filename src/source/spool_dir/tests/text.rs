//! Lines, encodings, and what goes wrong with them.

use super::*;

#[test]
fn lines_become_bodies_as_in_flume() {
    let bench = Bench::new();
    bench.write("a", "\u{feff}one\r\n\ntwo", 3);
    bench.write("b", "", 2);
    bench.write("c", "\n", 1);
    bench.run(bench.source());
    assert_eq!(bench.bodies(), ["\u{feff}one\r", "", "two", "", ""]);
    assert!(bench.events().iter().all(|event| event.headers().is_empty()));
    assert_eq!(bench.names(), ["a.COMPLETED", "b.COMPLETED", "c.COMPLETED"]);
    assert_eq!(bench.reports(), [""; 0]);
}

#[test]
fn empty_files_are_empty_events_with_their_own_headers() {
    let bench = Bench::new();
    for i in 0..10 {
        bench.write(&format!("{i}.log"), "", 1);
    }
    bench.run(bench.source().file_header("file").basename_header("name"));
    let events = bench.events();
    assert_eq!(events.len(), 10);
    for (i, event) in events.iter().enumerate() {
        assert!(event.body().is_empty());
        assert_eq!(event.headers().get("file"), bench.path(&format!("{i}.log")).to_str());
        assert_eq!(event.headers().get("name"), Some(format!("{i}.log").as_str()));
    }
}

/// Goal: any encoding, read in pieces of any size, with a restart at every batch, gives the same text.
#[test]
fn encodings_are_decoded_whatever_the_size_of_the_pieces() {
    let lines = ["plain", "", "\u{e4}\u{f6}\u{fc}\r", "\u{a7}"];
    let japanese = ["\u{65e5}\u{672c}", "", "a\u{8868}b"];
    let astral = ["\u{1f600}", "\u{a0a}\u{a00}", "x\u{1f600}"];
    let cases: [(&str, Vec<&str>); 9] = [
        ("UTF-8", [&lines[..], &japanese, &astral].concat()),
        ("UTF-16LE", [&lines[..], &japanese, &astral].concat()),
        ("UTF-16BE", [&lines[..], &japanese, &astral].concat()),
        ("UTF-16", [&lines[..], &japanese, &astral].concat()),
        ("ISO-8859-1", lines.to_vec()),
        ("windows-1252", lines.to_vec()),
        ("Shift_JIS", japanese.to_vec()),
        ("EUC-JP", japanese.to_vec()),
        ("gb18030", [&lines[..], &japanese, &astral].concat()),
    ];
    let mut runs = 0;
    for (label, lines) in cases {
        for end in ["", "\n"] {
            let text = lines.join("\n") + end;
            let utf16 = |big: bool| {
                let units = text.encode_utf16().map(move |unit| if big { unit.swap_bytes() } else { unit });
                units.flat_map(u16::to_le_bytes).collect::<Vec<u8>>()
            };
            let bytes = match label {
                "UTF-16LE" => utf16(false),
                "UTF-16BE" => utf16(true),
                "UTF-16" => [b"\xff\xfe", &utf16(false)[..]].concat(),
                _ => encoding_rs::Encoding::for_label(label.as_bytes()).unwrap().encode(&text).0.into_owned(),
            };
            // The file is larger than what is read at the opening, so that all sizes of pieces matter.
            for (read_bytes, batch) in [(1, 1), (2, 3), (3, 2), (5, 100), (7, 1), (1 << 20, 2)] {
                let mut bench = Bench::new();
                bench.batch = batch;
                bench.write("f", &bytes, 1);
                let source = || bench.source().encoding(label).read_bytes(read_bytes);
                let mut opened = bench.opened(source());
                while bench.step(&mut opened).unwrap() == Pulled::More {
                    opened = bench.opened(source());
                }
                assert_eq!(bench.bodies().join("\n") + end, text, "{label} {read_bytes} {batch}");
                assert_eq!(bench.reports(), [""; 0]);
                runs += 1;
            }
        }
    }
    println!("{runs} combinations of encoding, last line, size of pieces and batch");
}

#[test]
fn dropped_lines_are_counted_with_the_commit_of_their_batch() {
    let mut bench = Bench::new();
    bench.batch = 1;
    bench.write("f", "too long 1\ntoo long 2\nok\ntoo long 3\nok\nok\n", 1);
    let context = bench.context();
    let counted = || context.counters().snapshot().dropped_events;
    let mut source = bench.source().line_max_bytes(8).overlong(Overlong::Drop);
    for expected in [2, 3, 3] {
        source.open(&context).unwrap();
        let before = counted();
        // Not committed, it comes again.
        source.poll(&mut PullBatch::new(1)).unwrap();
        assert_eq!(counted(), before);
        source.open(&context).unwrap();
        bench.step(&mut source).unwrap();
        assert_eq!(counted(), expected);
    }
    bench.drain(&mut source);
    assert_eq!((bench.bodies().len(), counted()), (3, 3));
}

#[test]
fn over_long_lines_follow_the_policy() {
    let text = "abcdefgh\nabcdefghi\n\u{1f600}\u{1f600}\u{1f600}\nok\nabcdefghijklmnop";
    let cases = [
        (
            Overlong::Split,
            vec!["abcdefgh", "abcdefgh", "i", "\u{1f600}\u{1f600}", "\u{1f600}", "ok", "abcdefgh", "ijklmnop"],
        ),
        (Overlong::Truncate, vec!["abcdefgh", "abcdefgh", "\u{1f600}\u{1f600}", "ok", "abcdefgh"]),
        (Overlong::Drop, vec!["abcdefgh", "ok"]),
    ];
    for (policy, expected) in cases {
        for read_bytes in [1, 3, 100, 1 << 16] {
            let bench = Bench::new();
            bench.write("f", text, 1);
            let context = bench.context();
            let source =
                bench.source().line_max_bytes(8).overlong(policy).truncated_header("cut").read_bytes(read_bytes);
            let mut source = source;
            source.open(&context).unwrap();
            bench.drain(&mut source);
            assert_eq!(bench.bodies(), expected, "{policy:?} {read_bytes}");
            let cut: Vec<_> = bench.events().iter().filter_map(|e| e.headers().get("cut").map(str::to_owned)).collect();
            assert_eq!(cut, if policy == Overlong::Truncate { vec!["1", "4", "8"] } else { vec![] });
            assert_eq!(context.counters().snapshot().dropped_events, if policy == Overlong::Drop { 3 } else { 0 });
            assert_eq!(bench.names(), ["f.COMPLETED"]);
        }
    }
}

#[test]
fn a_file_of_one_dropped_line_gives_no_event() {
    let bench = Bench::new();
    bench.write("f", "much too long", 1);
    bench.run(bench.source().line_max_bytes(8).overlong(Overlong::Drop));
    assert_eq!(bench.bodies(), [""; 0]);
    assert_eq!(bench.names(), ["f.COMPLETED"]);
}

#[test]
fn invalid_bytes_are_replaced_or_left_out_by_policy() {
    for (policy, expected) in
        [(DecodeError::Replace, ["a\u{fffd}\u{fffd}b", "\u{fffd}", "ok"]), (DecodeError::Ignore, ["ab", "", "ok"])]
    {
        let bench = Bench::new();
        bench.write("f", b"a\xff\xfeb\n\xe2\x82\nok\n", 1);
        bench.run(bench.source().decode_error(policy));
        assert_eq!(bench.bodies(), expected);
    }
}

/// Goal: a file that is not valid is left where it is; the good lines before, and the other files, are delivered, once,
/// also over restarts; once it is mended, reading goes on behind the good lines.
#[test]
fn an_undecodable_file_is_reported_once_and_set_aside() {
    for batch in [1, 2, 100] {
        let mut bench = Bench::new();
        bench.batch = batch;
        bench.write("a", b"one\ntwo\nbad \xff\xfe here\nfour\n", 2);
        bench.write("b", "five\n", 1);
        let mut source = bench.ran(bench.source());
        assert_eq!(bench.bodies(), ["one", "two", "five"]);
        assert_eq!(bench.names(), ["a", "b.COMPLETED"]);
        let reports = bench.reports();
        assert_one_report(&reports, "bytes [ff] at offset 12 are not valid UTF-8");
        bench.settle();
        bench.drain(&mut source);
        assert_eq!(bench.reports(), [""; 0]);

        let mut source = bench.ran(bench.source());
        assert_eq!(bench.bodies(), ["one", "two", "five"], "nothing again after a restart");
        bench.write("a", b"one\ntwo\nbad -- here\nfour\n", 0);
        bench.drain(&mut source);
        bench.settle();
        bench.drain(&mut source);
        assert_eq!(bench.bodies(), ["one", "two", "five", "bad -- here", "four"]);
        assert_eq!(bench.names(), ["a.COMPLETED", "b.COMPLETED"]);
        assert!(bench.port.0.lock().1.is_empty(), "no position is left behind");
    }
}

#[test]
fn many_undecodable_files_do_not_stop_the_source() {
    let bench = Bench::new();
    for i in 0..1000 {
        bench.write(&format!("{i}"), b"\xff\n", 2);
    }
    bench.write("good", "line", 1);
    bench.run(bench.source());
    assert_eq!(bench.bodies(), ["line"]);
    assert_eq!(bench.reports().len(), 1000);
}

#[test]
fn with_too_many_half_read_files_the_source_stops_and_says_so() {
    let bench = Bench::new();
    for i in 0..=crate::limits::SPOOL_KEPT_FILES_MAX {
        bench.write(&format!("{i:04}"), b"good\n\xff\n", 2);
    }
    let mut source = bench.opened(bench.source());
    let error = loop {
        match bench.step(&mut source) {
            Ok(pulled) => assert_eq!(pulled, Pulled::More),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SourceError::Retry(_)) && error.to_string().contains("move them away"), "{error}");
    fs::remove_file(bench.path("0000")).unwrap();
    bench.run(bench.source());
    assert_eq!(bench.bodies().len(), crate::limits::SPOOL_KEPT_FILES_MAX + 1, "each good line once");
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    let dir = || SpoolDir::new("in");
    let cases = [
        (SpoolDir::new(""), "dir"),
        (dir().include("("), "include"),
        (dir().include("a)(b"), "include"),
        (dir().ignore("(?=x)"), "ignore"),
        (dir().encoding("klingon"), "encoding"),
        (dir().line_max_bytes(3), "line_max_bytes"),
        (dir().line_max_bytes(usize::MAX), "line_max_bytes"),
        (dir().read_bytes(0), "read_bytes"),
        (dir().file_header(""), "file_header"),
        (dir().basename_header("x".repeat(70_000)), "basename_header"),
        (dir().completed(Completed::Rename { suffix: String::new() }), "completed suffix"),
        (dir().completed(Completed::Rename { suffix: "/x".into() }), "completed suffix"),
        (dir().completed(Completed::tracker("")), "completed tracker dir"),
        (dir().completed(Completed::tracker("../x")), "completed tracker dir"),
    ];
    for (source, setting) in cases {
        let error = source.check().unwrap_err();
        assert_eq!(error.setting, setting, "{error}");
        assert!(error.to_string().contains(&format!("{:?}", error.value)), "{error}");
    }
    let bench = Bench::new();
    let error = bench.source().encoding("klingon").open(&bench.context()).unwrap_err();
    assert!(matches!(error, SourceError::Fatal(_)) && error.to_string().contains("klingon"));
    assert!(matches!(bench.source().poll(&mut PullBatch::new(1)), Err(SourceError::Fatal(_))));
}
