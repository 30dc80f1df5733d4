//! A clock for deadlines: never steps back, and goes on while the machine sleeps.

use std::time::Duration;

/// Time since some fixed moment.
pub trait Uptime: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Duration;
}

/// The machine's time since its start, suspension included: an operation that was asleep past
/// its deadline must not go on when it wakes.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemUptime;

impl Uptime for SystemUptime {
    fn now(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
    }
}
