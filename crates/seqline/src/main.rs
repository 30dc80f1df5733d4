//! The `seqline` program.

fn main() {}
