//! The world of one seed: the replica set, the instances, the clocks, and what goes wrong.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use seqline_core::clock::{Clock, Entropy, UnixMillis};
use seqline_core::fanout::Outgoing;
use seqline_core::id::{Epoch, MessageId, Text, TimelineId};
use seqline_core::page::Entry;
use seqline_core::seq::Seq;
use seqline_core::store::Receipt;
use tokio::time::Instant;

use super::TIME;
use crate::db::simulated::{Seeded, Simulated};
use crate::hints::{Claim, ClaimFuture, Hint, HintFuture, Hints, Nothing};
use crate::options::Options;
use crate::shared::Ports;
use crate::store::MongoStore;
use crate::uptime::Uptime;

/// How much the clock of an instance may be off, to either side.
pub const SKEW: u64 = 150;
const BEGIN: u64 = 1_700_000_000_000;
const INSTANCES: usize = 3;

/// Random numbers of a seed (splitmix64).
#[derive(Clone)]
pub struct Random(Arc<Mutex<u64>>);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(Arc::new(Mutex::new(seed)))
    }

    pub fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub async fn pause(&self, most: u64) {
        tokio::time::sleep(Duration::from_millis(self.below(most) + 1)).await;
    }
}

impl Entropy for Random {
    fn random(&self) -> u64 {
        self.next()
    }
}

/// Virtual time, with the error of one instance's clock.
struct Time {
    begin: Instant,
    error: u64,
}

impl Clock for Time {
    fn now(&self) -> UnixMillis {
        UnixMillis(BEGIN + self.error + self.begin.elapsed().as_millis() as u64)
    }
}

impl Uptime for Time {
    fn now(&self) -> Duration {
        self.begin.elapsed()
    }
}

/// Remembers every tail it was ever told, and answers with any of them, or with a lie. Says of any
/// inbox that it is another's turn, or that it is not.
#[derive(Default)]
struct Rumours(Mutex<BTreeMap<String, Vec<Hint>>>, Option<Random>);

impl Hints for Rumours {
    fn tails(&self, _: Epoch, members: Vec<Text>) -> HintFuture {
        let known = self.0.lock().unwrap();
        let random = self.1.as_ref().unwrap();
        let one = |member: &Text| {
            if random.below(20) == 0 {
                return Some(Hint { seq: Seq::new(random.below(1_000)), at: UnixMillis(u64::MAX) });
            }
            let hints = known.get(member.as_str())?;
            let among = random.below(2 * hints.len() as u64) as usize;
            hints.get(among).copied()
        };
        Box::pin(std::future::ready(members.iter().map(one).collect()))
    }

    fn put(&self, _: Epoch, tails: Vec<(Text, Hint)>) {
        let mut known = self.0.lock().unwrap();
        for (member, hint) in tails {
            known.entry(member.as_str().to_owned()).or_default().push(hint);
        }
    }

    fn claim(&self, epoch: Epoch, members: Vec<Text>) -> ClaimFuture {
        let hints = self.tails(epoch, members);
        let random = self.1.clone().unwrap();
        Box::pin(async move {
            let claim = |hint| Claim { ours: random.below(2) == 0, hint };
            hints.await.into_iter().map(claim).collect()
        })
    }

    fn release(&self, _: Epoch, _: Vec<Text>) {}
}

/// A running instance.
#[derive(Clone)]
pub struct Instance {
    pub store: Arc<MongoStore>,
    link: Simulated,
    killed: Arc<AtomicBool>,
}

impl Instance {
    /// Whether it was killed, so that nothing it says was heard.
    pub fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Relaxed)
    }
}

/// Everything of one seed.
pub struct World {
    pub random: Random,
    pub db: Simulated,
    begin: Instant,
    fine: Arc<AtomicBool>,
    /// Whether readers may be told what was true some time ago, as by a primary that does not know
    /// yet that there is another: nothing is promised to be new then.
    pub stale: bool,
    hints: Arc<dyn Hints>,
    instances: Mutex<Vec<Option<Instance>>>,
    /// All that was sent, with its answer if there was one.
    pub sent: Mutex<BTreeMap<MessageId, (Outgoing, Answer)>>,
    /// Entries that anybody has read.
    pub seen: Mutex<BTreeMap<TimelineId, BTreeMap<Seq, Entry>>>,
}

/// What a client heard.
#[derive(Clone, Debug)]
pub enum Answer {
    Nothing,
    Refused(String),
    Receipt(Receipt),
}

