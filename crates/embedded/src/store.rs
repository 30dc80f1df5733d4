//! The store as the port wants it: sends go to the committer, reads to threads of their own.

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
use crate::dedupe::{Dedupe, Forgotten};
use crate::engine::Engine;
use crate::error::{self, OpenError};
use crate::group::Numbering;
use crate::keeper::Keeper;
use crate::open::{self, Opened};
use crate::options::{Options, Tuning};
use crate::queue::{Append, Command, Queue};
use crate::resolve::resolve;
use crate::storage::{Disk, RealDisk};
use crate::{check, loader, read};

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
    forgotten: Forgotten,
    epoch: Epoch,
    /// `None` once closed. Whoever uses it holds it until done.
    engine: RwLock<Option<Arc<Engine>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
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
        let tuning = Tuning::of(&options);
        EmbeddedStore::open_on(&options, clock, entropy, Arc::new(RealDisk), tuning)
    }

    /// [`EmbeddedStore::open`] with a disk for the log and sizes of the caller's.
    #[expect(clippy::needless_pass_by_value, reason = "an opened store owns what it was given")]
    pub(crate) fn open_on(
        options: &Options,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        disk: Arc<dyn Disk>,
        tuning: Tuning,
    ) -> std::result::Result<EmbeddedStore, OpenError> {
        let Opened { engine, log, names, keys } = open::open(options, &entropy, disk, tuning)?;
        let engine = Arc::new(engine);
        let queue = Arc::new(Queue::new(options.queue_sends_max, options.queue_bytes_max));
        let watchers = Arc::new(Watchers::new());
        let forgotten = Forgotten::default();
        let window = options.idempotency_window;
        let dedupe = Dedupe::new(window, tuning.generation_keys, forgotten.clone(), keys);
        let failed = OpenError::io("start the threads of", &options.dir);
        let committer = Committer {
            engine: Arc::clone(&engine),
            queue: Arc::clone(&queue),
            watchers: Arc::clone(&watchers),
            clock: Arc::clone(&clock),
            log,
            numbering: Numbering::new(dedupe, names),
            ended: false,
        };
        let unused_after = tuning.unused_after;
        let keeper =
            Keeper::new(Arc::clone(&engine), Arc::clone(&queue), clock, window, unused_after);
        let start = || {
            let mut threads = loader::start(&engine, &queue, &forgotten)?;
            threads.push(spawn("seqline-keep", move || keeper.run())?);
            threads.push(spawn("seqline-commit", move || committer.run())?);
            Ok(threads)
        };
        let threads = start().map_err(failed)?;
        tracing::info!(dir = %options.dir.display(), epoch = %engine.epoch, "the store is open");
        let shared = Shared {
            queue,
            watchers,
            reads: Arc::new(Semaphore::new(READS_MAX as usize)),
            forgotten,
            epoch: engine.epoch,
            engine: RwLock::new(Some(engine)),
            threads: Mutex::new(threads),
        };
        Ok(EmbeddedStore { shared: Arc::new(shared) })
    }

    /// Ends as a killed process would: what is not written by now never is.
    #[cfg(test)]
    pub(crate) fn abandon(&self) {
        if let Ok(engine) = self.shared.engine() {
            engine.backlog.end(true);
        }
        self.shared.queue.poison("the store was killed by a test");
        self.shared.let_go();
    }

    /// What the threads share, for tests that look closer.
    #[cfg(test)]
    pub(crate) fn engine(&self) -> Arc<Engine> {
        self.shared.engine().expect("the store is open")
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
        let pushed = self.shared.push(Box::new(Append::new(send, answer)));
        let queue = Arc::clone(&self.shared.queue);
        Box::pin(async move {
            pushed?;
            receipt.await.unwrap_or_else(|_| Err(unknown(&queue)))
        })
    }

    fn read(&self, read: Read) -> StoreFuture<Page> {
        // Without a change of threads where nothing needs the disk.
        let at_once = self.shared.engine().map(|engine| read::page_at_once(&engine, &read));
        match at_once {
            Ok(Some(Ok(page))) => Box::pin(std::future::ready(Ok(page))),
            // Whatever went wrong, it is looked at again with patience.
            _ => self.reading(move |engine| read::page(engine, &read)),
        }
    }

    fn bounds(&self, timelines: Vec<TimelineId>) -> StoreFuture<Vec<Bounds>> {
        self.reading(move |engine| read::bounds(engine, &timelines))
    }

    fn trim(&self, timeline: TimelineId, up_to: Seq) -> StoreFuture<Bounds> {
        let (answer, bounds) = oneshot::channel();
        let timeline = timeline.key();
        let pushed = self.shared.queue.push(Command::Trim { timeline, up_to, answer }, false);
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
        let stored_bytes = self
            .shared
            .engine()
            .map_or(0, |engine| engine.segments.disk_bytes() + engine.index.disk_bytes());
        Status { refuses_sends, unreachable: None, queued_sends, queued_bytes, stored_bytes }
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

    fn push(&self, mut append: Box<Append>) -> Result<()> {
        let engine = self.engine()?;
        let max = engine.segments.frame_bytes_max();
        if append.frame_bytes > max {
            return Err(Error::TooLarge {
                field: "message",
                limit: "one send",
                max,
                actual: append.frame_bytes,
                unit: "bytes with its recipients",
            });
        }
        let ready = resolve(&engine, &self.forgotten, &mut append);
        self.queue.push(Command::Append(append), ready)
    }

    /// Waits for the threads to end and frees the directory. The queue must be closed.
    fn let_go(&self) {
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let any = !threads.is_empty();
        for thread in threads {
            // They catch their own panics, so there is nothing to learn from the result.
            let _ = thread.join().is_ok();
        }
        if any {
            tracing::info!("the store is closed");
        }
        self.engine.write().unwrap_or_else(PoisonError::into_inner).take();
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
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
