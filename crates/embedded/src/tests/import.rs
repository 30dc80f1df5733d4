//! Imports: what has numbers keeps them, holes and all, and the store is like any other.

use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use seqline_core::clock::{CountingEntropy, Entropy, ManualClock, UnixMillis};
use seqline_core::id::{ConversationId, Epoch, MessageId, TimelineId};
use seqline_core::message::{Body, Message};
use seqline_core::page::{Bounds, Direction, Entry, Read};
use seqline_core::seq::Seq;
use seqline_core::store::Store as _;

use super::{Bench, checked, everything, group, inbox, member, tiny, to_group};
use crate::repair::repair_on;
use crate::{EmbeddedStore, Import, OpenError, Repaired};

fn entropy() -> Arc<dyn Entropy> {
    Arc::new(CountingEntropy::default())
}

fn message(conversation: ConversationId, seq: u64, body: &str) -> Message {
    Message {
        id: MessageId(u128::from(seq) << 80),
        conversation,
        seq: Seq::new(seq),
        sender: Some(member("a")),
        at: UnixMillis(500 + seq),
        body: Body::from_stored(Bytes::copy_from_slice(body.as_bytes())).unwrap(),
    }
}

/// A conversation, an inbox with messages of it, and one of which nobody knows more than the text:
/// with their seqs.
fn source() -> Vec<(TimelineId, Vec<Entry>)> {
    let room = || match group("room") {
        TimelineId::Conversation(room) => room,
        TimelineId::Inbox(_) => unreachable!("a group is a conversation"),
    };
    let pad = "x".repeat(3_000);
    let text = |seq: u64| format!("{{\"n\": {seq}, \"pad\": \"{pad}\"}}");
    let room_seqs = (1..=130).filter(|seq| !matches!(seq, 2 | 64 | 65 | 100..=120));
    let history: Vec<Entry> = room_seqs
        .map(|seq| Entry { seq: Seq::new(seq), message: message(room(), seq, &text(seq)) })
        .collect();
    // Its oldest entries are gone, and it is not numbered as the conversation is.
    let copies = history.iter().zip(501..).map(|(entry, seq)| Entry {
        seq: Seq::new(seq + u64::from(seq > 530) * 300),
        message: entry.message.clone(),
    });
    let unknown = |seq: u64| {
        let own = ConversationId::direct(member("b"), member("b"));
        let message = Message { sender: None, seq: Seq::ZERO, ..message(own, seq, "{}") };
        Entry { seq: Seq::new(seq), message }
    };
    vec![
        (group("room"), history.clone()),
        (inbox("a"), copies.collect()),
        (inbox("b"), vec![unknown(1), unknown(3)]),
    ]
}

fn import(bench: &Bench, epoch: Option<Epoch>) {
    let now = (UnixMillis(1_000), &entropy());
    let mut import = Import::begin_on(&bench.options, bench.tuning, epoch, now).unwrap();
    for (timeline, entries) in source() {
        import.timeline(timeline, entries[0].seq);
        entries.iter().for_each(|entry| import.entry(entry).unwrap());
    }
    import.finish().unwrap().settle().unwrap();
}

#[track_caller]
fn holds_the_source(bench: &Bench, store: &EmbeddedStore) {
    for (timeline, entries) in source() {
        let page = bench.all(store, timeline.clone()).unwrap();
        assert!(page.entries == entries, "{timeline}");
        let latest = entries.last().unwrap().seq;
        assert_eq!(page.bounds, Bounds { first: entries[0].seq, latest }, "{timeline}");
    }
}

fn small() -> Bench {
    let mut bench = Bench::new();
    bench.tuning = crate::options::Tuning { segment_bytes: 64 << 10, ..tiny() };
    bench
}

#[test]
fn an_imported_store_has_every_entry_at_its_number_and_goes_on() {
    let bench = small();
    import(&bench, Some(Epoch(77)));
    let store = bench.open();
    assert_eq!(store.epoch(), Epoch(77));
    holds_the_source(&bench, &store);
    let (summary, problems) = checked(&store);
    assert_eq!(problems, [""; 0]);
    let all: usize = source().iter().map(|(_, entries)| entries.len()).sum();
    let messages = source()[0].1.len();
    assert_eq!(summary.timelines, 3);
    assert_eq!(
        (summary.messages, summary.inbox_entries),
        (messages as u64, (all - messages) as u64)
    );
    let receipt = bench.send(&store, to_group("room", &["b", "a"], "{}")).unwrap();
    assert_eq!((receipt.conversation_seq, receipt.receiver_seq), (Seq::new(131), Seq::new(907)));
    drop(store);
    let store = bench.open();
    assert_eq!(bench.all(&store, inbox("b")).unwrap().bounds.latest, Seq::new(4));
    assert_eq!(checked(&store).1, [""; 0]);
}

