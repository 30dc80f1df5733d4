//! The kinds of calls that can be joined, and how one command's reply is that of each.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use mongodb::bson::{Bson, RawBsonRef, RawDocumentBuf};

use super::joiner::{Answers, Kind, Size};
use crate::db::{Collection, Db, Fields, NoReply, Order, Outcome, Query, Tail};
use crate::documents;

fn never_sent<T>() -> Result<T, NoReply> {
    Err(NoReply("it was never sent: the commands before it took too long".to_owned()))
}

/// Unordered inserts into a collection.
pub(super) struct Inserts {
    pub into: Collection,
}

impl Kind for Inserts {
    type Ask = Vec<RawDocumentBuf>;
    type Answer = Vec<Outcome>;

    fn size(ask: &Self::Ask) -> Size {
        let bytes = ask.iter().map(|document| document.as_bytes().len()).sum();
        Size { items: ask.len(), bytes }
    }

    fn unsent(ask: &Self::Ask) -> Result<Vec<Outcome>, NoReply> {
        Ok(vec![Outcome::Refused; ask.len()])
    }

    fn send(&self, db: &dyn Db, asks: Vec<Self::Ask>, within: Duration) -> Answers<Self::Answer> {
        let counts: Vec<usize> = asks.iter().map(Vec::len).collect();
        let documents = asks.into_iter().flatten().collect();
        let reply = db.insert(self.into, documents, Order::Unordered, within);
        Box::pin(async move {
            let mut outcomes = reply.await?.into_iter();
            Ok(counts.into_iter().map(|count| outcomes.by_ref().take(count).collect()).collect())
        })
    }
}

/// Questions for the tails of timelines.
pub(super) struct Tails {
    pub of: Collection,
}

impl Kind for Tails {
    type Ask = Vec<String>;
    type Answer = Vec<Tail>;

    fn size(ask: &Self::Ask) -> Size {
        Size { items: ask.len(), bytes: ask.iter().map(String::len).sum() }
    }

    fn unsent(_: &Self::Ask) -> Result<Vec<Tail>, NoReply> {
        never_sent()
    }

    fn send(
        &self,
        db: &dyn Db,
        mut asks: Vec<Self::Ask>,
        within: Duration,
    ) -> Answers<Self::Answer> {
        if let [_] = asks[..] {
            let reply = db.tails(self.of, asks.remove(0), within);
            return Box::pin(async move { Ok(vec![reply.await?]) });
        }
        let all: BTreeSet<&String> = asks.iter().flatten().collect();
        let reply = db.tails(self.of, all.into_iter().cloned().collect(), within);
        Box::pin(async move {
            let found: HashMap<String, Tail> =
                reply.await?.into_iter().map(|tail| (tail.id.clone(), tail)).collect();
            let of =
                |ids: Vec<String>| ids.iter().filter_map(|id| found.get(id).cloned()).collect();
            Ok(asks.into_iter().map(of).collect())
        })
    }
}

fn binary_id(document: &RawDocumentBuf) -> Option<Vec<u8>> {
    match documents::field(document, documents::ID)? {
        RawBsonRef::Binary(id) => Some(id.bytes.to_vec()),
        _ => None,
    }
}

/// Looks for entries by `_id`s, which are binary.
pub(super) struct Looks {
    pub of: Collection,
}

impl Kind for Looks {
    type Ask = Vec<Bson>;
    type Answer = Vec<RawDocumentBuf>;

    fn size(ask: &Self::Ask) -> Size {
        Size { items: ask.len(), bytes: 0 }
    }

    fn unsent(_: &Self::Ask) -> Result<Vec<RawDocumentBuf>, NoReply> {
        never_sent()
    }

    fn send(&self, db: &dyn Db, asks: Vec<Self::Ask>, within: Duration) -> Answers<Self::Answer> {
        let ids = asks.iter().flatten().cloned().collect();
        let reply = db.find(Query::Ids { of: self.of, ids, fields: Fields::Head }, within);
        Box::pin(async move {
            let found: HashMap<Vec<u8>, RawDocumentBuf> = reply
                .await?
                .into_iter()
                .filter_map(|document| Some((binary_id(&document)?, document)))
                .collect();
            let of = |ids: Vec<Bson>| {
                let one = |id: &Bson| match id {
                    Bson::Binary(id) => found.get(&id.bytes).cloned(),
                    _ => None,
                };
                ids.iter().filter_map(one).collect()
            };
            Ok(asks.into_iter().map(of).collect())
        })
    }
}
