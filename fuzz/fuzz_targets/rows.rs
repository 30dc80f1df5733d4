//! Any bytes as rows and keys of the index.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| seqline_embedded::fuzzing::rows(data));
