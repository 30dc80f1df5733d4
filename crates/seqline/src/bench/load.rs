//! The requests of a measurement, made before it starts.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use super::wire::{Template, Wanted};
use crate::client::{Client, Endpoint, GroupSend, Pool, Protocol, Request, Timeline};
use crate::commands::terminal::{Problem, note};
use crate::replay::synthetic::Random;

/// Pairs of members, and places in inboxes, that are asked for again and again.
const REQUESTS: usize = 8_192;
/// Groups, each with its members for the whole run, as real chats have them.
const GROUPS_MAX: usize = 1_000;
/// Memory for the requests of groups; larger groups are fewer.
const GROUPS_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Members that one filling send reaches, at most.
const FILL_MEMBERS: usize = 1_000;
/// Pages that each inbox holds at least before pages are measured.
const FILL_PAGES: i64 = 10;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Sends between two members.
    Direct,
    /// Sends to groups.
    Group,
    /// Pages of inboxes.
    Sync,
}

impl Mode {
    /// The gRPC method that does it.
    pub fn method(self) -> &'static str {
        match self {
            Mode::Direct => "Send",
            Mode::Group => "SendGroup",
            Mode::Sync => "GetSyncMessage",
        }
    }

    /// What a good answer says.
    pub fn wanted(self) -> Wanted {
        match self {
            Mode::Direct => Wanted::Sequence,
            Mode::Group => Wanted::NobodyFailed,
            Mode::Sync => Wanted::Entries,
        }
    }
}

/// A measurement.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is measured.
    pub mode: Mode,
    /// How long, after the warm-up.
    pub time: Duration,
    /// How many members there are.
    pub members: usize,
    /// How many of them are in a group.
    pub group_size: usize,
    /// Length of a message.
    pub payload_bytes: usize,
    /// Entries of a page.
    pub page_entries: i32,
    /// Stands before every id.
    pub prefix: String,
    /// The server.
    pub endpoint: Endpoint,
    /// Requests at a time.
    pub workers: usize,
    /// Connections they share.
    pub connections: usize,
}

impl Settings {
    fn member(&self, number: usize) -> String {
        format!("{}{number:06}", self.prefix)
    }

    /// A message with a place for its number and random letters behind it, which no compression
    /// makes smaller than messages of people.
    fn message(&self, random: &mut Random) -> String {
        Template::message(self.payload_bytes, || {
            char::from(b"abcdefghijklmnopqrstuvwxyz      "[random.below(32) as usize])
        })
    }

    fn template(&self, request: &Request) -> Template {
        Template::new(request, &self.endpoint.authority, &self.endpoint.base_path)
    }

    /// How many groups there are.
    pub fn groups(&self) -> usize {
        let bytes = self.group_size * (self.prefix.len() + 16) + self.payload_bytes;
        (GROUPS_BYTES_MAX / bytes).clamp(1, GROUPS_MAX)
    }

    /// The requests. For `sync` it fills the inboxes first, if an earlier run did not.
    ///
    /// # Errors
    /// If filling or reading fails.
    pub fn templates(&self) -> Result<Vec<Template>, Problem> {
        let mut random = Random::new(1);
        let count = if self.mode == Mode::Group { self.groups() } else { REQUESTS };
        let latest = if self.mode == Mode::Sync { self.filled()? } else { 0 };
        let one = |number| {
            let request = match self.mode {
                Mode::Direct => self.direct(&mut random),
                Mode::Group => self.group(number, &mut random),
                Mode::Sync => self.sync(latest, &mut random),
            };
            self.template(&request)
        };
        Ok((0..count).map(one).collect())
    }

    fn pick(&self, random: &mut Random) -> usize {
        random.below(self.members as u64) as usize
    }

    fn direct(&self, random: &mut Random) -> Request {
        let from = self.pick(random);
        let to = (from + 1 + random.below(self.members as u64 - 1) as usize) % self.members;
        let message = self.message(random);
        self.endpoint.protocol.send(&self.member(from), &self.member(to), &message)
    }

