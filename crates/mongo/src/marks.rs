//! Marks: writing down that everybody has a message, later and many at a time.
//!
//! A mark that is lost or late changes nothing but work: whoever comes by delivers again, finds
//! everything there, and marks. So marks are dropped rather than waited for without end.

use std::sync::{Mutex, PoisonError};

use crate::call::{Call, Stop};
use crate::db::Update;
use crate::documents;
use crate::stem::Stem;

/// Most marks that wait. What is above is found by the resumer.
const WAITING_MAX: usize = 100_000;
/// Most marks in one command.
const COMMAND_MAX: usize = 1_000;

/// Entries that everybody has, and that are not marked yet.
#[derive(Default)]
pub(crate) struct Marks(Mutex<Vec<Stem>>);

impl Marks {
    /// Notes that everybody has these entries and all before them in their conversation. Only
    /// who delivered them itself may say so.
    pub fn add(&self, stems: impl IntoIterator<Item = Stem>) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = WAITING_MAX.saturating_sub(waiting.len());
        waiting.extend(stems.into_iter().take(room));
    }

    fn take(&self) -> Vec<Stem> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.len().min(COMMAND_MAX);
        let rest = waiting.split_off(count);
        std::mem::replace(&mut waiting, rest)
    }
}

/// Marks all that waits.
pub(crate) async fn flush(call: &Call) -> Result<(), Stop> {
    loop {
        let stems = call.shared.marks.take();
        if stems.is_empty() {
            return Ok(());
        }
        let at = documents::time(call.shared.clock.now());
        let ids = stems.into_iter().map(Stem::id).collect();
        call.update(Update::MarkWhole { ids, at }).await?;
    }
}
