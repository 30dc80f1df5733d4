//! `health`: asks a running server whether it takes sends; for containers and scripts.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::Ended;
use super::terminal::{Problem, finish, printable, run};
use crate::client::{Endpoint, Http, parse_http};

const AFTER: &str = "\
Prints what the server says at /readyz. A registration in etcd that is lost changes nothing: the
server takes sends all the same.

Examples:
  seqline health
  seqline health --http http://10.0.0.5:8000 --timeout 1s

Exit codes: 0 it takes sends; 1 it does not, or did not answer in time; 2 wrong usage; 3 the
server cannot be reached.";

/// Asks a running server whether it takes sends.
#[derive(Args, Debug)]
#[command(after_help = AFTER)]
pub struct Health {
    /// The server's HTTP address.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8000",
          value_parser = parse_http)]
    http: Endpoint,
    /// How long to wait for the answer, for example 500ms or 1m.
    #[arg(long, value_name = "TIME", default_value = "3s",
          value_parser = humantime::parse_duration)]
    timeout: Duration,
}

impl Health {
    /// Runs it.
    pub fn run(self) -> Ended {
        finish(run(async {
            let endpoint = Arc::new(Endpoint { timeout: self.timeout, ..self.http });
            match Http::new(endpoint).takes_sends().await? {
                (true, lines) => {
                    let lines: Vec<_> = lines.lines().map(printable).collect();
                    Ok(writeln!(io::stdout(), "{}", lines.join("\n"))?)
                }
                (false, lines) => Err(Problem::Failed(printable(&lines).into_owned())),
            }
        }))
    }
}
