use std::convert::Infallible;

use super::*;
use crate::testing::Random;

fn collect(
    text: &str,
    read: fn(&str, Each<'_, Infallible>) -> Result<(), ReadError<Infallible>>,
) -> Result<Vec<Event>, String> {
    let mut events = Vec::new();
    let mut each = |headers: Headers, body: &str| {
        events.push(Event::from_parts(headers, body.to_owned()));
        Ok(())
    };
    match read(text, &mut each) {
        Ok(()) => Ok(events),
        Err(ReadError::Malformed(reason)) => Err(reason),
    }
}

fn array(text: &str) -> Result<Vec<Event>, String> {
    collect(text, read_array)
}

fn event(body: &str, headers: &[(&str, &str)]) -> Event {
    headers.iter().fold(Event::from(body.to_owned()), |event, (name, value)| event.with_header(name, value).unwrap())
}

#[test]
fn events_are_read_as_flume_reads_them() {
    for (text, expected) in [
        ("[]", vec![]),
        (" [ ] \n", vec![]),
        (
            r#"[{"headers":{"a":"b","c":"d"},"body":"random_body"}]"#,
            vec![event("random_body", &[("a", "b"), ("c", "d")])],
        ),
        (r#"[{},{"body":"x"},{"headers":{"k":"v"}}]"#, vec![event("", &[]), event("x", &[]), event("", &[("k", "v")])]),
        (r#"[{"body":null,"headers":null}]"#, vec![event("", &[])]),
        // Numbers and booleans are taken as they are written.
        (
            r#"[{"headers":{"i":1,"f":1.10,"e":1e5,"big":123456789012345678901234567890,"b":true,"n":null},"body":-0.0}]"#,
            vec![event(
                "-0.0",
                &[("i", "1"), ("f", "1.10"), ("e", "1e5"), ("big", "123456789012345678901234567890"), ("b", "true")],
            )],
        ),
        (
            r#"[{"body":"\"\\\/\b\n\u00e4\ud83d\ude00","headers":{"\u0061":"\t"}}]"#,
            vec![event("\"\\/\u{8}\n\u{e4}\u{1f600}", &[("a", "\t")])],
        ),
        // Members that mean nothing, whatever is in them; and of those that come twice the last one.
        (
            r#"[{"timestamp":1,"x":{"y":[{"body":"no"}]},"body":"a","body":"b","headers":{"k":"1"},"headers":{"l":"2"}}]"#,
            vec![event("b", &[("l", "2")])],
        ),
    ] {
        assert_eq!(array(text), Ok(expected), "{text}");
    }
    assert_eq!(collect(r#" {"body":"x"} "#, read_one), Ok(vec![event("x", &[])]));
}

#[test]
fn what_is_no_array_of_events_is_an_error_that_says_why() {
    for (text, reason) in [
        ("", "EOF while parsing"),
        (" ", "EOF while parsing"),
        ("{}", "expected an array of events"),
        (r#"{"body":"x"}"#, "expected an array of events"),
        ("[null]", "expected an event"),
        ("[1]", "expected an event"),
        (r#"["x"]"#, "expected an event"),
        ("[[]]", "expected an event"),
        ("[{}", "EOF while parsing a list"),
        ("[{},]", "trailing comma"),
        ("[{}] x", "trailing characters"),
        ("[{}][{}]", "trailing characters"),
        ("[{body:1}]", "key must be a string"),
        (r#"[{"body":{}}]"#, "the body of an event is neither text nor a number"),
        (r#"[{"headers":{"k":["v"]}}]"#, "header \"k\" is neither text nor a number"),
        (r#"[{"headers":[]}]"#, "expected headers, which are an object"),
        (r#"[{"headers":"k"}]"#, "expected headers, which are an object"),
        (r#"[{"headers":{"k":"1","k":"1"}}]"#, "header \"k\" comes twice"),
        (r#"[{"body":"\ud800"}]"#, "the body of an event is not text"),
        (r#"[{"body":"\ud800x"}]"#, "the body of an event is not text"),
        ("[{\"body\":\"a\nb\"}]", "control character"),
        (r#"[{"body":01}]"#, "invalid number"),
    ] {
        let error = array(text).unwrap_err();
        assert!(error.contains(reason) && error.contains(" at line "), "{text}: {error}");
    }
    let many = (0..1025).map(|n| format!("\"{n}\":\"\"")).collect::<Vec<_>>().join(",");
    let error = array(&format!("[{{\"headers\":{{{many}}}}}]")).unwrap_err();
    assert!(error.contains("1025 headers are over the limit of 1024"), "{error}");
}

#[test]
fn a_deep_text_ends_in_an_error_or_is_passed_over() {
    for open in ["[", "{\"a\":"] {
        assert!(array(&open.repeat(100_000)).is_err());
    }
    let deep = format!("[{{\"x\":{}{},\"body\":\"b\"}}]", "[".repeat(100_000), "]".repeat(100_000));
    if let Ok(events) = array(&deep) {
        assert_eq!(events, [event("b", &[])]);
    }
    let body = format!("[{{\"body\":{}{}}}]", "[".repeat(100_000), "]".repeat(100_000));
    assert!(array(&body).is_err());
}

#[test]
fn whoever_gets_the_events_can_stop() {
    let mut seen = 0;
    let outcome = read_array("[{},{},{},{}", &mut |_, _| {
        seen += 1;
        if seen == 3 { Err("enough") } else { Ok(()) }
    });
    assert_eq!((outcome, seen), (Err(ReadError::Stopped("enough")), 3));
}

#[test]
fn what_is_written_is_read_again() {
    let events = vec![
        event("", &[]),
        event("plain", &[("k", "v")]),
        event("\"\\\n\r\t\u{0}\u{7f}\u{2028}\u{1f600}", &[("\"", "\\"), ("", "")]),
    ];
    let mut out = Vec::new();
    for event in &events {
        out.push(if out.is_empty() { b'[' } else { b',' });
        write_event(&mut out, event).unwrap();
    }
    out.push(b']');
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with(r#"[{"headers":{},"body":""},{"headers":{"k":"v"},"body":"plain"},"#), "{text}");
    assert_eq!(array(&text), Ok(events));
    let error = write_event(&mut Vec::new(), &Event::new(&b"ab\xff"[..])).unwrap_err();
    assert_eq!(error, NotText { at: 2 });
}

#[test]
fn any_text_is_events_or_an_error() {
    let seed = Random::seed();
    println!("AQUEDUCT_SEED={seed}");
    let mut random = Random::new(seed);
    let good = r#"[{"headers":{"a":"b","n":1},"body":"random\n_body"},{"x":[{"y":null}],"body":true}]"#;
    for length in 0..good.len() {
        assert!(array(&good[..length]).is_err());
    }
    let letters = b"[]{}\",:\\nu0e1-.tfals \n";
    for _ in 0..20_000 {
        let mut bytes = good.as_bytes().to_vec();
        for _ in 0..=random.below(4) {
            let at = random.index(bytes.len());
            bytes[at] = letters[random.index(letters.len())];
        }
        let text = String::from_utf8(bytes).unwrap();
        if let Ok(events) = array(&text) {
            assert!(events.len() <= text.len() / 2);
            assert_eq!(check_value(&text), Ok(()));
        }
    }
    assert!(check_value("1 2").is_err() && check_value("").is_err() && check_value("'x'").is_err());
}

#[test]
fn what_is_no_json_is_read_as_gson_reads_it() {
    let one = |body: &str, headers: &[(&str, &str)]| Some(vec![event(body, headers)]);
    // As seen on Flume 1.11.0.
    for (text, expected) in [
        ("[{'headers':{},'body':'x'}]", one("x", &[])),
        ("[{headers:{a:b},body:text}]", one("text", &[("a", "b")])),
        (r#"[{"body":"a"};{"body":"b"}]"#, Some(vec![event("a", &[]), event("b", &[])])),
        (r#"[{"body":"a";"headers":{"x":"y"}}]"#, one("a", &[("x", "y")])),
        (r#"[{"body"="a"}]"#, one("a", &[])),
        (r#"[{"body"=>"a"}]"#, one("a", &[])),
        ("[{/*c*/\"body\"://x\n\"a\"#y\n}]", one("a", &[])),
        ("// c\n[{\"body\":\"a\"}]", one("a", &[])),
        (")]}'\n[{\"body\":\"a\"}]", one("a", &[])),
        (
            r#"[{"body":Infinity,"headers":{"n":-Infinity,"m":NaN}}]"#,
            one("Infinity", &[("n", "-Infinity"), ("m", "NaN")]),
        ),
        (
            r#"[{"body":True,"headers":{"n":NULL,"t":tru,"x":012,"y":.5,"z":0x1F}}]"#,
            one("true", &[("t", "tru"), ("x", "012"), ("y", ".5"), ("z", "0x1F")]),
        ),
        ("[{\"body\":\"line\ntwo \\\n\t\u{1}\"}]", one("line\ntwo \n\t\u{1}", &[])),
        (r#"[{"body":"\'\ud834\udd1e \ud800 \ud800\u0041\udd1e"}]"#, one("'\u{1d11e} ? ?A?", &[])),
        (r#"[{"body":'a"b',"headers":{null:"v",true:'it\'s'}}]"#, one("a\"b", &[("null", "v"), ("true", "it's")])),
        (r#"[{"headers":[["a","b"],["c",1]],"body":"x"}]"#, one("x", &[("a", "b"), ("c", "1")])),
        (r#"[{"headers":[],"body":nUlL}]"#, one("", &[])),
        ("[{x:[1,,{y:[;]},'z',],body:un-quo.ted_1}]", one("un-quo.ted_1", &[])),
        ("\u{feff}[{\u{e9}:1,body:\u{e9}\n}\r,\n{}] \r\n", Some(vec![event("\u{e9}", &[]), event("", &[])])),
    ] {
        assert_eq!(collect(text, read_lenient_array).ok(), expected, "{text}");
    }
    // Neither does Flume take these.
    for text in [
        // The first four are an event that is null.
        r#"[{"body":"a"},]"#,
        "[,{}]",
        "[;]",
        "null",
        "",
        r#"[{"body":"a",}]"#,
        "#c\n[] # end",
        "[] []",
        "[]]",
        r#"[{"body":"a"}"#,
        r#"[{"body":"a" "headers":{}}]"#,
        r#"[{"body":"\x41"}]"#,
        r#"[{"body":"\u12"}]"#,
        r#"[{"body":"\u+123"}]"#,
        "[{body:unquoted text}]",
        "[{body:a/b}]",
        "[{body:a=b}]",
        r#"[{"body":["a"]}]"#,
        r#"[{"headers":["a"]}]"#,
        r#"[{"headers":[["a"]]}]"#,
        r#"[{"headers":[["a","b","c"]]}]"#,
        r#"[{"headers":a}]"#,
        r#"[{"headers":{"a":{}}}]"#,
        r#"[{"headers":{a:1,"a":2}}]"#,
        r#"[{"headers":{a:,b:2}}]"#,
        "[{,body:a}]",
        "[{body:a/*open}]",
        "[{},\u{a0}]",
        "[{},\u{c}{}]",
    ] {
        assert!(collect(text, read_lenient_array).is_err(), "{text}");
    }
    // Deeper than JSON's reader goes, in what means nothing.
    let deep = format!("[{{x:{}1{},body:deep}}]", "[{y:".repeat(5000), "}]".repeat(5000));
    assert_eq!(collect(&deep, read_lenient_array).ok(), one("deep", &[]));
}
