//! `kill -9` at each step of a send: before a command, when it is done and not answered, while it
//! is still on its way, in the middle of an insert. Followers read elsewhere all the time.

use std::net::SocketAddr;
use std::time::Duration;

use seqline_core::store::{CheckEvent, Store as _};
use seqline_mongo::MongoStore;

use super::cluster;
use super::followers::Followers;
use super::in_process::{idle, open, settle};
use crate::crash::ledger::{Attempt, Cast, Findings, Ledger, Outcome};
use crate::crash::{self, load};
use crate::support::Server;
use crate::support::mongo::Mongo;
use crate::support::mongo_proxy::{Fault, MongoProxy, When, gate};

const DATABASE: &str = "steps";
const DIRECT: usize = 0;
const GROUP: usize = 1;
const GROUP_MEMBERS: usize = 500;
/// After so many kills everything in the database is verified.
const CHECK_EVERY: u64 = 5;
/// After so many documents of the inboxes' insert.
const CUTS: [usize; 4] = [0, 1, 250, 499];

/// When the process dies.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// The nth command was sent and never arrives.
    Before(u64),
    /// The nth command is done, its reply is on its way.
    After(u64),
    /// The nth command arrives after the death.
    Late(u64),
    /// So many documents of the inboxes' insert are stored.
    Within(usize),
}

#[test]
fn kill_9_at_each_step_of_a_send_leaves_it_whole_or_absent() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut scene = Scene::start().await;
        for conversation in [DIRECT, GROUP] {
            scene.count(conversation).await;
            // More than in an empty database.
            let commands = scene.count(conversation).await;
            assert!((4..=12).contains(&commands), "{commands} commands");
            let each = 1..=commands;
            let points = each.clone().map(Point::Before).chain(each.clone().map(Point::After));
            for point in points.chain(each.map(Point::Late)) {
                scene.kill(conversation, point).await;
            }
        }
        for after in CUTS {
            scene.kill(GROUP, Point::Within(after)).await;
        }
        scene.end().await;
    });
}

/// The attempt as it is after it was made through a living server.
async fn acknowledged(address: SocketAddr, attempt: Attempt) -> Attempt {
    let mut client = load::connect(address).await.unwrap();
    let place = load::send(&mut client, &attempt).await.unwrap();
    Attempt { outcome: Outcome::Acknowledged(place), ..attempt }
}

struct Scene {
    // Kept for as long as the others need it.
    _mongo: Mongo,
    proxy: MongoProxy,
    survivor: Server,
    checker: MongoStore,
    followers: Followers,
    ledger: Ledger,
    kills: u64,
    next: usize,
}

impl Scene {
    async fn start() -> Scene {
        let mongo = Mongo::in_memory();
        let proxy = MongoProxy::start(mongo.address());
        let survivor = cluster::start(&mongo.uri(), DATABASE);
        let checker = open(idle(mongo.uri(), DATABASE)).await;
        let ledger = Ledger::of(Cast::new(&[[0, 1]], &[(0..GROUP_MEMBERS).collect()]));
        let followers = Followers::of_some(&[survivor.grpc], ledger.cast(), &[0, 1, 2]);
        Scene { _mongo: mongo, proxy, survivor, checker, followers, ledger, kills: 0, next: 0 }
    }

    /// The next send to a conversation; two of three have a key.
    fn attempt(&mut self, conversation: usize) -> Attempt {
        let id = self.next;
        self.next += 1;
        let recipients = self.ledger.cast().of(conversation).clone();
        let to = (conversation == DIRECT).then(|| recipients[id % 2]);
        let (keyed, outcome) = (id % 3 != 2, Outcome::Unknown);
        Attempt { id, worker: id, conversation, recipients, to, keyed, outcome }
    }

    /// How many commands a send takes on an instance that knows nothing yet, its mark included.
    async fn count(&mut self, conversation: usize) -> u64 {
        let server = cluster::start(&self.proxy.uri(), DATABASE);
        self.proxy.reset_counts();
        let (mark, held) = gate();
        self.proxy.rule(When::command("update").on("chat_history"), Fault::HoldBefore(mark));
        let attempt = self.attempt(conversation);
        self.ledger.record(vec![acknowledged(server.grpc, attempt).await]);
        held.reached().await;
        self.proxy.clear();
        self.proxy.data_count()
    }

    /// A send through an instance that knows nothing yet and dies at this point.
    async fn kill(&mut self, conversation: usize, point: Point) {
        let mut victim = cluster::start(&self.proxy.uri(), DATABASE);
        let (closed, held) = gate();
        let (when, fault) = match point {
            Point::Before(n) => (When::data().nth(n), Fault::HoldBefore(closed)),
            Point::After(n) => (When::data().nth(n), Fault::HoldAfter(closed)),
            Point::Late(n) => (When::data().nth(n), Fault::Late(closed)),
            Point::Within(after) => {
                (When::command("insert").on("chat_sync").nth(1), Fault::SplitAt(after, closed))
            }
        };
        self.proxy.rule(when, fault);
        let attempt = self.attempt(conversation);
        self.ledger.record(vec![attempt.clone()]);
        let mut client = load::connect(victim.grpc).await.unwrap();
        let sending = {
            let attempt = attempt.clone();
            tokio::spawn(async move { load::send(&mut client, &attempt).await })
        };
        let reached = tokio::time::timeout(Duration::from_secs(10), held.reached()).await;
        reached.unwrap_or_else(|_| panic!("{point:?} is a step of {attempt:?}"));
        victim.kill();
        self.kills += 1;
        if let Point::Late(_) = point {
            held.release();
            held.through().await;
        }
        // What is held on its way to the server or back gets lost.
        self.proxy.drop_connections();
        self.proxy.clear();
        if let Ok(place) = sending.await.unwrap() {
            let outcome = Outcome::Acknowledged(place);
            self.ledger.record(vec![Attempt { outcome, ..attempt.clone() }]);
        }
        self.recover(attempt).await;
        if self.kills.is_multiple_of(CHECK_EVERY) {
            self.check(point).await;
        }
    }

    /// What a dead instance left is finished by a repeat, by the next send, or by the resumer.
    async fn recover(&mut self, attempt: Attempt) {
        let attempt = match self.kills % 3 {
            0 if attempt.keyed => attempt,
            1 => self.attempt(attempt.conversation),
            _ => return settle(&self.checker).await,
        };
        self.ledger.record(vec![acknowledged(self.survivor.grpc, attempt).await]);
    }

    /// Nothing is wrong with what stands in the database.
    async fn check(&mut self, point: Point) {
        let mut problems = Vec::new();
        let checker = &self.checker;
        let summary = tokio::task::block_in_place(|| {
            checker.check(&mut |event| {
                if let CheckEvent::Problem { place, detail } = event {
                    problems.push(format!("{place}: {detail}"));
                }
            })
        });
        assert_eq!(summary.unwrap().problems, 0, "{point:?}: {problems:?}");
    }

    async fn end(mut self) {
        settle(&self.checker).await;
        crash::verify(&self.survivor, &mut self.ledger, self.kills).await;
        let seen = self.followers.end(&self.ledger).await;
        let findings = self.ledger.findings();
        println!(
            "{} kills at named steps, {} acknowledged, {findings}, {seen} entries followed",
            self.kills,
            self.ledger.acknowledged()
        );
        assert_eq!(findings, Findings::default());
        assert!(seen > 0);
    }
}
