//! The oldest entries of trimmed timelines. In memory for each trimmed timeline, as in `check`.

use hashbrown::HashMap;

use super::old::OldIndex;

/// A trimmed timeline.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Floor {
    /// The oldest entry that nobody has trimmed.
    pub(super) first: u64,
    /// How many entries before it survive.
    pub(super) hidden: u64,
}

/// The oldest entries of timelines: as the log's trims say, and as the old index does.
#[derive(Default)]
pub(super) struct Floors {
    floors: HashMap<Vec<u8>, Floor, foldhash::fast::RandomState>,
}

impl Floors {
    /// The timeline has no entry before `first` any more.
    pub(super) fn raise(&mut self, timeline: &[u8], first: u64) {
        if first > 1 {
            let floor = self.floors.entry_ref(timeline).or_default();
            floor.first = floor.first.max(first);
        }
    }

    /// A trim stands in a part of the log that may have been freed since: the index knows it.
    pub(super) fn learn(&mut self, timeline: &[u8], old: &OldIndex) {
        if let Some(first) = old.first(timeline) {
            self.raise(timeline, first);
        }
    }

    pub(super) fn get(&self, timeline: &[u8]) -> u64 {
        match self.floors.is_empty() {
            true => 1,
            false => self.floors.get(timeline).map_or(1, |floor| floor.first),
        }
    }

    /// An entry of the timeline survives.
    pub(super) fn survives(&mut self, timeline: &[u8], seq: u64) {
        if !self.floors.is_empty()
            && let Some(floor) = self.floors.get_mut(timeline)
        {
            floor.hidden += u64::from(seq < floor.first);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], Floor)> {
        self.floors.iter().map(|(timeline, floor)| (timeline.as_slice(), *floor))
    }
}
