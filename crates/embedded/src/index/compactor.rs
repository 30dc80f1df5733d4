//! The compaction thread: merges tables, checks every row it copies, frees what is replaced.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lsm_tree::compaction::filter::Context;
use lsm_tree::compaction::{CompactionFilter, Factory, ItemAccessor, Verdict};
use lsm_tree::{AbstractTree as _, SeqNo};

use super::row;
use super::shared::{Shared, lock};
use crate::courtesy::Courtesy;

/// How much the thread gives way to others; 19 would be most. It must still keep up.
const NICENESS: i32 = 5;
/// Rows merged between two breaks. A break costs a change of threads: with one every 64 rows,
/// merging took more processor time and sends were not quicker.
const BREAK_ROWS: u32 = 256;
/// How often replaced views are looked at while readers have them.
const RETIRED_WAIT: Duration = Duration::from_millis(100);

/// Wakes the thread; a ring while it works is not lost.
#[derive(Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    pub(super) fn ring(&self) {
        *lock(&self.rung) = true;
        self.heard.notify_all();
    }

    /// Returns whether it rang before `wait` was over.
    fn wait(&self, wait: Option<Duration>) -> bool {
        let mut rung = lock(&self.rung);
        while !*rung {
            match wait {
                None => rung = self.heard.wait(rung).unwrap_or_else(PoisonError::into_inner),
                Some(wait) => {
                    let waited = self.heard.wait_timeout(rung, wait);
                    let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                    rung = guard;
                    if timeout.timed_out() {
                        break;
                    }
                }
            }
        }
        std::mem::take(&mut *rung)
    }
}

/// Starts the thread; it ends when `stop` is set and the bell rings.
pub(super) fn start(shared: &Arc<Shared>) -> std::io::Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    thread::Builder::new().name("index-compaction".to_owned()).spawn(move || run(&shared))
}

fn run(shared: &Shared) {
    // Of no consequence if it is refused.
    let _ = rustix::process::setpriority_process(None, NICENESS);
    let mut wait = None;
    loop {
        let rang = shared.bell.wait(wait);
        if shared.stop.load(Ordering::Acquire) {
            return;
        }
        if rang && catch_unwind(AssertUnwindSafe(|| shared.compact())).is_err() {
            fail(shared, "compaction panicked");
            shared.stop_for("compaction panicked");
        }
        wait = shared.free_retired().then_some(RETIRED_WAIT);
    }
}

fn fail(shared: &Shared, reason: &str) {
    tracing::error!(reason, "compaction of the index failed");
    shared.failures.increment(1);
    *lock(&shared.failed) = Some(reason.to_owned());
}

impl Shared {
    /// Compacts until there is nothing to do, or something fails; then the next flush has it
    /// tried again. The tables that were read stay valid until the new ones are durable.
    fn compact(&self) {
        while !self.stop.load(Ordering::Acquire) && self.check_running().is_ok() {
            let before = self.tree.current_version().id();
            let result = self.tree.compact(self.strategy.next(&self.tree), SeqNo::MAX);
            match result {
                Ok(()) => {
                    lock(&self.failed).take();
                    if self.tree.current_version().id() == before {
                        break;
                    }
                    self.install(0);
                }
                Err(_) if self.stop.load(Ordering::Acquire) => return,
                Err(error) => {
                    fail(self, &error.to_string());
                    self.check_pointer();
                    self.sweep_due.store(true, Ordering::Release);
                    break;
                }
            }
            self.free_retired();
        }
        if self.sweep_due.swap(false, Ordering::AcqRel) {
            let _flushing = lock(&self.flushing);
            self.sweep();
        }
    }

    /// Drops replaced views that no reader has; their memtables and files go with them.
    /// Returns whether some are left.
    pub(super) fn free_retired(&self) -> bool {
        let mut retired = lock(&self.retired);
        let (kept, free) =
            retired.drain(..).partition::<Vec<_>, _>(|view| Arc::strong_count(view) > 1);
        *retired = kept;
        let left = !retired.is_empty();
        drop(retired);
        drop(free);
        left
    }
}

/// Makes the filter of each compaction. It keeps every row; it is there because the tree has no
/// other way to be stopped in the middle, and because a damaged row must not be copied.
pub(super) struct Checks {
    pub(super) stop: Arc<AtomicBool>,
    /// Whether merging is behind and must not give way.
    pub(super) behind: Arc<AtomicBool>,
}

impl Factory for Checks {
    fn name(&self) -> &str {
        "checks"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        let (stop, behind) = (Arc::clone(&self.stop), Arc::clone(&self.behind));
        Box::new(Check { courtesy: Courtesy::new(BREAK_ROWS), stop, behind })
    }
}

struct Check {
    courtesy: Courtesy,
    stop: Arc<AtomicBool>,
    behind: Arc<AtomicBool>,
}

impl CompactionFilter for Check {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> lsm_tree::Result<Verdict> {
        if !self.behind.load(Ordering::Relaxed) {
            self.courtesy.step();
        }
        if self.stop.load(Ordering::Relaxed) {
            let stopped = std::io::Error::new(std::io::ErrorKind::Interrupted, "closing");
            return Err(lsm_tree::Error::Io(stopped));
        }
        row::unseal(item.key(), item.value()?)
            .map_err(|error| lsm_tree::Error::Io(std::io::Error::other(error)))?;
        Ok(Verdict::Keep)
    }
}