impl World {
    pub fn new(seed: u64) -> Arc<World> {
        let random = Random::new(seed);
        let bad = [0, 10, 40, 150][random.below(4) as usize];
        let old = [0, 50, 300][random.below(3) as usize];
        let stale = random.below(4) == 0;
        let weather = Seeded::new(random.next(), bad, old, stale);
        let fine = weather.fine();
        let db = Simulated::new(weather);
        db.keep_journal();
        let hints: Arc<dyn Hints> = match random.below(2) {
            0 => Arc::new(Nothing),
            _ => Arc::new(Rumours(Mutex::default(), Some(random.clone()))),
        };
        Arc::new(World {
            random,
            db,
            begin: Instant::now(),
            fine,
            stale,
            hints,
            instances: Mutex::new(vec![None; INSTANCES]),
            sent: Mutex::default(),
            seen: Mutex::default(),
        })
    }

    /// Times short enough that keys run out and trimmed entries are deleted within a run.
    pub fn options() -> Options {
        Options {
            operation_time: Duration::from_secs(2),
            command_time: Duration::from_millis(600),
            hint_time: Duration::from_secs(3),
            grace: Duration::from_secs(13),
            key_window: Duration::from_secs(9),
            resume_after: Duration::from_secs(3),
            care_interval: Duration::from_secs(1),
            mark_interval: Duration::from_millis(40),
            ..Options::default()
        }
    }

    /// Whether clients go on.
    pub fn goes_on(&self) -> bool {
        self.begin.elapsed() < TIME
    }

    /// A running instance, if any runs.
    pub fn any(&self) -> Option<Instance> {
        let running: Vec<Instance> =
            self.instances.lock().unwrap().iter().flatten().cloned().collect();
        (!running.is_empty())
            .then(|| running[self.random.below(running.len() as u64) as usize].clone())
    }

    pub async fn start_all(&self) {
        for number in 0..INSTANCES {
            self.start(number).await;
        }
    }

    /// Starts an instance, if it does not run.
    pub async fn start(&self, number: usize) {
        while self.instances.lock().unwrap()[number].is_none() {
            let link = self.db.seen_by(number);
            let error = self.random.below(2 * SKEW);
            let time = || Time { begin: self.begin, error };
            let ports = Ports {
                clock: Arc::new(time()),
                entropy: Arc::new(Random::new(self.random.next())),
                uptime: Arc::new(time()),
                hints: Arc::clone(&self.hints),
                notices: Arc::new(Nothing),
            };
            // The first forgets at once what it knows of tails.
            let tails_max = if number == 0 { 2 } else { 1_000 };
            let options = Options { tails_max, ..World::options() };
            let opened = MongoStore::open(Arc::new(link.clone()), options, ports).await;
            if let Ok(store) = opened {
                let store = Arc::new(store);
                let killed = Arc::default();
                let instance = Instance { store, link, killed };
                self.instances.lock().unwrap()[number] = Some(instance);
            }
        }
    }

    /// Kills an instance: what it has under way at the database goes on, nothing else.
    pub fn kill(&self, number: usize) {
        if let Some(instance) = self.instances.lock().unwrap()[number].take() {
            instance.link.cut();
            instance.killed.store(true, Ordering::Relaxed);
            instance.store.shared.life.end("it was killed");
        }
    }

    /// The weather is fine, everybody runs, and all that was begun is finished.
    pub async fn settle(&self) {
        self.fine.store(true, Ordering::Relaxed);
        self.start_all().await;
        // Late commands are done by then.
        tokio::time::sleep(4 * World::options().operation_time).await;
        let instance = self.any().expect("all run");
        while instance.store.resume(Duration::ZERO).await.expect("fine weather") > 0 {}
        let all: Vec<Instance> = self.instances.lock().unwrap().iter().flatten().cloned().collect();
        for instance in all {
            seqline_core::store::Store::close(instance.store.as_ref()).await.expect("it closes");
        }
    }
}

/// Kills and starts instances, and lets the replica set fail over.
pub async fn disturb(world: Arc<World>) {
    let (kills, failovers) = (world.random.below(3), world.random.below(3));
    while world.goes_on() {
        world.random.pause(1_500).await;
        let number = world.random.below(INSTANCES as u64) as usize;
        match world.random.below(6) {
            0 if kills > 0 => {
                world.kill(number);
                world.random.pause(600).await;
                world.start(number).await;
            }
            1 if failovers > 0 => world.db.fail_over(),
            2 if kills > 1 => (0..INSTANCES).for_each(|number| world.kill(number)),
            _ => world.start(number).await,
        }
    }
}
