//! Settings that are words: texts, paths, addresses, origins.

use std::path::PathBuf;

use super::kind::{Kind, quote};
use super::setting::{Given, Leaf};

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
pub(super) struct Location {
    needed: bool,
}

/// A path; a relative one starts where the program was started.
pub(super) fn path() -> Leaf<Location> {
    Leaf(Location { needed: true })
}

/// A path, or nothing.
pub(super) fn path_or_none() -> Leaf<Location> {
    Leaf(Location { needed: false })
}

impl Kind<PathBuf> for Location {
    fn read(&self, given: &Given) -> Option<PathBuf> {
        let Given::Text(text) = given else { return None };
        (!self.needed || !text.is_empty()).then(|| PathBuf::from(text))
    }

    fn write(&self, value: &PathBuf) -> String {
        quote(&value.to_string_lossy())
    }

    fn allowed(&self) -> String {
        let nothing = if self.needed { "" } else { "nothing, or " };
        format!("{nothing}a path; a relative one starts where the program was started")
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
        is_host_and_port(text).then(|| text.clone())
    }

    fn write(&self, value: &String) -> String {
        quote(value)
    }

    fn allowed(&self) -> String {
        "HOST:PORT or [IPV6]:PORT; :PORT is every address, port 0 any free port".to_owned()
    }
}
/// Whether `text` is `HOST:PORT` or `[IPV6]:PORT`; the host may be empty.
pub(super) fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let valid = match bracketed {
        Some(host) => host.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.contains(|c: char| c.is_whitespace() || ":/[]@".contains(c)),
    };
    valid && port.parse::<u16>().is_ok()
}

/// A list of texts; in a variable or a flag they are separated by commas.
pub(super) struct Texts;

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
}

/// A list of web origins.
pub(super) struct Origins;

/// A list of web origins, or `*` for any.
pub(super) fn origins() -> Leaf<Origins> {
    Leaf(Origins)
}

impl Kind<Vec<String>> for Origins {
    fn read(&self, given: &Given) -> Option<Vec<String>> {
        let valid = |origin: &String| {
            let host = origin.strip_prefix("https://").or(origin.strip_prefix("http://"));
            let plain = |c: char| !c.is_whitespace() && !"/?#@*".contains(c);
            origin == "*" || host.is_some_and(|host| !host.is_empty() && host.chars().all(plain))
        };
        Texts.read(given).filter(|origins| origins.iter().all(valid))
    }

    fn write(&self, value: &Vec<String>) -> String {
        Texts.write(value)
    }

    fn allowed(&self) -> String {
        "a list of origins, each like https://chat.example.org:8443, or \"*\"".to_owned()
    }
}
