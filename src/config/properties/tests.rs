use std::collections::BTreeMap;

use super::*;

fn pairs(text: &str) -> Vec<(String, String, usize)> {
    parse(text.as_bytes()).unwrap().into_iter().map(|found| (found.key, found.value, found.line)).collect()
}

fn is(found: &[(String, String, usize)], expected: &[(&str, &str, usize)]) {
    let found: Vec<_> = found.iter().map(|(key, value, line)| (key.as_str(), value.as_str(), *line)).collect();
    assert_eq!(found, expected);
}

/// Goal: every text means what it means to Java. Method: texts and their meaning as `tests/peers/Properties.java` printed
/// them, the generated ones with much of what is special.
#[test]
fn texts_mean_what_they_mean_to_java() {
    let fixture = include_str!("../../../tests/fixtures/config/properties.txt");
    let mut errors = 0;
    let mut lossy = 0;
    for line in fixture.lines() {
        let (text, expected) = line.split_once(' ').unwrap();
        let bytes: Vec<u8> =
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
        let shown = bytes.escape_ascii().to_string();
        if expected == "error" {
            let error = parse(&bytes).expect_err(&shown);
            assert!(error.reason.starts_with("\\u must be followed"), "{shown}: {error}");
            errors += 1;
            continue;
        }
        let found = parse(&bytes).expect(&shown);
        let found: BTreeMap<String, String> = found.into_iter().map(|found| (found.key, found.value)).collect();
        let expected: BTreeMap<String, String> =
            if expected == "-" { BTreeMap::new() } else { expected_pairs(expected) };
        lossy += usize::from(expected.values().any(|value| value.contains('\u{fffd}')));
        assert_eq!(found, expected, "{shown}");
    }
    let texts = fixture.lines().count();
    assert!(errors > 100 && texts - errors > 1000, "{errors} errors of {texts} texts");
    println!("{texts} texts, {errors} of them refused, {lossy} with half a surrogate pair");
}

fn expected_pairs(text: &str) -> BTreeMap<String, String> {
    let units = |text: &str| {
        let units: Vec<u16> =
            (0..text.len()).step_by(4).map(|at| u16::from_str_radix(&text[at..at + 4], 16).unwrap()).collect();
        String::from_utf16_lossy(&units)
    };
    let pair = |pair: &str| pair.split_once('=').map(|(key, value)| (units(key), units(value))).unwrap();
    text.split(',').map(pair).collect()
}

#[test]
fn a_property_is_at_the_line_on_which_it_begins() {
    let text = "# comment\n\na = 1\r\n\r\n! comment \\\rb = 2\\\n  more\\\n\nc=3\n\\\n\\\nd=4";
    is(&pairs(text), &[("a", "1", 3), ("b", "2more", 6), ("c", "3", 9), ("d", "4", 12)]);
}

#[test]
fn equal_keys_all_come_and_the_caller_takes_the_last() {
    is(&pairs("a=1\nb=2\na=3"), &[("a", "1", 1), ("b", "2", 2), ("a", "3", 3)]);
}

#[test]
fn bytes_beyond_ascii_are_latin_1_and_told_if_they_are_utf_8() {
    let found = parse(b"a=\xf6\nb=\xc3\xa9\nc=\\u00e9\n# \xc3\xa9\nd=1").unwrap();
    let found: Vec<_> = found.iter().map(|found| (found.value.as_str(), found.is_garbled)).collect();
    assert_eq!(found, [("\u{f6}", false), ("\u{c3}\u{a9}", true), ("\u{e9}", false), ("1", false)]);
}

#[test]
fn a_mistake_names_its_line() {
    let error = parse(b"a=1\n\nb=\\u12x4\n").unwrap_err();
    assert_eq!(
        (error.line, error.to_string().as_str()),
        (3, "\\u must be followed by four hexadecimal digits; write \\\\u for a backslash and a u")
    );
}

#[test]
fn everything_has_a_limit() {
    let long = [b"a=".as_slice(), &vec![b'x'; PROPERTIES_LINE_BYTES_MAX - 2]].concat();
    assert_eq!(parse(&long).unwrap().len(), 1);
    let error = parse(&[b"k=v\n", long.as_slice(), b"x"].concat()).unwrap_err();
    assert_eq!((error.line, error.reason.as_str()), (2, "the line has more than 1048576 bytes"));
    let many = "k=v\n".repeat(PROPERTIES_COUNT_MAX);
    assert_eq!(parse(many.as_bytes()).unwrap().len(), PROPERTIES_COUNT_MAX);
    let error = parse((many + "k").as_bytes()).unwrap_err();
    assert_eq!((error.line, error.reason.as_str()), (100_001, "the file has more than 100000 properties"));
    let error = parse(&vec![b'#'; PROPERTIES_BYTES_MAX + 1]).unwrap_err();
    assert_eq!(error.reason, "the file has more than 16777216 bytes");
}
