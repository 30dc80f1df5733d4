//! Documents that share a position: which of them to keep there, and what to do with the other.

use mongodb::bson::RawDocumentBuf;

use super::{Check, Kind};
use crate::db::{Collection, NoReply};
use crate::{documents, shell};

/// A document that has a position.
pub(super) struct Position {
    /// Its `_id` for `mongosh`.
    id: String,
    /// When it was made, and an order among those of the same time.
    age: u128,
    message: Vec<u8>,
}

impl Position {
    pub fn of(document: &RawDocumentBuf) -> Position {
        let message = documents::exact_text(document).unwrap_or_default().into_bytes();
        let age = documents::message_id(document).unwrap_or(0);
        Position { id: shell::id(document), age, message }
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
        let whose = shell::collection(&self.collection);
        let (detail, mend) = if keep.message == other.message {
            let detail = format!(
                "{} and {} have the same message; keep the first, which is older",
                keep.id, other.id
            );
            (detail, format!("{whose}.deleteOne({{_id: {}}})", other.id))
        } else {
            let free = self.free(of).await?;
            let detail = format!(
                "{} and {} have different messages; keep the first, which is older, and move \
                 the other to {free}",
                keep.id, other.id
            );
            (detail, move_to(&whose, &other.id, free))
        };
        self.timeline.at = Some(keep);
        self.tell(Kind::Duplicate, (Some(seq), Some(seq)), detail, Some(mend));
        Ok(())
    }

    /// The command that gives a document without a position one at the end of its timeline.
    pub(super) async fn move_to_end(
        &mut self,
        of: Collection,
        document: &RawDocumentBuf,
    ) -> Result<String, NoReply> {
        let whose = shell::collection(&self.collection);
        let free = self.free(of).await?;
        Ok(move_to(&whose, &shell::id(document), free))
    }

    /// The next number at the end of the timeline that no document was told to move to.
    async fn free(&mut self, of: Collection) -> Result<u64, NoReply> {
        if self.timeline.free == 0 {
            let id = self.timeline.id.as_deref().unwrap_or_default();
            self.timeline.free = self.reader.tail(of, id).await?;
        }
        self.timeline.free += 1;
        Ok(self.timeline.free)
    }
}

fn move_to(collection: &str, id: &str, seq: u64) -> String {
    format!("{collection}.updateOne({{_id: {id}}}, {{$set: {{seq: NumberLong(\"{seq}\")}}}})")
}
