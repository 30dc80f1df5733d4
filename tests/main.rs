//! Tests of the whole program: the real binary, real sockets, real files.
//!
//! One test binary, one module per subject; `support` starts servers and speaks to them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, with the place"
)]

mod adoption;
mod bad_input;
mod bench;
mod clients;
mod commands;
mod config;
mod conformance;
mod containers;
mod crash;
mod dependencies;
mod distributed;
mod distributed_faults;
mod documentation;
mod follow;
mod golden;
mod limits;
mod mongo_proxy;
mod page;
mod power;
mod redis_beside;
mod registry;
mod repair;
mod replay;
mod servers;
mod shutdown;
mod support;
mod tidy;
