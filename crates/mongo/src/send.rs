//! Sending: a group of sends to one conversation, from their numbers to their answers.
//!
//! Two round trips on an instance that knows the tails: the entries of the conversation, then
//! those of the inboxes. Marking them whole comes later.

use std::collections::BTreeMap;
use std::sync::Arc;

use seqline_core::clock::UnixMillis;
use seqline_core::error::Error;
use seqline_core::id::{MessageId, Text};
use seqline_core::seq::Seq;
use seqline_core::store::Receipt;

use crate::call::{Call, Stop};
use crate::counts::Operation;
use crate::documents::Head;
use crate::lookup;
use crate::place::{self, Open, State};
use crate::positions;
use crate::queue::Waiting;
use crate::shared::Shared;
use crate::walk;

/// Sends all of `waiting` to the conversation `id` and answers each.
pub(crate) async fn group(shared: &Arc<Shared>, id: &str, waiting: Vec<Waiting>) {
    let until = waiting.iter().map(|waiting| waiting.until).min().unwrap_or_default();
    let call = Call::until(shared, Operation::Send, until);
    let (mut sends, mut answers) = (Vec::new(), Vec::new());
    for Waiting { send, draft, answer, running, .. } in waiting {
        sends.push(Open::new(send, draft));
        answers.push((answer, running));
    }
    let (placed, delivered) = attempt(&call, id, &mut sends).await;
    for (send, (answer, running)) in sends.into_iter().zip(answers) {
        let result = match (&send.state, &delivered) {
            (State::Refused(error), _) => Err(error.clone()),
            (State::Open, _) => Err(failed(&send, &placed)),
            (_, Err(stop)) => Err(unknown(stop)),
            (State::Stored { seq, at }, Ok(places)) => {
                receipt(&call, &send, *seq, *at, places.get(seq).copied()).await
            }
            (State::Repeat(head), Ok(places)) => {
                repeat(&call, head, places.get(&head.seq).copied()).await
            }
        };
        // Whoever has gone away does not need it.
        let _ = answer.send(result);
        drop(running);
    }
}

/// Where entries stand in the inbox of their last recipient.
type Places = BTreeMap<u64, u64>;

/// Gives every send its number and delivers all that have one: how either went.
async fn attempt(
    call: &Call,
    id: &str,
    sends: &mut [Open],
) -> (Result<(), Stop>, Result<Places, Stop>) {
    let everybody: Vec<Text> =
        sends.iter().flat_map(|send| send.draft.sent.recipients.iter().cloned()).collect();
    // The tails of the inboxes are found out beside; too low is fine, and failing to is not yet.
    let tails = lookup::renew_tails(call, everybody);
    let (_, placed) = futures_util::future::join(tails, place::all(call, id, sends)).await;
    // What is stored goes out even if something else could not be.
    let own: BTreeMap<u64, _> = sends
        .iter()
        .filter(|send| matches!(send.state, State::Stored { .. }))
        .map(|send| (send.draft.sent.seq, &send.draft.sent))
        .collect();
    let repeats = sends.iter().filter_map(|send| match &send.state {
        State::Repeat(head) if head.pending.is_some() => Some(head.seq),
        _ => None,
    });
    let delivered = match own.keys().copied().chain(repeats).max() {
        Some(last) => walk::make_whole(call, id, &own, last).await,
        None => Ok(Places::new()),
    };
    (placed, delivered)
}

/// The answer to a send that stored its message.
async fn receipt(
    call: &Call,
    send: &Open,
    seq: u64,
    at: UnixMillis,
    place: Option<u64>,
) -> Result<Receipt, Error> {
    let sent = &send.draft.sent;
    let last = sent.recipients.last().cloned().unwrap_or_default();
    let place = match place {
        Some(place) => Ok(place),
        // Somebody else delivered it.
        None => positions::find(call, sent.message_id, &last).await,
    };
    Ok(Receipt {
        id: MessageId(sent.message_id),
        conversation_seq: Seq::new(seq),
        receiver_seq: Seq::new(place.map_err(|stop| unknown(&stop))?),
        at,
        repeat: false,
    })
}

/// The answer to a send whose key had stored a message before.
async fn repeat(call: &Call, head: &Head, place: Option<u64>) -> Result<Receipt, Error> {
    let place = match (place, &head.last) {
        (Some(place), _) => Ok(place),
        (None, Some(last)) => positions::find(call, head.message_id, last).await,
        _ => Err(Stop::Corrupt {
            timeline: String::new(),
            seq: head.seq,
            detail: "an entry under a key does not say whom it was for".to_owned(),
        }),
    };
    Ok(Receipt {
        id: MessageId(head.message_id),
        conversation_seq: Seq::new(head.seq),
        receiver_seq: Seq::new(place.map_err(Stop::unavailable)?),
        at: head.at,
        repeat: true,
    })
}

/// The answer to a send that got no number in time.
fn failed(send: &Open, placed: &Result<(), Stop>) -> Error {
    let stop = placed.clone().err().unwrap_or_else(|| Stop::Late("it got no number".to_owned()));
    if send.in_doubt { unknown(&stop) } else { stop.unavailable() }
}

/// It is or may be stored; then it is delivered too, by whoever comes next.
fn unknown(stop: &Stop) -> Error {
    Error::OutcomeUnknown { reason: stop.to_string() }
}
