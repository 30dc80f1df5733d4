//! `check` verifies a data directory while no server has it, or a MongoDB database; with `--repair`
//! it makes a directory sound.

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

use super::{Ended, Failed, check_mongo, mongo, repair};

/// Most problems kept for `--json`; the number of all of them is always told.
const PROBLEMS_MAX: usize = 10_000;

/// Verify a data directory, or a MongoDB database of Seqline's or go-timeline's
#[derive(Debug, Args)]
#[command(after_help = "\
A directory: numbers without a gap, every reference, every checksum. Stop the server first: one
process at a time has a directory. Nothing is repaired without --repair. What a crash left behind is
finished first, as every start does.

--repair is for a directory that does not open, or in which problems were found. It asks nothing:
* If only the index is damaged or gone, it is made again from the log. Nothing is lost and nothing
  changes for clients.
* If the log is damaged, a new one is written with every message that survives, in the same order.
  Numbers behind a loss change, so the store gets a new epoch: clients start over. Each message that
  is lost is told, and where nobody knows, which bytes of the log.
A sound directory is not touched. What was there is kept in damaged-<time> in the directory, so
the disk needs room for a second log and index. A repair that is interrupted can be run again.

--mongo is for a database, in use or not, opened by Seqline before or only by go-timeline. It reads
everything once and changes nothing, ever. Problems are duplicates (several documents at one
position), documents that cannot be read, and of Seqline's own: missing numbers, inbox entries
without their message, disorder. Told, and no problem: numbers that go-timeline burnt, messages on
their way, entries under names that nobody can ask for. What to do is said with each; of duplicates
also which to keep, and the command for mongosh. Without an index on id and seq, MongoDB sorts
first, which takes space on its disk.

Exit codes: 0 everything holds, or was repaired without a loss; 1 problems were found, or something
is lost; 2 wrong usage; 3 the directory or the database cannot be opened, reached or repaired.

Examples:
  seqline check seqline-data
  seqline check --json /var/lib/seqline
  seqline check seqline-data --repair
  seqline check --mongo mongodb://127.0.0.1:27017 --database im")]
pub struct Check {
    /// The data directory
    #[arg(required_unless_present = "mongo")]
    dir: Option<PathBuf>,
    /// Print JSON. Of a directory one object: what was read, and the first 10,000 problems. Of a
    /// database one object a line: every finding, and at the end what was read
    #[arg(long)]
    json: bool,
    /// Make a damaged directory sound again, and say what is lost
    #[arg(long, conflicts_with = "mongo")]
    repair: bool,
    /// Verify this MongoDB database instead of a directory; @FILE reads the address from a file
    #[arg(long, value_name = "URI", conflicts_with = "dir")]
    mongo: Option<String>,
    #[command(flatten)]
    names: mongo::Names,
    /// To go back to go-timeline: print commands for `redis-cli --pipe` that raise its counters to
    /// the newest numbers in the database
    #[arg(long, requires = "mongo", conflicts_with = "json")]
    redis_counters: bool,
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
        if let Some(uri) = &self.mongo {
            let options = self.names.options(uri)?;
            return match self.redis_counters {
                true => check_mongo::counters(&options),
                false => check_mongo::run(&options, self.json),
            };
        }
        let dir = self.dir.as_deref().unwrap_or(Path::new(""));
        match self.repair {
            true => repair::run(dir, self.json),
            false => self.tell(dir, verify(dir, self.json)?),
        }
    }

    fn tell(&self, dir: &Path, verified: Verified) -> Ended {
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
                dir.display()
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
