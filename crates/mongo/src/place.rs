//! Numbers: putting messages at the end of their conversation, each exactly once.
//!
//! An insert at the tail + 1 either succeeds, and then that is the number, or somebody else has
//! the number or the `_id`. After a refusal, or no reply, one looks for the own `_id`; only if it
//! is not there, one tries again, behind a tail read afresh.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use seqline_core::clock::UnixMillis;
use seqline_core::error::Error;
use seqline_core::fanout::Outgoing;

use crate::call::{Call, Stop};
use crate::db::{Collection, Fields, Order, Outcome, Query, Update};
use crate::documents::{self, Draft, Head};
use crate::stem::Stem;
use crate::tails::Newest;
use crate::walk::corrupt;

/// A send under way.
#[derive(Debug)]
pub(crate) struct Open {
    pub send: Outgoing,
    pub draft: Draft,
    pub state: State,
    /// Whether an insert of it had no reply: it may be stored until the operation's deadline.
    pub in_doubt: bool,
    /// How often its key was free again.
    use_of_key: u32,
}

/// How far a send is.
#[derive(Debug)]
pub(crate) enum State {
    /// Not known to be stored.
    Open,
    /// Stored at this position by this very send.
    Stored {
        /// The position.
        seq: u64,
        /// When it was taken in.
        at: UnixMillis,
    },
    /// An earlier send under the same key is stored.
    Repeat(Head),
    /// Not stored, and never will be.
    Refused(Error),
}

impl Open {
    pub fn new(send: Outgoing, draft: Draft) -> Open {
        Open { send, draft, state: State::Open, in_doubt: false, use_of_key: 0 }
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }
}

/// Places all `sends` at the end of the conversation `id`.
///
/// # Errors
/// If time is up; those placed by then are.
pub(crate) async fn all(call: &Call, id: &str, sends: &mut [Open]) -> Result<(), Stop> {
    let mut fresh = false;
    for round in 0.. {
        if !sends.iter().any(Open::is_open) {
            break;
        }
        if round > 1 {
            call.pause(round - 2).await;
        }
        let newest = newest(call, id, fresh).await?;
        insert(call, id, sends, newest).await?;
        if sends.iter().any(Open::is_open) {
            look(call, id, sends).await?;
        }
        fresh = true;
    }
    Ok(())
}

/// The newest entry of a conversation, from memory or from the database.
async fn newest(call: &Call, id: &str, fresh: bool) -> Result<Newest, Stop> {
    let shared = &call.shared;
    let known = shared.uptime.now();
    if !fresh && let Some(newest) = shared.tails.newest(id, known) {
        return Ok(newest);
    }
    let found = call.tails(Collection::History, vec![id.to_owned()]).await?;
    let mut newest = Newest { seq: 0, at: UnixMillis(0) };
    if let Some(tail) = found.first() {
        newest = Newest { seq: tail.seq, at: tail.at };
        if !tail.pending {
            shared.tails.know_whole(id, tail.seq);
        }
    }
    shared.tails.know_newest(id, newest, known);
    Ok(newest)
}

/// Inserts all that are open behind `newest`: several in one ordered command, a single one with
/// those of other conversations, unless its last insert had no reply.
async fn insert(call: &Call, id: &str, sends: &mut [Open], newest: Newest) -> Result<(), Stop> {
    let shared = &call.shared;
    let (now, known) = (shared.clock.now(), shared.uptime.now());
    let at = now.max(newest.at);
    let mut documents = Vec::new();
    for (send, seq) in sends.iter_mut().filter(|send| send.is_open()).zip(newest.seq + 1..) {
        send.draft.sent.seq = seq;
        send.draft.sent.at = at;
        documents.push(send.draft.document(id, now));
    }
    let in_doubt = sends.iter().any(|send| send.is_open() && send.in_doubt);
    let order = match documents.len() {
        1 if in_doubt => Order::Alone,
        1 => Order::Unordered,
        _ => Order::Ordered,
    };
    let outcomes = call.insert(Collection::History, documents, order).await?;
    let open = sends.iter_mut().filter(|send| send.is_open());
    let Some(outcomes) = outcomes else {
        open.for_each(|send| send.in_doubt = true);
        return Ok(());
    };
    shared.counts.taken(outcomes.iter().filter(|o| **o == Outcome::Refused).count());
    for (send, outcome) in open.zip(outcomes) {
        if outcome == Outcome::Stored {
            let seq = send.draft.sent.seq;
            stored(call, id, send, seq, at, known);
        }
    }
    Ok(())
}

