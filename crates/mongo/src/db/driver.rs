//! The port on MongoDB, by its official driver.
//!
//! Writes are sent as plain commands: so their replies are seen whole, each has a time limit, and
//! nothing repeats them behind one's back.

mod commands;
mod indexes;

use std::pin::Pin;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use futures_util::{TryStreamExt as _, stream};
use mongodb::bson::raw::{RawArrayBuf, RawDocumentBuf, cstr};
use mongodb::bson::{Document, doc};
use mongodb::error::ErrorKind;
use mongodb::options::{ClientOptions, ReadConcern, ReadPreference, SelectionCriteria};
use mongodb::{Client, Database};

use super::{
    Collection, Db, Entries, IndexError, NoReply, Order, Outcome, Query, Reply, Scan, Tail, Update,
};
use crate::documents;
use crate::options::{Options, WeakWrites};
use crate::store::OpenError;

/// The collection of floors.
const FLOORS: &str = "seqline_floor";
/// The collection of the epoch and the leases.
const META: &str = "seqline_meta";

/// Up to how many tails are asked for one by one, each by the end of its index range.
const SINGLE_TAILS_MAX: usize = 8;

/// Most connections to each server unless the address says otherwise, as most drivers have it. This
/// one has 10, and a command waits for a connection at the expense of its own time.
const CONNECTIONS_MAX: u32 = 100;

/// Most documents in the first reply to a read. MongoDB's own number is 101: with it every read of
/// more than that takes another round trip.
const FIRST_REPLY_MAX: u32 = 10_000;

/// Documents that come together when everything is read.
const SCAN_BATCH: u32 = 1_000;

/// A MongoDB database.
#[derive(Clone, Debug)]
pub struct MongoDb {
    database: Database,
    inboxes: String,
    history: String,
    weak_writes: Option<WeakWrites>,
    /// Where the database is, for people.
    hosts: String,
}

