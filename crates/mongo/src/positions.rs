//! Where a message stands in an inbox it is known to be in.

use mongodb::bson::Bson;
use seqline_core::id::Text;

use crate::call::{Call, Stop};
use crate::db::{Collection, Fields, Query};
use crate::documents;
use crate::stem::inbox_id;
use crate::walk::corrupt;

/// The position of the message `id` in the inbox of `member`.
pub(crate) async fn find(call: &Call, id: u128, member: &Text) -> Result<u64, Stop> {
    let ids = vec![Bson::Binary(inbox_id(id, member.as_str()))];
    let query = Query::Ids { of: Collection::Inboxes, ids, fields: Fields::Head };
    for round in 0.. {
        let found = call.find(query.clone()).await?;
        if let Some(document) = found.first() {
            let seq = documents::number(document, documents::SEQ);
            return corrupt(member.as_str(), 0, seq.ok_or("it has no seq".to_owned()));
        }
        // It was delivered, so this view is an old one.
        call.pause(round).await;
    }
    Err(Stop::Late("the database shows old views only".to_owned()))
}
