//! What may happen to a store: sends, reads, trims, time, failures, ends and starts.

use std::time::Duration;

use seqline_core::Error;
use seqline_core::clock::UnixMillis;
use seqline_core::fanout::Outgoing;
use seqline_core::id::TimelineId;
use seqline_core::page::{Bounds, Direction, Read};
use seqline_core::seq::Seq;
use seqline_core::store::{Receipt, Store as _};

use super::super::{direct, to_group, with_key};
use super::world::{End, GROUPS, MEMBERS, World};
use crate::Durability;

impl World {
    pub(super) fn take_step(&mut self) {
        self.step += 1;
        match self.random.below(32) {
            0..=9 => self.send(),
            10..=12 => self.burst(None),
            13..=16 => self.read(),
            17 | 18 => self.trim(),
            19 => self.move_clock(),
            20 | 21 => self.poke(),
            22 => self.restart(),
            23 => self.crash(End::Kill),
            24 => self.crash(End::PowerCut),
            25 => self.burst(Some(End::Kill)),
            26 | 27 => self.burst(Some(End::PowerCut)),
            28 | 29 => self.arm(20),
            30 => self.bounds(),
            _ => self.check_if_sound(),
        }
    }

    /// A send that is new, repeated or in conflict, as it comes.
    fn outgoing(&mut self) -> Outgoing {
        let id = self.next_id();
        let filler = match self.random.below(12) {
            0 => self.random.below(5_000),
            1 => self.random.below(500),
            _ => 0,
        };
        let body = format!("{{\"n\":{},\"x\":\"{}\"}}", id.0, "x".repeat(filler as usize));
        let keyed = self.random.one_in(4).then(|| self.random.below(5));
        // Few bodies, so that repeats and conflicts come about.
        let body =
            if keyed.is_some() { format!("{{\"r\":{}}}", self.random.below(2)) } else { body };
        let name = |n: u64| format!("m{n}");
        let mut send = if self.random.one_in(3) {
            let group = format!("g{}", self.random.below(GROUPS));
            let mut members: Vec<String> =
                (0..MEMBERS).filter(|_| self.random.one_in(2)).map(name).collect();
            if members.is_empty() || keyed.is_some() {
                members = vec![name(0), name(1)];
            }
            let members: Vec<&str> = members.iter().map(String::as_str).collect();
            to_group(&group, &members, &body)
        } else {
            let (from, to) = (self.random.below(MEMBERS), self.random.below(MEMBERS));
            direct(&name(from), &name(to), &body)
        };
        send.id = id;
        if let Some(key) = keyed {
            let unkeyed = send.clone();
            send = with_key(send, &format!("key-{key}"));
            if self.model.may_be_forgotten(&send, self.now(), self.latest) {
                send = unkeyed;
            }
        }
        self.model.begun(&send, self.step);
        send
    }

    fn send(&mut self) {
        let send = self.outgoing();
        let now = self.now();
        let answer = self.runtime.block_on(self.store().append(send.clone()));
        self.tell(|| format!("{send:?}: {answer:?}"));
        match answer {
            Ok(receipt) => {
                let expected = self.model.append(&send, now);
                assert_eq!(Some(receipt), expected, "the receipt of {send:?}");
            }
            Err(Error::Conflict) => {
                assert_eq!(self.model.append(&send, now), None, "a conflict for {send:?}");
            }
            Err(error) => {
                self.failed(&send, &error);
                self.crash_after_failure();
            }
        }
    }

    fn failed(&mut self, send: &Outgoing, error: &Error) {
        match error {
            Error::OutcomeUnknown { .. } => {}
            Error::Unavailable { .. } => self.model.refused(send.id),
            error => panic!("{error}"),
        }
    }

    fn answered(&mut self, send: &Outgoing, answer: Result<Receipt, Error>) {
        self.tell(|| format!("among others, {send:?}: {answer:?}"));
        match answer {
            Ok(receipt) => self.model.acknowledged(send, receipt),
            Err(Error::Conflict) => self.model.refused(send.id),
            Err(error) => self.failed(send, &error),
        }
    }

