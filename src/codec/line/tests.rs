use std::hash::{BuildHasher, Hasher, RandomState};

use super::*;

/// A small generator; the seed is printed and can be given in `AQUEDUCT_SEED`.
struct Rng(u64);

impl Rng {
    fn seeded() -> Self {
        let given = std::env::var("AQUEDUCT_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        println!("AQUEDUCT_SEED={seed}");
        Self(seed | 1)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % end as u64).unwrap()
    }
}

/// All lines and the count of dropped ones, by the plainest means: with the whole text in hand.
fn naive(charset: Charset, max: usize, overlong: Overlong, text: &[u8]) -> (Vec<Line>, u64) {
    let unit = charset.unit();
    let max = max.max(4) / unit * unit;
    let (mut lines, mut dropped, mut at) = (Vec::new(), 0, 0);
    while at < text.len() {
        let rest = &text[at..];
        let found =
            (0..rest.len() / unit).map(|i| i * unit).find(|i| charset.find_newline(&rest[*i..*i + unit]).is_some());
        let len = found.unwrap_or(rest.len());
        let next = at + len + found.map_or(0, |_| unit);
        let whole_end = if found.is_some() { LineEnd::Newline } else { LineEnd::Eof };
        let cut = if len > max { charset.cut(rest, max) } else { len };
        let (next, end) = match overlong {
            _ if len <= max => (next, whole_end),
            Overlong::Split => (at + cut, LineEnd::Split),
            _ => (next, LineEnd::Truncated { lost: (len - cut) as u64 }),
        };
        if len > max && overlong == Overlong::Drop {
            dropped += 1;
        } else {
            let body = Bytes::copy_from_slice(&rest[..cut]);
            lines.push(Line { body, start: at as u64, next: next as u64, end });
        }
        at = next;
    }
    (lines, dropped)
}

fn framed(framer: &mut LineFramer, pieces: &[&[u8]], most: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    for piece in pieces {
        framer.push(Bytes::copy_from_slice(piece));
        assert!(framer.buffered_bytes() <= most, "{} bytes held", framer.buffered_bytes());
        while let Some(line) = framer.next_line() {
            lines.push(line);
        }
    }
    while let Some(line) = framer.finish() {
        lines.push(line);
    }
    lines
}

fn bodies(lines: &[Line]) -> Vec<String> {
    lines.iter().map(|line| String::from_utf8_lossy(&line.body).into_owned()).collect()
}

fn lines_of(max: usize, overlong: Overlong, text: &str) -> Vec<Line> {
    framed(&mut LineFramer::new(Charset::UTF_8, max, overlong), &[text.as_bytes()], usize::MAX)
}

#[test]
fn only_a_line_feed_ends_a_line() {
    assert_eq!(bodies(&lines_of(99, Overlong::Split, "a\r\n\nb\rc\n\u{feff}d")), ["a\r", "", "b\rc", "\u{feff}d"]);
    assert_eq!(lines_of(99, Overlong::Split, ""), []);
    assert_eq!(bodies(&lines_of(99, Overlong::Split, "\n")), [""]);
    assert_eq!(bodies(&lines_of(99, Overlong::Split, "a\n")), ["a"]);
}

#[test]
fn a_multiple_of_the_maximum_is_not_followed_by_an_empty_line() {
    assert_eq!(bodies(&lines_of(4, Overlong::Split, "abcd\nx")), ["abcd", "x"]);
    assert_eq!(bodies(&lines_of(4, Overlong::Split, "abcdefgh\n\nx")), ["abcd", "efgh", "", "x"]);
    assert_eq!(bodies(&lines_of(4, Overlong::Split, "abcdefgh")), ["abcd", "efgh"]);
    assert_eq!(bodies(&lines_of(4, Overlong::Split, "abcdefghi\n")), ["abcd", "efgh", "i"]);
}

