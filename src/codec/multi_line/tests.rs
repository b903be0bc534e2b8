use super::*;

fn joined(settings: &MultiLine, charset: Charset, text: &[u8], piece: usize) -> Vec<Joined> {
    let mut framer = MultiLineFramer::new(settings.clone(), charset, 0);
    let mut found = Vec::new();
    for piece in text.chunks(piece) {
        framer.push(Bytes::copy_from_slice(piece));
        found.extend(std::iter::from_fn(|| framer.next_event()));
    }
    found.extend(std::iter::from_fn(|| framer.finish()));
    assert_eq!((framer.offset(), framer.buffered_bytes()), (text.len() as u64, 0));
    found
}

/// The bodies; they depend neither on the pieces nor on where reading begins again.
fn bodies(settings: &MultiLine, text: &str) -> Vec<String> {
    let whole = joined(settings, Charset::UTF_8, text.as_bytes(), text.len().max(1));
    for piece in 1..text.len() {
        assert_eq!(joined(settings, Charset::UTF_8, text.as_bytes(), piece), whole, "pieces of {piece}");
    }
    for (number, event) in whole.iter().enumerate() {
        let from = usize::try_from(event.start).unwrap();
        let rest = joined(settings, Charset::UTF_8, &text.as_bytes()[from..], 3);
        let rest: Vec<_> = rest.into_iter().map(|event| event.body).collect();
        let expected: Vec<_> = whole[number..].iter().map(|event| event.body.clone()).collect();
        assert_eq!(rest, expected, "from event {number} on");
    }
    whole.into_iter().map(|event| String::from_utf8(event.body.to_vec()).unwrap()).collect()
}

#[test]
fn a_pattern_tells_what_begins_continues_or_is_continued() {
    let trace = "at a.b\n\tat c\none\n\tat x\r\n\n\tat y\nCaused by: z\ntwo";
    let continues = MultiLine::continues(r"^\s|^Caused by:").unwrap();
    assert_eq!(bodies(&continues, trace), ["at a.b\n\tat c", "one\n\tat x\r", "\n\tat y\nCaused by: z", "two"]);
    let begins = MultiLine::begins(r"^\d\d:").unwrap();
    let log = "before\n10: a\nb\n\n11: c\n12: d\n";
    assert_eq!(bodies(&begins, log), ["before", "10: a\nb\n", "11: c", "12: d"]);
    assert_eq!(bodies(&begins.clone().negated(true), "10: a\n11: b\nx\n12: c"), ["10: a\n11: b", "x\n12: c"]);
    let goes_on = MultiLine::continued(r"\\$").unwrap();
    assert_eq!(bodies(&goes_on, "a \\\nb \\\r\nc\nd\n\ne \\"), ["a \\\nb \\\r\nc", "d", "", "e \\"]);
    let ends = MultiLine::continued(";$").unwrap().negated(true);
    assert_eq!(bodies(&ends, "select\n1;\nselect 2;\nselect"), ["select\n1;", "select 2;", "select"]);
    for settings in [&continues, &begins, &goes_on] {
        assert_eq!(bodies(settings, ""), [""; 0]);
        assert_eq!(bodies(settings, "\n"), [""]);
    }
}

#[test]
fn an_event_has_no_more_lines_and_bytes_than_it_may() {
    let all = MultiLine::continues("").unwrap();
    let text = "1\n2\n3\n4\n5";
    assert_eq!(bodies(&all.clone().lines_max(2), text), ["1\n2", "3\n4", "5"]);
    assert_eq!(bodies(&all.clone().lines_max(0), text), ["1", "2", "3", "4", "5"]);
    assert_eq!(bodies(&all.clone().bytes_max(5), text), ["1\n2\n3", "4\n5"]);
    let long = "ab\n0123456789\u{20ac}x\ncd\nef";
    assert_eq!(bodies(&all.bytes_max(6), long), ["ab", "012345", "6789", "\u{20ac}x", "cd\nef"]);
    let continued = MultiLine::continued("x$").unwrap().bytes_max(4);
    assert_eq!(bodies(&continued, "12345x\nab\nx\nc\nd"), ["1234", "5x", "ab", "x\nc", "d"]);
}

#[test]
fn sixteen_bits_are_joined_with_sixteen_bits() {
    let charset = Charset::for_label("UTF-16LE").unwrap();
    let text: Vec<u8> = "a\n b\nc".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let found = joined(&MultiLine::continues("^ ").unwrap(), charset, &text, 3);
    assert_eq!(found.iter().map(|event| &event.body[..]).collect::<Vec<_>>(), [&text[..8], &text[10..]]);
}
