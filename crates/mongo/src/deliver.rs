//! Fan-out: entries of one conversation into the inboxes of those who are to have them.
//!
//! The rules that keep one order and exactly one entry per member:
//! * An entry goes into an inbox only once every earlier one that belongs there is known to be in
//!   it: because all before the first entry given here are whole, and because an inbox's later
//!   entries wait for its earlier ones.
//! * Several entries of one inbox only ever travel in an ordered insert.
//! * After a refusal or no reply one looks for the `_id`, and reads the tail afresh. No number is
//!   ever guessed.

mod commands;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use mongodb::bson::{Binary, Bson, RawDocumentBuf};
use seqline_core::clock::UnixMillis;
use seqline_core::id::{MemberId, Text, TimelineId};
use seqline_core::seq::Seq;

use self::commands::Place;
use crate::call::{Call, Stop};
use crate::claims;
use crate::db::{Collection, Fields, Order, Outcome, Query};
use crate::documents::{self, Sent, inbox_document};
use crate::hints::Hint;
use crate::lookup::{self, COMMAND_MAX, PARALLEL, Tail};
use crate::names;
use crate::stem::inbox_id;

/// After how long the hints are asked again for tails, just before these are used: by then another
/// instance may have raised them, and a position that is taken costs two round trips.
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// An entry to deliver.
pub(crate) struct Entry<'a> {
    pub sent: &'a Sent,
    /// Whether this operation has just stored it, so that it is unlikely to be in any inbox yet.
    pub new: bool,
}

/// One inbox and what it is still to get.
struct Inbox {
    member: Text,
    /// Indexes of entries, in their order.
    queue: VecDeque<usize>,
    /// Its `_id`s must be looked for before anything is inserted.
    look: bool,
    /// Its tail must be read from the database, whatever memory says.
    fresh: bool,
    /// Its tail as it was read last, and when: memory may have lost it since.
    read: Option<(u64, Duration)>,
}

/// A fan-out under way.
struct Delivery<'a> {
    call: &'a Call,
    /// The conversation's id.
    id: &'a str,
    entries: &'a [Entry<'a>],
    inboxes: Vec<Inbox>,
    /// Of each entry, its position in the inbox of its last recipient.
    places: Vec<u64>,
    /// Whether an insert had no reply.
    silence: bool,
    /// When the hints were asked last for the tails of all inboxes.
    asked: Duration,
}

