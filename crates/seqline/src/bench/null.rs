//! A server that keeps nothing: what remains of a measurement when the store costs nothing.

use std::future;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use rustix::process::Signal;
use seqline_core::Result as StoreResult;
use seqline_core::clock::UnixMillis;
use seqline_core::error::Error;
use seqline_core::fanout::Outgoing;
use seqline_core::id::{ConversationId, Epoch, GroupId, MessageId, TimelineId};
use seqline_core::message::{Body, Message};
use seqline_core::page::{Bounds, Entry, Page, Read};
use seqline_core::seq::Seq;
use seqline_core::store::{CheckEvent, CheckSummary, Receipt, Status, Store, StoreFuture};
use seqline_core::watch::{Watch, Watchers};
use seqline_server::config::Config;
use seqline_server::serve;

use crate::commands::terminal::{Problem, note};

/// Length of each message on its pages.
const MESSAGE_BYTES: usize = 200;
const WARNING: &str = "NOTHING IS KEPT: this server answers every send at once and forgets it. \
It is for measuring the network side alone, and ends with the program that started it.";

/// A store that answers at once and keeps nothing.
pub struct NullStore {
    sends: AtomicU64,
    watchers: Watchers,
    message: Message,
}

impl NullStore {
    /// A store.
    ///
    /// # Errors
    /// Never: what is built in is valid.
    pub fn new() -> StoreResult<NullStore> {
        let text = format!("{{\"text\":\"{}\"}}", "x".repeat(MESSAGE_BYTES - 11));
        let message = Message {
            id: MessageId(1),
            conversation: ConversationId::Group(GroupId::new("group", "null")?),
            seq: Seq::FIRST,
            sender: None,
            at: UnixMillis(1),
            body: Body::from_stored(Bytes::from(text))
                .ok_or_else(|| Error::invalid("message", "it is not UTF-8"))?,
        };
        Ok(NullStore { sends: AtomicU64::new(0), watchers: Watchers::new(), message })
    }
}

fn ready<T: Send + 'static>(value: T) -> StoreFuture<T> {
    Box::pin(future::ready(Ok(value)))
}

impl Store for NullStore {
    fn append(&self, send: Outgoing) -> StoreFuture<Receipt> {
        let seq = Seq::new(self.sends.fetch_add(1, Ordering::Relaxed) + 1);
        ready(Receipt {
            id: send.id,
            conversation_seq: seq,
            receiver_seq: seq,
            at: UnixMillis(1),
            repeat: false,
        })
    }

    fn read(&self, read: Read) -> StoreFuture<Page> {
        let after = read.after.get();
        let entry = |place: usize| Entry {
            seq: Seq::new(after + 1 + place as u64),
            message: self.message.clone(),
        };
        let entries: Vec<Entry> = (0..read.entries_max).map(entry).collect();
        let latest = Seq::new(after + entries.len() as u64);
        let bounds = Bounds { first: Seq::FIRST, latest };
        ready(Page { entries, bounds, epoch: Epoch(1), more: false })
    }

    fn bounds(&self, timelines: Vec<TimelineId>) -> StoreFuture<Vec<Bounds>> {
        ready(vec![Bounds::EMPTY; timelines.len()])
    }

    fn trim(&self, _: TimelineId, _: Seq) -> StoreFuture<Bounds> {
        ready(Bounds::EMPTY)
    }

    fn watch(&self, timeline: &TimelineId) -> Watch {
        self.watchers.watch(&timeline.key())
    }

    fn check(&self, _: &mut dyn FnMut(CheckEvent)) -> StoreResult<CheckSummary> {
        Ok(CheckSummary::default())
    }

    fn status(&self) -> Status {
        Status::default()
    }

    fn close(&self) -> StoreFuture<()> {
        ready(())
    }
}

/// Serves a [`NullStore`] on free ports of this machine until the program that started this one
/// ends.
///
/// # Errors
/// If it cannot start.
pub fn serve_nothing() -> Result<(), Problem> {
    // Nobody should find such a server long after it was of use.
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(std::io::Error::from)?;
    note(WARNING);
    let failed = |error: &dyn std::fmt::Display| Problem::Failed(error.to_string());
    let mut config = Config::default();
    for address in [&mut config.server.http.addr, &mut config.server.grpc.addr] {
        "127.0.0.1:0".clone_into(address);
    }
    let store = NullStore::new().map_err(|error| failed(&error))?;
    let running = serve::start_with(Arc::new(store), config).map_err(|error| failed(&error))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready http={} grpc={}", running.http_addr, running.grpc_addr)?;
    out.flush()?;
    loop {
        std::thread::park();
    }
}

/// A running server that keeps nothing, in a process of its own. Dropping this ends it.
pub struct NullServer {
    child: Child,
    /// Where it takes HTTP.
    pub http: SocketAddr,
    /// Where it takes gRPC.
    pub grpc: SocketAddr,
}

impl NullServer {
    /// Starts one.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start() -> Result<NullServer, Problem> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench", "--null-server"]).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let addresses = line.trim().strip_prefix("ready http=").and_then(|rest| {
            let (http, grpc) = rest.split_once(" grpc=")?;
            Some((http.parse().ok()?, grpc.parse().ok()?))
        });
        let Some((http, grpc)) = addresses else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Problem::Failed("the server that keeps nothing did not start".to_owned()));
        };
        Ok(NullServer { child, http, grpc })
    }
}

impl Drop for NullServer {
    fn drop(&mut self) {
        // It keeps nothing, so nothing is lost.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
