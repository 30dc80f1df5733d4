//! A real `redis-server` for a test. It keeps nothing on a disk, as a cache is run.

use std::process::Command;

use super::daemon::Daemon;

/// A running Redis, or a killed one.
pub struct Redis(Daemon);

impl Redis {
    /// Starts an empty Redis on a free port.
    pub fn start() -> Redis {
        Redis::start_with(&[])
    }

    /// Starts an empty Redis with more settings, such as `["--requirepass", "secret"]`.
    pub fn start_with(settings: &'static [&'static str]) -> Redis {
        Redis(Daemon::start("redis-server", "Ready to accept connections", move |port, dir| {
            let mut command = Command::new("redis-server");
            command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
            command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
            command.arg("--dir").arg(dir).args(settings).current_dir(dir);
            command
        }))
    }

    /// For clients.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }
}

impl std::ops::Deref for Redis {
    type Target = Daemon;
    fn deref(&self) -> &Daemon {
        &self.0
    }
}

impl std::ops::DerefMut for Redis {
    fn deref_mut(&mut self) -> &mut Daemon {
        &mut self.0
    }
}
