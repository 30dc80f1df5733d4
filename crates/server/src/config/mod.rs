//! Settings: what can be set, with its default; handles to anything that runs are not settings.
//!
//! `sections` is the one list of them. The structs, their documentation, `gen-config`,
//! `docs/config.md` and the keys a file may have all come from it.

mod amount;
mod example;
mod kind;
mod load;
mod secret;
mod sections;
mod setting;
mod source;
#[cfg(test)]
mod tests;
mod words;
mod yaml;

pub use example::{example, listed, reference};
pub use load::{LoadError, Problem, Sources};
pub use secret::Secret;
pub use sections::{
    Config, Cors, Data, Durability, Etcd, Grpc, Http, Limits, Log, LogFormat, LogLevel, Mongo,
    Network, Redis, Registry, Server,
};
pub use setting::{Group, Listed, Setting};
