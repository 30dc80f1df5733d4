//! The model: random operations on a store, each answer compared with a model of a few lines.
//!
//! The model knows no store: it is lists of what was sent. [`run`] is the entry; a failure is
//! shrunk to the shortest sequence of operations that shows it.

mod operation;
mod plain;

use std::sync::Arc;

use proptest::test_runner::{Config, TestCaseError, TestRunner};

use self::operation::{Operation, operations};
use self::plain::Plain;
use super::contract::{End, Subject};
use crate::clock::{Clock as _, CountingEntropy, ManualClock, UnixMillis};
use crate::error::Error;
use crate::store::Store;

/// Applies `cases` random sequences of operations, each to a subject of its own.
///
/// # Panics
/// If an answer is not the model's, with the shortest sequence found that shows it.
pub fn run<S: Subject>(cases: u32, make: impl Fn() -> S) {
    let config = Config {
        cases,
        failure_persistence: None,
        // Shrinking ends in time even on a store that takes a second to open.
        max_shrink_time: 20_000,
        max_shrink_iters: 10_000,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(&operations(), |operations| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("the machine can start two threads");
        let subject = make();
        let mut run = Run::new(&subject);
        let entered = runtime.enter();
        run.open();
        for operation in &operations {
            // Outside of the runtime, because opening and killing may block on it.
            run.apply(operation, &runtime)?;
        }
        run.apply(&Operation::Restart(End::Abrupt), &runtime)?;
        run.compare_all(&runtime)?;
        drop((run, entered));
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

/// A store and its model, side by side.
struct Run<'a> {
    subject: &'a dyn Subject,
    store: Option<Arc<dyn Store>>,
    clock: Arc<ManualClock>,
    /// The latest time the clock has shown.
    latest: UnixMillis,
    entropy: Arc<CountingEntropy>,
    plain: Plain,
}

type Outcome = Result<(), TestCaseError>;

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Outcome {
    if found == expected {
        return Ok(());
    }
    let text = format!("{what}\n  store: {found:?}\n  model: {expected:?}");
    Err(TestCaseError::fail(text))
}

impl<'a> Run<'a> {
    fn new(subject: &'a dyn Subject) -> Run<'a> {
        let clock = Arc::new(ManualClock::new(UnixMillis(1_700_000_000_000)));
        let entropy = Arc::new(CountingEntropy::default());
        let plain = Plain::new(subject.idempotency_window());
        let latest = clock.now();
        Run { subject, store: None, clock, latest, entropy, plain }
    }

    fn open(&mut self) {
        self.store = Some(self.subject.open(self.clock.clone(), self.entropy.clone()));
    }

    fn apply(&mut self, operation: &Operation, runtime: &tokio::runtime::Runtime) -> Outcome {
        let store = self.store.as_ref().expect("a store is open between operations");
        match operation {
            Operation::Send(index) => {
                let mut send = index.outgoing(self.plain.next_id());
                if self.plain.may_have_forgotten(&send, self.clock.now(), self.latest) {
                    send.key = None;
                }
                let expected = self.plain.append(&send, self.clock.now());
                match (runtime.block_on(store.append(send)), expected) {
                    (Ok(found), Some(expected)) => same("receipt", &found, &expected),
                    (Err(Error::Conflict), None) => Ok(()),
                    (found, expected) => {
                        let text = format!("{operation:?}\n  {found:?}\n  model: {expected:?}");
                        Err(TestCaseError::fail(text))
                    }
                }
            }
            Operation::Read(read) => {
                let page = runtime.block_on(store.read(read.clone())).map_err(|e| failed(&e))?;
                let (entries, bounds, more) = self.plain.read(read);
                same("entries", &page.entries, &entries)?;
                same("bounds of a page", &page.bounds, &bounds)?;
                same("more", &page.more, &more)
            }
            Operation::Trim(timeline, up_to) => {
                let trim = store.trim(timeline.clone(), *up_to);
                let bounds = runtime.block_on(trim).map_err(|e| failed(&e))?;
                same("bounds after a trim", &bounds, &self.plain.trim(timeline, *up_to))
            }
            Operation::Clock(step) => {
                self.clock.set(UnixMillis(self.clock.now().0.saturating_add_signed(*step)));
                self.latest = self.latest.max(self.clock.now());
                Ok(())
            }
            Operation::Restart(end) => {
                self.restart(*end, runtime)?;
                self.compare_bounds(runtime)
            }
        }
    }

    fn restart(&mut self, end: End, runtime: &tokio::runtime::Runtime) -> Outcome {
        let store = self.store.take().expect("a store is open between operations");
        match end {
            End::Clean => {
                runtime.block_on(store.close()).map_err(|e| failed(&e))?;
                drop(store);
            }
            End::Abrupt => self.subject.crash(store),
        }
        self.open();
        Ok(())
    }

    fn compare_bounds(&self, runtime: &tokio::runtime::Runtime) -> Outcome {
        let store = self.store.as_ref().expect("a store is open between operations");
        let (timelines, expected) = self.plain.bounds();
        same(
            "bounds",
            &runtime.block_on(store.bounds(timelines)).map_err(|e| failed(&e))?,
            &expected,
        )
    }

    fn compare_all(&mut self, runtime: &tokio::runtime::Runtime) -> Outcome {
        for timeline in operation::timelines() {
            let read = Operation::Read(super::contract::whole(&timeline));
            self.apply(&read, runtime)?;
        }
        self.compare_bounds(runtime)
    }
}

fn failed(error: &Error) -> TestCaseError {
    TestCaseError::fail(format!("an answer was expected: {error}"))
}
