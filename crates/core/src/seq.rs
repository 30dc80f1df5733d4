//! Sequences: positions inside one timeline.
//!
//! Start at [`Seq::FIRST`]. Sequences of different timelines are never compared.
//! A store assigns them; everything else only carries them.

use std::fmt;

/// Position of an entry in its timeline. 1-based; [`Seq::ZERO`] means "before the first entry".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(u64);

impl Seq {
    /// Before the first entry: where a reader without a cursor starts.
    pub const ZERO: Seq = Seq(0);
    /// The position of the first entry ever put into a timeline.
    pub const FIRST: Seq = Seq(1);
    /// The largest position the wire can carry (an `int64`).
    pub const MAX: Seq = Seq(i64::MAX as u64);

    /// The position `number`; numbers beyond [`Seq::MAX`] become it.
    pub const fn new(number: u64) -> Seq {
        if number > Seq::MAX.0 { Seq::MAX } else { Seq(number) }
    }

    /// A reader's cursor from the wire: anything negative means "from the start".
    pub const fn from_cursor(number: i64) -> Seq {
        if number < 0 { Seq::ZERO } else { Seq(number as u64) }
    }

    /// The position as a number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next position. No timeline lives long enough to pass [`Seq::MAX`]: at a million
    /// entries a second that takes 292,000 years.
    #[must_use]
    pub const fn next(self) -> Seq {
        Seq::new(self.0.saturating_add(1))
    }

    /// The position before this one; [`Seq::ZERO`] stays.
    #[must_use]
    pub const fn previous(self) -> Seq {
        Seq(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_below_zero_means_from_the_start() {
        assert_eq!(Seq::from_cursor(i64::MIN), Seq::ZERO);
        assert_eq!(Seq::from_cursor(i64::MAX), Seq::MAX);
    }

    #[test]
    fn positions_stop_at_the_largest_the_wire_can_carry() {
        assert_eq!(Seq::new(u64::MAX), Seq::MAX);
        assert_eq!(Seq::MAX.next(), Seq::MAX);
    }
}
