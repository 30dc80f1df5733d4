//! Many connections that send until the server is gone, and one that reads everything back.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use seqline_api::timeline::v1::timeline_client::TimelineClient;
use seqline_api::timeline::v1::{
    GetGroupHistoryMessageRequest, GetSingleHistoryMessageRequest, SendGroupRequest,
    SendMessageRequest, SyncMessageRequest, TimelineEntry,
};
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::ledger::{Attempt, Cast, Ledger, Outcome};

/// Connections that send at the same time.
pub const WORKERS: usize = 24;

pub type Client = TimelineClient<Channel>;

pub async fn connect(addr: SocketAddr) -> Result<Client, tonic::transport::Error> {
    let channel = Endpoint::from_shared(format!("http://{addr}"))?.connect().await?;
    Ok(TimelineClient::new(channel))
}

/// Numbers attempts and counts acknowledgements.
#[derive(Debug, Default)]
pub struct Counters {
    cast: Cast,
    next: AtomicUsize,
    acknowledged: AtomicUsize,
    grown: tokio::sync::Notify,
    over: AtomicBool,
}

impl Counters {
    /// For other conversations than the usual ones.
    pub fn of(cast: Cast) -> Counters {
        Counters { cast, ..Counters::default() }
    }

    /// What is sent next: a direct or a group send, with or without a key.
    pub fn plan(&self, worker: usize) -> Attempt {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let conversation = (id * 7 + worker) % self.cast.conversations();
        let recipients = self.cast.of(conversation).clone();
        let to = self.cast.is_direct(conversation).then(|| recipients[id / 2 % 2]);
        let keyed = id.is_multiple_of(2);
        Attempt { id, worker, conversation, recipients, to, keyed, outcome: Outcome::Unknown }
    }

    /// One more send was acknowledged.
    pub fn count(&self) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        self.grown.notify_waiters();
    }

    /// Waits until so many sends were acknowledged in all.
    pub async fn reach(&self, acknowledged: usize) {
        loop {
            let grown = self.grown.notified();
            if self.acknowledged.load(Ordering::Relaxed) >= acknowledged {
                return;
            }
            grown.await;
        }
    }

    /// Lets the workers end after the send they are at.
    pub fn finish(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }
}

/// Asked after each acknowledgement: whether it came early enough to count.
pub type Witness = Arc<dyn Fn() -> bool + Send + Sync>;

/// Starts the load. Each worker ends at its first failure, or when all is over, and gives what it
/// tried.
pub fn start(addr: SocketAddr, counters: &Arc<Counters>) -> JoinSet<Vec<Attempt>> {
    start_workers(addr, counters, 0..WORKERS)
}

/// Like [`start`], with other workers. Each number stands for one that does one thing after the
/// other.
pub fn start_workers(
    addr: SocketAddr,
    counters: &Arc<Counters>,
    workers: Range<usize>,
) -> JoinSet<Vec<Attempt>> {
    work(addr, counters, &(Arc::new(|| true) as Witness), workers)
}

/// Like [`start`], but what is acknowledged without a witness counts as unknown and ends a worker.
pub fn start_before(
    addr: SocketAddr,
    counters: &Arc<Counters>,
    witness: &Witness,
) -> JoinSet<Vec<Attempt>> {
    work(addr, counters, witness, 0..WORKERS)
}

fn work(
    addr: SocketAddr,
    counters: &Arc<Counters>,
    witness: &Witness,
    numbers: Range<usize>,
) -> JoinSet<Vec<Attempt>> {
    let mut workers = JoinSet::new();
    for worker in numbers {
        let (counters, witness) = (Arc::clone(counters), Arc::clone(witness));
        workers.spawn(async move {
            let mut attempts = Vec::new();
            let Ok(mut client) = connect(addr).await else { return attempts };
            loop {
                let mut attempt = counters.plan(worker);
                let answer = send(&mut client, &attempt).await;
                let late = answer.is_ok() && !witness();
                if let (Ok(seq), false) = (&answer, late) {
                    let seq = *seq;
                    attempt.outcome = Outcome::Acknowledged(seq);
                    counters.count();
                }
                attempts.push(attempt);
                if let Err(status) = &answer {
                    refused_by_nobody(status);
                }
                let over = counters.over.load(Ordering::Relaxed);
                if late || over || answer.is_err() {
                    return attempts;
                }
            }
        });
    }
    workers
}

