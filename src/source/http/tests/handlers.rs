use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn bodies_are_stored_in_the_charset_of_the_request() {
    let running = start(|source| source);
    let text = "[{\"headers\":{\"a\":\"\u{e4}\"},\"body\":\"s\u{e4}\u{1f600}\"},{}]";
    let units = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let wide = |text: &str| {
        let bytes = text.chars().flat_map(|character| {
            let mut bytes = u32::from(character).to_le_bytes();
            bytes.reverse();
            bytes
        });
        bytes.collect::<Vec<u8>>()
    };
    for (charset, body, stored) in [
        ("utf-8", text.as_bytes().to_vec(), "s\u{e4}\u{1f600}".as_bytes().to_vec()),
        ("utf-16", [vec![0xff, 0xfe], units(text)].concat(), b"\xfe\xff\0s\0\xe4\xd8\x3d\xde\0".to_vec()),
        ("UTF-32", wide(text), wide("s\u{e4}\u{1f600}")),
    ] {
        let answer = running.ask(post("/", &format!("content-type: application/json; charset={charset}\r\n"), body));
        assert_eq!(answer.status, 200, "{answer:?}");
        let events = running.take();
        assert_eq!((events[0].body(), events[0].headers().get("a")), (&stored.into(), Some("\u{e4}")), "{charset}");
        assert_eq!(events[1].body(), "");
    }
    running.stop();
}

#[test]
fn a_blob_is_one_event_with_the_parameters_as_headers() {
    let running = start(|source| source.handler(BlobHandler::new().mandatory(["origin"]).bytes_max(1000)));
    let binary: Vec<u8> = (0..=255).collect();
    assert_eq!(running.ask(post("/x?origin=&a=%C3%A4+b&a=2", "", &binary)).status, 200);
    let events = running.take();
    let headers: Vec<_> = events[0].headers().iter().collect();
    assert_eq!((headers, &events[0].body()[..]), (vec![("origin", ""), ("a", "\u{e4} b")], &binary[..]));
    assert_eq!(running.ask(post("/?origin=o", "", "")).status, 200);
    assert_eq!(running.take()[0].body(), "");
    let missing = running.ask(post("/?origins=o", "", "x"));
    assert_eq!((missing.status, missing.body.as_str()), (400, "the parameter \"origin\" is missing\n"));
    assert_eq!(running.ask(post("/?origin=%ff", "", "x")).status, 400);
    assert_eq!(running.ask(post("/?origin=o", "", "x".repeat(1001))).status, 413);
    let long = (0..1025).map(|n| n.to_string()).collect::<Vec<_>>().join("&");
    assert_eq!(running.ask(post(&format!("/?origin=o&{long}"), "", "x")).status, 400, "too many headers");
    assert!(running.take().is_empty());
    running.stop();
}

#[test]
fn the_type_of_a_blob_is_kept_where_it_is_wanted() {
    let running = start(|source| source.handler(BlobHandler::new().keep_content_type(true)));
    let kind = "content-type: image/png; a=b\r\n";
    for (path, kind, expected) in [
        ("/?a=1", kind, vec![("a", "1"), ("Content-Type", "image/png; a=b")]),
        ("/?Content-Type=own", kind, vec![("Content-Type", "own")]),
        ("/", "", vec![]),
    ] {
        assert_eq!(running.ask(post(path, kind, "x")).status, 200);
        assert_eq!(running.take()[0].headers().iter().collect::<Vec<_>>(), expected, "{path}");
    }
    running.stop();
}

#[test]
fn lines_are_values_or_events() {
    let running = start(|source| source.handler(NdjsonHandler::values()));
    assert_eq!(running.post("{\"a\": 1}\r\n\n  \n[2]\n\"three\"").status, 200);
    assert_eq!(running.bodies(), ["{\"a\": 1}", "[2]", "\"three\""]);
    let bad = running.post("1\n2\nthree\n4");
    assert!(bad.status == 400 && bad.body.starts_with("line 3 is not JSON: "), "{bad:?}");
    assert_eq!(running.post("").status, 200);
    assert!(running.take().is_empty());
    running.stop();

    let running = start(|source| source.handler(NdjsonHandler::events()));
    assert_eq!(running.post("{\"body\":\"a\",\"headers\":{\"k\":1}}\n{}\n").status, 200);
    let events = running.take();
    assert_eq!((events.len(), events[0].headers().get("k"), &events[0].body()[..]), (2, Some("1"), &b"a"[..]));
    let bad = running.post("{}\n[]");
    assert!(bad.status == 400 && bad.body.starts_with("line 2 is not JSON: "), "{bad:?}");
    running.stop();
}

