//! Many callers of a store on one thread, as cheap as they can be: a completed call costs one
//! bit and, if the thread sleeps, one wake-up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use seqline_core::store::StoreFuture;

use crate::bench::latency::Latencies;
use crate::machine::processor_time;

/// Calls that may be in flight when they do not wait for each other.
const OPEN_CALLS_MAX: usize = 16_384;

/// What came of it, without the warm-up.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Calls that succeeded.
    pub done: u64,
    /// Calls that failed, those of the warm-up too.
    pub errors: u64,
    /// Why, the first one.
    pub first_error: Option<String>,
    /// How long the calls took.
    pub latencies: Latencies,
    /// How long it counted.
    pub time: Duration,
    /// Processor time of this process meanwhile.
    pub used: Duration,
}

/// When to begin calls.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// Each caller when its last one is done: so many callers.
    Closed(usize),
    /// So many a second, whatever became of the earlier ones.
    Open(u64),
}

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// After a warm-up and then so long.
    Time(Duration, Duration),
    /// After so many calls, all of which count.
    Calls(u64),
}

/// Which calls want to be asked again.
struct Wakes {
    words: Vec<AtomicU64>,
    thread: Thread,
}

struct CallWake {
    wakes: Arc<Wakes>,
    number: usize,
}

impl Wake for CallWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let bit = 1 << (self.number % 64);
        // Whoever set the first bit of a word has woken the thread already.
        if self.wakes.words[self.number / 64].fetch_or(bit, Ordering::AcqRel) == 0 {
            self.wakes.thread.unpark();
        }
    }
}

struct Call<T> {
    waker: Waker,
    /// The call with the time it counts from.
    running: Option<(Instant, StoreFuture<T>)>,
}