/// A server that is killed or stops breaks connections; it never says that a good send is bad.
fn refused_by_nobody(status: &Status) {
    let broken = [Code::Unavailable, Code::Unknown, Code::Cancelled, Code::Internal];
    assert!(broken.contains(&status.code()), "{status:?}");
}

/// Sends it, or sends it again. Of a direct send the position in the receiver's inbox.
pub async fn send(client: &mut Client, attempt: &Attempt) -> Result<Option<i64>, Status> {
    let recipients = &attempt.recipients;
    if let Some(to) = attempt.to {
        let from = recipients.iter().find(|member| **member != to).expect("a pair has two");
        let (from, to) = (member(*from), member(to));
        let message = SendMessageRequest { from, to, message: attempt.body() };
        let reply = client.send(keyed(message, attempt)).await?;
        return Ok(Some(reply.into_inner().sequence));
    }
    let message = SendGroupRequest {
        group_name: group(attempt.conversation),
        group_members: recipients.iter().copied().map(member).collect(),
        message: attempt.body(),
    };
    let reply = client.send_group(keyed(message, attempt)).await?.into_inner();
    assert!(reply.failed_members.is_empty(), "{reply:?}");
    Ok(None)
}

fn keyed<T>(message: T, attempt: &Attempt) -> Request<T> {
    let mut request = Request::new(message);
    if attempt.keyed {
        let key = format!("key-{}", attempt.id).parse().expect("a key is plain text");
        request.metadata_mut().insert("idempotency-key", key);
    }
    request
}

pub fn member(number: usize) -> String {
    format!("member-{number}")
}

pub fn group(conversation: usize) -> String {
    format!("group-{conversation}")
}

/// Reads whatever the ledger has not read yet, conversations first.
pub async fn read_on(client: &mut Client, ledger: &mut Ledger) {
    let cast = ledger.cast().clone();
    for conversation in 0..cast.conversations() {
        loop {
            let last_read = ledger.conversation_read(conversation);
            let entries = history(client, &cast, conversation, last_read).await;
            if entries.is_empty() {
                break;
            }
            in_sequence(last_read, &entries);
            for entry in &entries {
                ledger.in_conversation(conversation, &entry.message);
            }
        }
    }
    for number in 0..cast.members() {
        loop {
            let last_read = ledger.inbox_read(number);
            let sync = SyncMessageRequest { member: member(number), last_read, count: 0 };
            let page = client.get_sync_message(sync).await.unwrap().into_inner();
            if page.entry_set.is_empty() {
                assert_eq!(page.latest_seq, last_read, "inbox of {number} ends where it was read");
                break;
            }
            in_sequence(last_read, &page.entry_set);
            for entry in &page.entry_set {
                ledger.in_inbox(number, &entry.message);
            }
        }
    }
}

/// What follows in a conversation.
pub async fn history(
    client: &mut Client,
    cast: &Cast,
    conversation: usize,
    last_read: i64,
) -> Vec<TimelineEntry> {
    if cast.is_direct(conversation) {
        let both = cast.of(conversation);
        let (from, to) = (member(both[0]), member(both[1]));
        let request = GetSingleHistoryMessageRequest { from, to, last_read, count: 0 };
        client.get_single_history_message(request).await.unwrap().into_inner().entry_set
    } else {
        let group = group(conversation);
        let request = GetGroupHistoryMessageRequest { group, last_read, count: 0 };
        client.get_group_history_message(request).await.unwrap().into_inner().entry_set
    }
}

/// Entries are numbered on from the cursor without a hole.
pub fn in_sequence(last_read: i64, entries: &[TimelineEntry]) {
    let numbers: Vec<i64> = entries.iter().map(|entry| entry.sequence).collect();
    let expected: Vec<i64> = (last_read + 1..).take(entries.len()).collect();
    assert_eq!(numbers, expected);
}
