//! Verifying: reads everything and says what does not hold.
//!
//! Numbers without a hole and without a repeat above each floor, entries that can be read, inbox
//! entries that agree with their conversation's and stand in its order. Whom a whole message was
//! for is not kept, so an inbox that lacks one is only found by the hole it leaves.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use mongodb::bson::{Bson, RawDocumentBuf};
use seqline_core::store::{CheckEvent, CheckSummary};

use crate::bounds::FLOOR;
use crate::call::{Call, Stop};
use crate::counts::Operation;
use crate::db::{Collection, Fields, Query};
use crate::documents::{self, Head};
use crate::heads;
use crate::shared::Shared;

/// Entries per command.
const PAGE: usize = 1_000;

/// Where the check is.
struct Check<'a> {
    report: &'a mut dyn FnMut(CheckEvent),
    summary: CheckSummary,
    timeline: String,
    floor: u64,
    /// The last position seen of the timeline.
    seq: u64,
    /// Of an inbox, the last position seen of each conversation.
    conversations: HashMap<String, u64>,
}

/// Verifies both collections.
pub(crate) async fn all(
    shared: &Arc<Shared>,
    report: &mut dyn FnMut(CheckEvent),
) -> Result<CheckSummary, Stop> {
    let mut check = Check {
        report,
        summary: CheckSummary::default(),
        timeline: String::new(),
        floor: 0,
        seq: 0,
        conversations: HashMap::new(),
    };
    for of in [Collection::History, Collection::Inboxes] {
        check.timeline = String::new();
        let mut after = (String::new(), 0);
        loop {
            let call = Call::new(shared, Operation::Check);
            let found = call.find(Query::Scan { of, after: after.clone(), limit: PAGE }).await?;
            let Some(last) = found.last() else {
                break;
            };
            let id = documents::string(last, documents::TIMELINE).unwrap_or_default().to_owned();
            after = (id, documents::number(last, documents::SEQ).unwrap_or(u64::MAX));
            check.page(&call, of, &found).await?;
        }
    }
    Ok(check.summary)
}

impl Check<'_> {
    async fn page(
        &mut self,
        call: &Call,
        of: Collection,
        found: &[RawDocumentBuf],
    ) -> Result<(), Stop> {
        let floors = floors(call, of, found).await?;
        let heads = match of {
            Collection::Inboxes => heads::of(call, found).await?,
            _ => BTreeMap::new(),
        };
        for document in found {
            let id = documents::string(document, documents::TIMELINE).unwrap_or_default();
            let seq = documents::number(document, documents::SEQ).unwrap_or(0);
            if id != self.timeline {
                self.timeline = id.to_owned();
                self.floor = floors.get(id).copied().unwrap_or(0);
                self.seq = self.floor;
                self.conversations.clear();
                self.summary.timelines += 1;
            }
            if seq <= self.floor && seq > 0 {
                continue;
            }
            if seq != self.seq + 1 {
                self.problem(seq, format!("it stands where {} belongs", self.seq + 1));
            }
            self.seq = seq;
            match of {
                Collection::History => {
                    self.summary.messages += 1;
                    if let Err(detail) = documents::history_entry(document) {
                        self.problem(seq, detail);
                    }
                }
                _ => {
                    self.summary.inbox_entries += 1;
                    self.inbox_entry(document, seq, &heads);
                }
            }
        }
        let done = self.summary.messages + self.summary.inbox_entries;
        (self.report)(CheckEvent::Progress { done, total: done });
        Ok(())
    }

    fn inbox_entry(&mut self, document: &RawDocumentBuf, seq: u64, heads: &BTreeMap<u128, Head>) {
        if let Err(detail) = documents::inbox_entry(document) {
            self.problem(seq, detail);
        }
        let Some(conversation) = documents::string(document, documents::CONVERSATION) else {
            return;
        };
        let position = documents::number(document, documents::CONVERSATION_SEQ).unwrap_or(0);
        // A message that its conversation does not have any more may have been trimmed there.
        let head = documents::message_id(document).and_then(|id| heads.get(&id));
        if let Some(head) = head.filter(|head| head.seq != position) {
            self.problem(seq, format!("its conversation has it at {}, not {position}", head.seq));
        }
        let before = self.conversations.insert(conversation.to_owned(), position);
        if before >= Some(position) {
            self.problem(seq, format!("it is {position} of {conversation:?}, after {before:?}"));
        }
    }

    fn problem(&mut self, seq: u64, detail: String) {
        self.summary.problems += 1;
        let place = format!("{:?} at {seq}", self.timeline);
        (self.report)(CheckEvent::Problem { place, detail });
    }
}

/// The floors of the timelines on a page.
async fn floors(
    call: &Call,
    of: Collection,
    found: &[RawDocumentBuf],
) -> Result<HashMap<String, u64>, Stop> {
    let prefix = if of == Collection::Inboxes { "inbox:" } else { "history:" };
    let mut ids: Vec<String> = found
        .iter()
        .filter_map(|document| documents::string(document, documents::TIMELINE))
        .map(|id| format!("{prefix}{id}"))
        .collect();
    ids.dedup();
    let ids = ids.into_iter().map(Bson::String).collect();
    let query = Query::Ids { of: Collection::Floors, ids, fields: Fields::All };
    let found = call.find(query).await?;
    let read = |document: &RawDocumentBuf| {
        let id = documents::string(document, documents::ID)?.strip_prefix(prefix)?.to_owned();
        Some((id, documents::number(document, FLOOR)?))
    };
    Ok(found.iter().filter_map(read).collect())
}
