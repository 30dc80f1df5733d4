//! Ids: who and what a timeline belongs to, validated once at the edge.
//!
//! An id is any non-empty UTF-8 text of at most [`ID_BYTES_MAX`] bytes, control characters
//! included. [`TimelineId::key`] turns a timeline into bytes that no other timeline shares,
//! whatever characters the ids have.

use std::fmt;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::limits::{ID_BYTES_MAX, IDEMPOTENCY_KEY_BYTES_MAX};

/// UTF-8 text over shared bytes: a slice of the request it came in, or a copy of its own.
///
/// A slice keeps its whole request in memory, so whoever stores a text for long calls
/// [`Text::detached`] first.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Bytes);

impl Text {
    /// The text in `bytes`; `None` if they are not UTF-8.
    pub fn new(bytes: Bytes) -> Option<Text> {
        std::str::from_utf8(&bytes).is_ok().then_some(Text(bytes))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // Checked by every constructor; checking again costs nanoseconds and needs no `unsafe`.
        std::str::from_utf8(&self.0).expect("a Text is UTF-8 by construction")
    }

    /// The bytes of the text, without checking them again.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same bytes, shared.
    pub fn bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// A copy that keeps nothing but itself in memory.
    #[must_use]
    pub fn detached(&self) -> Text {
        Text(Bytes::copy_from_slice(&self.0))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text(Bytes::from(text))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// Checks an id's length. `field` is its name in the API, for the error.
pub(crate) fn check_id(field: &'static str, bytes: &[u8]) -> Result<()> {
    if bytes.is_empty() {
        return Err(Error::invalid(field, "it is empty"));
    }
    if bytes.len() > ID_BYTES_MAX {
        return Err(Error::TooLarge {
            field,
            limit: "id_bytes_max",
            max: ID_BYTES_MAX,
            actual: bytes.len(),
            unit: "bytes",
        });
    }
    Ok(())
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Text);

        impl $name {
            /// The id in `text`. `field` is its name in the API, for the error.
            ///
            /// # Errors
            /// [`Error::Invalid`] if it is empty, [`Error::TooLarge`] past [`ID_BYTES_MAX`].
            pub fn new(field: &'static str, text: impl Into<Text>) -> Result<$name> {
                let text = text.into();
                check_id(field, text.as_bytes())?;
                Ok($name(text))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// The id's bytes.
            pub fn as_bytes(&self) -> &[u8] {
                self.0.as_bytes()
            }

            /// A copy that keeps nothing but itself in memory.
            #[must_use]
            pub fn detached(&self) -> $name {
                $name(self.0.detached())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// Somebody who has an inbox.
    MemberId
}
id! {
    /// A group conversation.
    GroupId
}

/// Where one copy of each message is kept: between two members, or of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConversationId {
    /// Two members, the bytewise smaller first. Build it with [`ConversationId::direct`].
    Direct(MemberId, MemberId),
    /// A group.
    Group(GroupId),
}

impl ConversationId {
    /// The conversation of two members, the same whichever stands first.
    pub fn direct(one: MemberId, other: MemberId) -> ConversationId {
        if one <= other {
            ConversationId::Direct(one, other)
        } else {
            ConversationId::Direct(other, one)
        }
    }
}

/// An ordered log of entries: a member's inbox, or a conversation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimelineId {
    /// One entry per message its member received or sent: the sync store.
    Inbox(MemberId),
    /// One entry per message of the conversation: the history store.
    Conversation(ConversationId),
}

impl TimelineId {
    /// Bytes that name this timeline and no other: a kind (`i`, `d`, `g`), then the id; for two
    /// members the first one's length in two bytes, big-endian, then both.
    pub fn key(&self) -> Vec<u8> {
        match self {
            TimelineId::Inbox(member) => TimelineId::inbox_key(member.as_bytes()),
            TimelineId::Conversation(ConversationId::Group(group)) => {
                [b"g", group.as_bytes()].concat()
            }
            TimelineId::Conversation(ConversationId::Direct(low, high)) => {
                let length =
                    u16::try_from(low.as_bytes().len()).expect("an id is far shorter than 64 KiB");
                [b"d", &length.to_be_bytes()[..], low.as_bytes(), high.as_bytes()].concat()
            }
        }
    }

    /// [`TimelineId::key`] of the inbox of `member`, for callers that have only its bytes.
    pub fn inbox_key(member: &[u8]) -> Vec<u8> {
        [b"i", member].concat()
    }

    /// The timeline that [`TimelineId::key`] named; `None` if no timeline has this key.
    pub fn from_key(key: &[u8]) -> Option<TimelineId> {
        TimelineId::from_shared_key(&Bytes::copy_from_slice(key))
    }

    /// [`TimelineId::from_key`] without a copy: the ids share `key`.
    pub fn from_shared_key(key: &Bytes) -> Option<TimelineId> {
        let text = |bytes: &[u8]| Text::new(key.slice_ref(bytes));
        let (kind, rest) = key.split_first()?;
        match kind {
            b'i' => Some(TimelineId::Inbox(MemberId::new("member", text(rest)?).ok()?)),
            b'g' => Some(ConversationId::Group(GroupId::new("group", text(rest)?).ok()?).into()),
            b'd' => {
                let (length, rest) = rest.split_at_checked(2)?;
                let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
                let (low, high) = rest.split_at_checked(length)?;
                let low = MemberId::new("from", text(low)?).ok()?;
                let high = MemberId::new("to", text(high)?).ok()?;
                (low <= high).then_some(ConversationId::Direct(low, high).into())
            }
            _ => None,
        }
    }
}

impl From<ConversationId> for TimelineId {
    fn from(conversation: ConversationId) -> TimelineId {
        TimelineId::Conversation(conversation)
    }
}

impl fmt::Display for TimelineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TimelineId::Inbox(member) => write!(f, "inbox of {member:?}"),
            TimelineId::Conversation(ConversationId::Direct(low, high)) => {
                write!(f, "conversation of {low:?} and {high:?}")
            }
            TimelineId::Conversation(ConversationId::Group(group)) => {
                write!(f, "conversation of group {group:?}")
            }
        }
    }
}

