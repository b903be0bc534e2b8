//! What takes events out of files and out of the output of commands.

use bytes::Bytes;

use super::input::Input;
use crate::codec::charset::Charset;
use crate::codec::multi_line::{Joined, MultiLine, MultiLineFramer};
use crate::codec::text_line::TextLines;

const LABELS: &[&str] = &["UTF-8", "UTF-16LE", "UTF-16BE", "ISO-8859-1", "GB18030", "Shift_JIS"];

/// Lines with any line end do not depend on the pieces, and hold every byte but their ends.
pub(super) fn text_lines(data: &[u8]) {
    let mut input = Input::new(data);
    let Some(charset) = input.one_of(LABELS).and_then(Charset::for_label) else { return };
    let bytes_max = usize::from(input.byte()) + 1;
    let piece = usize::from(input.byte()) + 1;
    let text = input.rest();
    let whole = split(TextLines::new(charset, bytes_max), text, text.len().max(1));
    assert_eq!(whole, split(TextLines::new(charset, bytes_max), text, piece), "pieces make no difference");
    assert!(whole.iter().all(|line| line.len() <= bytes_max.max(4)), "a line is over the maximum");
    let held: usize = whole.iter().map(Bytes::len).sum();
    let ends = text.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    // A line end of 16 bits has another byte.
    assert!(held <= text.len() && held + 2 * ends >= text.len(), "{held} of {} bytes are in lines", text.len());
}

fn split(mut lines: TextLines, text: &[u8], piece: usize) -> Vec<Bytes> {
    let mut found = Vec::new();
    for piece in text.chunks(piece) {
        lines.push(piece);
        found.extend(std::iter::from_fn(|| lines.next_line()));
    }
    found.extend(std::iter::from_fn(|| lines.finish()));
    assert_eq!(lines.finish(), None, "all of it was read");
    found
}

/// Joined lines do not depend on the pieces, stand in the text as they are, and come the same if reading begins at any of
/// them.
pub(super) fn multi_lines(data: &[u8]) {
    let mut input = Input::new(data);
    let Some(charset) = input.one_of(LABELS).and_then(Charset::for_label) else { return };
    let pattern = input.one_of(&["^\\s", "x", "\\\\$", "^[0-9]", ""]).unwrap_or_default();
    let how = input.byte();
    let join = match how % 3 {
        0 => MultiLine::begins(pattern),
        1 => MultiLine::continues(pattern),
        _ => MultiLine::continued(pattern),
    };
    let Ok(join) = join else { panic!("{pattern:?} is a pattern") };
    let (lines_max, bytes_max) = (usize::from(input.byte() % 8), usize::from(input.byte()));
    let settings = join.negated(how & 4 != 0).lines_max(lines_max).bytes_max(bytes_max);
    let piece = usize::from(input.byte()) + 1;
    let text = input.rest();
    let whole = joined(&settings, charset, text, 0, text.len().max(1));
    assert_eq!(whole, joined(&settings, charset, text, 0, piece), "pieces make no difference");
    for (number, event) in whole.iter().enumerate() {
        let start = usize::try_from(event.start).unwrap_or(usize::MAX);
        assert_eq!(text.get(start..start + event.body.len()), Some(&event.body[..]), "the body is what stands there");
        assert!(event.body.len() <= bytes_max.max(4), "{event:?} is over the maximum");
        if number == whole.len() / 2 {
            let rest = joined(&settings, charset, text, start, piece);
            assert_eq!(Some(&rest[..]), whole.get(number..), "reading goes on at {start}");
        }
    }
}

fn joined(settings: &MultiLine, charset: Charset, text: &[u8], start: usize, piece: usize) -> Vec<Joined> {
    let mut framer = MultiLineFramer::new(settings.clone(), charset, start as u64);
    let mut found = Vec::new();
    for piece in text.get(start..).unwrap_or_default().chunks(piece) {
        framer.push(Bytes::copy_from_slice(piece));
        found.extend(std::iter::from_fn(|| framer.next_event()));
    }
    found.extend(std::iter::from_fn(|| framer.finish()));
    assert_eq!((framer.buffered_bytes(), framer.offset()), (0, text.len() as u64), "all of it was read");
    found
}

