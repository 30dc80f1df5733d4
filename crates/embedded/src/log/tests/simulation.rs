//! Random work, failures, kills and power cuts, compared with what the log promises.
//!
//! What was committed with a sync is there after a power cut, what was committed at all is there
//! after a kill; of the rest there is a beginning, in order, or nothing.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::{Pushed, Reopened, new_log, push, reopen};
use crate::error::OpenError;
use crate::log::{ReadError, Scan, Segments, Writer};
use crate::storage::faulty::{Fault, FaultyDisk, Random};

const SEEDS: u64 = 300;
const STEPS: u64 = 60;

struct Simulation {
    random: Random,
    disk: FaultyDisk,
    writer: Writer,
    segments: Segments,
    /// Every frame pushed and not known to be lost or freed, in order.
    frames: Vec<Pushed>,
    /// So many of them survive a power cut for certain.
    durable: usize,
    /// So many of them survive a kill for certain.
    committed: usize,
    /// Segments below are freed.
    floor: u64,
    store_epoch: u64,
    /// The epoch of a roll whose outcome is not known.
    perhaps_epoch: u64,
}

impl Simulation {
    fn new(seed: u64) -> Simulation {
        let disk = FaultyDisk::new(seed);
        let (writer, segments) = new_log(&disk);
        Simulation {
            random: Random::new(!seed),
            disk,
            writer,
            segments,
            frames: Vec::new(),
            durable: 0,
            committed: 0,
            floor: 1,
            store_epoch: 1,
            perhaps_epoch: 1,
        }
    }

    fn step(&mut self) {
        let worked = match self.random.below(20) {
            0..=9 => self.commit(),
            10 => self.sync(),
            11 | 12 => self.roll(),
            13 => self.free(),
            14 => self.read(),
            15 => self.inject(),
            16 | 17 => self.crash(true),
            18 => self.crash(false),
            _ => self.push(3),
        };
        if !worked {
            assert!(self.writer.commit(true).is_err(), "it is poisoned");
            assert!(self.writer.sync().is_err() && self.writer.roll(9).is_err());
            let cut = self.random.one_in(2);
            self.crash(cut);
        }
    }

    fn push(&mut self, frames_max: u64) -> bool {
        for _ in 0..self.random.below(frames_max + 1) {
            let head_bytes = match self.random.below(12) {
                0 => 0,
                1 => self.random.below(20_000),
                _ => self.random.below(700),
            };
            let rest_bytes = if self.random.one_in(2) { self.random.below(600) } else { 0 };
            if self.writer.room() < (head_bytes + rest_bytes) as usize || self.writer.room() == 0 {
                return self.roll();
            }
            let fill = self.random.next();
            let mut bytes: Vec<u8> = (0..head_bytes + rest_bytes)
                .map(|at| (fill.rotate_left(at as u32 % 64) % 251) as u8)
                .collect();
            let rest = bytes.split_off(head_bytes as usize);
            self.frames.push(push(&mut self.writer, fill as u8, &bytes, &rest));
        }
        true
    }

    fn commit(&mut self) -> bool {
        let sync = !self.random.one_in(3);
        self.push(8) && self.writer.commit(sync).is_ok() && self.done(sync)
    }

    fn done(&mut self, sync: bool) -> bool {
        self.committed = self.frames.len();
        if sync {
            self.durable = self.committed;
        }
        true
    }

    fn sync(&mut self) -> bool {
        let worked = self.writer.sync().is_ok();
        if worked {
            self.durable = self.committed;
        }
        worked
    }

    fn roll(&mut self) -> bool {
        self.perhaps_epoch += 1;
        let worked = self.writer.roll(self.perhaps_epoch).is_ok();
        if worked {
            self.store_epoch = self.perhaps_epoch;
            self.done(true);
        }
        worked
    }

    fn free(&mut self) -> bool {
        let floor = self.floor + self.random.below(self.writer.segment() - self.floor + 1);
        let freed: Vec<u64> = (self.floor..floor).collect();
        freed.iter().for_each(|segment| self.writer.free(*segment));
        let gone = self.frames.iter().take_while(|f| segment_of(f) < floor).count();
        if gone > 0 {
            let read = self.segments.read(self.frames[0].lsn);
            assert!(matches!(read, Err(ReadError::Gone)), "{read:?}");
        }
        self.frames.drain(..gone);
        self.floor = floor;
        self.durable -= gone;
        self.committed -= gone;
        true
    }

