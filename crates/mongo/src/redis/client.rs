//! [`Redis`]: the two ports of [`crate::hints`] on a Redis, and the tasks behind them.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::counter;
use redis::{Client, ExistenceCheck, Pipeline, SetExpiry, SetOptions, Value};
use seqline_core::clock::{Clock, Entropy};
use seqline_core::id::{Epoch, Text, TimelineId};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::hint;
use super::link::Link;
use super::listener::{Grown, Listener};
use super::notice::Instance;
use super::pending::Pending;
use super::settings::{Settings, SettingsError};
use super::writer::Writer;
use crate::hints::{CLAIM_TIME, Claim, ClaimFuture, Hint, HintFuture, Hints, Notices};

/// Most tails that are asked for in one round trip: more would keep Redis from its other callers.
const TAILS_MAX: usize = 1_000;

/// A Redis that may answer or not. Its tasks end when it is dropped.
pub struct Redis {
    link: Arc<Link>,
    pending: Arc<Pending>,
    client: Client,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    runtime: Handle,
    prefix: Arc<str>,
    channel: String,
    instance: Instance,
    hint_age_max: Duration,
    deadline: Duration,
    listening: watch::Sender<bool>,
    tasks: Vec<Task>,
}

/// A task that ends when this is dropped.
#[derive(Debug)]
struct Task(AbortHandle);

/// Hears of other instances for as long as it is kept.
#[derive(Debug)]
#[must_use = "nothing is heard once it is dropped"]
pub struct Listening {
    _task: Task,
}

impl Redis {
    /// Begins to connect, in the background and for ever, for this database of MongoDB. Its
    /// connections live on `runtime`; callers may be on any.
    ///
    /// # Errors
    /// Only for settings that name no address. A Redis that is not there is no error.
    pub fn start(
        settings: &Settings,
        database: &str,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        runtime: Handle,
    ) -> Result<Redis, SettingsError> {
        super::figures::describe();
        let client =
            Client::open(settings.connection()?).map_err(|e| SettingsError::of_library(&e))?;
        let link = Arc::new(Link::new(client.clone(), settings.deadline));
        let mut redis = Redis {
            link,
            pending: Arc::default(),
            client,
            clock,
            instance: entropy.random(),
            entropy,
            runtime,
            prefix: hint::prefix(database).into(),
            channel: format!("{}grown", hint::prefix(database)),
            hint_age_max: settings.hint_age_max,
            deadline: settings.deadline,
            listening: watch::Sender::new(false),
            tasks: Vec::new(),
        };
        let keeper = Arc::clone(&redis.link).keep(Arc::clone(&redis.entropy));
        redis.tasks.push(redis.spawn(keeper));
        redis.tasks.push(redis.spawn(redis.writer().work()));
        Ok(redis)
    }

    /// Tells `hear` which timelines other instances have made grow, and of every time when some
    /// may have been missed, for as long as the answer is kept. `hear` must not block.
    pub fn listen(&self, hear: impl Fn(Grown) + Send + Sync + 'static) -> Listening {
        let listener = Listener {
            client: self.client.clone(),
            channel: self.channel.clone(),
            instance: self.instance,
            entropy: Arc::clone(&self.entropy),
            listening: self.listening.clone(),
            hear: Box::new(hear),
        };
        Listening { _task: self.spawn(listener.work()) }
    }

    /// Whether Redis answered when it was asked last, at most seconds ago.
    pub fn answers(&self) -> watch::Receiver<bool> {
        self.link.up()
    }

    /// Whether notices of other instances are heard at present. While they are not, whoever
    /// waits for a timeline to grow must look by itself.
    pub fn listens(&self) -> watch::Receiver<bool> {
        self.listening.subscribe()
    }

