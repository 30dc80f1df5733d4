//! Damage in the log: what stood there is lost and told, everything else survives.

use super::*;

/// Damages the log as `damage` does, which says which sends it met, and repairs it.
fn repaired(stored: &Stored, damage: impl FnOnce() -> BTreeSet<(String, u64)>) -> RepairSummary {
    let before = fs::read(stored.segment(1)).unwrap();
    let lost = damage();
    let damaged = files(&format::log_dir(stored.dir()));
    let (summary, events) = stored.repair();
    assert_eq!(summary.repaired, Repaired::Log, "{events:?}");
    assert_eq!(told(&events), lost);
    assert_eq!(summary.messages_lost, lost.len() as u64);
    // What was there is kept, byte for byte.
    let kept = files(&summary.kept_in.clone().unwrap().join("log"));
    assert!(kept.values().eq(damaged.values()));
    assert!(!before.is_empty());
    stored.check_all_but(&lost, &summary);
    // A second one finds nothing to do.
    assert_eq!(stored.repair().0.repaired, Repaired::Nothing);
    summary
}

#[test]
fn a_zeroed_page_costs_what_stood_in_it() {
    for place in ["old", "newest"] {
        let stored = Stored::new(2_600);
        let segment = if place == "old" { 2 } else { stored.newest() };
        let at = if place == "old" { 32 << 10 } else { 8 << 10 };
        let summary = repaired(&stored, || {
            let lost = stored.sends_in(segment, at, at + 4096);
            assert!(lost.len() > 3, "{place}");
            overwrite(&stored.segment(segment), at, &[0; 4096]);
            lost
        });
        assert_eq!(summary.deliveries_lost, 0, "every name is in the index");
        assert_eq!(summary.unknown_bytes, 0, "the index was saved");
    }
}

#[test]
fn the_page_with_the_names_costs_no_more_than_itself() {
    let stored = Stored::new(2_600);
    let summary = repaired(&stored, || {
        // The first frames of a segment name everybody.
        let lost = stored.sends_in(2, 4096, 8192);
        overwrite(&stored.segment(2), 4096, &[0; 4096]);
        lost
    });
    assert_eq!(summary.deliveries_lost, 0);
}

#[test]
fn a_flipped_bit_costs_one_message() {
    let stored = Stored::new(1_500);
    repaired(&stored, || {
        let at = 20_000;
        let lost = stored.sends_in(1, at, at + 1);
        assert_eq!(lost.len(), 1);
        flip(&stored.segment(1), at);
        lost
    });
}

#[test]
fn a_deleted_segment_costs_what_it_had() {
    let stored = Stored::new(2_600);
    repaired(&stored, || {
        let lost = stored.sends_in(2, 0, u64::MAX);
        fs::remove_file(stored.segment(2)).unwrap();
        lost
    });
}

#[test]
fn the_deleted_newest_segment_costs_what_it_had() {
    let stored = Stored::new(2_600);
    repaired(&stored, || {
        let newest = stored.newest();
        let lost = stored.sends_in(newest, 0, u64::MAX);
        fs::remove_file(stored.segment(newest)).unwrap();
        lost
    });
}

#[test]
fn the_last_message_is_known_to_have_been_there() {
    let stored = Stored::new(1_500);
    repaired(&stored, || {
        // Nothing behind it tells that it had been durable, but the index knows what came.
        let bytes = fs::read(stored.segment(stored.newest())).unwrap();
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64;
        let lost = stored.sends_in(stored.newest(), end, end + 1);
        assert_eq!(lost.len(), 1);
        flip(&stored.segment(stored.newest()), end);
        lost
    });
}

#[test]
fn a_destroyed_header_costs_no_message() {
    for newest in [false, true] {
        let stored = Stored::new(2_600);
        let segment = if newest { stored.newest() } else { 2 };
        let summary = repaired(&stored, || {
            overwrite(&stored.segment(segment), 0, &[0xa5; 1024]);
            BTreeSet::new()
        });
        assert!(!summary.lost());
    }
}

#[test]
fn without_an_index_what_is_missing_between_others_is_still_told() {
    let stored = Stored::new(2_600);
    let lost = stored.sends_in(2, 32 << 10, 36 << 10);
    overwrite(&stored.segment(2), 32 << 10, &[0; 4096]);
    fs::remove_dir_all(format::index_dir(stored.dir())).unwrap();
    let (summary, events) = stored.repair();
    assert_eq!(told(&events), lost);
    assert!(summary.unknown_bytes >= 4096 && summary.unknown_bytes < 6000);
    stored.check_all_but(&lost, &summary);
}

