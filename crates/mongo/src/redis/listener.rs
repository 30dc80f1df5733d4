//! Hears which timelines have grown at other instances, on a connection of its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use metrics::{counter, gauge};
use redis::Client;
use seqline_core::clock::Entropy;
use seqline_core::id::TimelineId;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::link::{PAUSE_MAX, pauses};
use super::notice::{self, Instance};

/// Longest attempt to connect and subscribe.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// Without a notice for so long Redis is asked whether it is still there.
const SILENT_FOR: Duration = Duration::from_secs(1);
/// How long it may take to say yes. It is no caller who waits.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// Having listened for so long, the next pause is a short one again.
const STEADY_AFTER: Duration = Duration::from_secs(10);

/// What was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grown {
    /// These timelines have grown.
    Timelines(Vec<TimelineId>),
    /// Any timeline may have grown: notices may have been missed.
    All,
}

/// Told of everything that is heard, on the listener's task: it must not block.
pub(super) type Hear = Box<dyn Fn(Grown) + Send + Sync>;

/// What the listener needs.
pub(super) struct Listener {
    pub(super) client: Client,
    pub(super) channel: String,
    pub(super) instance: Instance,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) listening: watch::Sender<bool>,
    pub(super) hear: Hear,
}

impl Listener {
    /// Listens, again and again, for ever.
    pub(super) async fn work(self) {
        let mut next_pause = pauses(&*self.entropy);
        let mut told = false;
        self.set_listening(false);
        loop {
            let began = Instant::now();
            let error = match self.listen(&mut told).await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            self.set_listening(false);
            if told {
                tracing::debug!(%error, "Redis still tells nothing");
            } else {
                told = true;
                tracing::warn!(%error, "Redis tells nothing of other instances until it is back");
            }
            if began.elapsed() >= STEADY_AFTER {
                next_pause = pauses(&*self.entropy);
            }
            sleep(next_pause.next().unwrap_or(PAUSE_MAX)).await;
        }
    }

    /// Listens until something goes wrong.
    async fn listen(&self, told: &mut bool) -> Result<std::convert::Infallible, Failure> {
        let connected = timeout(CONNECT_WITHIN, async {
            let (mut sink, stream) = self.client.get_async_pubsub().await?.split();
            sink.subscribe(&self.channel).await?;
            redis::RedisResult::Ok((sink, stream))
        });
        let (mut sink, mut notices) = connected.await.map_err(|_| Failure::Late)??;
        *told = false;
        self.set_listening(true);
        // Whatever was said before went unheard.
        (self.hear)(Grown::All);
        loop {
            match timeout(SILENT_FOR, notices.next()).await {
                Ok(Some(message)) => {
                    counter!("seqline_redis_notices_total", "way" => "heard").increment(1);
                    if let Some(grown) = notice::decode(self.instance, message.get_payload_bytes())
                    {
                        (self.hear)(grown);
                    }
                }
                Ok(None) => return Err(Failure::Ended),
                Err(_) => {
                    let answer = timeout(ANSWER_WITHIN, sink.ping::<redis::Value>()).await;
                    answer.map_err(|_| Failure::Late)??;
                }
            }
        }
    }

    fn set_listening(&self, listening: bool) {
        self.listening.send_replace(listening);
        gauge!("seqline_redis_listening").set(f64::from(u8::from(listening)));
    }
}

/// Why listening ended.
#[derive(Debug)]
enum Failure {
    Redis(redis::RedisError),
    Ended,
    Late,
}

impl From<redis::RedisError> for Failure {
    fn from(error: redis::RedisError) -> Failure {
        Failure::Redis(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Redis(error) => error.fmt(f),
            Failure::Ended => f.write_str("the connection ended"),
            Failure::Late => f.write_str("no answer in time"),
        }
    }
}
