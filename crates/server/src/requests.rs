//! Requests in flight: how many there may be, how long one may take, and what a panic in one does.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::convert::Status;

/// Memory for pages on their way to clients. At the default limits some 80 of the largest.
const PAGES_KIB: usize = 256 * 1024;

/// The places for requests in flight, shared by both protocols.
#[derive(Clone, Debug)]
pub struct Requests {
    places: Arc<Semaphore>,
    max: usize,
    /// One permit a KiB.
    pages: Arc<Semaphore>,
}

/// Memory held for one page; dropping it frees it.
#[derive(Debug)]
pub struct PageMemory {
    permit: OwnedSemaphorePermit,
}

impl PageMemory {
    /// Keeps only what a page of `bytes` needs.
    pub fn shrink_to(&mut self, bytes: usize) {
        let excess = self.permit.num_permits().saturating_sub(bytes.div_ceil(1024));
        drop(self.permit.split(excess));
    }
}

/// One request's place; dropping it frees the place.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Requests {
    /// Places for `max` requests at a time.
    pub fn new(max: usize) -> Requests {
        let max = max.min(Semaphore::MAX_PERMITS);
        let pages = Arc::new(Semaphore::new(PAGES_KIB));
        Requests { places: Arc::new(Semaphore::new(max)), max, pages }
    }

    /// Takes a place. Keep it until the request is answered.
    ///
    /// # Errors
    /// `RATELIMIT` if all are taken: waiting would only move the queue into memory.
    pub fn enter(&self) -> Result<Place, Status> {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(permit) => Ok(Place { _permit: permit }),
            Err(_) => Err(Status::too_many_requests(self.max)),
        }
    }

    /// Waits for memory for a page of at most `bytes_max`. Clients that do not take their pages
    /// make others wait here, where their deadline counts, instead of filling the memory.
    ///
    /// # Errors
    /// None while the server lives.
    pub async fn page_memory(&self, bytes_max: usize) -> Result<PageMemory, Status> {
        let kib = bytes_max.div_ceil(1024).min(PAGES_KIB);
        let kib = u32::try_from(kib).unwrap_or(u32::MAX);
        match Arc::clone(&self.pages).acquire_many_owned(kib).await {
            Ok(permit) => Ok(PageMemory { permit }),
            Err(_) => Err(Status::stopping()),
        }
    }

    /// How many requests are in flight now.
    pub fn in_flight(&self) -> usize {
        self.max - self.places.available_permits()
    }
}

/// Runs the work of one request for at most `deadline` (zero is no limit), and turns a panic in
/// it into an answer.
///
/// # Errors
/// Those of `work`, [`Status::deadline`] and [`Status::panicked`].
pub async fn bounded<T>(
    deadline: Duration,
    work: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    // What a panic leaves behind is dropped with the future; shared state is the store's, which
    // does not unwind through a handler's poll while it is half changed.
    let caught = AssertUnwindSafe(work).catch_unwind();
    let ended = match deadline {
        Duration::ZERO => Ok(caught.await),
        deadline => tokio::time::timeout(deadline, caught).await,
    };
    match ended {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(Status::panicked()),
        Err(_) => Err(Status::deadline()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_once_its_request_is_answered() {
        let requests = Requests::new(1);
        let place = requests.enter().unwrap();
        assert_eq!(requests.enter().unwrap_err().reason, "RATELIMIT");
        assert_eq!(requests.in_flight(), 1);
        drop(place);
        assert!(requests.enter().is_ok());
    }

    #[tokio::test]
    async fn pages_that_nobody_takes_make_others_wait_until_one_is_taken() {
        let requests = Requests::new(10);
        let mut small = requests.page_memory(3 << 20).await.unwrap();
        small.shrink_to(1_000);
        let rest = requests.page_memory((PAGES_KIB - 1) * 1024).await.unwrap();
        assert!(requests.page_memory(1).now_or_never().is_none());
        drop(rest);
        assert!(requests.page_memory(1).now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn work_past_its_deadline_is_answered_with_it() {
        let never = std::future::pending::<Result<(), Status>>();
        assert_eq!(bounded(Duration::from_secs(1), never).await, Err(Status::deadline()));
    }

    #[tokio::test]
    async fn a_panic_becomes_an_answer() {
        let work = async { panic!("a bug") };
        let answer: Result<(), Status> = bounded(Duration::from_secs(1), work).await;
        assert_eq!(answer, Err(Status::panicked()));
    }
}
