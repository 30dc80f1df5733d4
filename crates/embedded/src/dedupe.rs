//! Idempotency keys: the newest ones in memory, all within the window in the index.
//!
//! The committer decides, and must not wait for the index. So a loader asks the index before a
//! send is ready, and every key stays in memory until the index has it: whatever was asked since
//! the last time keys were forgotten is complete with what is in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hashbrown::HashMap;
use seqline_core::clock::UnixMillis;
use seqline_core::fanout::Digest;
use seqline_core::seq::Seq;
use seqline_core::store::Receipt;
use seqline_core::{Error, Result};

use crate::backlog::NewKey;
use crate::error;
use crate::index::Index;
use crate::queue::{Asked, Keyed};
use crate::rows::Answer;

/// How far keys were forgotten, for the loaders.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forgotten(Arc<AtomicU64>);

impl Forgotten {
    /// Asks the index for a key. May wait for the disk.
    pub(crate) fn ask(&self, index: &Index, row: &[u8]) -> Result<Asked> {
        let forgotten = self.0.load(Ordering::Acquire);
        let answer = match index.get(row).map_err(error::index)? {
            Some(value) => Some(Answer::decode(&value).ok_or_else(damaged)?),
            None => None,
        };
        Ok(Asked { answer, forgotten })
    }
}

impl Forgotten {
    /// What [`Forgotten::ask`] would find, if memory alone can tell that it is nothing.
    pub(crate) fn surely_new(&self, index: &Index, row: &[u8]) -> Option<Asked> {
        let forgotten = self.0.load(Ordering::Acquire);
        index.snapshot().surely_absent(row).then_some(Asked { answer: None, forgotten })
    }
}

fn damaged() -> Error {
    error::corrupt(&"idempotency keys", Seq::ZERO, "an answer cannot be read")
}

/// Stands for the commits before the start.
const BEFORE: u64 = 0;

type Generation = HashMap<Vec<u8>, Recent, foldhash::fast::RandomState>;

/// A key in memory.
#[derive(Clone, Copy)]
struct Recent {
    answer: Answer,
    /// The commit that stored it.
    commit: u64,
}

/// What the committer knows of keys.
pub(crate) struct Dedupe {
    window_millis: u64,
    /// Keys of one generation; two are in memory.
    generation_keys: usize,
    young: Generation,
    old: Generation,
    /// How many keys there have been in all; and when the old generation ended.
    count: u64,
    old_count: u64,
    forgotten: Forgotten,
}

/// What a key says of a send.
pub(crate) enum Found {
    /// It is new.
    New,
    /// It was sent before. `commit` is the one that stored it, if that is in memory.
    Before { result: Result<Receipt>, commit: Option<u64> },
}

impl Dedupe {
    /// Begins with the keys that a replay has found, all of which are on their way to the index.
    pub(crate) fn new(
        window: Duration,
        generation_keys: usize,
        forgotten: Forgotten,
        replayed: Vec<NewKey>,
    ) -> Dedupe {
        let mut dedupe = Dedupe {
            window_millis: window_millis(window),
            generation_keys,
            young: Generation::default(),
            old: Generation::default(),
            count: 0,
            old_count: 0,
            forgotten,
        };
        for NewKey { row, answer, .. } in replayed {
            dedupe.put(row, answer, BEFORE);
        }
        dedupe
    }

    /// What `key` says. Asks the index only if what a loader asked may be stale.
    pub(crate) fn find(&self, index: &Index, key: &Keyed, now: UnixMillis) -> Result<Found> {
        let recent = self.young.get(&key.row).or_else(|| self.old.get(&key.row));
        let (answer, commit) = match recent {
            Some(recent) => (Some(recent.answer), Some(recent.commit)),
            None => {
                let current = self.forgotten.0.load(Ordering::Relaxed);
                let asked = match key.stored.filter(|asked| asked.forgotten == current) {
                    Some(asked) => asked,
                    None => self.forgotten.ask(index, &key.row)?,
                };
                (asked.answer, None)
            }
        };
        let counts = |a: &Answer| !expired(a.receipt.at, self.window_millis, now);
        Ok(match answer.filter(counts) {
            Some(answer) => Found::Before { result: again(&answer, &key.digest), commit },
            None => Found::New,
        })
    }

    /// A commit stores the first send of a key.
    pub(crate) fn put(&mut self, row: Vec<u8>, answer: Answer, commit: u64) {
        self.count += 1;
        self.young.insert(row, Recent { answer, commit });
    }

    /// Forgets the older keys if there are many, and the index has them: it got `saved` in all.
    pub(crate) fn shrink(&mut self, saved: u64) {
        if self.young.len() >= self.generation_keys && saved >= self.old_count {
            self.old = std::mem::take(&mut self.young);
            self.old_count = self.count;
            self.forgotten.0.fetch_add(1, Ordering::Release);
        }
    }
}

/// What a send with the same key gets.
fn again(first: &Answer, digest: &Digest) -> Result<Receipt> {
    match *digest == first.digest {
        true => Ok(Receipt { repeat: true, ..first.receipt }),
        false => Err(Error::Conflict),
    }
}

/// The window as times are counted.
pub(crate) fn window_millis(window: Duration) -> u64 {
    u64::try_from(window.as_millis()).unwrap_or(u64::MAX)
}

/// Whether a key that was taken at `at` counts no more.
pub(crate) fn expired(at: UnixMillis, window_millis: u64, now: UnixMillis) -> bool {
    at.0.saturating_add(window_millis) <= now.0
}
