//! Whether the store takes calls, and how it stops: in order, or at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use seqline_core::error::{Error, Result};
use tokio::sync::Notify;

/// Counts what runs, and knows whether anything may begin or go on.
#[derive(Default)]
pub(crate) struct Life {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    running: usize,
    /// Nothing new is begun.
    closing: bool,
    /// Nothing goes on, and why.
    ended: Option<&'static str>,
}

/// Something that runs, and that a close waits for.
pub(crate) struct Running(Arc<Life>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.locked().running -= 1;
        self.0.changed.notify_waiters();
    }
}

impl Life {
    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins something.
    ///
    /// # Errors
    /// `Unavailable` once the store is closing or has ended.
    pub fn enter(self: &Arc<Life>) -> Result<Running> {
        let mut state = self.locked();
        if let Some(reason) = state.refuses() {
            return Err(Error::unavailable("store", std::io::Error::other(reason)));
        }
        state.running += 1;
        Ok(Running(Arc::clone(self)))
    }

    /// Why nothing new is begun.
    pub fn refuses(&self) -> Option<&'static str> {
        self.locked().refuses()
    }

    /// Why nothing goes on.
    pub fn ended(&self) -> Option<&'static str> {
        self.locked().ended
    }

    /// Lets nothing new begin, and waits for what runs.
    pub async fn close(&self) {
        self.locked().closing = true;
        self.changed.notify_waiters();
        loop {
            let changed = self.changed.notified();
            if self.locked().running == 0 {
                return;
            }
            changed.await;
        }
    }

    /// Ends everything before its next command to the database.
    pub fn end(&self, reason: &'static str) {
        self.locked().ended.get_or_insert(reason);
        self.changed.notify_waiters();
    }

    /// Waits until nothing new is begun.
    pub async fn closing(&self) {
        loop {
            let changed = self.changed.notified();
            if self.locked().refuses().is_some() {
                return;
            }
            changed.await;
        }
    }
}

impl State {
    fn refuses(&self) -> Option<&'static str> {
        self.ended.or(self.closing.then_some("it is closed"))
    }
}