    /// Many sends and some trims at once, perhaps with the end of the process among them.
    fn burst(&mut self, end: Option<End>) {
        let end = match (end, self.armed) {
            (Some(_), Some(_)) => Some(self.an_end()),
            (end, _) => end,
        };
        let most = if self.random.one_in(4) { 150 } else { 20 };
        let count = 2 + self.random.below(most);
        let mut sends = Vec::new();
        let mut trims = Vec::new();
        for _ in 0..count {
            let send = self.outgoing();
            sends.push((self.store().append(send.clone()), send));
            if self.random.one_in(20) {
                let (timeline, up_to) = self.a_trim();
                self.model.timelines.entry(timeline.clone()).or_default();
                trims.push((self.store().trim(timeline.clone(), up_to), timeline));
            }
        }
        let awaited = end.map_or(0, |_| self.random.below(count));
        let mut sends = sends.into_iter();
        for (answer, send) in sends.by_ref().take(awaited as usize) {
            let answer = self.runtime.block_on(answer);
            self.answered(&send, answer);
        }
        if let Some(end) = end {
            self.stop_disk(end);
        }
        let failed = self.store().status().refuses_sends.is_some();
        for (answer, send) in sends {
            let answer = self.runtime.block_on(answer);
            self.answered(&send, answer);
        }
        for (answer, timeline) in trims {
            let answer = self.runtime.block_on(answer);
            self.trim_answered(&timeline, answer, end);
        }
        let failed = failed || self.store().status().refuses_sends.is_some();
        match end {
            Some(end) => self.start_again(end),
            None if failed => self.crash_after_failure(),
            None => self.observe(None),
        }
    }

