//! Numbered places that grow without moving what is in them: a vector of a million timelines
//! would stop everybody for as long as it takes to copy them.

use std::ops::{Index, IndexMut};

/// Slots that are made together.
const CHUNK: usize = 4_096;

/// Slots from 0 on; each is there once it was asked for with [`Slots::grow_to`].
#[derive(Debug)]
pub(crate) struct Slots<T>(Vec<Box<[T]>>);

impl<T> Default for Slots<T> {
    fn default() -> Slots<T> {
        Slots(Vec::new())
    }
}

impl<T: Default> Slots<T> {
    /// Makes sure that there is a slot `slot`.
    pub(crate) fn grow_to(&mut self, slot: u32) {
        while self.0.len() * CHUNK <= slot as usize {
            self.0.push(std::iter::repeat_with(T::default).take(CHUNK).collect());
        }
    }

    /// What is in `slot`, if it is there.
    pub(crate) fn get(&self, slot: u32) -> Option<&T> {
        let slot = slot as usize;
        self.0.get(slot / CHUNK).map(|chunk| &chunk[slot % CHUNK])
    }

    /// What is in `slot`, to change, if it is there.
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        let slot = slot as usize;
        self.0.get_mut(slot / CHUNK).map(|chunk| &mut chunk[slot % CHUNK])
    }
}

impl<T> Index<u32> for Slots<T> {
    type Output = T;

    fn index(&self, slot: u32) -> &T {
        let slot = slot as usize;
        &self.0[slot / CHUNK][slot % CHUNK]
    }
}

impl<T> IndexMut<u32> for Slots<T> {
    fn index_mut(&mut self, slot: u32) -> &mut T {
        let slot = slot as usize;
        &mut self.0[slot / CHUNK][slot % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_slot_stays_while_others_are_made() {
        let mut slots = Slots::<u32>::default();
        assert_eq!(slots.get(0), None);
        for slot in 0..10_000 {
            slots.grow_to(slot);
            slots[slot] = slot + 1;
        }
        assert!((0..10_000).all(|slot| slots[slot] == slot + 1));
        assert_eq!(slots.get(3 * CHUNK as u32), None);
        *slots.get_mut(5).unwrap() = 9;
        assert_eq!(slots.get(5), Some(&9));
    }
}
