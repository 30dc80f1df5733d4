//! Faults of broken stores that show in what they read.

use std::sync::atomic::Ordering;

use seqline_core::error::Result;
use seqline_core::id::{ConversationId, Epoch, GroupId, TimelineId};
use seqline_core::message::Body;
use seqline_core::page::{Bounds, Direction, Entry, Page, Read};
use seqline_core::seq::Seq;
use seqline_core::store::Store as _;

use crate::broken::{Broken, Fault};

/// Reads as the fault has it.
pub async fn read(store: Broken, asked: Read) -> Result<Page> {
    let mut read = Read { timeline: real(store.fault, &asked.timeline), ..asked.clone() };
    match store.fault {
        Fault::IgnoresBytesMax => read.bytes_max = usize::MAX,
        Fault::IgnoresDirection => read.direction = Direction::Forward,
        Fault::IgnoresUntil => read.until = Seq::MAX,
        _ => {}
    }
    let mut page = store.inner.read(read).await?;
    let shown = shown(&store, &asked.timeline, page.bounds);
    let floor = store.notes.trims.lock().unwrap().get(&asked.timeline).copied();
    page.entries.retain(|e| e.seq <= shown.latest && e.seq > floor.unwrap_or_default());
    if page.bounds.latest > shown.latest {
        page.more &= page.entries.last().is_none_or(|entry| entry.seq < shown.latest);
    }
    page.bounds = shown;
    change(&store, &asked, &mut page);
    Ok(page)
}

fn change(store: &Broken, asked: &Read, page: &mut Page) {
    let restarts = store.notes.opened.load(Ordering::SeqCst) - 1;
    match store.fault {
        Fault::ChangesEntriesOnRestart if restarts > 0 => {
            page.entries.iter_mut().for_each(|entry| entry.message.sender = None);
        }
        Fault::ChangesEpochOnRestart => page.epoch = Epoch(restarts),
        Fault::HolesUnderLoad if page.entries.len() > 2 => {
            if store.notes.in_flight.load(Ordering::SeqCst) > 0 {
                page.entries.remove(page.entries.len() - 2);
            }
        }
        Fault::NeverMore => page.more = false,
        Fault::SwapsInInbox if matches!(asked.timeline, TimelineId::Inbox(_)) => swap(page),
        _ => page.entries.iter_mut().for_each(|entry| change_entry(store, entry)),
    }
}

fn change_entry(store: &Broken, entry: &mut Entry) {
    let message = &mut entry.message;
    match store.fault {
        Fault::LooksAlike => {
            if let Some(real) = store.notes.conversations.lock().unwrap().get(&message.id) {
                message.conversation = real.clone();
            }
        }
        Fault::ReformatsBodies => {
            if let Ok(value) = serde_json::from_str::<serde_json::Value>(message.body.as_str()) {
                message.body = Body::new(value.to_string(), usize::MAX).unwrap();
            }
        }
        Fault::StoresHalves => {
            if let Some(whole) = store.notes.messages.lock().unwrap().get(&message.id) {
                *message = whole.clone();
            }
        }
        Fault::TimesStepBack => message.at = store.notes.times.lock().unwrap()[&message.id],
        Fault::TruncatesLargeBodies if message.body.len() > 65_535 => {
            message.body = Body::new("{}", usize::MAX).unwrap();
        }
        _ => {}
    }
}

/// The first two messages of one conversation change places.
fn swap(page: &mut Page) {
    let conversation = |entry: &Entry| entry.message.conversation.clone();
    for one in 0..page.entries.len() {
        let same = |entry: &Entry| conversation(entry) == conversation(&page.entries[one]);
        if let Some(further) = page.entries[one + 1..].iter().position(same) {
            let (before, after) = page.entries.split_at_mut(one + 1);
            std::mem::swap(&mut before[one].message, &mut after[further].message);
            return;
        }
    }
}

/// The bounds a broken store shows where the reference store has `bounds`.
pub fn shown(store: &Broken, timeline: &TimelineId, bounds: Bounds) -> Bounds {
    let Bounds { mut first, mut latest } = bounds;
    let floor = store.notes.trims.lock().unwrap().get(timeline).copied();
    match store.fault {
        Fault::HidesNewest => latest = latest.previous(),
        Fault::LosesNewestOnRestart if store.notes.opened.load(Ordering::SeqCst) > 1 => {
            latest = latest.previous();
        }
        Fault::LatestReserved if store.notes.in_flight.load(Ordering::SeqCst) > 0 => {
            latest = latest.next();
        }
        Fault::TrimSilent => first = Seq::FIRST,
        _ => first = floor.map_or(first, Seq::next),
    }
    Bounds { first, latest }
}

/// The timeline a store keeps where `timeline` is asked for.
pub fn real(fault: Fault, timeline: &TimelineId) -> TimelineId {
    match (fault, timeline) {
        (Fault::LooksAlike, TimelineId::Conversation(id)) => real_conversation(id).into(),
        _ => timeline.clone(),
    }
}

/// One name for what should be two things: joined by a colon, cut, and ended by a NUL.
pub fn real_conversation(id: &ConversationId) -> ConversationId {
    let name = match id {
        ConversationId::Direct(one, other) => format!("{}:{}", one.as_str(), other.as_str()),
        ConversationId::Group(group) => group.as_str().to_owned(),
    };
    let name: String = name.chars().take(300).take_while(|letter| *letter != '\0').collect();
    ConversationId::Group(GroupId::new("group", format!("_{name}")).unwrap())
}
