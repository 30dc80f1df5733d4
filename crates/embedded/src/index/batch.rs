//! Batches: puts and deletes that become visible together.

use lsm_tree::Slice;

use super::row;

/// Puts and deletes. Of several for one key the last counts. Keys have 1 to 65,535 bytes.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Each key with what is stored for it; nothing for a delete.
    pub(super) rows: Vec<(Slice, Option<Slice>)>,
    buffer: Vec<u8>,
}

impl Batch {
    /// Stores `payload` under `key`.
    pub(crate) fn put(&mut self, key: &[u8], payload: &[u8]) {
        assert_key(key);
        let sealed = row::seal(&mut self.buffer, key, payload);
        self.rows.push((Slice::from(key), Some(sealed)));
    }

    /// Removes `key`, if it is there.
    pub(crate) fn delete(&mut self, key: &[u8]) {
        assert_key(key);
        self.rows.push((Slice::from(key), None));
    }
}

/// The tree would panic later, with the batch half written.
fn assert_key(key: &[u8]) {
    assert!(!key.is_empty() && key.len() <= usize::from(u16::MAX), "a key has 1 to 65,535 bytes");
}
