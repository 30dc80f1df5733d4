//! The store as the port wants it: sends go to the committer, reads to threads of their own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use seqline_core::clock::{Clock, Entropy};
use seqline_core::fanout::Outgoing;
use seqline_core::id::{Epoch, TimelineId};
use seqline_core::page::{Bounds, Page, Read};
use seqline_core::seq::Seq;
use seqline_core::store::{CheckEvent, CheckSummary, Receipt, Status, Store, StoreFuture};
use seqline_core::watch::{Watch, Watchers};
use seqline_core::{Error, Result};
use tokio::sync::{Semaphore, oneshot};

use crate::committer::{Committer, DEFECT};
use crate::dedupe::Dedupe;
use crate::disk::{Disk, RealDisk};
use crate::engine::Engine;
use crate::error::{self, OpenError};
use crate::options::Options;
use crate::queue::{Append, Command, Queue};
use crate::timelines::Tails;
use crate::{check, read};

/// Reads at the same time: enough to keep a disk busy. More wait their turn, in order.
const READS_MAX: u32 = 32;

/// One data directory, open. Dropping it finishes what was begun, as [`Store::close`] does.
pub struct EmbeddedStore {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Arc<Queue>,
    watchers: Arc<Watchers>,
    reads: Arc<Semaphore>,
    stored_bytes: Arc<AtomicU64>,
    epoch: Epoch,
    /// `None` once closed. Whoever reads holds it until done.
    engine: RwLock<Option<Arc<Engine>>>,
    committer: Mutex<Option<JoinHandle<()>>>,
}

impl EmbeddedStore {
    /// Opens the store in the directory of `options`, or makes it.
    ///
    /// # Errors
    /// Says what is wrong with the directory and what to do; see [`OpenError`].
    #[expect(clippy::needless_pass_by_value, reason = "an opened store owns what it was given")]
    pub fn open(
        options: Options,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> std::result::Result<EmbeddedStore, OpenError> {
        EmbeddedStore::open_on(&options, clock, &*entropy, Box::new(RealDisk))
    }

    /// [`EmbeddedStore::open`] with a disk of the caller's.
    pub(crate) fn open_on(
        options: &Options,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
        disk: Box<dyn Disk>,
    ) -> std::result::Result<EmbeddedStore, OpenError> {
        let engine = Arc::new(Engine::open(options, entropy)?);
        let tails = Tails::new(&engine, options.memory() / 8)
            .map_err(|e| OpenError::damaged(&engine.dir, e.to_string()))?;
        let queue = Arc::new(Queue::new(options.queue_sends_max, options.queue_bytes_max));
        let watchers = Arc::new(Watchers::new());
        let stored_bytes = Arc::new(AtomicU64::new(engine.db.disk_space().unwrap_or(0)));
        let committer = Committer {
            engine: Arc::clone(&engine),
            queue: Arc::clone(&queue),
            watchers: Arc::clone(&watchers),
            clock,
            disk,
            tails,
            dedupe: Dedupe::new(options.idempotency_window),
            stored_bytes: Arc::clone(&stored_bytes),
        };
        let thread = std::thread::Builder::new()
            .name("seqline-commit".to_owned())
            .spawn(move || committer.run())
            .map_err(OpenError::io("start the committer of", &options.dir))?;
        tracing::info!(dir = %options.dir.display(), epoch = %engine.epoch, "the store is open");
        let shared = Shared {
            queue,
            watchers,
            reads: Arc::new(Semaphore::new(READS_MAX as usize)),
            stored_bytes,
            epoch: engine.epoch,
            engine: RwLock::new(Some(engine)),
            committer: Mutex::new(Some(thread)),
        };
        Ok(EmbeddedStore { shared: Arc::new(shared) })
    }

    /// Marks the history of this store; see [`Epoch`].
    pub fn epoch(&self) -> Epoch {
        self.shared.epoch
    }

    /// Reads on a thread that may wait for the disk.
    fn reading<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Engine) -> Result<T> + Send + 'static,
    ) -> StoreFuture<T> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let reads = Arc::clone(&shared.reads);
            let permit = reads.acquire_owned().await.map_err(|_| closed())?;
            let task = tokio::task::spawn_blocking(move || {
                let result = shared.engine().and_then(|engine| read(&engine));
                drop(permit);
                result
            });
            task.await.unwrap_or_else(|_| Err(error::unavailable("a read stopped short")))
        })
    }
}