    /// In a burst nobody knows which of several trims of a timeline came first, only that a
    /// floor never sinks: it is one of those that were answered, and at least that.
    fn trim_answered(&mut self, id: &TimelineId, answer: Result<Bounds, Error>, end: Option<End>) {
        self.tell(|| format!("among others, a trim of {id}: {answer:?}"));
        let step = self.step;
        let known = self.model.timelines.get_mut(id).expect("it was looked up before");
        match answer {
            Ok(bounds) => {
                let first = bounds.first.get();
                let lossy = end.is_some() && self.options.durability != Durability::Fsync;
                if lossy {
                    known.unknown_trims.push(first);
                } else {
                    // Answers come in another order than trims are made.
                    known.trims.push((first, step));
                    known.trims.sort_unstable();
                }
            }
            Err(Error::OutcomeUnknown { .. }) => known.unknown_any = true,
            Err(Error::Unavailable { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn a_timeline(&mut self) -> TimelineId {
        let mut all = self.timelines();
        // Inboxes and groups have the most entries.
        let among = if self.random.one_in(3) { all.len() as u64 } else { MEMBERS + GROUPS };
        all.swap_remove(self.random.below(among) as usize)
    }

    fn a_seq(&mut self, timeline: &TimelineId) -> Seq {
        let latest = self.model.bounds(timeline).latest.get();
        match self.random.below(8) {
            0 => Seq::MAX,
            1 => Seq::ZERO,
            _ => Seq::new(self.random.below(latest + 3)),
        }
    }

    fn a_trim(&mut self) -> (TimelineId, Seq) {
        let timeline = self.a_timeline();
        let latest = self.model.bounds(&timeline).latest.get();
        (timeline, Seq::new(self.random.below(latest + 1)))
    }

    fn trim(&mut self) {
        let timeline = self.a_timeline();
        let up_to = self.a_seq(&timeline);
        let answer = self.runtime.block_on(self.store().trim(timeline.clone(), up_to));
        self.tell(|| format!("a trim of {timeline} to {up_to}: {answer:?}"));
        match answer {
            Ok(bounds) => assert_eq!(bounds, self.model.trim(&timeline, up_to, self.step)),
            Err(Error::OutcomeUnknown { .. }) => {
                self.model.timelines.entry(timeline).or_default().unknown_any = true;
                self.crash_after_failure();
            }
            Err(Error::Unavailable { .. }) => self.crash_after_failure(),
            Err(error) => panic!("{error}"),
        }
    }

    fn read(&mut self) {
        self.disk.forget_cache(self.random.one_in(2));
        for _ in 0..3 {
            let timeline = self.a_timeline();
            let read = Read {
                after: self.a_seq(&timeline),
                until: if self.random.one_in(2) { Seq::MAX } else { self.a_seq(&timeline) },
                direction: match self.random.one_in(2) {
                    true => Direction::Forward,
                    false => Direction::Backward,
                },
                entries_max: self.random.below(100) as usize,
                bytes_max: if self.random.one_in(3) { 200 } else { usize::MAX },
                timeline,
            };
            let page = self.runtime.block_on(self.store().read(read.clone())).unwrap();
            let found = (page.entries, page.bounds, page.more);
            assert_eq!(found, self.model.read(&read), "{read:?}");
        }
    }

    fn bounds(&mut self) {
        let all = self.timelines();
        let found = self.runtime.block_on(self.store().bounds(all.clone())).unwrap();
        for (timeline, bounds) in all.into_iter().zip(found) {
            assert_eq!(bounds, self.model.bounds(&timeline), "{timeline}");
        }
    }

    fn move_clock(&mut self) {
        let steps = [-7, 1, 13, 301, 997, 5_003];
        let by = steps[self.random.below(steps.len() as u64) as usize];
        self.clock.set(UnixMillis(self.now().0.saturating_add_signed(by)));
        self.latest = self.latest.max(self.now());
    }

    /// Lets the keeper look for work.
    fn poke(&mut self) {
        let engine = self.store().engine();
        engine.backlog.wait_for_progress(Duration::from_millis(1));
    }

    fn restart(&mut self) {
        let store = self.store.take().expect("a store is open between steps");
        match self.runtime.block_on(store.close()) {
            Ok(()) => {
                drop(store);
                let end = self.an_end();
                self.stop_disk(end);
                // After a clean end not even a power cut loses anything.
                self.model.durable_step = self.step;
                assert!(!self.options.dir.join("UNSYNCED").exists());
                self.start_clean();
            }
            Err(error) => {
                assert!(self.armed.is_some(), "{error}");
                drop(store);
                let end = self.an_end();
                self.crash(end);
            }
        }
    }

    fn crash(&mut self, end: End) {
        let end = if self.armed.is_some() { self.an_end() } else { end };
        self.stop_disk(end);
        self.start_again(end);
    }

    fn check_if_sound(&mut self) {
        if self.armed.is_none() {
            self.check();
        }
    }

    /// The last end, the last look.
    pub(super) fn finish(&mut self) {
        let end = self.an_end();
        self.crash(end);
        self.check_at_last(end);
        self.restart();
        self.check_at_last(end);
    }

    /// A check that nothing keeps from its end: a failure that was to come may have met the store
    /// in the background, and then only another start helps.
    fn check_at_last(&mut self, end: End) {
        self.disarm();
        while self.store().check(&mut |_| {}).is_err() {
            self.crash(end);
            self.disarm();
        }
        self.check();
    }

    /// Something failed that may fail: reads go on, and the next start finds out.
    fn crash_after_failure(&mut self) {
        assert!(self.armed.is_some(), "nothing was to fail: {:?}", self.store().status());
        assert!(self.store().status().refuses_sends.is_some());
        if self.model.timelines.values().all(|timeline| !timeline.unknown_any) {
            self.look_while_it_refuses();
        }
        let end = self.an_end();
        self.crash(end);
    }

    /// Nothing of unknown outcome can be read.
    fn look_while_it_refuses(&mut self) {
        if self.model.acknowledged.is_empty() {
            self.bounds();
            self.read();
        }
    }
}
