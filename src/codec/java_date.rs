//! Times in the patterns of Java's `SimpleDateFormat`: Flume's syslog sources read them in formats of one's own, and its
//! references `${date:...}` write them.

use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::date_text::{DAYS, MONTHS, literal, name, numeric_offset};

/// A pattern for times.
///
/// Letters: `G` era, `y` year, `M` or `L` month (from three letters on by its English name), `d` day, `D` day of the year, `E`
/// day of the week, `u` its number, `a` AM or PM, `H` 0-23, `k` 1-24, `K` 0-11, `h` 1-12, `m` minute, `s` second, `S`
/// millisecond, `z` zone, `Z` and `X` offset. `'text'` and everything that is no letter stands for itself.
#[derive(Clone, Debug)]
pub(crate) struct JavaDate {
    items: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Literal(String),
    /// A letter and how often it stands there.
    Field(char, usize),
}

impl JavaDate {
    /// The error says what is wrong with the pattern.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        let mut items = Vec::new();
        let mut rest = pattern;
        while let Some(letter) = rest.chars().next() {
            if letter.is_ascii_alphabetic() {
                let length = rest.bytes().take_while(|byte| char::from(*byte) == letter).count();
                rest = rest.get(length..).unwrap_or_default();
                items.push(field(letter, length)?);
            } else {
                items.push(Item::Literal(literal(&mut rest)?));
            }
        }
        if items.is_empty() { Err("it is empty".to_owned()) } else { Ok(Self { items }) }
    }

    /// The time in `zone`, as the pattern has it.
    pub(crate) fn format(&self, moment: Timestamp, zone: &TimeZone) -> String {
        let time = zone.to_datetime(moment);
        let info = zone.to_offset_info(moment);
        let mut out = String::new();
        for item in &self.items {
            match item {
                Item::Literal(text) => out.push_str(text),
                Item::Field('z', _) => out.push_str(info.abbreviation()),
                Item::Field(letter @ ('Z' | 'X'), length) => {
                    out.push_str(&written_offset(*letter, *length, info.offset().seconds()));
                }
                Item::Field(letter, length) => out.push_str(&written(*letter, *length, time)),
            }
        }
        out
    }

    /// Milliseconds since 1970 of a text that begins with such a time; `None` if it does not. `zone` is that of a time
    /// without one, and `now` tells the century of years of two digits.
    ///
    /// As in Java, what the pattern does not have is that of 1970-01-01T00:00, days and times that do not exist run over into
    /// the next ones, and whatever follows the time is left alone.
    pub(crate) fn parse(&self, text: &str, zone: &TimeZone, now: Timestamp) -> Option<i64> {
        let mut fields = Fields::default();
        let mut rest = text;
        for (index, item) in self.items.iter().enumerate() {
            match item {
                Item::Literal(literal) => rest = rest.strip_prefix(literal.as_str())?,
                Item::Field(letter, length) => {
                    rest = rest.trim_start_matches([' ', '\t']);
                    let next = self.items.get(index + 1);
                    let digits = if next.is_some_and(Item::is_number) { *length } else { DIGITS_MAX };
                    fields.read(&mut rest, (*letter, *length), digits, zone.to_datetime(now).year())?;
                }
            }
        }
        fields.millis(zone)
    }
}

impl Item {
    fn is_number(&self) -> bool {
        matches!(self, Self::Field(letter, length) if "ydDuHkKhmsS".contains(*letter) || (*letter == 'M' && *length < 3))
    }
}

/// What a text says.
#[derive(Debug, Default)]
struct Fields {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: Option<i64>,
    half_hour: i64,
    afternoon: bool,
    minute: i64,
    second: i64,
    millis: i64,
    offset: Option<Offset>,
}

impl Fields {
    fn read(&mut self, rest: &mut &str, (letter, length): (char, usize), digits: usize, this_year: i16) -> Option<()> {
        match letter {
            'G' => *rest = rest.strip_prefix("AD")?,
            'y' => self.year = Some(year(rest, length, digits, i64::from(this_year))?),
            'M' | 'L' if length > 2 => self.month = Some(name(rest, &MONTHS)? + 1),
            'M' | 'L' => self.month = Some(number(rest, digits)?),
            'd' => self.day = Some(number(rest, digits)?),
            'D' => self.day_of_year = Some(number(rest, digits)?),
            'E' => drop(name(rest, &DAYS)?),
            'u' => drop(number(rest, digits)?),
            'a' => self.afternoon = name(rest, &["AM", "PM"])? == 1,
            'H' => self.hour = Some(number(rest, digits)?),
            'k' => self.hour = Some(number(rest, digits)? % 24),
            'K' => self.half_hour = number(rest, digits)?,
            'h' => self.half_hour = number(rest, digits)? % 12,
            'm' => self.minute = number(rest, digits)?,
            's' => self.second = number(rest, digits)?,
            'S' => self.millis = number(rest, digits)?,
            'X' => self.offset = Some(iso_offset(rest, length)?),
            _ => self.offset = Some(general_offset(rest)?),
        }
        Some(())
    }

    fn millis(&self, zone: &TimeZone) -> Option<i64> {
        let months = self.month.unwrap_or(1) - 1;
        let year = self.year.unwrap_or(1970) + months.div_euclid(12);
        let days = match (self.month, self.day, self.day_of_year) {
            (None, None, Some(day)) => day,
            (_, day, _) => day.unwrap_or(1),
        };
        let first = Date::new(i16::try_from(year).ok()?, i8::try_from(months.rem_euclid(12) + 1).ok()?, 1).ok()?;
        let hour = self.hour.unwrap_or(self.half_hour + if self.afternoon { 12 } else { 0 });
        let seconds = (days - 1) * 86_400 + hour * 3600 + self.minute * 60 + self.second;
        let time = first.at(0, 0, 0, 0).checked_add(SignedDuration::from_millis(seconds * 1000 + self.millis)).ok()?;
        let moment = match self.offset {
            Some(offset) => offset.to_timestamp(time),
            None => later(time, zone),
        };
        Some(moment.ok()?.as_millisecond())
    }
}

