//! What is set aside: documents that nobody can understand, so that what they stand for cannot be
//! delivered or deleted. The rest goes on without them, and whoever watches over it is told.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use metrics::{Gauge, describe_gauge, gauge};

use crate::call::Stop;

/// What cannot be done with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Finishing a delivery.
    Deliver,
    /// Deleting what is below a floor.
    Delete,
}

const WORKS: [&str; 2] = ["deliver", "delete"];

/// What an instance found and set aside in its last round of each work: by a name, what is wrong.
pub(crate) struct Aside {
    found: [Mutex<BTreeMap<String, String>>; WORKS.len()],
    counts: [Gauge; WORKS.len()],
}

/// What one round finds.
#[derive(Default)]
pub(crate) struct Found(BTreeMap<String, String>);

impl Found {
    /// Takes in what stopped the work on `name`, if it is a document; gives back anything else.
    pub fn take(&mut self, name: &str, result: Result<(), Stop>) -> Result<(), Stop> {
        match result {
            Err(Stop::Corrupt { timeline, seq, detail }) => {
                self.0.insert(name.to_owned(), format!("{timeline:?} at {seq}: {detail}"));
                Ok(())
            }
            other => other,
        }
    }
}

impl Aside {
    pub fn new() -> Aside {
        describe_gauge!(
            "seqline_mongo_set_aside",
            "Deliveries and deletions that a document keeps from being finished, by what for"
        );
        let counts = WORKS.map(|it| gauge!("seqline_mongo_set_aside", "for" => it));
        Aside { found: Default::default(), counts }
    }

    /// How many are set aside.
    pub fn count(&self, work: Work) -> usize {
        self.found[work as usize].lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// A round of `work` is over. Each thing is logged when it is found first.
    pub fn round(&self, work: Work, found: Found) {
        let mut before = self.found[work as usize].lock().unwrap_or_else(PoisonError::into_inner);
        for (name, what) in &found.0 {
            if !before.contains_key(name) {
                tracing::error!(
                    name,
                    what,
                    "set aside: this cannot be {}, everything else goes on; \
                     `seqline check --mongo` names the document",
                    if work == Work::Deliver { "delivered" } else { "deleted" }
                );
            }
        }
        self.counts[work as usize].set(found.0.len() as f64);
        *before = found.0;
    }
}
