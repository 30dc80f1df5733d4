//! `bench --engine`: the store alone, in one process, beside the physical limit of its disk.
//!
//! Each row has a store of its own, in a directory that is removed afterwards. The callers are
//! one thread ([`driver`]); the bare log ([`bare`]) gets the same messages ([`traffic`]).

mod bare;
mod crash;
mod driver;
mod pages;
mod place;
mod rates;
mod report;
mod soak;
mod traffic;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use tokio::runtime::Runtime;

use super::process::Process;
use crate::commands::terminal::Problem;
use crate::machine::Machine;
use driver::Pace;
use place::Place;
use report::Found;
use traffic::{GROUPS, Shape, Traffic};

/// Longest warm-up; short measurements have a shorter one.
const WARM_UP_MAX: Duration = Duration::from_secs(1);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Row {
    /// Direct sends; each member talks with the same 20 others.
    Direct,
    /// Direct sends between two who have nearly never talked before.
    DirectNew,
    /// Sends to groups of 50.
    Group50,
    /// Sends to groups of 500.
    Group500,
    /// Latency at 100,000 deliveries a second.
    Paced100k,
    /// Latency at 1,000,000 deliveries a second.
    Paced1m,
    /// Latency of direct sends beside ten sends a second to groups of 100,000.
    Large,
    /// Pages of 100, from memory and from the disk.
    Pages,
    /// Processor time of a delivery with few and with --fill entries stored.
    Cost,
    /// Bytes on disk for each of --fill deliveries.
    Disk,
    /// Opening again after kill -9.
    Reopen,
    /// Groups of 50 for --seconds, with readers that look for gaps; never by default.
    Soak,
}

impl Row {
    /// All but the long one.
    pub fn usual() -> Vec<Row> {
        Row::value_variants().iter().copied().filter(|row| *row != Row::Soak).collect()
    }

    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// A measurement.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is measured.
    pub rows: Vec<Row>,
    /// How long each thing is measured.
    pub time: Duration,
    /// How many members there are.
    pub members: usize,
    /// Callers at a time.
    pub callers: usize,
    /// Length of a message.
    pub body_bytes: usize,
    /// Entries stored for the rows that need many.
    pub fill: u64,
    /// A new directory, removed at the end.
    pub dir: PathBuf,
    /// Whether each row is printed as a JSON object.
    pub json: bool,
}

struct Engine<'a> {
    settings: &'a Settings,
    place: Place,
    runtime: Runtime,
}

/// Measures the store and prints each row when it is done.
///
/// # Errors
/// If the directory exists or a row fails.
pub fn run(settings: &Settings) -> Result<(), Problem> {
    let engine = Engine::new(settings, Place::new(&settings.dir)?)?;
    let _inside = engine.runtime.enter();
    engine.print(&engine.about())?;
    for row in &settings.rows {
        engine.print(&engine.row(*row)?)?;
    }
    engine.print(&memory())
}

/// Loads a store until this process is killed; see [`Row::Reopen`].
///
/// # Errors
/// If it cannot.
pub fn load(settings: &Settings, dir: &Path) -> Result<(), Problem> {
    let beside = dir.with_extension("loader");
    let engine = Engine::new(settings, Place::new(&beside)?)?;
    let _inside = engine.runtime.enter();
    engine.load(dir)
}

impl<'a> Engine<'a> {
    fn new(settings: &'a Settings, place: Place) -> Result<Engine<'a>, Problem> {
        // Its thread drives whatever a store may start; the callers need none.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Engine { settings, place, runtime })
    }

    fn warm_up(&self) -> Duration {
        WARM_UP_MAX.min(self.settings.time / 4)
    }

    fn closed(&self) -> Pace {
        Pace::Closed(self.settings.callers)
    }

    /// Traffic of a shape, from its beginning.
    fn traffic(&self, shape: Shape) -> Result<Traffic, Problem> {
        Traffic::new(shape, self.settings.members, self.settings.body_bytes)
            .map_err(|error| Problem::Usage(error.to_string()))
    }

    fn row(&self, row: Row) -> Result<Found, Problem> {
        let name = row.name();
        let groups = |size| Shape::Groups { count: GROUPS, size };
        match row {
            Row::Direct => self.rate(&name, Shape::Pairs),
            Row::DirectNew => self.rate(&name, Shape::NewPairs),
            Row::Group50 => self.rate(&name, groups(50)),
            Row::Group500 => self.rate(&name, groups(500)),
            Row::Paced100k => self.paced(&name, 100_000),
            Row::Paced1m => self.paced(&name, 1_000_000),
            Row::Large => self.large(&name),
            Row::Pages => self.pages(&name),
            Row::Cost => self.cost(&name),
            Row::Disk => self.disk(&name),
            Row::Reopen => self.reopen(&name),
            Row::Soak => self.soak(&name),
        }
    }

    /// What it runs on and how.
    fn about(&self) -> Found {
        let (machine, settings) = (Machine::this(), self.settings);
        Found::new("about")
            .text("version", env!("CARGO_PKG_VERSION"))
            .count("cores", machine.cores as u64)
            .text("processor", machine.processor)
            .text("kernel", machine.kernel)
            .text("disk", self.place.disk())
            .text("durability", "fsync")
            .number("seconds", settings.time.as_secs_f64())
            .count("members", settings.members as u64)
            .count("callers", settings.callers as u64)
            .count("body_bytes", settings.body_bytes as u64)
            .count("groups", GROUPS as u64)
            .count("fill_entries", settings.fill)
            .count("bare_sends_per_sync", bare::SENDS_PER_SYNC as u64)
    }

    fn print(&self, found: &Found) -> Result<(), Problem> {
        let mut out = io::stdout().lock();
        if self.settings.json {
            let line = serde_json::to_string(found).map_err(io::Error::from)?;
            writeln!(out, "{line}")?;
        } else {
            writeln!(out, "{found}")?;
        }
        Ok(out.flush()?)
    }
}

/// Memory of this process, in which the store, its callers and the bare log's index were.
fn memory() -> Found {
    let (now, peak) = Process::this().memory_bytes().unwrap_or_default();
    Found::new("memory").count("memory_bytes", now).count("memory_peak_bytes", peak)
}
