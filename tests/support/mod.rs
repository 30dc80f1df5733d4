//! What the tests of the whole program share.
#![allow(dead_code, reason = "each module of the suite uses its own part")]

pub mod command;
pub mod daemon;
pub mod grpc;
pub mod http;
pub mod process;

pub use process::Server;
