//! Sweeping: deletes table files that a failed flush or compaction left behind.

use std::collections::HashSet;
use std::fs;

use lsm_tree::AbstractTree as _;

use super::shared::{Shared, lock};
use super::sound::TABLES;

impl Shared {
    /// Deletes the files of tables that no version and no reader has. Only for the compaction
    /// thread while it holds `flushing`, so that no table is being written.
    pub(super) fn sweep(&self) {
        if self.check_running().is_err() {
            return;
        }
        let mut live: HashSet<u64> = HashSet::new();
        live.extend(self.tree.current_version().iter_tables().map(|table| table.id()));
        let retired = lock(&self.retired).clone();
        for view in retired.iter().chain([&self.view()]) {
            live.extend(view.runs.iter().flatten().map(|table| table.id()));
        }
        let Ok(entries) = fs::read_dir(self.dir.join(TABLES)) else { return };
        for entry in entries.flatten() {
            let id = entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
            if id.is_some_and(|id| !live.contains(&id)) {
                // What stays is deleted when the index is opened the next time.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}