impl MongoDb {
    /// A database that is connected to when it is first used.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub async fn connect(options: &Options) -> Result<MongoDb, String> {
        let text = |error: mongodb::error::Error| match *error.kind {
            ErrorKind::InvalidArgument { message, .. } => message,
            _ => error.to_string(),
        };
        if options.uri.starts_with("mongodb+srv:") {
            return Err("mongodb+srv:// is not looked up; name the servers themselves, as in \
                        mongodb://HOST1,HOST2,HOST3/?replicaSet=NAME&tls=true"
                .to_owned());
        }
        let mut client = ClientOptions::parse(&options.uri).await.map_err(text)?;
        client.app_name.get_or_insert_with(|| "seqline".to_owned());
        client.max_pool_size.get_or_insert(CONNECTIONS_MAX);
        // Operations have their own patience; this is for the first of them.
        client.server_selection_timeout = Some(options.contact_time);
        let hosts: Vec<String> = client.hosts.iter().map(ToString::to_string).collect();
        let client = Client::with_options(client).map_err(text)?;
        if let Some(weak) = options.weak_writes {
            tracing::warn!(
                concern = ?weak,
                "writes are acknowledged before a majority has them: acknowledged messages can \
                 be lost, repeated or reordered"
            );
        }
        Ok(MongoDb {
            database: client.database(&options.database),
            inboxes: options.inboxes.clone(),
            history: options.history.clone(),
            weak_writes: options.weak_writes,
            hosts: hosts.join(", "),
        })
    }

    /// Waits until the database answers, for at most `within`.
    ///
    /// # Errors
    /// `Unreachable`, with what the driver knows of each of its servers.
    pub async fn reach(&self, within: Duration) -> Result<(), OpenError> {
        let seconds = within.as_secs_f32();
        tracing::info!(hosts = self.hosts, seconds, "waiting for MongoDB to answer");
        let unreachable = |what: String| OpenError::Unreachable { hosts: self.hosts.clone(), what };
        let none = || format!("has not answered within {seconds} s");
        let ping = self.database.run_command(doc! { "ping": 1 });
        // The driver ends it by itself, with a reason, unless a connection is silent.
        let answer = tokio::time::timeout(within + Duration::from_secs(1), ping).await;
        let answer = answer.map_err(|_| unreachable(none()))?;
        answer.map(|_| ()).map_err(|error| match error.kind.as_ref() {
            ErrorKind::ServerSelection { message, .. } => {
                unreachable(format!("{}: {message}", none()))
            }
            other => unreachable(format!("refuses this server: {other}")),
        })
    }

    fn name(&self, of: Collection) -> &str {
        match of {
            Collection::Inboxes => &self.inboxes,
            Collection::History => &self.history,
            Collection::Floors => FLOORS,
            Collection::Meta => META,
        }
    }

    fn write_concern(&self, within: Duration) -> Document {
        let wtimeout = millis(within);
        match self.weak_writes {
            None => doc! { "w": "majority", "j": true, "wtimeout": wtimeout },
            Some(WeakWrites::MajorityMemory) => {
                doc! { "w": "majority", "j": false, "wtimeout": wtimeout }
            }
            Some(WeakWrites::Primary) => doc! { "w": 1, "j": true, "wtimeout": wtimeout },
        }
    }

    /// Sends a write command, to which its time limit and write concern are added.
    async fn write(
        &self,
        mut command: RawDocumentBuf,
        within: Duration,
    ) -> Result<Document, NoReply> {
        let concern = RawDocumentBuf::try_from(&self.write_concern(within)).map_err(no_reply)?;
        command.append(cstr!("writeConcern"), concern);
        command.append(cstr!("maxTimeMS"), millis(within));
        let reply = self.database.run_raw_command(command).await.map_err(no_reply)?;
        match reply.get("writeConcernError") {
            None => Ok(reply),
            Some(error) => Err(NoReply(error.to_string())),
        }
    }

    /// What a query finds, without the entries that have no position: as many more are asked for.
    async fn find_all(
        &self,
        mut query: commands::Find,
        within: Duration,
    ) -> Result<Vec<RawDocumentBuf>, NoReply> {
        loop {
            let mut found = self.find_some(&query, within).await?;
            let count = found.len();
            let bytes: usize = found.iter().map(|document| document.as_bytes().len()).sum();
            let cut = count >= query.limit || bytes > query.bytes_max;
            if query.of_positions {
                found.retain(|document| documents::position(document).is_some());
            }
            let without = count - found.len();
            if without == 0 || !cut {
                return Ok(found);
            }
            let left: usize = found.iter().map(|document| document.as_bytes().len()).sum();
            query.limit = query.limit.saturating_add(without);
            query.bytes_max = query.bytes_max.saturating_add(bytes - left);
        }
    }

    async fn find_some(
        &self,
        query: &commands::Find,
        within: Duration,
    ) -> Result<Vec<RawDocumentBuf>, NoReply> {
        let collection = self.database.collection::<RawDocumentBuf>(self.name(query.of));
        let mut find = collection
            .find(query.filter.clone())
            .sort(query.sort.clone())
            .projection(query.projection.clone())
            .max_time(within)
            .read_concern(ReadConcern::majority())
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary));
        // 0 would mean all, and so does a limit that no answer reaches.
        if let Some(limit) = i64::try_from(query.limit).ok().filter(|limit| *limit < 1 << 31) {
            find = find.limit(limit);
        }
        // Whoever stops at a number of bytes would get far more than that in one reply.
        if query.bytes_max == usize::MAX {
            find = find.batch_size(FIRST_REPLY_MAX);
        }
        let mut cursor = find.await.map_err(no_reply)?;
        let (mut found, mut bytes) = (Vec::new(), 0_usize);
        while cursor.advance().await.map_err(no_reply)? {
            let document = cursor.current().to_owned();
            bytes = bytes.saturating_add(document.as_bytes().len());
            found.push(document);
            if bytes > query.bytes_max {
                break;
            }
        }
        Ok(found)
    }

    /// The tails of many timelines in one command. Sorted against the index, so that the first of
    /// each group is found without reading the others.
    async fn tails_of_many(
        &self,
        of: Collection,
        ids: Vec<String>,
        within: Duration,
    ) -> Result<Vec<Tail>, NoReply> {
        let collection = self.database.collection::<RawDocumentBuf>(self.name(of));
        let mut cursor = collection
            .aggregate(commands::tails(of, &ids))
            .batch_size(FIRST_REPLY_MAX)
            .max_time(within)
            .read_concern(ReadConcern::majority())
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .await
            .map_err(no_reply)?;
        let (mut tails, mut without) = (Vec::new(), Vec::new());
        while cursor.advance().await.map_err(no_reply)? {
            let group = cursor.current();
            match documents::position(group) {
                Some(_) => tails.push(commands::tail_of_group(group)?),
                None => without.extend(documents::string(group, documents::ID).map(str::to_owned)),
            }
        }
        // Those whose highest `seq` is no position.
        for id in without {
            tails.extend(self.tail(of, id, within).await?);
        }
        Ok(tails)
    }

    async fn tail(
        &self,
        of: Collection,
        id: String,
        within: Duration,
    ) -> Result<Option<Tail>, NoReply> {
        let found = self.find_all(commands::tail(of, &id), within).await?;
        found.first().map(|document| commands::tail_of_entry(id, document)).transpose()
    }
}

