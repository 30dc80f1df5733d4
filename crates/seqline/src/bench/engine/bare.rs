//! The physical limit: a log file, an index in memory, nothing else.
//!
//! Four segments of 64 MiB are filled with zeros beforehand and written in turn, so that no write
//! grows a file. For each group of 64 sends there is one write and one sync; the index has the
//! position of each message under each of its members.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::driver::Outcome;
use super::traffic::Traffic;
use crate::machine::processor_time;

const SEGMENT_BYTES: usize = 64 * 1024 * 1024;
const SEGMENTS: usize = 4;
/// Sends that share a sync.
pub const SENDS_PER_SYNC: usize = 64;

struct Log {
    segments: Vec<File>,
    segment: usize,
    at: usize,
    buffer: Vec<u8>,
    /// Where each message stands.
    messages: Vec<u64>,
    /// Of each member, its messages.
    inboxes: Vec<Vec<u32>>,
}

/// Sends for `time` after a warm-up.
///
/// # Errors
/// If a file cannot be made or written.
pub fn run(
    dir: &Path,
    traffic: &mut Traffic,
    warm_up: Duration,
    time: Duration,
) -> io::Result<Outcome> {
    let mut log = Log::create(dir, traffic.members())?;
    let begun = Instant::now();
    let (start, end) = (begun + warm_up, begun + warm_up + time);
    let (mut outcome, mut used) = (Outcome::default(), None);
    loop {
        let before = Instant::now();
        if before >= start && used.is_none() {
            used = Some(processor_time());
        }
        log.commit(traffic)?;
        let now = Instant::now();
        if now >= end {
            break;
        }
        if used.is_some() {
            outcome.done += SENDS_PER_SYNC as u64;
            outcome.latencies.add(now - before);
        }
    }
    outcome.time = time;
    outcome.used = processor_time().saturating_sub(used.unwrap_or_default());
    for number in 0..SEGMENTS {
        std::fs::remove_file(path(dir, number))?;
    }
    Ok(outcome)
}

fn path(dir: &Path, number: usize) -> std::path::PathBuf {
    dir.join(format!("bare-{number}.log"))
}

impl Log {
    fn create(dir: &Path, members: usize) -> io::Result<Log> {
        let zeros = vec![0; 1024 * 1024];
        let segment = |number| {
            let file = File::create(path(dir, number))?;
            for at in (0..SEGMENT_BYTES).step_by(zeros.len()) {
                file.write_all_at(&zeros, at as u64)?;
            }
            file.sync_all()?;
            Ok(file)
        };
        let segments = (0..SEGMENTS).map(segment).collect::<io::Result<Vec<_>>>()?;
        Ok(Log {
            segments,
            segment: 0,
            at: 0,
            buffer: Vec::new(),
            messages: Vec::new(),
            inboxes: vec![Vec::new(); members],
        })
    }

    fn commit(&mut self, traffic: &mut Traffic) -> io::Result<()> {
        self.buffer.clear();
        let mut pair = [0; 2];
        let mut picks = Vec::with_capacity(SENDS_PER_SYNC);
        let first = self.messages.len() as u32;
        for _ in 0..SENDS_PER_SYNC {
            let pick = traffic.pick();
            let body = traffic.body(&pick);
            let (conversation, members) = traffic.recipients(&pick, &mut pair);
            self.messages.push((self.at + self.buffer.len()) as u64);
            self.buffer.extend_from_slice(&(body.len() as u32).to_le_bytes());
            self.buffer.extend_from_slice(&(members.len() as u32).to_le_bytes());
            self.buffer.extend_from_slice(&conversation.to_le_bytes());
            members.iter().for_each(|id| self.buffer.extend_from_slice(&id.to_le_bytes()));
            self.buffer.extend_from_slice(&body);
            picks.push(pick);
        }
        if self.at + self.buffer.len() > SEGMENT_BYTES {
            self.segment = (self.segment + 1) % SEGMENTS;
            self.at = 0;
        }
        let segment = &self.segments[self.segment];
        segment.write_all_at(&self.buffer, self.at as u64)?;
        segment.sync_data()?;
        self.at += self.buffer.len();
        for (number, pick) in (first..).zip(&picks) {
            let (_, members) = traffic.recipients(pick, &mut pair);
            members.iter().for_each(|member| self.inboxes[*member as usize].push(number));
        }
        Ok(())
    }
}
