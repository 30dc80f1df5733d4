//! The contract suite on this store: as it is set, and with everything so small that timelines
//! leave memory, tables are written and segments end all the time.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};

use seqline_core::clock::{Clock, Entropy};
use seqline_core::store::Store;
use seqline_core::testing::contract::Subject;
use tempfile::TempDir;

use super::tiny;
use crate::options::Tuning;
use crate::storage::RealDisk;
use crate::{EmbeddedStore, Options};

struct Directory {
    root: TempDir,
    tuning: Option<Tuning>,
    open: Mutex<Weak<EmbeddedStore>>,
}

impl Directory {
    fn usual() -> Directory {
        Directory { root: TempDir::new().unwrap(), tuning: None, open: Mutex::default() }
    }

    fn tiny() -> Directory {
        Directory { tuning: Some(tiny()), ..Directory::usual() }
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("data")
    }
}

impl Subject for Directory {
    fn open(&self, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Arc<dyn Store> {
        let options = Options { dir: self.dir(), memory_bytes: 64 << 20, ..Options::default() };
        let tuning = self.tuning.unwrap_or_else(|| Tuning::of(&options));
        let disk = Arc::new(RealDisk);
        let store = EmbeddedStore::open_on(&options, clock, entropy, disk, tuning).unwrap();
        let store = Arc::new(store);
        *self.open.lock().unwrap() = Arc::downgrade(&store);
        store
    }

    fn crash(&self, store: Arc<dyn Store>) {
        let open = self.open.lock().unwrap().upgrade();
        drop(store);
        // What the process wrote stays; what it had only in memory is gone.
        open.unwrap().abandon();
    }

    fn idempotency_window(&self) -> std::time::Duration {
        Options::default().idempotency_window
    }
}

mod usual {
    use super::*;

    seqline_core::contract_tests!(Directory::usual);
}

mod tiny {
    use super::*;

    seqline_core::contract_tests!(Directory::tiny);
}

#[test]
fn any_operations_give_the_answers_of_the_model() {
    seqline_core::testing::model::run(10, Directory::usual);
    seqline_core::testing::model::run(30, Directory::tiny);
}
