//! Chunks in memory: those that were read lately. A chunk never changes.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// What a chunk takes: its references, its key, its place in the cache.
const CHUNK_BYTES: u64 = 64 * 8 + 128;

/// References of a full chunk.
pub(crate) type Chunk = Arc<[u64]>;

/// The cache, by the chunks' keys in the index.
pub(crate) struct Chunks(Cache<Vec<u8>, Chunk, Weigh>);

#[derive(Clone)]
struct Weigh;

impl Weighter<Vec<u8>, Chunk> for Weigh {
    fn weight(&self, key: &Vec<u8>, _: &Chunk) -> u64 {
        key.len() as u64 + CHUNK_BYTES
    }
}

impl Chunks {
    /// Takes about `bytes`.
    pub(crate) fn new(bytes: u64) -> Chunks {
        let items = usize::try_from(bytes / CHUNK_BYTES).unwrap_or(usize::MAX);
        Chunks(Cache::with_weighter(items, bytes, Weigh))
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Chunk> {
        self.0.get(key)
    }

    pub(crate) fn put(&self, key: Vec<u8>, chunk: Chunk) {
        self.0.insert(key, chunk);
    }
}
