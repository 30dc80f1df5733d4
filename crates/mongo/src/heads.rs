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
    let ids: Vec<Bson> =
        entries.iter().filter_map(|entry| documents::stem(entry)).map(Bson::from).collect();
    let query = Query::Ids { of: Collection::History, ids, fields: Fields::Head };
    let mut heads = BTreeMap::new();
    for document in call.find(query).await? {
        let head = corrupt("", 0, Head::read(&document))?;
        heads.insert(head.message_id, head);
    }
    Ok(heads)
}
