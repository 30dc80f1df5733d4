//! Tests of the whole store, and what they share.

mod contract;
mod corruption;
mod directory;
mod failures;
mod journals;
mod keys_expire;
mod limits;
mod restart;
mod trimming;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use fjall::OwnedWriteBatch;
use seqline_core::Result;
use seqline_core::clock::{CountingEntropy, ManualClock, UnixMillis};
use seqline_core::fanout::{Members, Outgoing};
use seqline_core::id::{ConversationId, GroupId, IdempotencyKey, MemberId, MessageId, TimelineId};
use seqline_core::message::Body;
use seqline_core::page::{Direction, Page, Read};
use seqline_core::seq::Seq;
use seqline_core::store::{CheckEvent, CheckSummary, Receipt, Store as _};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::disk::{Disk, RealDisk};
use crate::engine::Engine;
use crate::{EmbeddedStore, OpenError, Options};

/// How long a test waits for another thread before it fails.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A store in a directory of its own, with its clock and a runtime to call it from.
struct Bench {
    runtime: Runtime,
    clock: Arc<ManualClock>,
    options: Options,
    _root: TempDir,
}

impl Bench {
    fn new() -> Bench {
        let root = TempDir::new().unwrap();
        let options =
            Options { dir: root.path().join("data"), memory_bytes: 64 << 20, ..Options::default() };
        let clock = Arc::new(ManualClock::new(UnixMillis(1_000)));
        Bench { runtime: Runtime::new().unwrap(), clock, options, _root: root }
    }

    fn dir(&self) -> &Path {
        &self.options.dir
    }

    fn try_open(&self) -> std::result::Result<EmbeddedStore, OpenError> {
        self.open_on(Box::new(RealDisk))
    }

    fn open_on(&self, disk: Box<dyn Disk>) -> std::result::Result<EmbeddedStore, OpenError> {
        let entropy = CountingEntropy::default();
        EmbeddedStore::open_on(&self.options, self.clock.clone(), &entropy, disk)
    }

    fn open(&self) -> EmbeddedStore {
        self.try_open().unwrap()
    }

    fn send(&self, store: &EmbeddedStore, send: Outgoing) -> Result<Receipt> {
        self.runtime.block_on(store.append(send))
    }

    fn all(&self, store: &EmbeddedStore, timeline: TimelineId) -> Result<Page> {
        self.runtime.block_on(store.read(everything(timeline)))
    }

    /// The bodies of a timeline, oldest first.
    fn bodies(&self, store: &EmbeddedStore, timeline: TimelineId) -> Vec<String> {
        let page = self.all(store, timeline).unwrap();
        page.entries.iter().map(|e| e.message.body.as_str().to_owned()).collect()
    }

    /// The files of a store that has ended.
    fn engine(&self) -> Engine {
        Engine::open(&self.options, &CountingEntropy::default()).unwrap()
    }

    /// What a crash would leave: the files as they are this moment, in another directory.
    fn copy_to(&self, name: &str) -> Options {
        let dir = self._root.path().join(name);
        copy(self.dir(), &dir);
        Options { dir, ..self.options.clone() }
    }
}

/// A disk that tells of every write it has done.
struct Telling(Sender<()>);

impl Telling {
    fn new() -> (Box<Telling>, Receiver<()>) {
        let (told, tells) = channel();
        (Box::new(Telling(told)), tells)
    }
}

impl Disk for Telling {
    fn write(&mut self, engine: &Engine, batch: OwnedWriteBatch, sync: bool) -> fjall::Result<()> {
        RealDisk.write(engine, batch, sync)?;
        // Nobody listens any more once the test has heard enough.
        let _ = self.0.send(()).is_ok();
        Ok(())
    }

    fn sync(&mut self, engine: &Engine) -> fjall::Result<()> {
        RealDisk.sync(engine)
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

fn member(id: &str) -> MemberId {
    MemberId::new("member", id).unwrap()
}

fn inbox(id: &str) -> TimelineId {
    TimelineId::Inbox(member(id))
}

fn group(id: &str) -> TimelineId {
    ConversationId::Group(GroupId::new("group", id).unwrap()).into()
}

fn direct(from: &str, to: &str, body: &str) -> Outgoing {
    let body = Body::new(body, 1 << 20).unwrap();
    Outgoing::direct(MessageId(1), member(from), member(to), body, None)
}

fn to_group(name: &str, members: &[&str], body: &str) -> Outgoing {
    let members = Members::new("members", members, 1_000_000).unwrap();
    let body = Body::new(body, 1 << 20).unwrap();
    Outgoing::group(MessageId(2), GroupId::new("group", name).unwrap(), members, body, None)
}

fn with_key(mut send: Outgoing, key: &str) -> Outgoing {
    send.key = Some(IdempotencyKey::new(key).unwrap());
    send
}

fn everything(timeline: TimelineId) -> Read {
    Read {
        timeline,
        after: Seq::ZERO,
        until: Seq::MAX,
        direction: Direction::Forward,
        entries_max: usize::MAX,
        bytes_max: usize::MAX,
    }
}

/// What `check` counts, and the problems it reports.
fn checked(store: &EmbeddedStore) -> (CheckSummary, Vec<String>) {
    let mut problems = Vec::new();
    let summary = store
        .check(&mut |event| {
            if let CheckEvent::Problem { place, detail } = event {
                problems.push(format!("{place}: {detail}"));
            }
        })
        .unwrap();
    assert_eq!(summary.problems, problems.len() as u64);
    (summary, problems)
}
