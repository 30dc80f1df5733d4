//! Documents of one node, by `_id` and by timeline and position.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use mongodb::bson::raw::RawDocument;
use mongodb::bson::{Bson, RawBsonRef, RawDocumentBuf};

use crate::db::Collection;
use crate::documents;

/// An `_id` that can be compared: its type and its bytes.
pub(super) type Key = (u8, Vec<u8>);

/// What one node has.
#[derive(Clone, Default)]
pub(super) struct State {
    collections: BTreeMap<Collection, Documents>,
}

#[derive(Clone, Default)]
struct Documents {
    by_id: BTreeMap<Key, Arc<RawDocumentBuf>>,
    by_place: BTreeMap<(String, u64), Key>,
}

/// One change of one document, as nodes tell each other.
#[derive(Clone)]
pub(super) enum Change {
    Put(Collection, Key, Arc<RawDocumentBuf>),
    Remove(Collection, Key),
}

/// The `_id` of a document.
pub(super) fn key(document: &RawDocument) -> Key {
    match documents::field(document, documents::ID) {
        Some(RawBsonRef::Binary(binary)) => (1, binary.bytes.to_vec()),
        Some(RawBsonRef::String(text)) => (2, text.as_bytes().to_vec()),
        Some(RawBsonRef::ObjectId(id)) => (3, id.bytes().to_vec()),
        other => unreachable!("no document has the _id {other:?}"),
    }
}

/// An `_id` in a command.
pub(super) fn key_of(id: &Bson) -> Key {
    match id {
        Bson::Binary(binary) => (1, binary.bytes.clone()),
        Bson::String(text) => (2, text.clone().into_bytes()),
        Bson::ObjectId(id) => (3, id.bytes().to_vec()),
        other => unreachable!("no command has the _id {other:?}"),
    }
}

fn place(document: &RawDocument) -> Option<(String, u64)> {
    let id = documents::string(document, documents::TIMELINE)?;
    Some((id.to_owned(), documents::position(document)?))
}

impl Change {
    pub fn put(into: Collection, document: &RawDocument) -> Change {
        Change::Put(into, key(document), Arc::new(document.to_owned()))
    }
}

impl State {
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Put(into, key, document) => {
                let documents = self.collections.entry(*into).or_default();
                if let Some(place) = place(document) {
                    documents.by_place.insert(place, key.clone());
                }
                documents.by_id.insert(key.clone(), Arc::clone(document));
            }
            Change::Remove(from, key) => {
                let documents = self.collections.entry(*from).or_default();
                if let Some(document) = documents.by_id.remove(key)
                    && let Some(place) = place(&document)
                {
                    documents.by_place.remove(&place);
                }
            }
        }
    }

    /// Whether a unique index refuses a new document.
    pub fn refuses(&self, into: Collection, document: &RawDocument) -> bool {
        let Some(documents) = self.collections.get(&into) else {
            return false;
        };
        let taken = place(document).is_some_and(|place| documents.by_place.contains_key(&place));
        taken || documents.by_id.contains_key(&key(document))
    }

    /// A position that several documents have.
    pub fn duplicate(&self, of: Collection) -> Option<String> {
        let documents = self.collections.get(&of)?;
        documents.by_id.iter().find_map(|(key, document)| {
            let place = place(document)?;
            let other = documents.by_place.get(&place)?;
            (other != key).then(|| format!("{of:?}: {place:?}"))
        })
    }

    pub fn get(&self, of: Collection, key: &Key) -> Option<&RawDocumentBuf> {
        self.collections.get(&of)?.by_id.get(key).map(Arc::as_ref)
    }

    pub fn all(&self, of: Collection) -> Vec<RawDocumentBuf> {
        let documents = self.collections.get(&of);
        documents.map_or_else(Vec::new, |d| d.by_id.values().map(|d| (**d).clone()).collect())
    }

    /// Entries of one timeline with `above < seq <= up_to`, ascending.
    pub fn range(
        &self,
        of: Collection,
        id: &str,
        above: u64,
        up_to: u64,
    ) -> impl DoubleEndedIterator<Item = &RawDocumentBuf> {
        let documents = self.collections.get(&of).filter(|_| above < up_to);
        let ends =
            (Bound::Excluded((id.to_owned(), above)), Bound::Included((id.to_owned(), up_to)));
        let places = documents.map(|documents| documents.by_place.range(ends).map(|(_, key)| key));
        places.into_iter().flatten().filter_map(move |key| self.get(of, key))
    }

    /// All documents in the order of `id` and `seq`; those without one of them first.
    pub fn sorted(&self, of: Collection) -> Vec<RawDocumentBuf> {
        let mut all = self.all(of);
        all.sort_by_cached_key(|document| {
            let id = documents::string(document, documents::TIMELINE).map(str::to_owned);
            (id, documents::number(document, documents::SEQ))
        });
        all
    }
}
