//! The reference store passes the contract suite.

use std::sync::{Arc, Mutex};

use seqline_core::clock::{Clock, Entropy};
use seqline_core::store::Store;
use seqline_core::testing::contract::Subject;
use seqline_core::testing::memory::MemoryStore;

/// The store opened last, which knows what it held.
#[derive(Default)]
pub struct Memory(Mutex<Option<MemoryStore>>);

impl Subject for Memory {
    fn open(&self, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Arc<dyn Store> {
        let mut last = self.0.lock().expect("no case panicked while opening");
        let store = match last.take() {
            Some(last) => last.reopen(clock),
            None => MemoryStore::new(clock, entropy.as_ref(), self.idempotency_window()),
        };
        *last = Some(store.clone());
        Arc::new(store)
    }
}

seqline_core::contract_tests!(Memory::default);

#[test]
fn any_operations_give_the_answers_of_the_model() {
    seqline_core::testing::model::run(400, Memory::default);
}
