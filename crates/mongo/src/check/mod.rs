//! Verifying: reads everything once, in the order of the timelines, changes nothing, and says
//! what does not hold. Of a database that Seqline opened, and of one that only go-timeline wrote.
//!
//! Whom a whole message was for is not kept, so an inbox that lacks one is only found by the hole
//! it leaves. What comes while the check runs is read or not; it is never taken for a problem.

mod duplicates;
mod finding;
mod links;

use mongodb::bson::RawDocumentBuf;
use seqline_core::id::MemberId;

use crate::db::{Collection, Fields, NoReply, Query};
use crate::documents;
use crate::names;
use crate::reader::{Pages, Read, Reader};
use crate::shell;
use duplicates::Position;
pub use finding::{Event, Finding, Kind, Totals};
use links::Links;

/// Verifies both collections, which are called so.
pub(crate) async fn run(
    reader: &Reader,
    (inboxes, history): (&str, &str),
    report: &mut dyn FnMut(Event),
) -> Result<Totals, NoReply> {
    let counts = futures_util::try_join!(
        reader.0.count(Collection::History),
        reader.0.count(Collection::Inboxes)
    )?;
    let mut check = Check {
        reader,
        report,
        totals: Totals::default(),
        collection: String::new(),
        timeline: Timeline::default(),
        done: 0,
        total: counts.0 + counts.1,
    };
    for (of, name) in [(Collection::History, history), (Collection::Inboxes, inboxes)] {
        check.collection = name.to_owned();
        let mut pages = Pages::new(reader, of);
        while let Some(page) = pages.next(reader).await? {
            check.page(of, &page).await?;
        }
        check.end_of_timeline();
    }
    Ok(check.totals)
}

/// Where the check is.
struct Check<'a> {
    reader: &'a Reader,
    report: &'a mut dyn FnMut(Event),
    totals: Totals,
    collection: String,
    timeline: Timeline,
    done: u64,
    total: u64,
}

/// The timeline that is being read.
#[derive(Default)]
struct Timeline {
    /// `None` before the first one.
    id: Option<String>,
    /// Whether a reader can ask for it.
    assigned: bool,
    floor: u64,
    /// The last position seen.
    seq: u64,
    /// The document there.
    at: Option<Position>,
    /// The last position that a document was told to move to; 0 if none was.
    free: u64,
    /// Documents of a timeline that nobody can ask for.
    unassigned: u64,
    links: Links,
}

