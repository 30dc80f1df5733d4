//! What the suite needs to know of a store: how it is opened, killed and opened again.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Entropy};
use crate::store::Store;

/// One place that keeps messages, such as a directory, and how to open a store on it. Made anew
/// and empty for every case; what it keeps goes when it is dropped.
pub trait Subject: Send + Sync {
    /// Opens the store: empty the first time, later with everything it acknowledged. Called from
    /// a thread that has entered a multi-threaded tokio runtime, after the store opened before
    /// was closed and dropped, or given to [`Subject::crash`].
    fn open(&self, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Arc<dyn Store>;

    /// Ends the store as abruptly as it can be done in one process, without closing it. When this
    /// returns, [`Subject::open`] may be called. `store` is the last handle to it; futures of
    /// cancelled calls have been dropped, though what they began may still be going on.
    fn crash(&self, store: Arc<dyn Store>) {
        drop(store);
    }

    /// How long the store keeps idempotency keys: a key counts while the clock shows less than
    /// this after the time of the message it stored. Once the clock has shown more, the key may
    /// be gone, even if the clock steps back.
    fn idempotency_window(&self) -> Duration {
        Duration::from_secs(7 * 24 * 60 * 60)
    }

    /// How long to wait for a wake-up before calling it missed.
    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }
}
