use super::*;
use crate::testing::Random;

type Found = Vec<(String, FrameEnd)>;

fn split(charset: Charset, max: usize, overlong: Overlong, stream: &[u8], size: usize) -> Found {
    let mut framer = SyslogFramer::new(charset, max, overlong);
    let mut found = Vec::new();
    for piece in stream.chunks(size) {
        framer.push(piece);
        while let Some(frame) = framer.next_frame() {
            assert!(!frame.message.is_empty() && frame.message.len() <= max.max(MESSAGE_BYTES_MIN));
            found.push((String::from_utf8_lossy(frame.message).into_owned(), frame.end));
        }
        assert!(framer.buffered_bytes() <= max.max(MESSAGE_BYTES_MIN) + 1, "{} bytes", framer.buffered_bytes());
        assert!(framer.buffer.capacity() <= 2 * (max.max(MESSAGE_BYTES_MIN) + size));
    }
    if let Some(frame) = framer.finish() {
        found.push((String::from_utf8_lossy(frame.message).into_owned(), frame.end));
    }
    assert!(!framer.is_within_message());
    found
}

/// Splits a stream in pieces of every size, all of which must give the same.
fn all_pieces(max: usize, overlong: Overlong, stream: &[u8]) -> Found {
    let whole = split(Charset::UTF_8, max, overlong, stream, stream.len().max(1));
    for piece in 1..stream.len() {
        assert_eq!(split(Charset::UTF_8, max, overlong, stream, piece), whole, "pieces of {piece} bytes");
    }
    whole
}

fn whole(messages: &[&str]) -> Found {
    messages.iter().map(|message| ((*message).to_owned(), FrameEnd::Whole)).collect()
}

#[test]
fn each_message_may_be_framed_in_its_own_way() {
    let cases: [(&str, &[&str]); 12] = [
        ("<1>a\n<2>b\n", &["<1>a", "<2>b"]),
        ("4 <1>a4 <2>b", &["<1>a", "<2>b"]),
        ("4 <1>a<2>b\n5 <3>c\n<4>d\n", &["<1>a", "<2>b", "<3>c", "<4>d"]),
        // Newlines within a counted message, and behind one.
        ("8 <1>a\nb\nc\n\n4 <1>d", &["<1>a\nb\nc", "<1>d"]),
        ("\n\n<1>a\n\n\n", &["<1>a"]),
        ("<1>\r\n\r\n", &["<1>\r", "\r"]),
        // Numbers that count nothing.
        ("12 monkeys\n<1>a\n", &["12 monkeys", "<1>a"]),
        ("2026-11-25 text\n", &["2026-11-25 text"]),
        ("0 <1>a\n", &["0 <1>a"]),
        ("04 <1>a\n", &["04 <1>a"]),
        ("123456789 <1>a\n", &["123456789 <1>a"]),
        ("4<1>a\n7\n8 \n9 x<\n", &["4<1>a", "7", "8 ", "9 x<"]),
    ];
    for (stream, messages) in cases {
        assert_eq!(all_pieces(64, Overlong::Split, stream.as_bytes()), whole(messages), "{stream:?}");
    }
}

#[test]
fn a_wrong_count_does_no_more_harm_than_to_its_neighbours() {
    let too_small = all_pieces(64, Overlong::Split, b"3 <1>abc\n<2>d\n");
    assert_eq!(too_small, whole(&["<1>", "abc", "<2>d"]));
    let too_large = all_pieces(64, Overlong::Split, b"6 <1>a\n<2>d\n<3>e\n");
    assert_eq!(too_large, whole(&["<1>a\n<", "2>d", "<3>e"]));
}

#[test]
fn the_end_of_the_stream_ends_what_is_there() {
    for (stream, rest) in [("<1>a\n<2>b", "<2>b"), ("<1>a\n9 <2>b", "<2>b"), ("<1>a\n12", "12"), ("<1>a\n12 ", "12 ")] {
        let found = all_pieces(64, Overlong::Split, stream.as_bytes());
        assert_eq!(found[0], ("<1>a".to_owned(), FrameEnd::Whole));
        assert_eq!(found[1..], [(rest.to_owned(), FrameEnd::Eof)]);
    }
    assert_eq!(all_pieces(64, Overlong::Split, b""), []);
}

