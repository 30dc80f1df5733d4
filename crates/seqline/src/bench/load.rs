//! The requests of a measurement, made before it starts.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use crate::client::{Client, Endpoint, GroupSend, Pool, Request, Timeline};
use crate::commands::terminal::{Problem, note};
use crate::replay::synthetic::Random;

/// Requests that are made; workers go through them again and again from different starts.
const REQUESTS: usize = 8_192;
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
    /// How many requests at a time.
    pub pool: Pool,
}

impl Settings {
    fn member(&self, number: usize) -> String {
        format!("{}{number:06}", self.prefix)
    }

    /// A message of exactly the length asked for.
    fn message(&self) -> String {
        let frame = "{\"text\":\"\"}".len();
        let text = "x".repeat(self.payload_bytes.saturating_sub(frame));
        format!("{{\"text\":\"{text}\"}}")
    }

    /// The requests. For `sync` it fills the inboxes first, if an earlier run did not.
    ///
    /// # Errors
    /// If filling or reading fails.
    pub fn requests(&self) -> Result<Vec<Request>, Problem> {
        let mut random = Random::new(1);
        match self.mode {
            Mode::Direct => Ok((0..REQUESTS).map(|_| self.direct(&mut random)).collect()),
            Mode::Group => {
                let groups = (self.members / self.group_size).clamp(1, REQUESTS);
                Ok((0..groups).map(|number| self.group(number, &mut random)).collect())
            }
            Mode::Sync => {
                let latest = self.filled()?;
                Ok((0..REQUESTS).map(|_| self.sync(latest, &mut random)).collect())
            }
        }
    }

    fn pick(&self, random: &mut Random) -> usize {
        random.below(self.members as u64) as usize
    }

    fn direct(&self, random: &mut Random) -> Request {
        let from = self.pick(random);
        let to = (from + 1 + random.below(self.members as u64 - 1) as usize) % self.members;
        self.endpoint.protocol.send(&self.member(from), &self.member(to), &self.message())
    }

    fn group(&self, number: usize, random: &mut Random) -> Request {
        let start = self.pick(random);
        // A step without a common divisor visits a different member each time.
        let mut step = 1 + self.pick(random);
        while divisor(step, self.members) != 1 {
            step += 1;
        }
        let members = (0..self.group_size).map(|n| self.member((start + n * step) % self.members));
        let name = format!("{}group-{number}", self.prefix);
        GroupSend::new(self.endpoint.protocol, &name, members).message(&self.message())
    }

    /// A page from anywhere in an inbox that is full at any such place.
    fn sync(&self, latest: i64, random: &mut Random) -> Request {
        let inbox = Timeline::Inbox(self.member(self.pick(random)));
        let starts = latest.saturating_sub(i64::from(self.page_entries)).max(0).unsigned_abs() + 1;
        let after = random.below(starts).cast_signed();
        self.endpoint.protocol.read(&inbox, after, self.page_entries)
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
        let chunks = numbers.chunks(FILL_MEMBERS).enumerate();
        let sends: Vec<Request> = chunks
            .map(|(number, chunk)| {
                let name = format!("{}fill-{number}", self.prefix);
                let members = chunk.iter().map(|n| self.member(*n));
                GroupSend::new(self.endpoint.protocol, &name, members).message(&self.message())
            })
            .collect();
        let rounds = usize::try_from(wanted - least).unwrap_or_default();
        let all: Vec<&Request> = sends.iter().cycle().take(rounds * sends.len()).collect();
        self.pool.for_each(
            &self.endpoint,
            &all,
            async |client: &mut Client, send: &&Request| {
                client.call(send).await.map(|_| ()).map_err(Problem::from)
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
        self.pool.for_each(&self.endpoint, &members, length)?;
        Ok(least.into_inner())
    }
}

/// The greatest common divisor.
fn divisor(one: usize, other: usize) -> usize {
    if other == 0 { one } else { divisor(other, one % other) }
}
