//! A disk that fails: nobody waits for ever, nobody is lied to, reads go on.

use std::sync::atomic::{AtomicUsize, Ordering};

use seqline_core::Error;

use super::*;

/// What the disk does once it fails.
#[derive(Clone, Copy)]
enum Fault {
    /// Fails and has written nothing.
    Lost,
    /// Fails though everything was written.
    Written,
    /// Panics.
    Panic,
}

/// A disk that works `good` times and then fails.
struct Failing {
    good: AtomicUsize,
    fault: Fault,
}

impl Failing {
    fn after(good: usize, fault: Fault) -> Box<Failing> {
        Box::new(Failing { good: AtomicUsize::new(good), fault })
    }
}

fn failure() -> fjall::Error {
    std::io::Error::other("the disk is gone").into()
}

impl Disk for Failing {
    fn write(&mut self, engine: &Engine, batch: OwnedWriteBatch, sync: bool) -> fjall::Result<()> {
        if self.good.load(Ordering::SeqCst) > 0 {
            self.good.fetch_sub(1, Ordering::SeqCst);
            return RealDisk.write(engine, batch, sync);
        }
        match self.fault {
            Fault::Lost => Err(failure()),
            Fault::Written => RealDisk.write(engine, batch, sync).and(Err(failure())),
            Fault::Panic => panic!("a defect, put here by a test"),
        }
    }

    fn sync(&mut self, engine: &Engine) -> fjall::Result<()> {
        RealDisk.sync(engine)
    }
}

#[track_caller]
fn check(fault: Fault, stored: usize) {
    let bench = Bench::new();
    let store = bench.open_on(Failing::after(1, fault)).unwrap();
    bench.send(&store, direct("a", "b", "{\"n\":1}")).unwrap();
    let send = || with_key(direct("a", "b", "{\"n\":2}"), "key");
    let error = bench.send(&store, send()).unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");

    assert!(store.status().refuses_sends.is_some());
    let error = bench.send(&store, send()).unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    let trim = bench.runtime.block_on(store.trim(inbox("a"), Seq::FIRST));
    assert!(matches!(trim, Err(Error::Unavailable { .. })));
    assert_eq!(bench.bodies(&store, inbox("b"))[0], "{\"n\":1}");
    assert!(bench.runtime.block_on(store.close()).is_err());
    drop(store);

    let store = bench.open();
    assert_eq!(bench.bodies(&store, inbox("b")).len(), stored);
    let receipt = bench.send(&store, send()).unwrap();
    assert_eq!(receipt.repeat, stored == 2, "the key tells what became of the send");
    assert_eq!(receipt.receiver_seq, Seq::new(2));
    assert_eq!(checked(&store).1, Vec::<String>::new());
}

#[test]
fn after_a_write_that_was_lost_the_key_stores_the_send_once() {
    check(Fault::Lost, 1);
}

#[test]
fn after_a_write_that_failed_late_the_key_finds_the_send() {
    check(Fault::Written, 2);
}

#[test]
fn a_defect_in_the_committer_leaves_nobody_waiting() {
    check(Fault::Panic, 1);
}

#[test]
fn every_send_that_waits_for_a_failed_write_is_told() {
    let bench = Bench::new();
    let store = bench.open_on(Failing::after(0, Fault::Lost)).unwrap();
    let sends: Vec<_> = (0..200).map(|_| store.append(direct("a", "b", "{}"))).collect();
    bench.runtime.block_on(async {
        for send in sends {
            let error = send.await.unwrap_err();
            assert!(
                matches!(error, Error::OutcomeUnknown { .. } | Error::Unavailable { .. }),
                "{error}"
            );
        }
    });
}