#[test]
fn a_message_of_the_maximum_is_whole_and_a_longer_one_is_cut() {
    let (a16, cut) = ("<1>4567890123456", FrameEnd::Cut);
    for (stream, expected) in [
        (format!("{a16}\n<2>b\n"), vec![(a16, FrameEnd::Whole), ("<2>b", FrameEnd::Whole)]),
        (format!("16 {a16}4 <2>b"), vec![(a16, FrameEnd::Whole), ("<2>b", FrameEnd::Whole)]),
        (format!("{a16}xy\n<2>b\n"), vec![(a16, cut), ("xy", FrameEnd::Whole), ("<2>b", FrameEnd::Whole)]),
        (format!("18 {a16}xy4 <2>b"), vec![(a16, cut), ("xy", FrameEnd::Whole), ("<2>b", FrameEnd::Whole)]),
        (format!("17 {a16}\n4 <2>b"), vec![(a16, cut), ("<2>b", FrameEnd::Whole)]),
        (format!("{a16}{a16}{a16}"), vec![(a16, cut), (a16, cut), (a16, FrameEnd::Eof)]),
        // What follows a cut is no count.
        (format!("{a16}9 <3>xyzabc\n"), vec![(a16, cut), ("9 <3>xyzabc", FrameEnd::Whole)]),
    ] {
        let expected: Found = expected.into_iter().map(|(message, end)| (message.to_owned(), end)).collect();
        assert_eq!(all_pieces(16, Overlong::Split, stream.as_bytes()), expected, "{stream:?}");
    }
}

#[test]
fn the_rest_of_a_long_message_can_be_skipped_or_all_of_it() {
    let long = "<1>456789012345678901234567890";
    for stream in [format!("{long}\n4 <2>b<3>c\n"), format!("30 {long}\n4 <2>b<3>c\n")] {
        let truncated = all_pieces(16, Overlong::Truncate, stream.as_bytes());
        assert_eq!(truncated[0], ("<1>4567890123456".to_owned(), FrameEnd::Cut));
        assert_eq!(truncated[1..], whole(&["<2>b", "<3>c"]));
        assert_eq!(all_pieces(16, Overlong::Drop, stream.as_bytes()), whole(&["<2>b", "<3>c"]));
        let mut framer = SyslogFramer::new(Charset::UTF_8, 16, Overlong::Drop);
        framer.push(stream.as_bytes());
        while framer.next_frame().is_some() {}
        assert_eq!(framer.take_dropped_messages(), 1);
    }
    // The stream ends within what is skipped.
    assert_eq!(all_pieces(16, Overlong::Drop, long.as_bytes()), []);
    assert_eq!(all_pieces(16, Overlong::Drop, format!("99 {long}").as_bytes()), []);
}

#[test]
fn no_character_is_cut_in_two() {
    let stream = "<1>\u{20ac}\u{20ac}\u{20ac}\u{20ac}\u{20ac}\u{20ac}\n".as_bytes();
    let found = all_pieces(16, Overlong::Split, stream);
    assert_eq!(found[0], ("<1>\u{20ac}\u{20ac}\u{20ac}\u{20ac}".to_owned(), FrameEnd::Cut));
    assert_eq!(found[1], ("\u{20ac}\u{20ac}".to_owned(), FrameEnd::Whole));
    // A stray high byte is no reason to wait or to lose anything.
    let bytes = [b"<1>".as_slice(), &[0xff; 40], b"\n"].concat();
    let found = split(Charset::UTF_8, 16, Overlong::Split, &bytes, 7);
    assert_eq!(found.iter().map(|(message, _)| message.chars().count()).sum::<usize>(), 43);
}

#[test]
fn a_line_without_an_end_costs_no_more_than_the_maximum() {
    let piece = [b'x'; 4096];
    let mut framer = SyslogFramer::new(Charset::UTF_8, 2500, Overlong::Split);
    let mut bytes = 0;
    for _ in 0..1000 {
        framer.push(&piece);
        while let Some(frame) = framer.next_frame() {
            bytes += frame.message.len();
        }
        assert!(framer.buffered_bytes() <= 2500);
        assert!(framer.buffer.capacity() <= 2500 + 4096);
    }
    assert_eq!(bytes + framer.buffered_bytes(), 1000 * 4096);
}

/// Whatever comes, in whatever pieces: the same messages, and, if long ones are split, no byte lost but framing.
#[test]
fn random_streams_do_not_depend_on_their_pieces() {
    let seed = Random::seed();
    println!("AQUEDUCT_SEED={seed}");
    let mut random = Random::new(seed);
    let words: [&[u8]; 14] = [
        b"\n",
        b"<13>",
        b" ",
        b"1",
        b"9",
        b"0",
        b"17 <",
        b"x",
        b"\xc3",
        b"\xa9",
        b"\xff",
        b"<",
        b"Nov  5 ",
        b"123456789",
    ];
    for _ in 0..300 {
        let stream: Vec<u8> = (0..random.index(60)).flat_map(|_| words[random.index(words.len())].to_vec()).collect();
        for overlong in [Overlong::Split, Overlong::Truncate, Overlong::Drop] {
            all_pieces(20, overlong, &stream);
        }
    }
}
