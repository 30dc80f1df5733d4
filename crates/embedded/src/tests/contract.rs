//! The contract suite on this store; a crash is a copy of the directory while the store runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use seqline_core::clock::{Clock, Entropy};
use seqline_core::store::Store;
use seqline_core::testing::contract::Subject;
use tempfile::TempDir;

use super::copy;
use crate::{EmbeddedStore, Options};

struct Directory {
    root: TempDir,
    /// Which copy is the store's directory now.
    copies: AtomicU32,
}

impl Directory {
    fn new() -> Directory {
        Directory { root: TempDir::new().unwrap(), copies: AtomicU32::new(0) }
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join(self.copies.load(Ordering::SeqCst).to_string())
    }
}

impl Subject for Directory {
    fn open(&self, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Arc<dyn Store> {
        let options = Options { dir: self.dir(), memory_bytes: 64 << 20, ..Options::default() };
        Arc::new(EmbeddedStore::open(options, clock, entropy).unwrap())
    }

    fn crash(&self, store: Arc<dyn Store>) {
        let from = self.dir();
        self.copies.fetch_add(1, Ordering::SeqCst);
        copy(&from, &self.dir());
        drop(store);
    }

    fn idempotency_window(&self) -> std::time::Duration {
        Options::default().idempotency_window
    }
}

seqline_core::contract_tests!(Directory::new);

#[test]
fn any_operations_give_the_answers_of_the_model() {
    seqline_core::testing::model::run(10, Directory::new);
}