/// Makes calls with `call` and hands what they return to `done`.
///
/// Must be called inside of a runtime, which reads of a store may need.
pub fn drive<T>(
    pace: Pace,
    until: Until,
    call: impl FnMut() -> StoreFuture<T>,
    done: impl FnMut(T),
) -> Outcome {
    let calls_max = match pace {
        Pace::Closed(callers) => callers,
        Pace::Open(_) => OPEN_CALLS_MAX,
    };
    let words = (0..calls_max.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
    let wakes = Arc::new(Wakes { words, thread: thread::current() });
    let calls = (0..calls_max)
        .map(|number| {
            let wakes = Arc::clone(&wakes);
            Call { waker: Waker::from(Arc::new(CallWake { wakes, number })), running: None }
        })
        .collect();
    let now = Instant::now();
    let (start, end, calls_left) = match until {
        Until::Time(warm_up, time) => (now + warm_up, Some(now + warm_up + time), u64::MAX),
        Until::Calls(count) => (now, None, count),
    };
    let drive = Drive {
        wakes,
        calls,
        free: (0..calls_max).rev().collect(),
        pace,
        begun: now,
        begun_calls: 0,
        calls_left,
        start,
        end,
        counts: true,
        outcome: Outcome::default(),
        call,
        done,
    };
    drive.run()
}

struct Drive<T, C, D> {
    wakes: Arc<Wakes>,
    calls: Vec<Call<T>>,
    /// Places without a call.
    free: Vec<usize>,
    pace: Pace,
    begun: Instant,
    begun_calls: u64,
    calls_left: u64,
    start: Instant,
    end: Option<Instant>,
    /// Whether what is done now counts; not any more at the end.
    counts: bool,
    outcome: Outcome,
    call: C,
    done: D,
}

impl<T, C: FnMut() -> StoreFuture<T>, D: FnMut(T)> Drive<T, C, D> {
    fn run(mut self) -> Outcome {
        let mut used = None;
        loop {
            let now = Instant::now();
            if now >= self.start && used.is_none() {
                used = Some(processor_time());
            }
            if self.is_over(now) {
                break;
            }
            self.begin(now);
            if !self.poll_woken() {
                thread::park_timeout(self.patience(Instant::now()));
            }
        }
        self.outcome.used = processor_time().saturating_sub(used.unwrap_or_default());
        self.outcome.time = self.end.unwrap_or_else(Instant::now) - self.start;
        // What is in flight is finished, so that nothing of it runs into the next measurement.
        self.calls_left = 0;
        self.counts = false;
        while self.free.len() < self.calls.len() {
            if !self.poll_woken() {
                thread::park_timeout(Duration::from_millis(100));
            }
        }
        self.outcome
    }

    fn is_over(&self, now: Instant) -> bool {
        let is_done = self.calls_left == 0 && self.free.len() == self.calls.len();
        is_done || self.end.is_some_and(|end| now >= end)
    }

    /// When the next call is due, with an open pace.
    fn due(&self) -> Option<Instant> {
        let Pace::Open(rate) = self.pace else { return None };
        Some(self.begun + Duration::from_nanos(self.begun_calls * 1_000_000_000 / rate))
    }

    fn patience(&self, now: Instant) -> Duration {
        let can_begin = self.calls_left > 0 && !self.free.is_empty();
        if can_begin && matches!(self.pace, Pace::Closed(_)) {
            return Duration::ZERO;
        }
        let next = self.due().filter(|_| can_begin);
        let next = [next, self.end].into_iter().flatten().min();
        next.map_or(Duration::from_millis(100), |next| next.saturating_duration_since(now))
    }

    /// Begins the calls whose time has come.
    fn begin(&mut self, now: Instant) {
        // Calls that are done at once must not keep the loop from looking at the time.
        for _ in 0..self.calls.len() {
            if self.calls_left == 0 || self.free.is_empty() {
                break;
            }
            let from = match self.due() {
                Some(due) if due > now => break,
                // A call that comes late counts from when it should have come.
                Some(due) => due,
                None => now,
            };
            let Some(place) = self.free.pop() else { break };
            self.calls_left -= 1;
            self.begun_calls += 1;
            self.calls[place].running = Some((from, (self.call)()));
            self.poll(place, now);
        }
    }

    /// Asks the calls that were woken; whether there was one.
    fn poll_woken(&mut self) -> bool {
        let mut any = false;
        for word in 0..self.wakes.words.len() {
            let mut bits = self.wakes.words[word].swap(0, Ordering::AcqRel);
            if bits == 0 {
                continue;
            }
            any = true;
            let now = Instant::now();
            while bits != 0 {
                self.poll(word * 64 + bits.trailing_zeros() as usize, now);
                bits &= bits - 1;
            }
        }
        any
    }

    fn poll(&mut self, place: usize, now: Instant) {
        let call = &mut self.calls[place];
        let Some((from, running)) = &mut call.running else { return };
        let from = *from;
        let Poll::Ready(result) = running.as_mut().poll(&mut Context::from_waker(&call.waker))
        else {
            return;
        };
        call.running = None;
        self.free.push(place);
        // It may have been done at once, and that took time as well.
        let now = Instant::now().max(now);
        match result {
            Ok(value) => {
                (self.done)(value);
                if self.counts && now >= self.start {
                    self.outcome.done += 1;
                    self.outcome.latencies.add(now.saturating_duration_since(from));
                }
            }
            Err(error) => {
                self.outcome.errors += 1;
                self.outcome.first_error.get_or_insert_with(|| error.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future;
    use std::sync::Mutex;

    use seqline_core::error::Error;

    use super::*;

    #[test]
    fn every_call_is_made_and_counted_once_whoever_completes_it() {
        // Completed by another thread, out of order.
        let waiting = Arc::new(Mutex::new(Vec::<tokio::sync::oneshot::Sender<u64>>::new()));
        let answering = Arc::clone(&waiting);
        let thread = thread::spawn(move || {
            let mut left = 1_000;
            while left > 0 {
                for answer in std::mem::take(&mut *answering.lock().unwrap()).into_iter().rev() {
                    answer.send(left).unwrap();
                    left -= 1;
                }
                thread::yield_now();
            }
        });
        let mut sum = 0;
        let call = || -> StoreFuture<u64> {
            let (answer, answered) = tokio::sync::oneshot::channel();
            waiting.lock().unwrap().push(answer);
            Box::pin(async move { Ok(answered.await.unwrap()) })
        };
        let outcome = drive(Pace::Closed(100), Until::Calls(1_000), call, |n| sum += n);
        thread.join().unwrap();
        assert_eq!((outcome.done, outcome.errors, sum), (1_000, 0, 500_500));
    }

    #[test]
    fn calls_that_are_done_at_once_and_calls_that_fail_are_counted() {
        let time = Duration::from_millis(50);
        let ready = || -> StoreFuture<()> { Box::pin(future::ready(Ok(()))) };
        let outcome = drive(Pace::Closed(4), Until::Time(Duration::ZERO, time), ready, |()| ());
        assert!(outcome.done > 100, "{}", outcome.done);
        let refuse = || -> StoreFuture<()> {
            Box::pin(future::ready(Err(Error::Overloaded { reason: "full" })))
        };
        let outcome = drive(Pace::Closed(4), Until::Calls(10), refuse, |()| ());
        assert_eq!((outcome.done, outcome.errors), (0, 10));
        assert!(outcome.first_error.is_some());
    }

    #[test]
    fn what_a_call_does_at_once_counts() {
        let begin = || -> StoreFuture<()> {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(1) {}
            Box::pin(future::ready(Ok(())))
        };
        let outcome = drive(Pace::Closed(1), Until::Calls(3), begin, |()| ());
        assert!(outcome.latencies.quantile(0.0) >= Duration::from_millis(1));
    }

    #[test]
    fn an_open_pace_begins_calls_when_they_are_due() {
        let time = Duration::from_millis(200);
        let ready = || -> StoreFuture<()> { Box::pin(future::ready(Ok(()))) };
        let outcome = drive(Pace::Open(1_000), Until::Time(Duration::ZERO, time), ready, |()| ());
        assert!((150..=200).contains(&outcome.done), "{}", outcome.done);
    }
}
