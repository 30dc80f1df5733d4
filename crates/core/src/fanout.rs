//! Fan-out: from "who talks to whom" to the one conversation and the inboxes a send reaches.
//!
//! Only here is it decided who receives a message; stores deliver to the list they are given.

use bytes::Bytes;
use hashbrown::HashSet;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::id::{ConversationId, GroupId, IdempotencyKey, MemberId, MessageId, check_id};
use crate::message::Body;

/// Where a member's id stands in the text of a [`Members`]: first byte, length.
pub type Span = (u32, u32);

/// A list of members over one shared text, each at most once, in the order first listed.
///
/// It borrows the ids from the request they came in, so that a group of 500 costs two
/// allocations instead of 500.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    text: Bytes,
    spans: Box<[Span]>,
}

impl Members {
    /// The members whose ids stand at `spans` of `text`; a member listed again is dropped.
    /// `field` is the list's name in the API, for errors.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty list, an empty id or one that is not UTF-8,
    /// [`Error::TooLarge`] for too long an id or more than `members_max` different members.
    ///
    /// # Panics
    /// If a span lies outside of `text`: that is a bug of the decoder that made it.
    pub fn from_spans(
        field: &'static str,
        text: Bytes,
        mut spans: Vec<Span>,
        members_max: usize,
    ) -> Result<Members> {
        if spans.is_empty() {
            return Err(Error::invalid(field, "it lists nobody"));
        }
        // Counted before duplicates go, so that the work itself is bounded.
        if spans.len() > members_max {
            return Err(Error::TooLarge {
                field,
                limit: "group_members_max",
                max: members_max,
                actual: spans.len(),
                unit: "members",
            });
        }
        let mut seen: HashSet<&[u8], foldhash::fast::RandomState> =
            HashSet::with_capacity_and_hasher(spans.len(), foldhash::fast::RandomState::default());
        let mut failure = Ok(());
        spans.retain(|span| {
            let id = slice(&text, *span);
            if failure.is_ok() {
                failure = check_member(field, id);
            }
            seen.insert(id)
        });
        drop(seen);
        failure?;
        Ok(Members { text, spans: spans.into_boxed_slice() })
    }

    /// The members in `ids`, copied; otherwise as [`Members::from_spans`].
    ///
    /// # Errors
    /// As [`Members::from_spans`].
    pub fn new<T: AsRef<[u8]>>(
        field: &'static str,
        ids: impl IntoIterator<Item = T>,
        members_max: usize,
    ) -> Result<Members> {
        let (mut text, mut spans) = (Vec::new(), Vec::new());
        for id in ids {
            let id = id.as_ref();
            let too_much = |_| Error::invalid(field, "its ids have more than 4 GiB");
            let start = u32::try_from(text.len()).map_err(too_much)?;
            spans.push((start, u32::try_from(id.len()).map_err(too_much)?));
            text.extend_from_slice(id);
        }
        Members::from_spans(field, Bytes::from(text), spans, members_max)
    }

    /// A copy that keeps nothing but the ids in memory.
    #[must_use]
    pub fn detached(&self) -> Members {
        let (mut text, mut spans) = (Vec::new(), Vec::with_capacity(self.spans.len()));
        for id in self.iter() {
            // Together the ids are no longer than the text they stood in.
            spans.push((text.len() as u32, id.len() as u32));
            text.extend_from_slice(id);
        }
        Members { text: Bytes::from(text), spans: spans.into_boxed_slice() }
    }

    /// How many different members there are; at least one.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Never true: an empty list is refused.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The members' ids, in the order first listed.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.spans.iter().map(|span| slice(&self.text, *span))
    }

    /// The id of the member at `index`.
    ///
    /// # Panics
    /// If there is none.
    pub fn get(&self, index: usize) -> &[u8] {
        slice(&self.text, self.spans[index])
    }
}

fn slice(text: &Bytes, (start, length): Span) -> &[u8] {
    &text[start as usize..start as usize + length as usize]
}

fn check_member(field: &'static str, id: &[u8]) -> Result<()> {
    check_id(field, id)?;
    match std::str::from_utf8(id) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::invalid(field, "an id is not UTF-8")),
    }
}

