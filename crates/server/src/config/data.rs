//! The settings under `data`: which store keeps the messages, and how each of the two does.

use std::path::PathBuf;
use std::time::Duration;

use seqline_embedded::Options;

use super::amount::{bytes, count, span};
use super::endpoint::redis_address;
use super::kind::choice;
use super::secret::{Secret, password, uri};
use super::sections::{DAY, GIB, MIB};
use super::setting::{Nested, settings};
use super::words::{path, text};

/// What keeps the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// One data directory of this machine.
    Embedded,
    /// MongoDB, and Redis to be quick; any number of servers share them.
    Mongo,
}

impl StoreKind {
    /// The word for it in a file.
    pub fn as_str(self) -> &'static str {
        STORES.iter().find(|(_, kind)| *kind == Some(self)).map_or("auto", |(word, _)| word)
    }
}

const STORES: &[(&str, Option<StoreKind>)] =
    &[("auto", None), ("embedded", Some(StoreKind::Embedded)), ("mongo", Some(StoreKind::Mongo))];

/// When a send is acknowledged by the embedded store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Once it would survive power loss.
    Fsync,
    /// Once it is written; made safe from power loss at an interval.
    Interval,
    /// Once it is written; the operating system decides when it is safe from power loss.
    None,
}

const DURABILITIES: &[(&str, Durability)] =
    &[("fsync", Durability::Fsync), ("interval", Durability::Interval), ("none", Durability::None)];

settings! {
    /// `data`: where messages are kept, and how safely.
    Data {
        /// What keeps the messages: `embedded`, a directory of this machine, or `mongo`, MongoDB
        /// and Redis, which any number of servers share. `auto` is `mongo` if
        /// `data.mongo.source` is set, as in go-timeline's file, and `embedded` otherwise; with
        /// `auto` it is an error to set both `data.mongo.source` and another `data.dir` than the
        /// default, since either could be meant.
        store: Option<StoreKind> = None, choice(STORES);
        /// The data directory of the embedded store. It is made if it does not exist; one server
        /// at a time has it.
        dir: PathBuf = PathBuf::from(DIR), path();
        /// When the embedded store acknowledges a send. `fsync`: once it would survive power
        /// loss. `interval`: once it would survive a crash of the server; power loss costs at
        /// most the last `durability_interval`. `none`: the same, and the operating system
        /// decides how much power loss costs.
        durability: Durability = Durability::Fsync, choice(DURABILITIES);
        /// How often `durability: interval` makes everything safe from power loss.
        durability_interval: Duration = Duration::from_millis(100),
            span(Duration::from_millis(1)..=Duration::from_secs(60));
        /// How long a repeated idempotency key is recognised, in either store.
        idempotency_window: Duration = Options::default().idempotency_window,
            span(Duration::from_secs(60)..=365 * DAY);
        /// Memory the embedded store may use, about: timelines in use (three eighths), blocks of
        /// the index (an eighth), chunks read lately (a sixteenth), buffers of what the index has
        /// not written yet. Requests and pages on their way come on top; so does the page cache,
        /// which is the operating system's.
        memory_bytes: u64 = Options::default().memory_bytes, bytes(32 * MIB..=1_024 * GIB);
        /// Most sends that may wait, for the disk of the embedded store or for MongoDB; more are
        /// refused as overload.
        queue_sends_max: usize = Options::default().queue_sends_max, count(1..=10_000_000);
        /// Most bytes of sends that may wait; more are refused as overload.
        queue_bytes_max: usize = Options::default().queue_bytes_max, bytes(MIB..=64 * GIB);
        /// MongoDB, which `data.store: mongo` keeps everything in.
        mongo: Mongo = Mongo::default(), Nested;
        /// Redis, which makes `data.store: mongo` quick. It holds nothing that is missed when it
        /// is lost.
        redis: Redis = Redis::default(), Nested;
    }
}

/// Where the embedded store is if nothing says otherwise.
const DIR: &str = "./seqline-data";

impl Data {
    /// Which store these settings choose.
    pub fn store_kind(&self) -> StoreKind {
        match self.store {
            Some(kind) => kind,
            None if self.mongo.source.0.is_empty() => StoreKind::Embedded,
            None => StoreKind::Mongo,
        }
    }

    /// Settings of the two stores that are right one by one and wrong together.
    pub(super) fn contradictions(&self) -> Vec<String> {
        let mut found = Vec::new();
        let source = !self.mongo.source.0.is_empty();
        if self.store.is_none() && source && self.dir != Data::default().dir {
            found.push(format!(
                "data.mongo.source and data.dir ({}) are both set, and nothing says which store \
                 is meant: set data.store to mongo or to embedded",
                self.dir.display()
            ));
        }
        if self.store == Some(StoreKind::Mongo) && !source {
            found.push(
                "data.store is mongo, and data.mongo.source does not say where MongoDB is"
                    .to_owned(),
            );
        }
        found.extend(self.mongo.contradictions());
        found
    }
}

