//! One store on a disk that fails, with everything drawn from one seed.

use std::sync::Arc;
use std::time::Duration;

use seqline_core::clock::{Clock as _, CountingEntropy, ManualClock, UnixMillis};
use seqline_core::id::{ConversationId, Epoch, MessageId, TimelineId};
use seqline_core::page::Direction;
use seqline_core::store::Store as _;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::super::{checked, everything, group, inbox, member};
use super::model::Model;
use super::observe::{Reading, Shown};
use crate::options::Tuning;
use crate::storage::faulty::{Fault, FaultyDisk, Random};
use crate::{Durability, EmbeddedStore, OpenError, Options};

pub(super) const MEMBERS: u64 = 6;
pub(super) const GROUPS: u64 = 3;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Kill,
    PowerCut,
}

pub(super) struct World {
    pub(super) random: Random,
    pub(super) runtime: Runtime,
    pub(super) clock: Arc<ManualClock>,
    /// The latest time the clock has shown.
    pub(super) latest: UnixMillis,
    entropy: Arc<CountingEntropy>,
    pub(super) options: Options,
    tuning: Tuning,
    pub(super) disk: FaultyDisk,
    pub(super) store: Option<EmbeddedStore>,
    pub(super) model: Model,
    pub(super) step: u64,
    /// Whether the disk may fail.
    pub(super) armed: Option<Fault>,
    pub(super) ids: u128,
    epochs: Vec<Epoch>,
    /// Whether to tell every step, as for a single seed.
    tells: bool,
    _root: TempDir,
}

/// A directory in memory where there is such a thing: the index syncs often.
fn root() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap()
}

