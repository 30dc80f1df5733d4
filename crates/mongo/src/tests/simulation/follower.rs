//! Followers of the simulation: readers who believe nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use seqline_core::id::TimelineId;
use seqline_core::page::{Bounds, Direction, Page, Read};
use seqline_core::seq::Seq;
use seqline_core::store::Store as _;

use super::client;
use super::world::World;

/// Reads all timelines, now this and now that, through any instance.
pub async fn run(world: Arc<World>, number: u64) {
    let timelines = client::timelines();
    let mut cursors: BTreeMap<TimelineId, (Seq, Bounds)> = BTreeMap::new();
    while world.goes_on() {
        world.random.pause(40 + 200 * number).await;
        let timeline = &timelines[world.random.below(timelines.len() as u64) as usize];
        let Some(instance) = world.any() else {
            continue;
        };
        let (cursor, before) =
            cursors.entry(timeline.clone()).or_insert((Seq::ZERO, Bounds::EMPTY));
        let backward = world.random.below(3) == 0;
        let read = Read {
            timeline: timeline.clone(),
            after: if backward { Seq::ZERO } else { *cursor },
            until: Seq::MAX,
            direction: if backward { Direction::Backward } else { Direction::Forward },
            entries_max: world.random.below(7) as usize + 1,
            bytes_max: 10_000,
        };
        let Ok(page) = instance.store.read(read.clone()).await else {
            continue;
        };
        if !world.stale {
            check_forward(&read, &page, before);
        }
        check(&read, &page);
        *before = page.bounds;
        if !backward {
            *cursor = page.entries.last().map_or(*cursor, |entry| entry.seq);
        }
        remember(&world, timeline, page);
    }
}

/// What one page after the other is promised.
fn check_forward(read: &Read, page: &Page, before: &Bounds) {
    let id = &read.timeline;
    let Bounds { first, latest } = page.bounds;
    assert!(latest >= before.latest, "{id}: latest stepped back from {before:?} to {latest}");
    assert!(first >= before.first, "{id}: the floor fell from {before:?} to {first}");
}

/// What every page is promised, however old.
fn check(read: &Read, page: &Page) {
    let id = &read.timeline;
    let Bounds { first, latest } = page.bounds;
    assert!(first <= latest.max(Seq::FIRST), "{id}: the newest stays");
    let mut expected = match read.direction {
        Direction::Forward => read.after.max(first.previous()).next(),
        Direction::Backward => latest,
    };
    for entry in &page.entries {
        assert_eq!(entry.seq, expected, "{id}: no hole and no repeat, {read:?}");
        expected = match read.direction {
            Direction::Forward => expected.next(),
            Direction::Backward => expected.previous(),
        };
    }
    if read.direction == Direction::Forward && !page.more {
        let end = page.entries.last().map_or(read.after, |entry| entry.seq);
        assert!(end >= latest, "{id}: a page without more reaches the latest, {read:?}");
    }
}

/// An entry that anybody has read never changes.
fn remember(world: &World, timeline: &TimelineId, page: Page) {
    let mut seen = world.seen.lock().unwrap();
    let seen = seen.entry(timeline.clone()).or_default();
    for entry in page.entries {
        let before = seen.entry(entry.seq).or_insert_with(|| entry.clone());
        assert_eq!(*before, entry, "{timeline}: an entry never changes");
    }
}
