//! Times in the patterns of Joda-Time, which Flume's `regex_extractor` reads.

use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};

/// Reads times that are written as a pattern says.
///
/// Letters: `y` or `Y` year (`yy` two digits, around the year that the pattern was made in), `M` month (from three letters on
/// by its English name), `d` day, `D` day of the year, `E` day of the week (read, not checked), `a` AM or PM, `h` 1-12,
/// `K` 0-11, `H` 0-23, `k` 1-24, `m` minute, `s` second, `S` fraction of a second, `Z` offset. `'text'` and everything that is
/// no letter stands for itself.
#[derive(Clone, Debug)]
pub(crate) struct TimePattern {
    items: Vec<Item>,
    zone: TimeZone,
    /// The first of the hundred years that two digits stand for.
    century: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Literal(String),
    /// A year of so many digits at most.
    Year(usize),
    /// Two digits; more or fewer if nothing numeric follows.
    ShortYear {
        lenient: bool,
    },
    MonthName,
    DayName,
    HalfDay,
    Fraction(usize),
    Offset,
    Number(Field),
}

/// Fields that are plain numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Month,
    Day,
    DayOfYear,
    Hour,
    HourFromOne,
    HalfHour,
    HalfHourFromOne,
    Minute,
    Second,
}

/// What a text says.
#[derive(Debug, Default)]
struct Fields {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: Option<i64>,
    half_hour: Option<i64>,
    afternoon: bool,
    minute: i64,
    second: i64,
    nanos: i64,
    offset: Option<Offset>,
    has_day: bool,
}

impl TimePattern {
    /// A pattern for times in `zone`, made in the year `this_year`. The error says what is wrong with it.
    pub(crate) fn new(pattern: &str, zone: TimeZone, this_year: i16) -> Result<Self, String> {
        let mut items = Vec::new();
        let mut rest = pattern;
        while let Some(letter) = rest.chars().next() {
            if letter.is_ascii_alphabetic() {
                let length = rest.bytes().take_while(|byte| char::from(*byte) == letter).count();
                rest = rest.get(length..).unwrap_or_default();
                items.push(item(letter, length, begins_numeric(rest))?);
            } else {
                items.push(Item::Literal(literal(&mut rest)?));
            }
        }
        if items.is_empty() {
            return Err("it is empty".to_owned());
        }
        Ok(Self { items, zone, century: i64::from(this_year) - 80 })
    }

    /// Milliseconds since 1970; `None` if the text is not written like that, or names no time.
    ///
    /// As with Joda-Time, fields that the pattern does not have are those of 1970-01-01T00:00, but the year is 2000 if there is
    /// a month or day without one.
    pub(crate) fn parse(&self, text: &str) -> Option<i64> {
        let mut fields = Fields::default();
        let mut rest = text;
        for item in &self.items {
            self.read(item, &mut rest, &mut fields)?;
        }
        if rest.is_empty() { self.millis(&fields) } else { None }
    }

    fn read(&self, item: &Item, rest: &mut &str, fields: &mut Fields) -> Option<()> {
        match item {
            Item::Literal(literal) => {
                let head = rest.get(..literal.len()).filter(|head| head.eq_ignore_ascii_case(literal))?;
                *rest = rest.get(head.len()..)?;
            }
            Item::Year(max) => fields.year = Some(year(rest, *max)?),
            Item::ShortYear { lenient } => fields.year = Some(self.short_year(rest, *lenient)?),
            Item::MonthName => {
                fields.month = Some(name(rest, &MONTHS)? + 1);
                fields.has_day = true;
            }
            Item::DayName => {
                name(rest, &DAYS)?;
                fields.has_day = true;
            }
            Item::HalfDay => fields.afternoon = name(rest, &["AM", "PM"])? == 1,
            Item::Fraction(max) => fields.nanos = fraction(rest, *max)?,
            Item::Offset => fields.offset = Some(offset(rest)?),
            Item::Number(field) => number(*field, rest, fields)?,
        }
        Some(())
    }

