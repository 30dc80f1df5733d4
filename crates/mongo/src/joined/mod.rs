//! Calls that go to the database together: what waits at the same moment is one command.
//!
//! Sends of different conversations have nothing to do with each other, but a command costs the
//! database more than a document does. So this stands between all operations and the database,
//! and joins their single inserts, their questions for tails and their looks for `_id`s. Nothing
//! is delayed for it: a few commands of each kind are under way at a time, and what comes
//! meanwhile goes with the next.
//!
//! Nothing changes for the protocol. Its inserts here are those of which any part may be done, in
//! any order, with other writers between; a joined one is no more than several of them, of which
//! each hears what became of its own documents. What has no reply has none for each of them.

mod joiner;
mod kinds;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::{Bson, RawDocumentBuf};
use tokio::runtime::Handle;

use self::joiner::{Joiner, Kind, Outside};
use self::kinds::{Inserts, Looks, Tails};
use crate::counts;
use crate::db::{
    Collection, Db, Entries, Fields, IndexError, Order, Outcome, Query, Reply, Scan, Tail, Update,
};
use crate::life::Life;
use crate::uptime::Uptime;

/// A call of at least so many documents, or that much of a command's bytes, is a command of its
/// own: it would gain nothing, and small ones would wait for it.
const LARGE_ITEMS: usize = joiner::ITEMS_MAX / 2;
const LARGE_BYTES: usize = joiner::BYTES_MAX / 2;

/// A database whose calls are joined.
pub(crate) struct Joined {
    db: Arc<dyn Db>,
    inserts: HashMap<Collection, Arc<Joiner<Inserts>>>,
    tails: HashMap<Collection, Arc<Joiner<Tails>>>,
    looks: HashMap<Collection, Arc<Joiner<Looks>>>,
}

impl Joined {
    /// Calls of `db`, which nothing is sent to once `life` has ended. `command_time` is how long a
    /// command may take.
    pub fn new(
        db: Arc<dyn Db>,
        uptime: Arc<dyn Uptime>,
        life: Arc<Life>,
        command_time: Duration,
        runtime: Handle,
    ) -> Joined {
        let joined = counts::joined();
        let outside = Outside { db: Arc::clone(&db), uptime, life, command_time, runtime, joined };
        Joined {
            db,
            inserts: each(&outside, |into| Inserts { into }),
            tails: each(&outside, |of| Tails { of }),
            looks: each(&outside, |of| Looks { of }),
        }
    }
}

/// One joiner for each collection of entries.
fn each<K: Kind>(
    outside: &Outside,
    kind: impl Fn(Collection) -> K,
) -> HashMap<Collection, Arc<Joiner<K>>> {
    let of = [Collection::Inboxes, Collection::History];
    of.into_iter().map(|of| (of, Arc::new(Joiner::new(kind(of), outside.clone())))).collect()
}

/// The joiner for a call, if it is one to join.
fn joiner<'a, K: Kind>(
    joiners: &'a HashMap<Collection, Arc<Joiner<K>>>,
    of: Collection,
    ask: &K::Ask,
) -> Option<&'a Arc<Joiner<K>>> {
    let size = K::size(ask);
    let large = size.items >= LARGE_ITEMS || size.bytes >= LARGE_BYTES;
    joiners.get(&of).filter(|_| !large)
}

/// Whether a question by `_id` is one that looks for what an own insert became.
fn is_look(ids: &[Bson], fields: Fields) -> bool {
    fields == Fields::Head && ids.iter().all(|id| matches!(id, Bson::Binary(_)))
}

impl Db for Joined {
    fn insert(
        &self,
        into: Collection,
        documents: Vec<RawDocumentBuf>,
        order: Order,
        within: Duration,
    ) -> Reply<Vec<Outcome>> {
        match joiner(&self.inserts, into, &documents) {
            Some(joiner) if order == Order::Unordered => joiner.call(documents, within),
            _ => self.db.insert(into, documents, order, within),
        }
    }

    fn find(&self, query: Query, within: Duration) -> Reply<Vec<RawDocumentBuf>> {
        match query {
            Query::Ids { of, ids, fields } if is_look(&ids, fields) => {
                match joiner(&self.looks, of, &ids) {
                    Some(joiner) => joiner.call(ids, within),
                    None => self.db.find(Query::Ids { of, ids, fields }, within),
                }
            }
            query => self.db.find(query, within),
        }
    }

    fn tails(&self, of: Collection, ids: Vec<String>, within: Duration) -> Reply<Vec<Tail>> {
        match joiner(&self.tails, of, &ids) {
            Some(joiner) => joiner.call(ids, within),
            None => self.db.tails(of, ids, within),
        }
    }

    fn update(&self, update: Update, within: Duration) -> Reply<u64> {
        self.db.update(update, within)
    }

    fn delete(&self, entries: Entries, within: Duration) -> Reply<()> {
        self.db.delete(entries, within)
    }

    fn scan(&self, of: Collection) -> Scan {
        self.db.scan(of)
    }

    fn count(&self, of: Collection) -> Reply<u64> {
        self.db.count(of)
    }

    fn prepare(&self) -> Pin<Box<dyn Future<Output = Result<(), IndexError>> + Send + 'static>> {
        self.db.prepare()
    }
}
