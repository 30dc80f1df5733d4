//! Documents that share a position: which of them to keep there, and what to do with the other.

use mongodb::bson::RawDocumentBuf;

use super::{Check, Kind};
use crate::db::{Collection, NoReply};
use crate::documents;

/// A document that has a position.
pub(super) struct Position {
    /// Its `_id`, as `mongosh` writes it.
    literal: String,
    /// When it was made, and an order among those of the same time.
    age: u128,
    message: Vec<u8>,
}

impl Position {
    pub fn of(document: &RawDocumentBuf) -> Position {
        let message = documents::exact_text(document).unwrap_or_default().into_bytes();
        let age = documents::message_id(document).unwrap_or(0);
        Position { literal: documents::literal(document), age, message }
    }
}

impl Check<'_> {
    /// One more document at the position `seq`.
    pub(super) async fn duplicate(
        &mut self,
        of: Collection,
        document: &RawDocumentBuf,
        seq: u64,
    ) -> Result<(), NoReply> {
        let Some(mut keep) = self.timeline.at.take() else {
            return Ok(());
        };
        let mut other = Position::of(document);
        if other.age < keep.age {
            std::mem::swap(&mut keep, &mut other);
        }
        let whose = format!("db.{}", self.collection);
        let (detail, mend) = if keep.message == other.message {
            let detail = format!(
                "{} and {} have the same message; keep the first, which is older",
                keep.literal, other.literal
            );
            (detail, format!("{whose}.deleteOne({{_id: {}}})", other.literal))
        } else {
            if self.timeline.free == 0 {
                let id = self.timeline.id.as_deref().unwrap_or_default();
                self.timeline.free = self.reader.tail(of, id).await?;
            }
            self.timeline.free += 1;
            let free = self.timeline.free;
            let detail = format!(
                "{} and {} have different messages; keep the first, which is older, and move \
                 the other to {free}",
                keep.literal, other.literal
            );
            let mend = format!(
                "{whose}.updateOne({{_id: {}}}, {{$set: {{seq: NumberLong(\"{free}\")}}}})",
                other.literal
            );
            (detail, mend)
        };
        self.timeline.at = Some(keep);
        self.tell(Kind::Duplicate, (Some(seq), Some(seq)), detail, Some(mend));
        Ok(())
    }
}
