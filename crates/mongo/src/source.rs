//! A database as a whole, for programs that verify it or copy it: never changed, and read without
//! an open store.

use std::sync::Arc;
use std::time::Duration;

use seqline_core::id::{Epoch, MemberId, TimelineId};
use seqline_core::page::Entry;
use seqline_core::seq::Seq;

use crate::check::{self, Event, Totals};
use crate::db::driver::MongoDb;
use crate::db::{Collection, Db, NoReply};
use crate::options::Options;
use crate::reader::{Pages, Reader};
use crate::{documents, epoch, names};

/// A database that is only read.
pub struct Source {
    reader: Reader,
    inboxes: String,
    history: String,
}

/// What a copy consists of, in this order: a timeline, then its entries, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A timeline begins, with this entry. Everything before it is trimmed or was never there.
    Timeline(TimelineId, Seq),
    /// An entry of the timeline that was begun last. Numbers may be left out.
    Entry(Entry),
}

/// Why a source cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The database does not answer.
    #[error(transparent)]
    NoReply(#[from] NoReply),
    /// A document says nothing that could be copied. A check names it.
    #[error("{timeline:?} at {seq} cannot be read: {detail}")]
    Unreadable {
        /// The `id` of its timeline.
        timeline: String,
        /// Its position.
        seq: u64,
        /// What is wrong.
        detail: String,
    },
}

impl Source {
    /// The database that `options` names, once it answers.
    ///
    /// # Errors
    /// The sentence for the operator, if the address is wrong or nothing answers there.
    pub async fn connect(options: &Options) -> Result<Source, String> {
        let db = MongoDb::connect(options).await?;
        db.reach(options.contact_time).await.map_err(|error| error.to_string())?;
        Ok(Source::new(Arc::new(db), options))
    }

    /// The same on any database.
    pub fn new(db: Arc<dyn Db>, options: &Options) -> Source {
        let (inboxes, history) = (options.inboxes.clone(), options.history.clone());
        Source { reader: Reader(db), inboxes, history }
    }

    /// About how many documents both collections have.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn count(&self) -> Result<u64, NoReply> {
        let db = &self.reader.0;
        let (inboxes, history) =
            futures_util::try_join!(db.count(Collection::Inboxes), db.count(Collection::History))?;
        Ok(inboxes + history)
    }

    /// The epoch that Seqline gave the database; `None` if it never opened it.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn epoch(&self) -> Result<Option<Epoch>, NoReply> {
        epoch::of(self.reader.0.as_ref(), Duration::from_secs(30)).await
    }

    /// Verifies everything and reports as it goes.
    ///
    /// # Errors
    /// If the database does not answer any more.
    pub async fn check(&self, report: &mut dyn FnMut(Event)) -> Result<Totals, NoReply> {
        check::run(&self.reader, (&self.inboxes, &self.history), report).await
    }

    /// Everything that a reader can ask for: all conversations, then all inboxes.
    pub fn items(&self) -> Items {
        Items {
            reader: self.reader.clone(),
            pages: Some(Pages::new(&self.reader, Collection::History)),
            id: None,
            begun: false,
            floor: 0,
        }
    }
}

/// A source on its way through.
pub struct Items {
    reader: Reader,
    pages: Option<Pages>,
    /// The timeline that is being read.
    id: Option<String>,
    begun: bool,
    floor: u64,
}

impl Items {
    /// The next items, and how many documents they were made of; `None` at the end.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn next(&mut self) -> Result<Option<(Vec<Item>, u64)>, SourceError> {
        while let Some(pages) = &mut self.pages {
            let of = pages.of;
            if let Some(page) = pages.next(&self.reader).await? {
                let mut items = Vec::with_capacity(page.documents.len() + 16);
                for document in &page.documents {
                    let id = documents::string(document, documents::TIMELINE).unwrap_or_default();
                    if self.id.as_deref() != Some(id) {
                        self.id = Some(id.to_owned());
                        self.floor = page.floors.get(id).copied().unwrap_or(0);
                        self.begun = false;
                    }
                    let seq = documents::position(document).unwrap_or(0);
                    let Some(timeline) = timeline(of, id).filter(|_| seq > self.floor) else {
                        continue;
                    };
                    if !self.begun {
                        self.begun = true;
                        items.push(Item::Timeline(timeline, Seq::new(seq)));
                    }
                    let entry = match of {
                        Collection::History => documents::history_entry(document),
                        _ => documents::inbox_entry(document),
                    };
                    let entry = entry.map_err(|detail| SourceError::Unreadable {
                        timeline: id.to_owned(),
                        seq,
                        detail,
                    })?;
                    items.push(Item::Entry(entry));
                }
                return Ok(Some((items, page.documents.len() as u64)));
            }
            self.id = None;
            let next = (of == Collection::History).then_some(Collection::Inboxes);
            self.pages = next.map(|of| Pages::new(&self.reader, of));
        }
        Ok(None)
    }
}

/// The timeline whose entries stand under `id`.
fn timeline(of: Collection, id: &str) -> Option<TimelineId> {
    match of {
        Collection::History => names::conversation_of(id).map(TimelineId::Conversation),
        _ => MemberId::new("member", id).ok().map(TimelineId::Inbox),
    }
}
