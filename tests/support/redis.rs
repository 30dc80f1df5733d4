//! A real `redis-server` for a test. It keeps nothing on a disk, as a cache is run.

use std::process::Command;

use super::daemon::Daemon;
use super::etcd::Certificates;

/// A running Redis, or a killed one.
pub struct Redis(Daemon);

impl Redis {
    /// Starts an empty Redis on a free port.
    pub fn start() -> Redis {
        Redis::start_with(&[])
    }

    /// Starts an empty Redis with more settings, such as `["--requirepass", "secret"]`.
    pub fn start_with(settings: &'static [&'static str]) -> Redis {
        Redis::run(move |port| {
            let port = ["--port".to_owned(), port.to_string()];
            port.into_iter().chain(settings.iter().map(|&setting| setting.to_owned())).collect()
        })
    }

    /// Starts an empty Redis that speaks TLS only, with one of these certificates.
    pub fn start_tls(certificates: &Certificates) -> Redis {
        let [authority, own, key] =
            ["ca.pem", "own.pem", "key.pem"].map(|name| certificates.path(name));
        Redis::run(move |port| {
            let port = port.to_string();
            let files = ["--tls-ca-cert-file", &authority, "--tls-cert-file", &own];
            let others = ["--tls-key-file", &key, "--tls-auth-clients", "no"];
            let ports = ["--port", "0", "--tls-port", &port];
            [ports, files, others].concat().into_iter().map(str::to_owned).collect()
        })
    }

    fn run(settings: impl Fn(u16) -> Vec<String> + Send + 'static) -> Redis {
        Redis(Daemon::start("redis-server", "Ready to accept connections", move |port, dir| {
            let mut command = Command::new("redis-server");
            command.args(["--bind", "127.0.0.1"]).args(settings(port));
            command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
            command.arg("--dir").arg(dir).current_dir(dir);
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
