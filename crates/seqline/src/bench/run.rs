//! The measurement itself.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::latency::Latencies;
use super::load::{Mode, Settings};
use super::report::Report;
use crate::client::{Client, Request};
use crate::commands::terminal::Problem;
use crate::machine::processor_time;

/// What is left out at the start, while connections are made and caches fill.
const WARM_UP: Duration = Duration::from_secs(1);
/// After a failure, so that a server that refuses is not asked ever faster.
const PAUSE: Duration = Duration::from_millis(5);

/// What the workers saw.
#[derive(Default)]
pub struct Seen {
    /// Of requests that succeeded.
    pub latencies: Latencies,
    /// Entries that pages held.
    pub entries: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Why, the first one.
    pub first_error: Option<String>,
}

/// When counting starts and ends.
#[derive(Clone, Copy)]
struct Window {
    start: Instant,
    end: Instant,
}

/// Measures as `settings` say.
///
/// # Errors
/// If there is no server, or no request succeeds.
pub fn bench(settings: &Settings) -> Result<Report, Problem> {
    let requests = settings.requests()?;
    let start = Instant::now() + WARM_UP;
    let window = Window { start, end: start + settings.time };
    let seen = Mutex::new(Seen::default());
    let next = AtomicUsize::new(0);
    let used = thread::scope(|scope| {
        let clock = scope.spawn(move || processor_time_in(window));
        settings.pool.on_threads(&settings.endpoint, async |client| {
            // Workers start at different places of the list.
            let worker = next.fetch_add(1, Ordering::Relaxed);
            let first = worker * requests.len() / settings.pool.workers;
            let mine = work(client, &requests, first, settings.mode, window).await;
            seen.lock().unwrap_or_else(PoisonError::into_inner).merge(mine);
            Ok::<_, Problem>(())
        })?;
        Ok::<_, Problem>(clock.join().unwrap_or_default())
    })?;
    let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    if seen.latencies.count() == 0 {
        let why = seen.first_error.unwrap_or_else(|| "no answer came in time".to_owned());
        return Err(Problem::Failed(format!("no request succeeded: {why}")));
    }
    Ok(Report::new(settings, &seen, used))
}

/// Processor time this process uses from the start to the end of counting.
fn processor_time_in(window: Window) -> Duration {
    thread::sleep(window.start.saturating_duration_since(Instant::now()));
    let before = processor_time();
    thread::sleep(window.end.saturating_duration_since(Instant::now()));
    processor_time().saturating_sub(before)
}

async fn work(
    mut client: Client,
    requests: &[Request],
    first: usize,
    mode: Mode,
    window: Window,
) -> Seen {
    let mut seen = Seen::default();
    for request in requests.iter().cycle().skip(first) {
        let begun = Instant::now();
        if begun >= window.end {
            break;
        }
        let answer = client.call(request).await.and_then(|reply| match mode {
            Mode::Direct | Mode::Group => Ok(0),
            Mode::Sync => reply.inbox_entries(),
        });
        let ended = Instant::now();
        let counts = ended >= window.start && ended < window.end;
        match answer {
            Ok(entries) if counts => {
                seen.latencies.add(ended - begun);
                seen.entries += entries;
            }
            Ok(_) => {}
            Err(failure) => {
                seen.errors += u64::from(counts);
                seen.first_error.get_or_insert_with(|| failure.to_string());
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    seen
}

impl Seen {
    fn merge(&mut self, other: Seen) {
        self.latencies.merge(&other.latencies);
        self.entries += other.entries;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }
}
