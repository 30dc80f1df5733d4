//! `bench`: how much a running server does.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Ended;
use super::terminal::{EXIT_CODES, Problem, finish};
use crate::bench::engine::{self, Row};
use crate::bench::{Mode, Settings, bench, serve_nothing};
use crate::client::{Protocol, Target};

/// Members if nothing is said: of a server, and of the store alone.
const NET_MEMBERS: usize = 10_000;
const ENGINE_MEMBERS: usize = 100_000;
/// The largest groups of the store's rows.
const ENGINE_MEMBERS_MIN: usize = 500;

const EXAMPLES: &str = "\
Each worker sends its next request when the last one is answered; the first second is not counted.
A direct send makes 2 deliveries, a group send one for each member. There are up to 1,000 groups,
each with the same random members for the whole run. The messages stay on the server: measure on
one whose data directory you can delete.

Beside each rate stands the processor time of server and client for a request: on one machine they
share it, and the client must take little of it. --limit runs the same load first against a server
whose store costs nothing, started for that on this machine: what is missing to its rate is the
store's.

Examples:
  seqline bench --mode direct
  seqline bench --mode group --group-size 500 --seconds 20 --json
  seqline bench --mode sync --page 100 --http http://127.0.0.1:8000
  seqline bench --mode direct --limit             the network's share of the cost
  seqline bench --mode direct --workers 512 --connections 8

--engine measures the store alone, in this process and in a new directory: rates beside those of a
bare log file with the same messages and one write and one sync for 64 sends, latency at a given
pace counted from when each send was due, pages, cost, bytes on disk, opening after kill -9.

  seqline bench --engine                          all rows but soak
  seqline bench --engine --rows direct,group50 --seconds 30 --data /mnt/disk/new
  seqline bench --engine --rows cost,pages --fill 100000000 --json
  seqline bench --engine --rows soak --seconds 600";

/// Measures a running server, or the store alone: how much it does, and how long that takes.
#[derive(Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct Bench {
    /// What to measure; sync fills the inboxes first.
    #[arg(long, value_enum, required_unless_present_any = ["engine", "null_server"])]
    mode: Option<Mode>,
    /// Requests at a time.
    #[arg(long, value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u16).range(1..))]
    workers: u16,
    /// How long to measure.
    #[arg(long, value_name = "S", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// How many members there are [default: 10000, with --engine 100000].
    #[arg(long, value_name = "M",
          value_parser = clap::value_parser!(u32).range(2..=10_000_000))]
    members: Option<u32>,
    /// How many of them get each message, with --mode group.
    #[arg(long, value_name = "G", default_value_t = 50,
          value_parser = clap::value_parser!(u32).range(1..))]
    group_size: u32,
    /// Length of a message; 27 or more make each one different.
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
    /// Stands before every id.
    #[arg(long, default_value = "bench-")]
    prefix: String,
    /// Measures first what a server reaches that keeps nothing.
    #[arg(long)]
    limit: bool,
    /// Is that server: on free ports of this machine, until the program that started it ends.
    #[arg(long, hide = true)]
    null_server: bool,
    /// Measures the store alone.
    #[arg(long, conflicts_with_all = ["mode", "limit", "grpc", "http"])]
    engine: bool,
    /// What to measure, with --engine.
    #[arg(long, value_enum, value_delimiter = ',', requires = "engine")]
    rows: Vec<Row>,
    /// Entries stored for the rows that need many, with --engine.
    #[arg(long, value_name = "N", default_value_t = 100_000, requires = "engine",
          value_parser = clap::value_parser!(u64).range(1..=100_000_000_000))]
    fill: u64,
    /// A new directory for the stores of --engine, removed at the end.
    #[arg(long, value_name = "DIR", default_value = "seqline-bench", requires = "engine")]
    data: PathBuf,
    /// Loads the store in this directory until it is killed.
    #[arg(long, value_name = "DIR", hide = true, requires = "engine")]
    load: Option<PathBuf>,
    /// Prints the result as a JSON object, with --engine one for each row.
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
        if self.null_server {
            return serve_nothing();
        }
        if self.engine {
            let settings = self.engine_settings()?;
            return match &self.load {
                Some(dir) => engine::load(&settings, dir),
                None => engine::run(&settings),
            };
        }
        let Some(mode) = self.mode else {
            return Err(Problem::Usage("--mode says what to measure".to_owned()));
        };
        if mode == Mode::Group && self.group_size as usize > self.members(NET_MEMBERS) {
            return Err(Problem::Usage(format!(
                "a group of {} needs --members {0} or more",
                self.group_size
            )));
        }
        let report = bench(&self.settings(mode), self.limit)?;
        let mut out = io::stdout().lock();
        if self.json {
            let line = serde_json::to_string(&report).map_err(io::Error::from)?;
            writeln!(out, "{line}")?;
        } else {
            write!(out, "{report}")?;
        }
        Ok(())
    }

    fn members(&self, default: usize) -> usize {
        self.members.map_or(default, |members| members as usize)
    }

    fn engine_settings(&self) -> Result<engine::Settings, Problem> {
        let members = self.members(ENGINE_MEMBERS);
        if members < ENGINE_MEMBERS_MIN {
            let text = format!("--engine needs --members {ENGINE_MEMBERS_MIN} or more");
            return Err(Problem::Usage(text));
        }
        Ok(engine::Settings {
            rows: if self.rows.is_empty() { Row::usual() } else { self.rows.clone() },
            time: Duration::from_secs(self.seconds),
            members,
            callers: usize::from(self.workers),
            body_bytes: self.payload as usize,
            fill: self.fill,
            dir: self.data.clone(),
            json: self.json,
        })
    }

    fn settings(&self, mode: Mode) -> Settings {
        let endpoint = self.target.endpoint();
        let workers = usize::from(self.workers);
        let connections = match endpoint.protocol {
            Protocol::Grpc => usize::from(self.connections).min(workers),
            Protocol::Http => workers,
        };
        Settings {
            mode,
            time: Duration::from_secs(self.seconds),
            members: self.members(NET_MEMBERS),
            group_size: self.group_size as usize,
            payload_bytes: self.payload as usize,
            page_entries: self.page,
            prefix: self.prefix.clone(),
            endpoint,
            workers,
            connections,
        }
    }
}
