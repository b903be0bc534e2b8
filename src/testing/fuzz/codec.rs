//! Lines, character sets and syslog messages.

use std::time::SystemTime;

use bytes::Bytes;

use super::input::Input;
use crate::codec::charset::{Charset, DecodeError};
use crate::codec::line::{Line, LineEnd, LineFramer, Overlong};
use crate::codec::syslog::{Dialect, FrameEnd, KeepFields, SyslogFramer, SyslogParser};

const LABELS: &[&str] = &[
    "UTF-8",
    "UTF-16",
    "UTF-16LE",
    "UTF-16BE",
    "ISO-8859-1",
    "US-ASCII",
    "windows-1252",
    "GB18030",
    "Shift_JIS",
    "EUC-JP",
    "EUC-KR",
    "Big5",
];

/// The lines of a stream do not depend on the pieces that it comes in, and nothing is lost without being counted.
pub(super) fn lines(data: &[u8]) {
    let mut input = Input::new(data);
    let Some(charset) = input.one_of(LABELS).and_then(Charset::for_label) else { return };
    let overlong = input.one_of(&[Overlong::Split, Overlong::Truncate, Overlong::Drop]).unwrap_or_default();
    let bytes_max = usize::from(input.byte()) + 1;
    let piece = usize::from(input.byte()) + 1;
    let text = input.rest();
    let whole = framed(LineFramer::new(charset, bytes_max, overlong), text, text.len().max(1));
    assert_eq!(whole, framed(LineFramer::new(charset, bytes_max, overlong), text, piece), "pieces make no difference");
    let mut from = 0;
    for line in &whole {
        let is_next = line.start == from || (overlong == Overlong::Drop && line.start > from);
        assert!(is_next && line.next >= line.start + line.body.len() as u64, "{line:?} behind {from}");
        assert!(line.body.len() <= bytes_max.max(4), "{line:?} is over the maximum");
        let (start, end) = (index(line.start), index(line.start) + line.body.len());
        assert_eq!(text.get(start..end), Some(&line.body[..]), "the body is what stood there");
        let rest = line.next - line.start - line.body.len() as u64;
        match line.end {
            LineEnd::Split | LineEnd::Eof => assert_eq!(rest, 0, "{line:?}"),
            LineEnd::Newline => assert!((1..=2).contains(&rest), "{line:?}"),
            LineEnd::Truncated { lost } => assert!((lost..=lost + 2).contains(&rest), "{line:?}"),
        }
        from = line.next;
    }
    if overlong != Overlong::Drop {
        assert_eq!(from, text.len() as u64, "everything is in a line");
    }
}

fn framed(mut framer: LineFramer, text: &[u8], piece: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    for piece in text.chunks(piece) {
        framer.push(Bytes::copy_from_slice(piece));
        lines.extend(std::iter::from_fn(|| framer.next_line()));
    }
    lines.extend(std::iter::from_fn(|| framer.finish()));
    assert_eq!((framer.buffered_bytes(), framer.offset()), (0, text.len() as u64), "all of it was read");
    lines
}

pub(super) fn line_seeds() -> Vec<Vec<u8>> {
    let labels = (0..12).flat_map(|label| (0..3).map(move |overlong| [label, overlong, 7, 2]));
    let text = "one\ntwo\r\n\nlonger than the maximum \u{e4}\u{20ac}\u{1f600}\nlast";
    labels.map(|head| [&head[..], text.as_bytes()].concat()).collect()
}

/// Text that is accepted is the same under every policy, and the result is UTF-8.
pub(super) fn charset(data: &[u8]) {
    let mut input = Input::new(data);
    let Some(charset) = input.one_of(LABELS).and_then(Charset::for_label) else { return };
    let text = Bytes::copy_from_slice(input.rest());
    let (charset, mark) = charset.of_text(&text);
    let text = text.slice(mark.min(text.len())..);
    let strict = charset.decode(text.clone(), DecodeError::Fail);
    for policy in [DecodeError::Replace, DecodeError::Ignore] {
        let Ok(decoded) = charset.decode(text.clone(), policy) else { panic!("{policy:?} accepts everything") };
        assert!(std::str::from_utf8(&decoded).is_ok(), "the result is UTF-8");
        assert!(decoded.len() <= text.len() * 3 + 3, "the result has a bound");
        match &strict {
            Ok(strict) => assert_eq!(*strict, decoded, "{policy:?} has nothing to do"),
            Err(error) => assert!(error.at + error.len <= text.len() && error.len > 0, "{error:?}"),
        }
    }
}

pub(super) fn charset_seeds() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 5] = [
        b"plain",
        "\u{e4}\u{20ac}\u{1f600}".as_bytes(),
        b"\xff\xfea\0b\0",
        b"\x81\x30\x81\x30\xa4\xa2",
        b"\xd8\x00\xdc\x00x",
    ];
    (0..12).flat_map(|label| texts.map(|text| [&[label][..], text].concat())).collect()
}

/// Messages do not depend on the pieces that a stream comes in, and every one of them becomes an event within the limits.
pub(super) fn syslog(data: &[u8]) {
    let mut input = Input::new(data);
    let dialect = input.one_of(&[Dialect::Single, Dialect::Multiport]).unwrap_or_default();
    let keep = input.one_of(&[false, true]).unwrap_or_default();
    let overlong = input.one_of(&[Overlong::Split, Overlong::Truncate, Overlong::Drop]).unwrap_or_default();
    let bytes_max = usize::from(input.byte()) + 4;
    let piece = usize::from(input.byte()) + 1;
    let stream = input.rest();
    let framer = || SyslogFramer::new(Charset::UTF_8, bytes_max, overlong);
    let whole = messages(framer(), stream, stream.len().max(1));
    assert_eq!(whole, messages(framer(), stream, piece), "pieces make no difference");
    let keep = if keep { KeepFields::All } else { KeepFields::None };
    let parser = SyslogParser::new(dialect).keep_fields(keep);
    for (message, end) in whole.into_iter().chain([(stream.to_vec(), FrameEnd::Whole)]) {
        let event = parser.parse(&message, end, SystemTime::UNIX_EPOCH);
        assert!(event.body().len() <= message.len() + 64, "the body comes from the message");
        super::headers::run(event.headers().as_encoded());
    }
}

fn messages(mut framer: SyslogFramer, stream: &[u8], piece: usize) -> Vec<(Vec<u8>, FrameEnd)> {
    let mut found = Vec::new();
    for piece in stream.chunks(piece) {
        framer.push(piece);
        while let Some(frame) = framer.next_frame() {
            found.push((frame.message.to_vec(), frame.end));
        }
    }
    while let Some(frame) = framer.finish() {
        found.push((frame.message.to_vec(), frame.end));
    }
    found
}

pub(super) fn syslog_seeds() -> Vec<Vec<u8>> {
    let streams: [&[u8]; 5] = [
        b"<34>1 2003-10-11T22:14:15.003Z mymachine su - ID47 - 'su root' failed\n",
        b"<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!\n<13>no date\nnothing\n",
        b"19 <13>1 - - - - - - x20 <13>1 - - - - - - xy",
        b"<191>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - [a@1 b=\"c\"] text\n",
        b"<99999>Jan 31 23:59:60 h \xff\0\r\n",
    ];
    (0..12).flat_map(|kind| streams.map(|stream| [&[kind, kind / 2, kind / 4, 60, 3][..], stream].concat())).collect()
}

fn index(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}