    fn group(&self, number: usize, random: &mut Random) -> Request {
        let members = distinct(self.group_size, self.members, random);
        let members = members.into_iter().map(|number| self.member(number));
        let name = format!("{}group-{number}", self.prefix);
        GroupSend::new(self.endpoint.protocol, &name, members).message(&self.message(random))
    }

    /// A page from anywhere in an inbox that is full at any such place.
    fn sync(&self, latest: i64, random: &mut Random) -> Request {
        let inbox = Timeline::Inbox(self.member(self.pick(random)));
        let starts = latest.saturating_sub(i64::from(self.page_entries)).max(0).unsigned_abs() + 1;
        let after = random.below(starts).cast_signed();
        self.endpoint.protocol.read(&inbox, after, self.page_entries)
    }

    /// The client that fills and looks, outside of what is measured.
    fn pool(&self) -> Pool {
        let connections = match self.endpoint.protocol {
            Protocol::Grpc => self.connections,
            Protocol::Http => self.workers,
        };
        Pool { threads: 1, workers: self.workers, connections }
    }

    /// Gives every inbox some pages. Returns how many entries each has at least.
    fn filled(&self) -> Result<i64, Problem> {
        let wanted = i64::from(self.page_entries) * FILL_PAGES;
        let least = self.least()?;
        if least >= wanted {
            return Ok(least);
        }
        note(&format!("filling {} inboxes with {wanted} entries …", self.members));
        let numbers: Vec<usize> = (0..self.members).collect();
        let mut random = Random::new(2);
        let sends: Vec<(GroupSend, String)> = numbers
            .chunks(FILL_MEMBERS)
            .enumerate()
            .map(|(number, chunk)| {
                let name = format!("{}fill-{number}", self.prefix);
                let members = chunk.iter().map(|n| self.member(*n));
                let group = GroupSend::new(self.endpoint.protocol, &name, members);
                (group, self.message(&mut random).replace('~', "0"))
            })
            .collect();
        let rounds = usize::try_from(wanted - least).unwrap_or_default();
        let all: Vec<&(GroupSend, String)> =
            sends.iter().cycle().take(rounds * sends.len()).collect();
        self.pool().for_each(
            &self.endpoint,
            &all,
            async |client: &mut Client, (group, message): &&(GroupSend, String)| {
                client.call(&group.message(message)).await.map(|_| ()).map_err(Problem::from)
            },
        )?;
        self.least()
    }

    /// The length of the shortest inbox.
    fn least(&self) -> Result<i64, Problem> {
        let least = AtomicI64::new(i64::MAX);
        let members: Vec<usize> = (0..self.members).collect();
        let length = async |client: &mut Client, member: &usize| {
            let inbox = Timeline::Inbox(self.member(*member));
            let reply = client.call(&client.protocol().read(&inbox, 0, 1)).await?;
            least.fetch_min(reply.inbox_page()?.latest.unwrap_or_default(), Ordering::Relaxed);
            Ok::<_, Problem>(())
        };
        self.pool().for_each(&self.endpoint, &members, length)?;
        Ok(least.into_inner())
    }
}

/// `count` different numbers below `bound`, which is not less, in random order.
pub fn distinct(count: usize, bound: usize, random: &mut Random) -> Vec<usize> {
    if count * 2 < bound {
        let mut seen = HashSet::with_capacity(count);
        let mut next = || random.below(bound as u64) as usize;
        std::iter::from_fn(|| Some(next())).filter(|n| seen.insert(*n)).take(count).collect()
    } else {
        let mut all: Vec<usize> = (0..bound).collect();
        for place in 0..count {
            all.swap(place, place + random.below((bound - place) as u64) as usize);
        }
        all.truncate(count);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_a_group_differ() {
        let mut random = Random::new(1);
        for (count, bound) in [(1, 1), (5, 5), (50, 60), (50, 10_000)] {
            let drawn = distinct(count, bound, &mut random);
            assert!(drawn.iter().all(|number| *number < bound));
            assert_eq!(drawn.iter().collect::<HashSet<_>>().len(), count);
        }
    }
}
