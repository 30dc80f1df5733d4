//! Other people's servers as processes of a test: started, killed, paused, restarted on their port.
//!
//! What is special about one of them is not here but in its own module ([`super::mongo`],
//! [`super::redis`], [`super::etcd`]). Each has a directory of its own, and ends with the test.

use std::fs::File;
use std::io::{BufRead as _, BufReader, PipeReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;

/// How long a server may take until it says that it is ready. A machine that builds and tests on
/// all its cores makes a JVM slow.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Makes the command that starts a server on a port and a directory.
type Starter = Box<dyn Fn(u16, &Path) -> Command + Send>;

/// A server's process, or where one was and can be again.
pub struct Daemon {
    name: &'static str,
    starter: Starter,
    /// A part of the line by which the server says that it accepts connections.
    ready: &'static str,
    port: u16,
    child: Option<Child>,
    // Dropped after the process.
    dir: TempDir,
}

impl Daemon {
    /// Starts a server on a free port and an empty directory, and waits until it is ready.
    pub fn start(
        name: &'static str,
        ready: &'static str,
        starter: impl Fn(u16, &Path) -> Command + Send + 'static,
    ) -> Daemon {
        let dir = tempfile::tempdir().unwrap();
        let starter: Starter = Box::new(starter);
        let mut daemon = Daemon { name, starter, ready, port: free_port(), child: None, dir };
        daemon.restart();
        daemon
    }

    /// Starts it again, on the same port and directory. It must not run.
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let (output, input) = std::io::pipe().unwrap();
        let mut command = (self.starter)(self.port, self.dir.path());
        // A server may end itself when its input ends; the child keeps it until it is dropped.
        command.stdin(Stdio::piped()).stdout(input.try_clone().unwrap()).stderr(input);
        let spawned = command.spawn();
        self.child = Some(spawned.unwrap_or_else(|e| {
            panic!("{} does not start (./test installs what is missing): {e}", self.name)
        }));
        // The command holds the write ends of the pipe, and must not when the server ends.
        drop(command);
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let ready = follow(output, log, self.ready);
        if ready.recv_timeout(READY_WITHIN).is_err() {
            panic!("{} did not say {:?}", self.name, self.ready);
        }
    }

    /// `SIGKILL`, then waits: the process had no chance to finish anything.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// `SIGSTOP`: connections stay open and are accepted, and nothing is ever answered. All its
    /// threads stand still when this returns: on a busy machine some go on for a while.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        let child = self.child.as_ref().expect("it runs");
        let stopped = waitid(WaitId::Pid(Pid::from_child(child)), WaitIdOptions::STOPPED).unwrap();
        assert!(stopped.is_some_and(|status| status.stopped()), "it has stopped");
    }

    /// `SIGCONT`: what came in while it was paused is answered now.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Where it listens, also while it does not run.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// What it wrote to its standard output and error so far, over all its lives.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    fn log_path(&self) -> std::path::PathBuf {
        self.dir.path().join("log")
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            #[allow(clippy::print_stderr, reason = "the log belongs to the failure")]
            {
                eprintln!("the log of {}:\n{}", self.name, self.log());
            }
        }
    }
}

/// Copies `output` to `log` until it ends. The receiver hears of the first line with `ready` in
/// it, or that there will be none.
fn follow(output: PipeReader, mut log: File, ready: &'static str) -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut sender = Some(sender);
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let _ = log.write_all(&line).and_then(|()| log.write_all(b"\n"));
            if String::from_utf8_lossy(&line).contains(ready)
                && let Some(sender) = sender.take()
            {
                let _ = sender.send(());
            }
        }
    });
    receiver
}

/// A port that nothing listens on. It is below the ports that the system gives to clients, so
/// that no connection of another test takes it while its server is dead.
pub fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes that run at the same time begin at different places.
    let start = (std::process::id().wrapping_mul(97) % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (start.wrapping_add(step)) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port from {FIRST} on");
}
