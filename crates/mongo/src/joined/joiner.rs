//! Where calls of one kind meet: a queue, and a few commands under way that empty it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::Counter;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::db::{Db, NoReply, Reply};
use crate::life::Life;
use crate::uptime::Uptime;

/// Most documents, ids or tails in a command.
pub(super) const ITEMS_MAX: usize = 1_000;
/// Most bytes of documents in a command; MongoDB takes 48 MB.
pub(super) const BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most commands under way, while what waits does not fill one.
const COMMANDS_MAX: usize = 4;
/// Most while it does: then another call would not have gone with them.
const FULL_COMMANDS_MAX: usize = 32;
/// How much longer than its time a command is waited for.
const SLACK: Duration = Duration::from_millis(250);

/// How large a call is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Size {
    pub items: usize,
    pub bytes: usize,
}

impl Size {
    fn with(self, other: Size) -> Size {
        Size { items: self.items + other.items, bytes: self.bytes + other.bytes }
    }

    fn fits(self) -> bool {
        self.items <= ITEMS_MAX && self.bytes <= BYTES_MAX
    }

    fn fills(self) -> bool {
        self.items >= ITEMS_MAX || self.bytes >= BYTES_MAX
    }
}

/// The answers to the calls of one command, in their order.
pub(super) type Answers<T> = Pin<Box<dyn Future<Output = Result<Vec<T>, NoReply>> + Send>>;

/// A kind of call, several of which can be one command.
pub(super) trait Kind: Send + Sync + 'static {
    /// What is asked for.
    type Ask: Send + 'static;
    /// What comes back.
    type Answer: Send + 'static;

    fn size(ask: &Self::Ask) -> Size;

    /// The answer to a call whose time is over and that was never sent.
    fn unsent(ask: &Self::Ask) -> Result<Self::Answer, NoReply>;

    /// Sends one command for all of `asks`.
    fn send(&self, db: &dyn Db, asks: Vec<Self::Ask>, within: Duration) -> Answers<Self::Answer>;
}

/// What a joiner works with.
#[derive(Clone)]
pub(super) struct Outside {
    pub db: Arc<dyn Db>,
    pub uptime: Arc<dyn Uptime>,
    pub life: Arc<Life>,
    /// How long a command may take.
    pub command_time: Duration,
    pub runtime: Handle,
    /// Counts calls that went with another's command.
    pub joined: Counter,
}

/// The calls of one kind that wait.
pub(super) struct Joiner<K: Kind> {
    kind: K,
    outside: Outside,
    state: Mutex<State<K>>,
}

struct State<K: Kind> {
    waiting: VecDeque<Waiting<K>>,
    /// Of all that waits.
    size: Size,
    /// Tasks that send.
    tasks: usize,
    /// Whether one of them is about to look what waits.
    about: bool,
    /// Names the next call.
    next: u64,
}

struct Waiting<K: Kind> {
    number: u64,
    ask: K::Ask,
    size: Size,
    /// Its deadline, on the uptime.
    until: Duration,
    answer: oneshot::Sender<Result<K::Answer, NoReply>>,
}

impl<K: Kind> State<K> {
    /// Whether another task shall send; it is counted then.
    fn wants_task(&mut self) -> bool {
        let most = if self.size.fills() { FULL_COMMANDS_MAX } else { COMMANDS_MAX };
        let wanted = !self.waiting.is_empty() && !self.about && self.tasks < most;
        self.tasks += usize::from(wanted);
        self.about |= wanted;
        wanted
    }

    fn remove(&mut self, place: usize) -> Option<Waiting<K>> {
        let waiting = self.waiting.remove(place)?;
        self.size.items -= waiting.size.items;
        self.size.bytes -= waiting.size.bytes;
        Some(waiting)
    }
}

impl<K: Kind> Joiner<K> {
    pub fn new(kind: K, outside: Outside) -> Joiner<K> {
        let state = State {
            waiting: VecDeque::new(),
            size: Size::default(),
            tasks: 0,
            about: false,
            next: 0,
        };
        Joiner { kind, outside, state: Mutex::new(state) }
    }

