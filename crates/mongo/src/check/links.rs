//! What holds between a message in its conversation and its copies in inboxes: of Seqline's own,
//! since go-timeline says nothing about it.

use std::collections::{BTreeMap, HashMap};

use mongodb::bson::{Bson, RawBsonRef, RawDocumentBuf};

use super::Kind;
use crate::db::{Collection, Fields, NoReply, Query};
use crate::documents::{self, Head, Sent};
use crate::heads;
use crate::reader::Reader;
use crate::shell;
use crate::stem::inbox_id;

/// What must be known of other documents to judge a page of inbox entries.
#[derive(Default)]
pub(super) struct Around {
    heads: BTreeMap<u128, Head>,
    /// Of conversations that lack a message.
    floors: HashMap<String, u64>,
}

/// Finds out what must be known about a page.
pub(super) async fn around(
    reader: &Reader,
    of: Collection,
    entries: &[RawDocumentBuf],
) -> Result<Around, NoReply> {
    if of != Collection::Inboxes || !entries.iter().any(|e| documents::stem(e).is_some()) {
        return Ok(Around::default());
    }
    let found = reader.find(heads::query(entries)).await?;
    // One that cannot be read was told when its conversation was.
    let heads: BTreeMap<u128, Head> = found
        .iter()
        .filter_map(|document| Head::read(document).ok())
        .map(|head| (head.message_id, head))
        .collect();
    let absent = entries
        .iter()
        .filter(|entry| documents::message_id(entry).is_some_and(|id| !heads.contains_key(&id)));
    // Read after the heads: what is not there any more was below a floor by then.
    let conversations: Vec<&str> =
        absent.filter_map(|entry| documents::string(entry, documents::CONVERSATION)).collect();
    let floors = reader.floors(Collection::History, conversations).await?;
    Ok(Around { heads, floors })
}

/// Of one inbox, the last position seen of each conversation.
#[derive(Default)]
pub(super) struct Links(HashMap<String, u64>);

impl Links {
    /// What is wrong with the next entry of the inbox, if anything is.
    pub fn judge(&mut self, entry: &RawDocumentBuf, around: &Around) -> Option<(Kind, String)> {
        let conversation = documents::string(entry, documents::CONVERSATION)?;
        let position = documents::number(entry, documents::CONVERSATION_SEQ).unwrap_or(0);
        let before = self.0.insert(conversation.to_owned(), position);
        if before >= Some(position) {
            let before = before.unwrap_or(0);
            let detail = format!("it is {position} of {conversation:?}, after {before}");
            return Some((Kind::Disorder, detail));
        }
        match documents::message_id(entry).and_then(|id| around.heads.get(&id)) {
            Some(head) if head.seq != position => {
                let detail = format!("its conversation has it at {}, not {position}", head.seq);
                Some((Kind::Disorder, detail))
            }
            Some(_) => None,
            None => {
                let floor = around.floors.get(conversation).copied().unwrap_or(0);
                let detail = format!("{conversation:?} has no entry {position} any more");
                (position > floor).then_some((Kind::Orphan, detail))
            }
        }
    }
}

/// Of a message that is to be delivered: how many lack it, or that nobody can tell.
pub(super) async fn undelivered(
    reader: &Reader,
    document: &RawDocumentBuf,
) -> Result<Option<(Kind, String)>, NoReply> {
    if documents::when(document, documents::PENDING).is_none() {
        return Ok(None);
    }
    let Ok(sent) = Sent::read(document) else {
        let detail = format!("{}: whom it is for cannot be read", shell::name(document));
        return Ok(Some((Kind::Unreadable, detail)));
    };
    let ids = sent.recipients.iter().map(|member| inbox_id(sent.message_id, member.as_str()));
    let ids = ids.map(Bson::Binary).collect();
    let query = Query::Ids { of: Collection::Inboxes, ids, fields: Fields::Head };
    let there = reader.find(query).await?;
    let there = there
        .iter()
        .filter(|d| matches!(documents::field(d, documents::ID), Some(RawBsonRef::Binary(_))));
    let lack = sent.recipients.len().saturating_sub(there.count());
    let detail = || format!("{lack} of {} lack it", sent.recipients.len());
    Ok((lack > 0).then(|| (Kind::Undelivered, detail())))
}