#[test]
fn pages_carry_on_behind_numbers_without_an_entry() {
    let bench = small();
    import(&bench, None);
    let store = bench.open();
    for (timeline, entries) in source() {
        for entries_max in [1, 2, 7, 1_000] {
            let mut seqs = Vec::new();
            let mut read = Read { entries_max, ..everything(timeline.clone()) };
            loop {
                let page = bench.runtime.block_on(store.read(read.clone())).unwrap();
                assert!(!page.entries.is_empty(), "a reader must be able to go on");
                seqs.extend(page.entries.iter().map(|entry| entry.seq));
                read.after = *seqs.last().unwrap();
                if read.after == page.bounds.latest {
                    break;
                }
                assert!(page.more);
            }
            assert!(seqs.iter().eq(entries.iter().map(|entry| &entry.seq)), "{timeline}");
            let mut read = Read { direction: Direction::Backward, ..everything(timeline.clone()) };
            read.entries_max = entries_max;
            let mut back = Vec::new();
            loop {
                let page = bench.runtime.block_on(store.read(read.clone())).unwrap();
                back.extend(page.entries.iter().map(|entry| entry.seq));
                let oldest = *back.last().unwrap();
                if oldest == page.bounds.first {
                    break;
                }
                read.until = Seq::new(oldest.get() - 1);
            }
            seqs.reverse();
            assert_eq!(back, seqs, "{timeline}");
        }
    }
}

#[test]
fn the_index_of_an_imported_store_can_be_made_again() {
    let bench = small();
    import(&bench, None);
    drop(bench.open());
    fs::remove_dir_all(bench.dir().join("index")).unwrap();
    let now = (UnixMillis(1_000), &entropy());
    let summary =
        repair_on(&bench.options, bench.tuning, now, &mut |_| {}, &mut |_| Ok(())).unwrap();
    assert_eq!((summary.repaired, summary.lost()), (Repaired::Index, false));
    let store = bench.open();
    holds_the_source(&bench, &store);
    assert_eq!(checked(&store).1, [""; 0]);
}

#[test]
fn of_a_damaged_imported_log_the_rest_is_saved() {
    let bench = small();
    import(&bench, None);
    drop(bench.open());
    let segment = bench.dir().join("log/0000000000000002.seg");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[8_192..8_800].fill(0);
    fs::write(&segment, bytes).unwrap();
    let now = (UnixMillis(1_000), &entropy());
    let summary =
        repair_on(&bench.options, bench.tuning, now, &mut |_| {}, &mut |_| Ok(())).unwrap();
    assert_eq!(summary.repaired, Repaired::Log);
    assert!((1..=3).contains(&summary.messages_lost), "{summary:?}");
    let store = bench.open();
    assert_eq!(checked(&store).1, [""; 0]);
    assert_eq!(bench.all(&store, inbox("b")).unwrap().entries, source()[2].1);
}

#[test]
fn an_import_that_was_interrupted_is_no_store_and_begins_anew() {
    let bench = small();
    let clock = ManualClock::new(UnixMillis(1_000));
    let mut begun = Import::begin(&bench.options, None, &clock, &entropy()).unwrap();
    let (timeline, entries) = source().remove(0);
    begun.timeline(timeline, entries[0].seq);
    begun.entry(&entries[0]).unwrap();
    let locked = Import::begin(&bench.options, None, &clock, &entropy());
    assert!(matches!(locked.map(|_| ()), Err(OpenError::Locked { .. })));
    drop(begun);
    let refused = bench.try_open().map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("seqline import"), "{refused}");
    import(&bench, None);
    holds_the_source(&bench, &bench.open());
    let again = Import::begin(&bench.options, None, &clock, &entropy()).map(|_| ());
    assert!(matches!(again, Err(OpenError::NotEmpty { .. })), "{again:?}");
}
