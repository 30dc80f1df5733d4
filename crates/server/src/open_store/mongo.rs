//! The store over MongoDB, with Redis beside it and a runtime of its own.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use seqline_core::clock::{Clock, Entropy};
use seqline_mongo::hints::{Hints, Nothing, Notices};
use seqline_mongo::redis::{Grown, Listening, Redis, Settings, SettingsError};
use seqline_mongo::uptime::SystemUptime;
use seqline_mongo::{MongoStore, OpenError, Options, Ports, WeakWrites};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use crate::config::{Data, WriteConcern};
use crate::system::{SystemClock, SystemEntropy};

/// The longest wait for MongoDB at the start.
const CONTACT_WITHIN: Duration = Duration::from_secs(30);
/// How long one command may take before its outcome is looked up.
const COMMAND_WITHIN: Duration = Duration::from_secs(10);
/// A Redis timeout of zero, as go-timeline's client has it.
const REDIS_TIMEOUT_OF_ZERO: Duration = Duration::from_secs(3);

/// The store over MongoDB cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum MongoError {
    /// The database, or the settings for it.
    #[error("{error}{}", next(.error))]
    Open {
        /// What went wrong.
        #[from]
        error: OpenError,
    },
    /// The address of Redis is none.
    #[error("data.redis.addr: {0}")]
    Redis(#[from] SettingsError),
    /// The system gives no thread or no event queue.
    #[error("the store's threads cannot be started: {0}")]
    Threads(#[from] io::Error),
}

/// What to do about it.
fn next(error: &OpenError) -> &'static str {
    match error {
        OpenError::Address(_) => {
            "; data.mongo.source looks like mongodb://USER:PASSWORD@HOST:27017/?replicaSet=NAME"
        }
        OpenError::Unreachable { .. } => {
            "; see that it runs, that a replica set has a primary, and that data.mongo.source has \
             the right address, user and password; then start again"
        }
        OpenError::NoReply(_) => "; start again once MongoDB answers",
        // They say it themselves.
        OpenError::Options(_) | OpenError::Index(_) => "",
    }
}

/// What the store runs on, and what hears of other instances for it. It ends when it is dropped.
pub(super) struct Beside {
    /// Dropped before the runtime.
    redis: Option<(Arc<Redis>, Listening)>,
    runtime: Option<Runtime>,
}

impl Beside {
    /// Whether Redis answers, if there is one.
    pub fn redis(&self) -> Option<watch::Receiver<bool>> {
        self.redis.as_ref().map(|(redis, _)| redis.answers())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // At once, and on any thread: the store was closed before, or is given up.
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

/// Connects to MongoDB and, in the background, to Redis.
pub(super) fn open(data: &Data) -> Result<(Arc<MongoStore>, Beside), MongoError> {
    // Its own, so that the store lives on while the server's threads end one after the other.
    let runtime = Builder::new_multi_thread().thread_name("seqline-store").enable_all().build()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let options = options(data);
    let redis = match redis(data) {
        None => None,
        Some(settings) => {
            let name = format!("{}.{}", options.database, options.inboxes);
            let (clock, entropy) = (Arc::clone(&clock), Arc::clone(&entropy));
            let handle = runtime.handle().clone();
            Some(Arc::new(Redis::start(&settings, &name, clock, entropy, handle)?))
        }
    };
    let (hints, notices): (Arc<dyn Hints>, Arc<dyn Notices>) = match &redis {
        Some(redis) => (redis.clone(), redis.clone()),
        None => (Arc::new(Nothing), Arc::new(Nothing)),
    };
    let ports = Ports { clock, entropy, uptime: Arc::new(SystemUptime), hints, notices };
    let database = options.database.clone();
    let store = Arc::new(runtime.block_on(MongoStore::connect(options, ports))?);
    tracing::info!(database, epoch = %store.epoch(), redis = redis.is_some(), "the store is open");
    let redis = redis.map(|redis| {
        let listening = listen(&redis, Arc::downgrade(&store));
        (redis, listening)
    });
    Ok((store, Beside { redis, runtime: Some(runtime) }))
}

/// Wakes who waits for what other instances have made grow.
fn listen(redis: &Redis, store: Weak<MongoStore>) -> Listening {
    redis.listen(move |grown| {
        let Some(store) = store.upgrade() else { return };
        match grown {
            Grown::Timelines(timelines) => timelines.iter().for_each(|it| store.grown(it)),
            Grown::All => store.all_grown(),
        }
    })
}

fn options(data: &Data) -> Options {
    let mongo = &data.mongo;
    Options {
        uri: mongo.source.0.clone(),
        database: mongo.chat_database.clone(),
        inboxes: mongo.sync_chat_collection.clone(),
        history: mongo.history_chat_collection.clone(),
        weak_writes: match mongo.write_concern {
            WriteConcern::Majority => None,
            WriteConcern::MajorityMemory => Some(WeakWrites::MajorityMemory),
            WriteConcern::Primary => Some(WeakWrites::Primary),
        },
        contact_time: CONTACT_WITHIN.min(mongo.operation_timeout),
        operation_time: mongo.operation_timeout,
        command_time: COMMAND_WITHIN.min(mongo.operation_timeout),
        hint_time: mongo.hint_age_max,
        // Clocks may differ by as much as an operation takes.
        grace: mongo.delete_grace.max(data.idempotency_window + mongo.operation_timeout),
        key_window: data.idempotency_window,
        // Its own instance may be at it for as long as one operation takes.
        resume_after: 3 * mongo.operation_timeout,
        queued_sends_max: data.queue_sends_max,
        queued_bytes_max: data.queue_bytes_max,
        ..Options::default()
    }
}

fn redis(data: &Data) -> Option<Settings> {
    let redis = &data.redis;
    let timeout = |time: Duration| if time.is_zero() { REDIS_TIMEOUT_OF_ZERO } else { time };
    (!redis.addr.is_empty()).then(|| Settings {
        username: redis.username.clone(),
        password: redis.password.0.clone(),
        db: Some(i64::from(redis.db)),
        deadline: timeout(redis.read_timeout).min(timeout(redis.write_timeout)),
        hint_age_max: data.mongo.hint_age_max,
        ..Settings::at(redis.addr.clone())
    })
}
