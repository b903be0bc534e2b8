//! The position of the sink: how far its output is committed.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The state of the newest file that a committed take wrote to.
///
/// ```text
/// +---------+-------+----------+--------+--------+--------+------------+----------+----------------+------+-------------+
/// | version | flags | name len | series | number | length | events u64 | begun ms | in-progr. len  | name | in-progress |
/// |   u8    |  u8   |   u16    |  u64   |  u64   |  u64   |            |   u64    |      u16       |      |    name     |
/// +---------+-------+----------+--------+--------+--------+------------+----------+----------------+------+-------------+
/// ```
///
/// Integers are little-endian. Flag 1: the file is complete and nothing will be added to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// Where the file is in its series.
    pub(super) place: Place,
    /// Bytes of committed batches.
    pub(super) len: u64,
    /// Events of committed batches.
    pub(super) events: u64,
    /// When the file was begun, in milliseconds since the Unix epoch.
    pub(super) begun: u64,
    /// Nothing will be added to the file.
    pub(super) complete: bool,
    /// Name once finished.
    pub(super) name: String,
    /// Name while in progress.
    pub(super) in_progress: String,
}

/// What the name of a file is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Milliseconds since the Unix epoch at which the series was begun. A series belongs to one sink.
    pub(super) series: u64,
    /// Counts the files of the series, from 1.
    pub(super) number: u64,
}

impl Position {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(FIXED_BYTES + self.name.len() + self.in_progress.len());
        out.put_u8(VERSION);
        out.put_u8(if self.complete { FLAG_COMPLETE } else { 0 });
        // Names are checked to be far shorter than 64 KiB before a file is made with them.
        out.put_u16_le(u16::try_from(self.name.len()).unwrap_or(u16::MAX));
        for number in [self.place.series, self.place.number, self.len, self.events, self.begun] {
            out.put_u64_le(number);
        }
        out.put_u16_le(u16::try_from(self.in_progress.len()).unwrap_or(u16::MAX));
        out.put_slice(self.name.as_bytes());
        out.put_slice(self.in_progress.as_bytes());
        out.freeze()
    }

    pub(super) fn decode(mut bytes: &[u8]) -> Result<Self, &'static str> {
        if bytes.len() < FIXED_BYTES {
            return Err("it is too short");
        }
        if bytes.get_u8() != VERSION {
            return Err("its version is unknown");
        }
        let complete = match bytes.get_u8() {
            0 => false,
            FLAG_COMPLETE => true,
            _ => return Err("its flags are unknown"),
        };
        let name_len = usize::from(bytes.get_u16_le());
        let place = Place { series: bytes.get_u64_le(), number: bytes.get_u64_le() };
        let (len, events, begun) = (bytes.get_u64_le(), bytes.get_u64_le(), bytes.get_u64_le());
        let in_progress_len = usize::from(bytes.get_u16_le());
        if bytes.len() != name_len + in_progress_len {
            return Err("the lengths of its names are wrong");
        }
        let (name, in_progress) = bytes.split_at_checked(name_len).ok_or("a name is cut short")?;
        let (name, in_progress) = (component(name)?, component(in_progress)?);
        if name == in_progress {
            return Err("its names are the same");
        }
        Ok(Self { place, len, events, begun, complete, name, in_progress })
    }
}

/// A name that stays inside the directory of the sink.
fn component(name: &[u8]) -> Result<String, &'static str> {
    let name = std::str::from_utf8(name).map_err(|_| "a name is not UTF-8")?;
    if matches!(name, "" | "." | "..") || name.contains(['/', '\0']) {
        return Err("a name is not that of a file in the directory");
    }
    Ok(name.to_owned())
}

const VERSION: u8 = 1;
const FLAG_COMPLETE: u8 = 1;
const FIXED_BYTES: usize = 2 + 2 + 5 * 8 + 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Position {
        Position {
            place: Place { series: 1_795_425_556_919, number: 7 },
            len: 1 << 40,
            events: 12,
            begun: 1_795_425_556_920,
            complete: false,
            name: "tick-1795425556919-7.txt".into(),
            in_progress: "tick-1795425556919-7.txt.tmp".into(),
        }
    }

    #[test]
    fn decoding_gives_back_what_was_encoded() {
        for complete in [false, true] {
            let position = Position { complete, ..sample() };
            assert_eq!(Position::decode(&position.encode()), Ok(position));
        }
    }

    #[test]
    fn every_cut_is_refused_and_no_flipped_bit_leads_out_of_the_directory() {
        let good = sample().encode();
        for len in 0..good.len() {
            assert!(Position::decode(&good[..len]).is_err(), "cut at {len}");
        }
        let mut accepted = 0;
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.to_vec();
                bad[at] ^= 1 << bit;
                if let Ok(position) = Position::decode(&bad) {
                    accepted += 1;
                    for name in [position.name, position.in_progress] {
                        assert!(!name.contains(['/', '\0']) && !["", ".", ".."].contains(&name.as_str()));
                    }
                }
            }
        }
        println!("{} cuts, {} flipped bits, {accepted} of them still a position", good.len(), good.len() * 8);
    }

    #[test]
    fn names_that_leave_the_directory_are_refused() {
        for name in ["", ".", "..", "a/b", "/etc/passwd", "nul\0", "../x"] {
            let position = Position { name: name.into(), ..sample() };
            assert!(Position::decode(&position.encode()).is_err(), "{name:?}");
        }
        let same = Position { in_progress: sample().name, ..sample() };
        assert!(Position::decode(&same.encode()).is_err());
    }
}
