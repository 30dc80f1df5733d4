//! A real `seqline serve` on free loopback ports and a directory of its own, killed when dropped.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::{NamedTempFile, TempDir};

/// The binary under test.
pub const SEQLINE: &str = env!("CARGO_BIN_EXE_seqline");

/// A running server.
pub struct Server {
    pub http: SocketAddr,
    pub grpc: SocketAddr,
    child: Child,
    stdout: BufReader<ChildStdout>,
    data: PathBuf,
    log: NamedTempFile,
    // Dropped after the process.
    _dir: Option<TempDir>,
}

impl Server {
    /// Starts a server on an empty directory of its own.
    pub fn start() -> Server {
        Server::start_with(&[] as &[&str])
    }

    /// Starts a server on an empty directory of its own, with more arguments for `serve`.
    pub fn start_with<S: AsRef<OsStr>>(args: &[S]) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let mut server = Server::start_on(&dir.path().join("data"), args);
        server._dir = Some(dir);
        server
    }

    /// Starts a server on an empty directory of its own, with settings such as
    /// `("limits.connections_max", "5")`.
    pub fn start_set(settings: &[(&str, &str)]) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let mut server = Server::start_on_set(&dir.path().join("data"), settings);
        server._dir = Some(dir);
        server
    }

    /// Starts a server on `data`, which stays when it ends, with settings.
    pub fn start_on_set(data: &Path, settings: &[(&str, &str)]) -> Server {
        Server::spawn(set(settings), data, &[] as &[&str])
    }

    /// Starts a server on an empty directory of its own and on these addresses, with settings.
    pub fn start_set_at(http: SocketAddr, grpc: SocketAddr, settings: &[(&str, &str)]) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let (command, data) = (set(settings), dir.path().join("data"));
        let mut server = Server::spawn_at(command, &data, http, grpc, &[] as &[&str]);
        server._dir = Some(dir);
        server
    }

    /// Starts a server that keeps everything elsewhere, with settings and more arguments.
    pub fn start_shared(settings: &[(&str, &str)], args: &[&str]) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let (mut command, free) = (set(settings), SocketAddr::from(([127, 0, 0, 1], 0)));
        command.arg("serve").current_dir(dir.path());
        let mut server = Server::run(command, dir.path(), free, free, args);
        server._dir = Some(dir);
        server
    }

    /// Starts a server on `data`, which stays when it ends.
    pub fn start_on<S: AsRef<OsStr>>(data: &Path, args: &[S]) -> Server {
        Server::spawn(Command::new(SEQLINE), data, args)
    }

    /// Starts a server on `data` and on the ports it had before, for clients that stayed.
    pub fn restart_on(data: &Path, http: SocketAddr, grpc: SocketAddr) -> Server {
        Server::spawn_at(Command::new(SEQLINE), data, http, grpc, &[] as &[&str])
    }

    fn spawn<S: AsRef<OsStr>>(command: Command, data: &Path, args: &[S]) -> Server {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        Server::spawn_at(command, data, free, free, args)
    }

    fn spawn_at<S: AsRef<OsStr>>(
        mut command: Command,
        data: &Path,
        http: SocketAddr,
        grpc: SocketAddr,
        args: &[S],
    ) -> Server {
        command.arg("serve").arg("--data").arg(data);
        Server::run(command, data, http, grpc, args)
    }

    fn run<S: AsRef<OsStr>>(
        mut command: Command,
        data: &Path,
        http: SocketAddr,
        grpc: SocketAddr,
        args: &[S],
    ) -> Server {
        let log = NamedTempFile::new().unwrap();
        command.args(["--http", &http.to_string(), "--grpc", &grpc.to_string()]).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log.reopen().unwrap());
        let spawned = command.spawn();
        let mut child = spawned.expect("the binary under test starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let Some((http, grpc)) = parse_ready(&line) else {
            let status = child.wait().unwrap();
            let log = std::fs::read_to_string(log.path()).unwrap();
            panic!("serve did not get ready: it printed {line:?} and ended with {status}\n{log}");
        };
        Server { http, grpc, child, stdout, data: data.to_path_buf(), log, _dir: None }
    }

    /// What the server wrote to standard error so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log.path()).unwrap()).into_owned()
    }

    /// Whether the process has not ended.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until the process has ended. Returns what else it printed on standard output.
    pub fn wait(&mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap(), rest)
    }

    /// `SIGTERM`, then waits: a clean stop.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait().0
    }

    /// `SIGKILL`, then waits: the process had no chance to finish anything.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Memory in use now, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most memory that was ever in use, in bytes.
    pub fn memory_peak_bytes(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, what: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(what)).unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            #[allow(clippy::print_stderr, reason = "the log belongs to the failure")]
            {
                eprintln!("the server's log:\n{}", self.log());
            }
        }
    }
}

/// The program with settings such as `("limits.connections_max", "5")`. A name without a dot is
/// that of a variable as it is.
fn set(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(SEQLINE);
    for (key, value) in settings {
        match key.contains('.') {
            true => {
                let name = format!("SEQLINE__{}", key.replace('.', "__").to_uppercase());
                command.env(name, value)
            }
            false => command.env(key, value),
        };
    }
    command
}

/// Reads `ready http=HOST:PORT grpc=HOST:PORT`.
fn parse_ready(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let (http, grpc) = line.trim_end().strip_prefix("ready http=")?.split_once(" grpc=")?;
    Some((http.parse().ok()?, grpc.parse().ok()?))
}
