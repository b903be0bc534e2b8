//! Numbers in values.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::file::trim;

/// The integers that [`Keys`](super::Keys) reads.
pub trait Number: TryFrom<i64> + PartialOrd + Display + Copy {
    /// Whether the number is the smallest of 64 bits with negative ones: it says nothing to a user.
    fn is_min(self) -> bool;

    /// Whether the number is the largest of 64 bits: it says nothing to a user.
    fn is_max(self) -> bool;
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl Number for $number {
            fn is_min(self) -> bool {
                size_of::<Self>() == 8 && self != 0 && self == Self::MIN
            }

            fn is_max(self) -> bool {
                size_of::<Self>() == 8 && self == Self::MAX
            }
        })*
    };
}

numbers!(u8, u16, u32, u64, usize, i32, i64);

/// Which texts that are not the number that is expected do not cost a component in Flume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Borne {
    /// Other numbers.
    Numbers,
    /// Whatever stands there.
    Anything,
}

/// What Java's `Long.parseLong` reads. Blanks around it, as a config filter may leave them, are passed over, as Flume does.
pub(super) fn parse(text: &str) -> Option<i64> {
    trim(text).parse().ok()
}

/// The same, if it is of the range.
pub(super) fn within<T: Number>(text: &str, range: &RangeInclusive<T>) -> Option<T> {
    let number = parse(text).and_then(|number| T::try_from(number).ok());
    number.filter(|number| range.contains(number))
}

/// Whether a text is a number that is smaller than all of a range.
pub(super) fn is_below<T: Number>(text: &str, range: &RangeInclusive<T>) -> bool {
    let number = parse(text);
    // What is negative and does not fit is below the smallest number of the type.
    number.is_some_and(|number| T::try_from(number).map_or(number < 0, |number| number < *range.start()))
}

/// Whether a text is a number that Java's `Long.parseLong` has no room for.
fn is_too_large(text: &str) -> bool {
    let text = trim(text);
    let digits = text.strip_prefix('+').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) && parse(text).is_none()
}

/// What is said where it is not one of a range.
pub(super) fn must_be_a_number<T: Number>(text: &str, range: &RangeInclusive<T>) -> String {
    let (start, end) = (range.start(), range.end());
    if end.is_max() && is_too_large(text) {
        format!("must be a number from {start} to {}", i64::MAX)
    } else if start.is_min() && end.is_max() {
        "must be a whole number".to_owned()
    } else if end.is_max() {
        format!("must be a number from {start} on")
    } else {
        format!("must be a number from {start} to {end}")
    }
}