#[test]
fn a_split_keeps_characters_whole() {
    assert_eq!(
        bodies(&lines_of(4, Overlong::Split, "abc\u{e4}\u{1f600}\u{1f600}x\n")),
        ["abc", "\u{e4}", "\u{1f600}", "\u{1f600}", "x"]
    );
}

#[test]
fn truncation_tells_what_was_lost_and_dropping_counts() {
    let lines = lines_of(4, Overlong::Truncate, "abcdef\nok\nlong again");
    assert_eq!(bodies(&lines), ["abcd", "ok", "long"]);
    assert_eq!(lines[0].end, LineEnd::Truncated { lost: 2 });
    assert_eq!((lines[0].start, lines[0].next), (0, 7));
    assert_eq!(lines[2].end, LineEnd::Truncated { lost: 6 });

    let mut framer = LineFramer::new(Charset::UTF_8, 4, Overlong::Drop).starting_at(100);
    let lines = framed(&mut framer, &[b"abcdef\nok\nlong", b" again"], 99);
    assert_eq!(bodies(&lines), ["ok"]);
    assert_eq!((lines[0].start, lines[0].next), (107, 110));
    assert_eq!((framer.dropped_lines(), framer.offset()), (2, 120));
}

#[test]
fn a_line_within_one_piece_is_not_copied() {
    let piece = Bytes::from(vec![b'x'; 100]);
    let mut framer = LineFramer::new(Charset::BYTES, 10, Overlong::Split);
    framer.push(piece.clone());
    let line = framer.next_line().unwrap();
    assert_eq!(line.body.as_ptr(), piece.as_ptr());
}

/// Goal: an endless line costs no more memory than the maximum and one piece.
/// Method: 64 MiB without a line feed, in each policy.
#[test]
fn an_endless_line_is_held_only_up_to_the_maximum() {
    for overlong in [Overlong::Split, Overlong::Truncate, Overlong::Drop] {
        let mut framer = LineFramer::new(Charset::UTF_8, 1000, overlong);
        let piece = Bytes::from(vec![b'x'; 64 << 10]);
        let mut lines = 0;
        for _ in 0..1024 {
            framer.push(piece.clone());
            assert!(framer.buffered_bytes() <= 1000 + piece.len());
            while let Some(line) = framer.next_line() {
                assert!(line.body.len() <= 1000);
                lines += 1;
            }
            assert!(framer.buffered_bytes() <= 1000);
        }
        assert_eq!(lines, if overlong == Overlong::Split { (64 << 20) / 1000 } else { 0 });
    }
}