fn tuning(random: &mut Random) -> Tuning {
    Tuning {
        segment_bytes: 16 << (10 + random.below(3)),
        flush_bytes: 1 << (10 + random.below(6)),
        table_bytes_max: 2 << (10 + random.below(5)),
        unused_after: 1 + random.below(60),
        generation_keys: 2 + random.below(6) as usize,
        background: random.one_in(4),
        keeper_held: false,
    }
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        let mut random = Random::new(seed.wrapping_mul(0x9e37_79b9).wrapping_add(1));
        let root = root();
        let window = Duration::from_millis(1_000);
        let durability = match random.below(8) {
            0 => Durability::Interval(Duration::from_millis(1)),
            1 => Durability::Interval(Duration::from_secs(3_600)),
            2 => Durability::None,
            _ => Durability::Fsync,
        };
        let options = Options {
            dir: root.path().join("data"),
            durability,
            idempotency_window: window,
            memory_bytes: 32 << 20,
            ..Options::default()
        };
        let start = UnixMillis(1_700_000_000_000);
        World {
            tuning: tuning(&mut random),
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
            clock: Arc::new(ManualClock::new(start)),
            latest: start,
            entropy: Arc::default(),
            options,
            disk: FaultyDisk::new(seed),
            store: None,
            model: Model::new(window.as_millis() as u64),
            step: 0,
            armed: None,
            ids: 0,
            epochs: Vec::new(),
            tells: std::env::var_os("SEQLINE_SEED").is_some(),
            random,
            _root: root,
        }
    }

    pub(super) fn store(&self) -> &EmbeddedStore {
        self.store.as_ref().expect("a store is open between steps")
    }

    pub(super) fn next_id(&mut self) -> MessageId {
        self.ids += 1;
        MessageId(self.ids)
    }

    pub(super) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// Every timeline that there can be.
    pub(super) fn timelines(&self) -> Vec<TimelineId> {
        let name = |n: u64| format!("m{n}");
        let mut all: Vec<TimelineId> = (0..MEMBERS).map(|n| inbox(&name(n))).collect();
        all.extend((0..GROUPS).map(|n| group(&format!("g{n}"))));
        for one in 0..MEMBERS {
            for other in one..MEMBERS {
                let (one, other) = (member(&name(one)), member(&name(other)));
                all.push(ConversationId::direct(one, other).into());
            }
        }
        all
    }

    /// Lets something go wrong soon.
    pub(super) fn arm(&mut self, before_max: u64) {
        let before = self.random.below(before_max);
        self.armed = Some(match self.random.below(5) {
            0 | 1 => self.fail(before, Fault::Once),
            2 | 3 => self.fail(before, Fault::Stop),
            _ => {
                self.disk.full_after(self.random.below(100_000));
                Fault::Once
            }
        });
    }

    /// Nothing goes wrong any more.
    pub(super) fn disarm(&mut self) {
        if self.armed.take().is_some() {
            self.disk.fail_after(u64::MAX / 2, Fault::Once);
            self.disk.full_after(1 << 40);
        }
    }

    fn fail(&self, before: u64, fault: Fault) -> Fault {
        self.disk.fail_after(before, fault);
        fault
    }

    /// How the process may end now.
    pub(super) fn an_end(&mut self) -> End {
        match self.armed {
            Some(Fault::Stop) => End::PowerCut,
            _ if self.random.one_in(2) => End::PowerCut,
            _ => End::Kill,
        }
    }

    /// Tells what happens.
    pub(super) fn tell(&self, what: impl FnOnce() -> String) {
        if self.tells {
            eprintln!("{}: {}", self.step, what());
        }
    }

    /// The disk as the next process finds it. Threads of the old one touch nothing any more.
    pub(super) fn stop_disk(&mut self, end: End) {
        self.tell(|| format!("{end:?}, with {:?} to come", self.armed));
        self.armed = None;
        self.disk = match end {
            End::Kill => self.disk.process_kill(),
            End::PowerCut => self.disk.power_cut(),
        };
    }

    /// After [`World::stop_disk`]: the rest of the end, and the next start.
    pub(super) fn start_again(&mut self, end: End) {
        if let Some(store) = self.store.take() {
            store.abandon();
        }
        let lossy = self.note_boot(end);
        let kept_to = self.open_again(lossy);
        self.look(kept_to);
    }

    /// A power cut starts the machine again. Whether the store says that it may lose something.
    fn note_boot(&self, end: End) -> bool {
        let marker = self.options.dir.join("UNSYNCED");
        let lossy = end == End::PowerCut && marker.exists();
        if lossy {
            std::fs::write(marker, "another boot").unwrap();
        }
        lossy
    }

    /// Opens the store, perhaps after some starts that fail. Returns up to which step everything
    /// must be there, if not everything must.
    fn open_again(&mut self, mut lossy: bool) -> Option<u64> {
        loop {
            if self.random.one_in(3) {
                self.arm(14);
            }
            match self.try_open() {
                Ok(store) => {
                    self.check_epoch(store.epoch(), lossy);
                    self.tell(|| format!("open, {:?}, {lossy}", self.options.durability));
                    self.store = Some(store);
                    return lossy.then_some(self.model.durable_step);
                }
                Err(error) => {
                    let armed = self.armed.is_some() && matches!(error, OpenError::Io { .. });
                    assert!(armed, "a start is refused: {error}");
                    let end = self.an_end();
                    self.stop_disk(end);
                    lossy |= self.note_boot(end);
                }
            }
        }
    }

    /// The first start, or one after a clean end.
    pub(super) fn start_clean(&mut self) {
        self.open_again(false);
        self.look(None);
    }

    fn try_open(&self) -> Result<EmbeddedStore, OpenError> {
        let disk = Arc::new(self.disk.clone());
        let (clock, entropy) = (self.clock.clone(), self.entropy.clone());
        EmbeddedStore::open_on(&self.options, clock, entropy, disk, self.tuning)
    }

    fn check_epoch(&mut self, epoch: Epoch, lossy: bool) {
        let known = self.epochs.last().copied();
        if !lossy {
            assert!(known.is_none_or(|known| known == epoch), "nothing is lost: the epoch stays");
        } else {
            assert!(!self.epochs.contains(&epoch), "sends may be lost: another epoch");
        }
        if known != Some(epoch) {
            self.epochs.push(epoch);
        }
    }

    /// Reads everything and compares. What is there now is durable after a start.
    fn look(&mut self, kept_to: Option<u64>) {
        self.observe(kept_to);
        self.model.durable_step = self.step;
        if self.armed.is_none() && self.random.one_in(2) {
            self.check();
        }
    }

    pub(super) fn observe(&mut self, kept_to: Option<u64>) {
        let timelines = self.timelines();
        let store = self.store();
        let all = self.runtime.block_on(store.bounds(timelines.clone())).unwrap();
        let mut reading = Reading::new();
        for (id, bounds) in timelines.into_iter().zip(all) {
            let mut read = everything(id.clone());
            let backward = self.model.sends.len() % 2 == 1;
            if backward {
                read.direction = Direction::Backward;
            }
            let page = self.runtime.block_on(store.read(read)).unwrap();
            assert_eq!((page.bounds, page.more), (bounds, false), "{id}");
            let mut entries = page.entries;
            if backward {
                entries.reverse();
            }
            reading.insert(id, Shown { bounds, entries });
        }
        self.model.observe(&reading, kept_to);
    }

    pub(super) fn check(&mut self) {
        let (summary, problems) = checked(self.store());
        assert_eq!(problems, Vec::<String>::new());
        let known = &self.model.timelines;
        let messages = known.values().filter(|timeline| !timeline.entries.is_empty()).count();
        assert_eq!(summary.timelines, messages as u64);
    }
}
