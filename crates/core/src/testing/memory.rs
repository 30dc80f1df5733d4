//! A reference store: one mutex, plain maps, nothing clever. What it does is what the port means.
//!
//! Only for tests: it keeps everything in memory and keys past their window until they are used.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Entropy};
use crate::error::{Error, Result};
use crate::fanout::{Digest, Outgoing};
use crate::id::{ConversationId, Epoch, MemberId, Text, TimelineId};
use crate::message::Message;
use crate::page::{Bounds, Direction, Entry, Page, Read};
use crate::seq::Seq;
use crate::store::{CheckEvent, CheckSummary, Receipt, Status, Store, StoreFuture};
use crate::watch::{Watch, Watchers};

/// A store in memory. Clones are handles to the same store; see also [`MemoryStore::reopen`].
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    watchers: Arc<Watchers>,
    closed: Arc<AtomicBool>,
    clock: Arc<dyn Clock>,
    window: Duration,
}

/// What a disk would hold.
struct State {
    epoch: Epoch,
    timelines: BTreeMap<TimelineId, Timeline>,
    keys: BTreeMap<(ConversationId, Vec<u8>), (Digest, Receipt)>,
}

#[derive(Default)]
struct Timeline {
    /// How many of the oldest entries are gone.
    trimmed: u64,
    entries: Vec<Entry>,
}

impl Timeline {
    fn bounds(&self) -> Bounds {
        Bounds {
            first: Seq::new(self.trimmed + 1),
            latest: Seq::new(self.trimmed + self.entries.len() as u64),
        }
    }

    fn push(&mut self, message: Message) -> Seq {
        let seq = self.bounds().latest.next();
        self.entries.push(Entry { seq, message });
        seq
    }
}

impl MemoryStore {
    /// An empty store. `window` is how long an idempotency key counts.
    pub fn new(clock: Arc<dyn Clock>, entropy: &dyn Entropy, window: Duration) -> MemoryStore {
        let epoch = Epoch(entropy.random());
        let state = State { epoch, timelines: BTreeMap::new(), keys: BTreeMap::new() };
        MemoryStore {
            state: Arc::new(Mutex::new(state)),
            watchers: Arc::new(Watchers::new()),
            closed: Arc::new(AtomicBool::new(false)),
            clock,
            window,
        }
    }

    /// The store as it is after a restart, clean or not: this one ends, what it held goes on.
    #[must_use]
    pub fn reopen(&self, clock: Arc<dyn Clock>) -> MemoryStore {
        self.closed.store(true, Ordering::SeqCst);
        MemoryStore {
            state: Arc::clone(&self.state),
            watchers: Arc::new(Watchers::new()),
            closed: Arc::new(AtomicBool::new(false)),
            clock,
            window: self.window,
        }
    }

    /// Does `work` on the state when first polled, unless the store is closed by then.
    fn later<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State) -> Result<T> + Send + 'static,
    ) -> StoreFuture<T> {
        let (state, closed) = (Arc::clone(&self.state), Arc::clone(&self.closed));
        Box::pin(async move {
            if closed.load(Ordering::SeqCst) {
                return Err(Error::unavailable("store", std::io::Error::other("it is closed")));
            }
            work(&mut lock(&state))
        })
    }
}

/// A panic while the lock was held has failed its test already.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store for MemoryStore {
    fn append(&self, send: Outgoing) -> StoreFuture<Receipt> {
        let (clock, window) = (Arc::clone(&self.clock), self.window);
        let watchers = Arc::clone(&self.watchers);
        self.later(move |state| {
            let receipt = state.append(&send, clock.as_ref(), window)?;
            if !receipt.repeat {
                watchers.wake(&TimelineId::from(send.conversation).key());
                send.recipients.iter().for_each(|id| watchers.wake(&TimelineId::inbox_key(id)));
            }
            Ok(receipt)
        })
    }

    fn read(&self, read: Read) -> StoreFuture<Page> {
        self.later(move |state| Ok(state.read(&read)))
    }

    fn bounds(&self, timelines: Vec<TimelineId>) -> StoreFuture<Vec<Bounds>> {
        self.later(move |state| Ok(timelines.iter().map(|id| state.bounds(id)).collect()))
    }

    fn trim(&self, timeline: TimelineId, up_to: Seq) -> StoreFuture<Bounds> {
        self.later(move |state| {
            if let Some(found) = state.timelines.get_mut(&timeline) {
                let up_to = up_to.min(found.bounds().latest.previous());
                found.entries.retain(|entry| entry.seq > up_to);
                found.trimmed = found.trimmed.max(up_to.get());
            }
            Ok(state.bounds(&timeline))
        })
    }

    fn watch(&self, timeline: &TimelineId) -> Watch {
        self.watchers.watch(&timeline.key())
    }

    fn check(&self, report: &mut dyn FnMut(CheckEvent)) -> Result<CheckSummary> {
        Ok(lock(&self.state).check(report))
    }

    fn status(&self) -> Status {
        let closed = self.closed.load(Ordering::SeqCst);
        Status { refuses_sends: closed.then(|| "it is closed".to_owned()), ..Status::default() }
    }

    fn close(&self) -> StoreFuture<()> {
        let closed = Arc::clone(&self.closed);
        Box::pin(async move {
            closed.store(true, Ordering::SeqCst);
            Ok(())
        })
    }
}

