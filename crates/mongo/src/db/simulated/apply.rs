//! Commands, done on the nodes: each document a step of its own, with time between.

use std::sync::Arc;

use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};

use super::state::{Change, Key, State, key_of};
use super::{Set, pause};
use crate::bounds::FLOOR;
use crate::db::{Collection, Entries, Fields, NoReply, Order, Outcome, Query, Tail, Update};
use crate::documents;

/// Since when something below a floor is still to be deleted.
const OPEN: &mongodb::bson::raw::CStr = mongodb::bson::raw::cstr!("open");

pub(super) async fn insert(
    set: Arc<Set>,
    into: Collection,
    documents: Vec<RawDocumentBuf>,
    order: Order,
) -> Result<Vec<Outcome>, NoReply> {
    let term = set.nodes().term;
    let mut outcomes = vec![Outcome::Refused; documents.len()];
    let mut last = 0;
    let mut turns: Vec<usize> = (0..documents.len()).collect();
    if order != Order::Ordered {
        set.weather.shuffle(&mut turns);
    }
    for turn in turns {
        pause(set.weather.step()).await;
        match set.change_if(into, &documents[turn], term)? {
            Some(count) => {
                last = count;
                outcomes[turn] = Outcome::Stored;
            }
            None if order == Order::Ordered => break,
            None => {}
        }
    }
    set.committed(last, term).await?;
    Ok(outcomes)
}

pub(super) async fn find(set: Arc<Set>, query: Query) -> Result<Vec<RawDocumentBuf>, NoReply> {
    pause(set.weather.step()).await;
    let old = set.weather.is_old(&query);
    let nodes = set.nodes();
    let state = if old { &nodes.old } else { &nodes.committed };
    Ok(match query {
        Query::Range { of, id, above, up_to, descending, limit, bytes_max, fields } => {
            let range = state.range(of, &id, above, up_to);
            let mut bytes = 0_usize;
            let mut take = |document: &&RawDocumentBuf| {
                let more = bytes <= bytes_max;
                bytes = bytes.saturating_add(document.as_bytes().len());
                more
            };
            if descending {
                range.rev().take(limit).take_while(&mut take).map(|d| only(d, fields)).collect()
            } else {
                range.take(limit).take_while(&mut take).map(|d| only(d, fields)).collect()
            }
        }
        Query::Ids { of, ids, fields } => {
            let found = ids.iter().filter_map(|id| state.get(of, &key_of(id)));
            found.map(|document| only(document, fields)).collect()
        }
        Query::Pending { since, limit } => {
            let latest = documents::millis(since);
            let mut found = pending(state, |since| since <= latest);
            found.sort_by_key(|document| documents::when(document, documents::PENDING));
            found.truncate(limit);
            found
        }
        Query::LowestPending { id, up_to } => {
            let range = state.range(Collection::History, &id, 0, up_to);
            let is_pending =
                |d: &&RawDocumentBuf| documents::field(d, documents::PENDING).is_some();
            range.filter(is_pending).take(1).map(|d| only(d, Fields::Head)).collect()
        }
        Query::OpenFloors { after, limit } => {
            let mut found = state.all(Collection::Floors);
            let open = |document: &RawDocumentBuf| documents::field(document, OPEN).is_some();
            let id = |document: &RawDocumentBuf| {
                documents::string(document, documents::ID).unwrap_or_default().to_owned()
            };
            found.retain(|document| open(document) && id(document) > after);
            found.truncate(limit);
            found
        }
    })
}

fn pending(
    state: &State,
    wanted: impl Fn(seqline_core::clock::UnixMillis) -> bool,
) -> Vec<RawDocumentBuf> {
    let mut found = state.all(Collection::History);
    found.retain(|d| documents::when(d, documents::PENDING).is_some_and(&wanted));
    found.iter().map(|document| only(document, Fields::Head)).collect()
}

fn only(document: &RawDocumentBuf, fields: Fields) -> RawDocumentBuf {
    let without: &[&str] = match fields {
        Fields::All => return document.clone(),
        Fields::Entry => &["rcpt"],
        Fields::Head => &["rcpt", "message", "raw"],
    };
    let mut kept = RawDocumentBuf::new();
    for (name, value) in document.iter().flatten() {
        if !without.contains(&name.as_str()) {
            kept.append(name, value);
        }
    }
    kept
}

pub(super) async fn tails(
    set: Arc<Set>,
    of: Collection,
    ids: Vec<String>,
) -> Result<Vec<Tail>, NoReply> {
    let mut tails = Vec::new();
    for id in ids {
        pause(set.weather.step()).await;
        let nodes = set.nodes();
        let state = if set.weather.is_tail_old(of) { &nodes.old } else { &nodes.committed };
        let last = state.range(of, &id, 0, u64::MAX).next_back();
        tails.extend(last.and_then(|last| {
            Some(Tail {
                seq: documents::number(last, documents::SEQ)?,
                id,
                at: documents::made_at(last),
                pending: documents::field(last, documents::PENDING).is_some(),
            })
        }));
    }
    Ok(tails)
}

