//! As much of ASN.1's DER as keys need.

pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const OID: u8 = 0x06;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BITS: u8 = 0x03;

/// The content of the value at the beginning of `bytes`, which must have this tag, and what stands behind it.
pub(super) fn split(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    let (short, rest) = rest.split_first()?;
    let (length, rest) = match *short {
        short @ 0..=0x7f => (usize::from(short), rest),
        long @ 0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    if *found == tag { rest.split_at_checked(length) } else { None }
}

/// The value with this tag whose content is all `parts`.
pub(super) fn join(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut digits: Vec<u8> = length.to_le_bytes().into_iter().take(4).collect();
    digits.reverse();
    let leading = digits.iter().take_while(|digit| **digit == 0).count();
    let digits = digits.get(leading..).unwrap_or_default();
    let mut value = vec![tag];
    if length > 0x7f {
        value.push(0x80 | u8::try_from(digits.len()).unwrap_or(4));
        value.extend(digits);
    } else {
        value.push(u8::try_from(length).unwrap_or(0x7f));
    }
    value.extend(parts.concat());
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_joined_is_split_again() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 70_000] {
            let content = vec![7; length];
            let (half, rest) = content.split_at(length / 2);
            let mut value = join(OCTETS, &[half, rest]);
            value.push(9);
            assert_eq!(split(&value, OCTETS), Some((&content[..], &[9][..])), "{length}");
            assert_eq!(split(&value, INTEGER), None);
            assert_eq!(split(&value[..value.len() - 2], OCTETS), None);
        }
        assert_eq!(join(OCTETS, &[&[0; 200]])[..3], [4, 0x81, 200]);
        assert_eq!(split(&[4, 0x80, 1, 0, 0], OCTETS), None, "no definite length");
    }
}
