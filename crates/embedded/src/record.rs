//! What the log's frames hold: a send, or a trim. Bytes only; the log knows where they are.
//!
//! A send's head is what a reader of the message needs, its rest is who received it. Names in the
//! rest are written once per segment and referred to by number after that, so a segment can be
//! read from its own start without anything else.

use bytes::Bytes;
use seqline_core::clock::UnixMillis;
use seqline_core::fanout::{Digest, Outgoing};
use seqline_core::id::{ConversationId, MemberId, MessageId, Text, TimelineId};
use seqline_core::message::{Body, Message};
use seqline_core::seq::Seq;

use crate::varint;

/// The kind of a frame that holds a send.
pub(crate) const SEND: u8 = 1;
/// The kind of a frame that holds a message for inboxes alone: imported from where every inbox has
/// a copy of its own. Its conversation has the message elsewhere, or not at all.
pub(crate) const COPY: u8 = 3;
/// The kind of a frame that holds a trim.
pub(crate) const TRIM: u8 = 2;

/// Whether a frame of this kind holds a message.
pub(crate) fn is_message(kind: u8) -> bool {
    matches!(kind, SEND | COPY)
}

/// Who sent a message, beside the members of its conversation.
const SENDER_NONE: u8 = 0;
const SENDER_LOW: u8 = 1;
const SENDER_HIGH: u8 = 2;
const SENDER_NAMED: u8 = 3;

/// Id, time, kind of sender: before everything of varying length.
const FIXED_BYTES: usize = 16 + 8 + 1;

/// Most bytes the head and rest of `send` can take together.
pub(crate) fn bytes_max(send: &Outgoing, conversation: &[u8]) -> usize {
    let ids: usize = send.recipients.iter().map(<[u8]>::len).sum();
    let each = send.recipients.len() * 3 * varint::BYTES_MAX;
    let sender = send.sender.as_ref().map_or(0, |s| s.as_bytes().len());
    let key = send.key.as_ref().map_or(0, |k| k.as_bytes().len() + size_of::<Digest>());
    FIXED_BYTES + conversation.len() + sender + send.body.len() + ids + each + key + 64
}

/// Writes the head of a send: all but its recipients.
pub(crate) fn put_head(
    out: &mut Vec<u8>,
    send: &Outgoing,
    conversation: &[u8],
    seq: Seq,
    at: UnixMillis,
) {
    out.extend_from_slice(&send.id.0.to_le_bytes());
    out.extend_from_slice(&at.0.to_le_bytes());
    let (kind, named) = sender_kind(send.sender.as_ref(), &send.conversation);
    out.push(kind);
    varint::put(out, seq.get());
    varint::put_bytes(out, conversation);
    if let Some(named) = named {
        varint::put_bytes(out, named.as_bytes());
    }
    out.extend_from_slice(send.body.as_bytes());
}

/// Writes the head of a message that has everything already.
pub(crate) fn put_message(out: &mut Vec<u8>, message: &Message) {
    out.extend_from_slice(&message.id.0.to_le_bytes());
    out.extend_from_slice(&message.at.0.to_le_bytes());
    let (kind, named) = sender_kind(message.sender.as_ref(), &message.conversation);
    out.push(kind);
    varint::put(out, message.seq.get());
    varint::put_bytes(out, &TimelineId::from(message.conversation.clone()).key());
    if let Some(named) = named {
        varint::put_bytes(out, named.as_bytes());
    }
    out.extend_from_slice(message.body.as_bytes());
}

fn sender_kind<'a>(
    sender: Option<&'a MemberId>,
    conversation: &ConversationId,
) -> (u8, Option<&'a MemberId>) {
    match (sender, conversation) {
        (None, _) => (SENDER_NONE, None),
        (Some(sender), ConversationId::Direct(low, _)) if sender == low => (SENDER_LOW, None),
        (Some(sender), ConversationId::Direct(_, high)) if sender == high => (SENDER_HIGH, None),
        (Some(sender), _) => (SENDER_NAMED, Some(sender)),
    }
}

/// Begins the rest of a send: its idempotency key, then how many recipients follow.
pub(crate) fn put_rest(out: &mut Vec<u8>, key: Option<(&[u8], &Digest)>, recipients: usize) {
    match key {
        Some((key, digest)) => {
            varint::put_bytes(out, key);
            out.extend_from_slice(&digest.0);
        }
        None => varint::put(out, 0),
    }
    varint::put(out, recipients as u64);
}

