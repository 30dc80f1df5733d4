//! A disk that fails: nobody waits for ever, nobody is lied to, reads go on.

use std::io::Error as IoError;
use std::sync::atomic::{AtomicBool, Ordering};

use seqline_core::Error;

use super::hooks::{Doing, HookedDisk};
use super::*;

/// What the disk does once it fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// A write fails and nothing was written.
    Lost,
    /// A sync fails though everything was written and synced.
    Written,
    /// A write panics.
    Panic,
}

fn failing(fault: Fault) -> (Arc<HookedDisk>, Arc<AtomicBool>) {
    let broken = Arc::new(AtomicBool::new(false));
    let is_broken = Arc::clone(&broken);
    let disk = HookedDisk::new(move |doing, file| {
        let failure = || Err(IoError::other("the disk is gone"));
        match (is_broken.load(Ordering::SeqCst), fault, doing) {
            (true, Fault::Lost, Doing::Write) => failure(),
            (true, Fault::Written, Doing::Sync) => file.sync().and_then(|()| failure()),
            (true, Fault::Panic, Doing::Write) => panic!("a defect, put here by a test"),
            _ => Ok(()),
        }
    });
    (disk, broken)
}

#[track_caller]
fn check(fault: Fault, stored: usize) {
    let bench = Bench::new();
    let (disk, broken) = failing(fault);
    let store = bench.open_on(disk).unwrap();
    bench.send(&store, direct("a", "b", "{\"n\":1}")).unwrap();
    broken.store(true, Ordering::SeqCst);
    let send = || with_key(direct("a", "b", "{\"n\":2}"), "key");
    let error = bench.send(&store, send()).unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");

    assert!(store.status().refuses_sends.is_some());
    let error = bench.send(&store, send()).unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    let trim = bench.runtime.block_on(store.trim(inbox("a"), Seq::FIRST));
    assert!(matches!(trim, Err(Error::Unavailable { .. })));
    assert_eq!(bench.bodies(&store, inbox("b")), ["{\"n\":1}"]);
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
fn after_a_sync_that_failed_late_the_key_finds_the_send() {
    check(Fault::Written, 2);
}

#[test]
fn a_defect_in_the_committer_leaves_nobody_waiting() {
    check(Fault::Panic, 1);
}

#[test]
fn every_send_that_waits_for_a_failed_write_is_told() {
    for fault in [Fault::Lost, Fault::Written, Fault::Panic] {
        let bench = Bench::new();
        let (disk, broken) = failing(fault);
        let store = bench.open_on(disk).unwrap();
        broken.store(true, Ordering::SeqCst);
        let sends: Vec<_> = (0..200).map(|_| store.append(direct("a", "b", "{}"))).collect();
        bench.runtime.block_on(async {
            for send in sends {
                let error = send.await.unwrap_err();
                let told =
                    matches!(error, Error::OutcomeUnknown { .. } | Error::Unavailable { .. });
                assert!(told, "{error}");
            }
        });
        assert_eq!(bench.bodies(&store, inbox("b")), Vec::<String>::new());
    }
}
