//! Which tables are merged next. How a merge goes is `compactor`'s.

use std::sync::Arc;

use lsm_tree::compaction::{CompactionStrategy, Leveled, MoveDown, PullDown};
use lsm_tree::{AbstractTree as _, Table, Tree};

/// The last level, and the one above it.
const LAST: u8 = 6;
const ABOVE: u8 = LAST - 1;
/// How much larger than the oldest run of the stack the others may be together.
const STACKED_RATIO: u64 = 4;

/// Merges the unsorted tables into the levels below.
///
/// A small index stacks what it has merged: each merge makes one sorted run on top of those in the
/// last level and reads none of them. The stack becomes one run when what lies on its oldest run
/// is some times as large, so that rows which were replaced take no more room than that. Once it is
/// large, levels are merged into each other, a bounded part at a time: that writes rows more often,
/// but a merge of everything would take longer each time.
pub(super) struct Strategy {
    leveled: Arc<Leveled>,
    /// Merges the unsorted tables into the empty level above the last one, or into the last one
    /// if that is no larger than a table. The tree's own strategy does so where a level may have
    /// one table and the next one no more than that.
    apart: Arc<Leveled>,
    unsorted_tables: usize,
    /// The most of a stack: what the tree's own strategy allows the first level below the
    /// unsorted tables, the last one whose filters are pinned.
    stacked_bytes: u64,
}

impl Strategy {
    pub(super) fn new(table_bytes: u64, unsorted_tables: u8, level_ratio: u8) -> Strategy {
        let tables_of = |ratio: u8| {
            let ratios = vec![f32::from(ratio)];
            Leveled::default().with_table_target_size(table_bytes).with_level_ratio_policy(ratios)
        };
        Strategy {
            leveled: Arc::new(tables_of(level_ratio).with_l0_threshold(unsorted_tables)),
            apart: Arc::new(tables_of(1).with_l0_threshold(1)),
            unsorted_tables: usize::from(unsorted_tables),
            stacked_bytes: table_bytes * u64::from(unsorted_tables),
        }
    }

    /// The next step. It is done, or does nothing, before this is asked again. Each leaves the
    /// tables in an order in which the newer row of a key is found first.
    pub(super) fn next(&self, tree: &Tree) -> Arc<dyn CompactionStrategy> {
        let version = tree.current_version();
        let levels: Vec<_> = version.iter_levels().collect();
        let tables = |level: u8| levels[usize::from(level)].iter().flat_map(|run| run.iter());
        let bytes = |run: &[Table]| run.iter().map(|table| table.metadata.file_size).sum::<u64>();
        let stack: Vec<u64> = levels[usize::from(LAST)].iter().map(|run| bytes(run)).collect();
        let (oldest, all) = (stack.last().copied().unwrap_or(0), stack.iter().sum::<u64>());
        let large = all >= self.stacked_bytes;
        if stack.len() > 1 && (large || all - oldest >= STACKED_RATIO * oldest) {
            return Arc::new(PullDown(ABOVE, LAST));
        }
        if large {
            return Arc::clone(&self.leveled) as _;
        }
        if tables(ABOVE).next().is_some() {
            return Arc::new(MoveDown(ABOVE, LAST));
        }
        let due = tables(0).count() >= self.unsorted_tables;
        let empty = (1..ABOVE).all(|level| tables(level).next().is_none());
        if due && empty { Arc::clone(&self.apart) as _ } else { Arc::clone(&self.leveled) as _ }
    }
}
