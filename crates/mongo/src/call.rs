//! One operation's way to the database: its deadline, its retries, and the end of the store.
//!
//! Every command of a send, a read or a trim goes through [`Call`], so none is begun after the
//! operation's deadline, after the store has ended, or with more time than is left. That is what
//! makes "nothing of an operation happens later than its deadline" true.

use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::RawDocumentBuf;
use seqline_core::error::Error;

use crate::counts::Operation;
use crate::db::{Collection, Entries, NoReply, Order, Outcome, Query, Tail, Update};
use crate::documents;
use crate::shared::Shared;

/// First pause before something is tried again.
const PAUSE_MIN: Duration = Duration::from_millis(2);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Why an operation cannot go on.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// Its time is over; the last thing that went wrong.
    #[error("time is up: {0}")]
    Late(String),
    /// The store was closed, dropped, or its database restored.
    #[error("{0}")]
    Ended(&'static str),
    /// A document does not say what it must.
    #[error("{timeline} at {seq}: {detail}")]
    Corrupt {
        /// The timeline's id.
        timeline: String,
        /// The position.
        seq: u64,
        /// What is wrong.
        detail: String,
    },
}

impl Stop {
    /// As the answer to a call that stored nothing.
    pub fn unavailable(self) -> Error {
        match self {
            Stop::Corrupt { timeline, seq, detail } => {
                Error::Corrupt { timeline, seq: seqline_core::seq::Seq::new(seq), detail }
            }
            other => Error::unavailable("database", other),
        }
    }
}

/// Whether nobody would find an entry at its position.
fn is_beyond(entry: &RawDocumentBuf) -> bool {
    documents::number(entry, documents::SEQ) > Some(documents::SEQ_MAX)
}

/// One operation.
pub(crate) struct Call {
    pub shared: Arc<Shared>,
    operation: Operation,
    /// When it began, on the uptime.
    pub began: Duration,
    /// Its deadline, likewise.
    pub until: Duration,
}

impl Call {
    /// An operation that begins now.
    pub fn new(shared: &Arc<Shared>, operation: Operation) -> Call {
        let began = shared.uptime.now();
        let until = began + shared.options.operation_time;
        Call { shared: Arc::clone(shared), operation, began, until }
    }

    /// One that must be over by `until`, or earlier.
    pub fn until(shared: &Arc<Shared>, operation: Operation, until: Duration) -> Call {
        let call = Call::new(shared, operation);
        Call { until: until.min(call.until), ..call }
    }

    /// The time the next command has; `failed` is what went wrong before.
    fn within(&self, failed: &str) -> Result<Duration, Stop> {
        if let Some(reason) = self.shared.life.ended() {
            return Err(Stop::Ended(reason));
        }
        let left = self.until.saturating_sub(self.shared.uptime.now());
        // MongoDB counts whole milliseconds, and 0 would mean no limit.
        if left < Duration::from_millis(1) {
            return Err(Stop::Late(failed.to_owned()));
        }
        Ok(left.min(self.shared.options.command_time))
    }

    /// Waits for `work`, which sends nothing, until time is up.
    pub async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, Stop> {
        let left = self.until.saturating_sub(self.shared.uptime.now());
        let late = |_| Stop::Late("other sends to the same inboxes took all of it".to_owned());
        tokio::time::timeout(left, work).await.map_err(late)
    }

    /// Waits before a retry: a random time, longer with each `round`.
    pub async fn pause(&self, round: u32) {
        let most = PAUSE_MIN.saturating_mul(1 << round.min(10)).min(PAUSE_MAX);
        let part = (self.shared.entropy.random() % 1_024) as u32;
        tokio::time::sleep(most * part / 1_024).await;
    }

    /// Does `command` until it is answered: only for what changes nothing when repeated.
    async fn insist<T, F: Future<Output = Result<T, NoReply>>>(
        &self,
        command: impl Fn(Duration) -> F,
    ) -> Result<T, Stop> {
        let mut failed = "the command before had no reply".to_owned();
        for round in 0.. {
            let within = self.within(&failed)?;
            match self.answer(within, command(within)).await {
                Ok(value) => return Ok(value),
                Err(error) => failed = error.to_string(),
            }
            self.pause(round).await;
        }
        Err(Stop::Late(failed))
    }

    /// Waits a little longer than the database may take.
    async fn answer<T>(
        &self,
        within: Duration,
        reply: impl Future<Output = Result<T, NoReply>>,
    ) -> Result<T, NoReply> {
        let shared = &self.shared;
        let began = shared.uptime.now();
        let reply = tokio::time::timeout(within + Duration::from_millis(250), reply).await;
        let reply = reply.unwrap_or_else(|_| Err(NoReply("it took too long".to_owned())));
        let now = shared.uptime.now();
        shared.counts.command(self.operation, now.saturating_sub(began));
        match &reply {
            Ok(_) => shared.reach.answered(now),
            Err(silence) => {
                shared.counts.no_reply();
                shared.reach.silent(began, silence);
            }
        }
        reply
    }

    /// What `query` finds.
    pub async fn find(&self, query: Query) -> Result<Vec<RawDocumentBuf>, Stop> {
        self.insist(|within| self.shared.db.find(query.clone(), within)).await
    }

    /// The tails of those of the timelines that have one.
    pub async fn tails(&self, of: Collection, ids: Vec<String>) -> Result<Vec<Tail>, Stop> {
        self.insist(|within| self.shared.db.tails(of, ids.clone(), within)).await
    }

    /// Changes documents.
    pub async fn update(&self, update: Update) -> Result<u64, Stop> {
        self.insist(|within| self.shared.db.update(update.clone(), within)).await
    }

    /// Deletes entries.
    pub async fn delete(&self, entries: Entries) -> Result<(), Stop> {
        self.insist(|within| self.shared.db.delete(entries.clone(), within)).await
    }

    /// Inserts documents, once. `None` if there is no reply: then each may be stored, or be
    /// stored until this operation's deadline.
    pub async fn insert(
        &self,
        into: Collection,
        entries: Vec<RawDocumentBuf>,
        order: Order,
    ) -> Result<Option<Vec<Outcome>>, Stop> {
        if let Some(entry) = entries.iter().find(|entry| is_beyond(entry)) {
            return Err(Stop::Corrupt {
                timeline: documents::string(entry, documents::TIMELINE).unwrap_or("").to_owned(),
                seq: documents::SEQ_MAX,
                detail: "no number is left behind it".to_owned(),
            });
        }
        let within = self.within("a number was taken by others again and again")?;
        let reply = self.shared.db.insert(into, entries, order, within);
        match self.answer(within, reply).await {
            Ok(outcomes) => Ok(Some(outcomes)),
            Err(error) => {
                tracing::debug!(%error, "an insert had no reply");
                Ok(None)
            }
        }
    }
}
