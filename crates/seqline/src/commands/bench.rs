//! `bench`: how much a running server does.

use std::io::{self, Write as _};
use std::time::Duration;

use clap::Args;

use super::Ended;
use super::terminal::{EXIT_CODES, Problem, finish};
use crate::bench::{Mode, Settings, bench};
use crate::client::{Pool, Protocol, Target};

const EXAMPLES: &str = "\
Each worker sends its next request when the last one is answered; the first second is not counted.
A direct send makes 2 deliveries, a group send one for each member. The messages stay on the
server: measure on one whose data directory you can delete.

Examples:
  seqline bench --mode direct
  seqline bench --mode group --group-size 500 --seconds 20 --json
  seqline bench --mode sync --page 100 --http http://127.0.0.1:8000";

/// Measures a running server: sends or pages a second, and how long each takes.
#[derive(Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct Bench {
    /// What to measure; sync fills the inboxes first.
    #[arg(long, value_enum)]
    mode: Mode,
    /// Requests at a time.
    #[arg(long, value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u16).range(1..))]
    workers: u16,
    /// How long to measure.
    #[arg(long, value_name = "S", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// How many members there are.
    #[arg(long, value_name = "M", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(2..=10_000_000))]
    members: u32,
    /// How many of them get each message, with --mode group.
    #[arg(long, value_name = "G", default_value_t = 50,
          value_parser = clap::value_parser!(u32).range(1..))]
    group_size: u32,
    /// Length of a message.
    #[arg(long, value_name = "BYTES", default_value_t = 200,
          value_parser = clap::value_parser!(u32).range(11..=1_048_576))]
    payload: u32,
    /// Entries of a page, with --mode sync.
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(i32).range(1..=100_000))]
    page: i32,
    /// gRPC connections the workers share; over HTTP each has one of its own.
    #[arg(long, value_name = "C", default_value_t = 4,
          value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Threads of the load.
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Stands before every id.
    #[arg(long, default_value = "bench-")]
    prefix: String,
    /// Prints the result as a JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

impl Bench {
    /// Runs it.
    pub fn run(&self) -> Ended {
        finish(self.try_run())
    }

    fn try_run(&self) -> Result<(), Problem> {
        if self.mode == Mode::Group && self.group_size > self.members {
            return Err(Problem::Usage(format!(
                "a group of {} needs --members {0} or more",
                self.group_size
            )));
        }
        let endpoint = self.target.endpoint();
        let workers = usize::from(self.workers);
        let connections = match endpoint.protocol {
            Protocol::Grpc => usize::from(self.connections).min(workers),
            Protocol::Http => workers,
        };
        let threads = usize::from(self.threads).min(workers);
        let report = bench(&Settings {
            mode: self.mode,
            time: Duration::from_secs(self.seconds),
            members: self.members as usize,
            group_size: self.group_size as usize,
            payload_bytes: self.payload as usize,
            page_entries: self.page,
            prefix: self.prefix.clone(),
            endpoint,
            pool: Pool { threads, workers, connections },
        })?;
        let mut out = io::stdout().lock();
        if self.json {
            let line = serde_json::to_string(&report).map_err(io::Error::from)?;
            writeln!(out, "{line}")?;
        } else {
            write!(out, "{report}")?;
        }
        Ok(())
    }
}
