//! Reading a whole database, without an open store: page by page in the order of the timelines,
//! with what else must be known about a page.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures_util::StreamExt as _;
use mongodb::bson::{Bson, RawDocumentBuf};

use crate::bounds::FLOOR;
use crate::db::{Collection, Db, Fields, NoReply, Query, Reply, Scan};
use crate::documents;

/// Documents of a page.
const PAGE: usize = 1_000;
/// How long one question may take.
const WITHIN: Duration = Duration::from_secs(30);
/// How often a question is asked again that gets no answer: for up to about half a minute.
const RETRIES: usize = 10;
/// The first pause in between, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A database that is only read.
#[derive(Clone)]
pub(crate) struct Reader(pub Arc<dyn Db>);

impl Reader {
    /// What a query finds.
    pub async fn find(&self, query: Query) -> Result<Vec<RawDocumentBuf>, NoReply> {
        insist(|| self.0.find(query.clone(), WITHIN)).await
    }

    /// The highest position of a timeline.
    pub async fn tail(&self, of: Collection, id: &str) -> Result<u64, NoReply> {
        let found = insist(|| self.0.tails(of, vec![id.to_owned()], WITHIN)).await?;
        Ok(found.first().map_or(0, |tail| tail.seq))
    }

    /// The floors of the timelines called `ids`, of those that have one.
    pub async fn floors(
        &self,
        of: Collection,
        ids: impl IntoIterator<Item = &str>,
    ) -> Result<HashMap<String, u64>, NoReply> {
        let prefix = if of == Collection::Inboxes { "inbox:" } else { "history:" };
        let mut ids: Vec<String> = ids.into_iter().map(|id| format!("{prefix}{id}")).collect();
        ids.dedup();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let ids = ids.into_iter().map(Bson::String).collect();
        let query = Query::Ids { of: Collection::Floors, ids, fields: Fields::All };
        let found = self.find(query).await?;
        let read = |document: &RawDocumentBuf| {
            let id = documents::string(document, documents::ID)?.strip_prefix(prefix)?.to_owned();
            Some((id, documents::number(document, FLOOR)?))
        };
        Ok(found.iter().filter_map(read).collect())
    }
}

/// Asks until there is an answer.
async fn insist<T>(ask: impl Fn() -> Reply<T>) -> Result<T, NoReply> {
    let (first, longest) = PAUSES;
    let pauses = ExponentialBuilder::new().with_min_delay(first).with_max_delay(longest);
    let mut pauses = pauses.with_max_times(RETRIES).build();
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(silence) => match pauses.next() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(silence),
            },
        }
    }
}

/// All documents of a collection, page by page.
pub(crate) struct Pages {
    pub of: Collection,
    scan: Scan,
}

/// Some documents, and the floors of their timelines.
pub(crate) struct Read {
    pub documents: Vec<RawDocumentBuf>,
    pub floors: HashMap<String, u64>,
}

impl Pages {
    pub fn new(reader: &Reader, of: Collection) -> Pages {
        Pages { of, scan: reader.0.scan(of) }
    }

    /// The next page; `None` at the end.
    pub async fn next(&mut self, reader: &Reader) -> Result<Option<Read>, NoReply> {
        let mut documents = Vec::new();
        while documents.len() < PAGE
            && let Some(document) = self.scan.next().await
        {
            documents.push(document?);
        }
        if documents.is_empty() {
            return Ok(None);
        }
        // After the documents: what is not there any more was below a floor by then.
        let ids = documents.iter().filter_map(|d| documents::string(d, documents::TIMELINE));
        let floors = reader.floors(self.of, ids).await?;
        Ok(Some(Read { documents, floors }))
    }
}
