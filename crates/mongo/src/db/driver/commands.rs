//! The words of MongoDB's commands, and what its replies say.

use mongodb::bson::raw::{CStr, RawDocument, RawDocumentBuf, cstr};
use mongodb::bson::{Bson, Document, RawBson, RawBsonRef, doc};

use super::super::{Collection, Fields, NoReply, Order, Outcome, Query, Tail, Update};
use crate::documents;

/// The code of a broken unique index, the only one that means anything.
const DUPLICATE_KEY: i32 = 11_000;

/// A find command.
pub(super) struct Find {
    pub of: Collection,
    pub filter: Document,
    pub sort: Document,
    pub projection: Document,
    pub limit: usize,
    pub bytes_max: usize,
    /// Whether only entries that have a position count.
    pub of_positions: bool,
}

/// An update command.
pub(super) struct Change {
    pub of: Collection,
    pub command: Document,
    /// A broken unique index means that somebody else holds a lease.
    pub held_if_taken: bool,
}

fn projection(fields: Fields) -> Document {
    match fields {
        Fields::All => doc! {},
        Fields::Entry => doc! { "rcpt": 0 },
        Fields::Head => doc! { "rcpt": 0, "message": 0, "raw": 0 },
    }
}

fn int(number: u64) -> i64 {
    documents::int(number)
}

/// The find command for a query.
pub(super) fn find(query: Query) -> Find {
    let all = |of, filter, sort, limit| Find {
        of,
        filter,
        sort,
        projection: projection(Fields::Head),
        limit,
        bytes_max: usize::MAX,
        of_positions: false,
    };
    match query {
        Query::Range { of, id, above, up_to, descending, limit, bytes_max, fields } => Find {
            of,
            filter: doc! {
                "id": id,
                "seq": { "$gt": int(above), "$lte": int(up_to.min(documents::SEQ_MAX)) },
            },
            sort: doc! { "seq": if descending { -1 } else { 1 } },
            projection: projection(fields),
            limit,
            bytes_max,
            of_positions: true,
        },
        Query::Ids { of, ids, fields } => Find {
            projection: projection(fields),
            ..all(of, doc! { "_id": { "$in": ids } }, doc! {}, usize::MAX)
        },
        Query::Pending { since, limit } => {
            all(Collection::History, doc! { "pend": { "$lte": since } }, doc! { "pend": 1 }, limit)
        }
        Query::LowestPending { id, up_to } => all(
            Collection::History,
            doc! { "id": id, "seq": { "$lte": int(up_to) }, "pend": { "$exists": true } },
            doc! { "seq": 1 },
            1,
        ),
        Query::OpenFloors { after, limit } => all(
            Collection::Floors,
            doc! { "open": { "$exists": true }, "_id": { "$gt": after } },
            doc! { "_id": 1 },
            limit,
        ),
    }
}

/// What can be a position: only numbers, since in MongoDB's order every text stands above them.
pub(super) fn positions() -> Document {
    doc! { "$gt": 0, "$lte": int(documents::SEQ_MAX) }
}

/// The find command for the newest entry of a timeline.
pub(super) fn tail(of: Collection, id: &str) -> Find {
    Find {
        of,
        filter: doc! { "id": id, "seq": positions() },
        sort: doc! { "seq": -1 },
        projection: match of {
            Collection::History => doc! { "seq": 1, "at": 1, "pend": 1 },
            _ => doc! { "seq": 1 },
        },
        limit: 1,
        bytes_max: usize::MAX,
        of_positions: true,
    }
}

/// The pipeline for the newest entries of many timelines. Sorted against the index, so that the
/// first of each group is found without reading the others.
pub(super) fn tails(of: Collection, ids: &[String]) -> Vec<Document> {
    let mut group = doc! { "_id": "$id", "seq": { "$first": "$seq" } };
    if of == Collection::History {
        group.insert("entry", doc! { "$first": "$_id" });
        group.insert("at", doc! { "$first": "$at" });
        group.insert("pend", doc! { "$first": "$pend" });
    }
    vec![
        doc! { "$match": { "id": { "$in": ids }, "seq": positions() } },
        doc! { "$sort": { "id": -1, "seq": -1 } },
        doc! { "$group": group },
    ]
}

/// A tail as [`tails`] finds it.
pub(super) fn tail_of_group(group: &RawDocument) -> Result<Tail, NoReply> {
    let id = documents::string(group, documents::ID);
    let id = id.ok_or_else(|| NoReply("a tail without its timeline".to_owned()))?;
    tail_at(id.to_owned(), group, documents::field(group, cstr!("entry")))
}

/// A tail as [`tail`] finds it.
pub(super) fn tail_of_entry(id: String, entry: &RawDocument) -> Result<Tail, NoReply> {
    tail_at(id, entry, documents::field(entry, documents::ID))
}

fn tail_at(
    id: String,
    found: &RawDocument,
    entry: Option<RawBsonRef<'_>>,
) -> Result<Tail, NoReply> {
    Ok(Tail {
        id,
        seq: seq(found)?,
        at: documents::made_at_by(documents::when(found, documents::AT), entry),
        pending: documents::field(found, documents::PENDING).is_some(),
    })
}