/// A time that comes twice is the later one, as in Java.
fn later(time: DateTime, zone: &TimeZone) -> Result<Timestamp, jiff::Error> {
    zone.to_ambiguous_timestamp(time).later()
}

fn field(letter: char, length: usize) -> Result<Item, String> {
    match letter {
        'Z' | 'X' if length > 3 => Err(format!("{letter} stands there at most three times")),
        'z' if length > 3 => Err("zzzz, the full name of a time zone, is not supported; write z or Z".to_owned()),
        'G' | 'y' | 'M' | 'L' | 'd' | 'D' | 'E' | 'u' | 'a' | 'H' | 'k' | 'K' | 'h' | 'm' | 's' | 'S' | 'z' | 'Z'
        | 'X'
            if length <= FIELD_LENGTH_MAX =>
        {
            Ok(Item::Field(letter, length))
        }
        'Y' | 'w' | 'W' | 'F' => {
            Err(format!("the letter {letter} (weeks) is not supported; for the year of the calendar write y"))
        }
        _ if length > FIELD_LENGTH_MAX => Err(format!("{letter} stands there more than {FIELD_LENGTH_MAX} times")),
        _ => Err(format!("{letter} is not a letter of dates; put text into single quotes")),
    }
}

fn written(letter: char, length: usize, time: DateTime) -> String {
    let padded = |number: i64| format!("{number:0length$}");
    let named = |names: &[&str], index: i64| {
        let name = usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default();
        name.get(..if length > 3 { name.len() } else { 3 }).unwrap_or(name).to_owned()
    };
    let weekday = i64::from(time.weekday().to_monday_one_offset());
    let hour = i64::from(time.hour());
    match letter {
        'G' => "AD".to_owned(),
        'y' if length == 2 => format!("{:02}", time.year() % 100),
        'y' => padded(time.year().into()),
        'M' | 'L' if length > 2 => named(&MONTHS, i64::from(time.month()) - 1),
        'M' | 'L' => padded(time.month().into()),
        'd' => padded(time.day().into()),
        'D' => padded(time.day_of_year().into()),
        'E' => named(&DAYS, weekday - 1),
        'u' => padded(weekday),
        'a' => if hour < 12 { "AM" } else { "PM" }.to_owned(),
        'H' => padded(hour),
        'k' => padded(if hour == 0 { 24 } else { hour }),
        'K' => padded(hour % 12),
        'h' => padded(if hour % 12 == 0 { 12 } else { hour % 12 }),
        'm' => padded(time.minute().into()),
        's' => padded(time.second().into()),
        _ => padded(time.millisecond().into()),
    }
}

/// `Z` is as in commons-lang: two of them stand for ISO 8601.
fn written_offset(letter: char, length: usize, seconds: i32) -> String {
    if seconds == 0 && (letter == 'X' || length == 2) {
        return "Z".to_owned();
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() / 60 % 60);
    match (letter, length) {
        ('X', 1) => format!("{sign}{hours:02}"),
        ('X', 2) | ('Z', 1) => format!("{sign}{hours:02}{minutes:02}"),
        _ => format!("{sign}{hours:02}:{minutes:02}"),
    }
}

fn number(rest: &mut &str, digits: usize) -> Option<i64> {
    let count = rest.bytes().take(digits).take_while(u8::is_ascii_digit).count();
    let (found, after) = rest.split_at_checked(count).filter(|_| count > 0 && count <= DIGITS_MAX)?;
    *rest = after;
    found.parse().ok()
}

/// Exactly two digits for a short pattern stand for a year of the 80 before this one or the 20 behind it.
fn year(rest: &mut &str, length: usize, digits: usize, this_year: i64) -> Option<i64> {
    let before = rest.len();
    let year = number(rest, digits)?;
    if length > 2 || before - rest.len() != 2 {
        return Some(year);
    }
    let first = this_year - 80;
    Some(first - first.rem_euclid(100) + year + if year < first.rem_euclid(100) { 100 } else { 0 })
}

/// `+0100`, `GMT`, `UTC` or `GMT+01:00`.
fn general_offset(rest: &mut &str) -> Option<Offset> {
    let Some(after) = rest.strip_prefix("GMT").or_else(|| rest.strip_prefix("UTC")) else {
        return numeric_offset(rest, false);
    };
    *rest = after;
    if after.starts_with(['+', '-']) { numeric_offset(rest, true) } else { Some(Offset::UTC) }
}

fn iso_offset(rest: &mut &str, length: usize) -> Option<Offset> {
    if let Some(after) = rest.strip_prefix('Z') {
        *rest = after;
        return Some(Offset::UTC);
    }
    if length > 1 {
        return numeric_offset(rest, length == 3);
    }
    let (head, after) = rest.split_at_checked(3)?;
    *rest = after;
    numeric_offset(&mut format!("{head}00").as_str(), false)
}

/// Digits of one number, at most: what follows is taken for the next field, or for no time.
const DIGITS_MAX: usize = 9;
/// How often one letter may stand there.
const FIELD_LENGTH_MAX: usize = 32;

#[cfg(test)]
mod tests;
