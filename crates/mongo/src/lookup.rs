//! Finding out the tails of inboxes: from memory, and from the database where memory has none or a
//! hint says that it is old.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use seqline_core::id::Text;

use crate::call::{Call, Stop};
use crate::db::Collection;
use crate::hints::Hint;

/// Most documents, ids or tails in one command.
pub(crate) const COMMAND_MAX: usize = 1_000;
/// Most commands of one operation at the same time.
pub(crate) const PARALLEL: usize = 8;

/// A tail that was read from the database: memory may not have room for it.
pub(crate) struct Tail {
    pub member: Text,
    /// 0 if there is no entry.
    pub seq: u64,
    /// At this moment of the uptime, or later.
    pub known: Duration,
}

/// Makes this instance know the tails of `members`, as far as it does not. A tail may be too low.
/// Returns those that were read.
pub(crate) async fn know_tails(call: &Call, members: &[Text]) -> Result<Vec<Tail>, Stop> {
    let shared = &call.shared;
    let now = shared.uptime.now();
    let known = |member: &Text| shared.tails.inbox(member.as_str(), now).is_some();
    let missing: Vec<Text> = members.iter().filter(|member| !known(member)).cloned().collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    shared.counts.tails(0, missing.len());
    read_tails(call, &missing).await
}

/// As [`know_tails`], and reads those anew of which a hint says that they are higher.
pub(crate) async fn renew_tails(call: &Call, mut members: Vec<Text>) -> Result<(), Stop> {
    members.sort_unstable();
    members.dedup();
    let (mut grown, unknown) = ask_hints(call, members).await;
    call.shared.counts.tails(grown.len(), unknown.len());
    grown.extend(unknown);
    read_tails(call, &grown).await.map(drop)
}

/// Reads the tails anew of which a hint says that they are higher: a position that another
/// instance has taken costs two round trips. A hint is only a reason to read. Were it taken for a
/// tail, one that is too high would leave a hole.
pub(crate) async fn renew_grown(call: &Call, members: Vec<Text>) -> Result<(), Stop> {
    let (grown, _) = ask_hints(call, members).await;
    call.shared.counts.tails(grown.len(), 0);
    read_tails(call, &grown).await.map(drop)
}

/// The same of hints that are at hand.
pub(crate) async fn read_grown(
    call: &Call,
    hints: impl Iterator<Item = (Text, Option<Hint>)>,
) -> Result<(), Stop> {
    let (grown, _) = grown_and_unknown(call, hints);
    call.shared.counts.tails(grown.len(), 0);
    read_tails(call, &grown).await.map(drop)
}

/// Those of whom a hint says more than is known here, and those of whom nothing is known here.
async fn ask_hints(call: &Call, members: Vec<Text>) -> (Vec<Text>, Vec<Text>) {
    let shared = &call.shared;
    let hints = shared.hints.tails(shared.epoch, members.clone()).await;
    grown_and_unknown(
        call,
        members.into_iter().zip(hints.into_iter().chain(std::iter::repeat(None))),
    )
}

fn grown_and_unknown(
    call: &Call,
    hints: impl Iterator<Item = (Text, Option<Hint>)>,
) -> (Vec<Text>, Vec<Text>) {
    let shared = &call.shared;
    let now = shared.uptime.now();
    let (mut grown, mut unknown) = (Vec::new(), Vec::new());
    for (member, hint) in hints {
        match (shared.tails.inbox(member.as_str(), now), hint) {
            (None, _) => unknown.push(member),
            (Some(known), Some(hint)) if hint.seq.get() > known => grown.push(member),
            _ => {}
        }
    }
    (grown, unknown)
}

/// Reads the tails of `members` from the database.
pub(crate) async fn read_tails(call: &Call, members: &[Text]) -> Result<Vec<Tail>, Stop> {
    let shared = &call.shared;
    let commands: Vec<Vec<Text>> = members.chunks(COMMAND_MAX).map(<[Text]>::to_vec).collect();
    let reads = commands.into_iter().map(|members| async move {
        let known = shared.uptime.now();
        let ids = members.iter().map(|member| member.as_str().to_owned()).collect();
        let found = call.tails(Collection::Inboxes, ids).await?;
        let found: HashMap<String, u64> =
            found.into_iter().map(|tail| (tail.id, tail.seq)).collect();
        let tails = members.into_iter().map(|member| {
            // An inbox without an entry has the tail 0.
            let seq = found.get(member.as_str()).copied().unwrap_or(0);
            shared.tails.know_inbox(member.as_str(), seq, known);
            Tail { member, seq, known }
        });
        Ok(tails.collect::<Vec<_>>())
    });
    let mut reads = stream::iter(reads).buffer_unordered(PARALLEL);
    let mut tails = Vec::with_capacity(members.len());
    while let Some(read) = reads.next().await {
        tails.extend(read?);
    }
    Ok(tails)
}
