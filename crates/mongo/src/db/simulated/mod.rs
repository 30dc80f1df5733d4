//! A replica set in memory, for tests: what a real one may do, and a test server never does.
//!
//! Batches are done document by document, with other writers between; replies get lost before or
//! after a command was done; commands are done long after everybody stopped waiting; writes that
//! no majority has yet are taken back by a failover; reads may be old. What happens is decided by
//! a [`Weather`]: none, one drawn from a seed, or one written for a test.

mod apply;
pub(crate) mod link;
mod state;
mod weather;

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mongodb::bson::RawDocumentBuf;
use tokio::sync::Notify;

use self::link::Link;
use self::state::{Change, State};
pub use self::weather::{Calm, Command, Seeded, Steady, Verdict, Weather};
use super::{
    Collection, Db, Entries, IndexError, NoReply, Order, Outcome, Query, Reply, Scan, Tail, Update,
};

/// A handle to the replica set, one for each instance.
#[derive(Clone)]
pub struct Simulated {
    set: Arc<Set>,
    link: Arc<Link>,
    /// Which instance sends the commands.
    by: usize,
}

struct Set {
    nodes: Mutex<Nodes>,
    /// A majority has more, or there was a failover.
    moved: Notify,
    weather: Box<dyn Weather>,
}

/// What the nodes have.
#[derive(Default)]
struct Nodes {
    /// The primary.
    local: State,
    /// A majority.
    committed: State,
    /// A majority, some time ago.
    old: State,
    /// What the primary did and no majority has, oldest first.
    suffix: Vec<Change>,
    /// How many changes a majority has.
    count: u64,
    /// How many failovers there were.
    term: u64,
    /// All that ever happened, if it is kept.
    journal: Option<Vec<Event>>,
}

/// Something that happened, in the order in which a majority has it.
#[derive(Clone, Debug)]
pub enum Event {
    /// A document is new, or it is changed.
    Put(Collection, RawDocumentBuf),
    /// A document is gone.
    Removed(Collection, RawDocumentBuf),
    /// A test says something.
    Note(String),
}

impl Simulated {
    /// An empty replica set in this weather.
    pub fn new(weather: impl Weather) -> Simulated {
        let (nodes, moved) = (Mutex::default(), Notify::new());
        let set = Arc::new(Set { nodes, moved, weather: Box::new(weather) });
        Simulated { set, link: Arc::default(), by: 0 }
    }

    /// The handle of another instance.
    #[must_use]
    pub fn seen_by(&self, instance: usize) -> Simulated {
        Simulated { set: Arc::clone(&self.set), link: Arc::default(), by: instance }
    }

    /// The instance that has this handle is killed: it sends nothing more. What it sent before
    /// is done all the same.
    pub fn cut(&self) {
        self.link.cut();
    }

    /// Waits until nothing that this handle sent is under way.
    pub async fn idle(&self) {
        self.link.idle().await;
    }

    /// A failover: what no majority has is gone, and commands under way have no reply.
    pub fn fail_over(&self) {
        let mut nodes = self.set.nodes();
        nodes.local = nodes.committed.clone();
        nodes.suffix.clear();
        nodes.term += 1;
        drop(nodes);
        self.set.moved.notify_waiters();
    }

    /// Documents that somebody else put there.
    pub fn put(&self, into: Collection, documents: impl IntoIterator<Item = RawDocumentBuf>) {
        let mut nodes = self.set.nodes();
        for document in documents {
            let change = Change::put(into, &document);
            nodes.local.apply(&change);
            nodes.committed.apply(&change);
        }
    }

    /// All documents that a majority has, in no particular order.
    pub fn all(&self, of: Collection) -> Vec<RawDocumentBuf> {
        self.set.nodes().committed.all(of)
    }

    /// From now on everything that happens is kept.
    pub fn keep_journal(&self) {
        self.set.nodes().journal.get_or_insert_default();
    }

    /// Says something into the journal.
    pub fn note(&self, note: impl Into<String>) {
        if let Some(journal) = &mut self.set.nodes().journal {
            journal.push(Event::Note(note.into()));
        }
    }

    /// What has happened since the journal is kept.
    pub fn journal(&self) -> Vec<Event> {
        self.set.nodes().journal.clone().unwrap_or_default()
    }

    /// Takes a copy of what a majority has, as a backup does.
    pub fn backup(&self) -> Backup {
        Backup(self.set.nodes().committed.clone())
    }

    /// Puts a backup in the place of everything, under running instances.
    pub fn restore(&self, backup: &Backup) {
        let mut nodes = self.set.nodes();
        nodes.committed = backup.0.clone();
        nodes.local = backup.0.clone();
        nodes.old = backup.0.clone();
        nodes.suffix.clear();
        nodes.term += 1;
        drop(nodes);
        self.set.moved.notify_waiters();
    }