impl Store for EmbeddedStore {
    fn append(&self, send: Outgoing) -> StoreFuture<Receipt> {
        let (answer, receipt) = oneshot::channel();
        let pushed = self.shared.queue.push(Command::Append(Append::new(send, answer)));
        let queue = Arc::clone(&self.shared.queue);
        Box::pin(async move {
            pushed?;
            receipt.await.unwrap_or_else(|_| Err(unknown(&queue)))
        })
    }

    fn read(&self, read: Read) -> StoreFuture<Page> {
        self.reading(move |engine| read::page(engine, &read))
    }

    fn bounds(&self, timelines: Vec<TimelineId>) -> StoreFuture<Vec<Bounds>> {
        self.reading(move |engine| read::bounds(engine, &timelines))
    }

    fn trim(&self, timeline: TimelineId, up_to: Seq) -> StoreFuture<Bounds> {
        let (answer, bounds) = oneshot::channel();
        let pushed = self.shared.queue.push(Command::Trim { timeline, up_to, answer });
        let queue = Arc::clone(&self.shared.queue);
        Box::pin(async move {
            pushed?;
            bounds.await.unwrap_or_else(|_| Err(unknown(&queue)))
        })
    }

    fn watch(&self, timeline: &TimelineId) -> Watch {
        self.shared.watchers.watch(&timeline.key())
    }

    fn check(&self, report: &mut dyn FnMut(CheckEvent)) -> Result<CheckSummary> {
        check::run(&*self.shared.engine()?, report)
    }

    fn status(&self) -> Status {
        let (refuses_sends, queued_sends, queued_bytes) = self.shared.queue.status();
        let stored_bytes = self.shared.stored_bytes.load(Ordering::Relaxed);
        Status { refuses_sends, queued_sends, queued_bytes, stored_bytes }
    }

    fn close(&self) -> StoreFuture<()> {
        let (answer, closed) = oneshot::channel();
        let pushed = self.shared.queue.close_with(Command::Close { answer });
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let result = match pushed {
                Ok(()) => closed.await.unwrap_or_else(|_| Err(unknown(&shared.queue))),
                Err(error) => Err(error),
            };
            // Readers that began finish; the directory is free when this returns.
            let permits = shared.reads.acquire_many(READS_MAX).await;
            shared.reads.close();
            drop(permits);
            let let_go = tokio::task::spawn_blocking(move || shared.let_go()).await;
            result.and(let_go.map_err(|_| error::unavailable("closing stopped short")))
        })
    }
}

impl Shared {
    fn engine(&self) -> Result<Arc<Engine>> {
        let engine = self.engine.read().unwrap_or_else(PoisonError::into_inner);
        engine.clone().ok_or_else(closed)
    }

    /// Waits for the committer to end and frees the directory. The queue must be closed.
    fn let_go(&self) {
        let committer = self.committer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = committer {
            // It catches its own panics, so there is nothing to learn from the result.
            let _ = thread.join().is_ok();
            tracing::info!("the store is closed");
        }
        self.engine.write().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.shared.queue.close();
        self.shared.let_go();
    }
}

fn closed() -> Error {
    error::unavailable("the store is closed")
}

/// The committer went away with a send in hand. A caller may learn of it before the committer
/// could refuse what comes after, so the refusal is made sure of here.
fn unknown(queue: &Queue) -> Error {
    queue.poison(DEFECT);
    Error::OutcomeUnknown { reason: queue.poisoned().unwrap_or_else(|| DEFECT.to_owned()) }
}
