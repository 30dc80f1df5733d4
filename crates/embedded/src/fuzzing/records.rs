//! Records: what the frames of the log hold.

use bytes::Bytes;
use seqline_core::clock::UnixMillis;
use seqline_core::fanout::{Digest, Members, Outgoing};
use seqline_core::id::{ConversationId, GroupId, IdempotencyKey, MemberId, MessageId, TimelineId};
use seqline_core::message::{Body, Message};
use seqline_core::seq::Seq;

use super::Input;
use crate::record::{self, Head, Recipient, Rest};

/// Takes `data` for the head, the rest and the trim of a frame, and as a recipe for a send.
pub fn records(data: &[u8]) {
    head(data);
    rest(data);
    trim(data);
    send(&mut Input::new(data));
}

/// What decodes is written in the one way that the store writes it, and decodes to the same.
fn head(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let decoded = Head::decode(data);
    let Some(message) = record::message(&bytes) else { return };
    let decoded = decoded.expect("a head with a message in it is a head");
    assert_eq!((decoded.id, decoded.at, decoded.seq), (message.id, message.at, message.seq));
    assert_eq!(decoded.body, message.body.as_bytes());
    let written = write(&message);
    assert!(written.len() <= data.len(), "nobody writes a longer head than the store");
    assert_eq!(record::message(&Bytes::from(written.clone())).as_ref(), Some(&message));
    assert_eq!(write(&message), written);
}

fn write(message: &Message) -> Vec<u8> {
    let recipients = Members::new("to", ["x"], 1).expect("one id is a list");
    let send = Outgoing {
        id: message.id,
        conversation: message.conversation.clone(),
        sender: message.sender.clone(),
        recipients,
        body: message.body.clone(),
        key: None,
    };
    let conversation = TimelineId::from(message.conversation.clone()).key();
    let mut out = Vec::new();
    record::put_head(&mut out, &send, &conversation, message.seq, message.at);
    out
}

fn rest(data: &[u8]) {
    let Some(rest) = Rest::decode(data) else { return };
    let recipients: Vec<_> = rest.recipients().collect();
    assert!(recipients.len() <= rest.count.min(data.len() + 1), "each takes a byte at least");
    let whole: Option<Vec<_>> = recipients.iter().copied().collect();
    let Some(whole) = whole else {
        assert!(recipients.iter().position(Option::is_none) == Some(recipients.len() - 1));
        return;
    };
    assert_eq!(whole.len(), rest.count);
    let mut written = Vec::new();
    let key = rest.key.as_ref().map(|(key, digest)| (*key, digest));
    record::put_rest(&mut written, key, rest.count);
    put_recipients(&mut written, &whole);
    assert!(written.len() <= data.len());
    let again = Rest::decode(&written).expect("what was written decodes");
    assert_eq!((again.key, again.count), (rest.key, rest.count));
    assert!(again.recipients().eq(recipients));
}

fn put_recipients(out: &mut Vec<u8>, recipients: &[(Recipient<'_>, Seq)]) {
    for (recipient, seq) in recipients {
        match recipient {
            Recipient::Named(number, member) => record::put_named(out, *number, member, *seq),
            Recipient::Numbered(number) => record::put_numbered(out, *number, *seq),
        }
    }
}

fn trim(data: &[u8]) {
    let Some((timeline, first)) = record::decode_trim(data) else { return };
    let mut written = Vec::new();
    record::put_trim(&mut written, timeline, first);
    assert!(written.len() <= data.len());
    assert_eq!(record::decode_trim(&written), Some((timeline, first)));
}

/// A send comes back as it was, and takes no more than was said before.
fn send(input: &mut Input<'_>) {
    let Some(send) = outgoing(input) else { return };
    let (seq, at) = (Seq::new(input.number()), UnixMillis(input.number()));
    let conversation = TimelineId::from(send.conversation.clone()).key();
    let mut head = Vec::new();
    record::put_head(&mut head, &send, &conversation, seq, at);
    let expected = Message {
        id: send.id,
        conversation: send.conversation.clone(),
        seq,
        sender: send.sender.clone(),
        at,
        body: send.body.clone(),
    };
    assert_eq!(record::message(&Bytes::from(head.clone())), Some(expected));

    let digest = Digest([input.byte(); 32]);
    let key = send.key.as_ref().map(|key| (key.as_bytes(), &digest));
    let mut rest = Vec::new();
    record::put_rest(&mut rest, key, send.recipients.len());
    let recipients: Vec<_> =
        send.recipients.iter().map(|member| recipient(input, member)).collect();
    put_recipients(&mut rest, &recipients);
    let decoded = Rest::decode(&rest).expect("what was written decodes");
    assert_eq!(decoded.key, key.map(|(key, digest)| (key, *digest)));
    assert!(decoded.recipients().eq(recipients.iter().map(|one| Some(*one))));
    assert!(head.len() + rest.len() <= record::bytes_max(&send, &conversation));
}

fn recipient<'a>(input: &mut Input<'_>, member: &'a [u8]) -> (Recipient<'a>, Seq) {
    let number = input.number() as u32;
    let one = match input.byte() % 2 {
        0 => Recipient::Named(number, member),
        _ => Recipient::Numbered(number),
    };
    (one, Seq::new(input.number()))
}

fn outgoing(input: &mut Input<'_>) -> Option<Outgoing> {
    let shape = input.byte();
    let id = MessageId(u128::from(input.long()) << 64 | u128::from(input.long()));
    let member = |name| MemberId::new("member", name).ok();
    let (one, other) = (member(input.name())?, member(input.name())?);
    let key = (shape & 1 != 0).then(|| IdempotencyKey::new(input.name()).ok()).flatten();
    let text = String::from_utf8_lossy(input.piece()).into_owned();
    let body = Body::from_stored(Bytes::from(text))?;
    if shape & 2 == 0 {
        return Some(Outgoing::direct(id, one, other, body, key));
    }
    let names: Vec<String> = (0..=shape >> 3).map(|_| input.name()).collect();
    let recipients = Members::new("to", &names, names.len()).ok()?;
    let group = GroupId::new("group", input.name()).ok()?;
    let mut send = Outgoing::group(id, group, recipients, body, key);
    if shape & 4 != 0 {
        // Also one who is none of the two of a direct conversation.
        send.sender = Some(one.clone());
        send.conversation = match input.byte() % 3 {
            0 => send.conversation,
            1 => ConversationId::direct(one, other),
            _ => ConversationId::direct(other.clone(), other),
        };
    }
    Some(send)
}
