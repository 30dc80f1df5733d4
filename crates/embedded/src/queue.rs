//! What waits for the committer: bounded by count and bytes, refused at once when full.
//!
//! A command whose timelines are all in memory is ready; one that needs the index first waits for
//! a loader. Both count alike.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use seqline_core::fanout::{Digest, Outgoing};
use seqline_core::id::{IdempotencyKey, TimelineId};
use seqline_core::page::Bounds;
use seqline_core::seq::Seq;
use seqline_core::store::Receipt;
use seqline_core::{Error, Result};
use tokio::sync::oneshot;

use crate::error;
use crate::record;
use crate::rows;
use crate::timelines::Place;

/// What one inbox entry needs in memory while it is committed.
const RECIPIENT_BYTES: usize = 64;
/// Most commands that the committer loads itself when it has nothing else to do.
const UNLOADED_MAX: usize = 64;
/// What a send needs beside its text.
const SEND_BYTES: usize = 512;

/// A send and who waits for its answer.
pub(crate) struct Append {
    pub(crate) send: Outgoing,
    /// The conversation's [`TimelineId::key`].
    pub(crate) conversation: Vec<u8>,
    /// Where the timelines are, as far as they are in memory.
    pub(crate) places: Places,
    /// Present if the send has an idempotency key.
    pub(crate) key: Option<Keyed>,
    /// Most bytes that its frame takes.
    pub(crate) frame_bytes: usize,
    pub(crate) answer: oneshot::Sender<Result<Receipt>>,
    /// What the queue counts for it.
    bytes: usize,
}

/// Where the timelines of a send are, or [`Place::NOWHERE`].
pub(crate) struct Places {
    pub(crate) conversation: Place,
    pub(crate) recipients: Box<[Place]>,
}

/// The idempotency key of a send.
pub(crate) struct Keyed {
    /// Its key in the index.
    pub(crate) row: Vec<u8>,
    pub(crate) digest: Digest,
    /// What the index said of it, once a loader has asked.
    pub(crate) stored: Option<Asked>,
}

/// What the index said of an idempotency key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) answer: Option<rows::Answer>,
    /// How far the committer had forgotten keys that are in the index by then.
    pub(crate) forgotten: u64,
}

impl Append {
    pub(crate) fn new(send: Outgoing, answer: oneshot::Sender<Result<Receipt>>) -> Append {
        let conversation = TimelineId::Conversation(send.conversation.clone()).key();
        // Hashed here, on the caller's thread, as the committer is the one place that cannot scale.
        let key = send.key.as_ref().map(|key: &IdempotencyKey| Keyed {
            row: rows::key_key(&conversation, key.as_bytes()),
            digest: send.digest(),
            stored: None,
        });
        let frame_bytes = record::bytes_max(&send, &conversation);
        let bytes = SEND_BYTES + frame_bytes + send.recipients.len() * RECIPIENT_BYTES;
        let places = Places { conversation: Place::NOWHERE, recipients: Box::default() };
        Append { send, conversation, places, key, frame_bytes, answer, bytes }
    }
}

/// Work for the committer.
pub(crate) enum Command {
    Append(Box<Append>),
    Trim { timeline: Vec<u8>, up_to: Seq, answer: oneshot::Sender<Result<Bounds>> },
    Close { answer: oneshot::Sender<Result<()>> },
}

impl Command {
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Command::Append(append) => append.bytes,
            Command::Trim { .. } | Command::Close { .. } => SEND_BYTES,
        }
    }

    /// Tells whoever waits that nothing was done.
    pub(crate) fn refuse(self, error: Error) {
        // A caller that gave up is no failure.
        let _ = match self {
            Command::Append(append) => append.answer.send(Err(error)).is_ok(),
            Command::Trim { answer, .. } => answer.send(Err(error)).is_ok(),
            Command::Close { answer } => answer.send(Err(error)).is_ok(),
        };
    }
}

/// The queue between the callers and the committer.
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Tells the committer that there is work.
    grown: Condvar,
    /// Tells the loaders that there is work.
    load: Condvar,
    sends_max: usize,
    bytes_max: usize,
}

