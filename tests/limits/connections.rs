//! More connections and more requests than there may be.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;

use super::{MIB, still_sends, unharmed};
use crate::support::Server;
use crate::support::http::{get, parse, post_json};

/// Lets this process open `files` files.
fn raise_open_files(files: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < files) {
        limit.current = Some(limit.maximum.map_or(files, |maximum| maximum.min(files)));
        setrlimit(Resource::Nofile, limit).unwrap();
    }
    let now = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    assert!(now >= files, "this test needs {files} open files, the hard limit is {now}: ulimit -n");
}

/// A connection that has had an answer and keeps silent since.
fn idle(server: &Server) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(server.http)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")?;
    let mut answer = [0; 512];
    let read = stream.read(&mut answer)?;
    if !answer[..read].starts_with(b"HTTP/1.1 200") {
        let text = String::from_utf8_lossy(&answer[..read]).into_owned();
        return Err(std::io::Error::other(text));
    }
    Ok(stream)
}

#[test]
fn ten_thousand_idle_connections_cost_little_and_keep_nobody_out() {
    const CONNECTIONS: usize = 10_000;
    raise_open_files(CONNECTIONS as u64 + 500);
    let mut server = Server::start();
    let start = server.memory_bytes();
    let mut held: Vec<TcpStream> = (0..CONNECTIONS).map(|_| idle(&server).unwrap()).collect();
    still_sends(&server, 1);
    let metrics = String::from_utf8(get(server.http, "/metrics").body).unwrap();
    let line = metrics.lines().find(|l| l.starts_with("seqline_connections{protocol=\"http\"}"));
    let open: f64 = line.and_then(|l| l.rsplit(' ').next()).unwrap().parse().unwrap();
    assert!(open >= CONNECTIONS as f64, "{open} connections are open");
    // Every one of them still works.
    for stream in held.iter_mut().step_by(997) {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert!(stream.read(&mut [0; 512]).unwrap() > 0);
    }
    unharmed(&mut server, start, 256 * MIB);
    drop(held);
    still_sends(&server, 2);
}

#[test]
fn a_connection_too_many_is_refused_at_once_and_a_freed_place_is_taken_again() {
    let mut server = Server::start_set(&[("limits.connections_max", "5")]);
    let start = server.memory_bytes();
    let mut held: Vec<TcpStream> = (0..5).map(|_| idle(&server).unwrap()).collect();
    for _ in 0..50 {
        idle(&server).expect_err("the sixth connection gets no answer, or a refusal");
    }
    let mut told = Vec::new();
    TcpStream::connect(server.http).unwrap().read_to_end(&mut told).unwrap();
    let told = parse(&told);
    assert_eq!((told.status, &told.json()["reason"]), (503, &"OVERLOADED".into()));
    assert_eq!(told.json()["metadata"]["limit"], "connections_max");
    held.pop();
    // The server notices the end on its own; until then the place is taken.
    let free = (0..1_000).find_map(|_| idle(&server).ok());
    assert!(free.is_some(), "the place was never freed");
    drop((held, free));
    let answered = (0..1_000).any(|_| idle(&server).is_ok());
    assert!(answered);
    still_sends(&server, 1);
    unharmed(&mut server, start, 32 * MIB);
}

#[test]
fn a_request_too_many_is_told_to_come_back_and_stores_nothing() {
    let mut server = Server::start_set(&[("limits.requests_in_flight_max", "2")]);
    let start = server.memory_bytes();
    let (mut stored, mut refused) = (0, 0);
    for _ in 0..20 {
        let answers: Vec<_> = std::thread::scope(|scope| {
            let send = || {
                let send = json!({"from": "l1", "to": "l2", "message": "{}"});
                post_json(server.http, "/timeline/send", &send)
            };
            let threads: Vec<_> = (0..32).map(|_| scope.spawn(send)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for answer in answers {
            let body = answer.json();
            match answer.status {
                200 => stored += 1,
                _ => {
                    assert_eq!((answer.status, &body["reason"]), (429, &"RATELIMIT".into()));
                    assert_eq!(body["metadata"]["limit"], "requests_in_flight_max");
                    assert_eq!(body["metadata"]["max"], "2");
                    refused += 1;
                }
            }
        }
        if refused > 0 {
            break;
        }
    }
    assert!(refused > 0, "640 sends, 32 at a time, and never three at once");
    still_sends(&server, stored + 1);
    unharmed(&mut server, start, 64 * MIB);
}
