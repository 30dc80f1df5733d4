//! Real etcds, alone and as a cluster, with their data in the test's directory; and what is in
//! them, asked over their JSON gateway: not with the client that is under test.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde_json::{Value, json};

use super::daemon::{Daemon, free_port};
use super::http;

/// What etcd says once it takes requests.
const READY: &str = "ready to serve client requests";
/// The longest a watch waits for the next event: a lease, and time for a busy machine.
const EVENT_WITHIN: Duration = Duration::from_secs(60);

/// One member, alone or of a cluster.
pub struct Etcd {
    daemon: Daemon,
    /// Where its data are: another number is another, empty, directory.
    data: Arc<AtomicU32>,
}

/// What etcd has under a key.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub value: String,
    pub lease: String,
}

/// Something that happened to a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    Put(Entry),
    Delete(String),
}

impl Etcd {
    /// An empty etcd of one member.
    pub fn start() -> Etcd {
        let peer = free_port();
        Etcd::member("one", peer, &format!("one=http://127.0.0.1:{peer}"), |_| Vec::new())
    }

    /// The same with a second address for clients that `secure` gives, with its flags.
    pub fn start_with(secure: impl Fn(u16) -> Vec<String> + Send + 'static) -> Etcd {
        let peer = free_port();
        Etcd::member("one", peer, &format!("one=http://127.0.0.1:{peer}"), secure)
    }

    /// A cluster of three members.
    pub fn cluster() -> Vec<Etcd> {
        let peers: Vec<(String, u16)> = (1..=3).map(|n| (format!("m{n}"), free_port())).collect();
        let all: Vec<String> =
            peers.iter().map(|(name, port)| format!("{name}=http://127.0.0.1:{port}")).collect();
        let all = all.join(",");
        // None of them is ready before most of them have started.
        let starts: Vec<_> = peers
            .into_iter()
            .map(|(name, port)| {
                let all = all.clone();
                std::thread::spawn(move || Etcd::member(&name, port, &all, |_| Vec::new()))
            })
            .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    }

    fn member(
        name: &str,
        peer: u16,
        all: &str,
        more: impl Fn(u16) -> Vec<String> + Send + 'static,
    ) -> Etcd {
        let data = Arc::new(AtomicU32::new(0));
        let (name, all, now) = (name.to_owned(), all.to_owned(), Arc::clone(&data));
        let daemon = Daemon::start("etcd", READY, move |port, dir| {
            let mut command = Command::new("etcd");
            let data = dir.join(format!("data-{}", now.load(Ordering::Relaxed)));
            let (client, peer) =
                (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer}"));
            command.args(["--name", &name]).arg("--data-dir").arg(data);
            command.args(["--advertise-client-urls", &client, "--listen-peer-urls", &peer]);
            command.args(["--initial-advertise-peer-urls", &peer, "--initial-cluster", &all]);
            let more = more(port);
            if more.is_empty() {
                command.args(["--listen-client-urls", &client]);
            }
            command.args(more).current_dir(dir);
            // Debian's etcd does not know every processor it was built for.
            command
                .env("ETCD_UNSUPPORTED_ARCH", std::env::consts::ARCH.replace("aarch64", "arm64"));
            command
        });
        Etcd { daemon, data }
    }

    /// For the settings: `HOST:PORT`.
    pub fn endpoint(&self) -> String {
        self.address().to_string()
    }

    /// When it is started the next time, it has lost everything. It must not run.
    pub fn lose_everything(&self) {
        self.data.fetch_add(1, Ordering::Relaxed);
    }

    /// One call of the gateway.
    pub fn call(&self, path: &str, body: &Value) -> Value {
        let answer = http::post_json(self.address(), path, body);
        assert_eq!(answer.status, 200, "{path}: {:?}", String::from_utf8_lossy(&answer.body));
        answer.json()
    }

    /// Everything that is stored.
    pub fn entries(&self) -> Vec<Entry> {
        let all = json!({"key": BASE64.encode([0]), "range_end": BASE64.encode([0])});
        let answer = self.call("/v3/kv/range", &all);
        answer["kvs"].as_array().unwrap_or(&Vec::new()).iter().map(entry).collect()
    }

