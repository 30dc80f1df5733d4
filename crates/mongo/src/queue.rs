//! Lanes: sends to one conversation go out one group after the other, all that waits together.
//!
//! One lane per conversation that is being sent to, one task per lane. Within an instance this
//! saves sends from taking each other's numbers; between instances nothing is assumed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use seqline_core::error::{Error, Result};
use seqline_core::fanout::Outgoing;
use seqline_core::store::Receipt;
use tokio::sync::oneshot;

use crate::documents::Draft;
use crate::life::Running;
use crate::options::Options;
use crate::send;
use crate::shared::Shared;

/// Most sends that go out together.
const GROUP_SENDS_MAX: usize = 100;
/// Most bytes of documents that go out together: one command, of which MongoDB takes 16 MiB.
const GROUP_BYTES_MAX: usize = 12 * 1024 * 1024;

/// A send that waits, and who waits for it.
pub(crate) struct Waiting {
    pub send: Outgoing,
    /// What it will be in its conversation.
    pub draft: Draft,
    pub answer: oneshot::Sender<Result<Receipt>>,
    /// A close waits for this send even if its caller has gone away.
    pub running: Running,
    /// When its time is up, on the uptime. Those before it in its lane are over by then.
    pub until: Duration,
}

/// All lanes of one instance.
pub(crate) struct Lanes {
    state: Mutex<State>,
    sends_max: usize,
    bytes_max: usize,
    /// How much less time the first of a group may have than the last: it is what all have.
    apart_max: Duration,
}

#[derive(Default)]
struct State {
    /// By the conversation's id; there while its task runs.
    lanes: HashMap<String, VecDeque<Waiting>>,
    sends: usize,
    bytes: usize,
}

impl Lanes {
    pub fn new(options: &Options) -> Lanes {
        let (sends_max, bytes_max) = (options.queued_sends_max, options.queued_bytes_max);
        // None loses more of its time than a quarter to those before it.
        let apart_max = options.operation_time / 4;
        Lanes { state: Mutex::default(), sends_max, bytes_max, apart_max }
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many sends wait, and the bytes of their bodies.
    pub fn waiting(&self) -> (usize, usize) {
        let state = self.locked();
        (state.sends, state.bytes)
    }

    /// Takes a send in; whether its lane needs a task.
    fn push(&self, id: &str, waiting: Waiting) -> Result<bool> {
        let mut state = self.locked();
        let bytes = waiting.send.body.len();
        if state.sends >= self.sends_max || state.bytes + bytes > self.bytes_max {
            return Err(Error::Overloaded { reason: "the queue of sends is full" });
        }
        state.sends += 1;
        state.bytes += bytes;
        let new = !state.lanes.contains_key(id);
        state.lanes.entry(id.to_owned()).or_default().push_back(waiting);
        Ok(new)
    }

    /// The next group of a lane. When there is none, the lane is gone.
    fn take(&self, id: &str) -> Vec<Waiting> {
        let mut state = self.locked();
        let State { lanes, sends, bytes } = &mut *state;
        let Some(lane) = lanes.get_mut(id) else {
            return Vec::new();
        };
        let (mut group, mut size): (Vec<Waiting>, usize) = (Vec::new(), 0);
        while let Some(next) = lane.front() {
            size += next.draft.bytes();
            let later =
                group.first().is_some_and(|first| next.until > first.until + self.apart_max);
            let full = later || group.len() == GROUP_SENDS_MAX || size > GROUP_BYTES_MAX;
            if full && !group.is_empty() {
                break;
            }
            *sends -= 1;
            *bytes -= next.send.body.len();
            group.extend(lane.pop_front());
        }
        if group.is_empty() {
            lanes.remove(id);
        }
        group
    }
}

/// Puts a send into the lane of the conversation `id`, and answers when it is done.
///
/// # Errors
/// `Overloaded` if too much waits; else what became of the send.
pub(crate) async fn enqueue(
    shared: Arc<Shared>,
    id: String,
    send: Outgoing,
    draft: Draft,
    running: Running,
) -> Result<Receipt> {
    let (answer, answered) = oneshot::channel();
    let until = shared.uptime.now() + shared.options.operation_time;
    if shared.lanes.push(&id, Waiting { send, draft, answer, running, until })? {
        // Not the caller's runtime, which may end before the send does.
        let runtime = shared.runtime.clone();
        runtime.spawn(run(shared, id));
    }
    let gone = |_| Error::OutcomeUnknown { reason: "the send was broken off".to_owned() };
    answered.await.map_err(gone)?
}

/// Sends what comes into a lane, until nothing does.
async fn run(shared: Arc<Shared>, id: String) {
    // If sending panics, whoever waits in the lane hears so, and the next send begins a new one.
    let mut abandoned = Abandoned { shared: &shared, id: &id, armed: true };
    loop {
        let group = shared.lanes.take(&id);
        if group.is_empty() {
            break;
        }
        send::group(&shared, &id, group).await;
    }
    abandoned.armed = false;
}

struct Abandoned<'a> {
    shared: &'a Shared,
    id: &'a str,
    armed: bool,
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        while self.armed && !self.shared.lanes.take(self.id).is_empty() {}
    }
}