    fn short_year(&self, rest: &mut &str, lenient: bool) -> Option<i64> {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let two = if lenient { digits == 2 } else { digits >= 2 };
        if !two {
            return year(rest, 9).filter(|_| lenient);
        }
        let value = digits_of(rest, 2, 2)?;
        let first = self.century.rem_euclid(100);
        Some(self.century + value - first + if value < first { 100 } else { 0 })
    }

    fn millis(&self, fields: &Fields) -> Option<i64> {
        let year = fields.year.unwrap_or(if fields.has_day { 2000 } else { 1970 });
        let year = i16::try_from(year).ok()?;
        let date = match (fields.month, fields.day, fields.day_of_year) {
            (None, None, Some(day)) => {
                Date::new(year, 1, 1).ok()?.with().day_of_year(i16::try_from(day).ok()?).build().ok()?
            }
            (month, day, _) => {
                let (month, day) = (i8::try_from(month.unwrap_or(1)).ok()?, i8::try_from(day.unwrap_or(1)).ok()?);
                Date::new(year, month, day).ok()?
            }
        };
        let half = fields.half_hour.map(|hour| hour + if fields.afternoon { 12 } else { 0 });
        let hour = fields.hour.or(half).unwrap_or(if fields.afternoon { 12 } else { 0 });
        let small = |value: i64| i8::try_from(value).ok();
        let nanos = i32::try_from(fields.nanos).ok()?;
        let (hour, minute, second) = (small(hour)?, small(fields.minute)?, small(fields.second)?);
        if second > 59 {
            // The crate reads the leap second as the one before; Joda-Time does not know it.
            return None;
        }
        let time = DateTime::new(date.year(), date.month(), date.day(), hour, minute, second, nanos).ok()?;
        let moment = match fields.offset {
            Some(offset) => offset.to_timestamp(time),
            None => self.zone.to_timestamp(time),
        };
        Some(moment.ok()?.as_millisecond())
    }
}

fn item(letter: char, length: usize, numeric_follows: bool) -> Result<Item, String> {
    Ok(match letter {
        'y' | 'Y' if length == 2 => Item::ShortYear { lenient: !numeric_follows },
        'y' | 'Y' => Item::Year(if numeric_follows { length } else { YEAR_DIGITS_MAX }),
        'M' if length > 2 => Item::MonthName,
        'M' => Item::Number(Field::Month),
        'd' => Item::Number(Field::Day),
        'D' => Item::Number(Field::DayOfYear),
        'E' => Item::DayName,
        'a' => Item::HalfDay,
        'h' => Item::Number(Field::HalfHourFromOne),
        'K' => Item::Number(Field::HalfHour),
        'H' => Item::Number(Field::Hour),
        'k' => Item::Number(Field::HourFromOne),
        'm' => Item::Number(Field::Minute),
        's' => Item::Number(Field::Second),
        'S' => Item::Fraction(length),
        'Z' if length <= 2 => Item::Offset,
        'Z' => return Err("ZZZ, the name of a time zone, is not supported; write Z for an offset".to_owned()),
        'z' => {
            return Err(
                "z, the short name of a time zone, is ambiguous and not supported; write Z for an offset".to_owned()
            );
        }
        'G' | 'C' | 'x' | 'w' | 'e' => {
            return Err(format!(
                "the letter {letter} (era, century, week year, week or number of a weekday) is not supported"
            ));
        }
        _ => return Err(format!("{letter} is not a letter of time patterns; put text into single quotes")),
    })
}

/// Whether the next item is a number without anything before it.
fn begins_numeric(rest: &str) -> bool {
    match rest.chars().next() {
        Some('M') => !rest.starts_with("MMM"),
        Some(letter) => "yYdDhKHkmsS".contains(letter),
        None => false,
    }
}

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
fn digits_of(rest: &mut &str, min: usize, max: usize) -> Option<i64> {
    let count = rest.bytes().take(max).take_while(u8::is_ascii_digit).count();
    let digits = rest.get(..count).filter(|_| count >= min)?;
    *rest = rest.get(count..)?;
    digits.parse().ok()
}

