//! Each command of each operation gets lost once, or its reply does, or it is done late, half, or
//! by a server that is none any more: the operation succeeds, and all is as without it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use futures_util::future::join_all;
use seqline_core::seq::Seq;
use seqline_core::store::{Receipt, Store as _};
use seqline_mongo::MongoStore;
use seqline_mongo::db::driver::MongoDb;

use super::in_process::{
    conversation, idle, inbox, leave_half, open, open_on, page, read_conversation, read_inbox,
    read_on, send, settle,
};
use crate::crash::ledger::{Attempt, Cast, Findings, Ledger, Outcome};
use crate::support::mongo::Mongo;
use crate::support::mongo_proxy::{
    Fault, MongoProxy, When, gate, not_primary, write_concern_error,
};

const DIRECT: usize = 0;
const GROUP: usize = 1;
/// Sends that go out together.
const QUEUED: usize = 4;

/// A pair, and a group of 50 that it belongs to.
fn cast() -> Cast {
    Cast::new(&[[0, 1]], &[(0..50).collect()])
}

/// What is attacked.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Direct,
    Group,
    QueuedDirect,
    QueuedGroup,
    Repeat,
    Page,
    TrimInbox,
    TrimConversation,
    Resume,
}

const OPERATIONS: [Operation; 9] = [
    Operation::Direct,
    Operation::Group,
    Operation::QueuedDirect,
    Operation::QueuedGroup,
    Operation::Repeat,
    Operation::Page,
    Operation::TrimInbox,
    Operation::TrimConversation,
    Operation::Resume,
];

/// What happens to the nth command.
#[derive(Clone, Copy, Debug)]
enum Loss {
    /// The server never hears of it.
    Before,
    /// Nobody hears of its outcome.
    After,
    /// Nor of the next one's.
    AfterTwice,
    /// It is done once the operation is over.
    Late,
    /// The server says that it is not the primary any more.
    NotPrimary,
    /// It is done, but perhaps not on a majority.
    WriteConcern,
    /// Not a command but the documents of an insert: the first n are stored, nobody hears of it.
    Cut,
}

const LOSSES: [Loss; 7] = [
    Loss::Before,
    Loss::After,
    Loss::AfterTwice,
    Loss::Late,
    Loss::NotPrimary,
    Loss::WriteConcern,
    Loss::Cut,
];

#[test]
fn any_command_of_any_operation_may_get_lost_or_late_or_its_reply() {
    let mongo = Mongo::in_memory();
    let address = mongo.address();
    // Each on a thread of its own: a lost connection costs the driver half a second.
    let attacks = OPERATIONS.map(|operation| thread::spawn(move || attack(address, operation)));
    let (mut faults, mut acknowledged) = (0, 0);
    for (attack, operation) in attacks.into_iter().zip(OPERATIONS) {
        let attacked = attack.join().unwrap_or_else(|_| panic!("{operation:?} failed"));
        faults += attacked.0;
        acknowledged += attacked.1;
    }
    // Each attack has judged what it found.
    let findings = Findings::default();
    println!("{faults} commands lost or late, {acknowledged} acknowledged, {findings}");
}

/// Attacks one operation in every way: how many faults it suffered, and how many sends were
/// acknowledged.
fn attack(mongo: SocketAddr, operation: Operation) -> (u64, usize) {
    let commands = block_on(async {
        let mut bench = Bench::start(mongo, format!("{operation:?}")).await;
        bench.run(operation, None).await;
        bench.proxy.reset_counts();
        bench.run(operation, None).await;
        bench.proxy.data_count()
    });
    assert!(commands > 0, "{operation:?} goes through the proxy");
    thread::scope(|scope| {
        let losses = LOSSES
            .map(|loss| scope.spawn(move || block_on(lose_each(mongo, operation, loss, commands))));
        let attacked = losses.map(|loss| loss.join().expect("everything held"));
        attacked.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    })
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(work)
}

/// Loses each of so many commands of the operation once.
async fn lose_each(
    mongo: SocketAddr,
    operation: Operation,
    loss: Loss,
    commands: u64,
) -> (u64, usize) {
    // The server of the tests gets slow with many documents in one database.
    let mut bench = Bench::start(mongo, format!("{operation:?}_{loss:?}")).await;
    let mut faults = 0;
    for n in 1..=commands {
        faults += bench.run(operation, Some((loss, n))).await;
    }
    if let Operation::TrimConversation = operation {
        // The newest entry stays as the dead instance left it.
        settle(&bench.checker).await;
    }
    let findings = bench.verify().await;
    assert_eq!(findings, Findings::default(), "{operation:?} and {loss:?}: {findings}");
    (faults, bench.ledger.acknowledged())
}

