//! A proxy between a MongoDB driver and a server: it counts commands, and does to some of them what
//! networks and servers do at the worst moment.
//!
//! Start at [`MongoProxy::start`]. [`rules`] says which commands and what; [`wire`] knows frames.
//! It has a thread of its own, so that a test may be blocking or not.

mod connection;
pub mod rules;
mod split;
pub mod wire;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use mongodb::bson::{Document, doc};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::daemon::free_port;
use rules::Rules;
pub use rules::{Fault, Rule, When, gate};

/// A running proxy. It and all its connections end when it is dropped.
pub struct MongoProxy {
    address: SocketAddr,
    rules: Arc<Rules>,
    network: watch::Sender<Network>,
    thread: Option<JoinHandle<()>>,
}

/// What connections may do.
#[derive(Clone, Copy, PartialEq)]
enum Network {
    /// Those that began at this age of the network go on.
    Up { age: u64 },
    /// None goes on, none begins.
    Down { age: u64 },
    /// The proxy ends.
    Gone,
}

impl MongoProxy {
    /// Starts a proxy in front of a server, which may be dead now and restarted later.
    pub fn start(server: SocketAddr) -> MongoProxy {
        let rules = Arc::new(Rules::default());
        let (network, up) = watch::channel(Network::Up { age: 0 });
        let listener = std::net::TcpListener::bind(("127.0.0.1", free_port())).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let thread = {
            let rules = rules.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(accept(listener, server, rules, up));
            })
        };
        MongoProxy { address, rules, network, thread: Some(thread) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// For drivers.
    pub fn uri(&self) -> String {
        format!("mongodb://{}/?directConnection=true", self.address)
    }

    /// From now on does `fault` to the commands that `when` says.
    pub fn rule(&self, when: When, fault: Fault) -> Rule {
        self.rules.add(when, fault)
    }

    /// Forgets all rules. Commands that are held stay so.
    pub fn clear(&self) {
        self.rules.clear();
    }

    /// How many commands of this name about this collection drivers have sent: round trips.
    pub fn count(&self, name: &str, collection: &str) -> u64 {
        let key = (name.to_owned(), collection.to_owned());
        self.rules.counts().get(&key).copied().unwrap_or(0)
    }

    /// How many commands of each name and collection there were.
    pub fn counts(&self) -> BTreeMap<(String, String), u64> {
        self.rules.counts()
    }

    /// How many commands read or changed documents.
    pub fn data_count(&self) -> u64 {
        let counts = self.rules.counts();
        counts.iter().filter(|((name, _), _)| rules::is_data(name)).map(|(_, n)| n).sum()
    }

    /// Begins to count at 0.
    pub fn reset_counts(&self) {
        self.rules.reset_counts();
    }

    /// Ends all connections. New ones are accepted.
    pub fn drop_connections(&self) {
        self.network.send_modify(|network| *network = Network::Up { age: network.age() + 1 });
    }

    /// Ends all connections, and refuses new ones until [`MongoProxy::join_network`].
    pub fn part_network(&self) {
        self.network.send_modify(|network| *network = Network::Down { age: network.age() + 1 });
    }

    /// Accepts connections again.
    pub fn join_network(&self) {
        self.network.send_modify(|network| *network = Network::Up { age: network.age() });
    }
}

impl Drop for MongoProxy {
    fn drop(&mut self) {
        self.network.send_replace(Network::Gone);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Network {
    fn age(self) -> u64 {
        match self {
            Network::Up { age } | Network::Down { age } => age,
            Network::Gone => u64::MAX,
        }
    }
}

/// The reply of a server that has stopped being the primary.
pub fn not_primary() -> Document {
    doc! {"ok": 0.0, "errmsg": "not primary", "code": 10107, "codeName": "NotWritablePrimary"}
}

/// What a reply says besides when the write was done, but perhaps not on a majority.
pub fn write_concern_error() -> Document {
    let error = doc! {
        "code": 64,
        "codeName": "WriteConcernFailed",
        "errmsg": "waiting for replication timed out",
        "errInfo": {"wtimeout": true},
    };
    doc! {"writeConcernError": error}
}

async fn accept(
    listener: std::net::TcpListener,
    server: SocketAddr,
    rules: Arc<Rules>,
    mut network: watch::Receiver<Network>,
) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = network.wait_for(|network| *network == Network::Gone) => return,
        };
        let Ok((client, _)) = accepted else { continue };
        let began = *network.borrow();
        if !matches!(began, Network::Up { .. }) {
            continue;
        }
        let (rules, mut network) = (rules.clone(), network.clone());
        tokio::spawn(async move {
            let age = began.age();
            tokio::select! {
                // What goes wrong on a connection is seen by the driver: it ends.
                _ = connection::serve(client, server, &rules) => {}
                _ = network.wait_for(|network| network.age() > age) => {}
            }
        });
    }
}
