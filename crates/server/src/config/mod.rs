//! Settings: what can be set, with its default; handles to anything that runs are not settings.
//!
//! `sections` is the one list of them. The structs, their documentation, `gen-config`,
//! `docs/config.md` and the keys a file may have all come from it.

mod example;
mod kind;
mod sections;
mod setting;

pub use example::{example, listed, reference};
pub use kind::Secret;
pub use sections::{
    Config, Cors, Data, Durability, Etcd, Grpc, Http, Limits, Log, LogFormat, LogLevel, Mongo,
    Network, Redis, Registry, Server,
};
pub use setting::{Group, Listed, Setting};