    /// Deletes one key.
    pub fn delete(&self, key: &str) {
        self.call("/v3/kv/deleterange", &json!({"key": BASE64.encode(key)}));
    }

    /// What happened to all keys from the beginning, and what will.
    pub fn watch(&self) -> Watch {
        Watch::open(self.address())
    }
}

impl std::ops::Deref for Etcd {
    type Target = Daemon;
    fn deref(&self) -> &Daemon {
        &self.daemon
    }
}

impl std::ops::DerefMut for Etcd {
    fn deref_mut(&mut self) -> &mut Daemon {
        &mut self.daemon
    }
}

/// The events of one etcd, in their order.
pub struct Watch {
    stream: BufReader<TcpStream>,
    /// Bytes of answers that are not read yet.
    rest: Vec<u8>,
    events: std::collections::VecDeque<Event>,
}

impl Watch {
    fn open(addr: SocketAddr) -> Watch {
        let all = json!({"create_request": {
            "key": BASE64.encode([0]), "range_end": BASE64.encode([0]), "start_revision": "1",
        }});
        let body = all.to_string();
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(EVENT_WITHIN)).unwrap();
        let head = format!(
            "POST /v3/watch HTTP/1.1\r\nHost: {addr}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            assert!(stream.read_line(&mut line).unwrap() > 0, "etcd closed the watch");
        }
        Watch { stream, rest: Vec::new(), events: Default::default() }
    }

    /// The next event.
    #[track_caller]
    pub fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            self.receive();
        }
    }

    /// The next event, which must be a put.
    #[track_caller]
    pub fn put(&mut self) -> Entry {
        match self.next() {
            Event::Put(entry) => entry,
            other @ Event::Delete(_) => panic!("{other:?} instead of a put"),
        }
    }

    /// Reads one chunk, and takes the whole lines of all that were read.
    fn receive(&mut self) {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("an event in time");
        let size = usize::from_str_radix(line.trim(), 16).expect("etcd answers in chunks");
        assert!(size > 0, "etcd ended the watch");
        let mut chunk = vec![0; size + 2];
        self.stream.read_exact(&mut chunk).unwrap();
        self.rest.extend(&chunk[..size]);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let answer: Value = serde_json::from_slice(&line).unwrap();
            let events = answer["result"]["events"].as_array().cloned().unwrap_or_default();
            self.events.extend(events.iter().map(|event| match event["type"].as_str() {
                Some("DELETE") => Event::Delete(decoded(&event["kv"]["key"])),
                _ => Event::Put(entry(&event["kv"])),
            }));
        }
    }
}

fn entry(kv: &Value) -> Entry {
    let lease = kv["lease"].as_str().unwrap_or("0").to_owned();
    Entry { key: decoded(&kv["key"]), value: decoded(&kv["value"]), lease }
}

fn decoded(text: &Value) -> String {
    String::from_utf8(BASE64.decode(text.as_str().unwrap_or_default()).unwrap()).unwrap()
}

/// Certificates of one authority, as PEM files in a directory.
pub struct Certificates {
    dir: tempfile::TempDir,
}

impl Certificates {
    /// An authority, and a certificate by it for clients and for servers on loopback.
    pub fn new() -> Certificates {
        use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair};
        let dir = tempfile::tempdir().unwrap();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = rcgen::CertifiedIssuer::self_signed(authority, key).unwrap();
        let mut own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        own.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let own = own.signed_by(&key, &authority).unwrap();
        for (name, pem) in
            [("ca.pem", authority.pem()), ("own.pem", own.pem()), ("key.pem", key.serialize_pem())]
        {
            std::fs::write(dir.path().join(name), pem).unwrap();
        }
        Certificates { dir }
    }

    /// The path of `ca.pem`, `own.pem` or `key.pem`.
    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }
}

/// The distinct URLs' hosts of a record.
pub fn hosts(record: &str) -> HashSet<String> {
    let record: Value = serde_json::from_str(record).unwrap();
    let endpoints = record["endpoints"].as_array().unwrap();
    let host = |url: &Value| {
        let address = url.as_str().unwrap().split_once("://").unwrap().1.to_owned();
        address.rsplit_once(':').unwrap().0.to_owned()
    };
    endpoints.iter().map(host).collect()
}