    fn locked(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a call in. It is sent at once if few commands are under way, else with the next; if
    /// none goes within its time it is never sent.
    pub fn call(self: &Arc<Self>, ask: K::Ask, within: Duration) -> Reply<K::Answer> {
        let (answer, mut answered) = oneshot::channel();
        let until = self.outside.uptime.now() + within;
        let size = K::size(&ask);
        let (number, wants_task) = {
            let mut state = self.locked();
            let number = state.next;
            state.next += 1;
            state.size = state.size.with(size);
            state.waiting.push_back(Waiting { number, ask, size, until, answer });
            (number, state.wants_task())
        };
        if wants_task {
            self.begin();
        }
        let this = Arc::clone(self);
        Box::pin(async move {
            let gone = |_| Err(NoReply("its command was broken off".to_owned()));
            if let Ok(reply) = timeout(within, &mut answered).await {
                return reply.unwrap_or_else(gone);
            }
            match this.withdraw(number) {
                Some(waiting) => K::unsent(&waiting.ask),
                None => answered.await.unwrap_or_else(gone),
            }
        })
    }

    /// Takes a call back, if it is not sent yet.
    fn withdraw(&self, number: u64) -> Option<Waiting<K>> {
        let mut state = self.locked();
        let place = state.waiting.iter().position(|waiting| waiting.number == number)?;
        state.remove(place)
    }

    fn begin(self: &Arc<Self>) {
        // Not the caller's runtime, which may end before others' calls do.
        self.outside.runtime.spawn(Task { joiner: Arc::clone(self), done: false }.run());
    }

    /// What goes out next; if nothing does, the task that asks is over.
    fn take(self: &Arc<Self>) -> Option<(Vec<Waiting<K>>, Duration)> {
        let now = self.outside.uptime.now();
        let mut state = self.locked();
        state.about = false;
        let superfluous = state.tasks > COMMANDS_MAX && !state.size.fills();
        let batch = if superfluous { Vec::new() } else { self.batch(&mut state, now) };
        if batch.is_empty() {
            state.tasks -= 1;
            return None;
        }
        let wants_task = state.wants_task();
        drop(state);
        if wants_task {
            self.begin();
        }
        let left = batch.iter().map(|waiting| waiting.until.saturating_sub(now)).min();
        Some((batch, left.unwrap_or_default()))
    }

    /// The calls that waited longest, as many as fit. One in a hurry goes alone: the command has
    /// no more time than it.
    fn batch(&self, state: &mut State<K>, now: Duration) -> Vec<Waiting<K>> {
        let hurries = |waiting: &Waiting<K>| {
            waiting.until.saturating_sub(now) < self.outside.command_time / 2
        };
        let (mut batch, mut size) = (Vec::new(), Size::default());
        while let Some(next) = state.waiting.front() {
            size = size.with(next.size);
            let alone = hurries(next);
            if !batch.is_empty() && (!size.fits() || alone) {
                break;
            }
            batch.extend(state.remove(0));
            if alone {
                break;
            }
        }
        batch
    }

    async fn send(&self, batch: Vec<Waiting<K>>, within: Duration) {
        let (mut asks, mut answers) = (Vec::new(), Vec::new());
        // MongoDB counts whole milliseconds.
        let late = within < Duration::from_millis(1) || self.outside.life.ended().is_some();
        for Waiting { ask, answer, .. } in batch {
            if late {
                let _ = answer.send(K::unsent(&ask));
            } else {
                asks.push(ask);
                answers.push(answer);
            }
        }
        if asks.is_empty() {
            return;
        }
        self.outside.joined.increment(asks.len() as u64 - 1);
        let reply = self.kind.send(self.outside.db.as_ref(), asks, within);
        let reply = timeout(within + SLACK, reply).await;
        match reply.unwrap_or_else(|_| Err(NoReply("it took too long".to_owned()))) {
            Ok(replies) => answers.into_iter().zip(replies).for_each(|(answer, reply)| {
                let _ = answer.send(Ok(reply));
            }),
            Err(silence) => answers.into_iter().for_each(|answer| {
                let _ = answer.send(Err(silence.clone()));
            }),
        }
    }
}

/// One that sends, until nothing waits.
struct Task<K: Kind> {
    joiner: Arc<Joiner<K>>,
    done: bool,
}

impl<K: Kind> Task<K> {
    async fn run(mut self) {
        loop {
            // Whoever heard an answer just now, or came at the same moment, goes with it.
            tokio::task::yield_now().await;
            let Some((batch, within)) = self.joiner.take() else {
                break;
            };
            self.joiner.send(batch, within).await;
        }
        self.done = true;
    }
}

impl<K: Kind> Drop for Task<K> {
    fn drop(&mut self) {
        // It panicked, or its runtime ends; what it had sent has no reply.
        if !self.done {
            let mut state = self.joiner.locked();
            state.tasks -= 1;
            state.about = false;
        }
    }
}