#[test]
fn a_handler_of_ones_own_decides_and_its_panic_is_its_own() {
    let handler = |request: &Request, events: &mut Events<'_>| -> Result<(), Rejection> {
        match request.path() {
            "/panic" => panic!("on demand"),
            "/teapot" => Err(Rejection::failed("short and stout")),
            // Whatever a handler makes of it: what was refused stays refused.
            "/stubborn" => {
                while events.push(Event::new("x")).is_ok() {}
                Ok(())
            }
            path => {
                assert!(events.is_empty());
                let headers = [("path", path), ("peer", &request.peer().ip().to_string())];
                let event = headers.iter().fold(Event::new(request.body().clone()), |event, (name, value)| {
                    event.with_header(name, value).unwrap()
                });
                events.push(event)?;
                assert_eq!(events.len(), 1);
                Ok(())
            }
        }
    };
    let running = start(|source| source.handler(handler).batch_events_max(10));
    let mut client = running.connect();
    for (path, status, body) in [
        ("/panic", 500, "the request made a part of the source fail\n"),
        ("/teapot", 500, "short and stout\n"),
        ("/stubborn", 413, "the request has more than 10 events\n"),
        ("/good", 200, ""),
    ] {
        client.send(post(path, "", "it"));
        let answer = client.answer().unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (status, body));
    }
    let event = &running.take()[0];
    assert_eq!((event.headers().get("path"), event.headers().get("peer")), (Some("/good"), Some("127.0.0.1")));
    let (stats, counts) = running.stop();
    assert_eq!((stats.panicked_connections, counts.event_read_fail), (1, 3));
}

#[test]
fn gzip_is_unpacked_on_demand_and_within_limits() {
    let running = start(|source| source.gzip(true).body_bytes_max(1 << 20));
    let ask = |body: &[u8]| running.ask(post("/", "content-encoding: GZIP\r\n", body));
    assert_eq!(ask(&gzip(b"[{\"body\":\"packed\"}]")).status, 200);
    let members = [gzip(b"[{\"body\":"), gzip(b"\"two members\"}]")].concat();
    assert_eq!(ask(&members).status, 200);
    assert_eq!(running.post("[{\"body\":\"plain\"}]").status, 200);
    assert_eq!(running.bodies(), ["packed", "two members", "plain"]);
    // Small ones may be packed tightly.
    let spaces = format!("[{}]", " ".repeat(60_000));
    assert_eq!(ask(&gzip(spaces.as_bytes())).status, 200);
    for bomb in [gzip(&vec![b' '; 1 << 19]), gzip(&vec![b' '; 64 << 20])] {
        assert!(bomb.len() < 70_000);
        let answer = ask(&bomb);
        assert!(answer.status == 413 && answer.body.contains("over the limit of"), "{answer:?}");
    }
    let good = gzip(b"[{\"body\":\"packed\"}]");
    for length in 1..good.len() {
        assert_eq!(ask(&good[..length]).status, 400, "{length}");
    }
    assert_eq!(ask(b"[{\"body\":\"not packed\"}]").status, 400);
    assert_eq!(running.ask(post("/", "content-encoding: gzip\r\ncontent-encoding: gzip\r\n", &good)).status, 415);
    assert!(running.take().is_empty());
    running.stop();
}

#[test]
fn what_is_json_for_flume_only_is_read_from_its_beginning() {
    let running = start(|source| source);
    assert_eq!(running.post("[{\"body\":\"a\"},{\"body\":\"b\"};{body:c,x:[[1],{y:[]}]}]").status, 200);
    assert_eq!(running.bodies(), ["a", "b", "c"]);
    let bad = running.post("[{\"body\":\"a\"};{\"body\"}]");
    assert!(bad.status == 400 && running.take().is_empty(), "{bad:?}");
    running.stop();
}