/// Delivers `entries`, consecutive ones of the conversation `id` before which everything is
/// whole. Returns of each its position in the inbox of its last recipient.
///
/// # Errors
/// If time is up: some may have arrived, and whoever comes next goes on.
pub(crate) async fn deliver(
    call: &Call,
    id: &str,
    entries: &[Entry<'_>],
) -> Result<Vec<u64>, Stop> {
    let inboxes = inboxes(entries);
    let places = vec![0; entries.len()];
    let mut delivery =
        Delivery { call, id, entries, inboxes, places, silence: false, asked: call.began };
    let result = delivery.run().await;
    delivery.tell();
    result.map(|()| delivery.places)
}

/// The inboxes that the entries belong into, each with its part of them.
fn inboxes(entries: &[Entry<'_>]) -> Vec<Inbox> {
    let mut found: Vec<Inbox> = Vec::new();
    let mut places: HashMap<&Text, usize> = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        for member in &entry.sent.recipients {
            let place = *places.entry(member).or_insert_with(|| {
                let queue = VecDeque::new();
                found.push(Inbox {
                    member: member.clone(),
                    queue,
                    look: false,
                    fresh: false,
                    read: None,
                });
                found.len() - 1
            });
            found[place].queue.push_back(index);
            found[place].look |= !entry.new;
        }
    }
    found
}

impl Delivery<'_> {
    async fn run(&mut self) -> Result<(), Stop> {
        for round in 0.. {
            // Whoever lost twice lets the others go first.
            if round > 1 && self.inboxes.iter().any(|inbox| inbox.fresh) {
                self.call.pause(round - 2).await;
            }
            let (looked, tails) = futures_util::future::join(self.look(), self.know()).await;
            self.take_tails(tails?);
            self.take_found(&looked?);
            if self.inboxes.iter().all(|inbox| inbox.queue.is_empty()) {
                return Ok(());
            }
            self.insert().await?;
            if self.inboxes.iter().all(|inbox| inbox.queue.is_empty()) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Which of the uncertain entries are there: `_id` and position.
    async fn look(&self) -> Result<Vec<(Vec<u8>, u64)>, Stop> {
        let uncertain = self.inboxes.iter().filter(|inbox| inbox.look);
        let ids: Vec<Bson> = uncertain
            .flat_map(|inbox| inbox.queue.iter().map(move |index| (inbox, *index)))
            .map(|(inbox, index)| self.id_in(inbox, index))
            .map(Bson::Binary)
            .collect();
        let commands: Vec<Vec<Bson>> = ids.chunks(COMMAND_MAX).map(<[Bson]>::to_vec).collect();
        let looks = commands.into_iter().map(|ids| {
            let of = Collection::Inboxes;
            self.call.find(Query::Ids { of, ids, fields: Fields::Head })
        });
        let mut looks = stream::iter(looks).buffer_unordered(PARALLEL);
        let mut found = Vec::new();
        while let Some(documents) = looks.next().await {
            for document in documents? {
                let seq = documents::number(&document, documents::SEQ).unwrap_or(0);
                if let Some(mongodb::bson::RawBsonRef::Binary(id)) =
                    documents::field(&document, documents::ID)
                {
                    found.push((id.bytes.to_vec(), seq));
                }
            }
        }
        Ok(found)
    }

    fn id_in(&self, inbox: &Inbox, index: usize) -> Binary {
        inbox_id(self.entries[index].sent.message_id, inbox.member.as_str())
    }

    /// Makes the tails known of the inboxes that still need something.
    async fn know(&self) -> Result<Vec<Tail>, Stop> {
        let waiting = self.inboxes.iter().filter(|inbox| !inbox.queue.is_empty());
        let (fresh, other): (Vec<&Inbox>, Vec<&Inbox>) = waiting.partition(|inbox| inbox.fresh);
        let names = |inboxes: Vec<&Inbox>| -> Vec<Text> {
            inboxes.into_iter().map(|inbox| inbox.member.clone()).collect()
        };
        let mut tails = lookup::read_tails(self.call, &names(fresh)).await?;
        tails.extend(lookup::know_tails(self.call, &names(other)).await?);
        Ok(tails)
    }

    fn take_tails(&mut self, tails: Vec<Tail>) {
        let read: HashMap<Text, (u64, Duration)> =
            tails.into_iter().map(|tail| (tail.member, (tail.seq, tail.known))).collect();
        for inbox in &mut self.inboxes {
            inbox.read = read.get(&inbox.member).copied().or(inbox.read);
        }
    }

    /// Drops from the queues what is there.
    fn take_found(&mut self, found: &[(Vec<u8>, u64)]) {
        let found: BTreeMap<&[u8], u64> = found.iter().map(|(id, seq)| (&id[..], *seq)).collect();
        let (entries, places) = (self.entries, &mut self.places);
        for inbox in self.inboxes.iter_mut().filter(|inbox| inbox.look) {
            inbox.look = false;
            inbox.queue.retain(|index| {
                let sent = entries[*index].sent;
                let id = inbox_id(sent.message_id, inbox.member.as_str());
                let seq = found.get(&id.bytes[..]).copied();
                if let Some(seq) = seq
                    && sent.recipients.last() == Some(&inbox.member)
                {
                    places[*index] = seq;
                }
                seq.is_none()
            });
        }
    }

    /// One command per inbox with all it lacks, or one document per inbox and command; for those
    /// inboxes to which no other send on this instance adds at the moment.
    async fn insert(&mut self) -> Result<(), Stop> {
        let shared = Arc::clone(&self.call.shared);
        let waiting: Vec<usize> =
            (0..self.inboxes.len()).filter(|at| !self.inboxes[*at].queue.is_empty()).collect();
        let members: Vec<&Text> = waiting.iter().map(|at| &self.inboxes[*at].member).collect();
        // Until the outcome is known; the tails are looked up only now.
        let taken = self.call.in_time(shared.turns.take(&members)).await?;
        let turns: Vec<Text> = taken.places.iter().map(|place| members[*place].clone()).collect();
        let mut waiting: Vec<usize> = taken.places.iter().map(|place| waiting[*place]).collect();
        let call = self.call;
        // Likewise.
        let claimed = claims::take(call, &turns).await?;
        if let Some(claimed) = &claimed {
            self.asked = shared.uptime.now();
            waiting = claimed.places.iter().map(|place| waiting[*place]).collect();
        } else {
            self.asked = self.ask_again(turns).await?;
        }
        let (waiting, unknown): (Vec<usize>, Vec<usize>) =
            waiting.into_iter().partition(|at| self.tail(&self.inboxes[*at]).is_some());
        unknown.into_iter().for_each(|at| self.inboxes[at].fresh = true);
        let commands = self.commands(&waiting);
        let this = &*self;
        let inserts = commands.into_iter().map(|command| async move {
            let known = this.call.shared.uptime.now();
            // Made only when its turn comes, so that few of many are in memory at once.
            let documents = command.iter().map(|place| this.document(*place)).collect();
            let order = match () {
                () if commands::repeats_an_inbox(&command) => Order::Ordered,
                () if this.silence => Order::Alone,
                () => Order::Unordered,
            };
            let outcomes = this.call.insert(Collection::Inboxes, documents, order).await?;
            Ok((command, outcomes, known))
        });
        let done: Vec<Result<_, Stop>> =
            stream::iter(inserts).buffer_unordered(PARALLEL).collect().await;
        let mut result = Ok(());
        for command in done {
            match command {
                Ok((places, outcomes, known)) => self.take_over(&places, outcomes, known),
                Err(stop) => result = Err(stop),
            }
        }
        result
    }

    /// Asks the hints for the tails of `members`, whose turn it is, if they were asked long ago,
    /// and reads those that have grown. Returns when they were asked.
    async fn ask_again(&self, members: Vec<Text>) -> Result<Duration, Stop> {
        let now = self.call.shared.uptime.now();
        if now.saturating_sub(self.asked) < ASK_AGAIN {
            return Ok(self.asked);
        }
        lookup::renew_grown(self.call, members).await?;
        Ok(now)
    }

    /// The newest position that is known of an inbox and was not known too long ago. Nothing
    /// stands in for it: an entry that old may be deleted, and its number free to be used again.
    fn tail(&self, inbox: &Inbox) -> Option<u64> {
        let shared = &self.call.shared;
        let (now, age_max) = (shared.uptime.now(), shared.options.hint_time);
        let read = inbox.read.filter(|(_, known)| now.saturating_sub(*known) < age_max);
        read.map(|(seq, _)| seq).max(shared.tails.inbox(inbox.member.as_str(), now))
    }

    fn bytes(&self, entry: usize) -> usize {
        self.entries[entry].sent.payload.bytes() + 4 * 1_024
    }

    fn document(&self, place: Place) -> RawDocumentBuf {
        let member = self.inboxes[place.inbox].member.as_str();
        inbox_document(member, place.seq, self.id, self.entries[place.entry].sent)
    }

    fn take_over(&mut self, places: &[Place], outcomes: Option<Vec<Outcome>>, known: Duration) {
        self.silence |= outcomes.is_none();
        let outcomes = outcomes.unwrap_or_default();
        let mut taken = 0;
        let mut stored = Vec::with_capacity(places.len());
        for (place, outcome) in places.iter().zip(outcomes.into_iter().map(Some).chain(
            // No reply: nothing is known of any.
            std::iter::repeat(None),
        )) {
            let inbox = &mut self.inboxes[place.inbox];
            let sent = self.entries[place.entry].sent;
            if outcome == Some(Outcome::Stored) {
                stored.push((inbox.member.clone(), place.seq));
                inbox.queue.pop_front();
                inbox.fresh = false;
                inbox.read = Some((place.seq, known));
                self.call.shared.tails.know_inbox(inbox.member.as_str(), place.seq, known);
                if sent.recipients.last() == Some(&inbox.member) {
                    self.places[place.entry] = place.seq;
                }
            } else {
                taken += usize::from(outcome.is_some());
                inbox.look = true;
                inbox.fresh = true;
            }
        }
        if taken > 0 {
            self.call.shared.claims.met_another(self.call.shared.uptime.now());
        }
        self.call.shared.counts.taken(taken);
        self.call.shared.counts.delivered(stored.len());
        self.hint(stored, known);
    }

    /// Lets other instances know at once where these inboxes stand, which had that tail at `known`
    /// or later.
    fn hint(&self, tails: Vec<(Text, u64)>, known: Duration) {
        let shared = &self.call.shared;
        let age = shared.uptime.now().saturating_sub(known);
        // Whole milliseconds, rounded to the older side.
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        let at = UnixMillis(shared.clock.now().0.saturating_sub(age));
        let hint = |(member, seq)| (member, Hint { seq: Seq::new(seq), at });
        shared.hints.put(shared.epoch, tails.into_iter().map(hint).collect());
    }

    /// Wakes whoever waits for one of these inboxes or the conversation, here or elsewhere.
    fn tell(&self) {
        let shared = &self.call.shared;
        let mut timelines = Vec::with_capacity(self.inboxes.len() + 1);
        timelines.extend(names::conversation_of(self.id).map(TimelineId::Conversation));
        for inbox in &self.inboxes {
            let member = MemberId::new("member", inbox.member.clone());
            timelines.extend(member.ok().map(TimelineId::Inbox));
        }
        shared.grown(timelines);
    }
}
