//! Walking back: whoever delivers an entry first makes every unfinished one before it whole.
//!
//! What makes this enough: an entry is marked, or known here to be whole, only when all before it
//! are. So the first whole entry met on the way back ends the walk.

use std::collections::BTreeMap;

use mongodb::bson::RawDocumentBuf;

use crate::call::{Call, Stop};
use crate::db::{Collection, Fields, Query};
use crate::deliver::{Entry, deliver};
use crate::documents::{Head, Sent};

/// How far the first read of a walk reaches below the lowest entry that is to be delivered.
const REACH: u64 = 8;

/// Makes the conversation `id` whole up to entry `up_to`, which exists. `own` are entries this
/// operation has just stored, by position. Returns of each entry it delivered the position in the
/// inbox of its last recipient.
///
/// # Errors
/// If time is up; whoever comes next goes on.
pub(crate) async fn make_whole(
    call: &Call,
    id: &str,
    own: &BTreeMap<u64, &Sent>,
    up_to: u64,
) -> Result<BTreeMap<u64, u64>, Stop> {
    let shared = &call.shared;
    let whole = shared.tails.whole(id);
    if up_to <= whole {
        return Ok(BTreeMap::new());
    }
    let others = if (whole + 1..=up_to).all(|seq| own.contains_key(&seq)) {
        (whole + 1, BTreeMap::new())
    } else {
        unfinished(call, id, own, up_to, whole).await?
    };
    let (first, others) = others;
    let entries: Vec<Entry<'_>> = (first..=up_to)
        .filter_map(|seq| match own.get(&seq) {
            Some(sent) => Some(Entry { sent, new: true }),
            None => others.get(&seq).map(|sent| Entry { sent, new: false }),
        })
        .collect();
    let places = deliver(call, id, &entries).await?;
    shared.counts.helped(entries.iter().filter(|entry| !entry.new).count());
    // Everything up to here, not only these entries: the walk ended at a whole one.
    shared.tails.know_whole(id, up_to);
    shared.marks.add(call, entries.iter().map(|entry| entry.sent.stem));
    Ok(entries.iter().map(|entry| entry.sent.seq).zip(places).collect())
}

/// The first entry that is to be delivered, and those from there on that are not `own`.
async fn unfinished(
    call: &Call,
    id: &str,
    own: &BTreeMap<u64, &Sent>,
    up_to: u64,
    whole: u64,
) -> Result<(u64, BTreeMap<u64, Sent>), Stop> {
    // While this operation waited for numbers others may have made a part of its entries whole.
    let own_left = || own.range(whole + 1..=up_to);
    let lowest = own_left().next().map_or(up_to, |(seq, _)| *seq);
    let mut reach = REACH;
    for round in 0.. {
        let above = lowest.saturating_sub(reach + 1).max(whole);
        let documents = read(call, id, above, up_to).await?;
        let complete = own_left().all(|(seq, _)| documents.contains_key(seq));
        if !documents.contains_key(&up_to) || !complete {
            // An old view: what it does not show may be there, and be unfinished.
            call.pause(round).await;
            continue;
        }
        let pending =
            |seq: &u64| documents.get(seq).is_some_and(|(head, _)| head.pending.is_some());
        let first = (above + 1..=up_to).rev().take_while(pending).last().unwrap_or(up_to + 1);
        if first == above + 1 && above > whole {
            reach = reach.saturating_mul(8);
            continue;
        }
        let mut others = BTreeMap::new();
        for (seq, (_, document)) in documents.range(first..) {
            if !own.contains_key(seq) {
                others.insert(*seq, corrupt(id, *seq, Sent::read(document))?);
            }
        }
        return Ok((first, others));
    }
    Err(Stop::Late("the database shows old views only".to_owned()))
}

async fn read(
    call: &Call,
    id: &str,
    above: u64,
    up_to: u64,
) -> Result<BTreeMap<u64, (Head, RawDocumentBuf)>, Stop> {
    let query = Query::Range {
        of: Collection::History,
        id: id.to_owned(),
        above,
        up_to,
        descending: false,
        limit: usize::MAX,
        bytes_max: usize::MAX,
        fields: Fields::All,
    };
    let documents = call.find(query).await?;
    let heads = documents.into_iter().map(|document| {
        let head = corrupt(id, 0, Head::read(&document))?;
        Ok((head.seq, (head, document)))
    });
    heads.collect()
}

pub(crate) fn corrupt<T>(id: &str, seq: u64, read: Result<T, String>) -> Result<T, Stop> {
    read.map_err(|detail| Stop::Corrupt { timeline: id.to_owned(), seq, detail })
}
