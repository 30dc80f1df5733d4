//! Rows that were changed behind the store's back are never served, and `check` finds them.

use fjall::PersistMode;
use seqline_core::Error;

use super::*;
use crate::keys;

/// Fills a store, ends it, changes its rows with `damage` and opens it again.
fn damaged(damage: impl Fn(&Engine, &mut OwnedWriteBatch)) -> (Bench, EmbeddedStore) {
    let bench = Bench::new();
    let store = bench.open();
    for n in 1..=3 {
        // Timeline 1 is the group, 2 the inbox of a.
        bench.send(&store, to_group("g", &["a"], &format!("{{\"n\":{n}}}"))).unwrap();
    }
    bench.send(&store, with_key(to_group("g", &["a"], "{}"), "key")).unwrap();
    drop(store);
    let engine = bench.engine();
    let mut batch = engine.db.batch().durability(Some(PersistMode::SyncAll));
    damage(&engine, &mut batch);
    batch.commit().unwrap();
    drop(engine);
    let store = bench.open();
    (bench, store)
}

fn message(seq: u64) -> [u8; 16] {
    keys::entry(1, Seq::new(seq))
}

fn entry(seq: u64) -> [u8; 16] {
    keys::entry(2, Seq::new(seq))
}

fn only(store: &EmbeddedStore) -> String {
    let (_, problems) = checked(store);
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.into_iter().next().unwrap()
}

#[test]
fn a_flipped_bit_in_a_message_is_never_served_and_found_by_check() {
    let (bench, store) = damaged(|engine, batch| {
        let mut row = engine.messages.get(message(2)).unwrap().unwrap().to_vec();
        *row.last_mut().unwrap() ^= 1;
        batch.insert(&engine.messages, message(2), row);
    });
    for timeline in [inbox("a"), group("g")] {
        let error = bench.all(&store, timeline.clone()).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        let rest = Read { after: Seq::new(2), ..everything(timeline) };
        assert_eq!(bench.runtime.block_on(store.read(rest)).unwrap().entries.len(), 2);
    }
    assert_eq!(only(&store), "conversation of group \"g\" at 2: the checksum does not match");
}

#[test]
fn a_missing_message_is_never_passed_over() {
    let (bench, store) = damaged(|engine, batch| batch.remove(&engine.messages, message(2)));
    for timeline in [inbox("a"), group("g")] {
        let error = bench.all(&store, timeline).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    }
    assert!(only(&store).contains("missing"));
}

#[test]
fn a_missing_inbox_entry_is_never_passed_over() {
    let (bench, store) = damaged(|engine, batch| batch.remove(&engine.inbox, entry(2)));
    for direction in [Direction::Forward, Direction::Backward] {
        let read = Read { direction, ..everything(inbox("a")) };
        let error = bench.runtime.block_on(store.read(read)).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    }
    assert!(only(&store).contains("missing"));
}

#[test]
fn references_past_the_end_and_out_of_order_are_found() {
    let (_bench, store) = damaged(|engine, batch| {
        batch.insert(&engine.inbox, entry(4), keys::reference(1, Seq::new(9)));
    });
    assert!(only(&store).contains("its message is missing"));
    let (_bench, store) = damaged(|engine, batch| {
        batch.insert(&engine.inbox, entry(2), keys::reference(1, Seq::new(1)));
    });
    assert!(only(&store).contains("order"));
}

#[test]
fn names_that_do_not_lead_back_are_found() {
    let (bench, store) = damaged(|engine, batch| {
        batch.insert(&engine.names, keys::number(1), group("h").key());
    });
    assert!(checked(&store).1.iter().any(|p| p.contains("the way back")));
    drop((bench, store));
    let (bench, store) = damaged(|engine, batch| batch.remove(&engine.names, keys::number(1)));
    assert!(matches!(bench.all(&store, inbox("a")), Err(Error::Corrupt { .. })));
    assert!(!checked(&store).1.is_empty());
}

#[test]
fn a_damaged_answer_to_a_key_refuses_the_send_and_is_found() {
    let key = keys::dedupe(1, b"key");
    let (bench, store) = damaged(|engine, batch| {
        let mut row = engine.dedupe.get(&key).unwrap().unwrap().to_vec();
        row[20] ^= 1;
        batch.insert(&engine.dedupe, key.as_slice(), row);
    });
    let error = bench.send(&store, with_key(to_group("g", &["a"], "{}"), "key")).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert_eq!(bench.bodies(&store, inbox("a")).len(), 4, "nothing was stored");
    assert!(only(&store).contains("checksum"));
}

#[test]
fn a_floor_past_the_newest_entry_is_found() {
    let (_bench, store) = damaged(|engine, batch| {
        batch.insert(&engine.meta, keys::floor(1), 9_u64.to_be_bytes());
    });
    assert!(only(&store).contains("trimmed past"));
}
