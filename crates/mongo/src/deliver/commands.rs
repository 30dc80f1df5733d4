//! Which entries of a fan-out go in which command.

use super::Delivery;
use crate::lookup::{COMMAND_MAX, PARALLEL};

/// Up to how many inboxes each get their entries in a command of their own.
const CHAINS_MAX: usize = 16;
/// With more inboxes, how many entries one of them must lack for them to travel in common ordered
/// commands, instead of one entry of each in each round trip.
const CHAIN_MIN: usize = 4;
/// Most bytes of documents in one command; MongoDB takes 16 MiB.
const COMMAND_BYTES_MAX: usize = 8 * 1024 * 1024;

/// One entry at one position of one inbox.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub inbox: usize,
    pub entry: usize,
    pub seq: u64,
}

/// Whether a command has several entries of one inbox, so that their order counts.
pub(super) fn repeats_an_inbox(command: &[Place]) -> bool {
    command.windows(2).any(|pair| pair[0].inbox == pair[1].inbox)
}

impl Delivery<'_> {
    /// The next commands for the inboxes `waiting`, which lack something and whose tails are known.
    pub(super) fn commands(&self, waiting: &[usize]) -> Vec<Vec<Place>> {
        match self.longest(waiting) {
            2.. if waiting.len() <= CHAINS_MAX => self.chains(waiting),
            // Whoever lost a position would hold up the others of its command again.
            CHAIN_MIN.. if !waiting.iter().any(|at| self.inboxes[*at].fresh) => {
                self.joined_chains(waiting)
            }
            _ => self.rounds(waiting),
        }
    }

    /// How many entries the inbox lacks that lacks most.
    fn longest(&self, waiting: &[usize]) -> usize {
        waiting.iter().map(|at| self.inboxes[*at].queue.len()).max().unwrap_or(0)
    }

    /// Per inbox all it lacks, as much as fits into a command.
    fn chains(&self, waiting: &[usize]) -> Vec<Vec<Place>> {
        let chain = |at: &usize| {
            let inbox = &self.inboxes[*at];
            let tail = self.tail(inbox)?;
            let mut bytes = 0;
            let all = inbox.queue.iter().zip(1..).map(|(index, step)| Place {
                inbox: *at,
                entry: *index,
                seq: tail + step,
            });
            let some = all.take_while(|place| {
                let first = bytes == 0;
                bytes += self.bytes(place.entry);
                first || bytes <= COMMAND_BYTES_MAX
            });
            Some(some.take(COMMAND_MAX).collect())
        };
        waiting.iter().filter_map(chain).collect()
    }

    /// The same in a few commands, each with all entries of some of the inboxes.
    fn joined_chains(&self, waiting: &[usize]) -> Vec<Vec<Place>> {
        let each = waiting.len().div_ceil(PARALLEL);
        let mut commands: Vec<(Vec<Place>, usize, usize)> = Vec::new();
        for chain in self.chains(waiting) {
            let bytes: usize = chain.iter().map(|place| self.bytes(place.entry)).sum();
            match commands.last_mut() {
                Some((command, size, chains))
                    if *chains < each
                        && command.len() + chain.len() <= COMMAND_MAX
                        && *size + bytes <= COMMAND_BYTES_MAX =>
                {
                    command.extend(chain);
                    *size += bytes;
                    *chains += 1;
                }
                _ => commands.push((chain, bytes, 1)),
            }
        }
        commands.into_iter().map(|(command, ..)| command).collect()
    }

    /// The next entry of each inbox, many in one command.
    fn rounds(&self, waiting: &[usize]) -> Vec<Vec<Place>> {
        let mut commands: Vec<Vec<Place>> = Vec::new();
        let mut bytes = usize::MAX;
        for at in waiting {
            let inbox = &self.inboxes[*at];
            let (Some(entry), Some(tail)) = (inbox.queue.front().copied(), self.tail(inbox)) else {
                continue;
            };
            let place = Place { inbox: *at, entry, seq: tail + 1 };
            bytes = bytes.saturating_add(self.bytes(entry));
            match commands.last_mut() {
                Some(command) if command.len() < COMMAND_MAX && bytes <= COMMAND_BYTES_MAX => {
                    command.push(place);
                }
                _ => {
                    bytes = self.bytes(entry);
                    commands.push(vec![place]);
                }
            }
        }
        commands
    }
}
