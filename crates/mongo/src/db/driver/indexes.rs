//! The indexes, made at start, and what to say where existing documents forbid one.

use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::ErrorKind;

use super::super::{Collection, IndexError};
use super::MongoDb;
use crate::documents;

/// The code of documents that break a unique index.
const DUPLICATE_KEY: i32 = 11_000;
/// The codes of an index that is in the way of another: its options differ, or only its name.
const CONFLICTS: [i32; 2] = [85, 86];
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
        let code = match error.kind.as_ref() {
            ErrorKind::Command(failed) => failed.code,
            _ => 0,
        };
        if code == DUPLICATE_KEY {
            return Err(IndexError::Duplicates(self.duplicates(database).await));
        }
        let mut next = String::new();
        if CONFLICTS.contains(&code) {
            // An operator may have made one, under another name.
            match self.same_fields(database).await {
                Some((_, true)) => return Ok(()),
                Some((name, false)) => next = format!("; drop the index {name} first"),
                None => {}
            }
        }
        Err(IndexError::Failed(format!(
            "the index {} on {} cannot be made: {error}{next}",
            self.spec.get_str("name").unwrap_or_default(),
            self.collection
        )))
    }

    /// The name of an index over the same fields, and whether it does what this one does.
    async fn same_fields(&self, database: &Database) -> Option<(String, bool)> {
        let collection = database.collection::<Document>(&self.collection);
        let mut cursor = collection.list_indexes().await.ok()?;
        let mut found = None;
        while let Ok(true) = cursor.advance().await {
            let index = cursor.deserialize_current().ok()?;
            let options = index.options.unwrap_or_default();
            if fields(&index.keys) != fields(self.spec.get_document("key").ok()?) {
                continue;
            }
            let flag = |name| self.spec.get_bool(name).unwrap_or(false);
            let same = options.unique.unwrap_or(false) == flag("unique")
                && options.sparse.unwrap_or(false) == flag("sparse")
                && options.partial_filter_expression.is_none();
            let name = options.name.unwrap_or_default();
            if same {
                return Some((name, true));
            }
            found = Some((name, false));
        }
        found
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
             unique: {}. `seqline check --mongo URI` names all, and says how to mend them.",
            self.collection,
            named.join(", ")
        )
    }
}

/// The fields of an index and their directions, whatever type of number says it.
fn fields(keys: &Document) -> Vec<(&str, Option<i64>)> {
    let direction = |value: &Bson| match value {
        Bson::Int32(number) => Some(i64::from(*number)),
        Bson::Int64(number) => Some(*number),
        Bson::Double(number) => Some(*number as i64),
        _ => None,
    };
    keys.iter().map(|(name, value)| (name.as_str(), direction(value))).collect()
}
