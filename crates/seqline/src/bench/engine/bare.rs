//! The physical limit: a log file, an index in memory, nothing else.
//!
//! Four segments of 64 MiB are filled with zeros beforehand and written in turn, so that no write
//! grows a file. For each group of 64 sends there is one write and one sync. It is given what the
//! store is given, writes names and bodies as they are, and keeps in memory, by name, where the
//! messages of each conversation and of each inbox stand: the least that could be read again.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use seqline_core::fanout::Members;
use seqline_core::id::TimelineId;

use super::driver::Outcome;
use super::traffic::Traffic;
use crate::machine::processor_time;

const SEGMENT_BYTES: usize = 64 * 1024 * 1024;
const SEGMENTS: usize = 4;
/// Sends that share a sync.
pub const SENDS_PER_SYNC: usize = 64;

/// The positions of the messages of each timeline, by its name.
type Timelines = HashMap<Box<[u8]>, Vec<u64>, RandomState>;

struct Log {
    segments: Vec<File>,
    segment: usize,
    at: usize,
    buffer: Vec<u8>,
    waiting: Vec<(u64, Vec<u8>, Members)>,
    conversations: Timelines,
    inboxes: Timelines,
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
    let mut log = Log::create(dir)?;
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
    fn create(dir: &Path) -> io::Result<Log> {
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
            waiting: Vec::new(),
            conversations: Timelines::default(),
            inboxes: Timelines::default(),
        })
    }

    fn commit(&mut self, traffic: &mut Traffic) -> io::Result<()> {
        self.buffer.clear();
        self.waiting.clear();
        for _ in 0..SENDS_PER_SYNC {
            let send = traffic.outgoing();
            let position = (self.segment * SEGMENT_BYTES + self.at + self.buffer.len()) as u64;
            let conversation = TimelineId::Conversation(send.conversation.clone()).key();
            put(&mut self.buffer, &conversation);
            put(&mut self.buffer, &send.body.bytes());
            send.recipients.iter().for_each(|member| put(&mut self.buffer, member));
            self.waiting.push((position, conversation, send.recipients));
        }
        if self.at + self.buffer.len() > SEGMENT_BYTES {
            self.segment = (self.segment + 1) % SEGMENTS;
            self.at = 0;
        }
        let segment = &self.segments[self.segment];
        segment.write_all_at(&self.buffer, self.at as u64)?;
        segment.sync_data()?;
        self.at += self.buffer.len();
        for (position, conversation, recipients) in self.waiting.drain(..) {
            add(&mut self.conversations, &conversation, position);
            recipients.iter().for_each(|member| add(&mut self.inboxes, member, position));
        }
        Ok(())
    }
}

/// One part of a message, with its length before it.
fn put(buffer: &mut Vec<u8>, part: &[u8]) {
    buffer.extend_from_slice(&(part.len() as u32).to_le_bytes());
    buffer.extend_from_slice(part);
}

fn add(timelines: &mut Timelines, name: &[u8], position: u64) {
    match timelines.get_mut(name) {
        Some(timeline) => timeline.push(position),
        None => drop(timelines.insert(name.into(), vec![position])),
    }
}
