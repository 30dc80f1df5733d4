//! Bytes that are wrong before any route sees them: heads, lengths, chunks, smuggling, other
//! protocols. An answer is a refusal or a closed connection; nothing is ever stored.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::victim::Victim;

const SEND: &str = r#"{"from":"v1","to":"v2","message":"{}"}"#;
const HEAD: &str = "POST /timeline/send HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";

/// Sends `bytes`, ends its side, and reads all that comes.
fn exchange(addr: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // The server may have refused and closed before it has everything.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
            panic!("neither an answer nor an end after {:?}", String::from_utf8_lossy(bytes));
        }
        _ => answer,
    }
}

/// The status of every answer in what came back.
fn statuses(answer: &[u8]) -> Vec<u16> {
    String::from_utf8_lossy(answer)
        .match_indices("HTTP/1.")
        .filter_map(|(at, _)| {
            String::from_utf8_lossy(answer).get(at + 9..at + 12).and_then(|s| s.parse().ok())
        })
        .collect()
}

impl Victim {
    /// The server answers with one refusal, or with none.
    fn refuses(&mut self, what: &str, bytes: impl AsRef<[u8]>) {
        let answer = exchange(self.server.http, bytes.as_ref());
        let statuses = statuses(&answer);
        if statuses.len() > 1 || statuses.iter().any(|status| !(400..600).contains(status)) {
            let text = String::from_utf8_lossy(&answer).into_owned();
            self.wrong(format!("{what}: {statuses:?} {text:.200}"));
        }
    }
}

#[test]
fn request_heads_that_are_none_are_refused() {
    let mut victim = Victim::new();
    let length = SEND.len();
    let rest = format!("Content-Length: {length}\r\n\r\n{SEND}");
    for (what, head) in [
        ("no version", "POST /timeline/send\r\nHost: x\r\n"),
        ("HTTP/0.9", "POST /timeline/send HTTP/0.9\r\nHost: x\r\n"),
        ("HTTP/3.0", "POST /timeline/send HTTP/3.0\r\nHost: x\r\n"),
        ("a space in the target", "POST /timeline/send x HTTP/1.1\r\nHost: x\r\n"),
        ("a NUL in the target", "POST /timeline/send\0 HTTP/1.1\r\nHost: x\r\n"),
        ("no target", "POST HTTP/1.1\r\nHost: x\r\n"),
        ("no method", " /timeline/send HTTP/1.1\r\nHost: x\r\n"),
        ("a header without a colon", "POST /timeline/send HTTP/1.1\r\nHost x\r\n"),
        ("a space before the colon", "POST /timeline/send HTTP/1.1\r\nHost : x\r\n"),
        ("a folded header", "POST /timeline/send HTTP/1.1\r\nHost: x\r\n y\r\n"),
        ("a NUL in a header", "POST /timeline/send HTTP/1.1\r\nHost: x\0y\r\n"),
        ("a bare CR in a header", "POST /timeline/send HTTP/1.1\r\nHost: x\ry\r\n"),
        ("an empty header name", "POST /timeline/send HTTP/1.1\r\n: x\r\n"),
    ] {
        victim.refuses(what, format!("{head}Content-Type: application/json\r\n{rest}"));
    }
    victim.unharmed(&[]);
}

#[test]
fn lengths_that_contradict_each_other_are_refused() {
    let mut victim = Victim::new();
    let length = SEND.len();
    for lines in [
        format!("Content-Length: {length}\r\nContent-Length: 0\r\n"),
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: {length}, 0\r\n"),
        "Content-Length: -1\r\n".to_owned(),
        "Content-Length: +38\r\n".to_owned(),
        "Content-Length: 0x26\r\n".to_owned(),
        "Content-Length: 38 \u{b}\r\n".to_owned(),
        "Content-Length: 3 8\r\n".to_owned(),
        "Content-Length:\r\n".to_owned(),
        "Content-Length: 99999999999999999999999999\r\n".to_owned(),
        "Content-Length: 18446744073709551615\r\n".to_owned(),
        "Content-Length: 18446744073709551616\r\n".to_owned(),
        "Content-Length: 9007199254740993\r\n".to_owned(),
    ] {
        victim.refuses(&lines, format!("{HEAD}{lines}\r\n{SEND}"));
    }
    // A body that ends early was never sent.
    victim.refuses("a cut body", format!("{HEAD}Content-Length: {}\r\n\r\n{SEND}", length + 1));
    victim.refuses("half a head", HEAD);
    victim.unharmed(&[]);
}

