//! A real `etcd` of one member for a test, with its data in the test's directory.

use std::process::Command;

use super::daemon::{Daemon, free_port};

/// A running etcd, or a killed one.
pub struct Etcd(Daemon);

impl Etcd {
    /// Starts an empty etcd on a free port.
    pub fn start() -> Etcd {
        let peers = format!("http://127.0.0.1:{}", free_port());
        Etcd(Daemon::start("etcd", "ready to serve client requests", move |port, dir| {
            let clients = format!("http://127.0.0.1:{port}");
            let mut command = Command::new("etcd");
            command.args(["--name", "test"]).arg("--data-dir").arg(dir.join("data"));
            command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
            command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
            command.arg("--initial-cluster").arg(format!("test={peers}"));
            command.current_dir(dir);
            // Debian's etcd does not know every processor it was built for.
            command
                .env("ETCD_UNSUPPORTED_ARCH", std::env::consts::ARCH.replace("aarch64", "arm64"));
            command
        }))
    }

    /// For clients: `http://HOST:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }
}

impl std::ops::Deref for Etcd {
    type Target = Daemon;
    fn deref(&self) -> &Daemon {
        &self.0
    }
}

impl std::ops::DerefMut for Etcd {
    fn deref_mut(&mut self) -> &mut Daemon {
        &mut self.0
    }
}