/// Adds a recipient by its name, which has this number in the segment from here on.
pub(crate) fn put_named(out: &mut Vec<u8>, number: u32, member: &[u8], seq: Seq) {
    varint::put(out, 0);
    varint::put(out, u64::from(number));
    varint::put_bytes(out, member);
    varint::put(out, seq.get());
}

/// Adds a recipient by the number its name got in the segment.
pub(crate) fn put_numbered(out: &mut Vec<u8>, number: u32, seq: Seq) {
    varint::put(out, u64::from(number) + 1);
    varint::put(out, seq.get());
}

/// The head of a send, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    pub(crate) id: MessageId,
    pub(crate) at: UnixMillis,
    pub(crate) seq: Seq,
    /// The conversation's [`TimelineId::key`].
    pub(crate) conversation: &'a [u8],
    sender: Sender<'a>,
    pub(crate) body: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender<'a> {
    None,
    Low,
    High,
    Named(&'a [u8]),
}

impl<'a> Head<'a> {
    /// Whether no message stands at this position, as an import found it.
    pub(crate) fn is_hole(&self) -> bool {
        self.body.is_empty()
    }

    /// `None` if the bytes are no head of a send.
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Head<'a>> {
        let (id, rest) = bytes.split_first_chunk::<16>()?;
        let (at, rest) = rest.split_first_chunk::<8>()?;
        let (kind, mut rest) = rest.split_first()?;
        let seq = Seq::new(varint::take(&mut rest)?);
        let conversation = varint::take_bytes(&mut rest)?;
        let sender = match *kind {
            SENDER_NONE => Sender::None,
            SENDER_LOW => Sender::Low,
            SENDER_HIGH => Sender::High,
            SENDER_NAMED => Sender::Named(varint::take_bytes(&mut rest)?),
            _ => return None,
        };
        Some(Head {
            id: MessageId(u128::from_le_bytes(*id)),
            at: UnixMillis(u64::from_le_bytes(*at)),
            seq,
            conversation,
            sender,
            body: rest,
        })
    }
}

/// Writes the head of a send again, at another position of its conversation. `None` if it is none.
pub(crate) fn put_renumbered(out: &mut Vec<u8>, head: &[u8], seq: Seq) -> Option<()> {
    let (fixed, mut rest) = head.split_at_checked(FIXED_BYTES)?;
    varint::take(&mut rest)?;
    out.extend_from_slice(fixed);
    varint::put(out, seq.get());
    out.extend_from_slice(rest);
    Some(())
}

/// The message in the head of a send. It shares `bytes`.
pub(crate) fn message(bytes: &Bytes) -> Option<Message> {
    let head = Head::decode(bytes)?;
    let slice = |part: &[u8]| bytes.slice_ref(part);
    let conversation = conversation(&slice(head.conversation))?;
    let sender = match (head.sender, &conversation) {
        (Sender::None, _) => None,
        (Sender::Low, ConversationId::Direct(low, _)) => Some(low.clone()),
        (Sender::High, ConversationId::Direct(_, high)) => Some(high.clone()),
        (Sender::Named(id), _) => Some(MemberId::new("sender", Text::new(slice(id))?).ok()?),
        _ => return None,
    };
    Some(Message {
        id: head.id,
        conversation,
        seq: head.seq,
        sender,
        at: head.at,
        body: Body::from_stored(slice(head.body))?,
    })
}

fn conversation(key: &Bytes) -> Option<ConversationId> {
    match TimelineId::from_shared_key(key)? {
        TimelineId::Conversation(id) => Some(id),
        TimelineId::Inbox(_) => None,
    }
}

/// Who received a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recipient<'a> {
    /// By name, which has this number in the segment from here on.
    Named(u32, &'a [u8]),
    /// By the number its name got in the segment.
    Numbered(u32),
}

/// The rest of a send, decoded.
#[derive(Clone, Debug)]
pub(crate) struct Rest<'a> {
    pub(crate) key: Option<(&'a [u8], Digest)>,
    pub(crate) count: usize,
    left: &'a [u8],
}

