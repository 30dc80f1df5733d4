//! One replay from its start to its report.

use std::time::Instant;

use super::input::{Lines, Source};
use super::plan::{Plan, Planner};
use super::progress::bar;
use super::report::{Report, Sent, Verified};
use super::send::Sending;
use super::verify::{Verifying, refuse_used_server};
use crate::client::{Endpoint, Pool};
use crate::commands::terminal::{Problem, run};

/// Which half of a replay to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steps {
    /// Both.
    All,
    /// Only send.
    Send,
    /// Only verify what an earlier replay sent.
    Verify,
}

/// A replay.
pub struct Replay {
    /// What is replayed.
    pub source: Source,
    /// At most so many lines of it.
    pub limit: u64,
    /// Stands before every id.
    pub prefix: String,
    /// What to do.
    pub steps: Steps,
    /// The server.
    pub endpoint: Endpoint,
    /// How many requests at a time.
    pub pool: Pool,
    /// Most entries of a page while verifying.
    pub page_entries: i32,
}

impl Replay {
    /// Does it.
    ///
    /// # Errors
    /// If it cannot be done to its end. Differences are in the report.
    pub fn run(&self) -> Result<Report, Problem> {
        let (lines, plan) = self.plan()?;
        let sent = match self.steps {
            Steps::Verify => None,
            Steps::All | Steps::Send => Some(self.send(&lines, &plan)?),
        };
        let verified = match self.steps {
            Steps::Send => None,
            Steps::All | Steps::Verify => Some(self.verify(&plan)?),
        };
        Ok(Report::new(&plan, self.endpoint.protocol.name(), sent, verified))
    }

    fn plan(&self) -> Result<(Lines, Plan), Problem> {
        let mut planner = Planner::new(&self.prefix);
        let add = |number, place, line: &str| planner.add(number, place, line);
        let lines = Lines::open(&self.source, self.limit, add).map_err(Problem::Failed)?;
        let plan = planner.finish();
        if plan.lines.is_empty() {
            return Err(Problem::Failed("the input has no messages".to_owned()));
        }
        Ok((lines, plan))
    }

    fn send(&self, lines: &Lines, plan: &Plan) -> Result<Sent, Problem> {
        run(refuse_used_server(plan, &self.endpoint))?;
        let bar = bar("sending", plan.sends());
        let sending = Sending { plan, lines, bar, retries: 0.into() };
        let start = Instant::now();
        sending.run(&self.endpoint, &self.pool)?;
        Ok(Sent::new(plan, sending.retries.into_inner(), start.elapsed()))
    }

    fn verify(&self, plan: &Plan) -> Result<Verified, Problem> {
        let verifying = Verifying {
            plan,
            page_entries: self.page_entries,
            bar: bar("verifying", plan.deliveries() + plan.sends()),
            differences: Default::default(),
            pages: 0.into(),
            entries: 0.into(),
        };
        let start = Instant::now();
        verifying.run(&self.endpoint, &self.pool)?;
        let time = start.elapsed();
        let entries = verifying.entries.into_inner();
        Ok(Verified {
            inboxes: plan.members.len() as u64,
            conversations: plan.threads.len() as u64,
            pages: verifying.pages.into_inner(),
            entries,
            seconds: time.as_secs_f64(),
            entries_per_second: crate::machine::per_second(entries, time),
            differences: verifying.differences.count(),
            first_differences: verifying.differences.first(),
        })
    }
}