    fn inject(&mut self) -> bool {
        let before = self.random.below(12);
        match self.random.below(3) {
            0 => self.disk.fail_after(before, Fault::Once),
            1 => self.disk.fail_after(before, Fault::Stop),
            _ => self.disk.full_after(self.random.below(200_000)),
        }
        true
    }

    fn read(&mut self) -> bool {
        self.disk.forget_cache(self.random.one_in(2));
        let count = if self.committed == 0 { 0 } else { self.random.below(20) };
        let picked: Vec<&Pushed> = (0..count)
            .map(|_| &self.frames[self.random.below(self.committed as u64) as usize])
            .collect();
        let lsns: Vec<_> = picked.iter().map(|frame| frame.lsn).collect();
        for (read, frame) in self.segments.read_many(&lsns).into_iter().zip(&picked) {
            let read = read.unwrap();
            assert_eq!((read.kind, &read.head[..]), (frame.kind, &frame.head[..]));
            assert_eq!(self.segments.read(frame.lsn).unwrap(), read);
        }
        true
    }

    fn crash(&mut self, cut: bool) -> bool {
        let mut certain = if cut { self.durable } else { self.committed };
        self.disk = if cut { self.disk.power_cut() } else { self.disk.process_kill() };
        let from = if self.floor == 1 && self.random.one_in(2) { 0 } else { self.floor };
        if self.random.one_in(3) {
            let fault = if self.random.one_in(2) { Fault::Once } else { Fault::Stop };
            self.disk.fail_after(self.random.below(8), fault);
            match reopen(&self.disk, from, false) {
                Ok(log) => return self.compare(log, certain),
                Err(OpenError::Io { .. }) => {}
                Err(other) => panic!("{other}"),
            }
            if self.random.one_in(2) {
                self.disk = self.disk.power_cut();
                certain = self.durable;
            } else {
                self.disk = self.disk.process_kill();
            }
        }
        let log = reopen(&self.disk, from, false).unwrap();
        self.compare(log, certain)
    }

    fn compare(&mut self, log: Reopened, certain: usize) -> bool {
        let found = log.frames.len();
        assert!(found >= certain, "{found} frames of {certain} that must be there");
        assert!(found <= self.frames.len(), "more frames than there ever were");
        assert!(log.frames == self.frames[..found], "frames are not the ones that were pushed");
        self.frames.truncate(found);
        (self.durable, self.committed) = (found, found);
        let epoch = log.recovered.store_epoch;
        assert!(epoch == self.store_epoch || epoch == self.perhaps_epoch);
        (self.store_epoch, self.perhaps_epoch) = (epoch, self.perhaps_epoch.max(epoch));
        assert!(log.recovered.oldest_segment <= self.floor);
        assert_eq!(log.recovered.end, log.writer.end());
        (self.writer, self.segments) = (log.writer, log.segments);
        self.scan();
        true
    }

    fn scan(&self) {
        let mut frames = Vec::new();
        for (segment, _) in self.segments.list().unwrap() {
            let visit = &mut |scan: Scan<'_>| match scan {
                Scan::Frame(frame) => frames.push(frame.lsn),
                Scan::Damaged { from, bytes } => panic!("{bytes} bytes damaged at {from:?}"),
            };
            if segment >= self.floor {
                self.segments.scan(segment, visit).unwrap();
            }
        }
        let known: Vec<_> = self.frames.iter().map(|frame| frame.lsn).collect();
        assert_eq!(frames, known);
    }
}

fn segment_of(frame: &Pushed) -> u64 {
    frame.lsn.raw() / super::SEGMENT_BYTES
}

fn run(seed: u64) {
    let mut simulation = Simulation::new(seed);
    for _ in 0..STEPS {
        simulation.step();
    }
    simulation.crash(true);
}

#[test]
fn what_was_promised_survives_everything() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("SEQLINE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEQLINE_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(seed))) {
            eprintln!("again: SEQLINE_SEED={seed} cargo test -p seqline-embedded simulation");
            resume_unwind(panic);
        }
    }
}
