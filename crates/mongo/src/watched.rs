//! Timelines that somebody waits for here, and the look whether they have grown without notice.
//!
//! A notice of another instance may be lost, or nothing carries notices at all. So the tails of
//! all watched timelines are read now and then, many in one command, and who waits for one that
//! has grown is woken. Between two looks a tail is remembered for whoever waits again meanwhile:
//! what was read before a watch was made is what its reader has seen at least.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use foldhash::fast::RandomState;
use seqline_core::id::TimelineId;

use crate::bounds::Place;
use crate::call::{Call, Stop};
use crate::care;
use crate::counts::Operation;
use crate::db::Collection;
use crate::lookup::COMMAND_MAX;
use crate::shared::Shared;

/// For how many looks a tail is remembered while nobody waits: who was woken is back by then.
const LOOKS_IDLE: u32 = 5;

/// The timelines that somebody waits for, by their keys.
#[derive(Debug, Default)]
pub(crate) struct Watched(Mutex<HashMap<Vec<u8>, Entry, RandomState>>);

#[derive(Debug)]
struct Entry {
    place: Place,
    /// Alive while somebody waits.
    waits: Weak<()>,
    /// Its tail at the last look; `None` before the first.
    tail: Option<u64>,
    /// How many looks ago somebody waited.
    idle: u32,
}

impl Watched {
    /// From now on somebody waits, for as long as the answer is kept.
    pub fn add(&self, timeline: &TimelineId) -> Arc<()> {
        let mut timelines = self.locked();
        let entry = timelines.entry(timeline.key()).or_insert_with(|| Entry {
            place: Place::of(timeline),
            waits: Weak::new(),
            tail: None,
            idle: 0,
        });
        entry.idle = 0;
        entry.waits.upgrade().unwrap_or_else(|| {
            let waits = Arc::new(());
            entry.waits = Arc::downgrade(&waits);
            waits
        })
    }

    /// The keys and places to look at now.
    fn due(&self) -> Vec<(Vec<u8>, Place)> {
        let mut timelines = self.locked();
        timelines.retain(|_, entry| {
            entry.idle = if entry.waits.strong_count() > 0 { 0 } else { entry.idle + 1 };
            entry.idle <= LOOKS_IDLE
        });
        let waited_for = timelines.iter().filter(|(_, entry)| entry.idle == 0);
        waited_for.map(|(key, entry)| (key.clone(), entry.place.clone())).collect()
    }

    /// Takes down a tail; whether who waits must read again.
    fn found(&self, key: &[u8], tail: u64) -> bool {
        // At the first look nobody knows what the reader has seen.
        self.locked().get_mut(key).is_some_and(|entry| entry.tail.replace(tail) != Some(tail))
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Entry, RandomState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.locked().len()
    }
}

/// Looks after watched timelines, until the store closes.
pub(crate) async fn look(shared: Arc<Shared>) {
    while care::goes_on(&shared, shared.options.look_interval).await {
        let due = shared.watched.due();
        let (inboxes, history) =
            due.into_iter().partition(|(_, place)| place.of == Collection::Inboxes);
        for (of, timelines) in [(Collection::Inboxes, inboxes), (Collection::History, history)] {
            if let Err(stop) = look_at(&shared, of, timelines).await {
                tracing::debug!(%stop, "watched timelines could not be looked at");
            }
        }
    }
}

/// One command after the other: many watched timelines take long, and little at a time.
async fn look_at(
    shared: &Arc<Shared>,
    of: Collection,
    timelines: Vec<(Vec<u8>, Place)>,
) -> Result<(), Stop> {
    for some in timelines.chunks(COMMAND_MAX) {
        let ids = some.iter().map(|(_, place)| place.id.clone()).collect();
        let tails = Call::new(shared, Operation::Look).tails(of, ids).await?;
        let tails: HashMap<String, u64> =
            tails.into_iter().map(|tail| (tail.id, tail.seq)).collect();
        for (key, place) in some {
            if shared.watched.found(key, tails.get(&place.id).copied().unwrap_or(0)) {
                shared.watchers.wake(key);
            }
        }
    }
    Ok(())
}
