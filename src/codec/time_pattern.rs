//! Times in the patterns of Joda-Time, which Flume's `regex_extractor` reads.

use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};

use super::date_text::{DAYS, MONTHS, digits, literal, name, offset_of, sign};

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
        let count = rest.bytes().take_while(u8::is_ascii_digit).count();
        let two = if lenient { count == 2 } else { count >= 2 };
        if !two {
            return year(rest, 9).filter(|_| lenient);
        }
        let value = digits(rest, 2, 2)?;
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

fn year(rest: &mut &str, max: usize) -> Option<i64> {
    let (sign, unsigned) = match rest.strip_prefix('-') {
        Some(unsigned) => (-1, unsigned),
        None => (1, rest.strip_prefix('+').unwrap_or(rest)),
    };
    *rest = unsigned;
    digits(rest, 1, max).map(|year| sign * year)
}

fn number(field: Field, rest: &mut &str, fields: &mut Fields) -> Option<()> {
    let value = digits(rest, 1, if field == Field::DayOfYear { 3 } else { 2 })?;
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

/// Digits behind the point, as nanoseconds.
fn fraction(rest: &mut &str, max: usize) -> Option<i64> {
    let before = rest.len();
    let value = digits(rest, 1, max.min(NANO_DIGITS))?;
    let count = before - rest.len();
    // Digits beyond the nanosecond are read and left out.
    let more = rest.bytes().take(max.saturating_sub(count)).take_while(u8::is_ascii_digit).count();
    *rest = rest.get(more..)?;
    Some((count..NANO_DIGITS).fold(value, |value, _| value * 10))
}

/// `Z`, `+hh`, `+hhmm` or `+hh:mm`.
fn offset(rest: &mut &str) -> Option<Offset> {
    if let Some(after) = rest.strip_prefix(['Z', 'z']) {
        *rest = after;
        return Some(Offset::UTC);
    }
    let sign = sign(rest)?;
    let hours = digits(rest, 2, 2)?;
    let colon = rest.strip_prefix(':').filter(|after| after.starts_with(|c: char| c.is_ascii_digit()));
    *rest = colon.unwrap_or(rest);
    let minutes = if rest.starts_with(|c: char| c.is_ascii_digit()) { digits(rest, 2, 2)? } else { 0 };
    offset_of(sign, hours, minutes)
}

const YEAR_DIGITS_MAX: usize = 9;
const NANO_DIGITS: usize = 9;
#[cfg(test)]
mod tests;
