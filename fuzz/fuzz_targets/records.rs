//! Any bytes as what the log's frames hold: sends and trims.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| seqline_embedded::fuzzing::records(data));
