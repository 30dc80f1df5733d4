//! Batches: puts and deletes that become visible together.

use super::row;

/// What stands for the length of a value where a key is deleted.
const DELETED: u32 = u32::MAX;
/// Bytes before each key: its length and the value's.
const LENGTHS: usize = 2 + 4;

/// Puts and deletes. Of several for one key the last counts. Keys have 1 to 65,535 bytes.
///
/// They stand one behind the other in one buffer, as a batch has many small ones.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
}

impl Batch {
    /// Stores `payload` under `key`.
    pub(crate) fn put(&mut self, key: &[u8], payload: &[u8]) {
        let length = u32::try_from(row::SEAL_BYTES + payload.len());
        let length = length.ok().filter(|length| *length != DELETED);
        self.begin(key, length.expect("a row is far smaller than 4 GiB"));
        row::seal(&mut self.bytes, key, payload);
    }

    /// Removes `key`, if it is there.
    pub(crate) fn delete(&mut self, key: &[u8]) {
        self.begin(key, DELETED);
    }

    /// The tree would panic later at such a key, with the batch half written.
    fn begin(&mut self, key: &[u8], value: u32) {
        let length = u16::try_from(key.len()).ok().filter(|length| *length > 0);
        let length = length.expect("a key has 1 to 65,535 bytes");
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(&value.to_le_bytes());
        self.bytes.extend_from_slice(key);
    }

    /// Each key with what is stored for it, nothing for a delete.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || {
            let (lengths, after) = rest.split_first_chunk::<LENGTHS>()?;
            let [k0, k1, value @ ..] = *lengths;
            let (key, after) = after.split_at(usize::from(u16::from_le_bytes([k0, k1])));
            let value = u32::from_le_bytes(value);
            let (value, after) = match value {
                DELETED => (None, after),
                length => {
                    let (value, after) = after.split_at(length as usize);
                    (Some(value), after)
                }
            };
            rest = after;
            Some((key, value))
        })
    }
}
