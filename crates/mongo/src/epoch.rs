//! The epoch: which history of the database this is. Whoever restores a backup gives it another
//! one (and another database name), and an instance that reads another than its own ends.

use std::time::Duration;

use mongodb::bson::raw::{CStr, RawDocumentBuf, cstr};
use mongodb::bson::{Bson, RawBsonRef};
use seqline_core::clock::Entropy;
use seqline_core::id::Epoch;

use crate::call::{Call, Stop};
use crate::db::{Collection, Db, Fields, NoReply, Order, Query};
use crate::documents;

const NAME: &str = "epoch";
const VALUE: &CStr = cstr!("value");

fn query() -> Query {
    Query::Ids { of: Collection::Meta, ids: vec![Bson::from(NAME)], fields: Fields::All }
}

fn value(found: &[RawDocumentBuf]) -> Option<Epoch> {
    match documents::field(found.first()?, VALUE)? {
        RawBsonRef::Int64(value) => Some(Epoch(value.cast_unsigned())),
        _ => None,
    }
}

/// The database's epoch, if it has one.
pub(crate) async fn of(db: &dyn Db, within: Duration) -> Result<Option<Epoch>, NoReply> {
    Ok(value(&db.find(query(), within).await?))
}

/// The database's epoch; a new database gets one.
pub(crate) async fn open(
    db: &dyn Db,
    entropy: &dyn Entropy,
    within: Duration,
) -> Result<Epoch, NoReply> {
    if let Some(epoch) = of(db, within).await? {
        return Ok(epoch);
    }
    let mut document = RawDocumentBuf::new();
    document.append(documents::ID, NAME);
    document.append(VALUE, entropy.random().cast_signed());
    // If another instance was first, its epoch counts.
    db.insert(Collection::Meta, vec![document], Order::Ordered, within).await?;
    let found = db.find(query(), within).await?;
    value(&found).ok_or_else(|| NoReply("it has no epoch".to_owned()))
}

/// Ends the store if the database has another epoch by now.
pub(crate) async fn verify(call: &Call) -> Result<(), Stop> {
    let found = call.find(query()).await?;
    if value(&found) != Some(call.shared.epoch) {
        tracing::error!("the database has another epoch: it was restored or replaced");
        call.shared.life.end("the database has another epoch; start again");
    }
    Ok(())
}
