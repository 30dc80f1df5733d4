//! What a restart must find again, after a clean end and after none.

use super::*;

fn fill(bench: &Bench, store: &EmbeddedStore) -> Receipt {
    bench.send(store, to_group("g", &["a", "b"], "{\"n\":1}")).unwrap();
    bench.clock.advance(5);
    bench.send(store, direct("b", "a", "{\"n\":2}")).unwrap();
    bench.send(store, with_key(direct("a", "b", "{\"n\":3}"), "key")).unwrap()
}

fn expect_filled(bench: &Bench, store: &EmbeddedStore, first: &Receipt) {
    for id in ["a", "b"] {
        assert_eq!(bench.bodies(store, inbox(id)), ["{\"n\":1}", "{\"n\":2}", "{\"n\":3}"]);
    }
    assert_eq!(bench.bodies(store, group("g")), ["{\"n\":1}"]);
    let again = bench.send(store, with_key(direct("a", "b", "{\"n\":3}"), "key")).unwrap();
    assert_eq!(again, Receipt { repeat: true, ..*first });
    let (summary, problems) = checked(store);
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!((summary.timelines, summary.inbox_entries, summary.messages), (4, 6, 3));
}

#[test]
fn a_clean_restart_keeps_messages_keys_and_the_epoch() {
    let bench = Bench::new();
    let store = bench.open();
    let first = fill(&bench, &store);
    let epoch = store.epoch();
    bench.runtime.block_on(store.close()).unwrap();
    drop(store);
    let store = bench.open();
    assert_eq!(store.epoch(), epoch);
    expect_filled(&bench, &store, &first);
    let next = bench.send(&store, direct("a", "b", "{}")).unwrap();
    assert_eq!((next.conversation_seq, next.receiver_seq), (Seq::new(3), Seq::new(4)));
}

#[test]
fn a_restart_without_an_end_keeps_everything_acknowledged() {
    let bench = Bench::new();
    let store = bench.open();
    let first = fill(&bench, &store);
    let epoch = store.epoch();
    // Once with everything still to be saved, and once more after a start that replayed it.
    store.abandon();
    let store = bench.open();
    assert_eq!(store.epoch(), epoch);
    store.abandon();
    expect_filled(&bench, &bench.open(), &first);
}

#[test]
fn times_never_step_back_within_a_conversation_even_over_a_restart() {
    let bench = Bench::new();
    let store = bench.open();
    let first = bench.send(&store, direct("a", "b", "{}")).unwrap();
    drop(store);
    bench.clock.set(UnixMillis(1));
    let store = bench.open();
    assert_eq!(bench.send(&store, direct("a", "b", "{}")).unwrap().at, first.at);
    assert_eq!(bench.send(&store, direct("a", "c", "{}")).unwrap().at, UnixMillis(1));
}

#[test]
fn a_closed_store_refuses_everything_and_says_so() {
    let bench = Bench::new();
    let store = bench.open();
    bench.runtime.block_on(store.close()).unwrap();
    let unavailable = |e| matches!(e, seqline_core::Error::Unavailable { .. });
    assert!(unavailable(bench.send(&store, direct("a", "b", "{}")).unwrap_err()));
    assert!(unavailable(bench.all(&store, inbox("a")).unwrap_err()));
    assert!(unavailable(bench.runtime.block_on(store.close()).unwrap_err()));
    assert!(unavailable(store.check(&mut |_| {}).unwrap_err()));
    assert!(store.status().refuses_sends.is_some());
}

#[test]
fn sends_queued_before_the_end_are_written() {
    let bench = Bench::new();
    let store = bench.open();
    let sends: Vec<_> = (0..100).map(|_| store.append(direct("a", "b", "{}"))).collect();
    let closing = store.close();
    bench.runtime.block_on(async {
        for send in sends {
            send.await.unwrap();
        }
        closing.await.unwrap();
    });
    drop(store);
    assert_eq!(bench.bodies(&bench.open(), inbox("b")).len(), 100);
}
