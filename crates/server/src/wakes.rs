//! Wake-ups from other threads, gathered.
//!
//! The store's committer answers many sends at once. Waking each request's runtime for each
//! answer costs more than everything else a send does; so the answers for one runtime are put
//! into one list, and the runtime is woken once to wake its own requests.

use std::cell::OnceCell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

thread_local! {
    static OF_THIS_THREAD: OnceCell<Arc<Wakes>> = const { OnceCell::new() };
}

/// The requests of one runtime that have something to go on with.
#[derive(Debug, Default)]
struct Wakes {
    due: Mutex<Vec<Arc<Waiting>>>,
    some: Notify,
}

/// A request that waits for another thread.
#[derive(Debug)]
struct Waiting {
    request: AtomicWaker,
    wakes: Arc<Wakes>,
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        let wakes = Arc::clone(&self.wakes);
        let first = {
            let mut due = wakes.due.lock().unwrap_or_else(PoisonError::into_inner);
            due.push(self);
            due.len() == 1
        };
        if first {
            wakes.some.notify_one();
        }
    }
}

/// Wakes this thread's requests whenever one is due. Every runtime that serves requests runs it.
pub(crate) async fn run() {
    let wakes = OF_THIS_THREAD.with(|cell| Arc::clone(cell.get_or_init(Arc::default)));
    let mut due = Vec::new();
    loop {
        wakes.some.notified().await;
        std::mem::swap(&mut due, &mut *wakes.due.lock().unwrap_or_else(PoisonError::into_inner));
        due.drain(..).for_each(|waiting: Arc<Waiting>| waiting.request.wake());
    }
}

/// Runs `future`, which another thread will wake, with its wake-ups gathered; on a thread that
/// does not gather, as it is.
pub(crate) async fn gathered<T>(future: impl Future<Output = T>) -> T {
    let Some(wakes) = OF_THIS_THREAD.with(|cell| cell.get().cloned()) else {
        return future.await;
    };
    let waiting = Arc::new(Waiting { request: AtomicWaker::new(), wakes });
    let waker = Waker::from(Arc::clone(&waiting));
    let mut future = pin!(future);
    poll_fn(|cx| {
        waiting.request.register(cx.waker());
        future.as_mut().poll(&mut Context::from_waker(&waker))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn answers_of_another_thread_reach_every_request_that_waits() {
        let gathering = tokio::spawn(run());
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..1_000).map(|_| oneshot::channel::<usize>()).unzip();
        let waiting: Vec<_> =
            receivers.into_iter().map(|receiver| tokio::spawn(gathered(receiver))).collect();
        // Every request waits before the first answer comes.
        tokio::task::yield_now().await;
        std::thread::spawn(move || {
            senders.into_iter().enumerate().for_each(|(n, sender)| sender.send(n).unwrap());
        });
        for (n, request) in waiting.into_iter().enumerate() {
            assert_eq!(request.await.unwrap(), Ok(n));
        }
        gathering.abort();
    }

    #[tokio::test]
    async fn a_thread_that_does_not_gather_waits_as_usual() {
        let (sender, receiver) = oneshot::channel();
        std::thread::spawn(move || sender.send(7).unwrap());
        assert_eq!(gathered(receiver).await, Ok(7));
    }
}
