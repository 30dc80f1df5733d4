//! What waits for the committer: bounded by count and bytes, refused at once when full.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use seqline_core::fanout::{Digest, Outgoing};
use seqline_core::id::TimelineId;
use seqline_core::page::Bounds;
use seqline_core::seq::Seq;
use seqline_core::store::Receipt;
use seqline_core::{Error, Result};
use tokio::sync::oneshot;

use crate::error;

/// What one inbox entry needs in memory while it is committed.
const RECIPIENT_BYTES: usize = 96;
/// What a send needs beside its text.
const SEND_BYTES: usize = 512;

/// A send and who waits for its answer.
pub(crate) struct Append {
    pub(crate) send: Outgoing,
    /// Present if the send has an idempotency key.
    pub(crate) digest: Option<Digest>,
    pub(crate) answer: oneshot::Sender<Result<Receipt>>,
    /// What the queue counts for it.
    bytes: usize,
}

impl Append {
    pub(crate) fn new(send: Outgoing, answer: oneshot::Sender<Result<Receipt>>) -> Append {
        let ids: usize = send.recipients.iter().map(<[u8]>::len).sum();
        let bytes = SEND_BYTES + send.body.len() + ids + send.recipients.len() * RECIPIENT_BYTES;
        // Hashed here, on the caller's thread, as the committer is the one place that cannot scale.
        let digest = send.key.is_some().then(|| send.digest());
        Append { send, digest, answer, bytes }
    }
}

/// Work for the committer.
pub(crate) enum Command {
    Append(Append),
    Trim { timeline: TimelineId, up_to: Seq, answer: oneshot::Sender<Result<Bounds>> },
    Close { answer: oneshot::Sender<Result<()>> },
}

impl Command {
    fn bytes(&self) -> usize {
        match self {
            Command::Append(append) => append.bytes,
            Command::Trim { .. } | Command::Close { .. } => SEND_BYTES,
        }
    }

    /// Tells whoever waits that nothing was done.
    fn refuse(self, error: Error) {
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
    sends_max: usize,
    bytes_max: usize,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Command>,
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
        Queue { state: Mutex::default(), grown: Condvar::new(), sends_max, bytes_max }
    }

    /// Puts `command` at the end.
    ///
    /// # Errors
    /// `Overloaded` if the queue is full, `Unavailable` if the store takes nothing any more.
    pub(crate) fn push(&self, command: Command) -> Result<()> {
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
        state.waiting.push_back(command);
        self.grown.notify_one();
        Ok(())
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
            if state.closed || state.poisoned.is_some() {
                return Taken::End;
            }
            let Some(deadline) = deadline else {
                state = self.grown.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Taken::Nothing;
            }
            let waited = self.grown.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
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
    }

    /// Puts the last command at the end and takes nothing more.
    ///
    /// # Errors
    /// `Unavailable` if that had happened before.
    pub(crate) fn close_with(&self, command: Command) -> Result<()> {
        let mut state = self.lock();
        state.check()?;
        state.bytes += command.bytes();
        state.waiting.push_back(command);
        state.closed = true;
        self.grown.notify_one();
        Ok(())
    }

    /// Takes nothing more, and tells all who wait that nothing of theirs was stored.
    pub(crate) fn poison(&self, reason: &str) {
        let waiting = {
            let mut state = self.lock();
            state.poisoned.get_or_insert_with(|| reason.to_owned());
            state.bytes = 0;
            state.working = (0, 0);
            std::mem::take(&mut state.waiting)
        };
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
        (self.waiting.len() + self.working.0, self.bytes + self.working.1)
    }
}
