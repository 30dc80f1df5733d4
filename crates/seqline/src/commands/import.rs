//! `import` copies a MongoDB database into a new data directory, number by number.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use indicatif::ProgressBar;
use seqline_core::clock::Entropy;
use seqline_core::id::TimelineId;
use seqline_core::page::{Direction, Entry, Read};
use seqline_core::seq::Seq;
use seqline_core::store::{CheckSummary, Store as _};
use seqline_embedded::{EmbeddedStore, Imported, Options};
use seqline_mongo::check::{Kind, Totals};
use seqline_mongo::source::{Item, Source, SourceError};
use seqline_server::system::{SystemClock, SystemEntropy};
use serde_json::json;

use super::check::{print, progress_bar, verify};
use super::{Ended, Failed, check_mongo, mongo};

/// Entries read back at a time.
const PAGE_ENTRIES: usize = 1_000;
/// Bytes of messages read back at a time.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Copy a MongoDB database of go-timeline's or Seqline's into a new data directory
#[derive(Debug, Args)]
#[command(after_help = "\
Stop every server on the database first: what is sent meanwhile would be missed, and the comparison
at the end fails. The database is only read.

Every entry keeps its number in every inbox and conversation, its time and its exact text, so the
cursors of clients stay valid. Numbers that have no entry stay so: readers carry on behind them. A
timeline whose oldest entries are gone begins where it began. What go-timeline stored is written as
go-timeline replies with it. Every inbox entry has a copy of its message, as in MongoDB; what is
sent from then on is stored once. Idempotency keys are not copied, as MongoDB has only hashes of
them.

All or nothing: the database is verified (see `check --mongo`), copied, compared entry by entry, and
only then the directory has a store. An import that is interrupted is run again from the beginning.
The directory needs about as much room as the documents have bytes.

Exit codes: 0 everything is there; 1 the database cannot be copied as it is, or the copy differs;
2 wrong usage; 3 the database cannot be reached, or the directory is not empty or cannot be written.

Example:
  seqline import --from-mongo mongodb://127.0.0.1:27017 --database im --data seqline-data")]
pub struct Import {
    /// The MongoDB to copy from; @FILE reads the address from a file
    #[arg(long, value_name = "URI")]
    from_mongo: String,
    #[command(flatten)]
    names: mongo::Names,
    /// The data directory to make; it must be empty or not there
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Leave out entries under names that no reader can ask for, instead of refusing them
    #[arg(long)]
    leave_out_unassigned: bool,
    /// Print JSON, one object a line: what a check finds in the database, then what was copied
    #[arg(long)]
    json: bool,
}

/// What was copied.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Copied {
    timelines: u64,
    messages: u64,
    inbox_entries: u64,
}

impl Copied {
    fn count(&mut self, timeline: &TimelineId) {
        match timeline {
            TimelineId::Inbox(_) => self.inbox_entries += 1,
            TimelineId::Conversation(_) => self.messages += 1,
        }
    }
}

impl Import {
    pub fn run(self) -> Ended {
        let source = self.names.options(&self.from_mongo)?;
        // Before the database is read, which may take hours.
        seqline_embedded::Import::may_begin(&self.data).map_err(Failed::unreachable)?;
        let (imported, copied, totals) = mongo::run(async {
            let source = mongo::connect(&source).await?;
            let totals = check_mongo::verify(&source, self.json).await?;
            self.refuse(&totals)?;
            let (imported, copied) = self.copy(&source).await?;
            Ok((imported, copied, totals))
        })?;
        let epoch = verify_copy(imported.place(), copied, self.json)?;
        imported.settle().map_err(Failed::unreachable)?;
        self.tell(copied, &totals, &epoch);
        Ok(())
    }

    /// Says what keeps the database from being copied.
    fn refuse(&self, totals: &Totals) -> Ended {
        let unassigned = (!self.leave_out_unassigned).then_some(Kind::Unassigned);
        let refused = [Kind::Duplicate, Kind::Unreadable, Kind::Undelivered].into_iter();
        let mut found = refused.chain(unassigned).filter(|kind| totals.of(*kind) > 0);
        let Some(kind) = found.next() else { return Ok(()) };
        let (count, name) = (totals.of(kind), kind.name());
        Err(Failed::outcome(match kind {
            Kind::Undelivered => format!(
                "{count} messages are still to be delivered: start a server on the database, wait \
                 until `seqline check --mongo` finds none, stop it, and import then"
            ),
            Kind::Unassigned => format!(
                "{count} timelines have names that no reader can ask for ({name}); give them to a \
                 conversation, or leave them out with --leave-out-unassigned"
            ),
            _ => format!("{count} {name}: {}", kind.advice()),
        }))
    }

    /// Copies everything and compares it with the source.
    async fn copy(&self, source: &Source) -> Result<(Imported, Copied), Failed> {
        let options = Options { dir: self.data.clone(), ..Options::default() };
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let epoch = source.epoch().await.map_err(Failed::unreachable)?;
        let mut import = seqline_embedded::Import::begin(&options, epoch, &SystemClock, &entropy)
            .map_err(Failed::unreachable)?;
        let total = source.count().await.map_err(Failed::unreachable)?;
        let bar = progress_bar()?;
        bar.set_length(total * 2);
        let (mut copied, mut items, mut current) = (Copied::default(), source.items(), None);
        while let Some((items, documents)) = items.next().await.map_err(unread)? {
            for item in items {
                match item {
                    Item::Timeline(timeline, first) => {
                        copied.timelines += 1;
                        current = Some(timeline.clone());
                        import.timeline(timeline, first);
                    }
                    Item::Entry(entry) => {
                        current.iter().for_each(|timeline| copied.count(timeline));
                        import.entry(&entry).map_err(Failed::outcome)?;
                    }
                }
            }
            bar.inc(documents);
        }
        let imported = import.finish().map_err(Failed::unreachable)?;
        compare(source, imported.place(), copied, &bar).await?;
        bar.finish_and_clear();
        Ok((imported, copied))
    }

