//! `replay`: real traffic into a running server, then the proof that it came out right.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Ended;
use super::terminal::{EXIT_CODES, Problem, finish, note};
use crate::client::{Pool, Protocol, Target};
use crate::replay::input::Source;
use crate::replay::{Replay as Run, Steps};

const EXAMPLES: &str = r#"
The file has one JSON object a line: {"from": …, "group": …, "to": …?, …}.
Each line is sent to all who speak in its group, and as a direct message if it has "to".
Afterwards every inbox is read from its start: it must hold exactly what it should, numbered
1, 2, 3 …, each conversation's messages in their order, byte for byte; so must every history.
It needs about 200 bytes of memory for each line, and has no limit of its own: --limit bounds it.

Examples:
  seqline replay chat.jsonl.zst
  seqline replay --synthetic 100000 --http http://127.0.0.1:8000
  seqline replay chat.jsonl --prefix trial2- --json
  seqline replay chat.jsonl --only verify      after a restart: is it all still there?"#;

/// Sends a file of real chat, then checks every inbox and every history.
#[derive(Args, Debug)]
#[command(after_help = format!("{}\n\n{EXIT_CODES}", EXAMPLES.trim_start()))]
pub struct Replay {
    /// The messages: a .jsonl or .jsonl.zst file.
    #[arg(required_unless_present = "synthetic", conflicts_with = "synthetic")]
    file: Option<PathBuf>,
    /// Makes up so many messages instead, always the same ones.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    synthetic: Option<u64>,
    /// Only the first so many lines.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Stands before every id, so that a server with other data can be used.
    #[arg(long, default_value = "")]
    prefix: String,
    /// Does only half of it.
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// Requests at a time.
    #[arg(long, value_name = "N", default_value_t = 128,
          value_parser = clap::value_parser!(u16).range(1..))]
    workers: u16,
    /// gRPC connections they share; over HTTP each worker has one of its own.
    #[arg(long, value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Threads; half the cores if not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Most entries of a page while verifying.
    #[arg(long, value_name = "N", default_value_t = 1_000,
          value_parser = clap::value_parser!(i32).range(1..))]
    page: i32,
    /// Prints the summary as a JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Only {
    /// Sends, and leaves the check to a later run with `--only verify`.
    Send,
    /// Checks what an earlier run with the same file, limit and prefix sent.
    Verify,
}

impl Replay {
    /// Runs it.
    pub fn run(&self) -> Ended {
        finish(self.try_run())
    }

    fn try_run(&self) -> Result<(), Problem> {
        let source = match (&self.file, self.synthetic) {
            (Some(file), _) => Source::File(file.clone()),
            (None, count) => Source::Synthetic(count.unwrap_or_default()),
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let endpoint = self.target.endpoint();
        let workers = usize::from(self.workers);
        let connections = match endpoint.protocol {
            Protocol::Grpc => usize::from(self.connections),
            Protocol::Http => workers,
        };
        let threads = self.threads.map_or(cores / 2, usize::from).max(1);
        let report = Run {
            source,
            limit: self.limit.unwrap_or(u64::MAX),
            prefix: self.prefix.clone(),
            steps: match self.only {
                None => Steps::All,
                Some(Only::Send) => Steps::Send,
                Some(Only::Verify) => Steps::Verify,
            },
            endpoint,
            pool: Pool { threads, workers, connections },
            page_entries: self.page,
        }
        .run()?;
        let mut out = io::stdout().lock();
        if self.json {
            let line = serde_json::to_string(&report).map_err(io::Error::from)?;
            writeln!(out, "{line}")?;
        } else {
            write!(out, "{report}")?;
        }
        match report.differences() {
            0 => Ok(()),
            count => {
                note("the server does not hold exactly what was sent");
                Err(Problem::Failed(format!("{count} differences")))
            }
        }
    }
}
