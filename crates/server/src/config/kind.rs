//! Kinds of settings: how each is read from text, written back, and what is allowed.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::setting::{Given, Leaf};

/// How values of one kind of setting are read and written.
pub trait Kind<T> {
    /// The value in `given`; `None` if it is not [allowed](Kind::allowed).
    fn read(&self, given: &Given) -> Option<T>;

    /// The value as one writes it in a file.
    fn write(&self, value: &T) -> String;

    /// What may be given: completes "allowed is …".
    fn allowed(&self) -> String;

    /// The value as one may log it.
    fn show(&self, value: &T) -> String {
        self.write(value)
    }

    /// What was given, for an error.
    fn mask(&self, given: &Given) -> String {
        match given {
            Given::Text(text) => format!("{text:?}"),
            Given::List(_) => "a list".to_owned(),
            Given::Group => "a group of settings".to_owned(),
        }
    }
}

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
        format!(
            "a time from {low} to {high} with its unit, for example \"0.5s\", \"10s\" or \"7d\""
        )
    }
}

/// Free text, empty or not.
pub(super) struct Words;

/// Free text.
pub(super) fn text() -> Leaf<Words> {
    Leaf(Words)
}

impl Kind<String> for Words {
    fn read(&self, given: &Given) -> Option<String> {
        let Given::Text(text) = given else { return None };
        Some(text.clone())
    }

    fn write(&self, value: &String) -> String {
        quote(value)
    }

    fn allowed(&self) -> String {
        "any text".to_owned()
    }
}

/// A path, as the operating system has it.
pub(super) struct Location;

/// A path; a relative one starts where the program was started.
pub(super) fn path() -> Leaf<Location> {
    Leaf(Location)
}

impl Kind<PathBuf> for Location {
    fn read(&self, given: &Given) -> Option<PathBuf> {
        let Given::Text(text) = given else { return None };
        (!text.is_empty()).then(|| PathBuf::from(text))
    }

    fn write(&self, value: &PathBuf) -> String {
        quote(&value.to_string_lossy())
    }

    fn allowed(&self) -> String {
        "a path; a relative one starts where the program was started".to_owned()
    }
}

/// A list of texts; in a variable or a flag they are separated by commas.
pub(super) struct Texts;

/// A list of texts.
pub(super) fn list() -> Leaf<Texts> {
    Leaf(Texts)
}

impl Kind<Vec<String>> for Texts {
    fn read(&self, given: &Given) -> Option<Vec<String>> {
        let trimmed = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        match given {
            Given::Text(text) => Some(text.split(',').filter_map(trimmed).collect()),
            Given::List(texts) => Some(texts.iter().filter_map(|text| trimmed(text)).collect()),
            Given::Group => None,
        }
    }

    fn write(&self, value: &Vec<String>) -> String {
        let quoted: Vec<String> = value.iter().map(|text| quote(text)).collect();
        format!("[{}]", quoted.join(", "))
    }

    fn allowed(&self) -> String {
        "a list of texts; in a variable, separated by commas".to_owned()
    }

    fn show(&self, value: &Vec<String>) -> String {
        self.write(&value.iter().map(|text| mask_uri(text)).collect())
    }
}

/// `HOST:PORT`.
pub(super) struct Address;

/// Where to listen.
pub(super) fn address() -> Leaf<Address> {
    Leaf(Address)
}

impl Kind<String> for Address {
    fn read(&self, given: &Given) -> Option<String> {
        let Given::Text(text) = given else { return None };
        let (host, port) = text.rsplit_once(':')?;
        port.parse::<u16>().ok()?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let valid = match bracketed {
            Some(host) => host.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.contains(|c: char| c.is_whitespace() || ":/[]@".contains(c)),
        };
        // Go reads an address without a host as "every address", so its files mean that too.
        let host = if host.is_empty() { "0.0.0.0" } else { host };
        valid.then(|| format!("{host}:{port}"))
    }

    fn write(&self, value: &String) -> String {
        quote(value)
    }

    fn allowed(&self) -> String {
        "HOST:PORT or [IPV6]:PORT; :PORT is every address, port 0 any free port".to_owned()
    }
}

/// One of a few words.
pub(super) struct Choice<T: 'static>(&'static [(&'static str, T)]);

/// One of a few words, each with what it means. The first of a meaning is how it is written.
pub(super) fn choice<T>(words: &'static [(&'static str, T)]) -> Leaf<Choice<T>> {
    Leaf(Choice(words))
}

impl<T: Clone + PartialEq> Kind<T> for Choice<T> {
    fn read(&self, given: &Given) -> Option<T> {
        let Given::Text(text) = given else { return None };
        let found = self.0.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
        found.map(|(_, meaning)| meaning.clone())
    }

    fn write(&self, value: &T) -> String {
        let found = self.0.iter().find(|(_, meaning)| meaning == value);
        found.map_or_else(String::new, |(word, _)| (*word).to_owned())
    }

    fn allowed(&self) -> String {
        let words: Vec<&str> =
            self.0.iter().map(|(word, _)| *word).filter(|word| !word.is_empty()).collect();
        words.join(", ")
    }
}

/// A text that is never logged whole.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { MASK })
    }
}

/// A password, or a URI with one.
pub(super) struct Hidden {
    uri: bool,
}

/// Nothing of it is shown.
pub(super) fn password() -> Leaf<Hidden> {
    Leaf(Hidden { uri: false })
}

/// A URI: shown without its credentials and options.
pub(super) fn uri() -> Leaf<Hidden> {
    Leaf(Hidden { uri: true })
}

const MASK: &str = "***";

impl Kind<Secret> for Hidden {
    fn read(&self, given: &Given) -> Option<Secret> {
        let Given::Text(text) = given else { return None };
        Some(Secret(text.clone()))
    }

    fn write(&self, value: &Secret) -> String {
        quote(&value.0)
    }

    fn allowed(&self) -> String {
        if self.uri { "a URI".to_owned() } else { "any text".to_owned() }
    }

    fn show(&self, value: &Secret) -> String {
        match (value.0.is_empty(), self.uri) {
            (true, _) => quote(""),
            (false, true) => quote(&mask_uri(&value.0)),
            (false, false) => MASK.to_owned(),
        }
    }

    fn mask(&self, given: &Given) -> String {
        match given {
            Given::Text(_) => MASK.to_owned(),
            Given::List(_) => "a list".to_owned(),
            Given::Group => "a group of settings".to_owned(),
        }
    }
}

/// `uri` without user, password and options, any of which may be a credential.
fn mask_uri(uri: &str) -> String {
    let (head, options) = uri.split_once('?').map_or((uri, ""), |(head, _)| (head, "?***"));
    let (scheme, rest) = head.split_once("://").map_or(("", head), |(s, r)| (s, r));
    let separator = if scheme.is_empty() { "" } else { "://" };
    let rest = rest.rsplit_once('@').map_or(rest.to_owned(), |(_, host)| format!("{MASK}@{host}"));
    format!("{scheme}{separator}{rest}{options}")
}

/// `text` as a YAML scalar that means this text: JSON's quotes are YAML's too.
fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