pub(super) fn line_seeds() -> Vec<Vec<u8>> {
    let text = "one\ntwo\r\n\r three\\\nx longer than the maximum \u{e4}\u{20ac}\u{1f600}\n4\n 5\n\nlast";
    let heads = (0..6).flat_map(|label| (0..5).map(move |pattern| [label, pattern, label + pattern, 3, 30, 2]));
    heads.map(|head| [&head[..], text.as_bytes()].concat()).collect()
}

#[cfg(feature = "avro")]
pub(super) use self::avro::{avro, avro_seeds};

#[cfg(feature = "avro")]
mod avro {
    use apache_avro::Codec;
    use bytes::Bytes;

    use super::Input;
    use crate::codec::avro::blocks::Blocks;
    use crate::codec::avro::container::{Header, codec, put_block, put_header, read_header};

    /// The data of a container file do not depend on the pieces, and come the same if reading begins at any of them.
    pub(in super::super) fn avro(data: &[u8]) {
        let mut input = Input::new(data);
        let piece = usize::from(input.byte()) + 1;
        let file = input.rest();
        let Ok(Some(header)) = read_header(file) else { return };
        // Its memory does not depend on the input: it is always some megabytes.
        if matches!(header.codec, Codec::Bzip2(_)) {
            return;
        }
        let Some((whole, is_good)) = data_of(&header, file, (0, 0), file.len()) else { return };
        assert_eq!(data_of(&header, file, (0, 0), piece), Some((whole.clone(), is_good)), "pieces make no difference");
        if whole.len() >= DATA_MAX {
            // The second half would not be all that is left.
            return;
        }
        let Some((_, place)) = whole.get(whole.len() / 2) else { return };
        let rest = data_of(&header, file, *place, piece);
        assert_eq!(
            rest,
            whole.get(whole.len() / 2 + 1..).map(|rest| (rest.to_vec(), is_good)),
            "it goes on at {place:?}"
        );
    }

    type Place = (u64, u64);

    /// The data from a place on, each with the place behind it, and whether there are no others; nothing if the schema is not
    /// one.
    fn data_of(header: &Header, file: &[u8], place: Place, piece: usize) -> Option<(Vec<(Bytes, Place)>, bool)> {
        let mut blocks = Blocks::new(header.clone(), place.0, place.1).ok()?;
        let start = usize::try_from(place.0).ok()?.max(header.len);
        let mut found = Vec::new();
        for piece in file.get(start..)?.chunks(piece.max(1)) {
            blocks.push(piece);
            loop {
                match blocks.next_datum() {
                    Ok(None) => break,
                    // Data without bytes cost nothing but time.
                    Ok(Some(_)) if found.len() >= DATA_MAX => return Some((found, false)),
                    Ok(Some(datum)) => found.push((datum, (blocks.offset(), blocks.within()))),
                    Err(_) => return Some((found, false)),
                }
            }
        }
        let is_good = blocks.end().is_ok();
        Some((found, is_good))
    }

    pub(in super::super) fn avro_seeds() -> Vec<Vec<u8>> {
        let schemas: [(&str, &[u8], i64); 5] = [
            ("\"long\"", b"\x02\x04\x80\x01", 3),
            ("\"null\"", b"", 5),
            (
                r#"{"type":"record","name":"B","fields":[
                    {"name":"x","type":{"type":"record","name":"A","fields":[{"name":"n","type":"null"}]}},
                    {"name":"y","type":"A"}]}"#,
                b"",
                3,
            ),
            (r#"{"type":"record","name":"R","fields":[{"name":"s","type":"string"}]}"#, b"\x02a\x04bc", 2),
            (
                r#"{"type":"array","items":["null",{"type":"map","values":"bytes"}]}"#,
                b"\x04\x00\x02\x02\x02k\x02v\x00\x00",
                1,
            ),
        ];
        let mut seeds = Vec::new();
        for name in ["null", "deflate", "snappy"] {
            for (schema, data, count) in schemas {
                let Some(codec) = codec(name) else { continue };
                let mut file = vec![2];
                put_header(&mut file, schema, codec, b"0123456789abcdef");
                for _ in 0..3 {
                    let mut packed = data.to_vec();
                    if codec.compress(&mut packed).is_ok() {
                        put_block(&mut file, count, &packed, b"0123456789abcdef");
                    }
                }
                seeds.push(file);
            }
        }
        seeds
    }

    const DATA_MAX: usize = 1000;
}
