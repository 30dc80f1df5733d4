//! The names and files of the disk in memory, and what goes wrong with them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use super::inode::{Inode, Survives};
use super::{Fault, Random, SECTOR_BYTES, stopped};

/// A change of names that is not durable yet.
#[derive(Clone)]
enum Change {
    Create(PathBuf, usize),
    Rename(PathBuf, PathBuf, usize),
    Remove(PathBuf),
}

pub(super) struct State {
    random: Random,
    /// How often the process was started anew.
    pub(super) generation: u64,
    pub(super) inodes: Vec<Inode>,
    pub(super) dirs: BTreeSet<PathBuf>,
    pub(super) names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    pending: Vec<Change>,
    pub(super) changes: u64,
    /// At which change something goes wrong, and what.
    pub(super) fault: Option<(u64, Fault)>,
    pub(super) stopped: bool,
    pub(super) sectors_max: usize,
    /// The next sync is to wait.
    pub(super) hold_next: bool,
    /// A sync waits.
    pub(super) held: bool,
    pub(super) uncached: bool,
    pub(super) prefetches: u64,
}

impl State {
    pub(super) fn new(seed: u64) -> State {
        State {
            random: Random::new(seed),
            generation: 0,
            inodes: Vec::new(),
            dirs: BTreeSet::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending: Vec::new(),
            changes: 0,
            fault: None,
            stopped: false,
            sectors_max: usize::MAX,
            hold_next: false,
            held: false,
            uncached: false,
            prefetches: 0,
        }
    }

    /// Counts a change; the error with which it fails, if it does.
    pub(super) fn next_change(&mut self) -> Result<Option<Error>> {
        if self.stopped {
            return Err(stopped());
        }
        let number = self.changes;
        self.changes += 1;
        match self.fault {
            Some((at, fault)) if at == number => {
                self.fault = None;
                self.stopped = fault == Fault::Stop;
                Ok(Some(Error::other("the device failed")))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn create(&mut self, path: &Path) -> usize {
        let inode = self.inodes.len();
        self.inodes.push(Inode::default());
        self.name(Change::Create(path.to_owned(), inode));
        inode
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> Result<()> {
        let inode = *self.names.get(from).ok_or(ErrorKind::NotFound)?;
        self.name(Change::Rename(from.to_owned(), to.to_owned(), inode));
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> Result<()> {
        self.names.get(path).ok_or(ErrorKind::NotFound)?;
        self.name(Change::Remove(path.to_owned()));
        Ok(())
    }

    fn name(&mut self, change: Change) {
        apply(&mut self.names, &change);
        self.pending.push(change);
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) {
        let (inside, others): (Vec<_>, Vec<_>) =
            self.pending.drain(..).partition(|change| change.path().parent() == Some(dir));
        inside.iter().for_each(|change| apply(&mut self.durable_names, change));
        self.pending = others;
    }

    pub(super) fn write(
        &mut self,
        inode: usize,
        bytes: &[u8],
        offset: usize,
        failure: Option<Error>,
    ) -> Result<()> {
        let first = offset / SECTOR_BYTES;
        let end = (offset + bytes.len()).div_ceil(SECTOR_BYTES);
        let mut room = match self.sectors_max {
            usize::MAX => usize::MAX,
            most => most.saturating_sub(self.sectors_used()),
        };
        for sector in first..end {
            if !self.inodes[inode].is_allocated(sector) {
                if room == 0 {
                    return Err(ErrorKind::StorageFull.into());
                }
                room = room.saturating_sub(1);
            }
            if failure.is_none() || self.random.one_in(2) {
                self.inodes[inode].write_sector(sector, bytes, offset);
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// After a failed one nothing is tried again, as the systems do: what did not get to the disk
    /// is only seen until the power goes.
    pub(super) fn sync(&mut self, inode: usize, failure: Option<Error>) -> Result<()> {
        let survives = if failure.is_some() { Survives::Any } else { Survives::Everything };
        self.inodes[inode].settle(survives, &mut self.random);
        failure.map_or(Ok(()), Err)
    }

    pub(super) fn power_cut(&mut self) {
        let survives = match self.random.below(6) {
            0 => Survives::Nothing,
            1 => Survives::Everything,
            _ => Survives::Any,
        };
        let pending = std::mem::take(&mut self.pending);
        let in_order = self.random.below(pending.len() as u64 + 1) as usize;
        let any = self.random.one_in(2);
        for (at, change) in pending.iter().enumerate() {
            if if any { self.random.one_in(2) } else { at < in_order } {
                apply(&mut self.durable_names, change);
            }
        }
        self.names.clone_from(&self.durable_names);
        let named: BTreeSet<usize> = self.names.values().copied().collect();
        for (number, inode) in self.inodes.iter_mut().enumerate() {
            if named.contains(&number) {
                inode.settle(survives, &mut self.random);
                inode.revert();
            } else {
                *inode = Inode::default();
            }
        }
    }

    pub(super) fn sectors_used(&self) -> usize {
        self.names.values().map(|inode| self.inodes[*inode].sectors()).sum()
    }

    pub(super) fn rot(
        &mut self,
        path: &Path,
        from: usize,
        bytes: usize,
        change: impl Fn(u8) -> u8,
    ) {
        let inode = self.names[path];
        self.inodes[inode].rot(from, bytes, change);
    }
}

impl Change {
    fn path(&self) -> &Path {
        let (Change::Create(path, _) | Change::Rename(_, path, _) | Change::Remove(path)) = self;
        path
    }
}

fn apply(names: &mut BTreeMap<PathBuf, usize>, change: &Change) {
    match change {
        Change::Create(path, inode) => {
            names.insert(path.clone(), *inode);
        }
        Change::Rename(from, to, inode) => {
            // Under its old name there may be another file by now, of a change that was kept.
            if names.get(from) == Some(inode) {
                names.remove(from);
            }
            names.insert(to.clone(), *inode);
        }
        Change::Remove(path) => {
            names.remove(path);
        }
    }
}