impl Check<'_> {
    async fn page(&mut self, of: Collection, page: &Read) -> Result<(), NoReply> {
        let around = links::around(self.reader, of, &page.documents).await?;
        for document in &page.documents {
            let id = documents::string(document, documents::TIMELINE).unwrap_or_default();
            if self.timeline.id.as_deref() != Some(id) {
                self.end_of_timeline();
                let floor = page.floors.get(id).copied().unwrap_or(0);
                let (id, assigned) = (Some(id.to_owned()), is_assigned(of, id));
                self.timeline = Timeline { id, assigned, floor, ..Timeline::default() };
                self.totals.timelines += u64::from(assigned);
            }
            let Some(seq) = documents::position(document) else {
                let mend = self.move_to_end(of, document).await?;
                let name = shell::name(document);
                let detail = format!(
                    "{name} has no position, as its seq is no whole number from 1 to 2^62: remove \
                     it, or move it to the end"
                );
                self.tell(Kind::Unreadable, (None, None), detail, Some(mend));
                continue;
            };
            if seq == self.timeline.seq {
                self.duplicate(of, document, seq).await?;
                continue;
            }
            let before = self.timeline.seq.max(self.timeline.floor);
            self.timeline.seq = seq;
            self.timeline.at = Some(Position::of(document));
            if !self.timeline.assigned {
                self.timeline.unassigned += 1;
                continue;
            }
            if seq <= self.timeline.floor {
                continue;
            }
            if seq > before + 1 {
                self.hole(of, document, before + 1, seq - 1).await?;
            }
            self.entry(of, document, seq, &around).await?;
        }
        self.done += page.documents.len() as u64;
        let (done, total) = (self.done, self.total.max(self.done));
        (self.report)(Event::Progress { done, total });
        Ok(())
    }

    async fn entry(
        &mut self,
        of: Collection,
        document: &RawDocumentBuf,
        seq: u64,
        around: &links::Around,
    ) -> Result<(), NoReply> {
        let read = if of == Collection::History {
            self.totals.messages += 1;
            documents::history_entry(document)
        } else {
            self.totals.inbox_entries += 1;
            documents::inbox_entry(document)
        };
        if let Err(detail) = read {
            self.found(Kind::Unreadable, Some(seq), format!("{}: {detail}", shell::name(document)));
            return Ok(());
        }
        if of == Collection::History {
            if let Some((kind, detail)) = links::undelivered(self.reader, document).await? {
                self.found(kind, Some(seq), detail);
            }
        } else if let Some((kind, detail)) = self.timeline.links.judge(document, around) {
            self.found(kind, Some(seq), detail);
        }
        Ok(())
    }

    /// Numbers from `first` to `last` have no document: unless they came while this was read, or
    /// were trimmed meanwhile.
    async fn hole(
        &mut self,
        of: Collection,
        document: &RawDocumentBuf,
        first: u64,
        last: u64,
    ) -> Result<(), NoReply> {
        let id = self.timeline.id.clone().unwrap_or_default();
        let floors = self.reader.floors(of, [id.as_str()]).await?;
        self.timeline.floor = floors.get(&id).copied().unwrap_or(0).max(self.timeline.floor);
        let first = first.max(self.timeline.floor + 1);
        if first > last {
            return Ok(());
        }
        let query = Query::Range {
            of,
            id,
            above: first - 1,
            up_to: last,
            descending: false,
            limit: 1,
            bytes_max: usize::MAX,
            fields: Fields::Head,
        };
        if !self.reader.find(query).await?.is_empty() {
            return Ok(());
        }
        let theirs = documents::stem(document).is_none();
        let kind = if theirs { Kind::Hole } else { Kind::Missing };
        let mend = (!theirs).then(|| self.mend(of, first, last));
        let count = last - first + 1;
        let detail = match count {
            1 => "no entry has this number".to_owned(),
            _ => format!("no entries have these {count} numbers"),
        };
        self.tell(kind, (Some(first), Some(last)), detail, mend);
        Ok(())
    }

    /// The command after which readers pass the lost entries from `first` to `last`: if nothing is
    /// below them, they count as trimmed; else an empty message stands for each.
    fn mend(&self, of: Collection, first: u64, last: u64) -> String {
        let id = self.timeline.id.as_deref().unwrap_or_default();
        if first == self.timeline.floor + 1 {
            let kind = if of == Collection::Inboxes { "inbox" } else { "history" };
            let name = shell::text(&format!("{kind}:{id}"));
            return format!(
                "db.seqline_floor.updateOne({{_id: {name}}}, {{$max: {{floor: \
                 NumberLong(\"{last}\")}}}}, {{upsert: true}})"
            );
        }
        let (collection, id) = (shell::collection(&self.collection), shell::text(id));
        format!(
            "for (let n = {first}; n <= {last}; n++) \
             {collection}.insertOne({{id: {id}, seq: NumberLong(String(n))}})"
        )
    }

    fn end_of_timeline(&mut self) {
        let count = std::mem::take(&mut self.timeline.unassigned);
        if count > 0 {
            let detail = format!("{count} entries that no reader can ask for");
            self.found(Kind::Unassigned, None, detail);
        }
        let Timeline { id, seq: latest, .. } = std::mem::take(&mut self.timeline);
        if let Some(id) = id.filter(|_| latest > 0) {
            (self.report)(Event::Timeline { id, latest });
        }
    }

    fn found(&mut self, kind: Kind, seq: Option<u64>, detail: String) {
        self.tell(kind, (seq, seq), detail, None);
    }

    fn tell(
        &mut self,
        kind: Kind,
        (seq, last): (Option<u64>, Option<u64>),
        detail: String,
        mend: Option<String>,
    ) {
        self.totals.add(kind);
        let timeline = self.timeline.id.clone().unwrap_or_default();
        let collection = self.collection.clone();
        let finding = Finding { kind, collection, timeline, seq, last, detail, mend };
        (self.report)(Event::Finding(finding));
    }
}

/// Whether a reader can ask for a timeline of this name.
pub(crate) fn is_assigned(of: Collection, id: &str) -> bool {
    match of {
        Collection::History => names::conversation_of(id).is_some(),
        _ => MemberId::new("member", id).is_ok(),
    }
}