fn year(rest: &mut &str, max: usize) -> Option<i64> {
    let (sign, unsigned) = match rest.strip_prefix('-') {
        Some(unsigned) => (-1, unsigned),
        None => (1, rest.strip_prefix('+').unwrap_or(rest)),
    };
    *rest = unsigned;
    digits_of(rest, 1, max).map(|year| sign * year)
}

fn number(field: Field, rest: &mut &str, fields: &mut Fields) -> Option<()> {
    let value = digits_of(rest, 1, if field == Field::DayOfYear { 3 } else { 2 })?;
    let within = |low: i64, high: i64| (low..=high).contains(&value).then_some(value);
    match field {
        Field::Month => fields.month = Some(within(1, 12)?),
        Field::Day => fields.day = Some(within(1, 31)?),
        Field::DayOfYear => fields.day_of_year = Some(within(1, 366)?),
        Field::Hour => fields.hour = Some(within(0, 23)?),
        Field::HourFromOne => fields.hour = Some(within(1, 24)? % 24),
        Field::HalfHour => fields.half_hour = Some(within(0, 11)?),
        Field::HalfHourFromOne => fields.half_hour = Some(within(1, 12)? % 12),
        Field::Minute => fields.minute = within(0, 59)?,
        Field::Second => fields.second = within(0, 59)?,
    }
    fields.has_day |= matches!(field, Field::Month | Field::Day | Field::DayOfYear);
    Some(())
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

/// Digits behind the point, as nanoseconds.
fn fraction(rest: &mut &str, max: usize) -> Option<i64> {
    let before = rest.len();
    let value = digits_of(rest, 1, max.min(NANO_DIGITS))?;
    let digits = before - rest.len();
    // Digits beyond the nanosecond are read and left out.
    let more = rest.bytes().take(max.saturating_sub(digits)).take_while(u8::is_ascii_digit).count();
    *rest = rest.get(more..)?;
    Some((digits..NANO_DIGITS).fold(value, |value, _| value * 10))
}

/// `Z`, `+hh`, `+hhmm` or `+hh:mm`.
fn offset(rest: &mut &str) -> Option<Offset> {
    if let Some(after) = rest.strip_prefix(['Z', 'z']) {
        *rest = after;
        return Some(Offset::UTC);
    }
    let (sign, unsigned) = match rest.strip_prefix('-') {
        Some(unsigned) => (-1, unsigned),
        None => (1, rest.strip_prefix('+')?),
    };
    *rest = unsigned;
    let hours = digits_of(rest, 2, 2)?;
    let colon = rest.strip_prefix(':').filter(|after| after.starts_with(|c: char| c.is_ascii_digit()));
    *rest = colon.unwrap_or(rest);
    let minutes = if rest.starts_with(|c: char| c.is_ascii_digit()) { digits_of(rest, 2, 2)? } else { 0 };
    if hours > 23 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(i32::try_from(sign * (hours * 60 + minutes) * 60).ok()?).ok()
}

/// `+hhmm`, or `+hh:mm` with a colon.
pub(super) fn numeric_offset(rest: &mut &str, colon: bool) -> Option<Offset> {
    let (sign, unsigned) = match rest.strip_prefix('-') {
        Some(unsigned) => (-1, unsigned),
        None => (1, rest.strip_prefix('+')?),
    };
    *rest = unsigned;
    let hours = digits_of(rest, 2, 2)?;
    if colon {
        *rest = rest.strip_prefix(':')?;
    }
    let minutes = digits_of(rest, 2, 2)?;
    if hours > 23 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(i32::try_from(sign * (hours * 60 + minutes) * 60).ok()?).ok()
}

const YEAR_DIGITS_MAX: usize = 9;
const NANO_DIGITS: usize = 9;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(pattern: &str, text: &str) -> Option<i64> {
        millis_in(pattern, text, TimeZone::UTC)
    }

    fn millis_in(pattern: &str, text: &str, zone: TimeZone) -> Option<i64> {
        TimePattern::new(pattern, zone, 2026).unwrap().parse(text)
    }

    // The expected numbers are those of `date -u -d ... +%s`.
    #[test]
    fn times_are_read_in_the_patterns_that_people_use() {
        let cases = [
            ("yyyy-MM-dd HH:mm", "2012-10-17 14:34", 1_350_484_440_000),
            ("yyyy-MM-dd'T'HH:mm:ss.SSSZ", "2026-11-23T08:09:10.250+0100", 1_795_417_750_250),
            ("yyyy-MM-dd'T'HH:mm:ssZZ", "2026-11-23T08:09:10Z", 1_795_421_350_000),
            ("dd/MMM/yyyy:HH:mm:ss Z", "23/Nov/2026:08:09:10 -0530", 1_795_441_150_000),
            ("EEE, d MMMM yyyy hh:mm a", "Mon, 3 february 2020 01:05 PM", 1_580_735_100_000),
            ("yyyyMMddHHmmss", "20200203130500", 1_580_735_100_000),
            ("yy-M-d", "20-2-3", 1_580_688_000_000),
            ("yy-M-d", "99-2-3", 918_000_000_000),
            ("yy-M-d", "2020-2-3", 1_580_688_000_000),
            ("yyyy-DDD", "2020-034", 1_580_688_000_000),
            ("yyyy", "2020", 1_577_836_800_000),
            ("MM-dd", "02-03", 949_536_000_000),
            ("HH:mm:ss", "00:00:01", 1_000),
            ("kk:mm", "24:01", 60_000),
            ("KK a", "11 pm", 82_800_000),
            ("h 'o''clock'", "12 O'clock", 0),
            ("ss.S", "01.5", 1_500),
            ("ss.SSSSSSSSSSSS", "01.123456789012", 1_123),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(millis(pattern, text), Some(expected), "{pattern} {text}");
        }
    }

    #[test]
    fn without_an_offset_the_zone_counts() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let read = |text| millis_in("yyyy-MM-dd HH:mm", text, berlin.clone());
        assert_eq!(read("2026-01-01 00:00"), Some(1_767_222_000_000));
        assert_eq!(read("2026-07-01 00:00"), Some(1_782_856_800_000));
        // An hour that does not exist is that much after the one before the gap.
        assert_eq!(read("2026-03-29 02:30"), read("2026-03-29 03:30"));
    }

    #[test]
    fn what_is_not_written_like_the_pattern_is_no_time() {
        let cases = [
            ("yyyy-MM-dd", "2026-13-01"),
            ("yyyy-MM-dd", "2026-02-30"),
            ("yyyy-MM-dd", "2026-02-03x"),
            ("yyyy-MM-dd", "2026-02"),
            ("yyyy-MM-dd", ""),
            ("HH:mm:ss", "24:00:00"),
            ("HH:mm:ss", "23:59:60"),
            ("MMM", "Foo"),
            ("Z", "0100"),
            ("Z", "+1:00"),
            ("Z", "+24:00"),
            ("yyyyMMdd", "2020-2-3"),
            ("yyyy", "40000"),
            ("yyMM", "2"),
            ("dd", "\u{e9}"),
            ("MMM dd", "Ja\u{f6} 01"),
        ];
        for (pattern, text) in cases {
            assert_eq!(millis(pattern, text), None, "{pattern} {text}");
        }
    }

    #[test]
    fn letters_that_are_not_supported_are_refused_by_name() {
        let refusal = |pattern| TimePattern::new(pattern, TimeZone::UTC, 2026).unwrap_err();
        assert_eq!(
            refusal("yyyy z"),
            "z, the short name of a time zone, is ambiguous and not supported; write Z for an offset"
        );
        assert_eq!(refusal("ZZZ"), "ZZZ, the name of a time zone, is not supported; write Z for an offset");
        assert!(refusal("xxxx-'W'ww").starts_with("the letter x "));
        assert_eq!(refusal("yyyyTHH"), "T is not a letter of time patterns; put text into single quotes");
        assert_eq!(refusal("yyyy 'at"), "a single quote is not closed; write two for the character itself");
        assert_eq!(refusal(""), "it is empty");
    }
}