/// The update command for a change, without its collection.
pub(super) fn update(update: Update) -> Change {
    let held_if_taken = matches!(update, Update::Lease { .. });
    let (of, q, u, upsert) = match update {
        Update::MarkWhole { ids, at } => (
            Collection::History,
            doc! { "_id": { "$in": ids }, "pend": { "$exists": true } },
            doc! { "$set": { "whole": at }, "$unset": { "rcpt": "", "pend": "" } },
            false,
        ),
        Update::UseAgain { id, seq } => (
            Collection::History,
            doc! { "_id": id, "seq": int(seq) },
            doc! { "$set": { "again": true } },
            false,
        ),
        Update::RaiseFloor { id, to, at } => (
            Collection::Floors,
            doc! { "_id": id },
            doc! { "$max": { "floor": int(to) }, "$set": { "open": at } },
            true,
        ),
        Update::CloseFloor { id, floor } => (
            Collection::Floors,
            doc! { "_id": id, "floor": int(floor) },
            doc! { "$unset": { "open": "" } },
            false,
        ),
        Update::Lease { id, holder, now, until } => (
            Collection::Meta,
            doc! { "_id": id, "$or": [{ "holder": &holder }, { "until": { "$lt": now } }] },
            doc! { "$set": { "holder": &holder, "until": until } },
            true,
        ),
    };
    let change = doc! { "q": q, "u": u, "multi": !upsert, "upsert": upsert };
    Change { of, command: doc! { "updates": [change] }, held_if_taken }
}

/// A delete command, without its collection.
pub(super) fn delete(id: &str, up_to: u64, ids: Vec<Bson>) -> Document {
    let q = doc! {
        "id": id,
        "seq": { "$lte": int(up_to) },
        "_id": { "$in": ids },
        "again": { "$exists": false },
    };
    doc! { "deletes": [{ "q": q, "limit": 0 }] }
}

/// Adds all fields of `document`.
pub(super) fn append_all(
    command: &mut RawDocumentBuf,
    document: &Document,
) -> Result<(), mongodb::bson::error::Error> {
    for (name, value) in document {
        let name: &CStr = name.as_str().try_into()?;
        command.append(name, RawBson::try_from(value.clone())?);
    }
    Ok(())
}

/// The indexes of documents that broke a unique index, in ascending order.
///
/// # Errors
/// If anything else went wrong with any: then nothing is certain.
pub(super) fn write_errors(reply: &Document) -> Result<Vec<usize>, NoReply> {
    let Some(errors) = reply.get("writeErrors") else {
        return Ok(Vec::new());
    };
    let uncertain = || NoReply(format!("write errors {errors}"));
    let mut indexes = Vec::new();
    for error in errors.as_array().ok_or_else(uncertain)? {
        let error = error.as_document().ok_or_else(uncertain)?;
        if whole(error.get("code")) != Some(i64::from(DUPLICATE_KEY)) {
            return Err(uncertain());
        }
        let index = whole(error.get("index")).ok_or_else(uncertain)?;
        indexes.push(usize::try_from(index).map_err(|_| uncertain())?);
    }
    indexes.sort_unstable();
    Ok(indexes)
}

/// What became of each of `count` documents of an insert.
pub(super) fn outcomes(
    reply: &Document,
    count: usize,
    order: Order,
) -> Result<Vec<Outcome>, NoReply> {
    let mut outcomes = vec![Outcome::Stored; count];
    for index in write_errors(reply)? {
        let refused = match order {
            Order::Ordered => index..count,
            Order::Unordered | Order::Alone => index..index + 1,
        };
        let refused = outcomes.get_mut(refused);
        refused
            .ok_or_else(|| NoReply("an error at no document".to_owned()))?
            .fill(Outcome::Refused);
    }
    Ok(outcomes)
}

/// How many documents an update found or made.
pub(super) fn count(reply: &Document) -> Result<u64, NoReply> {
    let count = whole(reply.get("n")).and_then(|n| u64::try_from(n).ok());
    count.ok_or_else(|| NoReply("a reply without a count".to_owned()))
}

/// The `seq` of a document.
fn seq(document: &RawDocument) -> Result<u64, NoReply> {
    let seq = documents::number(document, documents::SEQ);
    seq.ok_or_else(|| NoReply("an entry without a seq".to_owned()))
}

fn whole(number: Option<&Bson>) -> Option<i64> {
    match number? {
        Bson::Int32(number) => Some(i64::from(*number)),
        Bson::Int64(number) => Some(*number),
        Bson::Double(number) if number.fract() == 0.0 => Some(*number as i64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Outcome = Outcome::Stored;
    const R: Outcome = Outcome::Refused;

    #[test]
    fn an_ordered_insert_ends_at_the_first_refusal_and_an_unordered_one_does_not() {
        let reply = doc! { "ok": 1, "n": 2, "writeErrors": [{ "index": 1, "code": 11000 }] };
        assert_eq!(outcomes(&reply, 4, Order::Ordered).unwrap(), [S, R, R, R]);
        assert_eq!(outcomes(&reply, 4, Order::Unordered).unwrap(), [S, R, S, S]);
        // The count of a reply is not relied upon.
        assert_eq!(outcomes(&doc! { "n": 0 }, 2, Order::Ordered).unwrap(), [S, S]);
    }

    #[test]
    fn an_error_that_is_no_duplicate_makes_all_uncertain() {
        for errors in [
            doc! { "writeErrors": [{ "index": 0, "code": 11000 }, { "index": 1, "code": 91 }] },
            doc! { "writeErrors": [{ "code": 11000 }] },
            doc! { "writeErrors": [{ "index": 7, "code": 11000 }] },
            doc! { "writeErrors": "E11000 duplicate key error" },
        ] {
            assert!(outcomes(&errors, 3, Order::Unordered).is_err(), "{errors}");
        }
    }
}
