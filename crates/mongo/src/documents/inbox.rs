//! Entries of inboxes: one document per recipient, with a copy of the message.

use mongodb::bson::raw::{RawDocument, RawDocumentBuf};
use seqline_core::id::{ConversationId, MemberId};
use seqline_core::page::Entry;
use seqline_core::seq::Seq;

use super::history::{Sent, message, put_message};
use super::*;
use crate::names;
use crate::stem::inbox_id;

/// The entry of `sent`, which stands in `conversation`, at `seq` of the inbox of `member`.
pub(crate) fn document(member: &str, seq: u64, conversation: &str, sent: &Sent) -> RawDocumentBuf {
    let mut document = RawDocumentBuf::new();
    document.append(ID, inbox_id(sent.message_id, member));
    document.append(TIMELINE, member);
    document.append(SEQ, int(seq));
    put_message(&mut document, sent);
    if sent.stem != Stem::of_message(sent.message_id) {
        document.append(KEY, sent.stem.id());
    }
    document.append(CONVERSATION, conversation);
    document.append(CONVERSATION_SEQ, int(sent.seq));
    document
}

/// A document of the collection of inboxes as an entry.
///
/// go-timeline does not say to which conversation an inbox's entry belongs. Such a one appears
/// as the member's own, at [`Seq::ZERO`], where no message is.
pub(crate) fn entry(document: &RawDocument) -> Result<Entry, String> {
    let seq = Seq::new(number(document, SEQ).ok_or("it has no seq")?);
    let (conversation, position) = match string(document, CONVERSATION) {
        Some(id) => {
            let conversation = names::conversation_of(id).ok_or("its conversation has no name")?;
            let position = number(document, CONVERSATION_SEQ).ok_or("it has no cseq")?;
            (conversation, Seq::new(position))
        }
        None => {
            let member = string(document, TIMELINE).ok_or("it has no id")?;
            let member = MemberId::new("member", member).map_err(|e| e.to_string())?;
            (ConversationId::direct(member.clone(), member), Seq::ZERO)
        }
    };
    message(document, conversation, position).map(|message| Entry { seq, message })
}