/// A database, a way to it that loses commands, and an instance that comes another way.
struct Bench {
    proxy: MongoProxy,
    /// Goes through the proxy.
    db: MongoDb,
    /// The way of those that die: it is cut each time.
    dying: MongoProxy,
    database: String,
    checker: Arc<MongoStore>,
    ledger: Ledger,
    next: usize,
    answers: Vec<(Attempt, Receipt)>,
}

impl Bench {
    async fn start(mongo: SocketAddr, database: String) -> Bench {
        let database = database.to_lowercase();
        let uri = format!("mongodb://{mongo}/?directConnection=true");
        let proxy = MongoProxy::start(mongo);
        Bench {
            db: MongoDb::connect(&idle(proxy.uri(), &database)).await.unwrap(),
            dying: MongoProxy::start(mongo),
            proxy,
            checker: Arc::new(open(idle(uri, &database)).await),
            database,
            ledger: Ledger::of(cast()),
            next: 0,
            answers: Vec::new(),
        }
    }

    /// Does the operation, through an instance that knows nothing yet, under a fault. How often
    /// it happened.
    async fn run(&mut self, operation: Operation, fault: Option<(Loss, u64)>) -> u64 {
        self.prepare(operation).await;
        let store = open_on(&self.db, idle(self.proxy.uri(), &self.database)).await;
        let (late, held) = gate();
        let rule = fault.map(|(loss, n)| match loss {
            Loss::Before => (When::data().nth(n), Fault::DropBefore),
            Loss::After => (When::data().nth(n), Fault::DropAfter),
            Loss::AfterTwice => (When::data().between(n, n + 1), Fault::DropAfter),
            Loss::Late => (When::data().nth(n), Fault::Late(late.clone())),
            Loss::NotPrimary => (When::data().nth(n), Fault::Answer(not_primary())),
            Loss::WriteConcern => (When::data().nth(n), Fault::AddToReply(write_concern_error())),
            Loss::Cut => {
                let many = |command: &_| documents(command) > 1;
                // All of it for the last few.
                let after = (n * n) as usize;
                (When::command("insert").matching(many).nth(1), Fault::Cut(after))
            }
        });
        let rule = rule.map(|(when, fault)| self.proxy.rule(when, fault));
        self.operate(operation, &store).await;
        store.close().await.expect("it closes");
        let hits = rule.map_or(0, |rule| rule.hits());
        if matches!(fault, Some((Loss::Late, _))) && hits > 0 {
            held.release();
            held.through().await;
        }
        self.proxy.clear();
        hits
    }

    /// What must be there before the operation.
    async fn prepare(&mut self, operation: Operation) {
        match operation {
            Operation::Direct
            | Operation::Group
            | Operation::QueuedDirect
            | Operation::QueuedGroup => {}
            Operation::Repeat | Operation::Page | Operation::TrimInbox => {
                let attempts = vec![self.attempt(DIRECT), self.attempt(GROUP)];
                let checker = Arc::clone(&self.checker);
                self.send(&checker, attempts).await;
            }
            Operation::TrimConversation => {
                // The first of the two is trimmed before it was delivered.
                self.leave_half(GROUP, 0).await;
                self.leave_half(GROUP, 0).await;
                read_conversation(&self.checker, &mut self.ledger, GROUP).await;
            }
            Operation::Resume => {
                self.leave_half(GROUP, 20).await;
                self.leave_half(DIRECT, 1).await;
            }
        }
    }

