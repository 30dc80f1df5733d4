//! Settings: what can be set, with its default; handles to anything that runs are not settings.
//!
//! `sections`, with `data` and `registry`, is the one list of them. The structs, their
//! documentation, `gen-config`, `docs/config.md` and the keys a file may have all come from it.

mod amount;
mod data;
mod endpoint;
mod example;
mod kind;
mod load;
mod registry;
mod secret;
mod secret_file;
mod sections;
mod setting;
mod source;
#[cfg(test)]
mod tests;
mod words;
mod yaml;

pub use data::{Data, Durability, Mongo, Redis, StoreKind, WriteConcern};
pub use example::{example, listed, reference};
pub use load::{LoadError, Problem, Sources};
pub use registry::{Etcd, Registry};
pub use secret::Secret;
pub use sections::{Config, Cors, Grpc, Http, Limits, Log, LogFormat, LogLevel, Network, Server};
pub use setting::{Group, Listed, Setting};