impl<'a> Rest<'a> {
    /// `None` if the bytes do not begin as the rest of a send does.
    pub(crate) fn decode(mut bytes: &'a [u8]) -> Option<Rest<'a>> {
        let key = varint::take_bytes(&mut bytes)?;
        let key = match key {
            [] => None,
            key => {
                let (digest, rest) = bytes.split_first_chunk::<32>()?;
                bytes = rest;
                Some((key, Digest(*digest)))
            }
        };
        let count = usize::try_from(varint::take(&mut bytes)?).ok()?;
        Some(Rest { key, count, left: bytes })
    }

    /// The recipients with their seqs; `None` in place of one that cannot be read, and nothing
    /// after it.
    pub(crate) fn recipients(
        &self,
    ) -> impl Iterator<Item = Option<(Recipient<'a>, Seq)>> + use<'a> {
        let (mut left, mut count) = (self.left, self.count);
        std::iter::from_fn(move || {
            count = count.checked_sub(1)?;
            let one = recipient(&mut left);
            if one.is_none() {
                count = 0;
            }
            Some(one)
        })
    }
}

fn recipient<'a>(left: &mut &'a [u8]) -> Option<(Recipient<'a>, Seq)> {
    let who = match varint::take(left)? {
        0 => {
            let number = u32::try_from(varint::take(left)?).ok()?;
            Recipient::Named(number, varint::take_bytes(left)?)
        }
        number => Recipient::Numbered(u32::try_from(number - 1).ok()?),
    };
    Some((who, Seq::new(varint::take(left)?)))
}

/// The head of a trim: the timeline's key, and its oldest entry from now on.
pub(crate) fn put_trim(out: &mut Vec<u8>, timeline: &[u8], first: Seq) {
    varint::put(out, first.get());
    out.extend_from_slice(timeline);
}

/// What [`put_trim`] wrote.
pub(crate) fn decode_trim(mut bytes: &[u8]) -> Option<(&[u8], Seq)> {
    let first = Seq::new(varint::take(&mut bytes)?);
    Some((bytes, first))
}

#[cfg(test)]
mod tests {
    use seqline_core::fanout::Members;
    use seqline_core::id::{GroupId, IdempotencyKey};

    use super::*;

    fn member(id: &str) -> MemberId {
        MemberId::new("member", id).unwrap()
    }

    fn sends() -> Vec<Outgoing> {
        let body = || Body::new("{\"a\":  \"吃\"}", 100).unwrap();
        let key = Some(IdempotencyKey::new("key").unwrap());
        let to = Members::new("to", ["x", "吃", "z"], 3).unwrap();
        let group = GroupId::new("group", "g").unwrap();
        let mut named =
            Outgoing::group(MessageId(7 << 80), group.clone(), to.clone(), body(), None);
        named.sender = Some(member("w"));
        vec![
            Outgoing::direct(MessageId(1), member("a"), member("b"), body(), key),
            Outgoing::direct(MessageId(2), member("b"), member("a"), body(), None),
            Outgoing::direct(MessageId(3), member("a"), member("a"), body(), None),
            Outgoing::group(MessageId(4), group, to, body(), None),
            named,
        ]
    }

    fn head(send: &Outgoing) -> Vec<u8> {
        let mut out = Vec::new();
        let key = TimelineId::Conversation(send.conversation.clone()).key();
        put_head(&mut out, send, &key, Seq::new(300), UnixMillis(1_700_000_000_000));
        out
    }

    #[test]
    fn a_message_comes_back_as_it_was() {
        for send in sends() {
            let expected = Message {
                id: send.id,
                conversation: send.conversation.clone(),
                seq: Seq::new(300),
                sender: send.sender.clone(),
                at: UnixMillis(1_700_000_000_000),
                body: send.body.clone(),
            };
            assert_eq!(message(&Bytes::from(head(&send))), Some(expected));
        }
    }

    #[test]
    fn recipients_come_back_by_name_and_by_number() {
        let mut out = Vec::new();
        put_rest(&mut out, Some((b"key", &Digest([7; 32]))), 2);
        put_named(&mut out, 5, b"ann", Seq::new(1));
        put_numbered(&mut out, 700, Seq::new(u64::MAX));
        let rest = Rest::decode(&out).unwrap();
        assert_eq!(rest.key, Some((&b"key"[..], Digest([7; 32]))));
        let expected = [
            Some((Recipient::Named(5, b"ann"), Seq::new(1))),
            Some((Recipient::Numbered(700), Seq::new(u64::MAX))),
        ];
        assert!(rest.recipients().eq(expected));
        let cut = Rest::decode(&out[..out.len() - 1]).unwrap();
        assert!(cut.recipients().eq([expected[0], None]));
    }

    #[test]
    fn no_bytes_make_the_decoders_panic() {
        for send in sends() {
            let whole = head(&send);
            for end in 0..whole.len() {
                let _ = message(&Bytes::copy_from_slice(&whole[..end]));
            }
            for bit in 0..whole.len() * 8 {
                let mut broken = whole.clone();
                broken[bit / 8] ^= 1 << (bit % 8);
                let _ = message(&Bytes::from(broken));
            }
        }
        assert_eq!(decode_trim(&[0x80]), None);
    }
}
