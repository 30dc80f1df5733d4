//! Settings that are amounts: numbers, bytes, lengths of time.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::kind::Kind;
use super::setting::{Given, Leaf};

/// A whole number, or a number of bytes where `bytes` says so.
pub(super) struct Number {
    range: RangeInclusive<u64>,
    bytes: bool,
}

/// A whole number within `range`.
pub(super) fn count(range: RangeInclusive<u64>) -> Leaf<Number> {
    Leaf(Number { range, bytes: false })
}

/// A number of bytes within `range`.
pub(super) fn bytes(range: RangeInclusive<u64>) -> Leaf<Number> {
    Leaf(Number { range, bytes: true })
}

/// Binary and decimal multiples of a byte, the largest binary one first.
const MULTIPLES: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
];

fn read_bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = (text[..digits].parse::<u64>().ok()?, text[digits..].trim());
    if unit.is_empty() || unit.eq_ignore_ascii_case("b") {
        return Some(number);
    }
    let (_, factor) = MULTIPLES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.checked_mul(*factor)
}

fn write_bytes(value: u64) -> String {
    let whole = |(_, factor): &&(&str, u64)| value >= *factor && value.is_multiple_of(*factor);
    match MULTIPLES.iter().take(4).find(whole) {
        Some((unit, factor)) => format!("{}{unit}", value / factor),
        None => value.to_string(),
    }
}

impl<T: TryFrom<u64> + TryInto<u64> + Copy> Kind<T> for Number {
    fn read(&self, given: &Given) -> Option<T> {
        let Given::Text(text) = given else { return None };
        let number = match self.bytes {
            true => read_bytes(text)?,
            false => text.parse().ok()?,
        };
        self.range.contains(&number).then_some(number)?.try_into().ok()
    }

    fn write(&self, value: &T) -> String {
        let value = (*value).try_into().unwrap_or(u64::MAX);
        if self.bytes { write_bytes(value) } else { value.to_string() }
    }

    fn allowed(&self) -> String {
        let (low, high) = (self.range.start(), self.range.end());
        if self.bytes {
            let (low, high) = (write_bytes(*low), write_bytes(*high));
            format!("bytes from {low} to {high}, for example 262144 or 256KiB")
        } else {
            format!("a whole number from {low} to {high}")
        }
    }
}

/// A length of time.
pub(super) struct Span(RangeInclusive<Duration>);

/// A length of time within `range`.
pub(super) fn span(range: RangeInclusive<Duration>) -> Leaf<Span> {
    Leaf(Span(range))
}

impl Kind<Duration> for Span {
    fn read(&self, given: &Given) -> Option<Duration> {
        let Given::Text(text) = given else { return None };
        let decimal = text.strip_suffix('s').and_then(|seconds| {
            let plain = seconds.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            plain.then(|| seconds.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok()))?
        });
        let value = decimal.or_else(|| humantime::parse_duration(text).ok())?;
        self.0.contains(&value).then_some(value)
    }

    fn write(&self, value: &Duration) -> String {
        let millis = value.as_millis();
        let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
        match units.iter().find(|(_, unit)| millis >= *unit && millis.is_multiple_of(*unit)) {
            Some((name, unit)) => format!("{}{name}", millis / unit),
            None if millis == 0 => "0s".to_owned(),
            None => format!("{millis}ms"),
        }
    }

    fn allowed(&self) -> String {
        let (low, high) = (self.write(self.0.start()), self.write(self.0.end()));
        format!("a time from {low} to {high} with its unit: 100ms, 0.5s, 10s, 5m, 7d")
    }
}
