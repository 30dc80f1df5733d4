//! The store: how it is opened, and the port of the domain on it.

use std::sync::Arc;
use std::time::Duration;

use seqline_core::error::{Error, Result};
use seqline_core::fanout::Outgoing;
use seqline_core::id::{Epoch, TimelineId};
use seqline_core::page::{Bounds, Page, Read};
use seqline_core::seq::Seq;
use seqline_core::store::{CheckEvent, CheckSummary, Receipt, Status, Store, StoreFuture};
use seqline_core::watch::Watch;
use tokio::time::timeout;

use crate::call::{Call, Stop};
use crate::counts::Operation;
use crate::db::driver::MongoDb;
use crate::db::{Db, IndexError, NoReply};
use crate::documents::Draft;
use crate::names;
use crate::options::Options;
use crate::reader::Reader;
use crate::shared::{Ports, Shared};
use crate::stem::Stem;
use crate::{bounds, care, check, epoch, marks, queue, read, resume, trim, watched};

/// Most bytes of an entry's document. MongoDB takes 16 MiB, with the command around it.
const DOCUMENT_BYTES_MAX: usize = 15 * 1024 * 1024;

/// How long a close waits for its last marks, which nobody needs.
const MARKS_WITHIN: Duration = Duration::from_secs(2);

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The settings do not fit together.
    #[error("{0}")]
    Options(String),
    /// The address of the database is wrong.
    #[error("the address of the database is not one: {0}")]
    Address(String),
    /// The database did not answer at first contact, or refused this client.
    #[error("MongoDB at {hosts} {what}")]
    Unreachable {
        /// Where it was looked for; no credentials.
        hosts: String,
        /// What happened there.
        what: String,
    },
    /// An index is missing and cannot be made.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The database does not answer.
    #[error(transparent)]
    NoReply(#[from] NoReply),
}

/// One instance of the distributed store. Dropping it ends it at once; [`Store::close`] in order.
pub struct MongoStore {
    pub(crate) shared: Arc<Shared>,
}

impl MongoStore {
    /// Connects to the database, makes missing indexes and begins to take sends. Called within a
    /// tokio runtime, on which everything runs.
    ///
    /// # Errors
    /// See [`OpenError`]. Nothing was changed but indexes and, in a new database, its epoch.
    pub async fn connect(options: Options, ports: Ports) -> std::result::Result<Self, OpenError> {
        let db = MongoDb::connect(&options).await.map_err(OpenError::Address)?;
        db.reach(options.contact_time).await?;
        MongoStore::open(Arc::new(db), options, ports).await
    }

    /// The same on any database.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(
        db: Arc<dyn Db>,
        options: Options,
        ports: Ports,
    ) -> std::result::Result<Self, OpenError> {
        options.check().map_err(OpenError::Options)?;
        db.prepare().await?;
        let within = options.command_time;
        let epoch = epoch::open(db.as_ref(), ports.entropy.as_ref(), within).await?;
        let shared = Arc::new(Shared::new(db, ports, options, epoch));
        tokio::spawn(care::mark(Arc::clone(&shared)));
        tokio::spawn(care::care(Arc::clone(&shared)));
        tokio::spawn(watched::look(Arc::clone(&shared)));
        Ok(MongoStore { shared })
    }

    /// The database's epoch.
    pub fn epoch(&self) -> Epoch {
        self.shared.epoch
    }

    /// Another instance says that `timeline` has grown.
    pub fn grown(&self, timeline: &TimelineId) {
        self.shared.watchers.wake(&timeline.key());
    }

    /// Any timeline may have grown: what other instances said was not heard for a while.
    pub fn all_grown(&self) {
        self.shared.watchers.wake_all();
    }

    /// Finishes deliveries that are pending for `age` or longer, whoever began them, and
    /// returns how many there were. Each instance does this on its own now and then.
    ///
    /// # Errors
    /// `Unavailable` if the database does not answer in time.
    pub async fn resume(&self, age: Duration) -> Result<usize> {
        let _running = self.shared.life.enter()?;
        let call = Call::new(&self.shared, Operation::Care);
        let found = resume::all(&call, age).await.map_err(Stop::unavailable)?;
        marks::flush(&call).await.map_err(Stop::unavailable)?;
        Ok(found)
    }

    /// Does `work` while the store is open.
    fn work<T: Send + 'static, F>(
        &self,
        operation: Operation,
        work: impl FnOnce(Call) -> F,
    ) -> StoreFuture<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let running = self.shared.life.enter();
        let work = work(Call::new(&self.shared, operation));
        Box::pin(async move {
            let _running = running?;
            work.await
        })
    }
}