impl State {
    fn bounds(&self, timeline: &TimelineId) -> Bounds {
        self.timelines.get(timeline).map_or(Bounds::EMPTY, Timeline::bounds)
    }

    fn append(&mut self, send: &Outgoing, clock: &dyn Clock, window: Duration) -> Result<Receipt> {
        let now = clock.now();
        let key = send.key.as_ref().map(|k| (send.conversation.clone(), k.as_bytes().to_vec()));
        if let Some((digest, first)) = key.as_ref().and_then(|key| self.keys.get(key)) {
            let age = Duration::from_millis(now.0.saturating_sub(first.at.0));
            if age < window {
                let same = *digest == send.digest();
                return if same {
                    Ok(Receipt { repeat: true, ..*first })
                } else {
                    Err(Error::Conflict)
                };
            }
        }
        let conversation = self.timelines.entry(send.conversation.clone().into()).or_default();
        let message = Message {
            id: send.id,
            conversation: send.conversation.clone(),
            seq: conversation.bounds().latest.next(),
            sender: send.sender.clone(),
            at: conversation.entries.last().map_or(now, |last| last.message.at.max(now)),
            body: send.body.clone(),
        };
        conversation.push(message.clone());
        let mut receiver_seq = Seq::ZERO;
        for id in send.recipients.iter() {
            receiver_seq = self.timelines.entry(inbox(id)).or_default().push(message.clone());
        }
        let (id, at) = (message.id, message.at);
        let conversation_seq = message.seq;
        let receipt = Receipt { id, conversation_seq, receiver_seq, at, repeat: false };
        if let Some(key) = key {
            self.keys.insert(key, (send.digest(), receipt));
        }
        Ok(receipt)
    }

    fn read(&self, read: &Read) -> Page {
        let wanted = |entry: &&Entry| entry.seq > read.after && entry.seq <= read.until;
        let all = self.timelines.get(&read.timeline).map_or(&[][..], |found| &found.entries);
        let mut left: Vec<&Entry> = all.iter().filter(wanted).collect();
        if read.direction == Direction::Forward {
            left.reverse();
        }
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while let Some(next) = left.last() {
            bytes += next.message.body.len();
            let fits = entries.is_empty() || bytes <= read.bytes_max;
            if entries.len() == read.entries_max || !fits {
                break;
            }
            entries.extend(left.pop().cloned());
        }
        let bounds = self.bounds(&read.timeline);
        Page { entries, bounds, epoch: self.epoch, more: !left.is_empty() }
    }

    fn check(&self, report: &mut dyn FnMut(CheckEvent)) -> CheckSummary {
        let mut summary = CheckSummary::default();
        let total = self.timelines.len() as u64;
        for (id, timeline) in &self.timelines {
            let mut expected = timeline.bounds().first;
            for entry in &timeline.entries {
                if entry.seq != expected {
                    let detail = format!("{} stands where {expected} belongs", entry.seq);
                    report(CheckEvent::Problem { place: id.to_string(), detail });
                    summary.problems += 1;
                }
                expected = expected.next();
            }
            match id {
                TimelineId::Inbox(_) => summary.inbox_entries += timeline.entries.len() as u64,
                TimelineId::Conversation(_) => summary.messages += timeline.entries.len() as u64,
            }
            summary.timelines += 1;
            report(CheckEvent::Progress { done: summary.timelines, total });
        }
        summary
    }
}

fn inbox(id: &[u8]) -> TimelineId {
    let text = Text::new(bytes::Bytes::copy_from_slice(id)).expect("a listed member is UTF-8");
    TimelineId::Inbox(MemberId::new("member", text).expect("a listed member is a valid id"))
}
