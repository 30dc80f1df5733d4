//! Sends everything of a plan: the messages of one conversation one after the other, many
//! conversations at a time. So the order in each is known, and all the rest is up to the server.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::ProgressBar;

use super::body;
use super::input::Lines;
use super::plan::{Conversation, Line, Parties, Plan};
use crate::client::{Client, Endpoint, GroupSend, Pool, Protocol, Request};
use crate::commands::terminal::Problem;

/// How often a send that the server has no room for is tried, and the first pause in between;
/// each pause is twice the one before, so that it gives up after about 10 seconds.
const ATTEMPTS_MAX: u32 = 12;
const PAUSE_MIN: Duration = Duration::from_millis(5);

/// A sending run.
pub struct Sending<'a> {
    /// What is sent.
    pub plan: &'a Plan,
    /// Where the text is.
    pub lines: &'a Lines,
    /// Counts sends.
    pub bar: ProgressBar,
    /// Sends that had to be tried again.
    pub retries: AtomicU64,
}

/// How requests of one conversation are made.
enum Addressed {
    Group(GroupSend),
    Direct,
}

impl Sending<'_> {
    /// Sends everything.
    ///
    /// # Errors
    /// If a send fails or has an unknown outcome, or the input has changed.
    pub fn run(&self, endpoint: &Endpoint, pool: &Pool) -> Result<(), Problem> {
        let mut order: Vec<Conversation> = (0..).take(self.plan.threads.len()).collect();
        // The longest first: started last, one of them would run alone at the end.
        order.sort_by_key(|c| Reverse(self.plan.threads[*c as usize].lines.len()));
        pool.for_each(endpoint, &order, async |client: &mut Client, conversation: &u32| {
            self.conversation(client, *conversation).await
        })?;
        self.bar.finish_and_clear();
        Ok(())
    }

    async fn conversation(
        &self,
        client: &mut Client,
        conversation: Conversation,
    ) -> Result<(), Problem> {
        let thread = &self.plan.threads[conversation as usize];
        let protocol = client.protocol();
        let addressed = match &thread.parties {
            Parties::Direct(..) => Addressed::Direct,
            Parties::Group(name, members) => {
                let members = members.iter().map(|member| self.plan.member_id(*member));
                Addressed::Group(GroupSend::new(protocol, &self.plan.group_id(name), members))
            }
        };
        for index in &thread.lines {
            let line = &self.plan.lines[*index as usize];
            let request = self.request(protocol, conversation, &addressed, line)?;
            self.send(client, &request).await.map_err(|problem| match problem {
                Problem::Failed(text) => Problem::Failed(format!("line {}: {text}", line.number)),
                other => other,
            })?;
            self.bar.inc(1);
        }
        Ok(())
    }

    fn request(
        &self,
        protocol: Protocol,
        conversation: Conversation,
        addressed: &Addressed,
        line: &Line,
    ) -> Result<Request, Problem> {
        let text = self.lines.read(line.place)?;
        let rest = body::rest(&text).unwrap_or_default();
        if self.plan.print(rest) != line.print {
            let number = line.number;
            return Err(Problem::Failed(format!("line {number} of the input has changed")));
        }
        let message = body::encode(self.plan.kind(conversation), line.number, rest);
        Ok(match addressed {
            Addressed::Group(group) => group.message(&message),
            Addressed::Direct => {
                let to = self.plan.receiver(line, conversation);
                protocol.send(&self.plan.member_id(line.from), &self.plan.member_id(to), &message)
            }
        })
    }

    async fn send(&self, client: &mut Client, request: &Request) -> Result<(), Problem> {
        let mut pause = PAUSE_MIN;
        for _ in 1..ATTEMPTS_MAX {
            match client.call(request).await {
                Ok(_) => return Ok(()),
                Err(failure) if failure.passes() => {
                    self.retries.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        client.call(request).await?;
        Ok(())
    }
}
