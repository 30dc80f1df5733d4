//! An instance of the distributed store in the test's own process, which sends and reads for a
//! ledger.

use std::sync::Arc;
use std::time::Duration;

use seqline_core::clock::{Clock, Entropy as _};
use seqline_core::error::{Error, Result};
use seqline_core::fanout::{Members, Outgoing};
use seqline_core::id::{
    ConversationId, GroupId, IdempotencyKey, MemberId, MessageId, Text, TimelineId,
};
use seqline_core::message::Body;
use seqline_core::page::{Direction, Page, Read};
use seqline_core::seq::Seq;
use seqline_core::store::{Receipt, Store as _};
use seqline_mongo::db::driver::MongoDb;
use seqline_mongo::hints::Nothing;
use seqline_mongo::uptime::SystemUptime;
use seqline_mongo::{MongoStore, Options, Ports};
use seqline_server::system::{SystemClock, SystemEntropy};

use crate::crash::ledger::{Attempt, Cast, Ledger};
use crate::crash::load;
use crate::support::mongo_proxy::{Fault, MongoProxy, When, gate};

/// Long enough that it does not happen in a test.
pub const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// An instance that does only what it is told to: it neither marks nor resumes by itself.
pub fn idle(uri: String, database: &str) -> Options {
    let database = database.to_owned();
    Options { uri, database, care_interval: NEVER, mark_interval: NEVER, ..Options::default() }
}

/// Opens an instance that works alone, without Redis.
pub async fn open(options: Options) -> MongoStore {
    open_at(options, Arc::new(SystemClock)).await
}

/// The same at another time.
pub async fn open_at(options: Options, clock: Arc<dyn Clock>) -> MongoStore {
    let opened = MongoStore::connect(options, ports(clock)).await;
    opened.expect("it can be opened")
}

/// The same on connections that are there. It knows nothing yet.
pub async fn open_on(db: &MongoDb, options: Options) -> MongoStore {
    let opened = MongoStore::open(Arc::new(db.clone()), options, ports(Arc::new(SystemClock)));
    opened.await.expect("it can be opened")
}

fn ports(clock: Arc<dyn Clock>) -> Ports {
    Ports {
        clock,
        entropy: Arc::new(SystemEntropy),
        uptime: Arc::new(SystemUptime),
        hints: Arc::new(Nothing),
        notices: Arc::new(Nothing),
    }
}

/// Delivers all that is pending, whoever began it.
pub async fn settle(store: &MongoStore) {
    while store.resume(Duration::ZERO).await.expect("what was left can be finished") > 0 {}
}

fn member(number: usize) -> MemberId {
    MemberId::new("member", load::member(number)).unwrap()
}

fn group(conversation: usize) -> GroupId {
    GroupId::new("group", load::group(conversation)).unwrap()
}

/// The inbox of a member.
pub fn inbox(number: usize) -> TimelineId {
    TimelineId::Inbox(member(number))
}

/// The timeline of a conversation.
pub fn conversation(cast: &Cast, number: usize) -> TimelineId {
    let both = cast.of(number);
    match cast.is_direct(number) {
        true => ConversationId::direct(member(both[0]), member(both[1])).into(),
        false => ConversationId::Group(group(number)).into(),
    }
}

/// The call that makes an attempt. Each has another message id, as each call of a server has.
pub fn outgoing(attempt: &Attempt) -> Outgoing {
    let random = || u128::from(SystemEntropy.random());
    let id = MessageId(random() << 64 | random());
    let body = Body::new(attempt.body(), 1 << 20).unwrap();
    let key = format!("key-{}", attempt.id);
    let key = attempt.keyed.then(|| IdempotencyKey::new(Text::from(key.as_str())).unwrap());
    let recipients = &attempt.recipients;
    if let Some(to) = attempt.to {
        let from = recipients.iter().find(|member| **member != to).expect("a pair has two");
        return Outgoing::direct(id, member(*from), member(to), body, key);
    }
    let names = recipients.iter().map(|number| load::member(*number));
    let members = Members::new("members", names, usize::MAX).unwrap();
    Outgoing::group(id, group(attempt.conversation), members, body, key)
}

/// Makes an attempt.
pub async fn send(store: &MongoStore, attempt: &Attempt) -> Result<Receipt> {
    store.append(outgoing(attempt)).await
}

/// The page behind `after`.
pub async fn page(store: &MongoStore, timeline: &TimelineId, after: i64) -> Page {
    let read = Read {
        timeline: timeline.clone(),
        after: Seq::new(after.unsigned_abs()),
        until: Seq::MAX,
        direction: Direction::Forward,
        entries_max: 1_000,
        bytes_max: usize::MAX,
    };
    let page = store.read(read).await.expect("it can be read");
    let numbers: Vec<u64> = page.entries.iter().map(|entry| entry.seq.get()).collect();
    let expected = (after.unsigned_abs() + 1..).take(numbers.len());
    assert!(numbers.iter().copied().eq(expected), "behind {after} of {timeline}: {numbers:?}");
    page
}

/// Reads whatever the ledger has not read yet, conversations first.
pub async fn read_on(store: &MongoStore, ledger: &mut Ledger) {
    for number in 0..ledger.cast().conversations() {
        read_conversation(store, ledger, number).await;
    }
    for number in 0..ledger.cast().members() {
        read_inbox(store, ledger, number).await;
    }
}

/// Reads what is new in a conversation.
pub async fn read_conversation(store: &MongoStore, ledger: &mut Ledger, number: usize) {
    let timeline = conversation(ledger.cast(), number);
    loop {
        let found = page(store, &timeline, ledger.conversation_read(number)).await;
        for entry in &found.entries {
            ledger.in_conversation(number, entry.message.body.as_str());
        }
        if !found.more {
            return;
        }
    }
}

/// Reads what is new in an inbox.
pub async fn read_inbox(store: &MongoStore, ledger: &mut Ledger, number: usize) {
    loop {
        let found = page(store, &inbox(number), ledger.inbox_read(number)).await;
        for entry in &found.entries {
            ledger.in_inbox(number, entry.message.body.as_str());
        }
        if !found.more {
            let read = ledger.inbox_read(number).unsigned_abs();
            assert_eq!(found.bounds.latest, Seq::new(read), "the end of inbox {number}");
            return;
        }
    }
}

/// A send whose instance dies when it has put the entry into so many inboxes.
pub async fn leave_half(proxy: &MongoProxy, database: &str, attempt: &Attempt, inboxes: usize) {
    let store = open(idle(proxy.uri(), database)).await;
    let (middle, held) = gate();
    proxy.rule(When::command("insert").on("chat_sync"), Fault::SplitAt(inboxes, middle));
    let sending = tokio::spawn(store.append(outgoing(attempt)));
    held.reached().await;
    drop(store);
    proxy.drop_connections();
    let answer = sending.await.unwrap();
    assert!(matches!(answer, Err(Error::OutcomeUnknown { .. })), "{answer:?}");
    proxy.clear();
}
