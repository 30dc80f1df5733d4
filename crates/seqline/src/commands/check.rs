//! `check` verifies a data directory while no server has it; with `--repair` it makes it sound.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use seqline_core::id::Epoch;
use seqline_core::store::{CheckEvent, CheckSummary, Store as _};
use seqline_embedded::{EmbeddedStore, OpenError, Options};
use seqline_server::system::{SystemClock, SystemEntropy};
use serde_json::json;

use super::{Ended, Failed, repair};

/// Most problems kept for `--json`; the number of all of them is always told.
const PROBLEMS_MAX: usize = 10_000;

/// Verify a data directory: numbers without a gap, every reference, every checksum
#[derive(Debug, Args)]
#[command(after_help = "\
Stop the server first: one process at a time has a directory. Nothing is repaired without --repair.
What a crash left behind is finished first, as every start does.

--repair is for a directory that does not open, or in which problems were found. It asks nothing:
* If only the index is damaged or gone, it is made again from the log. Nothing is lost and nothing
  changes for clients.
* If the log is damaged, a new one is written with every message that survives, in the same order.
  Numbers behind a loss change, so the store gets a new epoch: clients start over. Each message that
  is lost is told, and where nobody knows, which bytes of the log.
A sound directory is not touched. What was there is kept in damaged-<time> in the directory, so
the disk needs room for a second log and index. A repair that is interrupted can be run again.

Exit codes: 0 everything holds, or was repaired without a loss; 1 problems were found, or something
is lost; 2 wrong usage; 3 the directory cannot be opened or repaired.

Examples:
  seqline check seqline-data
  seqline check --json /var/lib/seqline
  seqline check seqline-data --repair")]
pub struct Check {
    /// The data directory
    dir: PathBuf,
    /// Print one JSON object: what was read, and the first 10,000 problems
    #[arg(long)]
    json: bool,
    /// Make a damaged directory sound again, and say what is lost
    #[arg(long)]
    repair: bool,
}

/// What a verification found.
pub(super) struct Verified {
    pub(super) epoch: Epoch,
    pub(super) summary: CheckSummary,
    /// The first problems, for `--json`.
    problems: Vec<serde_json::Value>,
}

impl Check {
    pub fn run(self) -> Ended {
        if self.repair {
            return repair::run(&self.dir, self.json);
        }
        self.tell(verify(&self.dir, self.json)?)
    }

    fn tell(&self, verified: Verified) -> Ended {
        let Verified { summary, problems, .. } = verified;
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
                "{0} has {found} problems; `seqline check {0} --repair` saves what can be saved, \
                 or restore a backup",
                self.dir.display()
            ))),
        }
    }
}

/// Verifies everything in a directory. Problems are printed as they are found; with `quiet` the
/// first ones are kept.
pub(super) fn verify(dir: &Path, quiet: bool) -> Result<Verified, Failed> {
    let store = open(dir)?;
    let bar = progress_bar()?;
    let mut problems = Vec::new();
    let checked = store.check(&mut |event| match event {
        CheckEvent::Progress { done, total } => {
            bar.set_length(total);
            bar.set_position(done);
        }
        CheckEvent::Problem { place, detail } if quiet => {
            if problems.len() < PROBLEMS_MAX {
                problems.push(json!({ "place": place, "detail": detail }));
            }
        }
        CheckEvent::Problem { place, detail } => {
            bar.suspend(|| print(&format!("{place}: {detail}")));
        }
    });
    bar.finish_and_clear();
    let epoch = store.epoch();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let closed = runtime.map_err(Failed::outcome)?.block_on(store.close());
    let dir = dir.display();
    let summary = checked.map_err(|error| {
        let next = format!("`seqline check {dir} --repair` saves what can be saved");
        Failed::outcome(format!("{dir} cannot be verified to its end: {error}; {next}"))
    })?;
    closed.map_err(|error| Failed::outcome(format!("{dir} did not close well: {error}")))?;
    Ok(Verified { epoch, summary, problems })
}

/// A bar for work that is counted in bytes.
pub(super) fn progress_bar() -> Result<ProgressBar, Failed> {
    let bar = ProgressBar::new(0);
    let style = "{bar:30} {percent:>3}% {human_pos}/{human_len} {elapsed} (left: {eta})";
    bar.set_style(ProgressStyle::with_template(style).map_err(Failed::outcome)?);
    Ok(bar)
}

fn open(dir: &Path) -> Result<EmbeddedStore, Failed> {
    refuse_empty(dir)?;
    let options = Options { dir: dir.to_owned(), ..Options::default() };
    EmbeddedStore::open(options, Arc::new(SystemClock), Arc::new(SystemEntropy)).map_err(|error| {
        match error {
            OpenError::Damaged { ref detail, .. } if detail.contains("--repair") => {
                Failed::outcome(error)
            }
            OpenError::Damaged { .. } => Failed::outcome(format!(
                "{error}; `seqline check {} --repair` saves what can be saved, or restore a backup",
                dir.display()
            )),
            _ => Failed::unreachable(error),
        }
    })
}

/// Opening would make a new store where there is none.
pub(super) fn refuse_empty(dir: &Path) -> Result<(), Failed> {
    let shown = dir.display();
    let next = "name the directory that `serve --data` has";
    match std::fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
        Ok(false) => Ok(()),
        Ok(true) => Err(Failed::unreachable(format!("{shown} is empty: no data is there; {next}"))),
        Err(error) => Err(Failed::unreachable(format!("cannot read {shown}: {error}; {next}"))),
    }
}

pub(super) fn print(line: &str) {
    // A reader that has gone away does not make the check any less complete.
    let _ = writeln!(std::io::stdout(), "{line}");
}
