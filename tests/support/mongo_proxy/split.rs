//! An insert of many documents as many inserts of one, and their replies as one reply.

use mongodb::bson::{Bson, Document, RawDocumentBuf};

use super::wire::Message;

/// The inserts of one document each that do together what `command` does.
pub fn split(command: &Message) -> Vec<Message> {
    let mut body = command.document();
    body.remove("documents");
    // The server would take the second for a retry of the first.
    body.remove("txnNumber");
    let body = RawDocumentBuf::try_from(&body).unwrap();
    let one = |document| Message {
        body: body.clone(),
        sequences: vec![("documents".to_owned(), vec![document])],
        ..command.clone()
    };
    command.documents("documents").into_iter().map(one).collect()
}

/// The reply to an insert, put together from those to its parts in their order.
pub struct Merged {
    ordered: bool,
    parts: i32,
    inserted: i32,
    errors: Vec<Bson>,
    /// Whatever else the replies say; the last one's counts.
    rest: Document,
    failed: bool,
}

impl Merged {
    /// Of no reply yet.
    pub fn new(command: &Message) -> Merged {
        let ordered = command.body.get_bool("ordered").unwrap_or(true);
        let (rest, errors) = (Document::new(), Vec::new());
        Merged { ordered, parts: 0, inserted: 0, errors, rest, failed: false }
    }

    /// Adds the reply to the next part. Says whether the part after it shall be tried at all.
    pub fn add(&mut self, reply: &Message) -> bool {
        let mut reply = reply.document();
        self.failed = !is_one(reply.get("ok"));
        let errors = match reply.remove("writeErrors") {
            Some(Bson::Array(errors)) => errors,
            _ => Vec::new(),
        };
        let stored = !self.failed && errors.is_empty();
        self.inserted += i32::from(stored);
        for error in errors {
            let Bson::Document(mut error) = error else { continue };
            error.insert("index", self.parts);
            self.errors.push(Bson::Document(error));
        }
        self.parts += 1;
        reply.remove("n");
        self.rest.extend(reply);
        stored || (!self.failed && !self.ordered)
    }

    /// The reply.
    pub fn finish(mut self) -> Document {
        // A command that failed as a whole says nothing of its documents.
        if !self.failed {
            self.rest.insert("n", self.inserted);
            if !self.errors.is_empty() {
                self.rest.insert("writeErrors", self.errors);
            }
        }
        self.rest
    }
}

fn is_one(ok: Option<&Bson>) -> bool {
    match ok {
        Some(Bson::Double(ok)) => *ok == 1.0,
        Some(Bson::Int32(ok)) => *ok == 1,
        Some(Bson::Int64(ok)) => *ok == 1,
        Some(Bson::Boolean(ok)) => *ok,
        _ => false,
    }
}
