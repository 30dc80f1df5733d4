//! Rows: a value is stored behind a CRC-32C (little-endian) of its key and payload.

use std::ops::Deref;

use lsm_tree::Slice;

use super::error::IndexError;

/// Bytes of the checksum in front of a payload.
pub(super) const SEAL_BYTES: usize = 4;

/// A row's key. Cloning copies nothing.
pub(crate) type Key = Slice;

/// A row's payload, checked. Cloning copies nothing; it may keep a block of rows in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value(Slice);

impl Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0[SEAL_BYTES..]
    }
}

fn checksum(key: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), payload)
}

/// Adds what is stored for a payload to `out`.
pub(super) fn seal(out: &mut Vec<u8>, key: &[u8], payload: &[u8]) {
    out.extend_from_slice(&checksum(key, payload).to_le_bytes());
    out.extend_from_slice(payload);
}

/// Checks what was stored under `key`.
pub(super) fn unseal(key: &[u8], stored: Slice) -> Result<Value, IndexError> {
    let Some((seal, payload)) = stored.split_first_chunk::<SEAL_BYTES>() else {
        return Err(IndexError::damaged(key, "the value is shorter than its checksum"));
    };
    if u32::from_le_bytes(*seal) != checksum(key, payload) {
        return Err(IndexError::damaged(key, "the value does not match its checksum"));
    }
    Ok(Value(stored))
}
