//! The line of one instance to any database, which a test can cut as a kill does.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::RawDocumentBuf;

use crate::db::simulated::link::Link;
use crate::db::{
    Collection, Db, Entries, IndexError, NoReply, Order, Outcome, Query, Reply, Scan, Tail, Update,
};

/// One line.
pub struct Line {
    db: Arc<dyn Db>,
    link: Arc<Link>,
}

impl Line {
    pub fn new(db: Arc<dyn Db>) -> Line {
        Line { db, link: Arc::default() }
    }

    /// Nothing is sent any more.
    pub fn cut(&self) {
        self.link.cut();
    }

    /// Waits until nothing that was sent is under way.
    pub async fn idle(&self) {
        self.link.idle().await;
    }

    fn send<T: Send + 'static>(&self, command: impl FnOnce() -> Reply<T>) -> Reply<T> {
        let Some(under_way) = self.link.begin() else {
            return Box::pin(std::future::pending());
        };
        let command = command();
        // Goes on when nobody waits any more, as a command at a server does.
        let task = tokio::spawn(async move {
            let _under_way = under_way;
            command.await
        });
        Box::pin(async move { task.await.unwrap_or_else(|e| Err(NoReply(e.to_string()))) })
    }
}

impl Db for Line {
    fn insert(
        &self,
        into: Collection,
        documents: Vec<RawDocumentBuf>,
        order: Order,
        within: Duration,
    ) -> Reply<Vec<Outcome>> {
        self.send(|| self.db.insert(into, documents, order, within))
    }

    fn find(&self, query: Query, within: Duration) -> Reply<Vec<RawDocumentBuf>> {
        self.send(|| self.db.find(query, within))
    }

    fn tails(&self, of: Collection, ids: Vec<String>, within: Duration) -> Reply<Vec<Tail>> {
        self.send(|| self.db.tails(of, ids, within))
    }

    fn update(&self, update: Update, within: Duration) -> Reply<u64> {
        self.send(|| self.db.update(update, within))
    }

    fn delete(&self, entries: Entries, within: Duration) -> Reply<()> {
        self.send(|| self.db.delete(entries, within))
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
