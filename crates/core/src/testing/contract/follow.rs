//! A follower: reads a timeline while others send to it, and believes nothing.

use std::sync::Arc;
use std::time::Duration;

use super::random::Random;
use super::scene::{Scene, whole};
use crate::id::TimelineId;
use crate::page::{Direction, Entry, Page, Read};
use crate::seq::Seq;
use crate::store::Store;

/// A reader at the end of one timeline.
pub struct Follower {
    store: Arc<dyn Store>,
    timeline: TimelineId,
    patience: Duration,
    random: Random,
    seen: Vec<Entry>,
    latest: Seq,
}

impl Follower {
    /// A follower that begins at the first entry of a timeline that is never trimmed.
    pub fn new(scene: &Scene<'_>, timeline: TimelineId, seed: u64) -> Follower {
        Follower {
            store: scene.store(),
            timeline,
            patience: scene.patience(),
            random: Random::new(seed),
            seen: Vec::new(),
            latest: Seq::ZERO,
        }
    }

    /// Follows until `total` entries have come.
    pub async fn to(mut self, total: u64) {
        while self.cursor().get() < total {
            let watch = self.store.watch(&self.timeline);
            if self.step().await == 0 {
                let grown = tokio::time::timeout(self.patience, watch.grown()).await;
                assert!(grown.is_ok(), "{}: a watch misses no growth", self.timeline);
            }
        }
    }

    fn cursor(&self) -> Seq {
        self.seen.last().map_or(Seq::ZERO, |entry| entry.seq)
    }

    /// Reads on, and sometimes looks back; returns how many entries came.
    async fn step(&mut self) -> usize {
        let entries_max = self.random.below(20) as usize + 1;
        let read = Read { after: self.cursor(), entries_max, ..whole(&self.timeline) };
        let page = self.store.read(read).await.expect("a timeline can be read");
        self.check(&page);
        let count = page.entries.len();
        self.seen.extend(page.entries);
        match self.random.below(4) {
            0 => self.look_back().await,
            1 => self.look_at_the_end().await,
            _ => {}
        }
        count
    }

    fn check(&mut self, page: &Page) {
        let id = &self.timeline;
        let mut end = self.cursor();
        for entry in &page.entries {
            assert_eq!(entry.seq, end.next(), "{id}: a follower sees no hole and no step back");
            end = entry.seq;
        }
        let latest = page.bounds.latest;
        assert!(latest >= self.latest, "{id}: latest never steps back");
        if page.more {
            assert!(end < latest, "{id}: more was said, but {end} is the latest");
        } else {
            assert_eq!(end, latest, "{id}: latest is what can be read");
        }
        self.latest = latest;
    }

    /// Entries seen once never change, whichever way they are read.
    async fn look_back(&mut self) {
        let seen = self.seen.len() as u64;
        let after = Seq::new(self.random.below(seen + 1));
        let until = Seq::new(after.get() + self.random.below(30)).min(self.cursor());
        let direction = Direction::Backward;
        let read = Read { after, until, direction, ..whole(&self.timeline) };
        let page = self.store.read(read).await.expect("a timeline can be read");
        let (from, to) = (after.get() as usize, (until.get() as usize).max(after.get() as usize));
        let same = page.entries.iter().rev().eq(&self.seen[from..to]);
        assert!(same, "{}: entries seen before never change", self.timeline);
    }

    /// What is newest reaches back without a hole.
    async fn look_at_the_end(&mut self) {
        let read = Read { direction: Direction::Backward, entries_max: 5, ..whole(&self.timeline) };
        let page = self.store.read(read).await.expect("a timeline can be read");
        let id = &self.timeline;
        let mut expected = page.bounds.latest;
        assert!(expected >= self.latest, "{id}: latest never steps back");
        for entry in &page.entries {
            assert_eq!(entry.seq, expected, "{id}: read backwards, latest comes first, no hole");
            expected = expected.previous();
        }
        assert_eq!(page.entries.len() as u64, page.bounds.latest.get().min(5), "{id}: a full page");
        self.latest = page.bounds.latest;
    }
}