#[test]
fn without_an_index_recipients_whose_names_are_gone_are_told() {
    let stored = Stored::new(2_600);
    let lost = stored.sends_in(2, 4096, 8192);
    overwrite(&stored.segment(2), 4096, &[0; 4096]);
    fs::remove_dir_all(format::index_dir(stored.dir())).unwrap();
    let (summary, events) = stored.repair();
    assert_eq!(summary.repaired, Repaired::Log);
    assert!(told(&events).is_subset(&lost));
    // Messages between two say themselves who received them; that tells the names of others too.
    let store = stored.bench.open();
    let now = content(&stored.bench, &store);
    for timeline in [group("all"), group("few")] {
        let left = |m: &&Message| !lost.contains(&(timeline.to_string(), m.seq.get()));
        let (_, before) = &stored.content[&timeline.to_string()];
        let expected: Vec<_> = before.iter().filter(left).map(plain).collect();
        let found: Vec<_> = now[&timeline.to_string()].1.iter().map(plain).collect();
        assert_eq!(found, expected);
    }
    let deliveries = |content: &Content| -> usize {
        MEMBERS.iter().map(|id| content[&inbox(id).to_string()].1.len()).sum()
    };
    let gone: usize = stored
        .content
        .iter()
        .filter(|(timeline, _)| MEMBERS.iter().any(|id| inbox(id).to_string() == **timeline))
        .flat_map(|(_, (_, messages))| messages)
        .filter(|m| {
            lost.contains(&(TimelineId::from(m.conversation.clone()).to_string(), m.seq.get()))
        })
        .count();
    let told = summary.deliveries_lost as usize;
    assert_eq!(deliveries(&now), deliveries(&stored.content) - gone - told);
    assert_eq!(checked(&store).1, Vec::<String>::new());
}

#[test]
fn names_are_found_through_the_index_where_only_groups_are() {
    let mut bench = Bench::new();
    bench.tuning = Tuning { segment_bytes: 64 << 10, ..tiny() };
    let store = bench.open();
    let members: Vec<String> = (0..100).map(|n| format!("member {n}")).collect();
    let some = |n: usize| -> Vec<&str> {
        let picked = members.iter().enumerate().filter(|(at, _)| n == 0 || (at * 7 + n) % 5 > 1);
        picked.map(|(_, id)| id.as_str()).collect()
    };
    for n in 0..200 {
        bench.send(&store, to_group("g", &some(n), &format!("{{\"n\": {n}}}"))).unwrap();
    }
    let read = |store: &EmbeddedStore| -> Vec<Vec<String>> {
        members.iter().map(|id| bench.bodies(store, inbox(id))).collect()
    };
    let before = read(&store);
    bench.runtime.block_on(store.close()).unwrap();
    drop(store);
    // The first frame names all members; nothing else does in this segment.
    flip(&format::log_dir(bench.dir()).join("0000000000000001.seg"), 4096 + 200);
    let entropy: Arc<dyn Entropy> = Arc::new(CountingEntropy::default());
    let now = (bench.clock.now(), &entropy);
    let mut events = Vec::new();
    let report = &mut |event| events.push(event);
    let summary = repair_on(&bench.options, bench.tuning, now, report, &mut |_| Ok(())).unwrap();
    assert_eq!((summary.messages_lost, summary.deliveries_lost), (1, 0));
    let gone = RepairEvent::MessageLost {
        timeline: group("g").to_string(),
        seq: 1,
        inbox_entries: Some(100),
    };
    assert!(events.contains(&gone), "{events:?}");
    let store = bench.open();
    let after = read(&store);
    for (before, after) in before.iter().zip(after) {
        assert_eq!(before[1..], after);
    }
    assert_eq!(checked(&store).1, Vec::<String>::new());
}

#[test]
fn what_was_trimmed_stays_hidden_as_far_as_it_survives() {
    let mut stored = Stored::new(2_600);
    let store = stored.bench.open();
    let trims = [(group("all"), 300), (inbox("ann"), 700), (inbox("fay"), 5)];
    for (timeline, up_to) in trims {
        stored.bench.runtime.block_on(store.trim(timeline, Seq::new(up_to))).unwrap();
    }
    stored.content = content(&stored.bench, &store);
    stored.bench.runtime.block_on(store.close()).unwrap();
    drop(store);
    let lost = stored.sends_in(2, 32 << 10, 36 << 10);
    overwrite(&stored.segment(2), 32 << 10, &[0; 4096]);
    let (summary, events) = stored.repair();
    let conversation = |(timeline, seq): (String, u64)| {
        let (bounds, messages) = &stored.content[&timeline];
        // One that is trimmed in its conversation is told by an inbox that had it.
        let message = &messages[(seq - bounds.first.get()) as usize];
        (TimelineId::from(message.conversation.clone()).to_string(), message.seq.get())
    };
    let told: BTreeSet<_> = told(&events).into_iter().map(conversation).collect();
    assert!(told.is_subset(&lost) && told.len() + 2 > lost.len(), "{told:?} {lost:?}");
    stored.check_all_but(&lost, &summary);
}
