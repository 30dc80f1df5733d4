//! Writes what waits: notices first, hints and the ends of claims beside them, a batch at a time.
//!
//! While one batch is on its way the next one gathers, so that the batches are the larger the more
//! there is to say, and nobody waits for anything.
//!
//! A hint is written whatever is there already, so a slow instance may replace a higher tail by a
//! lower one of before. That is harmless: the lower one is still a tail that was once true, with
//! its time, and costs whoever uses it one retry. To prevent it Redis would have to run a script
//! for each of them.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use redis::{Pipeline, Value};
use seqline_core::clock::Clock;

use super::hint;
use super::link::Link;
use super::notice::{self, Instance};
use super::pending::{Batch, Pending};

/// Most commands in one round trip, so that a large batch neither blocks Redis nor has one
/// deadline for everything.
const COMMANDS_MAX: usize = 1_000;
/// Most notices in one round trip: they are long.
const NOTICES_MAX: usize = 4;

/// What the writer needs.
pub(super) struct Writer {
    pub(super) link: Arc<Link>,
    pub(super) pending: Arc<Pending>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) instance: Instance,
    pub(super) prefix: Arc<str>,
    pub(super) channel: String,
    pub(super) hint_age_max: Duration,
}

impl Writer {
    /// Writes for ever.
    pub(super) async fn work(self) {
        let mut up = self.link.up();
        loop {
            tokio::select! {
                () = self.pending.more() => {}
                // Whoever listens has missed what was said while this instance could not speak.
                changed = up.changed() => if changed.is_err() { return },
            }
            let batch = self.pending.take();
            let (told, ()) = tokio::join!(self.tell(&batch), async {
                self.put(&batch).await;
                self.release(&batch).await;
            });
            if !told {
                self.pending.missed();
            }
        }
    }

    /// Publishes. Returns whether all that had to be said was said.
    async fn tell(&self, batch: &Batch) -> bool {
        if !batch.missed && batch.grown.is_empty() {
            return true;
        }
        let notices = if batch.missed {
            vec![notice::encode_all(self.instance)]
        } else {
            notice::encode(self.instance, batch.grown.iter().map(Vec::as_slice))
        };
        for some in notices.chunks(NOTICES_MAX) {
            let mut commands = Pipeline::with_capacity(some.len());
            for notice in some {
                commands.publish(&self.channel, notice);
            }
            // How many heard each one says nothing: they may have gone a moment later.
            if self.link.run::<Vec<Value>>(&commands).await.is_none() {
                counter!("seqline_redis_dropped_total", "what" => "notices").increment(1);
                return false;
            }
            counter!("seqline_redis_notices_total", "way" => "sent").increment(some.len() as u64);
        }
        true
    }

    /// Ends claims. Those that have ended by themselves may be another's meanwhile, who then has
    /// no turn alone: a position may be lost, as without claims.
    async fn release(&self, batch: &Batch) {
        for some in batch.released.chunks(COMMANDS_MAX) {
            let keys = some
                .iter()
                .map(|(epoch, member)| hint::claim_key(&self.prefix, *epoch, member.as_bytes()));
            let mut command = Pipeline::with_capacity(1);
            command.unlink(keys.collect::<Vec<_>>()).ignore();
            if self.link.run::<()>(&command).await.is_none() {
                counter!("seqline_redis_dropped_total", "what" => "claims")
                    .increment(some.len() as u64);
            }
        }
    }

    /// Writes hints, each until it is too old.
    async fn put(&self, batch: &Batch) {
        let now = self.clock.now();
        let mut left = batch.hints.len();
        let mut hints = batch.hints.iter();
        while left > 0 {
            let mut commands = Pipeline::with_capacity(left.min(COMMANDS_MAX));
            for ((epoch, member), hint) in hints.by_ref().take(COMMANDS_MAX) {
                left -= 1;
                let Some(life) = hint::remaining(hint.at, now, self.hint_age_max) else { continue };
                let key = hint::key(&self.prefix, *epoch, member.as_bytes());
                let value = hint::value(&key, *hint);
                let millis = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
                commands.pset_ex(key, value, millis).ignore();
            }
            if !commands.is_empty() && self.link.run::<()>(&commands).await.is_none() {
                counter!("seqline_redis_dropped_total", "what" => "hints")
                    .increment((left + commands.len()) as u64);
                return;
            }
        }
    }
}