    /// Sends a command through the weather: `work` does it.
    fn send<T: Send + 'static, F>(
        &self,
        command: &Command,
        within: Duration,
        work: impl FnOnce(Arc<Set>) -> F,
    ) -> Reply<T>
    where
        F: Future<Output = Result<T, NoReply>> + Send + 'static,
    {
        let Some(under_way) = self.link.begin() else {
            return Box::pin(std::future::pending());
        };
        let set = Arc::clone(&self.set);
        let verdict = set.weather.verdict(self.by, command, within);
        let work = work(Arc::clone(&set));
        let way = set.weather.way(self.by);
        Box::pin(async move {
            let lost = || NoReply("the weather".to_owned());
            let (there, back) = way;
            pause(there).await;
            // Of its own, because it goes on when nobody waits any more.
            let late = match verdict {
                Verdict::Never => return Err(lost()),
                Verdict::Done | Verdict::Unheard => Duration::ZERO,
                Verdict::Late(time) => time,
            };
            let task = tokio::spawn(async move {
                let _under_way = under_way;
                pause(late).await;
                work.await
            });
            match verdict {
                Verdict::Late(_) => Err(lost()),
                Verdict::Unheard => {
                    let _ = task.await;
                    Err(lost())
                }
                _ => {
                    let result = task.await.unwrap_or_else(|_| Err(lost()));
                    pause(back).await;
                    result
                }
            }
        })
    }
}

/// What a backup holds.
pub struct Backup(State);

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

impl Nodes {
    fn write_down(&mut self, change: &Change) {
        let Nodes { journal: Some(journal), committed, .. } = self else {
            return;
        };
        match change {
            Change::Put(into, _, document) => {
                journal.push(Event::Put(*into, document.as_ref().clone()));
            }
            Change::Remove(from, key) => {
                let before = committed.get(*from, key).cloned();
                journal.extend(before.map(|document| Event::Removed(*from, document)));
            }
        }
    }
}

impl Set {
    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes one change of the primary's documents, if this is still its term: `change` decides it,
    /// with nothing between. How many changes there are then, if there was one.
    fn change_with(
        self: &Arc<Set>,
        term: u64,
        change: impl FnOnce(&State) -> Option<Change>,
    ) -> Result<Option<u64>, NoReply> {
        let mut nodes = self.nodes();
        if nodes.term != term {
            return Err(NoReply("there was a failover".to_owned()));
        }
        let Some(change) = change(&nodes.local) else {
            return Ok(None);
        };
        nodes.local.apply(&change);
        nodes.suffix.push(change);
        let count = nodes.count + nodes.suffix.len() as u64;
        drop(nodes);
        match self.weather.replication() {
            Duration::ZERO => self.commit(count, term),
            time => {
                let set = Arc::clone(self);
                tokio::spawn(async move {
                    tokio::time::sleep(time).await;
                    set.commit(count, term);
                });
            }
        }
        Ok(Some(count))
    }

    /// A majority has the first `count` changes.
    fn commit(&self, count: u64, term: u64) {
        let mut nodes = self.nodes();
        if nodes.term != term || nodes.count >= count {
            return;
        }
        if self.weather.ages() {
            nodes.old = nodes.committed.clone();
        }
        let more = usize::try_from(count - nodes.count).unwrap_or(usize::MAX);
        let changes: Vec<Change> = nodes.suffix.drain(..more).collect();
        for change in &changes {
            nodes.write_down(change);
            nodes.committed.apply(change);
        }
        nodes.count = count;
        drop(nodes);
        self.moved.notify_waiters();
    }

    /// Waits until a majority has the first `count` changes.
    async fn committed(&self, count: u64, term: u64) -> Result<(), NoReply> {
        loop {
            let moved = self.moved.notified();
            {
                let nodes = self.nodes();
                if nodes.term != term {
                    return Err(NoReply("there was a failover".to_owned()));
                }
                if nodes.count >= count {
                    return Ok(());
                }
            }
            moved.await;
        }
    }
}

impl Db for Simulated {
    fn insert(
        &self,
        into: Collection,
        documents: Vec<RawDocumentBuf>,
        order: Order,
        within: Duration,
    ) -> Reply<Vec<Outcome>> {
        let command = Command::Insert(into, documents.clone());
        self.send(&command, within, |set| apply::insert(set, into, documents, order))
    }

    fn find(&self, query: Query, within: Duration) -> Reply<Vec<RawDocumentBuf>> {
        let command = Command::Find(query.clone());
        self.send(&command, within, |set| apply::find(set, query))
    }

    fn tails(&self, of: Collection, ids: Vec<String>, within: Duration) -> Reply<Vec<Tail>> {
        let command = Command::Tails(of, ids.clone());
        self.send(&command, within, |set| apply::tails(set, of, ids))
    }

    fn update(&self, update: Update, within: Duration) -> Reply<u64> {
        let command = Command::Update(update.clone());
        self.send(&command, within, |set| apply::update(set, update))
    }

    fn delete(&self, entries: Entries, within: Duration) -> Reply<()> {
        let command = Command::Delete(entries.clone());
        self.send(&command, within, |set| apply::delete(set, entries))
    }

    fn scan(&self, of: Collection) -> Scan {
        let all = self.set.nodes().committed.sorted(of);
        Box::pin(futures_util::stream::iter(all.into_iter().map(Ok)))
    }

    fn count(&self, of: Collection) -> Reply<u64> {
        let count = self.all(of).len() as u64;
        Box::pin(std::future::ready(Ok(count)))
    }

    fn prepare(&self) -> Pin<Box<dyn Future<Output = Result<(), IndexError>> + Send + 'static>> {
        let nodes = self.set.nodes();
        let of = [Collection::Inboxes, Collection::History];
        let shared = of.into_iter().find_map(|of| nodes.committed.duplicate(of));
        let made = shared.map_or(Ok(()), |place| Err(IndexError::Duplicates(place)));
        Box::pin(std::future::ready(made))
    }
}
