use super::*;

fn charset(label: &str) -> Charset {
    Charset::for_label(label).unwrap()
}

fn decode(label: &str, text: &[u8], policy: DecodeError) -> Result<String, Malformed> {
    let body = charset(label).decode(Bytes::copy_from_slice(text), policy)?;
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

#[test]
fn valid_utf_8_and_ascii_are_not_copied() {
    for (label, text) in [("utf-8", "h\u{e4}llo"), ("shift_jis", "hello"), ("latin1", "hello"), ("ascii", "x")] {
        let text = Bytes::copy_from_slice(text.as_bytes());
        let out = charset(label).decode(text.clone(), DecodeError::Fail).unwrap();
        assert_eq!(out.as_ptr(), text.as_ptr(), "{label}");
    }
}

#[test]
fn each_maximal_invalid_part_is_one_replacement() {
    let cases: [(&[u8], &str, &str, usize, usize); 8] = [
        (b"a\xff\xfeb", "a\u{fffd}\u{fffd}b", "ab", 1, 1),
        (b"a\xe2\x82", "a\u{fffd}", "a", 1, 2),
        (b"\xf0\x9f\x98x", "\u{fffd}x", "x", 0, 3),
        (b"ok\xc0\x80", "ok\u{fffd}\u{fffd}", "ok", 2, 1),
        // Surrogates, and what there is of one, as Java has them.
        (b"a\xed\xa0\x80\xed\xb0\x80b", "a\u{fffd}\u{fffd}b", "ab", 1, 3),
        (b"\xed\xa0x\xed", "\u{fffd}x\u{fffd}", "x", 0, 2),
        (b"\xed\x9f\xbf\xed\xbf\xed\x80\x80", "\u{d7ff}\u{fffd}\u{d000}", "\u{d7ff}\u{d000}", 3, 2),
        (b"\xf8\x88", "\u{fffd}\u{fffd}", "", 0, 1),
    ];
    for (text, replaced, ignored, at, len) in cases {
        assert_eq!(decode("utf-8", text, DecodeError::Replace).unwrap(), replaced);
        assert_eq!(decode("utf-8", text, DecodeError::Ignore).unwrap(), ignored);
        let error = decode("utf-8", text, DecodeError::Fail).unwrap_err();
        assert_eq!((error.at, error.len), (at, len));
    }
}

#[test]
fn legacy_encodings_become_utf_8() {
    assert_eq!(decode("ISO-8859-1", b"\x80\xe9", DecodeError::Fail).unwrap(), "\u{80}\u{e9}");
    assert_eq!(decode("windows-1252", b"\x80\xe9", DecodeError::Fail).unwrap(), "\u{20ac}\u{e9}");
    assert_eq!(decode("Shift_JIS", b"\x93\xfa\x96\x7b", DecodeError::Fail).unwrap(), "\u{65e5}\u{672c}");
    assert_eq!(decode("UTF-16LE", b"a\0\x3d\xd8\x00\xde", DecodeError::Fail).unwrap(), "a\u{1f600}");
    assert_eq!(decode("gb18030", b"\x81\x30\x81\x30", DecodeError::Fail).unwrap(), "\u{80}");
    let error = decode("Shift_JIS", b"ab\x93\x01", DecodeError::Fail).unwrap_err();
    assert_eq!((error.at, error.charset), (2, "Shift_JIS"));
    assert_eq!(decode("ascii", b"a\xe9b", DecodeError::Replace).unwrap(), "a\u{fffd}b");
    assert_eq!(decode("ascii", b"a\xe9b", DecodeError::Fail).unwrap_err().at, 1);
    assert_eq!(decode("UTF-16BE", b"\0a\0", DecodeError::Replace).unwrap(), "a\u{fffd}");
    for label in ["iso-2022-jp", "replacement", "no such", ""] {
        assert_eq!(Charset::for_label(label), None, "{label}");
    }
}

#[test]
fn names_of_java_name_the_encodings_that_they_name_in_java() {
    for (labels, expected) in [
        ("8859_1 ISO8859_1 ISO_8859_1 ISO_8859-1:1987 IBM-819 cp819 819 Latin1 iso8859-1", "ISO-8859-1"),
        ("8859_2 ISO8859_2 ibm912 cp912", "ISO-8859-2"),
        ("8859_8 iso_8859-8 916", "ISO-8859-8"),
        ("8859_9 ISO-8859-9 iso_8859-9:1989 latin5 cp920", "ISO-8859-9"),
        ("8859_13 ISO_8859-13", "ISO-8859-13"),
        ("8859_15 LATIN9 L9 cp923 ISO8859_15_FDIS", "ISO-8859-15"),
        ("ISO8859_16 latin10", "ISO-8859-16"),
        ("646 ascii7 cp367 ISO_646.irv:1991 default US", "US-ASCII"),
        ("UTF_16 UnicodeBig unicode", "UTF-16"),
        ("UTF_16BE UnicodeBigUnmarked ISO-10646-UCS-2", "UTF-16BE"),
        ("X-UTF-16LE UnicodeLittleUnmarked", "UTF-16LE"),
        ("UTF8 unicode-1-1-utf-8", "UTF-8"),
        ("cp1252 ibm-1252 cp5348 windows-1252", "windows-1252"),
        ("cp1254 cp5350", "windows-1254"),
        ("Cp866 IBM866 866", "IBM866"),
        ("MS932 SJIS windows-31j windows-932", "Shift_JIS"),
        ("EUC_JP eucjis", "EUC-JP"),
        ("EUC_KR 5601 MS949", "EUC-KR"),
        ("EUC_CN GB2312 CP936 MS936", "GBK"),
        ("Big5_HKSCS MS950", "Big5"),
        ("MacRoman", "macintosh"),
        ("TIS620 MS874", "windows-874"),
    ] {
        for label in labels.split(' ') {
            assert_eq!(Charset::for_label(label).map(Charset::name), Some(expected), "{label}");
        }
    }
    for label in ["8859_11", "8859_", "Cp437", "IBM850", "UTF-32", "cp", "ibm-", "klingon"] {
        assert_eq!(Charset::for_label(label), None, "{label}");
    }
}

#[test]
fn iso_8859_9_is_not_windows_1254() {
    let all: Vec<u8> = (0..=255).collect();
    let text = decode("ISO-8859-9", &all, DecodeError::Fail).unwrap();
    let windows = decode("windows-1254", &all, DecodeError::Replace).unwrap();
    for ((byte, own), windows) in (0..=255_u8).zip(text.chars()).zip(windows.chars()) {
        let expected = if (0x80..0xa0).contains(&byte) { char::from(byte) } else { windows };
        assert_eq!(own, expected, "{byte:#x}");
    }
    let mut again = Vec::new();
    charset("ISO-8859-9").encode(&text, &mut again);
    assert_eq!(again, all);
    let mut other = Vec::new();
    charset("ISO-8859-9").encode("\u{f0}\u{20ac}\u{131}", &mut other);
    assert_eq!(other, b"??\xfd");
}

#[test]
fn what_was_decoded_is_encoded_again() {
    let text = "a\u{e4}\u{20ac}\u{65e5}\u{1f600}\n";
    for (label, expected) in [
        ("utf-8", text),
        ("utf-16", text),
        ("utf-16le", text),
        ("gb18030", text),
        ("ascii", "a????\n"),
        ("latin1", "a\u{e4}???\n"),
        ("windows-1252", "a\u{e4}\u{20ac}??\n"),
        ("shift_jis", "a??\u{65e5}?\n"),
    ] {
        let mut out = b"before".to_vec();
        charset(label).encode(text, &mut out);
        assert_eq!(decode(label, &out[6..], DecodeError::Fail).unwrap(), expected, "{label}");
    }
}

#[test]
fn utf_16_goes_by_its_mark() {
    let utf16 = charset("UTF-16");
    assert_eq!(utf16.of_text(b"\xff\xfea\0"), (charset("utf-16le"), 2));
    assert_eq!(utf16.of_text(b"\xfe\xff\0a"), (charset("utf-16be"), 2));
    assert_eq!(utf16.of_text(b""), (charset("utf-16be"), 0));
    assert_eq!(charset("utf-8").of_text(b"\xef\xbb\xbf"), (charset("utf-8"), 0));
}

#[test]
fn a_cut_never_halves_a_character() {
    // U+1F600 after some ASCII, in each encoding that has it, and a two-byte character in the others.
    let text = "abcd\u{1f600}efgh\u{1f600}\u{e4}\u{65e5}z";
    for max in 4..text.len() {
        let cut = Charset::UTF_8.cut(text.as_bytes(), max);
        assert!(cut <= max && cut + 4 > max && text.is_char_boundary(cut), "{max} {cut}");
    }
    for label in ["Shift_JIS", "gb18030", "EUC-JP", "Big5", "EUC-KR", "gbk"] {
        let encoding = Encoding::for_label(label.as_bytes()).unwrap();
        let source = "a\u{65e5}\u{672c}b\u{65e5}\u{65e5}\u{65e5}c\u{672c}\u{65e5}dd";
        let (text, _, _) = encoding.encode(source);
        for max in 4..text.len() {
            let cut = charset(label).cut(&text, max);
            let (a, b) = text.split_at(cut);
            let both = [a, b].map(|part| decode(label, part, DecodeError::Fail).unwrap()).concat();
            assert_eq!(both, source, "{label} {max}");
        }
    }
    for (label, swap) in [("utf-16le", false), ("utf-16be", true)] {
        let units = text.encode_utf16();
        let bytes: Vec<u8> =
            units.flat_map(|u| if swap { u.swap_bytes().to_le_bytes() } else { u.to_le_bytes() }).collect();
        for max in 4..bytes.len() {
            let (a, b) = bytes.split_at(charset(label).cut(&bytes, max));
            let both = [a, b].map(|part| decode(label, part, DecodeError::Fail).unwrap()).concat();
            assert_eq!(both, text, "{label} {max}");
        }
    }
}

#[test]
fn a_cut_in_malformed_text_still_moves_on() {
    for label in ["utf-8", "utf-16le", "shift_jis", "gb18030", "ascii"] {
        for byte in [0x80, 0xbf, 0xd8, 0xf0, 0xff, 0x81] {
            let text = [byte; 32];
            for max in 4..32 {
                let cut = charset(label).cut(&text, max);
                assert!(cut > 0 && cut <= max, "{label} {byte} {max} {cut}");
            }
        }
    }
}

#[test]
fn bytes_that_an_encoding_of_windows_leaves_open_are_not_valid() {
    for (label, text, replaced, ignored) in [
        ("windows-1252", &b"a\x81\x80\x9d"[..], "a\u{fffd}\u{20ac}\u{fffd}", "a\u{20ac}"),
        ("windows-1253", b"\xd2\x8f\xe1", "\u{fffd}\u{fffd}\u{3b1}", "\u{3b1}"),
        ("windows-1251", b"\x98\xe6", "\u{fffd}\u{436}", "\u{436}"),
    ] {
        assert_eq!(decode(label, text, DecodeError::Replace).unwrap(), replaced);
        assert_eq!(decode(label, text, DecodeError::Ignore).unwrap(), ignored);
    }
    let error = decode("windows-1252", b"\xe9a\x81", DecodeError::Fail).unwrap_err();
    assert_eq!((error.charset, error.at, error.len), ("windows-1252", 2, 1));
    let mut out = Vec::new();
    charset("windows-1252").encode("\u{81}\u{e9}", &mut out);
    assert_eq!(out, b"?\xe9");
    assert_eq!(decode("ISO-8859-2", b"\x81", DecodeError::Fail).unwrap(), "\u{81}");
}

#[test]
fn units_of_utf_16_are_counted_in_every_encoding() {
    // Three characters, then as many as a pair counts, with bytes that are not valid between them.
    for (label, text, bad) in [
        ("utf-8", "a\u{65e5}\u{672c}c\u{1f600}d", &b"\xff"[..]),
        ("gb18030", "a\u{65e5}\u{672c}c\u{1f600}d", b"\xff"),
        ("gbk", "a\u{65e5}\u{672c}c\u{65e5}\u{65e5}d", b"\xff"),
        ("euc-jp", "a\u{65e5}\u{672c}c\u{65e5}\u{65e5}d", b"\xff"),
        ("shift_jis", "a\u{65e5}\u{672c}c\u{65e5}\u{65e5}d", b"\xff"),
        ("utf-16le", "a\u{65e5}\u{672c}c\u{1f600}d", b"\x00\xdc"),
        ("iso-8859-7", "a\u{3b1}\u{3b2}c\u{3b3}\u{3b4}d", b"\xff"),
        ("windows-1252", "abcc\u{e4}\u{f6}d", b"\x81"),
        ("ascii", "abccded", b"\xff"),
    ] {
        let charset = charset(label);
        let encoded = |text: &str| {
            let mut out = Vec::new();
            charset.encode(text, &mut out);
            out
        };
        let whole = encoded(text);
        for units in 1..=7 {
            let mut expected = String::new();
            for c in text.chars() {
                if expected.encode_utf16().count() + c.len_utf16() > units {
                    break;
                }
                expected.push(c);
            }
            assert_eq!(
                charset.cut_chars(&whole, units, DecodeError::Replace),
                encoded(&expected).len(),
                "{label} {units}"
            );
        }
        let bad_before = [bad, &whole].concat();
        let behind_three = bad.len() + encoded(&text.chars().take(3).collect::<String>()).len();
        assert_eq!(charset.cut_chars(&bad_before, 4, DecodeError::Replace), behind_three, "{label}");
        assert_eq!(charset.cut_chars(&bad_before, 3, DecodeError::Ignore), behind_three, "{label}");
    }
}
