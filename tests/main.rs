//! Tests of the whole program: the real binary, real sockets, real files.
//!
//! One test binary, one module per subject; `support` starts servers and speaks to them.

mod bad_input;
mod clients;
mod dependencies;
mod limits;
mod support;
mod tidy;
