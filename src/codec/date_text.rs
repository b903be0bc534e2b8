//! What patterns for times have in common, Java's and those of Joda-Time: quoted text, names, and offsets.
//!
//! A function that reads takes what it has read from the front of `rest`.

use jiff::tz::Offset;

/// Text up to the next letter, quoted or not.
pub(super) fn literal(rest: &mut &str) -> Result<String, String> {
    let mut text = String::new();
    let mut quoted = false;
    let mut chars = rest.char_indices().peekable();
    let mut end = rest.len();
    while let Some((at, c)) = chars.next() {
        if c == '\'' {
            if chars.next_if(|(_, next)| *next == '\'').is_some() {
                text.push('\'');
            } else {
                quoted = !quoted;
            }
        } else if c.is_ascii_alphabetic() && !quoted {
            end = at;
            break;
        } else {
            text.push(c);
        }
    }
    if quoted {
        return Err("a single quote is not closed; write two for the character itself".to_owned());
    }
    *rest = rest.get(end..).unwrap_or_default();
    Ok(text)
}

/// Between `min` and `max` digits, as many as there are.
pub(super) fn digits(rest: &mut &str, min: usize, max: usize) -> Option<i64> {
    let count = rest.bytes().take(max).take_while(u8::is_ascii_digit).count();
    let digits = rest.get(..count).filter(|_| count >= min)?;
    *rest = rest.get(count..)?;
    digits.parse().ok()
}

/// The index of the name, long or short, that `rest` begins with.
pub(super) fn name(rest: &mut &str, names: &[&str]) -> Option<i64> {
    for short in [false, true] {
        for (index, name) in names.iter().enumerate() {
            let length = if short { name.len().min(SHORT_NAME) } else { name.len() };
            let name = name.get(..length)?;
            if rest.get(..length).is_some_and(|head| head.eq_ignore_ascii_case(name)) {
                *rest = rest.get(length..)?;
                return i64::try_from(index).ok();
            }
        }
    }
    None
}

/// `+hhmm`, or `+hh:mm` with a colon.
pub(super) fn numeric_offset(rest: &mut &str, colon: bool) -> Option<Offset> {
    let sign = sign(rest)?;
    let hours = digits(rest, 2, 2)?;
    if colon {
        *rest = rest.strip_prefix(':')?;
    }
    let minutes = digits(rest, 2, 2)?;
    offset_of(sign, hours, minutes)
}

/// 1 for `+`, -1 for `-`.
pub(super) fn sign(rest: &mut &str) -> Option<i64> {
    let (sign, unsigned) = match rest.strip_prefix('-') {
        Some(unsigned) => (-1, unsigned),
        None => (1, rest.strip_prefix('+')?),
    };
    *rest = unsigned;
    Some(sign)
}

/// The offset of so many hours and minutes; `None` if there is no such one.
pub(super) fn offset_of(sign: i64, hours: i64, minutes: i64) -> Option<Offset> {
    if hours > 23 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(i32::try_from(sign * (hours * 60 + minutes) * 60).ok()?).ok()
}

/// Letters of the short form of a name.
const SHORT_NAME: usize = 3;
pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
