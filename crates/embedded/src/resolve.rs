//! Finding the timelines of a send, on its caller's thread: in memory, without waiting for the
//! disk. What is not found there is left to the loaders.

use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;
use seqline_core::fanout::Members;

use crate::dedupe::Forgotten;
use crate::engine::Engine;
use crate::queue::{Append, Places};
use crate::timelines::{Place, begin};

/// From so many recipients on it pays to remember where they are.
const ROSTER_MIN: usize = 16;
/// What rosters may take together, and what a member of one does beside its id.
const ROSTERS_BYTES_MAX: usize = 16 * 1024 * 1024;
const MEMBER_BYTES: usize = 32;

/// Where the members of groups were found last. A group is mostly sent to with the same list, and
/// comparing two lists is far cheaper than looking every name up.
#[derive(Default)]
pub(crate) struct Rosters(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    rosters: HashMap<Vec<u8>, Arc<Roster>, foldhash::fast::RandomState>,
    bytes: usize,
}

struct Roster {
    members: Members,
    places: Box<[Place]>,
    /// About what it takes.
    bytes: usize,
}

impl Rosters {
    /// Where the recipients of `append` are, if the same were sent to before.
    fn find(&self, append: &Append) -> Option<Box<[Place]>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let roster = Arc::clone(kept.rosters.get(&append.conversation)?);
        drop(kept);
        let same = roster.members.iter().eq(append.send.recipients.iter());
        same.then(|| roster.places.clone())
    }

    fn keep(&self, append: &Append) {
        let Append { send, conversation, places, .. } = append;
        let members = send.recipients.detached();
        let ids: usize = members.iter().map(<[u8]>::len).sum();
        let bytes = ids + members.len() * MEMBER_BYTES + conversation.len();
        let roster = Roster { members, places: places.recipients.clone(), bytes };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes + bytes > ROSTERS_BYTES_MAX {
            *kept = Kept::default();
        }
        kept.bytes += bytes;
        let old = kept.rosters.insert(conversation.clone(), Arc::new(roster));
        kept.bytes -= old.map_or(0, |old| old.bytes);
    }

    /// Some of them were no longer where they had been.
    pub(crate) fn forget(&self, conversation: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let old = kept.rosters.remove(conversation);
        kept.bytes -= old.map_or(0, |old| old.bytes);
    }
}

/// Finds what a commit of `append` needs. Says whether that is everything.
pub(crate) fn resolve(engine: &Engine, forgotten: &Forgotten, append: &mut Append) -> bool {
    let large = append.send.recipients.len() >= ROSTER_MIN;
    let known = if large { engine.rosters.find(append) } else { None };
    let fresh = known.is_none();
    let mut all = find(engine, append, known);
    if !all {
        all = begin_new(engine, append);
    }
    if large && fresh && all {
        engine.rosters.keep(append);
    }
    let key = append.key.as_mut().is_none_or(|key| {
        key.stored = forgotten.surely_new(&engine.index, &key.row);
        key.stored.is_some()
    });
    all && key
}

/// Looks the timelines up. Says whether all were found.
fn find(engine: &Engine, append: &mut Append, known: Option<Box<[Place]>>) -> bool {
    let lookup = engine.table.lookup();
    let mut all = true;
    let mut find = |kind, rest: &[u8]| {
        let place = lookup.find(kind, rest);
        all &= place.is_some();
        place.unwrap_or(Place::NOWHERE)
    };
    let conversation = find(append.conversation[0], &append.conversation[1..]);
    let recipients = known.unwrap_or_else(|| {
        append.send.recipients.iter().map(|member| find(b'i', member)).collect()
    });
    append.places = Places { conversation, recipients };
    all
}

/// Takes those timelines into use that were not found because they are new.
fn begin_new(engine: &Engine, append: &mut Append) -> bool {
    let index = engine.index.snapshot();
    let Append { send, conversation, places, .. } = append;
    let mut all = true;
    let mut begin_one = |place: &mut Place, key: &[u8]| match begin(engine, &index, key) {
        Some(found) => *place = found,
        None => all = false,
    };
    if places.conversation == Place::NOWHERE {
        begin_one(&mut places.conversation, conversation);
    }
    let mut key = Vec::new();
    for (member, place) in send.recipients.iter().zip(&mut places.recipients) {
        if *place == Place::NOWHERE {
            key.clear();
            key.push(b'i');
            key.extend_from_slice(member);
            begin_one(place, &key);
        }
    }
    all
}
