//! Servers that share one database of a MongoDB.

use std::net::SocketAddr;

use crate::support::Server;
use crate::support::redis::Redis;

/// Starts a server on this database, reached by this address, without Redis.
pub fn start(uri: &str, database: &str) -> Server {
    start_with(uri, database, &[])
}

/// The same with more settings.
pub fn start_with(uri: &str, database: &str, more: &[(&str, &str)]) -> Server {
    let store = [("data.mongo.source", uri), ("data.mongo.chat_database", database)];
    Server::start_shared(&[&store[..], more].concat(), &[])
}

/// The same with Redis beside it.
pub fn start_beside(uri: &str, database: &str, redis: &Redis) -> Server {
    let address: SocketAddr = redis.address();
    start_with(uri, database, &[("data.redis.addr", &address.to_string())])
}
