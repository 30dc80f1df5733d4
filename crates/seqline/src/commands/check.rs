//! `check` verifies a data directory while no server has it.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use seqline_core::store::{CheckEvent, CheckSummary, Store as _};
use seqline_embedded::{EmbeddedStore, OpenError, Options};
use seqline_server::system::{SystemClock, SystemEntropy};
use serde_json::json;

use super::{Ended, Failed};

/// Most problems kept for `--json`; the number of all of them is always told.
const PROBLEMS_MAX: usize = 10_000;

/// Verify a data directory: numbers without a gap, every reference, every checksum
#[derive(Debug, Args)]
#[command(after_help = "\
Stop the server first: one process at a time has a directory. Nothing is repaired. What a crash left
behind is finished first, as every start does.

Exit codes: 0 everything holds, 1 problems were found, 2 wrong usage, 3 the directory cannot be
opened.

Examples:
  seqline check seqline-data
  seqline check --json /var/lib/seqline")]
pub struct Check {
    /// The data directory
    dir: PathBuf,
    /// Print one JSON object: what was read, and the first 10,000 problems
    #[arg(long)]
    json: bool,
}

impl Check {
    pub fn run(self) -> Ended {
        let store = self.open()?;
        let bar = ProgressBar::new(0);
        let style = "{bar:30} {percent:>3}% {human_pos}/{human_len} {elapsed} (left: {eta})";
        bar.set_style(ProgressStyle::with_template(style).map_err(Failed::outcome)?);
        let mut problems = Vec::new();
        let checked = store.check(&mut |event| match event {
            CheckEvent::Progress { done, total } => {
                bar.set_length(total);
                bar.set_position(done);
            }
            CheckEvent::Problem { place, detail } if self.json => {
                if problems.len() < PROBLEMS_MAX {
                    problems.push(json!({ "place": place, "detail": detail }));
                }
            }
            CheckEvent::Problem { place, detail } => {
                bar.suspend(|| print(&format!("{place}: {detail}")));
            }
        });
        bar.finish_and_clear();
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let closed = runtime.map_err(Failed::outcome)?.block_on(store.close());
        let dir = self.dir.display();
        let summary = checked.map_err(|error| {
            let next = "restore a backup, or look at the place it names";
            Failed::outcome(format!("{dir} cannot be verified to its end: {error}; {next}"))
        })?;
        closed.map_err(|error| Failed::outcome(format!("{dir} did not close well: {error}")))?;
        self.tell(summary, &problems)
    }

    fn open(&self) -> Result<EmbeddedStore, Failed> {
        let dir = self.dir.display();
        // Opening would make a new store where there is none.
        match std::fs::read_dir(&self.dir).map(|mut entries| entries.next().is_none()) {
            Ok(false) => {}
            Ok(true) => {
                let next = "name the directory that `serve --data` has";
                return Err(Failed::unreachable(format!(
                    "{dir} is empty: no data is there; {next}"
                )));
            }
            Err(error) => {
                let next = "name the directory that `serve --data` has";
                return Err(Failed::unreachable(format!("cannot read {dir}: {error}; {next}")));
            }
        }
        let options = Options { dir: self.dir.clone(), ..Options::default() };
        EmbeddedStore::open(options, Arc::new(SystemClock), Arc::new(SystemEntropy)).map_err(
            |error| match error {
                OpenError::Damaged { .. } => {
                    Failed::outcome(format!("{error}; keep the directory and restore a backup"))
                }
                _ => Failed::unreachable(error),
            },
        )
    }

    fn tell(&self, summary: CheckSummary, problems: &[serde_json::Value]) -> Ended {
        let CheckSummary { timelines, inbox_entries, messages, problems: found } = summary;
        if self.json {
            let object = json!({
                "timelines": timelines,
                "inboxEntries": inbox_entries,
                "messages": messages,
                "problems": found,
                "first": problems,
            });
            print(&object.to_string());
        } else {
            print(&format!(
                "{timelines} timelines, {inbox_entries} inbox entries, {messages} messages, \
                 {found} problems"
            ));
        }
        match found {
            0 => Ok(()),
            _ => Err(Failed::outcome(format!(
                "{} has {found} problems; keep a copy of it, then restore a backup",
                self.dir.display()
            ))),
        }
    }
}

fn print(line: &str) {
    // A reader that has gone away does not make the check any less complete.
    let _ = writeln!(std::io::stdout(), "{line}");
}
