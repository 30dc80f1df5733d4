//! Reads every inbox and every conversation from its start, page by page, and checks them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::ProgressBar;

use super::check::{Check, Differences};
use super::plan::{Conversation, Member, Parties, Plan};
use crate::client::{Client, Endpoint, Pool, Reply, Timeline};
use crate::commands::terminal::Problem;

/// How often a page is asked for before the run gives up, and how long it waits in between.
const ATTEMPTS_MAX: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// A verifying run.
pub struct Verifying<'a> {
    /// What must be there.
    pub plan: &'a Plan,
    /// Most entries of a page.
    pub page_entries: i32,
    /// Counts entries.
    pub bar: ProgressBar,
    /// What is not right.
    pub differences: Differences,
    /// Pages read.
    pub pages: AtomicU64,
    /// Entries read.
    pub entries: AtomicU64,
}

/// One timeline to check.
enum Job {
    Inbox(Member),
    Conversation(Conversation),
}

impl Verifying<'_> {
    /// Checks everything.
    ///
    /// # Errors
    /// If a page cannot be read. What is read and wrong goes into `differences`.
    pub fn run(&self, endpoint: &Endpoint, pool: &Pool) -> Result<(), Problem> {
        let memberships = self.plan.memberships();
        let inboxes = (0..).take(self.plan.members.len()).map(Job::Inbox);
        let conversations = (0..).take(self.plan.threads.len()).map(Job::Conversation);
        let jobs: Vec<_> = inboxes.chain(conversations).collect();
        pool.for_each(endpoint, &jobs, async |client: &mut Client, job: &Job| match *job {
            Job::Inbox(member) => {
                let id = self.plan.member_id(member);
                let name = format!("inbox of {id:?}");
                let of = &memberships[member as usize];
                let check = Check::new(self.plan, name, of, &self.differences);
                self.timeline(client, &Timeline::Inbox(id), check).await
            }
            Job::Conversation(conversation) => {
                let name = self.plan.name(conversation);
                let check = Check::new(self.plan, name, &[conversation], &self.differences);
                self.timeline(client, &self.conversation(conversation), check).await
            }
        })?;
        self.bar.finish_and_clear();
        Ok(())
    }

    fn conversation(&self, conversation: Conversation) -> Timeline {
        match &self.plan.threads[conversation as usize].parties {
            Parties::Group(name, _) => Timeline::Group(self.plan.group_id(name)),
            Parties::Direct(one, other) => {
                Timeline::Direct(self.plan.member_id(*one), self.plan.member_id(*other))
            }
        }
    }

    async fn timeline(
        &self,
        client: &mut Client,
        timeline: &Timeline,
        mut check: Check<'_>,
    ) -> Result<(), Problem> {
        let is_inbox = matches!(timeline, Timeline::Inbox(_));
        loop {
            let after = check.latest();
            let reply = self.read(client, timeline, after).await?;
            let page = if is_inbox { reply.inbox_page()? } else { reply.conversation_page()? };
            for entry in &page.entries {
                check.entry(entry.seq, &entry.message);
            }
            let count = page.entries.len() as u64;
            self.pages.fetch_add(1, Ordering::Relaxed);
            self.entries.fetch_add(count, Ordering::Relaxed);
            self.bar.inc(count);
            let last = page.entries.last().map_or(0, |entry| entry.seq);
            if let Some(said) = page.last.filter(|said| *said != last) {
                check.differ(last, || format!("the page's last, but the server says {said}"));
            }
            // An inbox says where it ends; a conversation ends with an empty page.
            let at_end = page.latest.is_some_and(|latest| last >= latest);
            if count == 0 || at_end || check.latest() <= after {
                check.finish(page.latest);
                return Ok(());
            }
        }
    }

    async fn read(
        &self,
        client: &mut Client,
        timeline: &Timeline,
        after: i64,
    ) -> Result<Reply, Problem> {
        let request = client.protocol().read(timeline, after, self.page_entries);
        for _ in 1..ATTEMPTS_MAX {
            match client.call(&request).await {
                Ok(reply) => return Ok(reply),
                Err(failure) if failure.passes_for_reads() => tokio::time::sleep(PAUSE).await,
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(client.call(&request).await?)
    }
}

/// Refuses a server that already has messages where the replay would put its own.
pub async fn refuse_used_server(plan: &Plan, endpoint: &Endpoint) -> Result<(), Problem> {
    let mut client = Client::new(endpoint);
    for member in [0, plan.members.len().saturating_sub(1)] {
        let Some(id) = plan.members.get(member).map(|_| plan.member_id(member as Member)) else {
            continue;
        };
        let request = endpoint.protocol.read(&Timeline::Inbox(id.clone()), 0, 1);
        let reply = client.call(&request).await?;
        let latest = reply.inbox_page()?.latest.unwrap_or_default();
        if latest > 0 {
            return Err(Problem::Failed(format!(
                "the inbox of {id:?} already has {latest} entries, so this server was used \
                 before\nadd --prefix NAME- to give this replay ids of its own, or --only verify \
                 to check what an earlier one left"
            )));
        }
    }
    Ok(())
}
