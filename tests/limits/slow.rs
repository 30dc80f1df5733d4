//! Clients that stop half-way, and clients that do not read.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{MIB, still_sends, unharmed};
use crate::support::Server;
use crate::support::http::{get, parse, post_json};

const HEAD: &str = "POST /timeline/send HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";

/// Sends `bytes` and then nothing more.
fn begin(addr: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// What the server says until it ends the connection, and how long that takes.
fn until_dropped(mut stream: TcpStream) -> (Vec<u8>, Duration) {
    let began = Instant::now();
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => panic!("never dropped"),
        _ => (answer, began.elapsed()),
    }
}

#[test]
fn a_client_that_stops_in_the_middle_of_a_head_is_dropped_and_frees_its_place() {
    let mut server = Server::start_set(&[("limits.connections_max", "3")]);
    let start = server.memory_bytes();
    let halves = [&b""[..], b"POST /timel", HEAD.as_bytes()];
    let stopped: Vec<TcpStream> = halves.iter().map(|half| begin(server.http, half)).collect();
    for stream in stopped {
        let (_, after) = until_dropped(stream);
        assert!(after < Duration::from_secs(20), "dropped after {after:?}");
    }
    still_sends(&server, 1);
    unharmed(&mut server, start, 32 * MIB);
}

#[test]
fn a_client_that_stops_in_the_middle_of_a_body_is_answered_and_dropped() {
    let settings = [
        ("server.http.timeout", "1s"),
        ("limits.connections_max", "3"),
        ("limits.requests_in_flight_max", "1"),
    ];
    let mut server = Server::start_set(&settings);
    let start = server.memory_bytes();
    let half = format!("{HEAD}Content-Length: 1000\r\n\r\n{{\"from\":");
    let chunks = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\n{{\"fro");
    for body in [half, chunks] {
        let (answer, after) = until_dropped(begin(server.http, body.as_bytes()));
        assert!(after < Duration::from_secs(10), "dropped after {after:?}");
        let answer = parse(&answer);
        assert_eq!(answer.status, 500, "{answer:?}");
        assert_eq!(answer.json()["message"], "context deadline exceeded");
    }
    // While others stop half-way, there is a place for those who do not.
    let body = format!("{HEAD}Content-Length: 1000\r\n\r\n{{");
    let stopped = begin(server.http, body.as_bytes());
    still_sends(&server, 1);
    until_dropped(stopped);
    still_sends(&server, 2);
    unharmed(&mut server, start, 32 * MIB);
}

/// A server with more than a page of large messages in the inbox of `l2`; the last of them has
/// the number 13.
fn with_a_large_page(settings: &[(&str, &str)]) -> Server {
    let server = Server::start_set(settings);
    // Quotes grow when they are escaped, so that a page is larger on the wire than in the store.
    let message = json!({"a": "\"".repeat(100_000)}).to_string();
    let send = json!({"from": "big", "to": "l2", "message": message});
    for _ in 0..13 {
        assert_eq!(post_json(server.http, "/timeline/send", &send).status, 200);
    }
    server
}

#[test]
fn a_reader_that_takes_nothing_holds_at_most_one_page() {
    let mut server = with_a_large_page(&[]);
    let page = get(server.http, "/timeline/sync?member=l2").body.len() as u64;
    assert!(page > 2 * MIB, "the page has {page} bytes");
    let start = server.memory_peak_bytes();
    let mut stream = TcpStream::connect(server.http).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let request = "GET /timeline/sync?member=l2 HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1_000);
    // Until the server takes no more requests, since nobody takes its answers.
    let mut taken = 0;
    while taken < 100 && stream.write_all(request.as_bytes()).is_ok() {
        taken += 1;
    }
    still_sends(&server, 14);
    unharmed(&mut server, start, 4 * page + 32 * MIB);
}

#[test]
fn many_readers_that_take_nothing_share_a_bounded_memory() {
    const READERS: u64 = 150;
    let mut server = with_a_large_page(&[("server.http.timeout", "2s")]);
    let page = get(server.http, "/timeline/sync?member=l2").body.len() as u64;
    let start = server.memory_peak_bytes();
    let request = b"GET /timeline/sync?member=l2 HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut readers: Vec<TcpStream> = (0..READERS).map(|_| begin(server.http, request)).collect();
    let mut answered = 0;
    for reader in &mut readers {
        // The answer has begun, so it is made; or there was no memory for it in time.
        let mut status = [0; 12];
        reader.read_exact(&mut status).unwrap();
        answered += u64::from(status.ends_with(b"200"));
    }
    // 256 MiB are for pages; escaped quotes double these. The rest is for pages being read and
    // escaped, and what the allocator keeps of them. Without a limit 50 readers took 410 MiB.
    assert!((50..READERS).contains(&answered), "{answered} pages of {page} bytes");
    still_sends(&server, 14);
    unharmed(&mut server, start, 2 * 256 * MIB + 384 * MIB);
    // Their memory is free once they have gone.
    drop(readers);
    let answered = (0..100).any(|_| get(server.http, "/timeline/sync?member=l2").status == 200);
    assert!(answered);
}
