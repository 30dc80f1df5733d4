//! Moments between two threads that no run meets for certain: what each leaves the other.

use super::*;
use crate::backlog::{Backlog, NewKey};
use crate::dedupe::{Dedupe, Forgotten, Found};
use crate::index::{Batch, Index, IndexOptions};
use crate::log::Lsn;
use crate::queue::Keyed;
use crate::rows::Answer;
use crate::timelines::{Changes, Inserted, Table, Tail};

fn answer(n: u64) -> Answer {
    let receipt = Receipt {
        id: MessageId(n.into()),
        conversation_seq: Seq::FIRST,
        receiver_seq: Seq::FIRST,
        at: UnixMillis(1_000),
        repeat: false,
    };
    Answer { digest: direct("a", "b", "{}").digest(), receipt }
}

fn row(n: u64) -> Vec<u8> {
    crate::rows::key_key(b"ga", format!("{n}").as_bytes())
}

#[test]
fn what_a_loader_asked_before_keys_were_forgotten_does_not_count() {
    let root = TempDir::new().unwrap();
    let index = Index::open(root.path(), &IndexOptions::default()).unwrap();
    let forgotten = Forgotten::default();
    let window = Options::default().idempotency_window;
    let mut dedupe = Dedupe::new(window, 1, forgotten.clone(), Vec::new());
    // A loader finds nothing; then another send with the key is stored, saved and forgotten.
    let stored = forgotten.ask(&index, &row(1)).unwrap();
    dedupe.put(row(1), answer(1), 1);
    let mut batch = Batch::default();
    batch.put(&row(1), &answer(1).encode());
    index.write(&batch);
    dedupe.shrink(1);
    dedupe.put(row(2), answer(2), 2);
    dedupe.shrink(2);
    let digest = answer(1).digest;
    let keyed = Keyed { row: row(1), digest, stored: Some(stored) };
    let found = dedupe.find(&index, &keyed, UnixMillis(1_001)).unwrap();
    let Found::Before { result, commit } = found else { panic!("the key is stored twice") };
    assert_eq!((result.unwrap().id, commit), (MessageId(1), None));
}

#[test]
fn a_load_that_raced_with_an_eviction_is_begun_again() {
    let table = Table::new();
    let before = table.evictions(b"ia");
    let waiting = Tail { leaving: 1, ..Tail::new() };
    let Inserted::New(place) = table.insert(b"ia", waiting, before) else { panic!("it is new") };
    let found = table.insert(b"ia", Tail::new(), before);
    assert!(matches!(found, Inserted::Found(found) if found == place));
    assert_eq!(table.evict(&[place]).slots, [place.slot]);
    assert_eq!((table.find(b"ia"), table.bytes()), (None, 0));
    // The tail was read from the index before the timeline came, grew and left.
    assert!(matches!(table.insert(b"ia", Tail::new(), before), Inserted::Stale));
    let now = table.evictions(b"ia");
    let Inserted::New(again) = table.insert(b"ia", Tail::new(), now) else { panic!("it left") };
    assert_ne!(again, place, "whoever kept the place finds that it is another one");
}

#[test]
fn a_timeline_with_something_to_save_stays_in_memory() {
    let table = Table::new();
    let mut tail = Tail { leaving: 2, ..Tail::new() };
    tail.push(8, 1);
    let inserted = table.insert(b"ia", tail, table.evictions(b"ia"));
    let Inserted::New(place) = inserted else { panic!("it is new") };
    let evicted = table.evict(&[place]);
    assert!(evicted.slots.is_empty() && evicted.later.is_empty());
    assert_eq!(table.find(b"ia"), Some(place));
}

#[test]
fn a_key_that_is_not_saved_is_replayed() {
    let (end, start) = (Lsn::from_raw(5 << 20), |segment| Lsn::from_raw(segment << 20));
    let backlog = Backlog::new(end, 5);
    assert_eq!(backlog.replay_from(start), end);
    let key = NewKey { segment: 3, row: row(1), answer: answer(1) };
    backlog.add(Changes::default(), vec![key], end, 5);
    assert_eq!(backlog.replay_from(start), start(3));
    backlog.keys_saved(1);
    assert_eq!(backlog.replay_from(start), end);
}
