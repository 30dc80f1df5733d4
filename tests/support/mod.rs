//! What the tests of the whole program share.
#![allow(dead_code, reason = "each module of the suite uses its own part")]

pub mod command;
pub mod daemon;
pub mod etcd;
pub mod grpc;
pub mod http;
pub mod mongo;
pub mod mongo_proxy;
pub mod process;
pub mod redis;

pub use process::Server;