    fn tell(&self, copied: Copied, totals: &Totals, epoch: &str) {
        let Copied { timelines, messages, inbox_entries } = copied;
        let dir = self.data.display();
        if self.json {
            let object = json!({
                "timelines": timelines,
                "inboxEntries": inbox_entries,
                "messages": messages,
                "holes": totals.of(Kind::Hole) + totals.of(Kind::Missing),
                "leftOut": totals.of(Kind::Unassigned),
                "epoch": epoch,
            });
            print(&object.to_string());
        } else {
            print(&format!(
                "{timelines} timelines, {inbox_entries} inbox entries, {messages} messages copied \
                 and compared; epoch {epoch}"
            ));
            print(&format!("next: seqline serve --data {dir}"));
        }
    }
}

/// The source cannot be read to its end.
fn unread(error: SourceError) -> Failed {
    match error {
        SourceError::NoReply(_) => Failed::unreachable(error),
        SourceError::Unreadable { .. } => Failed::outcome(error),
    }
}

/// Verifies the copy in itself, and that it has nothing else. Returns its epoch.
fn verify_copy(place: &Path, copied: Copied, quiet: bool) -> Result<String, Failed> {
    let verified = verify(place, quiet)?;
    let CheckSummary { timelines, inbox_entries, messages, problems } = verified.summary;
    match problems == 0 && copied == (Copied { timelines, messages, inbox_entries }) {
        true => Ok(verified.epoch.to_string()),
        false => Err(Failed::outcome(format!(
            "the copy does not hold: {:?}, but {copied:?} were copied",
            verified.summary
        ))),
    }
}

/// Compares the copy with the source, entry by entry.
async fn compare(source: &Source, place: &Path, copied: Copied, bar: &ProgressBar) -> Ended {
    let options = Options { dir: place.to_owned(), ..Options::default() };
    let store = EmbeddedStore::open(options, Arc::new(SystemClock), Arc::new(SystemEntropy));
    let store = store.map_err(Failed::outcome)?;
    let (mut items, mut reading, mut found) = (source.items(), None, Copied::default());
    while let Some((items, documents)) = items.next().await.map_err(unread)? {
        for item in items {
            match (item, &mut reading) {
                (Item::Timeline(timeline, first), reading) => {
                    end(&store, reading.take()).await?;
                    found.timelines += 1;
                    *reading = Some(Reading::new(&store, timeline, first).await?);
                }
                (Item::Entry(entry), Some(reading)) => {
                    found.count(&reading.timeline);
                    let stored = reading.next(&store).await?;
                    if stored.as_ref() != Some(&entry) {
                        return Err(differs(&reading.timeline, entry.seq));
                    }
                }
                (Item::Entry(_), None) => {}
            }
        }
        bar.inc(documents);
    }
    end(&store, reading.take()).await?;
    store.close().await.map_err(Failed::outcome)?;
    match found == copied {
        true => Ok(()),
        false => Err(Failed::outcome(format!("the database changed: {CHANGED}"))),
    }
}

const CHANGED: &str = "stop all servers on it, and import again";

fn differs(timeline: &TimelineId, seq: Seq) -> Failed {
    Failed::outcome(format!("{timeline} at {seq} is not as in the database any more: {CHANGED}"))
}

/// A timeline of the copy, on its way through.
struct Reading {
    timeline: TimelineId,
    entries: VecDeque<Entry>,
    after: Seq,
    latest: Seq,
}

impl Reading {
    async fn new(
        store: &EmbeddedStore,
        timeline: TimelineId,
        first: Seq,
    ) -> Result<Reading, Failed> {
        let bounds = store.bounds(vec![timeline.clone()]).await.map_err(Failed::outcome)?;
        let bounds = bounds.first().copied().unwrap_or(seqline_core::page::Bounds::EMPTY);
        if bounds.first != first {
            return Err(differs(&timeline, first));
        }
        let (entries, after, latest) = (VecDeque::new(), Seq::ZERO, bounds.latest);
        Ok(Reading { timeline, entries, after, latest })
    }

    /// The next entry; `None` at the end.
    async fn next(&mut self, store: &EmbeddedStore) -> Result<Option<Entry>, Failed> {
        if self.entries.is_empty() && self.after < self.latest {
            let read = Read {
                timeline: self.timeline.clone(),
                after: self.after,
                until: Seq::MAX,
                direction: Direction::Forward,
                entries_max: PAGE_ENTRIES,
                bytes_max: PAGE_BYTES,
            };
            self.entries = store.read(read).await.map_err(Failed::outcome)?.entries.into();
        }
        let next = self.entries.pop_front();
        self.after = next.as_ref().map_or(self.after, |entry| entry.seq);
        Ok(next)
    }
}

/// A timeline of the copy has nothing more than the source.
async fn end(store: &EmbeddedStore, reading: Option<Reading>) -> Ended {
    let Some(mut reading) = reading else { return Ok(()) };
    match reading.next(store).await? {
        None => Ok(()),
        Some(entry) => Err(differs(&reading.timeline, entry.seq)),
    }
}
