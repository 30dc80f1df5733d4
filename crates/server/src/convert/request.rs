//! Requests of `timeline.v1` as the wire has them, and their way into the domain.
//!
//! An absent field is an empty text or a zero, as in proto3.

use bytes::Bytes;
use seqline_core::error::{Error, Result};
use seqline_core::fanout::{Members, Span};
use seqline_core::id::{ConversationId, GroupId, IdempotencyKey, MemberId, Text};
use seqline_core::seq::Seq;

use super::status::Status;

/// The text clients of `timeline.v1` know for a missing `from` or `to`, misspelling included.
const MISS_FROM_OR_TO: &str = "miss from or to filed";
/// The text clients of `timeline.v1` know for a group send to nobody or to no group.
const MISS_GROUP: &str = "miss group name or group members";

/// `SendMessageRequest`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendRequest {
    /// Who sends.
    pub from: Text,
    /// Who receives.
    pub to: Text,
    /// The JSON text.
    pub message: Text,
}

impl SendRequest {
    /// Sender, receiver and text.
    ///
    /// # Errors
    /// If an id is empty or too long.
    pub fn checked(self) -> std::result::Result<(MemberId, MemberId, Text), Status> {
        let (from, to) = pair(self.from, self.to)?;
        Ok((from, to, self.message))
    }
}

/// The members of a group send: their ids one after another in one text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberList {
    /// What the spans point into, for example the whole request.
    pub text: Bytes,
    /// First byte and length of each id.
    pub spans: Vec<Span>,
}

impl<T: AsRef<[u8]>> FromIterator<T> for MemberList {
    fn from_iter<I: IntoIterator<Item = T>>(ids: I) -> MemberList {
        let (mut text, mut spans) = (Vec::new(), Vec::new());
        for id in ids {
            let id = id.as_ref();
            // A request is far smaller than 4 GiB; `checked` refuses what saturates here.
            let start = u32::try_from(text.len()).unwrap_or(u32::MAX);
            spans.push((start, u32::try_from(id.len()).unwrap_or(u32::MAX)));
            text.extend_from_slice(id);
        }
        MemberList { text: Bytes::from(text), spans }
    }
}

/// `SendGroupRequest`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendGroupRequest {
    /// The group's id.
    pub group_name: Text,
    /// Who receives.
    pub group_members: MemberList,
    /// The JSON text.
    pub message: Text,
}

impl SendGroupRequest {
    /// Group, recipients (each once) and text.
    ///
    /// # Errors
    /// If an id is empty or too long, nobody is listed, or more than `members_max`.
    pub fn checked(
        self,
        members_max: usize,
    ) -> std::result::Result<(GroupId, Members, Text), Status> {
        let MemberList { text, spans } = self.group_members;
        if self.group_name.as_bytes().is_empty() || spans.is_empty() {
            return Err(Status::invalid(MISS_GROUP));
        }
        let group = GroupId::new("group_name", self.group_name)?;
        let members = Members::from_spans("group_members", text, spans, members_max)?;
        Ok((group, members, self.message))
    }
}

/// `SyncMessageRequest`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncRequest {
    /// Whose inbox.
    pub member: Text,
    /// The reader's cursor; negative means from the start.
    pub last_read: i64,
    /// Most entries; 0 for as many as a page may hold.
    pub count: i32,
}

impl SyncRequest {
    /// Member, cursor and count.
    ///
    /// # Errors
    /// If the id is empty or too long.
    pub fn checked(self) -> std::result::Result<(MemberId, Seq, i32), Status> {
        Ok((MemberId::new("member", self.member)?, Seq::from_cursor(self.last_read), self.count))
    }
}

/// `GetSingleHistoryMessageRequest`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SingleHistoryRequest {
    /// One of the two members.
    pub from: Text,
    /// The other one.
    pub to: Text,
    /// The reader's cursor; negative means from the start.
    pub last_read: i64,
    /// Most entries; 0 for as many as a page may hold.
    pub count: i32,
}

impl SingleHistoryRequest {
    /// Conversation, cursor and count.
    ///
    /// # Errors
    /// If an id is empty or too long.
    pub fn checked(self) -> std::result::Result<(ConversationId, Seq, i32), Status> {
        let (from, to) = pair(self.from, self.to)?;
        Ok((ConversationId::direct(from, to), Seq::from_cursor(self.last_read), self.count))
    }
}

/// `GetGroupHistoryMessageRequest`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupHistoryRequest {
    /// The group's id.
    pub group: Text,
    /// The reader's cursor; negative means from the start.
    pub last_read: i64,
    /// Most entries; 0 for as many as a page may hold.
    pub count: i32,
}

impl GroupHistoryRequest {
    /// Conversation, cursor and count.
    ///
    /// # Errors
    /// If the id is empty or too long.
    pub fn checked(self) -> std::result::Result<(ConversationId, Seq, i32), Status> {
        let group = ConversationId::Group(GroupId::new("group", self.group)?);
        Ok((group, Seq::from_cursor(self.last_read), self.count))
    }
}

/// The key in the header or metadata values called `idempotency-key`; `None` if there are none.
///
/// # Errors
/// If there are several, or the one is empty, too long or not visible ASCII.
pub fn idempotency_key<'a>(
    values: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Option<IdempotencyKey>> {
    let mut values = values.into_iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Error::invalid("idempotency-key", "it is given more than once"));
    }
    if !value.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(Error::invalid("idempotency-key", "it has characters beyond visible ASCII"));
    }
    let text = Text::new(Bytes::copy_from_slice(value)).expect("ASCII is UTF-8");
    IdempotencyKey::new(text).map(Some)
}

fn pair(from: Text, to: Text) -> std::result::Result<(MemberId, MemberId), Status> {
    if from.as_bytes().is_empty() || to.as_bytes().is_empty() {
        return Err(Status::invalid(MISS_FROM_OR_TO));
    }
    Ok((MemberId::new("from", from)?, MemberId::new("to", to)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str, members: &[&str]) -> SendGroupRequest {
        SendGroupRequest {
            group_name: name.into(),
            group_members: members.iter().collect(),
            message: "{}".into(),
        }
    }

    #[test]
    fn a_missing_party_gives_the_text_clients_know() {
        for (from, to) in [("", "b"), ("a", ""), ("", "")] {
            let request =
                SendRequest { from: from.into(), to: to.into(), message: Text::default() };
            assert_eq!(request.checked().unwrap_err().message, MISS_FROM_OR_TO);
        }
    }

    #[test]
    fn a_missing_group_or_an_empty_list_gives_the_text_clients_know() {
        for request in [group("", &["a"]), group("g", &[]), group("", &[])] {
            assert_eq!(request.checked(10).unwrap_err().message, MISS_GROUP);
        }
        assert_ne!(group("g", &["a", ""]).checked(10).unwrap_err().message, MISS_GROUP);
        let (_, members, _) = group("g", &["a", "b", "a"]).checked(10).unwrap();
        assert_eq!(members.iter().collect::<Vec<_>>(), [b"a", b"b"]);
    }

    #[test]
    fn an_idempotency_key_is_one_visible_ascii_text() {
        assert_eq!(idempotency_key([]).unwrap(), None);
        assert_eq!(idempotency_key([&b"k 1"[..]]).unwrap().unwrap().as_bytes(), b"k 1");
        let long = [b'k'; 257];
        for bad in [&[&b""[..]][..], &[b"a", b"a"], &["ü".as_bytes()], &[b"\x01"], &[&long]] {
            assert!(idempotency_key(bad.iter().copied()).is_err(), "{bad:?}");
        }
    }
}
