//! Any bytes as numbers and lengths.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| seqline_embedded::fuzzing::varint(data));