/// Names one message for ever, in every store. Ordered by the time the service took it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u128);

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Marks the history of a store: whoever lost or restored data has another one, which tells a
/// client that its cursors mean nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Makes a repeated send return the first one's answer instead of storing it again. Its scope is
/// the conversation, its life a setting of the store (7 days by default).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Text);

impl IdempotencyKey {
    /// The key in `text`: 1 to [`IDEMPOTENCY_KEY_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is empty, [`Error::TooLarge`] if it is too long.
    pub fn new(text: impl Into<Text>) -> Result<IdempotencyKey> {
        let text = text.into();
        let actual = text.as_bytes().len();
        if actual == 0 {
            return Err(Error::invalid("idempotency-key", "it is empty"));
        }
        if actual > IDEMPOTENCY_KEY_BYTES_MAX {
            return Err(Error::TooLarge {
                field: "idempotency-key",
                limit: "idempotency_key_bytes_max",
                max: IDEMPOTENCY_KEY_BYTES_MAX,
                actual,
                unit: "bytes",
            });
        }
        Ok(IdempotencyKey(text))
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(text: &str) -> MemberId {
        MemberId::new("member", text).unwrap()
    }

    #[test]
    fn an_id_is_any_text_of_1_to_1024_bytes() {
        assert!(MemberId::new("member", "").is_err());
        assert!(MemberId::new("member", "\0\u{7f}吃").is_ok());
        assert!(MemberId::new("member", "é".repeat(512)).is_ok());
        assert!(matches!(
            MemberId::new("member", "é".repeat(513)),
            Err(Error::TooLarge { limit: "id_bytes_max", actual: 1_026, .. })
        ));
    }

    #[test]
    fn two_members_have_one_conversation_whoever_stands_first() {
        let (a, b) = (member("a"), member("b"));
        assert_eq!(ConversationId::direct(a.clone(), b.clone()), ConversationId::direct(b, a));
    }

    #[test]
    fn timelines_whose_ids_look_alike_never_share_a_key() {
        let direct = |a, b| TimelineId::from(ConversationId::direct(member(a), member(b)));
        let group = |g| TimelineId::from(ConversationId::Group(GroupId::new("group", g).unwrap()));
        let alike = [
            direct("a:b", "c"),
            direct("a", "b:c"),
            direct("ab", "c"),
            direct("a", "bc"),
            group("x"),
            direct("group", "x"),
            TimelineId::Inbox(member("seq:a:b")),
            TimelineId::Inbox(member("x")),
            group("\0\u{1}ab"),
            direct("a", "b"),
        ];
        let keys: std::collections::HashSet<_> = alike.iter().map(TimelineId::key).collect();
        assert_eq!(keys.len(), alike.len());
        for timeline in alike {
            assert_eq!(TimelineId::from_key(&timeline.key()), Some(timeline));
        }
    }

    #[test]
    fn a_key_that_names_no_timeline_is_refused() {
        for key in [&b""[..], b"i", b"x1", b"d", b"d\0\x05ab", b"d\0\x01ba", b"i\xff"] {
            assert_eq!(TimelineId::from_key(key), None, "{key:?}");
        }
    }
}