#[derive(Default)]
struct State {
    /// Ready to be committed.
    waiting: VecDeque<Command>,
    /// They need something from the index first.
    unloaded: VecDeque<Command>,
    /// Commands that loaders have in hand.
    loading: usize,
    /// The last command of all; it waits for those before it to be loaded.
    close: Option<Command>,
    /// Whether the committer waits, and so must be woken.
    idle: bool,
    /// Loaders that wait.
    idle_loaders: usize,
    /// Loaders that were woken and do not run yet, so that nobody wakes them again.
    called_loaders: usize,
    /// Bytes of all that wait, loaders' hands included.
    bytes: usize,
    /// Nothing more is taken: the store is closing.
    closed: bool,
    /// Nothing more is taken: a write failed.
    poisoned: Option<String>,
    /// Sends and bytes the committer took and has not answered yet.
    working: (usize, usize),
}

/// What [`Queue::take`] found.
pub(crate) enum Taken {
    /// Work.
    Commands(Vec<Command>),
    /// The time came and nothing was there.
    Nothing,
    /// Closed and empty: there will never be anything again.
    End,
}

impl Queue {
    pub(crate) fn new(sends_max: usize, bytes_max: usize) -> Queue {
        Queue {
            state: Mutex::default(),
            grown: Condvar::new(),
            load: Condvar::new(),
            sends_max,
            bytes_max,
        }
    }

    /// Puts `command` at the end: of those that are `ready`, or of those to be loaded.
    ///
    /// # Errors
    /// `Overloaded` if the queue is full, `Unavailable` if the store takes nothing any more.
    pub(crate) fn push(&self, command: Command, ready: bool) -> Result<()> {
        let bytes = command.bytes();
        let mut state = self.lock();
        state.check()?;
        let (sends, queued_bytes) = state.load();
        if sends >= self.sends_max {
            return Err(Error::Overloaded { reason: "too many sends wait for the disk" });
        }
        // A send larger than the whole queue is taken alone; refusing it would be for ever.
        if sends > 0 && queued_bytes + bytes > self.bytes_max {
            return Err(Error::Overloaded { reason: "too many bytes wait for the disk" });
        }
        state.bytes += bytes;
        match ready {
            true => {
                state.waiting.push_back(command);
                self.wake(&mut state);
            }
            false => {
                state.unloaded.push_back(command);
                if state.idle {
                    // It has nothing better to do, and nobody waits for it meanwhile.
                    self.wake(&mut state);
                } else if state.idle_loaders > state.called_loaders {
                    state.called_loaders += 1;
                    self.load.notify_one();
                }
            }
        }
        Ok(())
    }

    /// Takes up to `max` commands to load; waits for the first. `None` at the end.
    pub(crate) fn take_unloaded(&self, max: usize) -> Option<Vec<Command>> {
        let mut state = self.lock();
        while state.unloaded.is_empty() {
            if state.closed || state.poisoned.is_some() {
                return None;
            }
            state.idle_loaders += 1;
            state = self.load.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle_loaders -= 1;
            state.called_loaders = state.called_loaders.saturating_sub(1);
        }
        let count = state.unloaded.len().min(max);
        let taken: Vec<Command> = state.unloaded.drain(..count).collect();
        state.loading += taken.len();
        Some(taken)
    }

    /// Puts loaded commands where the committer finds them, and lets go of `gone` others, whose
    /// callers have their answers.
    pub(crate) fn loaded(&self, ready: Vec<Command>, gone: usize, gone_bytes: usize) {
        let mut state = self.lock();
        state.loading -= ready.len() + gone;
        if let Some(reason) = state.poisoned.clone() {
            drop(state);
            ready.into_iter().for_each(|command| command.refuse(poisoned(&reason)));
            return;
        }
        state.bytes -= gone_bytes;
        state.waiting.extend(ready);
        self.wake(&mut state);
    }

    /// Wakes the committer if it waits: a system call that most sends can do without.
    fn wake(&self, state: &mut State) {
        if std::mem::take(&mut state.idle) {
            self.grown.notify_one();
        }
    }

