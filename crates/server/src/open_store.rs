//! From settings to an open store: the only place that knows which stores there are. How one
//! keeps things is its own affair.

mod mongo;

use std::sync::Arc;

use seqline_core::store::Store;
use seqline_embedded::{Durability as StoreDurability, EmbeddedStore, OpenError, Options};
use tokio::sync::watch;

use self::mongo::Beside;
pub use self::mongo::MongoError;
use crate::config::{Data, Durability, StoreKind};
use crate::system::{SystemClock, SystemEntropy};

/// A store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The data directory cannot be opened. The text says what to do.
    #[error("cannot open the store: {0}")]
    Embedded(#[from] OpenError),
    /// The store over MongoDB cannot be opened. The text says what to do.
    #[error("cannot open the store: {0}")]
    Mongo(#[from] MongoError),
}

/// An open store, and what must live as long as it does. Close the store before this is dropped.
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    beside: Option<Beside>,
}

impl Opened {
    /// Whether Redis answers; `None` if there is none beside the store.
    pub fn redis(&self) -> Option<watch::Receiver<bool>> {
        self.beside.as_ref()?.redis()
    }
}

impl From<Arc<dyn Store>> for Opened {
    fn from(store: Arc<dyn Store>) -> Opened {
        Opened { store, beside: None }
    }
}

/// Opens the store that the settings choose. It may take long, and must not be called within a
/// runtime.
///
/// # Errors
/// [`StoreError`]; then nothing was opened.
pub fn open(data: &Data) -> Result<Opened, StoreError> {
    match data.store_kind() {
        StoreKind::Embedded => {
            let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
            let store = EmbeddedStore::open(embedded(data), clock, entropy)?;
            Ok(Opened { store: Arc::new(store), beside: None })
        }
        StoreKind::Mongo => {
            let (store, beside) = mongo::open(data)?;
            Ok(Opened { store, beside: Some(beside) })
        }
    }
}

fn embedded(data: &Data) -> Options {
    Options {
        dir: data.dir.clone(),
        durability: match data.durability {
            Durability::Fsync => StoreDurability::Fsync,
            Durability::Interval => StoreDurability::Interval(data.durability_interval),
            Durability::None => StoreDurability::None,
        },
        idempotency_window: data.idempotency_window,
        queue_sends_max: data.queue_sends_max,
        queue_bytes_max: data.queue_bytes_max,
        memory_bytes: data.memory_bytes,
    }
}
