//! What commands that read a MongoDB database share: how it is named, and how it is reached.

use std::time::Duration;

use clap::Args;
use seqline_mongo::Options;
use seqline_mongo::source::Source;

use super::Failed;

/// How long the first answer may take: somebody waits for it.
const CONTACT_TIME: Duration = Duration::from_secs(10);

/// Which database and which collections.
#[derive(Debug, Args)]
pub struct Names {
    /// The name of the database, as `data.mongo.chat_database` has it
    #[arg(long, default_value = "im", value_name = "NAME")]
    database: String,
    /// The collection with the entries of inboxes
    #[arg(long, default_value = "chat_sync", value_name = "NAME")]
    sync_collection: String,
    /// The collection with the entries of conversations
    #[arg(long, default_value = "chat_history", value_name = "NAME")]
    history_collection: String,
}

impl Names {
    /// The database at `uri`, or at the address in a file.
    pub(super) fn options(&self, uri: &str) -> Result<Options, Failed> {
        let uri = match uri.strip_prefix('@') {
            None => uri.to_owned(),
            Some(file) => {
                let read = std::fs::read_to_string(file);
                let text = read.map_err(|e| Failed::usage(format!("cannot read {file}: {e}")))?;
                text.trim().to_owned()
            }
        };
        Ok(Options {
            uri,
            database: self.database.clone(),
            inboxes: self.sync_collection.clone(),
            history: self.history_collection.clone(),
            contact_time: CONTACT_TIME,
            ..Options::default()
        })
    }
}

/// The database, once it answers; refused if it has nothing at all, since then its name is wrong.
pub(super) async fn connect(options: &Options) -> Result<Source, Failed> {
    let source = Source::connect(options).await;
    let source = source.map_err(Failed::unreachable)?;
    let count = source.count().await.map_err(Failed::unreachable)?;
    if count == 0 {
        let Options { database, inboxes, history, .. } = options;
        return Err(Failed::unreachable(format!(
            "{database}.{inboxes} and {database}.{history} have no documents: --database, \
             --sync-collection and --history-collection say where they are"
        )));
    }
    Ok(source)
}

/// Runs `work` to its end on this thread.
pub(super) fn run<T>(work: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Failed::outcome)?.block_on(work)
}
