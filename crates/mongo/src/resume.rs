//! Resuming: finishing what an instance began to deliver and did not live to finish.

use std::collections::BTreeMap;
use std::time::Duration;

use seqline_core::clock::UnixMillis;

use crate::aside::{Found, Work};
use crate::call::{Call, Stop};
use crate::counts::Operation;
use crate::db::Query;
use crate::documents::{self, Head};
use crate::marks;
use crate::shell;
use crate::walk::{self, corrupt};

/// Most entries that are looked at in one go.
const FOUND_MAX: usize = 1_000;

/// Makes the conversation `id` whole up to the entry `seq`, which is pending, and marks it.
pub(crate) async fn one(call: &Call, id: &str, seq: u64) -> Result<(), Stop> {
    let shared = &call.shared;
    if seq <= shared.tails.whole(id) {
        // Everybody has it, only its mark was lost.
        let query = Query::LowestPending { id: id.to_owned(), up_to: seq };
        for document in call.find(query).await? {
            shared.marks.add(call, corrupt(id, seq, Head::read(&document))?.stem);
        }
    } else {
        walk::make_whole(call, id, &BTreeMap::new(), seq).await?;
    }
    marks::flush(call).await
}

/// Finishes entries that are pending for `age` or longer; how many there were. Conversations
/// one after the other, each by its entries in order. Those of which a document cannot be
/// understood are set aside.
///
/// # Errors
/// The first that stopped it; the others of this go were tried all the same.
pub(crate) async fn all(call: &Call, age: Duration) -> Result<usize, Stop> {
    let shared = &call.shared;
    let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    let since = UnixMillis(shared.clock.now().0.saturating_sub(age));
    // The oldest come first, and what is set aside stays: it must not crowd out the rest.
    let limit = FOUND_MAX + shared.aside.count(Work::Deliver);
    let query = Query::Pending { since: documents::time(since), limit };
    let mut conversations: BTreeMap<String, u64> = BTreeMap::new();
    let mut aside = Found::default();
    let found = call.find(query).await?;
    for document in &found {
        let id = documents::string(document, documents::TIMELINE).unwrap_or_default();
        match Head::read(document) {
            Ok(head) => {
                let last = conversations.entry(id.to_owned()).or_default();
                *last = head.seq.max(*last);
            }
            Err(detail) => {
                let name = shell::name(document);
                let detail = format!("{name}: {detail}");
                aside.take(&name, corrupt(id, 0, Err(detail)))?;
            }
        }
    }
    let mut result = Ok(found.len());
    for (id, last) in conversations {
        let call = Call::new(shared, Operation::Care);
        if let Err(stop) = aside.take(&id, finish(&call, &id, last).await) {
            tracing::warn!(conversation = id, %stop, "a delivery could not be resumed");
            result = Err(stop);
        }
    }
    shared.aside.round(Work::Deliver, aside);
    shared.counts.resumed(found.len());
    result
}

/// Makes one conversation whole up to `last`, with what was marked out of order below it.
async fn finish(call: &Call, id: &str, last: u64) -> Result<(), Stop> {
    for round in 0.. {
        let query = Query::LowestPending { id: id.to_owned(), up_to: last };
        let found = call.find(query).await?;
        let Some(document) = found.first() else {
            break;
        };
        let head = corrupt(id, 0, Head::read(document))?;
        // The highest first: what stands below it is delivered on the way.
        one(call, id, if round == 0 { last } else { head.seq }).await?;
    }
    Ok(())
}
