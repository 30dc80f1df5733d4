//! Claims: turns of instances at an inbox, kept by the service beside the database.
//!
//! Within an instance, [`turns`](crate::turns) keep two sends from taking each other's position in
//! an inbox. Two instances that add to the same inboxes at the same time lose positions to each
//! other: one is refused, looks, reads the tail and tries again. While that happens, an instance
//! claims inboxes before it adds to them and waits a little for those that another one has.
//! Nothing is decided by it: whether an insert counts is the database's word, a claim only makes a
//! refusal less likely. So an instance that never asks, dies with a claim, or is told lies, costs
//! time alone, and little: a wait is no longer than a claim lasts, and only a position that was
//! really lost makes an instance claim at all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use seqline_core::id::Text;

use crate::call::{Call, Stop};
use crate::hints::CLAIM_TIME;
use crate::lookup;
use crate::shared::Shared;

/// How long inboxes count as contested after a position was lost.
const CONTESTED: Duration = Duration::from_secs(1);
/// First pause before inboxes that another instance has are asked for again.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// Longest pause: about what an insert takes.
const PAUSE_MAX: Duration = Duration::from_millis(8);

/// Whether instances are in each other's way at the moment.
#[derive(Default)]
pub(crate) struct Claims {
    /// Until when, in microseconds of the uptime.
    contested: AtomicU64,
}

impl Claims {
    /// Another instance has taken a position, or had the inbox.
    pub fn met_another(&self, now: Duration) {
        self.contested.fetch_max(micros(now + CONTESTED), Ordering::Relaxed);
    }

    fn contested(&self, now: Duration) -> bool {
        micros(now) < self.contested.load(Ordering::Relaxed)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Inboxes to which this instance adds next; they are free again when this is dropped.
pub(crate) struct Claimed<'a> {
    shared: &'a Shared,
    members: Vec<Text>,
    since: Duration,
    /// Which of those that were asked for, in ascending order.
    pub places: Vec<usize>,
}

/// Claims those of `members` that no other instance has, at least one, and knows then the tails
/// of which a hint says that they have grown. `None` where nothing is contested.
pub(crate) async fn take<'a>(
    call: &'a Call,
    members: &[Text],
) -> Result<Option<Claimed<'a>>, Stop> {
    let shared = &*call.shared;
    let began = shared.uptime.now();
    if !shared.claims.contested(began) {
        return Ok(None);
    }
    let mut pause = PAUSE_MIN;
    loop {
        let since = shared.uptime.now();
        let claims = shared.hints.claim(shared.epoch, members.to_vec()).await;
        let ours = |place: &usize| claims.get(*place).is_none_or(|claim| claim.ours);
        let mut places: Vec<usize> = (0..members.len()).filter(ours).collect();
        let mut claimed = Claimed { shared, members: Vec::new(), since, places: Vec::new() };
        claimed.members = places.iter().map(|place| members[*place].clone()).collect();
        if places.is_empty() && shared.uptime.now().saturating_sub(began) < CLAIM_TIME {
            call.in_time(tokio::time::sleep(pause)).await?;
            pause = (2 * pause).min(PAUSE_MAX);
            continue;
        }
        if places.is_empty() {
            // Whoever has them does not give them back.
            places = (0..members.len()).collect();
        } else if places.len() < members.len() || pause > PAUSE_MIN {
            shared.claims.met_another(shared.uptime.now());
        }
        let hints = claims.iter().map(|claim| claim.hint);
        lookup::read_grown(call, members.iter().cloned().zip(hints)).await?;
        claimed.places = places;
        return Ok(Some(claimed));
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        // Later they may be another's.
        let in_time = self.shared.uptime.now().saturating_sub(self.since) < CLAIM_TIME / 2;
        if in_time && !self.members.is_empty() {
            self.shared.hints.release(self.shared.epoch, std::mem::take(&mut self.members));
        }
    }
}
