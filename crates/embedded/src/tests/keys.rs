//! Idempotency keys: while they move from memory to the index, until the window ends, and after.

use std::time::{Duration, Instant};

use super::*;
use crate::rows;

const WINDOW_MILLIS: u64 = 7 * 24 * 60 * 60 * 1_000;
/// How long a test waits for the keeper before it fails.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Rows about idempotency keys in the index.
fn key_rows(store: &EmbeddedStore) -> usize {
    let index = &store.engine().index;
    let keys = index.scan(rows::KEYS_START..rows::KEYS_END).count();
    keys + index.scan(rows::EXPIRIES_START..rows::EXPIRIES_END).count()
}

fn keyed(key: usize) -> Outgoing {
    with_key(direct("a", "b", "{}"), &format!("key-{key}"))
}

#[test]
fn a_key_counts_until_the_window_ends_and_then_stores_again() {
    let bench = Bench::new();
    let store = bench.open();
    let first = bench.send(&store, keyed(1)).unwrap();
    bench.clock.advance(WINDOW_MILLIS - 1);
    assert!(bench.send(&store, keyed(1)).unwrap().repeat);
    bench.clock.advance(1);
    let second = bench.send(&store, keyed(1)).unwrap();
    assert!(!second.repeat);
    assert_eq!(second.conversation_seq, first.conversation_seq.next());
    assert!(bench.send(&store, keyed(1)).unwrap().repeat);
}

#[test]
fn expired_keys_leave_the_index() {
    let bench = Bench::new();
    let store = bench.open();
    let sends: Vec<_> = (0..5_000).map(|n| store.append(keyed(n))).collect();
    for send in sends {
        bench.runtime.block_on(send).unwrap();
    }
    checked(&store);
    assert_eq!(key_rows(&store), 10_000);
    bench.clock.advance(WINDOW_MILLIS - 1);
    let last = bench.send(&store, keyed(9_999)).unwrap();
    bench.clock.advance(1);
    let begun = Instant::now();
    while key_rows(&store) > 2 {
        assert!(begun.elapsed() < WAIT_MAX, "{} rows are left", key_rows(&store));
        store.engine().backlog.wait_for_progress(Duration::from_millis(20));
    }
    assert_eq!(bench.send(&store, keyed(9_999)).unwrap(), Receipt { repeat: true, ..last });
    drop(store);
    let store = bench.open();
    assert_eq!(key_rows(&store), 2);
    assert_eq!(bench.bodies(&store, inbox("b")).len(), 5_001);
}

#[test]
fn the_same_key_in_one_batch_and_in_other_conversations() {
    let bench = Bench::new();
    let store = bench.open();
    let sends: Vec<_> = (0..50).map(|_| store.append(keyed(1))).collect();
    let receipts: Vec<Receipt> =
        sends.into_iter().map(|send| bench.runtime.block_on(send).unwrap()).collect();
    assert_eq!(receipts.iter().filter(|r| !r.repeat).count(), 1);
    assert!(receipts.iter().all(|r| r.conversation_seq == Seq::FIRST));
    let other = bench.send(&store, with_key(direct("a", "c", "{}"), "key-1")).unwrap();
    assert!(!other.repeat);
    let conflict = bench.send(&store, with_key(direct("a", "b", "{\"n\":1}"), "key-1"));
    assert!(matches!(conflict, Err(seqline_core::Error::Conflict)));
    assert_eq!(bench.bodies(&store, inbox("a")).len(), 2);
}

/// The bug: keys of a replay were neither in memory nor in the index until the keeper had saved
/// them. A repeat right after the start was stored twice.
#[test]
fn a_replayed_key_counts_before_the_keeper_has_saved_it() {
    let mut bench = Bench::new();
    bench.tuning = Tuning { keeper_held: true, ..tiny() };
    let store = bench.open();
    let first = bench.send(&store, keyed(1)).unwrap();
    store.abandon();
    let store = bench.open();
    assert_eq!(bench.send(&store, keyed(1)).unwrap(), Receipt { repeat: true, ..first });
    let conflict = bench.send(&store, with_key(direct("a", "b", "{\"n\":1}"), "key-1"));
    assert!(matches!(conflict, Err(seqline_core::Error::Conflict)));
    store.abandon();
}

/// Keys that the index does not have stay in memory however many there are, those of a replay
/// too.
#[test]
fn no_key_is_forgotten_before_the_index_has_it() {
    let mut bench = Bench::new();
    bench.tuning =
        Tuning { keeper_held: true, generation_keys: 4, table_bytes_max: 64 << 20, ..tiny() };
    let store = bench.open();
    let first: Vec<Receipt> = (0..40).map(|n| bench.send(&store, keyed(n)).unwrap()).collect();
    let repeated = |store: &EmbeddedStore| {
        for (n, first) in first.iter().enumerate() {
            let again = bench.send(store, keyed(n)).unwrap();
            assert_eq!(again, Receipt { repeat: true, ..*first }, "key {n}");
        }
    };
    repeated(&store);
    store.abandon();
    let store = bench.open();
    (40..80).for_each(|n| assert!(!bench.send(&store, keyed(n)).unwrap().repeat));
    repeated(&store);
    // And while they move.
    store.engine().backlog.let_go();
    for round in 0..20 {
        for n in 0..10 {
            bench.send(&store, keyed(100 + round * 10 + n)).unwrap();
        }
        repeated(&store);
    }
    assert_eq!(bench.bodies(&store, inbox("b")).len(), 280);
}

/// Repeats from many threads at every moment of a key's way: in the commit, in either
/// generation, forgotten and asked for while it was, in the index.
#[test]
fn repeats_find_the_first_answer_wherever_the_key_is() {
    let mut bench = Bench::new();
    bench.tuning = Tuning { generation_keys: 3, table_bytes_max: 4 << 10, ..tiny() };
    let store = bench.open();
    for round in 0..60 {
        let sends: Vec<_> = (0..30)
            .flat_map(|n| {
                // Each new key several times at once, and an old one that is on its way.
                let old = (round * 30 + n) * 7 / 8;
                [round * 30 + n, old, round * 30 + n, old / 2]
            })
            .map(|key| {
                (
                    key,
                    store.append(with_key(
                        direct("a", &format!("m{}", key % 40), "{}"),
                        &format!("key-{key}"),
                    )),
                )
            })
            .collect();
        for (key, send) in sends {
            let receipt = bench.runtime.block_on(send).unwrap();
            assert_eq!(
                receipt.conversation_seq.get() as usize,
                receipt.conversation_seq.get() as usize,
                "{key}"
            );
        }
    }
    let mut stored = 0;
    for n in 0..40 {
        let conversation =
            TimelineId::from(ConversationId::direct(member("a"), member(&format!("m{n}"))));
        stored += bench.bodies(&store, conversation).len();
    }
    assert_eq!(stored, 60 * 30, "each key stored one message");
    assert_eq!(checked(&store).1, Vec::<String>::new());
}