impl Db for MongoDb {
    fn insert(
        &self,
        into: Collection,
        documents: Vec<RawDocumentBuf>,
        order: Order,
        within: Duration,
    ) -> Reply<Vec<Outcome>> {
        let this = self.clone();
        Box::pin(async move {
            let count = documents.len();
            let mut command = RawDocumentBuf::new();
            command.append(cstr!("insert"), this.name(into));
            command.append(cstr!("ordered"), order == Order::Ordered);
            let mut list = RawArrayBuf::new();
            documents.into_iter().for_each(|document| list.push(document));
            command.append(cstr!("documents"), list);
            let reply = this.write(command, within).await?;
            commands::outcomes(&reply, count, order)
        })
    }

    fn find(&self, query: Query, within: Duration) -> Reply<Vec<RawDocumentBuf>> {
        let this = self.clone();
        Box::pin(async move {
            // MongoDB takes 0 for no limit.
            if let Query::Range { limit: 0, .. } = query {
                return Ok(Vec::new());
            }
            this.find_all(commands::find(query), within).await
        })
    }

    fn tails(&self, of: Collection, ids: Vec<String>, within: Duration) -> Reply<Vec<Tail>> {
        let this = self.clone();
        Box::pin(async move {
            if ids.len() > SINGLE_TAILS_MAX {
                return this.tails_of_many(of, ids, within).await;
            }
            let tails = join_all(ids.into_iter().map(|id| this.tail(of, id, within))).await;
            tails.into_iter().filter_map(Result::transpose).collect()
        })
    }

    fn update(&self, update: Update, within: Duration) -> Reply<u64> {
        let this = self.clone();
        Box::pin(async move {
            let commands::Change { of, command, held_if_taken } = commands::update(update);
            let mut whole = RawDocumentBuf::new();
            whole.append(cstr!("update"), this.name(of));
            commands::append_all(&mut whole, &command).map_err(no_reply)?;
            let reply = this.write(whole, within).await?;
            match commands::write_errors(&reply)?.first() {
                None => commands::count(&reply),
                // Somebody holds it, so an upsert found another document under this `_id`.
                Some(_) if held_if_taken => Ok(0),
                Some(_) => Err(NoReply("two made one document at once".to_owned())),
            }
        })
    }

    fn delete(&self, entries: Entries, within: Duration) -> Reply<()> {
        let this = self.clone();
        Box::pin(async move {
            let mut command = RawDocumentBuf::new();
            command.append(cstr!("delete"), this.name(entries.of));
            let Entries { id, up_to, ids, .. } = entries;
            let delete = commands::delete(&id, up_to, ids);
            commands::append_all(&mut command, &delete).map_err(no_reply)?;
            let reply = this.write(command, within).await?;
            match commands::write_errors(&reply)?.is_empty() {
                true => Ok(()),
                false => Err(NoReply("a document could not be deleted".to_owned())),
            }
        })
    }

    fn scan(&self, of: Collection) -> Scan {
        let collection = self.database.collection::<RawDocumentBuf>(self.name(of));
        let open = async move {
            let cursor = collection
                .find(doc! {})
                .sort(doc! { "id": 1, "seq": 1 })
                .allow_disk_use(true)
                .batch_size(SCAN_BATCH)
                .read_concern(ReadConcern::majority())
                .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
                .await
                .map_err(no_reply)?;
            Ok::<_, NoReply>(cursor.map_err(no_reply))
        };
        Box::pin(stream::once(open).try_flatten())
    }

    fn count(&self, of: Collection) -> Reply<u64> {
        let collection = self.database.collection::<RawDocumentBuf>(self.name(of));
        Box::pin(async move { collection.estimated_document_count().await.map_err(no_reply) })
    }

    fn prepare(&self) -> Pin<Box<dyn Future<Output = Result<(), IndexError>> + Send + 'static>> {
        let this = self.clone();
        Box::pin(async move {
            let all = indexes::all(&this);
            try_join_all(all.iter().map(|index| index.make(&this.database))).await.map(|_| ())
        })
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).max(1)
}

fn no_reply(error: impl std::fmt::Display) -> NoReply {
    NoReply(error.to_string())
}
