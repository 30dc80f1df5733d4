//! What the committer alone knows of timelines: the next position, and their number in the
//! segment of the log that is being written.

use super::names::Place;
use super::slots::Slots;
use super::table::Table;

/// A timeline as the committer sees it, ahead of what is readable.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Assigned {
    /// Which use of the slot this belongs to.
    stamp: u32,
    /// The number its name has in `segment`.
    pub(crate) number: u32,
    /// The segment in which it has one.
    pub(crate) segment: u64,
    /// The newest position given away.
    pub(crate) latest: u64,
    /// The newest time given away.
    pub(crate) at: u64,
}

/// The committer's side of the table, by slot.
#[derive(Default)]
pub(crate) struct Numbers {
    slots: Slots<Assigned>,
}

impl Numbers {
    /// The timeline at `place`; `None` if it is no longer there.
    pub(crate) fn get(&mut self, table: &Table, place: Place) -> Option<&mut Assigned> {
        let slot = place.slot;
        if self.slots.get(slot).is_none_or(|a| a.stamp != place.stamp) {
            let (latest, at) = table.with(place, |tail| (tail.latest, tail.at))?;
            self.slots.grow_to(slot);
            let fresh = Assigned { stamp: place.stamp, latest, at, ..Assigned::default() };
            self.slots[slot] = fresh;
        }
        Some(&mut self.slots[slot])
    }

    /// The timeline at `place`, which [`Numbers::get`] has found in this commit.
    pub(crate) fn known(&mut self, place: Place) -> &mut Assigned {
        &mut self.slots[place.slot]
    }

    /// A slot became free.
    pub(crate) fn forget(&mut self, slot: u32) {
        if let Some(assigned) = self.slots.get_mut(slot) {
            *assigned = Assigned::default();
        }
    }
}
