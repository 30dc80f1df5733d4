//! Tests of the whole store, and what they share.

mod between;
mod contract;
mod directory;
mod failures;
mod hooks;
mod import;
mod keys;
mod limits;
mod repair;
mod restart;
mod rot;
mod simulation;
mod soak;
mod trimming;

use std::path::Path;
use std::sync::Arc;

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

use crate::options::Tuning;
use crate::storage::{Disk, RealDisk};
use crate::{EmbeddedStore, OpenError, Options};

/// Everything so small that little data does what much does.
fn tiny() -> Tuning {
    Tuning {
        segment_bytes: 1 << 20,
        flush_bytes: 16 << 10,
        table_bytes_max: 32 << 10,
        unused_after: 50,
        generation_keys: 16,
        background: true,
        keeper_held: false,
    }
}

/// A store in a directory of its own, with its clock and a runtime to call it from.
pub(crate) struct Bench {
    pub(crate) runtime: Runtime,
    pub(crate) clock: Arc<ManualClock>,
    options: Options,
    pub(crate) tuning: Tuning,
    root: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        let root = TempDir::new().unwrap();
        let options =
            Options { dir: root.path().join("data"), memory_bytes: 64 << 20, ..Options::default() };
        let clock = Arc::new(ManualClock::new(UnixMillis(1_000)));
        let tuning = Tuning { segment_bytes: 4 << 20, ..Tuning::of(&options) };
        Bench { runtime: Runtime::new().unwrap(), clock, options, tuning, root }
    }

    fn dir(&self) -> &Path {
        &self.options.dir
    }

    fn try_open(&self) -> std::result::Result<EmbeddedStore, OpenError> {
        self.open_on(Arc::new(RealDisk))
    }

    fn open_on(&self, disk: Arc<dyn Disk>) -> std::result::Result<EmbeddedStore, OpenError> {
        let entropy = Arc::new(CountingEntropy::default());
        EmbeddedStore::open_on(&self.options, self.clock.clone(), entropy, disk, self.tuning)
    }

    pub(crate) fn open(&self) -> EmbeddedStore {
        self.try_open().unwrap()
    }

    pub(crate) fn send(&self, store: &EmbeddedStore, send: Outgoing) -> Result<Receipt> {
        self.runtime.block_on(store.append(send))
    }

    pub(crate) fn all(&self, store: &EmbeddedStore, timeline: TimelineId) -> Result<Page> {
        self.runtime.block_on(store.read(everything(timeline)))
    }

    /// The bodies of a timeline, oldest first.
    fn bodies(&self, store: &EmbeddedStore, timeline: TimelineId) -> Vec<String> {
        let page = self.all(store, timeline).unwrap();
        page.entries.iter().map(|e| e.message.body.as_str().to_owned()).collect()
    }
}

fn member(id: &str) -> MemberId {
    MemberId::new("member", id).unwrap()
}

pub(crate) fn inbox(id: &str) -> TimelineId {
    TimelineId::Inbox(member(id))
}

fn group(id: &str) -> TimelineId {
    ConversationId::Group(GroupId::new("group", id).unwrap()).into()
}

fn direct(from: &str, to: &str, body: &str) -> Outgoing {
    let body = Body::new(body, 1 << 20).unwrap();
    Outgoing::direct(MessageId(1), member(from), member(to), body, None)
}

pub(crate) fn to_group(name: &str, members: &[&str], body: &str) -> Outgoing {
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