pub(super) async fn update(set: Arc<Set>, update: Update) -> Result<u64, NoReply> {
    let term = set.nodes().term;
    let (mut found, mut last) = (0, 0);
    for id in targets(&update) {
        pause(set.weather.step()).await;
        let of = collection(&update);
        if let Some(count) = set.rewrite(of, &id, term, |document| change(&update, document))? {
            found += 1;
            last = count;
        }
    }
    set.committed(last, term).await?;
    Ok(found)
}

fn collection(update: &Update) -> Collection {
    match update {
        Update::MarkWhole { .. } | Update::UseAgain { .. } => Collection::History,
        Update::RaiseFloor { .. } | Update::CloseFloor { .. } => Collection::Floors,
        Update::Lease { .. } => Collection::Meta,
    }
}

fn targets(update: &Update) -> Vec<Bson> {
    match update {
        Update::MarkWhole { ids, .. } => ids.iter().cloned().map(Bson::Binary).collect(),
        Update::UseAgain { id, .. } => vec![Bson::Binary(id.clone())],
        Update::RaiseFloor { id, .. }
        | Update::CloseFloor { id, .. }
        | Update::Lease { id, .. } => {
            vec![Bson::String(id.clone())]
        }
    }
}

/// The document after the change; `None` if it is not one to change.
fn change(update: &Update, before: Option<&Document>) -> Option<Document> {
    let floor = FLOOR.as_str();
    match (update, before) {
        (Update::MarkWhole { at, .. }, Some(before)) if before.contains_key("pend") => {
            let mut after = before.clone();
            after.remove("pend");
            after.remove("rcpt");
            after.insert("whole", *at);
            Some(after)
        }
        (Update::UseAgain { seq, .. }, Some(before))
            if before.get_i64("seq").is_ok_and(|there| there == documents::int(*seq)) =>
        {
            let mut after = before.clone();
            after.insert("again", true);
            Some(after)
        }
        (Update::RaiseFloor { id, to, at }, before) => {
            let to = documents::int(*to);
            let before = before.map_or(0, |before| before.get_i64(floor).unwrap_or(0));
            Some(doc! { "_id": id, floor: to.max(before), OPEN.as_str(): *at })
        }
        (Update::CloseFloor { floor: to, .. }, Some(before))
            if before.get_i64(floor).is_ok_and(|there| there == documents::int(*to)) =>
        {
            let mut after = before.clone();
            after.remove(OPEN.as_str());
            Some(after)
        }
        (Update::Lease { id, holder, now, until }, before) => {
            let free = before.is_none_or(|before| {
                before.get_str("holder").is_ok_and(|held| held == holder)
                    || before.get_datetime("until").is_ok_and(|until| until < now)
            });
            free.then(|| doc! { "_id": id, "holder": holder, "until": *until })
        }
        _ => None,
    }
}

pub(super) async fn delete(set: Arc<Set>, entries: Entries) -> Result<(), NoReply> {
    let term = set.nodes().term;
    let mut last = 0;
    for id in &entries.ids {
        pause(set.weather.step()).await;
        last = set.remove_if(&entries, &key_of(id), term)?.unwrap_or(last);
    }
    set.committed(last, term).await
}

impl Set {
    /// Inserts a document if no index refuses it.
    fn change_if(
        self: &Arc<Set>,
        into: Collection,
        document: &RawDocumentBuf,
        term: u64,
    ) -> Result<Option<u64>, NoReply> {
        self.change_with(term, |local| {
            (!local.refuses(into, document)).then(|| Change::put(into, document))
        })
    }

    /// Changes a document, or makes it.
    fn rewrite(
        self: &Arc<Set>,
        of: Collection,
        id: &Bson,
        term: u64,
        change: impl FnOnce(Option<&Document>) -> Option<Document>,
    ) -> Result<Option<u64>, NoReply> {
        self.change_with(term, |local| {
            let before = local.get(of, &key_of(id));
            let before = before.and_then(|before| Document::try_from(before.as_ref()).ok());
            let after = RawDocumentBuf::try_from(&change(before.as_ref())?).ok()?;
            Some(Change::put(of, &after))
        })
    }

    /// Removes a document if it is one of `entries`, unless it is to stay for ever.
    fn remove_if(
        self: &Arc<Set>,
        entries: &Entries,
        key: &Key,
        term: u64,
    ) -> Result<Option<u64>, NoReply> {
        self.change_with(term, |local| {
            let document = local.get(entries.of, key)?;
            let meant = documents::string(document, documents::TIMELINE) == Some(&entries.id)
                && documents::number(document, documents::SEQ) <= Some(entries.up_to);
            let stays = documents::field(document, documents::AGAIN).is_some();
            (meant && !stays).then(|| Change::Remove(entries.of, key.clone()))
        })
    }
}
