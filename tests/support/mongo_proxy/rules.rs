//! What a proxy shall do to which command, and what has come by.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mongodb::bson::Document;
use tokio::sync::Semaphore;

use super::wire::Message;

/// The commands that read or change documents, unlike those by which a driver greets and watches.
const DATA: [&str; 6] = ["find", "getMore", "aggregate", "insert", "update", "delete"];

/// Whether a command of this name reads or changes documents.
pub(super) fn is_data(name: &str) -> bool {
    DATA.contains(&name)
}

/// Says whether a command has the contents that are looked for.
type Contents = Box<dyn Fn(&Message) -> bool + Send>;

/// Which commands: by name, collection and contents, and which of those in a row.
pub struct When {
    /// One name, or those of [`DATA`].
    name: Option<&'static str>,
    collection: Option<&'static str>,
    matching: Option<Contents>,
    first: u64,
    last: u64,
}

impl When {
    /// Every command of this name, such as `insert`, `find`, `update` or `getMore`.
    pub fn command(name: &'static str) -> When {
        When { name: Some(name), collection: None, matching: None, first: 1, last: u64::MAX }
    }

    /// Every command that reads or changes documents.
    pub fn data() -> When {
        When { name: None, ..When::command("") }
    }

    /// Only those about this collection.
    pub fn on(self, collection: &'static str) -> When {
        When { collection: Some(collection), ..self }
    }

    /// Only those whose contents are so.
    pub fn matching(self, matching: impl Fn(&Message) -> bool + Send + 'static) -> When {
        When { matching: Some(Box::new(matching)), ..self }
    }

    /// Only the `n`-th of them from when the rule was made, which is the 1st.
    pub fn nth(self, n: u64) -> When {
        When { first: n, last: n, ..self }
    }

    /// Only those of them from the `first` to the `last`, counted likewise.
    pub fn between(self, first: u64, last: u64) -> When {
        When { first, last, ..self }
    }

    /// Only the first `n` of them.
    pub fn times(self, n: u64) -> When {
        When { first: 1, last: n, ..self }
    }

    fn is(&self, command: &Message) -> bool {
        self.name.map_or(is_data(command.name()), |name| command.name() == name)
            && self.collection.is_none_or(|c| c == command.collection())
            && self.matching.as_ref().is_none_or(|matching| matching(command))
    }
}

/// What happens to a command.
#[derive(Clone)]
pub enum Fault {
    /// The connection ends. The server never hears of the command.
    DropBefore,
    /// The server executes it. The connection ends, and nobody hears of the outcome.
    DropAfter,
    /// The connection ends. The server executes the command later: when the gate opens.
    Late(Gate),
    /// Passed on after so long.
    DelayBefore(Duration),
    /// Passed on when the gate opens.
    HoldBefore(Gate),
    /// Executed, and answered when the gate opens.
    HoldAfter(Gate),
    /// Not executed, and answered with this.
    Answer(Document),
    /// Executed, and answered with these fields in the reply besides its own.
    AddToReply(Document),
    /// An insert of many documents becomes as many inserts with so long between them, so that
    /// others' commands come between its documents, as they may on a real server.
    Split(Duration),
    /// The same without pauses, but when so many documents are through, the rest waits for the
    /// gate.
    SplitAt(usize, Gate),
    /// The first so many documents of an insert are executed, then the connection ends.
    Cut(usize),
}

/// Something that a test holds closed until it has seen enough. Open once it is dropped.
#[derive(Clone)]
pub struct Gate(Arc<GateState>);

struct GateState {
    reached: Semaphore,
    open: Semaphore,
    through: Semaphore,
}

/// The test's side of a [`Gate`].
pub struct Held(Arc<GateState>);

/// A closed gate: one for the fault, one for the test.
pub fn gate() -> (Gate, Held) {
    let closed = || Semaphore::new(0);
    let state = GateState { reached: closed(), open: closed(), through: closed() };
    let state = Arc::new(state);
    (Gate(state.clone()), Held(state))
}

impl Gate {
    /// Waits until the test lets one more through.
    pub(super) async fn pass(&self) {
        self.0.reached.add_permits(1);
        // Closed for ever means open: the test has ended.
        if let Ok(permit) = self.0.open.acquire().await {
            permit.forget();
        }
    }

    /// What was held is done with.
    pub(super) fn done(&self) {
        self.0.through.add_permits(1);
    }
}

impl Held {
    /// Waits until one more command has come to the gate.
    pub async fn reached(&self) {
        self.0.reached.acquire().await.unwrap().forget();
    }

    /// Lets one command through.
    pub fn release(&self) {
        self.0.open.add_permits(1);
    }

    /// Waits until one more command that was held has been executed.
    pub async fn through(&self) {
        self.0.through.acquire().await.unwrap().forget();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.open.close();
    }
}

/// A rule's hits so far.
pub struct Rule(Arc<AtomicU64>);

impl Rule {
    /// How many commands have suffered the fault.
    pub fn hits(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

struct Installed {
    when: When,
    fault: Fault,
    seen: u64,
    hits: Arc<AtomicU64>,
}

/// All rules of a proxy, and its counts.
#[derive(Default)]
pub(super) struct Rules(Mutex<State>);

#[derive(Default)]
struct State {
    installed: Vec<Installed>,
    counts: BTreeMap<(String, String), u64>,
}

impl Rules {
    pub(super) fn add(&self, when: When, fault: Fault) -> Rule {
        let hits = Arc::new(AtomicU64::new(0));
        let installed = Installed { when, fault, seen: 0, hits: hits.clone() };
        self.0.lock().unwrap().installed.push(installed);
        Rule(hits)
    }

    pub(super) fn clear(&self) {
        self.0.lock().unwrap().installed.clear();
    }

    pub(super) fn counts(&self) -> BTreeMap<(String, String), u64> {
        self.0.lock().unwrap().counts.clone()
    }

    pub(super) fn reset_counts(&self) {
        self.0.lock().unwrap().counts.clear();
    }

    /// Counts a command, and says what shall happen to it. Where several rules are due, the
    /// oldest decides; all of them count the command.
    pub(super) fn arrived(&self, command: &Message) -> Option<Fault> {
        let mut state = self.0.lock().unwrap();
        let key = (command.name().to_owned(), command.collection().to_owned());
        *state.counts.entry(key).or_default() += 1;
        let mut fault = None;
        for rule in state.installed.iter_mut().filter(|rule| rule.when.is(command)) {
            rule.seen += 1;
            if fault.is_none() && (rule.when.first..=rule.when.last).contains(&rule.seen) {
                rule.hits.fetch_add(1, Ordering::SeqCst);
                fault = Some(rule.fault.clone());
            }
        }
        fault
    }
}
