use super::*;

fn text(format: LogFormat, bytes_max: Option<usize>, event: &Event) -> String {
    let (send, receive) = std::sync::mpsc::channel();
    let mut logger = Logger::to_fn(move |line| send.send(line.to_owned()).unwrap()).format(format);
    logger.bytes_max = bytes_max;
    logger.log(event).unwrap();
    receive.recv().unwrap()
}

#[test]
fn flumes_format_is_flumes_to_the_byte() {
    let event = Event::new("hello flume world").with_header("timestamp", "1795425611216").unwrap();
    assert_eq!(
        text(LogFormat::Flume, None, &event),
        "Event: { headers:{timestamp=1795425611216} body: 68 65 6C 6C 6F 20 66 6C 75 6D 65 20 77 6F 72 6C hello flume worl }"
    );
    assert_eq!(
        text(LogFormat::Flume, None, &Event::new(&b"hi\r\xff"[..])),
        "Event: { headers:{} body: 68 69 0D FF                                     hi.. }"
    );
    assert_eq!(text(LogFormat::Flume, None, &Event::new("")), "Event: { headers:{} body: }");
    let odd = Event::new("").with_header("k", "\t\n e\u{301}\u{200c}\u{200d}\u{202e}\u{2764}\u{fe0f}").unwrap();
    let shown = "Event: { headers:{k=\t\\n e\u{301}\u{200c}\u{200d}\\u{202e}\u{2764}\u{fe0f}} body: }";
    assert_eq!(text(LogFormat::Flume, None, &odd), shown);
    let two = Event::new("x").with_header("b", "").unwrap().with_header("a", "it's \"1\" \\").unwrap();
    assert_eq!(
        text(LogFormat::Flume, None, &two),
        format!("Event: {{ headers:{{a=it's \"1\" \\, b=}} body: 78{}x }}", " ".repeat(46))
    );
    assert_eq!(
        text(LogFormat::Flume, Some(20), &Event::new("0123456789abcdefghij....")),
        "Event: { headers:{} body: 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66 0123456789abcdef\n\
         00000010 67 68 69 6A                                     ghij }"
    );
}

#[test]
fn everything_that_could_deceive_is_escaped() {
    let golden = [
        (&b"GET /"[..], r#""GET /""#),
        (b"", r#""""#),
        (b"two\nlines\r\n", r#""two\nlines\r\n""#),
        (b"\x1b[2J\x07\0\x7f", r#""\u{1b}[2J\u{7}\0\u{7f}""#),
        (b"quote \" it's \\n", r#""quote \" it's \\n""#),
        ("j\u{f6}rg \u{2713}".as_bytes(), "\"j\u{f6}rg \u{2713}\""),
        ("\u{202e}gpj.exe \u{2066} \u{feff}\u{2028}\u{85}\u{200b}".as_bytes(), {
            r#""\u{202e}gpj.exe \u{2066} \u{feff}\u{2028}\u{85}\u{200b}""#
        }),
        (b"\xff\xfe ok \xe2\x82", r#""\xff\xfe ok \xe2\x82""#),
    ];
    for (body, shown) in golden {
        assert_eq!(text(LogFormat::Plain, None, &Event::new(body)), format!("headers={{}} body={shown}"));
    }
    let headers = Event::new("b").with_header("h\n", "v\u{202e}").unwrap().with_header("k", "v").unwrap();
    assert_eq!(text(LogFormat::Plain, None, &headers), r#"headers={"h\n": "v\u{202e}", "k": "v"} body="b""#);
    let bidi = "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
    let nothing = [
        "\u{2028}\u{2029}\u{ad}\u{34f}\u{180e}\u{200b}\u{2060}\u{2064}\u{206a}\u{206f}",
        "\u{feff}\u{fff9}\u{fffa}\u{fffb}\u{1bca0}\u{1bca3}\u{1d173}\u{1d17a}",
    ]
    .concat();
    let fillers = "\u{115f}\u{1160}\u{17b4}\u{17b5}\u{3164}\u{ffa0}";
    let tags = ('\u{e0000}'..='\u{e007f}').collect::<String>();
    let hidden = [bidi, &nothing, fillers, &tags].concat().chars().collect::<std::collections::HashSet<_>>();
    for c in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
        for format in [LogFormat::Plain, LogFormat::Flume] {
            let event = Event::new(c.to_string()).with_header(&c.to_string(), &c.to_string()).unwrap();
            let mut out = String::new();
            match format {
                LogFormat::Plain => plain(&event, LOG_BYTES, &mut out).unwrap(),
                LogFormat::Flume => flume(&event, HeaderMap::default(), LOG_BYTES_FLUME, &mut out).unwrap(),
            }
            // A tab does no harm, and Flume's line has it as it is.
            let is_harmless = |c: char| c == '\t' && format == LogFormat::Flume;
            let deceives = |c: char| (c.is_control() && !is_harmless(c)) || hidden.contains(&c);
            assert!(!out.contains(deceives), "{out:?}");
        }
    }
    println!("{} bodies, all characters of Unicode in headers and body", golden.len());
}

#[test]
fn what_is_too_long_is_cut_between_characters_and_counted() {
    let long = |body: Vec<u8>, max| text(LogFormat::Plain, Some(max), &Event::new(body));
    assert_eq!(long(b"abcdef".to_vec(), 4), r#"headers={} body="abcd" and 2 bytes more"#);
    assert_eq!(long("ab\u{20ac}\u{20ac}".into(), 4), r#"headers={} body="ab" and 6 bytes more"#);
    assert_eq!(long("ab\u{20ac}\u{20ac}".into(), 5), "headers={} body=\"ab\u{20ac}\" and 3 bytes more");
    assert_eq!(long(b"\x80\x80\x80\x80\x80\x80".to_vec(), 4), r#"headers={} body="\x80\x80\x80\x80" and 2 bytes more"#);
    assert_eq!(long(b"abc".to_vec(), 0), r#"headers={} body="" and 3 bytes more"#);
    let mut many = Event::new("");
    for i in 0..100 {
        many.headers_mut().insert(&format!("{i:02}"), &"v".repeat(10)).unwrap();
    }
    assert_eq!(
        text(LogFormat::Plain, Some(20), &many),
        r#"headers={"00": "vvvvvvvvvv", "01": "vvvvvv" and 4 bytes more, 98 more} body="""#
    );
    let giant = Event::new(vec![b'\n'; 8 << 20]).with_header("n", &"\n".repeat(1 << 19)).unwrap();
    assert!(text(LogFormat::Plain, None, &giant).len() < 2000);
}

#[test]
fn a_writer_gets_one_line_for_each_event_and_its_error_is_one_that_can_pass() {
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let channel = crate::sink::testing::TestChannel::new(["a", "b\nc"].map(Event::from));
    let shared = crate::sink::testing::SharedBytes::default();
    let mut run = channel.run("log");
    run.step(&mut Logger::to_writer(shared.clone()), 10).unwrap();
    assert_eq!(shared.text(), "headers={} body=\"a\"\nheaders={} body=\"b\\nc\"\n");
    channel.push("d");
    assert!(matches!(run.step(&mut Logger::to_writer(Full), 10), Err(SinkError::Retry(_))));
    assert_eq!(channel.waiting(), 1);
}
