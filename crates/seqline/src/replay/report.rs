//! What a replay did and found, for people and for programs.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::plan::{Parties, Plan};
use crate::machine::{Machine, grouped, per_second};

/// The summary.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Version of the program.
    pub version: &'static str,
    /// "grpc" or "http".
    pub protocol: &'static str,
    /// What it ran on.
    pub machine: Machine,
    /// Lines of the input.
    pub messages: u64,
    /// Different groups in it.
    pub groups: u64,
    /// Different pairs of members in it.
    pub direct_conversations: u64,
    /// Different members in it.
    pub members: u64,
    /// What was sent, if anything was.
    pub sent: Option<Sent>,
    /// What was read, if anything was.
    pub verified: Option<Verified>,
    /// Most memory the replay had, in bytes.
    pub client_memory_peak_bytes: u64,
}

/// What was sent.
#[derive(Debug, Serialize)]
pub struct Sent {
    /// Sends, each acknowledged.
    pub sends: u64,
    /// Inbox entries they made.
    pub deliveries: u64,
    /// Sends that had to be tried again because the server was busy.
    pub retries: u64,
    /// How long it took.
    pub seconds: f64,
    /// `sends` in a second.
    pub sends_per_second: u64,
    /// `deliveries` in a second.
    pub deliveries_per_second: u64,
}

/// What was read.
#[derive(Debug, Serialize)]
pub struct Verified {
    /// Inboxes read from their start.
    pub inboxes: u64,
    /// Conversations read from their start.
    pub conversations: u64,
    /// Pages read.
    pub pages: u64,
    /// Entries read and compared.
    pub entries: u64,
    /// How long it took.
    pub seconds: f64,
    /// `entries` in a second.
    pub entries_per_second: u64,
    /// What is not as it must be.
    pub differences: u64,
    /// The first of them.
    pub first_differences: Vec<String>,
}

impl Sent {
    /// All of `plan`, in `time`.
    pub fn new(plan: &Plan, retries: u64, time: Duration) -> Sent {
        let (sends, deliveries) = (plan.sends(), plan.deliveries());
        Sent {
            sends,
            deliveries,
            retries,
            seconds: time.as_secs_f64(),
            sends_per_second: per_second(sends, time),
            deliveries_per_second: per_second(deliveries, time),
        }
    }
}

impl Report {
    /// A report over `plan`.
    pub fn new(
        plan: &Plan,
        protocol: &'static str,
        sent: Option<Sent>,
        verified: Option<Verified>,
    ) -> Report {
        let is_group = |parties: &Parties| matches!(parties, Parties::Group(..));
        let groups = plan.threads.iter().filter(|t| is_group(&t.parties)).count() as u64;
        Report {
            version: env!("CARGO_PKG_VERSION"),
            protocol,
            machine: Machine::this(),
            messages: plan.lines.len() as u64,
            groups,
            direct_conversations: plan.threads.len() as u64 - groups,
            members: plan.members.len() as u64,
            sent,
            verified,
            client_memory_peak_bytes: crate::machine::memory_peak_bytes(),
        }
    }

    /// How many differences were found.
    pub fn differences(&self) -> u64 {
        self.verified.as_ref().map_or(0, |verified| verified.differences)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |count: u64| format!("{:>12}", grouped(count));
        writeln!(
            f,
            "messages     {} in {} groups and {} direct conversations of {} members",
            number(self.messages),
            grouped(self.groups),
            grouped(self.direct_conversations),
            grouped(self.members)
        )?;
        if let Some(sent) = &self.sent {
            let rate = grouped(sent.sends_per_second);
            let (seconds, protocol) = (sent.seconds, self.protocol);
            let sends = number(sent.sends);
            writeln!(f, "sends        {sends} in {seconds:.1} s over {protocol}: {rate}/s")?;
            let rate = grouped(sent.deliveries_per_second);
            writeln!(f, "deliveries   {}: {rate}/s", number(sent.deliveries))?;
            if sent.retries > 0 {
                writeln!(f, "retries      {} while the server was busy", number(sent.retries))?;
            }
        }
        if let Some(verified) = &self.verified {
            writeln!(
                f,
                "verified     {} entries in {:.1} s: {}/s\n\
                 read         {} pages of {} inboxes and {} conversations\n\
                 differences  {}",
                number(verified.entries),
                verified.seconds,
                grouped(verified.entries_per_second),
                number(verified.pages),
                grouped(verified.inboxes),
                grouped(verified.conversations),
                number(verified.differences)
            )?;
            for difference in &verified.first_differences {
                writeln!(f, "  {difference}")?;
            }
            if verified.differences > verified.first_differences.len() as u64 {
                writeln!(f, "  …")?;
            }
        }
        let memory = self.client_memory_peak_bytes >> 20;
        writeln!(f, "client       {:>8} MiB of memory at most", memory)
    }
}
