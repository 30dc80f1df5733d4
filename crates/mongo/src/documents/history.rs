//! Entries of conversations: one document per message, with those who lack it until all have it.

use bytes::Bytes;
use mongodb::bson::RawBsonRef;
use mongodb::bson::raw::{RawArrayBuf, RawDocument, RawDocumentBuf};
use seqline_core::clock::UnixMillis;
use seqline_core::fanout::{Digest, Outgoing};
use seqline_core::id::{MemberId, MessageId, Text};
use seqline_core::message::{Body, Message};
use seqline_core::page::Entry;
use seqline_core::seq::Seq;

use super::*;
use crate::exact::Payload;
use crate::names;

/// A message that is in its conversation and on its way into inboxes.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub stem: Stem,
    pub seq: u64,
    pub message_id: u128,
    pub at: UnixMillis,
    pub from: Option<Text>,
    pub payload: Payload,
    /// Whose inboxes it belongs into, in the order of the send.
    pub recipients: Vec<Text>,
}

/// A message that is to be put into its conversation.
#[derive(Debug)]
pub(crate) struct Draft {
    pub sent: Sent,
    /// Of a send under a key.
    pub digest: Option<Digest>,
}

impl Draft {
    /// What `send` will be under `stem`; its place and time are still open.
    pub fn new(stem: Stem, send: &Outgoing) -> Draft {
        let text = |id: &[u8]| Text::new(Bytes::copy_from_slice(id)).unwrap_or_default();
        let sent = Sent {
            stem,
            seq: 0,
            message_id: send.id.0,
            at: UnixMillis(0),
            from: send.sender.as_ref().map(|from| text(from.as_bytes())),
            payload: Payload::new(send.body.as_str()),
            recipients: send.recipients.iter().map(text).collect(),
        };
        Draft { sent, digest: send.key.as_ref().map(|_| send.digest()) }
    }

    /// At least as many bytes as [`Draft::document`] has.
    pub fn bytes(&self) -> usize {
        // A name in an array: its type, its index as text, its length and its end.
        let names: usize = self.sent.recipients.iter().map(|r| r.as_bytes().len() + 16).sum();
        names + self.sent.payload.bytes() + 6 * 1_024
    }

    /// The document at `self.sent.seq` of the conversation `id`.
    pub fn document(&self, id: &str, now: UnixMillis) -> RawDocumentBuf {
        let Draft { sent, digest } = self;
        let mut document = RawDocumentBuf::new();
        document.append(ID, sent.stem.id());
        document.append(TIMELINE, id);
        document.append(SEQ, int(sent.seq));
        put_message(&mut document, sent);
        if sent.stem != Stem::of_message(sent.message_id) {
            document.append(MESSAGE_ID, binary(&sent.message_id.to_be_bytes()));
        }
        if let Some(digest) = digest {
            document.append(DIGEST, binary(&digest.0));
            document.append(LAST, sent.recipients.last().map_or("", Text::as_str));
        }
        let mut recipients = RawArrayBuf::new();
        sent.recipients.iter().for_each(|id| recipients.push(id.as_str()));
        document.append(RECIPIENTS, recipients);
        document.append(PENDING, time(now));
        document
    }
}

/// The fields that an entry of a conversation and one of an inbox have in common.
pub(super) fn put_message(document: &mut RawDocumentBuf, sent: &Sent) {
    if let Some(message) = &sent.payload.message {
        document.append(MESSAGE, message.clone());
    }
    if let Some(raw) = &sent.payload.raw {
        document.append(RAW, raw.as_str());
    }
    document.append(AT, time(sent.at));
    if let Some(from) = &sent.from {
        document.append(FROM, from.as_str());
    }
}

/// What decides about an entry of a conversation, without its message.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// None of go-timeline's has one.
    pub stem: Option<Stem>,
    pub seq: u64,
    pub message_id: u128,
    pub at: UnixMillis,
    pub pending: Option<UnixMillis>,
    pub whole: Option<UnixMillis>,
    pub digest: Option<Digest>,
    /// The last recipient, of a send under a key.
    pub last: Option<Text>,
    /// Whether its key is or may be in use again.
    pub again: bool,
}

impl Head {
    pub fn read(document: &RawDocument) -> Result<Head, String> {
        let digest = bytes(document, DIGEST).and_then(|digest| digest.try_into().ok());
        Ok(Head {
            stem: stem(document),
            seq: number(document, SEQ).ok_or("it has no seq")?,
            message_id: message_id(document).ok_or("it has no message id")?,
            at: made_at(document),
            pending: when(document, PENDING),
            whole: when(document, WHOLE),
            digest: digest.map(Digest),
            last: string(document, LAST).map(Text::from),
            again: field(document, AGAIN).is_some(),
        })
    }
}

impl Sent {
    /// An entry that is still to be delivered, from its document.
    pub fn read(document: &RawDocument) -> Result<Sent, String> {
        let head = Head::read(document)?;
        let mut recipients = Vec::new();
        if let Some(RawBsonRef::Array(list)) = field(document, RECIPIENTS) {
            for id in list {
                let id = id.map_err(|e| e.to_string())?;
                recipients.push(Text::from(id.as_str().ok_or("a recipient is no text")?));
            }
        }
        let message = field(document, MESSAGE).and_then(RawBsonRef::as_document);
        let payload = Payload {
            message: message.map(RawDocument::to_owned),
            raw: string(document, RAW).map(str::to_owned),
        };
        Ok(Sent {
            stem: head.stem.ok_or("it is pending, but not of Seqline's")?,
            seq: head.seq,
            message_id: head.message_id,
            at: head.at,
            from: string(document, FROM).map(Text::from),
            payload,
            recipients,
        })
    }
}

/// A document of the collection of conversations as an entry.
pub(crate) fn entry(document: &RawDocument) -> Result<Entry, String> {
    let seq = Seq::new(number(document, SEQ).ok_or("it has no seq")?);
    let id = string(document, TIMELINE).ok_or("it has no id")?;
    let conversation = names::conversation_of(id).ok_or("its id is no conversation's")?;
    message(document, conversation, seq).map(|message| Entry { seq, message })
}

pub(super) fn message(
    document: &RawDocument,
    conversation: seqline_core::id::ConversationId,
    seq: Seq,
) -> Result<Message, String> {
    let text = Bytes::from(exact_text(document)?);
    Ok(Message {
        id: MessageId(message_id(document).ok_or("it has no message id")?),
        conversation,
        seq,
        sender: string(document, FROM).and_then(|from| MemberId::new("from", from).ok()),
        at: made_at(document),
        body: Body::from_stored(text).ok_or("its text is no UTF-8")?,
    })
}