impl Drop for MongoStore {
    fn drop(&mut self) {
        self.shared.life.end("it was dropped");
    }
}

impl Store for MongoStore {
    fn append(&self, send: Outgoing) -> StoreFuture<Receipt> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let running = shared.life.enter()?;
            let stem = match &send.key {
                Some(key) => Stem::of_key(&send.conversation, key, 0),
                None => Stem::of_message(send.id.0),
            };
            let draft = Draft::new(stem, &send);
            if draft.bytes() > DOCUMENT_BYTES_MAX {
                return Err(Error::TooLarge {
                    field: "message",
                    limit: "one send",
                    max: DOCUMENT_BYTES_MAX,
                    actual: draft.bytes(),
                    unit: "bytes of text and names of recipients",
                });
            }
            let id = names::history_id(&send.conversation);
            queue::enqueue(shared, id, send, draft, running).await
        })
    }

    fn read(&self, read: Read) -> StoreFuture<Page> {
        self.work(Operation::Read, |call| async move { read::page(&call, &read).await })
    }

    fn bounds(&self, timelines: Vec<TimelineId>) -> StoreFuture<Vec<Bounds>> {
        self.work(Operation::Read, |call| async move {
            bounds::of(&call, &timelines).await.map_err(Stop::unavailable)
        })
    }

    fn trim(&self, timeline: TimelineId, up_to: Seq) -> StoreFuture<Bounds> {
        self.work(
            Operation::Trim,
            move |call| async move { trim::trim(&call, &timeline, up_to).await },
        )
    }

    fn watch(&self, timeline: &TimelineId) -> Watch {
        let waits = self.shared.watched.add(timeline);
        self.shared.watchers.watch(&timeline.key()).keeping(waits)
    }

    fn check(&self, report: &mut dyn FnMut(CheckEvent)) -> Result<CheckSummary> {
        let _running = self.shared.life.enter()?;
        let reader = Reader(Arc::clone(&self.shared.db));
        let Options { inboxes, history, .. } = &self.shared.options;
        let mut pass_on = |event| match event {
            check::Event::Progress { done, total } => {
                report(CheckEvent::Progress { done, total });
            }
            check::Event::Finding(finding) if finding.kind.is_problem() => {
                let place = format!("{:?} at {}", finding.timeline, finding.seq.unwrap_or(0));
                report(CheckEvent::Problem { place, detail: finding.detail });
            }
            check::Event::Finding(_) | check::Event::Timeline { .. } => {}
        };
        let checked = check::run(&reader, (inboxes, history), &mut pass_on);
        let totals = self.shared.runtime.block_on(checked);
        let totals = totals.map_err(|error| Error::unavailable("database", error))?;
        Ok(CheckSummary {
            timelines: totals.timelines,
            inbox_entries: totals.inbox_entries,
            messages: totals.messages,
            problems: totals.problems(),
        })
    }

    fn status(&self) -> Status {
        let (queued_sends, queued_bytes) = self.shared.lanes.waiting();
        Status {
            refuses_sends: self.shared.life.refuses().map(str::to_owned),
            unreachable: (!self.shared.reach.answers())
                .then(|| "MongoDB does not answer".to_owned()),
            queued_sends,
            queued_bytes,
            stored_bytes: 0,
        }
    }

    fn close(&self) -> StoreFuture<()> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            // Sends that a database keeps waiting have no outcome now, and others finish them.
            if timeout(shared.options.command_time, shared.life.close()).await.is_err() {
                tracing::warn!("what was under way is broken off: MongoDB took too long");
            }
            // What stays unmarked is found whole by whoever looks next.
            let marks = Call::new(&shared, Operation::Mark);
            let _ = timeout(MARKS_WITHIN, marks::flush(&marks)).await;
            shared.life.end("it is closed");
            Ok(())
        })
    }
}
