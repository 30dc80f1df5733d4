//! The entries of conversations that entries of inboxes are copies of.

use std::collections::BTreeMap;

use mongodb::bson::{Bson, RawDocumentBuf};

use crate::call::{Call, Stop};
use crate::db::{Collection, Fields, Query};
use crate::documents::{self, Head};
use crate::walk::corrupt;

/// By the messages' ids, those that are there. Under a stem may be another message by now, if its
/// key came free again.
pub(crate) async fn of(
    call: &Call,
    entries: &[RawDocumentBuf],
) -> Result<BTreeMap<u128, Head>, Stop> {
    let found = call.find(query(entries)).await?;
    corrupt("", 0, read(&found))
}

/// The question for them.
pub(crate) fn query(entries: &[RawDocumentBuf]) -> Query {
    let ids: Vec<Bson> =
        entries.iter().filter_map(|entry| documents::stem(entry)).map(Bson::from).collect();
    Query::Ids { of: Collection::History, ids, fields: Fields::Head }
}

/// What was found, by the messages' ids.
pub(crate) fn read(found: &[RawDocumentBuf]) -> Result<BTreeMap<u128, Head>, String> {
    let heads = found.iter().map(|document| Head::read(document));
    heads.map(|head| head.map(|head| (head.message_id, head))).collect()
}
