//! What an instance does on its own: marks, and now and then the care for what others left.

use std::sync::Arc;
use std::time::Duration;

use crate::aside::{Found, Work};
use crate::call::{Call, Stop};
use crate::counts::Operation;
use crate::db::Update;
use crate::documents;
use crate::shared::Shared;
use crate::{epoch, marks, purge, resume};

/// The lease for resuming and purging. Two that hold it do no harm, only the same work.
const LEASE: &str = "lease:care";

/// Marks what was delivered, until the store closes.
pub(crate) async fn mark(shared: Arc<Shared>) {
    while goes_on(&shared, shared.options.mark_interval).await {
        if let Err(stop) = marks::flush(&Call::new(&shared, Operation::Mark)).await {
            tracing::debug!(%stop, "marks were lost");
        }
    }
}

/// Looks after the database, until the store closes.
pub(crate) async fn care(shared: Arc<Shared>) {
    let mut floors = String::new();
    loop {
        let interval = shared.options.care_interval;
        // Not all instances at the same time.
        let part = (shared.entropy.random() % 1_024) as u32;
        if !goes_on(&shared, interval / 2 + interval * part / 1_024).await {
            return;
        }
        match once(&shared, std::mem::take(&mut floors)).await {
            Ok(last) => floors = last,
            Err(stop) => tracing::debug!(%stop, "the care for the database was broken off"),
        }
    }
}

/// Waits; false if the store closes meanwhile.
pub(crate) async fn goes_on(shared: &Shared, time: Duration) -> bool {
    tokio::select! {
        biased;
        () = shared.life.closing() => false,
        () = tokio::time::sleep(time) => true,
    }
}

/// One round of care; where the next purge goes on.
async fn once(shared: &Arc<Shared>, floors: String) -> Result<String, Stop> {
    let call = Call::new(shared, Operation::Care);
    epoch::verify(&call).await?;
    let now = shared.clock.now();
    let time = 4 * shared.options.care_interval + shared.options.operation_time;
    let until = seqline_core::clock::UnixMillis(
        now.0.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
    );
    let held = call
        .update(Update::Lease {
            id: LEASE.to_owned(),
            holder: shared.holder.clone(),
            now: documents::time(now),
            until: documents::time(until),
        })
        .await?;
    if held == 0 {
        // Whoever holds the lease tells of these.
        shared.aside.round(Work::Deliver, Found::default());
        shared.aside.round(Work::Delete, Found::default());
        return Ok(floors);
    }
    resume::all(&call, shared.options.resume_after).await?;
    purge::some(&Call::new(shared, Operation::Care), floors).await
}
