//! From settings to an open store: the only place that knows which stores there are. How one
//! keeps things is its own affair.

use std::sync::Arc;

use seqline_core::store::Store;
use seqline_embedded::{Durability as StoreDurability, EmbeddedStore, OpenError, Options};

use crate::config::{Data, Durability, StoreKind};
use crate::system::{SystemClock, SystemEntropy};

/// A store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The data directory cannot be opened. The text says what to do.
    #[error("cannot open the store: {0}")]
    Embedded(#[from] OpenError),
    /// This build has no such store.
    #[error(
        "cannot open the store: this build has no store over MongoDB, which {reason}; set \
         data.store to embedded"
    )]
    NoMongo {
        /// Which setting chose it.
        reason: &'static str,
    },
}

/// Opens the store that the settings choose.
///
/// # Errors
/// [`StoreError`]; then nothing was opened.
pub fn open(data: &Data) -> Result<Arc<dyn Store>, StoreError> {
    match data.store_kind() {
        StoreKind::Embedded => {
            let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
            Ok(Arc::new(EmbeddedStore::open(embedded(data), clock, entropy)?))
        }
        StoreKind::Mongo => Err(StoreError::NoMongo {
            reason: match data.store {
                Some(_) => "data.store asks for",
                None => "data.mongo.source asks for",
            },
        }),
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
