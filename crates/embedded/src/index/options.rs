//! What an index may use, and how its tables are built.

use std::sync::Arc;

use lsm_tree::config::{
    BlockSizePolicy, BloomConstructionPolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry,
    PinningPolicy,
};
use lsm_tree::{Cache, CompressionType, Config, DescriptorTable};

use super::strategy::Strategy;

/// Of so many gets of absent keys one reads a block in vain, per table asked. A new conversation
/// asks for several keys that are not there, so a miss must be almost free.
const FALSE_POSITIVE_RATE: f32 = 0.001;
/// Levels of the tree.
const LEVELS: usize = 7;
/// How much larger each level is than the one above.
const LEVEL_RATIO: u8 = 10;
/// Bytes of rows for which a table has about one byte of filter, for rows of 100 bytes.
const BYTES_PER_FILTER_BYTE: u64 = 64;

/// Settings of an index.
#[derive(Clone, Debug)]
pub(crate) struct IndexOptions {
    /// Most memory for what is kept of tables: blocks of rows, filters and indexes.
    pub cache_bytes: u64,
    /// Size a compaction aims at for a table. Flush at half of it, or less.
    pub table_bytes: u64,
    /// Size of a block of rows before compression: the least that is read and checked at once.
    pub block_bytes: u32,
    /// From so many unsorted tables on, they are merged into the levels below. More of them are
    /// fewer merges of the same rows below, and one more filter to ask for each.
    pub unsorted_tables: u8,
    /// Most table files that are kept open.
    pub open_files: usize,
}

impl Default for IndexOptions {
    fn default() -> IndexOptions {
        IndexOptions {
            cache_bytes: 128 * 1024 * 1024,
            table_bytes: 64 * 1024 * 1024,
            block_bytes: 4 * 1024,
            unsorted_tables: 32,
            open_files: 256,
        }
    }
}

impl IndexOptions {
    /// How tables are merged.
    pub(super) fn strategy(&self) -> Strategy {
        Strategy::new(self.table_bytes, self.unsorted_tables, LEVEL_RATIO)
    }

    /// How many levels have their filters pinned whole in memory, and the bytes that this takes
    /// when each is full: at most half of what there is for the cache. An absent key asks each
    /// level's filter, and a pinned one answers five times as fast as a cached one.
    fn pinned(&self) -> (usize, u64) {
        // The most unsorted tables, twice as many and half as large, are together about as large
        // as the first level is allowed to be.
        let first = self.table_bytes * u64::from(self.unsorted_tables) / BYTES_PER_FILTER_BYTE;
        let (mut levels, mut pinned, mut next) = (0, 0, first);
        while levels < LEVELS && pinned + next <= self.cache_bytes / 2 {
            pinned += next;
            next = if levels == 0 { first } else { next * u64::from(LEVEL_RATIO) };
            levels += 1;
        }
        (levels, pinned)
    }

    /// How tables are written and read.
    ///
    /// Indexes, and filters on the levels below the pinned ones, are cut into blocks of 4 KiB that
    /// go through the cache: pinned whole, they would grow with the disk and not with a setting.
    /// Of these only the tops stay in memory, about 0.03 % of the rows' size. Only keys that are
    /// there need an index.
    pub(super) fn apply(&self, config: Config) -> Config {
        let (levels, pinned) = self.pinned();
        let mut cut = vec![false; levels];
        cut.push(true);
        let bloom = BloomConstructionPolicy::FalsePositiveRate(FALSE_POSITIVE_RATE);
        config
            .use_cache(Arc::new(Cache::with_capacity_bytes(self.cache_bytes - pinned)))
            .use_descriptor_table(Some(Arc::new(DescriptorTable::new(self.open_files))))
            .data_block_size_policy(BlockSizePolicy::all(self.block_bytes))
            .data_block_compression_policy(CompressionPolicy::new([
                CompressionType::None,
                CompressionType::None,
                CompressionType::Lz4,
            ]))
            .filter_policy(FilterPolicy::all(FilterPolicyEntry::Bloom(bloom)))
            .index_block_partitioning_policy(PinningPolicy::all(true))
            .filter_block_partitioning_policy(PinningPolicy::new(cut))
            // What is cut is never pinned.
            .index_block_pinning_policy(PinningPolicy::all(true))
            .filter_block_pinning_policy(PinningPolicy::all(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pinned_is_at_most_half_of_the_memory() {
        let options = IndexOptions::default();
        for (cache, levels) in [(0, 0), (63, 0), (64, 1), (128, 2), (767, 2), (768, 3)] {
            let cache_bytes = cache * 1024 * 1024;
            let (pinned_levels, bytes) = IndexOptions { cache_bytes, ..options.clone() }.pinned();
            assert_eq!(pinned_levels, levels, "{cache} MiB");
            assert!(bytes <= cache_bytes / 2);
        }
    }
}
