//! The entries of conversations that entries of inboxes are copies of.

use std::collections::BTreeMap;

use mongodb::bson::{Bson, RawDocumentBuf};

use crate::call::{Call, Stop};
use crate::db::{Collection, Fields, Query};
use crate::documents::{self, Head};
use crate::stem::Stem;
use crate::walk::corrupt;

/// By their stems, those that there are.
pub(crate) async fn of(
    call: &Call,
    entries: &[RawDocumentBuf],
) -> Result<BTreeMap<Stem, Head>, Stop> {
    let ids: Vec<Bson> =
        entries.iter().filter_map(|entry| documents::stem(entry)).map(Bson::from).collect();
    let query = Query::Ids { of: Collection::History, ids, fields: Fields::Head };
    let mut heads = BTreeMap::new();
    for document in call.find(query).await? {
        let head = corrupt("", 0, Head::read(&document))?;
        heads.extend(head.stem.map(|stem| (stem, head)));
    }
    Ok(heads)
}