/// One message on its way into a store: the conversation and the inboxes it must reach, all or
/// none of them.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Names the message if this send is the one that gets stored.
    pub id: MessageId,
    /// The conversation it is appended to.
    pub conversation: ConversationId,
    /// Who sends it, if the caller said.
    pub sender: Option<MemberId>,
    /// Whose inboxes it is appended to. Of a direct send the last one is the receiver.
    pub recipients: Members,
    /// The exact text.
    pub body: Body,
    /// Present if a repeat must not be stored again.
    pub key: Option<IdempotencyKey>,
}

impl Outgoing {
    /// A message of one member to another, or to itself: both have it in their inbox.
    pub fn direct(
        id: MessageId,
        from: MemberId,
        to: MemberId,
        body: Body,
        key: Option<IdempotencyKey>,
    ) -> Outgoing {
        let recipients = Members::new("to", [from.as_bytes(), to.as_bytes()], 2)
            .expect("two valid ids are a valid list");
        let conversation = ConversationId::direct(from.clone(), to);
        Outgoing { id, conversation, sender: Some(from), recipients, body, key }
    }

    /// A message to everybody listed.
    pub fn group(
        id: MessageId,
        group: GroupId,
        recipients: Members,
        body: Body,
        key: Option<IdempotencyKey>,
    ) -> Outgoing {
        let conversation = ConversationId::Group(group);
        Outgoing { id, conversation, sender: None, recipients, body, key }
    }

    /// What a repeat under the same idempotency key must equal: SHA-256 over sender, recipients
    /// (in any order) and body, each with its length before it.
    pub fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        let mut put = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        put(self.sender.as_ref().map_or(&[], MemberId::as_bytes));
        put(self.body.as_str().as_bytes());
        let mut recipients: Vec<&[u8]> = self.recipients.iter().collect();
        recipients.sort_unstable();
        recipients.into_iter().for_each(put);
        Digest(hash.finalize().into())
    }
}

/// Stands for the payload of a send; see [`Outgoing::digest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

#[cfg(test)]
mod tests {
    use super::*;

    fn members(ids: &[&str]) -> Result<Members> {
        Members::new("group_members", ids, 3)
    }

    fn group_send(ids: &[&str], body: &str) -> Outgoing {
        let group = GroupId::new("group_name", "g").unwrap();
        let body = Body::new(body, 100).unwrap();
        Outgoing::group(MessageId(1), group, members(ids).unwrap(), body, None)
    }

    #[test]
    fn a_member_listed_twice_receives_once_at_its_first_place() {
        let list = members(&["b", "a", "b"]).unwrap();
        assert_eq!(list.iter().collect::<Vec<_>>(), [b"b", b"a"]);
    }

    #[test]
    fn a_bad_list_says_what_is_wrong() {
        assert!(matches!(members(&[]), Err(Error::Invalid { .. })));
        assert!(matches!(members(&["a", ""]), Err(Error::Invalid { .. })));
        assert!(matches!(
            members(&["a", "b", "c", "a"]),
            Err(Error::TooLarge { limit: "group_members_max", max: 3, actual: 4, .. })
        ));
        assert!(matches!(Members::new("group_members", [b"\xff"], 3), Err(Error::Invalid { .. })));
    }

    #[test]
    fn a_direct_send_reaches_both_and_a_note_to_oneself_once() {
        let member = |id: &str| MemberId::new("from", id).unwrap();
        let body = Body::new("{}", 100).unwrap();
        let send = Outgoing::direct(MessageId(1), member("b"), member("a"), body.clone(), None);
        assert_eq!(send.recipients.iter().collect::<Vec<_>>(), [b"b", b"a"]);
        let note = Outgoing::direct(MessageId(1), member("b"), member("b"), body, None);
        assert_eq!(note.recipients.iter().collect::<Vec<_>>(), [b"b"]);
    }

    #[test]
    fn the_digest_tells_payloads_apart_but_not_the_order_of_members() {
        let first = group_send(&["a", "b"], "{}").digest();
        assert_eq!(group_send(&["b", "a"], "{}").digest(), first);
        assert_ne!(group_send(&["a", "b"], "{ }").digest(), first);
        assert_ne!(group_send(&["ab"], "{}").digest(), first);
        assert_ne!(group_send(&["a", "b", "c"], "{}").digest(), first);
    }
}