/// Goal: the lines do not depend on how the stream is cut into pieces, and a reader that starts again where any line
/// ended finds the rest. Method: random text out of critical bytes, against the naive splitter.
#[test]
fn random_text_in_random_pieces_gives_the_lines_of_the_naive_splitter() {
    let mut rng = Rng::seeded();
    let charsets = ["utf-8", "utf-16le", "utf-16be", "shift_jis", "gb18030", "latin1"]
        .map(|label| Charset::for_label(label).unwrap())
        .into_iter()
        .chain([Charset::BYTES])
        .collect::<Vec<_>>();
    let alphabet: [&[u8]; 14] = [
        b"\n",
        b"\n\0",
        b"\0\n",
        b"a",
        b"a\0",
        b"\0a",
        b"\r",
        "\u{e4}".as_bytes(),
        "\u{65e5}".as_bytes(),
        "\u{1f600}".as_bytes(),
        b"\x3d\xd8\x00\xde",
        b"\xd8\x3d\xde\x00",
        b"\x93\xfa",
        b"\x81\x30\x81\x30",
    ];
    let rounds = 6000;
    let mut total = 0;
    for round in 0..rounds {
        let charset = charsets[rng.below(charsets.len())];
        let overlong = [Overlong::Split, Overlong::Truncate, Overlong::Drop][rng.below(3)];
        let max = 4 + rng.below(12);
        let symbols = 1 + rng.below(alphabet.len());
        let text: Vec<u8> = (0..rng.below(60)).flat_map(|_| alphabet[rng.below(symbols)].iter().copied()).collect();
        let piece_max = 1 + rng.below(20);
        let mut pieces = Vec::new();
        let mut rest = &text[..];
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at((1 + rng.below(piece_max)).min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        let (expected, dropped) = naive(charset, max, overlong, &text);
        let mut framer = LineFramer::new(charset, max, overlong);
        let lines = framed(&mut framer, &pieces, max + piece_max + 2);
        assert_eq!(lines, expected, "round {round}: {charset:?} {overlong:?} max {max} {text:?}");
        assert_eq!(framer.dropped_lines(), dropped);
        assert_eq!(framer.offset(), text.len() as u64);
        for (index, line) in expected.iter().enumerate() {
            let from = usize::try_from(line.next).unwrap();
            let mut again = LineFramer::new(charset, max, overlong).starting_at(line.next);
            assert_eq!(framed(&mut again, &[&text[from..]], usize::MAX), expected[index + 1..], "resumed at {from}");
        }
        total += lines.len();
    }
    println!("{rounds} texts, {total} lines, each restarted at every line");
}

#[test]
fn a_maximum_in_characters_counts_as_flume_does() {
    // Per unit: one for each character of the basic plane and each malformed part, two for others.
    let text = "umlaut \u{e4}\u{f6}\u{fc} and \u{1f600}\u{1f600}!\n\u{20ac}\u{20ac}\u{20ac}\u{20ac}\u{20ac}\nshort\n"
        .as_bytes();
    let mut stream = text.to_vec();
    stream.extend(b"\xff\xfe\xe2\x82 12345\n123456\nlast");
    let expected = [
        "umlaut",
        " \u{e4}\u{f6}\u{fc} a",
        "nd \u{1f600}",
        "\u{1f600}!",
        "\u{20ac}\u{20ac}\u{20ac}\u{20ac}\u{20ac}",
        "short",
    ];
    for piece in [1, 2, 3, 7, 1000] {
        let mut framer = LineFramer::with_chars_max(Charset::UTF_8, 6, Overlong::Split);
        let pieces: Vec<&[u8]> = stream.chunks(piece).collect();
        let lines = framed(&mut framer, &pieces, usize::MAX);
        let bodies: Vec<_> = lines.iter().map(|line| &line.body[..]).collect();
        let mut all: Vec<&[u8]> = expected.iter().map(|text| text.as_bytes()).collect();
        // Three malformed parts, a blank, and two digits make six.
        all.extend([&b"\xff\xfe\xe2\x82 12"[..], b"345", b"123456", b"last"]);
        assert_eq!(bodies, all, "in pieces of {piece}");
        assert!(lines.windows(2).all(|pair| pair[0].next == pair[1].start));
    }
}

#[test]
fn a_maximum_in_characters_holds_wherever_a_line_feed_is_cut() {
    for label in ["UTF-16LE", "UTF-16BE"] {
        let charset = Charset::for_label(label).unwrap();
        let mut stream = Vec::new();
        charset.encode("123456\n1234567\n12345678\n\nlast", &mut stream);
        for overlong in [Overlong::Split, Overlong::Truncate, Overlong::Drop] {
            let whole = |pieces: &[&[u8]]| {
                let framer = LineFramer::with_chars_max(charset, 6, overlong);
                // Bytes that are left out do not count, so that a line may have many more.
                let mut framer = framer.decode_error(DecodeError::Ignore);
                (framed(&mut framer, pieces, usize::MAX), framer.dropped_lines())
            };
            let expected = whole(&[&stream]);
            assert!(expected.0.iter().all(|line| line.body.len() <= 12), "{expected:?}");
            for cut in 0..stream.len() {
                let (head, rest) = stream.split_at(cut);
                assert_eq!(whole(&[head, rest]), expected, "{label}, {overlong:?}, cut at {cut}");
            }
        }
    }
}

/// Goal: many bytes that do not count neither hide a line feed nor cut a character in two.
/// Method: a little more or less of them than a line may have, before whole characters and lines, in pieces of all sizes.
#[test]
fn bytes_that_are_left_out_end_a_line_where_they_are_too_many() {
    const MAX: usize = 2048;
    let letters = [("UTF-8", "\u{e4}"), ("UTF-8", "\u{65e5}"), ("Shift_JIS", "\u{65e5}"), ("UTF-16LE", "\u{1f600}")];
    for (label, letter) in letters {
        let charset = Charset::for_label(label).unwrap();
        let encoded = |text: &str| {
            let mut bytes = Vec::new();
            charset.encode(text, &mut bytes);
            bytes
        };
        let (letter, newline) = (encoded(letter), encoded("\n"));
        // Half a pair is not valid, nor is this byte.
        let unit = if charset.unit() == 2 { &b"\x00\xdc"[..] } else { &b"\xff"[..] };
        let most = charset.bytes_of_chars(MAX, DecodeError::Ignore) / unit.len();
        for bad in [most - 5, most - 4, most - 3, most - 2, most - 1, most, most + 1, most + 320] {
            let stream = [&unit.repeat(bad)[..], &letter, &newline, &encoded("one\ntwo\n")].concat();
            // Without the line feeds, of which each ends a line.
            let first = unit.len() * bad + letter.len();
            let cut = match unit.len() * most {
                most if first <= most => first,
                most if unit.len() * bad < most => unit.len() * bad,
                most => most,
            };
            let (head, rest) = stream[..first].split_at(cut);
            let (one, two) = (encoded("one"), encoded("two"));
            let expected = [head, rest, &one, &two].into_iter().filter(|body| !body.is_empty()).collect::<Vec<_>>();
            for piece in [7, 1000, stream.len()] {
                let mut framer =
                    LineFramer::with_chars_max(charset, MAX, Overlong::Split).decode_error(DecodeError::Ignore);
                let lines = framed(&mut framer, &stream.chunks(piece).collect::<Vec<_>>(), usize::MAX);
                let same = lines.iter().map(|line| &line.body[..]).eq(expected.iter().copied());
                let lens = lines.iter().map(|line| line.body.len()).collect::<Vec<_>>();
                assert!(same, "{label}, {bad} bad of {most}, in pieces of {piece}: lines of {lens:?} bytes, cut {cut}");
            }
        }
    }
}

#[test]
fn a_maximum_may_be_as_large_as_it_likes() {
    let both = |mut framer: LineFramer, unit: &[u8]| {
        let text: Vec<u8> = b"one\ntwo".iter().flat_map(|byte| [&[*byte], unit].concat()).collect();
        let half = text.len() / 2;
        framer.push(Bytes::copy_from_slice(&text[..half]));
        assert_eq!(framer.next_line(), None);
        framer.push(Bytes::copy_from_slice(&text[half..]));
        let first = framer.next_line().map(|line| line.body.len());
        let last = framer.finish().map(|line| (line.body.len(), line.end));
        assert_eq!((first, last), (Some(3 + 3 * unit.len()), Some((3 + 3 * unit.len(), LineEnd::Eof))));
    };
    for (label, unit) in [("UTF-8", &[][..]), ("ISO-8859-1", &[]), ("UTF-16LE", &[0])] {
        let charset = Charset::for_label(label).unwrap();
        for overlong in [Overlong::Split, Overlong::Truncate, Overlong::Drop] {
            for max in [usize::MAX, usize::MAX - 1] {
                both(LineFramer::new(charset, max, overlong), unit);
                both(LineFramer::with_chars_max(charset, max, overlong), unit);
                both(LineFramer::new(charset, max, overlong).starting_at(u64::MAX - 1), unit);
            }
        }
    }
}