#[test]
fn broken_chunks_are_refused() {
    let mut victim = Victim::new();
    let head = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n");
    let size = format!("{:x}", SEND.len());
    for body in [
        format!("{size}\r\n{SEND}\r\n"),
        format!("{size}\r\n{SEND}"),
        format!("{size}\r\n{SEND}0\r\n\r\n"),
        format!("{size}\n{SEND}\n0\n\n"),
        format!("-{size}\r\n{SEND}\r\n0\r\n\r\n"),
        format!("0x{size}\r\n{SEND}\r\n0\r\n\r\n"),
        format!(" \r\n{SEND}\r\n0\r\n\r\n"),
        format!("\r\n{SEND}\r\n0\r\n\r\n"),
        format!("fffffffffffffffff\r\n{SEND}\r\n0\r\n\r\n"),
        format!("ffffffffffffffff\r\n{SEND}\r\n0\r\n\r\n"),
        format!("zz\r\n{SEND}\r\n0\r\n\r\n"),
        format!("{size}{}\r\n{SEND}\r\n0\r\n\r\n", ";x".repeat(100_000)),
        format!("{size}\r\n{SEND}\r\n0\r\n{}\r\n", "x: y\r\n".repeat(100_000)),
    ] {
        victim.refuses(&format!("chunks {body:.40}"), format!("{head}{body}"));
    }
    for coding in ["gzip", "chunked, gzip", "identity", "xchunked", "chunked\r\nX: y"] {
        let body = format!("{HEAD}Transfer-Encoding: {coding}\r\n\r\nzz\r\n{SEND}\r\n0\r\n\r\n");
        victim.refuses(coding, body);
    }
    victim.unharmed(&[]);
}

#[test]
fn a_request_cannot_be_smuggled_behind_another_one() {
    let mut victim = Victim::new();
    let inner = format!("{HEAD}Content-Length: {}\r\n\r\n{SEND}", SEND.len());
    // To a proxy that goes by the length, all of it is one body; whoever goes by the chunks
    // would see a second request.
    let body = format!("0\r\n\r\n{inner}");
    let length = format!("Content-Length: {}\r\n", body.len());
    let outer = "POST /timeline/send HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    for chunked in [
        "Transfer-Encoding: chunked\r\n",
        "transfer-encoding: Chunked\r\n",
        "Transfer-Encoding: \tchunked\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "X: y\r\n Transfer-Encoding: chunked\r\n",
    ] {
        victim.refuses(chunked, format!("{outer}{length}{chunked}\r\n{body}"));
        victim.refuses(chunked, format!("{outer}{chunked}{length}\r\n{body}"));
    }
    // The other way round: to a proxy that goes by the chunks, the inner request is their data.
    let hidden = format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len());
    let length = format!("Content-Length: {}\r\n", format!("{:x}\r\n", inner.len()).len());
    let chunked = "Transfer-Encoding: chunked\r\n";
    victim.refuses("TE, short CL", format!("{outer}{chunked}{length}\r\n{hidden}"));
    victim.refuses("short CL, TE", format!("{outer}{length}{chunked}\r\n{hidden}"));
    // HTTP/1.0 knows no chunks.
    let old = outer.replace("HTTP/1.1", "HTTP/1.0");
    victim.refuses("chunks in HTTP/1.0", format!("{old}{chunked}\r\n0\r\n\r\n{inner}"));
    victim.unharmed(&[]);
}

#[test]
fn heads_and_addresses_that_are_too_large_are_refused() {
    let mut victim = Victim::new();
    let tail = format!("Content-Length: {}\r\n\r\n{SEND}", SEND.len());
    let value = "x".repeat(1 << 20);
    victim.refuses("a header of 1 MiB", format!("{HEAD}X: {value}\r\n{tail}"));
    victim.refuses("a header name of 1 MiB", format!("{HEAD}{value}: x\r\n{tail}"));
    let many: String = (0..100_000).map(|i| format!("X-{i}: y\r\n")).collect();
    victim.refuses("100,000 headers", format!("{HEAD}{many}{tail}"));
    let target = format!("GET /timeline/sync?member={value} HTTP/1.1\r\nHost: x\r\n\r\n");
    victim.refuses("an address of 1 MiB", target);
    victim.refuses("an endless request line", "x".repeat(4 << 20));
    victim.refuses("an endless head", format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(1 << 19)));
    victim.refuses("only line ends", "\r\n".repeat(1 << 20));
    victim.unharmed(&[]);
}

#[test]
fn other_protocols_and_noise_do_no_harm_on_either_port() {
    let victim = Victim::new();
    let tls_hello = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03";
    let mut attacks: Vec<Vec<u8>> = vec![
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        [&tls_hello[..], &[0; 600]].concat(),
        b"\0".to_vec(),
        b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
        b"EHLO x\r\nMAIL FROM: <a@b>\r\n".to_vec(),
        b"*1\r\n$4\r\nPING\r\n".to_vec(),
        vec![0xff; 1 << 20],
        Vec::new(),
    ];
    // Noise of any length, and noise behind a good beginning. Always the same noise.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..300_u64 {
        let length = random() % 2_000;
        let noise: Vec<u8> = (0..length).map(|_| random() as u8).collect();
        let start: &[u8] = match round % 4 {
            0 => b"",
            1 => b"POST /timeline/send HTTP/1.1\r\nContent-Type: application/json\r\n",
            2 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            _ => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x08\x01\x05\0\0\0\x01",
        };
        attacks.push([start, &noise].concat());
    }
    for attack in &attacks {
        exchange(victim.server.http, attack);
        exchange(victim.server.grpc, attack);
    }
    victim.unharmed(&[]);
}
