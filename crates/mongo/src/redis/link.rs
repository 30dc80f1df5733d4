//! The connection to Redis, which is there or is not: no caller ever waits for one.
//!
//! It is its own circuit breaker. The first call that fails or is late takes the connection away,
//! and until there is another, calls return at once. Only [`Link::keep`], in the background, tries
//! Redis again, after pauses that grow until the connection has been good for a while. A library
//! of circuit breakers would still let some callers try, each for a whole deadline, and would not
//! know the connection, whose abandoned calls pile up in memory as long as it lives.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use metrics::{counter, gauge, histogram};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, Pipeline, RedisError, RedisResult,
};
use seqline_core::clock::Entropy;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// Longest attempt to connect, in the background: names, TLS and login included.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// An idle connection is tried so often, so that a paused Redis costs no call its deadline.
const TRIED_EVERY: Duration = Duration::from_secs(1);
/// A connection that was good for so long has recovered: the next pause is a short one again.
const STEADY_AFTER: Duration = Duration::from_secs(10);
/// A moment's trouble is over by then.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// Half of how late a Redis that came back may be noticed.
pub(super) const PAUSE_MAX: Duration = Duration::from_millis(2_500);

/// A connection that comes and goes.
pub(super) struct Link {
    client: Client,
    deadline: Duration,
    live: Mutex<Option<Live>>,
    up: watch::Sender<bool>,
}

#[derive(Clone)]
struct Live {
    number: u64,
    connection: MultiplexedConnection,
}

impl Link {
    pub(super) fn new(client: Client, deadline: Duration) -> Link {
        Link { client, deadline, live: Mutex::new(None), up: watch::Sender::new(false) }
    }

    /// Whether the connection is there: that Redis answered when it was asked last.
    pub(super) fn up(&self) -> watch::Receiver<bool> {
        self.up.subscribe()
    }

    /// [`Link::up`] at this moment.
    pub(super) fn is_up(&self) -> bool {
        *self.up.borrow()
    }

    /// Runs commands in one round trip. `None` if there is no connection, or no good reply
    /// within the deadline.
    pub(super) async fn run<T: FromRedisValue>(&self, commands: &Pipeline) -> Option<T> {
        let mut live = self.lock().clone()?;
        let began = Instant::now();
        let reply = commands.query_async(&mut live.connection);
        let reply = self.judged(live.number, reply).await;
        histogram!("seqline_redis_seconds").record(began.elapsed().as_secs_f64());
        reply
    }

    /// Connects, again and again, for ever.
    pub(super) async fn keep(self: Arc<Link>, entropy: Arc<dyn Entropy>) {
        let mut next_pause = pauses(&*entropy);
        let mut told = false;
        gauge!("seqline_redis_up").set(0.0);
        for number in 1.. {
            match self.connect().await {
                Ok(connection) => {
                    tracing::info!("Redis answers");
                    told = false;
                    let since = Instant::now();
                    self.put(Live { number, connection });
                    self.until_lost().await;
                    if since.elapsed() >= STEADY_AFTER {
                        next_pause = pauses(&*entropy);
                    }
                }
                Err(error) if told => tracing::debug!(%error, "Redis still does not answer"),
                Err(error) => {
                    told = true;
                    tracing::warn!(
                        %error,
                        "Redis does not answer; tails are read from the database until it does"
                    );
                }
            }
            sleep(next_pause.next().unwrap_or(PAUSE_MAX)).await;
        }
    }

    /// A connection over which Redis has answered within the deadline.
    async fn connect(&self) -> Result<MultiplexedConnection, String> {
        // The deadlines are ours: those of the library do not span everything.
        let config = AsyncConnectionConfig::new();
        let config = config.set_connection_timeout(None).set_response_timeout(None);
        let connect = self.client.get_multiplexed_async_connection_with_config(&config);
        let connected = timeout(CONNECT_WITHIN, connect).await;
        let late = |_| format!("no connection within {CONNECT_WITHIN:?}");
        let mut connection = connected.map_err(late)?.map_err(|e| e.to_string())?;
        let ping = Cmd::ping();
        let answer = timeout(self.deadline, ping.exec_async(&mut connection)).await;
        let late = |_| format!("no answer within {:?}", self.deadline);
        answer.map_err(late)?.map_err(|e| e.to_string())?;
        Ok(connection)
    }

    /// Returns once the connection is there no more. Tries it where nobody else does.
    async fn until_lost(&self) {
        let mut up = self.up();
        let mut ping = Pipeline::new();
        ping.ping();
        while timeout(TRIED_EVERY, up.wait_for(|up| !up)).await.is_err() {
            let _: Option<(String,)> = self.run(&ping).await;
        }
    }

    /// Waits for a reply, and takes the connection away if it is none to rely on.
    async fn judged<T>(
        &self,
        number: u64,
        reply: impl Future<Output = RedisResult<T>>,
    ) -> Option<T> {
        match timeout(self.deadline, reply).await {
            Ok(Ok(reply)) => return Some(reply),
            Ok(Err(error)) if is_reply(&error) => {
                // It answered, and soon: out of memory, still loading, only for reading.
                counter!("seqline_redis_errors_total", "kind" => "reply").increment(1);
                tracing::debug!(%error, "Redis refused a command");
            }
            Ok(Err(error)) => {
                counter!("seqline_redis_errors_total", "kind" => "connection").increment(1);
                self.lose(number, &error.to_string());
            }
            Err(_) => {
                counter!("seqline_redis_errors_total", "kind" => "late").increment(1);
                self.lose(number, "no answer within the deadline");
            }
        }
        None
    }

    fn put(&self, live: Live) {
        *self.lock() = Some(live);
        self.up.send_replace(true);
        gauge!("seqline_redis_up").set(1.0);
    }

    /// Takes the connection away, unless another call has done so before.
    fn lose(&self, number: u64, reason: &str) {
        let lost = self.lock().take_if(|live| live.number == number);
        if lost.is_some() {
            self.up.send_replace(false);
            gauge!("seqline_redis_up").set(0.0);
            counter!("seqline_redis_breaks_total").increment(1);
            tracing::warn!(
                reason,
                "Redis stopped to answer; tails are read from the database until it does"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pauses between attempts that go on for ever: each twice the one before, and lengthened by
/// up to their double at random, so that a thousand instances do not come back at once.
pub(super) fn pauses(entropy: &dyn Entropy) -> ExponentialBackoff {
    let pauses = ExponentialBuilder::new().with_min_delay(PAUSE_MIN).with_max_delay(PAUSE_MAX);
    pauses.without_max_times().with_jitter().with_jitter_seed(entropy.random()).build()
}

/// Whether Redis itself said no, over a connection that works.
fn is_reply(error: &RedisError) -> bool {
    matches!(error.kind(), redis::ErrorKind::Server(_)) && !error.is_unrecoverable_error()
}
