//! What a fuzzer calls: each function takes any bytes and panics if a promise does not hold.
//!
//! This is no part of the API: it exists with the feature `fuzzing` and in tests, and may change
//! with any commit. The targets in the folder `fuzz` call it, and `tests` runs the same functions
//! over seeded inputs, so that they are exercised without a fuzzer too.

mod disk;
mod input;
mod records;
mod rows;
#[cfg(test)]
mod tests;
mod varint;

pub(crate) use disk::MemoryDisk;
pub(crate) use input::Input;
pub use records::records;
pub use rows::rows;
pub use varint::varint;

/// Takes `data` for a frame, for the first page of a segment, and as a recipe for a whole log,
/// which is opened, read, repaired and opened again.
pub fn frames(data: &[u8]) {
    crate::log::fuzzing::frames(data);
}
