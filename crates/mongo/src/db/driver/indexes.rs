//! The indexes, made at start, and what to say where existing documents forbid one.

use mongodb::Database;
use mongodb::bson::{Document, doc};
use mongodb::error::ErrorKind;

use super::super::{Collection, IndexError};
use super::MongoDb;
use crate::documents;

/// The code of documents that break a unique index.
const DUPLICATE_KEY: i32 = 11_000;
/// How many duplicates are named.
const NAMED_MAX: i32 = 5;

/// One index.
pub(super) struct Index {
    collection: String,
    spec: Document,
}

/// All indexes.
pub(super) fn all(db: &MongoDb) -> Vec<Index> {
    let unique = |of: Collection| Index {
        collection: db.name(of).to_owned(),
        spec: doc! { "key": { "id": 1, "seq": 1 }, "name": "seqline_id_seq", "unique": true },
    };
    let sparse = |of: Collection, field: &str| Index {
        collection: db.name(of).to_owned(),
        spec: doc! { "key": { field: 1 }, "name": format!("seqline_{field}"), "sparse": true },
    };
    vec![
        unique(Collection::Inboxes),
        unique(Collection::History),
        sparse(Collection::History, "pend"),
        sparse(Collection::Floors, "open"),
    ]
}

impl Index {
    /// Makes it, if it is not there.
    pub async fn make(&self, database: &Database) -> Result<(), IndexError> {
        let command = doc! { "createIndexes": &self.collection, "indexes": [self.spec.clone()] };
        let Err(error) = database.run_command(command).await else {
            return Ok(());
        };
        match error.kind.as_ref() {
            ErrorKind::Command(failed) if failed.code == DUPLICATE_KEY => {
                Err(IndexError::Duplicates(self.duplicates(database).await))
            }
            _ => Err(IndexError::Failed(format!(
                "the index {} on {} cannot be made: {error}",
                self.spec.get_str("name").unwrap_or_default(),
                self.collection
            ))),
        }
    }

    /// The sentence for the operator, with the first documents that share a position.
    async fn duplicates(&self, database: &Database) -> String {
        let mut named = Vec::new();
        let pipeline = [
            doc! { "$group": { "_id": { "id": "$id", "seq": "$seq" }, "n": { "$sum": 1 } } },
            doc! { "$match": { "n": { "$gt": 1 } } },
            doc! { "$limit": NAMED_MAX },
        ];
        let collection = database.collection::<Document>(&self.collection);
        if let Ok(mut cursor) = collection.aggregate(pipeline).allow_disk_use(true).await {
            while let Ok(true) = cursor.advance().await {
                if let Ok(place) = cursor.current().get_document("_id") {
                    let id = place.get_str("id").unwrap_or("?");
                    let seq = documents::number(place, documents::SEQ).unwrap_or(0);
                    named.push(format!("{id:?} at {seq}"));
                }
            }
        }
        format!(
            "{} has several documents at one position of a timeline, so positions cannot be made \
             unique: {}. Tell them apart first; `seqline check --mongo` names all.",
            self.collection,
            named.join(", ")
        )
    }
}
