//! Many requests at a time: workers on a few threads, each thread with a runtime of its own.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::{io, thread};

use futures_util::future::try_join_all;

use super::{Client, Endpoint};

/// How many requests at a time, and over what.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// Threads, each with a runtime.
    pub threads: usize,
    /// Requests at a time, over all threads.
    pub workers: usize,
    /// gRPC connections, over all threads; HTTP has one for each worker.
    pub connections: usize,
}

impl Pool {
    /// Calls `work` once for each of `items`, in their order as far as they do not run at the
    /// same time. Ends early, with the first error, when one fails.
    ///
    /// # Errors
    /// The first error of `work`, or that no thread could be started.
    pub fn for_each<T, E, W>(&self, endpoint: &Endpoint, items: &[T], work: W) -> Result<(), E>
    where
        T: Sync,
        E: Send + From<io::Error>,
        W: AsyncFn(&mut Client, &T) -> Result<(), E> + Sync,
    {
        let next = AtomicUsize::new(0);
        let failed = AtomicBool::new(false);
        self.on_threads(endpoint, async |mut client| {
            while !failed.load(Ordering::Relaxed) {
                let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                if let Err(error) = work(&mut client, item).await {
                    failed.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
            Ok(())
        })
    }

    /// Runs `work` once for each worker, on all threads at a time.
    ///
    /// # Errors
    /// As [`Pool::for_each`].
    pub fn on_threads<E, W>(&self, endpoint: &Endpoint, work: W) -> Result<(), E>
    where
        E: Send + From<io::Error>,
        W: AsyncFn(Client) -> Result<(), E> + Sync,
    {
        let threads = self.threads.clamp(1, self.workers.max(1));
        let run = |thread: usize| {
            let share = |all: usize| all / threads + usize::from(thread < all % threads);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (workers, connections) = (share(self.workers), share(self.connections).max(1));
            let clients = Client::many(endpoint, workers, connections.min(workers));
            runtime
                .block_on(try_join_all(clients.into_iter().map(|client| work(client))))
                .map(|_| ())
        };
        thread::scope(|scope| {
            let started: Vec<_> = (1..threads).map(|n| scope.spawn(move || run(n))).collect();
            let first = run(0);
            started.into_iter().map(|t| join(t)).fold(first, Result::and)
        })
    }
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    // A panic goes on where the thread was started.
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
