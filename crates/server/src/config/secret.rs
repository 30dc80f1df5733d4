//! Settings that are secrets or hold some: read like any other, never shown whole.

use std::fmt;

use super::kind::{Kind, quote};
use super::setting::{Given, Leaf};

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

    fn secret(&self) -> bool {
        true
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