/// When MongoDB has acknowledged a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteConcern {
    /// Once a majority has it in the journal.
    Majority,
    /// Once a majority has it in memory.
    MajorityMemory,
    /// Once the primary has it in the journal.
    Primary,
}

const WRITE_CONCERNS: &[(&str, WriteConcern)] = &[
    ("majority", WriteConcern::Majority),
    ("majority_memory", WriteConcern::MajorityMemory),
    ("primary", WriteConcern::Primary),
];

settings! {
    /// `data.mongo`: where MongoDB is, and the times that the protocol over it relies on. They
    /// must be the same on all servers that share a database.
    Mongo {
        /// Where MongoDB is: `mongodb://…`. Credentials in it are never logged. What it says about
        /// write and read concern and read preference is not used. `maxPoolSize` in it is the
        /// most connections to each of its servers, 100 if it does not say; `tls=true` encrypts
        /// them.
        source: Secret = Secret::default(), uri();
        /// The database.
        chat_database: String = "im".to_owned(), text();
        /// The collection of inboxes.
        sync_chat_collection: String = "chat_sync".to_owned(), text();
        /// The collection of conversations.
        history_chat_collection: String = "chat_history".to_owned(), text();
        /// When a write counts. `majority`: once it would survive the loss of any minority of the
        /// servers and of their power. `majority_memory`: power loss of a majority may cost
        /// acknowledged messages. `primary`: so may every change of the primary. Anything but
        /// `majority` breaks what Seqline promises, and the log says so at each start.
        write_concern: WriteConcern = WriteConcern::Majority, choice(WRITE_CONCERNS);
        /// The longest one operation goes on, retries included. What has no answer by then has an
        /// unknown outcome. The start waits as long for MongoDB, at most 30s.
        operation_timeout: Duration = Duration::from_secs(60),
            span(Duration::from_secs(1)..=Duration::from_secs(3_600));
        /// How long the remembered end of a timeline is used before it is read afresh.
        hint_age_max: Duration = Duration::from_secs(600), span(Duration::from_secs(1)..=DAY);
        /// How long trimmed entries are kept, hidden, before they are deleted; for
        /// `data.idempotency_window` and `operation_timeout` if that is longer. It must be more
        /// than three times `operation_timeout` and twice `hint_age_max` together, or a slow
        /// server, or one whose clock is `operation_timeout` off, could use the number of a
        /// deleted entry again.
        delete_grace: Duration = DAY, span(Duration::from_secs(60)..=365 * DAY);
    }
}

impl Mongo {
    fn contradictions(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (key, name) in [
            ("data.mongo.chat_database", &self.chat_database),
            ("data.mongo.sync_chat_collection", &self.sync_chat_collection),
            ("data.mongo.history_chat_collection", &self.history_chat_collection),
        ] {
            if name.is_empty() {
                found.push(format!("{key} is empty: give a name, or leave the line out"));
            }
        }
        if self.sync_chat_collection == self.history_chat_collection {
            found.push(format!(
                "data.mongo.sync_chat_collection and data.mongo.history_chat_collection are both \
                 {:?}: inboxes and conversations need a collection each",
                self.sync_chat_collection
            ));
        }
        let least = 3 * self.operation_timeout + 2 * self.hint_age_max;
        if self.delete_grace <= least {
            let text = humantime::format_duration;
            found.push(format!(
                "data.mongo.delete_grace is {}, and must be more than 3 × \
                 data.mongo.operation_timeout {} + 2 × data.mongo.hint_age_max {} = {}: a slow \
                 server could otherwise use the number of a deleted entry again",
                text(self.delete_grace),
                text(self.operation_timeout),
                text(self.hint_age_max),
                text(least)
            ));
        }
        found
    }
}

/// Longest wait for Redis, as go-timeline's own file has it: it only ever saves time.
const REDIS_TIMEOUT: Duration = Duration::from_millis(200);

settings! {
    /// `data.redis`: Redis beside MongoDB.
    Redis {
        /// Where Redis is; `rediss://` encrypts, and trusts the system's authorities. If it is
        /// empty, the servers do without.
        addr: String = String::new(), redis_address();
        /// The user of its access control list; empty is the default one.
        username: String = String::new(), text();
        /// Its password. It is never logged.
        password: Secret = Secret::default(), password();
        /// The number of the database.
        db: u32 = 0, count(0..=u64::from(u32::MAX));
        /// The longest a reply may take; 0s is 3s, as in go-timeline. No send waits longer for
        /// Redis than the shorter of the two timeouts.
        read_timeout: Duration = REDIS_TIMEOUT, span(Duration::ZERO..=DAY);
        /// The longest a request may take to be written; 0s is 3s, as in go-timeline.
        write_timeout: Duration = REDIS_TIMEOUT, span(Duration::ZERO..=DAY);
    }
}
