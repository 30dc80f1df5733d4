//! Purging: deleting what was trimmed long ago.
//!
//! An entry goes only when nobody can still need its number or its `_id`: it is older than the
//! grace period, and its message has been whole for longer than that, so no operation that began
//! before is still running and no known tail of before is still used. Lowest first, up to the
//! first that must stay.

use std::collections::BTreeMap;

use mongodb::bson::{Bson, RawDocumentBuf};
use seqline_core::clock::UnixMillis;

use crate::aside::{Found, Work};
use crate::bounds::FLOOR;
use crate::call::{Call, Stop};
use crate::counts::Operation;
use crate::db::{Collection, Entries, Fields, Query, Update};
use crate::documents::{self, Head};
use crate::heads;
use crate::shared::Shared;
use crate::walk::corrupt;

/// Most floors that are looked at in one go.
const FLOORS_MAX: usize = 1_000;
/// Most entries in one command.
const ENTRIES_MAX: usize = 500;

/// Deletes what may go below the floors behind `after`; the last floor looked at, or nothing at
/// the end.
pub(crate) async fn some(call: &Call, after: String) -> Result<String, Stop> {
    let found = call.find(Query::OpenFloors { after, limit: FLOORS_MAX }).await?;
    let (mut last, mut aside) = (String::new(), Found::default());
    for document in &found {
        let id = documents::string(document, documents::ID).unwrap_or_default();
        last = id.to_owned();
        let floor = documents::number(document, FLOOR).unwrap_or(0);
        let place = match (id.strip_prefix("inbox:"), id.strip_prefix("history:")) {
            (Some(member), _) => (Collection::Inboxes, member),
            (_, Some(conversation)) => (Collection::History, conversation),
            _ => continue,
        };
        let call = Call::new(&call.shared, Operation::Care);
        let mut is_all = false;
        let done = below(&call, place.0, place.1, floor).await.map(|all| is_all = all);
        aside.take(id, done)?;
        if is_all {
            call.update(Update::CloseFloor { id: id.to_owned(), floor }).await?;
        }
    }
    call.shared.aside.round(Work::Delete, aside);
    Ok(if found.len() == FLOORS_MAX { last } else { String::new() })
}

/// Deletes what may go of one timeline; whether that is all up to its floor.
async fn below(call: &Call, of: Collection, id: &str, floor: u64) -> Result<bool, Stop> {
    let mut above = 0;
    loop {
        let query = Query::Range {
            of,
            id: id.to_owned(),
            above,
            up_to: floor,
            descending: false,
            limit: ENTRIES_MAX,
            bytes_max: usize::MAX,
            fields: Fields::Head,
        };
        let found = call.find(query).await?;
        let Some(last) = found.last() else {
            return Ok(true);
        };
        above = documents::number(last, documents::SEQ).unwrap_or(u64::MAX);
        let heads = match of {
            Collection::Inboxes => heads::of(call, &found).await?,
            _ => BTreeMap::new(),
        };
        let mut ids: Vec<Bson> = Vec::new();
        let mut stays = false;
        for document in &found {
            let may_go = match of {
                Collection::Inboxes => inbox_entry_may_go(&call.shared, document, &heads),
                _ => {
                    let head = corrupt(id, 0, Head::read(document))?;
                    if head.again {
                        // For ever: see `Update::UseAgain`.
                        continue;
                    }
                    is_old(&call.shared, head.at) && is_long_whole(&call.shared, &head)
                }
            };
            if !may_go {
                stays = true;
                break;
            }
            ids.extend(documents::field(document, documents::ID).and_then(|id| id.try_into().ok()));
        }
        if !ids.is_empty() {
            call.delete(Entries { of, id: id.to_owned(), up_to: floor, ids }).await?;
        }
        if stays {
            return Ok(false);
        }
    }
}

/// A message that is not in its conversation any more was deleted there under the same rule; one
/// of go-timeline's was whole ever since.
fn inbox_entry_may_go(
    shared: &Shared,
    entry: &RawDocumentBuf,
    heads: &BTreeMap<u128, Head>,
) -> bool {
    let head = documents::message_id(entry).and_then(|id| heads.get(&id));
    is_old(shared, documents::made_at(entry)) && head.is_none_or(|head| is_long_whole(shared, head))
}

fn is_old(shared: &Shared, at: UnixMillis) -> bool {
    let age = u128::from(shared.clock.now().0.saturating_sub(at.0));
    age > shared.options.grace.as_millis()
}

fn is_long_whole(shared: &Shared, head: &Head) -> bool {
    match (head.pending, head.whole) {
        (None, Some(whole)) => is_old(shared, whole),
        (None, None) => head.stem.is_none(),
        (Some(_), _) => false,
    }
}
