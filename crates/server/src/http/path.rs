//! Paths of the API: which call a path names, and the ids in it.
//!
//! A path is split first and unescaped then, so an id may have any escaped character, a slash
//! included. Fixed parts may be escaped too.

use bytes::Bytes;
use http::Method;
use seqline_core::id::Text;

use super::codec::form::unescape;

/// The calls' names in the protobuf service.
pub const RPCS: [&str; 5] =
    ["Send", "SendGroup", "GetSyncMessage", "GetSingleHistoryMessage", "GetGroupHistoryMessage"];

/// A call of the API, with the ids its path carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `/timeline/send`.
    Send,
    /// `/timeline/sendGroup`.
    SendGroup,
    /// `/timeline/sync`.
    Sync,
    /// `/timeline/history/single/{from}/{to}`.
    SingleHistory {
        /// One of the two members.
        from: Text,
        /// The other one.
        to: Text,
    },
    /// `/timeline/history/group/{group}`.
    GroupHistory {
        /// The group.
        group: Text,
    },
}

impl Call {
    /// The method it is called with; GET includes HEAD.
    pub fn method(&self) -> Method {
        match self {
            Call::Send | Call::SendGroup => Method::POST,
            _ => Method::GET,
        }
    }

    /// Its place in [`RPCS`].
    pub fn number(&self) -> usize {
        match self {
            Call::Send => 0,
            Call::SendGroup => 1,
            Call::Sync => 2,
            Call::SingleHistory { .. } => 3,
            Call::GroupHistory { .. } => 4,
        }
    }
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A call.
    Call(Call),
    /// A call under this other spelling of the path: without empty, `.` and `..` segments.
    Elsewhere(String),
    /// Nothing.
    Nothing,
    /// The path cannot be decoded, for this reason.
    Broken(String),
}

/// Finds what `path`, as it stands on the request line, leads to.
pub fn find(path: &str) -> Found {
    let segments: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
    let clean = cleaned(&segments);
    match call(&clean) {
        Ok(Some(call)) if clean == segments => Found::Call(call),
        // Only to paths that exist, so that nobody can be sent to another host.
        Ok(Some(_)) => Found::Elsewhere(format!("/{}", clean.join("/"))),
        Ok(None) => Found::Nothing,
        Err(reason) => Found::Broken(reason),
    }
}

fn cleaned<'a>(segments: &[&'a str]) -> Vec<&'a str> {
    let mut clean = Vec::with_capacity(segments.len());
    for segment in segments {
        match *segment {
            "" | "." => {}
            ".." => {
                clean.pop();
            }
            segment => clean.push(segment),
        }
    }
    clean
}

fn call(segments: &[&str]) -> Result<Option<Call>, String> {
    let decoded = segments.iter().map(|segment| unescape(segment.as_bytes(), false));
    let decoded = decoded.collect::<Result<Vec<_>, _>>()?;
    let decoded: Vec<&[u8]> = decoded.iter().map(Vec::as_slice).collect();
    Ok(Some(match decoded[..] {
        [b"timeline", b"send"] => Call::Send,
        [b"timeline", b"sendGroup"] => Call::SendGroup,
        [b"timeline", b"sync"] => Call::Sync,
        [b"timeline", b"history", b"single", from, to] => {
            Call::SingleHistory { from: id("from", from)?, to: id("to", to)? }
        }
        [b"timeline", b"history", b"group", group] => {
            Call::GroupHistory { group: id("group", group)? }
        }
        _ => return Ok(None),
    }))
}

fn id(name: &str, bytes: &[u8]) -> Result<Text, String> {
    Text::new(Bytes::copy_from_slice(bytes))
        .ok_or_else(|| format!("parsing field \"{name}\": invalid UTF-8"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn group(id: &str) -> Found {
        Found::Call(Call::GroupHistory { group: id.into() })
    }

    #[test]
    fn fixed_parts_and_ids_are_unescaped_after_splitting() {
        assert_eq!(find("/timeline/send"), Found::Call(Call::Send));
        assert_eq!(find("/timeline/sendGroup"), Found::Call(Call::SendGroup));
        assert_eq!(find("/%74imeline/s%79nc"), Found::Call(Call::Sync));
        assert_eq!(find("/timeline/history/group/a+b%2Fc%3f%25"), group("a+b/c?%"));
        assert_eq!(find("/timeline/history/group/%2e%2E"), group(".."));
        let pair = Call::SingleHistory { from: "x y".into(), to: "é&=".into() };
        assert_eq!(find("/timeline/history/single/x%20y/%c3%A9&="), Found::Call(pair));
    }

    #[test]
    fn case_and_the_number_of_segments_matter() {
        for path in [
            "/",
            "/timeline",
            "/Timeline/sync",
            "/timeline/History/group/g",
            "/timeline/sendgroup",
            "/timeline/history/group",
            "/timeline/history/group/a/b",
            "/timeline/history/single/a",
            "/timeline/history/group/..",
            "/timeline/history/single/./b",
            "*",
            "",
        ] {
            assert_eq!(find(path), Found::Nothing, "{path}");
        }
    }

    #[test]
    fn another_spelling_of_a_path_leads_to_the_clean_one() {
        let check = |path, clean: &str| {
            assert_eq!(find(path), Found::Elsewhere(clean.to_owned()), "{path}");
        };
        check("/timeline/sync/", "/timeline/sync");
        check("/timeline//sync", "/timeline/sync");
        check("//timeline/sync", "/timeline/sync");
        check("/timeline/x/../sync", "/timeline/sync");
        check("/../timeline/./history/group/a%20b/", "/timeline/history/group/a%20b");
        assert_eq!(find("//example.com/"), Found::Nothing);
    }

    #[test]
    fn a_broken_escape_and_an_id_that_is_no_text_are_refused() {
        for path in ["/timeline/history/group/%zz", "/%", "/timeline/history/group/%ff"] {
            assert!(matches!(find(path), Found::Broken(_)), "{path}");
        }
    }

    proptest! {
        #[test]
        fn every_id_can_be_reached(id in "\\PC{1,8}|[\0-\u{7f}]{1,8}") {
            let escape = percent_encoding::NON_ALPHANUMERIC;
            let escaped = percent_encoding::utf8_percent_encode(&id, escape);
            prop_assert_eq!(find(&format!("/timeline/history/group/{escaped}")), group(&id));
        }
    }
}
