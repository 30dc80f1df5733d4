//! Whether the database answers: for whoever asks how the store is, and a line in the log for
//! each change. Nothing is decided by it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Gauge, describe_gauge, gauge};

use crate::db::NoReply;

/// How the database was when it was asked last.
pub(crate) struct Reach {
    /// When it answered last, in microseconds of uptime.
    answered: AtomicU64,
    silent: AtomicBool,
    up: Gauge,
}

impl Reach {
    /// That of a database that has just answered.
    pub fn new() -> Reach {
        describe_gauge!("seqline_mongo_up", "Whether MongoDB answered when it was asked last");
        let up = gauge!("seqline_mongo_up");
        up.set(1.0);
        Reach { answered: AtomicU64::new(0), silent: AtomicBool::new(false), up }
    }

    /// Whether it answers, as far as is known.
    pub fn answers(&self) -> bool {
        !self.silent.load(Ordering::Relaxed)
    }

    /// It answered at `now`.
    pub fn answered(&self, now: Duration) {
        self.answered.fetch_max(micros(now), Ordering::Relaxed);
        if self.silent.load(Ordering::Relaxed) && self.silent.swap(false, Ordering::Relaxed) {
            self.up.set(1.0);
            tracing::info!("MongoDB answers again");
        }
    }

    /// It did not answer a command that was sent at `began`. That counts unless it has answered
    /// another since: one slow command is no silence.
    pub fn silent(&self, began: Duration, silence: &NoReply) {
        if self.answered.load(Ordering::Relaxed) > micros(began) {
            return;
        }
        if !self.silent.swap(true, Ordering::Relaxed) {
            self.up.set(0.0);
            tracing::warn!(%silence, "MongoDB does not answer; what is sent meanwhile waits");
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_command_among_others_is_no_silence() {
        let reach = Reach::new();
        let (at, late) = (Duration::from_secs, NoReply("it took too long".to_owned()));
        assert!(reach.answers());
        reach.answered(at(5));
        reach.silent(at(1), &late);
        assert!(reach.answers());
        reach.silent(at(6), &late);
        assert!(!reach.answers());
        reach.answered(at(7));
        assert!(reach.answers());
    }
}