    fn writer(&self) -> Writer {
        Writer {
            link: Arc::clone(&self.link),
            pending: Arc::clone(&self.pending),
            clock: Arc::clone(&self.clock),
            instance: self.instance,
            prefix: Arc::clone(&self.prefix),
            channel: self.channel.clone(),
            hint_age_max: self.hint_age_max,
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Task {
        Task(self.runtime.spawn(task).abort_handle())
    }
}

impl Hints for Redis {
    fn tails(&self, epoch: Epoch, members: Vec<Text>) -> HintFuture {
        if !self.link.is_up() {
            count("skipped", members.len());
            return Box::pin(std::future::ready(vec![None; members.len()]));
        }
        let (link, clock) = (Arc::clone(&self.link), Arc::clone(&self.clock));
        let (prefix, age_max) = (Arc::clone(&self.prefix), self.hint_age_max);
        let enough = Instant::now() + self.deadline;
        Box::pin(async move {
            let mut hints = Vec::with_capacity(members.len());
            for some in members.chunks(TAILS_MAX) {
                let keys: Vec<_> =
                    some.iter().map(|m| hint::key(&prefix, epoch, m.as_bytes())).collect();
                let Some(values) = values(&link, &keys).await else { break };
                let now = clock.now();
                let before = hints.len();
                hints.extend(
                    keys.iter()
                        .zip(&values)
                        .map(|(key, value)| hint::parse(key, value.as_deref()?, now, age_max)),
                );
                let found = values.iter().flatten().count();
                let hits = hints[before..].iter().flatten().count();
                count("hit", hits);
                count("unusable", found - hits);
                count("miss", keys.len() - found);
                if Instant::now() >= enough {
                    break;
                }
            }
            count("skipped", members.len() - hints.len());
            hints.resize(members.len(), None);
            hints
        })
    }

    fn put(&self, epoch: Epoch, tails: Vec<(Text, Hint)>) {
        // Nobody would read them: they would be old before Redis is back.
        let dropped = if self.link.is_up() {
            self.pending.add_hints(epoch, tails)
        } else {
            tails.len() as u64
        };
        counter!("seqline_redis_dropped_total", "what" => "hints").increment(dropped);
    }

    fn claim(&self, epoch: Epoch, members: Vec<Text>) -> ClaimFuture {
        let nobody = Claim { ours: true, hint: None };
        if !self.link.is_up() {
            return Box::pin(std::future::ready(vec![nobody; members.len()]));
        }
        let (link, clock) = (Arc::clone(&self.link), Arc::clone(&self.clock));
        let (prefix, age_max) = (Arc::clone(&self.prefix), self.hint_age_max);
        let (instance, enough) = (self.instance, Instant::now() + self.deadline);
        Box::pin(async move {
            let mut claims = Vec::with_capacity(members.len());
            for some in members.chunks(TAILS_MAX) {
                let keys: Vec<_> =
                    some.iter().map(|m| hint::key(&prefix, epoch, m.as_bytes())).collect();
                let claim_keys = some.iter().map(|m| hint::claim_key(&prefix, epoch, m.as_bytes()));
                let Some(answers) = claimed(&link, claim_keys, instance, &keys).await else {
                    break;
                };
                let now = clock.now();
                claims.extend(keys.iter().zip(answers).map(|(key, (ours, value))| {
                    let hint = value.and_then(|value| hint::parse(key, &value, now, age_max));
                    Claim { ours, hint }
                }));
                if Instant::now() >= enough {
                    break;
                }
            }
            let taken = claims.iter().filter(|claim| claim.ours).count();
            for (result, count) in [
                ("taken", taken),
                ("busy", claims.len() - taken),
                ("skipped", members.len() - claims.len()),
            ] {
                counter!("seqline_redis_claims_total", "result" => result).increment(count as u64);
            }
            claims.resize(members.len(), nobody);
            claims
        })
    }

    fn release(&self, epoch: Epoch, members: Vec<Text>) {
        // Without a connection they end by themselves.
        if self.link.is_up() {
            let dropped = self.pending.add_released(epoch, members);
            counter!("seqline_redis_dropped_total", "what" => "claims").increment(dropped);
        }
    }
}

impl Notices for Redis {
    fn publish(&self, timelines: Vec<TimelineId>) {
        self.pending.add_grown(&timelines);
    }
}

/// What is stored under each of these keys, if Redis says so soon.
async fn values(link: &Link, keys: &[Vec<u8>]) -> Option<Vec<Option<Vec<u8>>>> {
    let mut command = Pipeline::new();
    command.mget(keys);
    let (values,): (Vec<Option<Vec<u8>>>,) = link.run(&command).await?;
    (values.len() == keys.len()).then_some(values)
}

/// Claims what is free, and what is stored under `keys` once that is done: in one round trip.
async fn claimed(
    link: &Link,
    claims: impl Iterator<Item = Vec<u8>>,
    instance: Instance,
    keys: &[Vec<u8>],
) -> Option<Vec<(bool, Option<Vec<u8>>)>> {
    let options = SetOptions::default()
        .conditional_set(ExistenceCheck::NX)
        .with_expiration(SetExpiry::PX(CLAIM_TIME.as_millis() as u64));
    let mut commands = Pipeline::with_capacity(keys.len() + 1);
    for key in claims {
        commands.set_options(key, instance, options.clone());
    }
    commands.mget(keys);
    let mut replies: Vec<Value> = link.run(&commands).await?;
    let values: Vec<Option<Vec<u8>>> = redis::from_redis_value(replies.pop()?).ok()?;
    if values.len() != keys.len() || replies.len() != keys.len() {
        return None;
    }
    // A claim that is another's has no reply of its own.
    Some(replies.iter().map(|reply| *reply != Value::Nil).zip(values).collect())
}

/// Counts hints by what became of them.
fn count(result: &'static str, hints: usize) {
    counter!("seqline_redis_hints_total", "result" => result).increment(hints as u64);
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the client, which knows a password.
        let mut shown = f.debug_struct("Redis");
        shown.field("answers", &self.link.is_up()).field("deadline", &self.deadline);
        shown.field("channel", &self.channel).finish_non_exhaustive()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
