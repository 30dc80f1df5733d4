//! A process that is killed in the middle of its work, and how soon its store is there again.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use seqline_core::id::{ConversationId, TimelineId};
use seqline_core::store::Store as _;

use super::Engine;
use super::driver::{Pace, Until, drive};
use super::place::{close, disk_bytes, open};
use super::rates::fifties;
use super::report::Found;
use crate::commands::terminal::Problem;

/// How often the loading process says how far it is.
const SAY_INTERVAL: Duration = Duration::from_millis(50);
/// Far longer than anybody lets it run.
const FOREVER: Duration = Duration::from_secs(1_000_000);

impl Engine<'_> {
    /// Loads a store in another process, kills that with `SIGKILL` and opens the store here.
    pub fn reopen(&self, row: &str) -> Result<Found, Problem> {
        let dir = self.place.store_dir(row);
        let mut child = Loader::start(&dir, self)?;
        let acknowledged = child.kill_after(self.warm_up() + self.settings.time)?;
        let size = disk_bytes(&dir)?;
        let begun = Instant::now();
        let store = open(&dir)?;
        let opened = begun.elapsed();
        let traffic = self.traffic(fifties())?;
        let groups = traffic.group_ids().map(|id| ConversationId::Group(id).into());
        let groups: Vec<TimelineId> = groups.collect();
        let bounds = self.runtime.block_on(store.bounds(groups));
        let bounds = bounds.map_err(|error| Problem::Failed(error.to_string()))?;
        let stored: u64 = bounds.iter().map(|bounds| bounds.latest.get()).sum();
        close(store, &self.runtime)?;
        std::fs::remove_dir_all(&dir)?;
        if stored < acknowledged {
            let text = format!("{acknowledged} sends were acknowledged, {stored} are stored");
            return Err(Problem::Failed(text));
        }
        Ok(Found::new(row)
            .count("acknowledged_sends", acknowledged)
            .count("stored_sends", stored)
            .count("disk_bytes", size)
            .number("open_after_kill_ms", opened.as_secs_f64() * 1e3))
    }

    /// Loads the store in `dir` with groups of 50 until it is killed; says how many sends were
    /// acknowledged.
    pub fn load(&self, dir: &Path) -> Result<(), Problem> {
        // It must not go on when nobody is left to kill it.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(std::io::Error::from)?;
        let store = open(dir)?;
        let mut traffic = self.traffic(fifties())?;
        let acknowledged = AtomicU64::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                // It ends when nobody reads, or with the process.
                while writeln!(std::io::stdout(), "{}", acknowledged.load(Ordering::Relaxed))
                    .is_ok()
                {
                    thread::sleep(SAY_INTERVAL);
                }
            });
            let call = || store.append(traffic.outgoing());
            let done = |_| {
                acknowledged.fetch_add(1, Ordering::Relaxed);
            };
            let pace = Pace::Closed(self.settings.callers);
            drive(pace, Until::Time(Duration::ZERO, FOREVER), call, done);
        });
        Ok(())
    }
}

/// The process that loads.
struct Loader {
    child: Child,
}

impl Loader {
    fn start(dir: &Path, engine: &Engine<'_>) -> Result<Loader, Problem> {
        let settings = engine.settings;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench", "--engine", "--load"]).arg(dir);
        command.args(["--members", &settings.members.to_string()]);
        command.args(["--workers", &settings.callers.to_string()]);
        command.args(["--payload", &settings.body_bytes.to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        Ok(Loader { child })
    }

    /// Lets it work and kills it. Returns the last number it said.
    fn kill_after(&mut self, time: Duration) -> Result<u64, Problem> {
        let out = self.child.stdout.take();
        let out = out.ok_or_else(|| Problem::Failed("the loader says nothing".to_owned()))?;
        let mut last = 0;
        let mut end = None;
        for line in BufReader::new(out).lines() {
            last = line?.parse().unwrap_or(last);
            // Opening the store and making the traffic takes a while too.
            let end = *end.get_or_insert_with(|| Instant::now() + time);
            if Instant::now() >= end {
                self.child.kill()?;
                break;
            }
        }
        self.child.wait()?;
        if last == 0 {
            return Err(Problem::Failed("the loader did not store anything".to_owned()));
        }
        Ok(last)
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        // After it was waited for this does nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
