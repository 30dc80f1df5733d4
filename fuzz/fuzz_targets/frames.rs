//! Any bytes as a log: frames, first pages, whole segments.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| seqline_embedded::fuzzing::frames(data));
