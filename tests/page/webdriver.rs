//! A small WebDriver client: chromedriver over plain HTTP, so that no other runtime is needed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::http;

const ARGUMENTS: [&str; 12] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // Two people chat in two windows of one browser: neither may be slowed down as "behind".
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--lang=en",
];

/// A running chromedriver with one browser, both ended when dropped.
pub struct Driver {
    process: Child,
    addr: SocketAddr,
    session: String,
    // Closed early, it would end the driver at the next line it prints.
    _output: BufReader<ChildStdout>,
    _profile: TempDir,
}

impl Driver {
    /// Starts a browser with an empty profile.
    pub fn start() -> Driver {
        let mut process = Command::new(installed("chromedriver"))
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("chromedriver starts");
        let mut output = BufReader::new(process.stdout.take().expect("stdout is piped"));
        let port = output
            .by_ref()
            .lines()
            .find_map(|line| {
                let line = line.expect("chromedriver prints text");
                let (_, port) = line.split_once("successfully on port ")?;
                Some(port.trim_end_matches('.').parse().expect("a port"))
            })
            .expect("chromedriver says on which port it listens");
        let profile = tempfile::tempdir().unwrap();
        let addr = (Ipv4Addr::LOCALHOST, port).into();
        let mut driver =
            Driver { process, addr, session: String::new(), _output: output, _profile: profile };
        driver.session = driver.new_session();
        driver.command("POST", "/timeouts", &json!({"script": 60_000, "pageLoad": 60_000}));
        driver
    }

    fn new_session(&self) -> String {
        let mut arguments: Vec<String> = ARGUMENTS.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", self._profile.path().display()));
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"binary": installed("chromium"), "args": arguments},
        }}});
        let value = self.request("POST", "/session", &capabilities).expect("the browser starts");
        format!("/session/{}", value["sessionId"].as_str().expect("a session"))
    }

    /// One command of the session; panics with the driver's words if it fails.
    #[track_caller]
    pub fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        self.attempt(method, path, body).unwrap_or_else(|e| panic!("{method} {path}: {e}"))
    }

    /// One command of the session, or the driver's words about why it failed.
    pub fn attempt(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        self.request(method, &format!("{}{path}", self.session), body)
    }

    fn request(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.addr,
            body.len()
        );
        let mut stream = TcpStream::connect(self.addr).map_err(|e| e.to_string())?;
        // A browser on a busy machine takes its time to start.
        stream.set_read_timeout(Some(Duration::from_secs(120))).map_err(|e| e.to_string())?;
        stream.write_all((head + &body).as_bytes()).map_err(|e| e.to_string())?;
        let response = http::parse(&whole_answer(stream).map_err(|e| e.to_string())?);
        let value = response.json()["value"].take();
        if response.status == 200 { Ok(value) } else { Err(value.to_string()) }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Ends the browser, which the driver's own end would leave behind.
        let _ = self.request("DELETE", &self.session, &Value::Null);
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads one answer by its length: chromedriver keeps connections open, whatever one asks for.
fn whole_answer(stream: TcpStream) -> std::io::Result<Vec<u8>> {
    let mut reader = BufReader::new(stream);
    let mut answer = Vec::new();
    let mut length = 0;
    while !answer.ends_with(b"\r\n\r\n") {
        let start = answer.len();
        if reader.read_until(b'\n', &mut answer)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = String::from_utf8_lossy(&answer[start..]).to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("chromedriver counts its bytes");
        }
    }
    reader.take(length).read_to_end(&mut answer)?;
    Ok(answer)
}

/// The path of a program these tests need.
fn installed(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(program)).find(|p| p.is_file());
    found.unwrap_or_else(|| {
        panic!("{program} is not installed; run ./test, which installs what the tests need")
    })
}