    /// Takes what waits, up to the given sums of deliveries and bytes but at least one command.
    /// Waits for it until `deadline`, without one for as long as it takes.
    pub(crate) fn take(
        &self,
        deadline: Option<Instant>,
        deliveries_max: usize,
        bytes_max: usize,
    ) -> Taken {
        let mut state = self.lock();
        state.working = (0, 0);
        while state.waiting.is_empty() {
            if !state.unloaded.is_empty() && state.poisoned.is_none() {
                // The loaders may have more than they can do; the caller loads what is missing.
                let count = state.unloaded.len().min(UNLOADED_MAX);
                let State { waiting, unloaded, .. } = &mut *state;
                waiting.extend(unloaded.drain(..count));
                break;
            }
            let loaded = state.loading == 0;
            if loaded && let Some(close) = state.close.take() {
                state.bytes -= close.bytes();
                return Taken::Commands(vec![close]);
            }
            if loaded && state.closed || state.poisoned.is_some() {
                return Taken::End;
            }
            state.idle = true;
            let Some(deadline) = deadline else {
                state = self.grown.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.idle = false;
                return Taken::Nothing;
            }
            let waited = self.grown.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.idle = false;
        let (mut taken, mut deliveries, mut bytes) = (Vec::new(), 0, 0);
        while let Some(next) = state.waiting.front() {
            let next_deliveries = match next {
                Command::Append(append) => append.send.recipients.len(),
                _ => 0,
            };
            let full =
                deliveries + next_deliveries > deliveries_max || bytes + next.bytes() > bytes_max;
            if full && !taken.is_empty() {
                break;
            }
            deliveries += next_deliveries;
            bytes += next.bytes();
            taken.extend(state.waiting.pop_front());
        }
        state.bytes -= bytes;
        state.working = (taken.len(), bytes);
        Taken::Commands(taken)
    }

    /// Takes nothing more; what waits is still done.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.grown.notify_one();
        self.load.notify_all();
    }

    /// Puts the last command at the end and takes nothing more.
    ///
    /// # Errors
    /// `Unavailable` if that had happened before.
    pub(crate) fn close_with(&self, command: Command) -> Result<()> {
        let mut state = self.lock();
        state.check()?;
        state.bytes += command.bytes();
        state.close = Some(command);
        state.closed = true;
        self.grown.notify_one();
        self.load.notify_all();
        Ok(())
    }

    /// Takes nothing more, and tells all who wait that nothing of theirs was stored.
    pub(crate) fn poison(&self, reason: &str) {
        let waiting = {
            let mut state = self.lock();
            state.poisoned.get_or_insert_with(|| reason.to_owned());
            state.bytes = 0;
            state.working = (0, 0);
            let mut waiting = std::mem::take(&mut state.waiting);
            waiting.append(&mut state.unloaded);
            waiting.extend(state.close.take());
            waiting
        };
        self.grown.notify_one();
        self.load.notify_all();
        for command in waiting {
            command.refuse(poisoned(reason));
        }
    }

    /// Why a failed write refuses everything after it.
    pub(crate) fn poisoned(&self) -> Option<String> {
        self.lock().poisoned.clone()
    }

    /// Why sends are refused; sends and bytes that wait or are being written.
    pub(crate) fn status(&self) -> (Option<String>, usize, usize) {
        let state = self.lock();
        let refuses = state.poisoned.clone();
        let refuses = refuses.or_else(|| state.closed.then(|| CLOSED.to_owned()));
        let (sends, bytes) = state.load();
        (refuses, sends, bytes)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole at every point where a holder could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const CLOSED: &str = "the store is closed";

fn poisoned(reason: &str) -> Error {
    error::unavailable(format!("an earlier write failed; restart to recover: {reason}"))
}

impl State {
    fn check(&self) -> Result<()> {
        match &self.poisoned {
            Some(reason) => Err(poisoned(reason)),
            None if self.closed => Err(error::unavailable(CLOSED)),
            None => Ok(()),
        }
    }

    fn load(&self) -> (usize, usize) {
        let waiting = self.waiting.len() + self.unloaded.len() + self.loading;
        (waiting + self.working.0, self.bytes + self.working.1)
    }
}