fn stored(call: &Call, id: &str, send: &mut Open, seq: u64, at: UnixMillis, known: Duration) {
    send.state = State::Stored { seq, at };
    send.draft.sent.seq = seq;
    send.draft.sent.at = at;
    call.shared.tails.know_newest(id, Newest { seq, at }, known);
}

/// Looks for the `_id`s of all that are open, and decides what was found.
async fn look(call: &Call, id: &str, sends: &mut [Open]) -> Result<(), Stop> {
    let known = call.shared.uptime.now();
    let open = sends.iter().filter(|send| send.is_open());
    let ids = open.map(|send| send.draft.sent.stem.into()).collect();
    let query = Query::Ids { of: Collection::History, ids, fields: Fields::Head };
    let mut found: BTreeMap<Stem, Head> = BTreeMap::new();
    for document in call.find(query).await? {
        let head = corrupt(id, 0, Head::read(&document))?;
        found.extend(head.stem.map(|stem| (stem, head)));
    }
    for send in sends.iter_mut().filter(|send| send.is_open()) {
        let Some(head) = found.get(&send.draft.sent.stem) else {
            continue;
        };
        if head.message_id == send.draft.sent.message_id {
            stored(call, id, send, head.seq, head.at, known);
        } else if is_over(call, head) {
            use_again(call, send, head).await?;
        } else if head.digest == send.draft.digest {
            send.state = State::Repeat(head.clone());
        } else {
            send.state = State::Refused(Error::Conflict);
        }
    }
    Ok(())
}

/// Whether the window of the key under which `head` is stored is over.
fn is_over(call: &Call, head: &Head) -> bool {
    let age = call.shared.clock.now().0.saturating_sub(head.at.0);
    head.again || Duration::from_millis(age) >= call.shared.options.key_window
}

/// Most uses of a key that are looked for in one command.
const USES: u32 = 64;

/// Takes the key into its next use. The entry of the last one is told first, after which it is
/// never deleted: else its `_id` would be free, and the next use of the key not be found. Told is
/// the entry that was looked at: another try of this send may have its `_id` by now.
async fn use_again(call: &Call, send: &mut Open, head: &Head) -> Result<(), Stop> {
    let id = send.draft.sent.stem.id();
    // If it is gone by now, its own `_id` is free and the next try takes it.
    let gone = !head.again && call.update(Update::UseAgain { id, seq: head.seq }).await? == 0;
    if let Some(key) = send.send.key.as_ref().filter(|_| !gone) {
        let stem = |times| Stem::of_key(&send.send.conversation, key, times);
        let next = send.use_of_key + 1;
        let next = if head.again { first_unused(call, stem, next).await? } else { next };
        send.draft.sent.stem = stem(next);
        send.use_of_key = next;
    }
    Ok(())
}

/// The first use of a key from `times` on whose entry is not told that another follows. Those
/// that are told stay for ever, so none of them is missing.
async fn first_unused(
    call: &Call,
    stem: impl Fn(u32) -> Stem,
    mut times: u32,
) -> Result<u32, Stop> {
    loop {
        let ids = (times..times + USES).map(|times| stem(times).into()).collect();
        let query = Query::Ids { of: Collection::History, ids, fields: Fields::Head };
        let found = call.find(query).await?;
        let told = found.iter().filter(|d| documents::field(d, documents::AGAIN).is_some());
        let told: BTreeSet<Stem> = told.filter_map(|document| documents::stem(document)).collect();
        let is_told = |times: &u32| told.contains(&stem(*times));
        let end = times + USES;
        times = (times..end).find(|times| !is_told(times)).unwrap_or(end);
        if times < end {
            return Ok(times);
        }
    }
}
