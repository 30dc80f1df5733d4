//! The messages a replay sends: each original line with its number in front, so that whatever
//! comes back can be told apart, even where people said the same thing twice.
//!
//! A line `{"at": …}` with number 7 becomes `{"line":7,"at": …}` in its group and
//! `{"direct":7,"at": …}` between two members. Not a byte of the line itself changes.

/// Which of the two sends of a line a message belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// To everybody in the group.
    Group,
    /// To the one it addresses.
    Direct,
}

impl Kind {
    fn head(self) -> &'static str {
        match self {
            Kind::Group => "{\"line\":",
            Kind::Direct => "{\"direct\":",
        }
    }
}

/// The part of a line that messages carry unchanged: everything after its opening brace.
pub fn rest(line: &str) -> Option<&str> {
    line.trim().strip_prefix('{')
}

/// The message of `kind` for line `number`, of which `rest` is the rest.
pub fn encode(kind: Kind, number: u64, rest: &str) -> String {
    format!("{}{number},{rest}", kind.head())
}

/// What a message says it is, and its rest; `None` if no replay wrote it.
pub fn decode(message: &str) -> Option<(Kind, u64, &str)> {
    let kind = if message.starts_with(Kind::Group.head()) { Kind::Group } else { Kind::Direct };
    let (digits, rest) = message.strip_prefix(kind.head())?.split_once(',')?;
    // Only the one way to write a number counts: "007" or "+7" were altered on the way.
    let canonical = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    let number = digits.parse().ok().filter(|_| canonical)?;
    Some((kind, number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_which_line_it_is_and_keeps_it_unchanged() {
        let line = r#" {"at": "x",  "text":"吃"} "#;
        let rest = rest(line).unwrap();
        let message = encode(Kind::Group, 7, rest);
        assert_eq!(message, r#"{"line":7,"at": "x",  "text":"吃"}"#);
        assert_eq!(decode(&message), Some((Kind::Group, 7, rest)));
        let message = encode(Kind::Direct, u64::MAX, rest);
        assert_eq!(decode(&message), Some((Kind::Direct, u64::MAX, rest)));
    }

    #[test]
    fn whatever_else_there_is_was_not_sent_by_a_replay() {
        for message in ["{}", r#"{"line":07,"a":1}"#, r#"{"line":7}"#, r#"{"line":-7,"a":1}"#] {
            assert_eq!(decode(message), None, "{message}");
        }
        assert_eq!(decode(r#"{"line": 7,"a":1}"#), None);
        assert_eq!(decode(r#"{"line":99999999999999999999,"a":1}"#), None);
    }
}
