//! The line between one instance and the replica set, which can be cut.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// One line.
#[derive(Default)]
pub(crate) struct Link {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    cut: bool,
    under_way: usize,
}

/// A command under way.
pub(crate) struct UnderWay(Arc<Link>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.locked().under_way -= 1;
        self.0.changed.notify_waiters();
    }
}

impl Link {
    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A command begins; `None` if the line is cut.
    pub fn begin(self: &Arc<Link>) -> Option<UnderWay> {
        let mut state = self.locked();
        if state.cut {
            return None;
        }
        state.under_way += 1;
        Some(UnderWay(Arc::clone(self)))
    }

    pub fn cut(&self) {
        self.locked().cut = true;
    }

    pub async fn idle(&self) {
        loop {
            let changed = self.changed.notified();
            if self.locked().under_way == 0 {
                return;
            }
            changed.await;
        }
    }
}
