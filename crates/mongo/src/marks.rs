//! Marks: writing down that everybody has a message, later and many at a time.
//!
//! A mark that is lost or late changes nothing but work: whoever comes by delivers again, finds
//! everything there, and marks. So marks are dropped rather than waited for without end: at the
//! latest when the operation is over that they come from. A stem can be another message's once an
//! entry is deleted, which is not before all operations are over that met it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::call::{Call, Stop};
use crate::db::Update;
use crate::documents;
use crate::stem::Stem;

/// Most marks that wait. What is above is found by the resumer.
const WAITING_MAX: usize = 100_000;
/// Most marks in one command.
const COMMAND_MAX: usize = 1_000;

/// Entries that everybody has, and that are not marked yet, each with the deadline of the
/// operation that says so.
#[derive(Default)]
pub(crate) struct Marks(Mutex<Vec<(Stem, Duration)>>);

impl Marks {
    /// Notes that everybody has these entries and all before them in their conversation. Only
    /// who delivered them itself may say so.
    pub fn add(&self, call: &Call, stems: impl IntoIterator<Item = Stem>) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = WAITING_MAX.saturating_sub(waiting.len());
        waiting.extend(stems.into_iter().take(room).map(|stem| (stem, call.until)));
    }

    /// The next ones whose operations are not over by `now`.
    fn take(&self, now: Duration) -> Vec<Stem> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|(_, until)| now < *until);
        let count = waiting.len().min(COMMAND_MAX);
        waiting.drain(..count).map(|(stem, _)| stem).collect()
    }
}

/// Marks all that waits.
pub(crate) async fn flush(call: &Call) -> Result<(), Stop> {
    loop {
        let stems = call.shared.marks.take(call.shared.uptime.now());
        if stems.is_empty() {
            return Ok(());
        }
        let at = documents::time(call.shared.clock.now());
        let ids = stems.into_iter().map(Stem::id).collect();
        call.update(Update::MarkWhole { ids, at }).await?;
    }
}
