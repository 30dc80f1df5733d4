//! Whole servers on free ports over a store in memory, spoken to over real sockets.

mod calls;
mod limits;
mod sides;
mod stop;

use std::sync::Arc;
use std::time::Duration;

use seqline_api::timeline::v1::timeline_client::TimelineClient;
use seqline_api::timeline::v1::{SendGroupRequest, SendMessageRequest, SyncMessageRequest};
use seqline_core::error::{Error, Result};
use seqline_core::fanout::Outgoing;
use seqline_core::id::TimelineId;
use seqline_core::page::{Bounds, Page, Read};
use seqline_core::seq::Seq;
use seqline_core::store::{CheckEvent, CheckSummary, Receipt, Status, Store, StoreFuture};
use seqline_core::testing::memory::MemoryStore;
use seqline_core::watch::Watch;
use tokio::sync::Semaphore;
use tonic::transport::Channel;

use crate::config::Config;
use crate::serve::{Running, start_with};
use crate::system::{SystemClock, SystemEntropy};

/// A store that does what a message tells it: `{"do":"hang"}`, `wait` (at the gate), `panic`,
/// or an error; anything else it stores.
struct Obedient {
    memory: MemoryStore,
    gate: Arc<Gate>,
}

/// Where sends wait.
struct Gate {
    arrived: Semaphore,
    open: Semaphore,
}

impl Store for Obedient {
    fn append(&self, send: Outgoing) -> StoreFuture<Receipt> {
        let (store, gate) = (self.memory.clone(), Arc::clone(&self.gate));
        Box::pin(async move {
            match send.body.as_str() {
                r#"{"do":"hang"}"# => std::future::pending().await,
                r#"{"do":"panic"}"# => panic!("as the message said"),
                r#"{"do":"overload"}"# => Err(Error::Overloaded { reason: "the queue is full" }),
                r#"{"do":"lose"}"# => Err(Error::OutcomeUnknown { reason: "secret".to_owned() }),
                r#"{"do":"wait"}"# => {
                    gate.arrived.add_permits(1);
                    let _passed = gate.open.acquire().await;
                    store.append(send).await
                }
                _ => store.append(send).await,
            }
        })
    }

    fn read(&self, read: Read) -> StoreFuture<Page> {
        self.memory.read(read)
    }

    fn bounds(&self, timelines: Vec<TimelineId>) -> StoreFuture<Vec<Bounds>> {
        self.memory.bounds(timelines)
    }

    fn trim(&self, timeline: TimelineId, up_to: Seq) -> StoreFuture<Bounds> {
        self.memory.trim(timeline, up_to)
    }

    fn watch(&self, timeline: &TimelineId) -> Watch {
        self.memory.watch(timeline)
    }

    fn check(&self, report: &mut dyn FnMut(CheckEvent)) -> Result<CheckSummary> {
        self.memory.check(report)
    }

    fn status(&self) -> Status {
        self.memory.status()
    }

    fn close(&self) -> StoreFuture<()> {
        self.memory.close()
    }
}

/// A running server and what its store waits for.
struct Server {
    running: Running,
    gate: Arc<Gate>,
    memory: MemoryStore,
}

/// A server on free ports with the default settings, changed by `change`.
fn server(change: impl FnOnce(&mut Config)) -> Server {
    let mut config = Config::default();
    config.server.http.addr = "127.0.0.1:0".to_owned();
    config.server.grpc.addr = "127.0.0.1:0".to_owned();
    change(&mut config);
    let window = Duration::from_secs(60);
    let memory = MemoryStore::new(Arc::new(SystemClock), &SystemEntropy, window);
    let gate = Arc::new(Gate { arrived: Semaphore::new(0), open: Semaphore::new(0) });
    let store = Obedient { memory: memory.clone(), gate: Arc::clone(&gate) };
    Server { running: start_with(Arc::new(store), config).unwrap(), gate, memory }
}

impl Server {
    /// A connection of its own.
    async fn connect(&self) -> TimelineClient<Channel> {
        TimelineClient::new(self.channel().await)
    }

    async fn channel(&self) -> Channel {
        let uri = format!("http://{}", self.running.grpc_addr);
        Channel::from_shared(uri).unwrap().connect().await.unwrap()
    }
}

fn direct(from: &str, to: &str, message: &str) -> SendMessageRequest {
    SendMessageRequest { from: from.into(), to: to.into(), message: message.into() }
}

fn group(name: &str, members: &[&str], message: &str) -> SendGroupRequest {
    SendGroupRequest {
        group_name: name.into(),
        group_members: members.iter().map(ToString::to_string).collect(),
        message: message.into(),
    }
}

fn sync(member: &str, last_read: i64, count: i32) -> SyncMessageRequest {
    SyncMessageRequest { member: member.into(), last_read, count }
}

/// The reason in an error's details, and its metadata.
fn reason(status: &tonic::Status) -> (String, Vec<(String, String)>) {
    use tonic_types::StatusExt as _;
    let info = status.get_error_details().error_info().cloned();
    let Some(info) = info else { return Default::default() };
    let mut metadata: Vec<_> = info.metadata.into_iter().collect();
    metadata.sort();
    (info.reason, metadata)
}