    async fn operate(&mut self, operation: Operation, store: &MongoStore) {
        let cast = self.ledger.cast().clone();
        match operation {
            Operation::Direct => self.send_some(store, DIRECT, 1).await,
            Operation::Group => self.send_some(store, GROUP, 1).await,
            Operation::QueuedDirect => self.send_some(store, DIRECT, QUEUED).await,
            Operation::QueuedGroup => self.send_some(store, GROUP, QUEUED).await,
            Operation::Repeat => {
                let newest = self.answers.len().saturating_sub(2);
                for (attempt, first) in &self.answers[newest..] {
                    repeat(store, attempt, first).await;
                }
            }
            Operation::Page => {
                let timelines = [conversation(&cast, GROUP), inbox(0)];
                for timeline in &timelines {
                    let (one, other) = (&self.checker, store);
                    assert_eq!(page(one, timeline, 0).await, page(other, timeline, 0).await);
                }
                let timelines = timelines.to_vec();
                let bounds = self.checker.bounds(timelines.clone()).await.unwrap();
                assert_eq!(store.bounds(timelines).await.unwrap(), bounds);
            }
            Operation::TrimInbox => {
                // What is hidden from now on was read before.
                for number in [DIRECT, GROUP] {
                    read_conversation(&self.checker, &mut self.ledger, number).await;
                }
                read_inbox(&self.checker, &mut self.ledger, 0).await;
                let latest = Seq::new(self.ledger.inbox_read(0).unsigned_abs());
                let bounds = store.trim(inbox(0), latest).await.unwrap();
                assert_eq!((bounds.first, bounds.latest), (latest, latest));
            }
            Operation::TrimConversation => {
                let latest = Seq::new(self.ledger.conversation_read(GROUP).unsigned_abs());
                let timeline = conversation(&cast, GROUP);
                let bounds = store.trim(timeline, latest).await.unwrap();
                assert_eq!((bounds.first, bounds.latest), (latest, latest));
            }
            Operation::Resume => settle(store).await,
        }
    }

    /// The next send to a conversation. Every other one has a key.
    fn attempt(&mut self, conversation: usize) -> Attempt {
        let id = self.next;
        self.next += 1;
        let recipients = self.ledger.cast().of(conversation).clone();
        let to = (conversation == DIRECT).then(|| recipients[id / 2 % 2]);
        let keyed = id.is_multiple_of(2);
        Attempt { id, worker: id, conversation, recipients, to, keyed, outcome: Outcome::Unknown }
    }

    async fn send_some(&mut self, store: &MongoStore, conversation: usize, count: usize) {
        let attempts = (0..count).map(|_| self.attempt(conversation)).collect();
        self.send(store, attempts).await;
    }

    /// Sends all at once. Whatever gets lost, each is answered in the end.
    async fn send(&mut self, store: &MongoStore, attempts: Vec<Attempt>) {
        let sends = attempts.iter().map(|attempt| send(store, attempt));
        for (attempt, answer) in attempts.iter().zip(join_all(sends).await) {
            let receipt = answer.unwrap_or_else(|e| panic!("{attempt:?}: {e:?}"));
            assert!(!receipt.repeat, "{attempt:?}");
            let place = attempt.to.map(|_| receipt.receiver_seq.get().cast_signed());
            let outcome = Outcome::Acknowledged(place);
            self.answers.push((attempt.clone(), receipt));
            self.ledger.record(vec![Attempt { outcome, ..attempt.clone() }]);
        }
    }

    /// A send whose instance dies when it has put the entry into `inboxes` inboxes.
    async fn leave_half(&mut self, conversation: usize, inboxes: usize) {
        let attempt = self.attempt(conversation);
        self.ledger.record(vec![attempt.clone()]);
        leave_half(&self.dying, &self.database, &attempt, inboxes).await;
    }

    /// Reads everything, without anybody's finishing anything.
    async fn verify(&mut self) -> Findings {
        let checker = Arc::clone(&self.checker);
        read_on(&checker, &mut self.ledger).await;
        for (attempt, receipt) in std::mem::take(&mut self.answers) {
            let place = self.ledger.place(attempt.id).map(|place| place as u64);
            assert_eq!(place, Some(receipt.conversation_seq.get()), "{attempt:?}");
            if attempt.keyed {
                repeat(&checker, &attempt, &receipt).await;
            }
        }
        let cast = self.ledger.cast();
        let inboxes = (0..cast.members()).map(inbox).collect();
        for (member, bounds) in (0..).zip(checker.bounds(inboxes).await.unwrap()) {
            let read = self.ledger.inbox_read(member).unsigned_abs();
            assert_eq!(bounds.latest.get(), read, "a repeat stored something for {member}");
        }
        self.ledger.findings()
    }
}

/// A send under a key that was acknowledged before.
async fn repeat(store: &MongoStore, attempt: &Attempt, first: &Receipt) {
    if attempt.keyed {
        let answer = send(store, attempt).await.unwrap_or_else(|e| panic!("{attempt:?}: {e:?}"));
        assert_eq!(answer, Receipt { repeat: true, ..*first }, "{attempt:?}");
    }
}

fn documents(command: &crate::support::mongo_proxy::wire::Message) -> usize {
    command.documents("documents").len()
}
