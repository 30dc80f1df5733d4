//! Abuse of HTTP/2 on the gRPC port, frame by frame: the connection may be ended, nothing else.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use super::{MIB, still_sends, unharmed};
use crate::support::Server;
use crate::support::grpc::Grpc;
use crate::support::http::post_json;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), data].concat()
}

/// A header that is not indexed, in HPACK.
fn header(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

/// The head of a call of `method`.
fn call(method: &str) -> Vec<u8> {
    [
        header(":method", "POST"),
        header(":scheme", "http"),
        header(":path", &format!("/timeline.v1.Timeline/{method}")),
        header(":authority", "x"),
        header("content-type", "application/grpc"),
        header("te", "trailers"),
    ]
    .concat()
}

/// A connection after its preface, with the client's `settings`.
fn connect(server: &Server, settings: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server.grpc).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, settings)).unwrap();
    stream
}

/// Writes until it is all written, or the server ends the connection or takes no more.
fn pour(stream: &mut TcpStream, mut parts: impl Iterator<Item = Vec<u8>>) {
    while parts.next().is_some_and(|part| stream.write_all(&part).is_ok()) {}
}

/// What every abuse must leave: memory as it was, and a server that serves.
fn survives(abuse: impl FnOnce(&Server)) {
    survives_within(96 * MIB, abuse);
}

fn survives_within(more: u64, abuse: impl FnOnce(&Server)) {
    let mut server = Server::start();
    still_sends(&server, 1);
    let start = server.memory_bytes();
    abuse(&server);
    still_sends(&server, 2);
    let mut grpc = Grpc::connect(server.grpc);
    let request = seqline_api::timeline::v1::SyncMessageRequest {
        member: "l2".to_owned(),
        ..Default::default()
    };
    assert_eq!(grpc.call("GetSyncMessage", &request).code, Some(0));
    unharmed(&mut server, start, more);
}

#[test]
fn streams_opened_and_reset_at_once() {
    survives(|server| {
        for _ in 0..5 {
            let mut stream = connect(server, &[]);
            let head = call("Send");
            let streams = (0..20_000_u32).map(|i| {
                let open = frame(HEADERS, END_HEADERS, 2 * i + 1, &head);
                [open, frame(RST_STREAM, 0, 2 * i + 1, &8_u32.to_be_bytes())].concat()
            });
            pour(&mut stream, streams);
        }
    });
}

#[test]
fn streams_that_are_never_finished() {
    survives(|server| {
        for _ in 0..20 {
            let mut stream = connect(server, &[]);
            let head = call("SendGroup");
            // The beginning of a frame that announces 4 MiB.
            let part = [&[0, 0, 0x40, 0, 0][..], &[b'x'; 1_000]].concat();
            let streams = (0..6_000_u32).map(|i| {
                let open = frame(HEADERS, END_HEADERS, 2 * i + 1, &head);
                [open, frame(DATA, 0, 2 * i + 1, &part)].concat()
            });
            pour(&mut stream, streams);
        }
    });
}

#[test]
fn settings_and_pings_without_end_whose_answers_nobody_reads() {
    survives(|server| {
        for (kind, data) in [
            (SETTINGS, &[0, 3, 0, 0, 0, 100][..]),
            (PING, &[7; 8]),
            (SETTINGS, &[]),
            (WINDOW_UPDATE, &[0, 0, 0, 1]),
        ] {
            let mut stream = connect(server, &[]);
            let part = frame(kind, 0, 0, data).repeat(1_000);
            pour(&mut stream, std::iter::repeat_n(part, 1_000));
        }
    });
}

#[test]
fn empty_frames_without_end() {
    survives(|server| {
        let mut stream = connect(server, &[]);
        stream.write_all(&frame(HEADERS, END_HEADERS, 1, &call("Send"))).unwrap();
        let part = frame(DATA, 0, 1, &[]).repeat(10_000);
        pour(&mut stream, std::iter::repeat_n(part, 200));
    });
}

#[test]
fn headers_without_end() {
    survives(|server| {
        // A head that goes on and on.
        let mut stream = connect(server, &[]);
        stream.write_all(&frame(HEADERS, 0, 1, &call("Send"))).unwrap();
        let more = frame(CONTINUATION, 0, 1, &header("x-long", &"y".repeat(100)).repeat(100));
        pour(&mut stream, std::iter::repeat_n(more, 10_000));
        // A head of nothing at all.
        let mut stream = connect(server, &[]);
        stream.write_all(&frame(HEADERS, 0, 1, &call("Send"))).unwrap();
        let part = frame(CONTINUATION, 0, 1, &[]).repeat(10_000);
        pour(&mut stream, std::iter::repeat_n(part, 200));
        // One large header, put into the table once and then named by a byte each time.
        let mut stream = connect(server, &[]);
        let length = [0x7f, 0xa1, 0x1e];
        let large = [&[0x40, 1, b'x'][..], &length, &[b'y'; 4_000]].concat();
        let bomb = [call("Send"), large, vec![0xbe; 12_000]].concat();
        let heads =
            (0..1_000_u32).map(|i| frame(HEADERS, END_HEADERS | END_STREAM, 2 * i + 1, &bomb));
        pour(&mut stream, heads);
    });
}

#[test]
fn large_answers_that_nobody_takes() {
    // 256 MiB are for pages on their way; as much again for pages being read, and some 20 KiB for
    // each of the calls that wait.
    survives_within(896 * MIB, |server| {
        let message = format!("{{\"a\":\"{}\"}}", "x".repeat(200_000));
        let send = json!({"from": "big", "to": "l3", "message": message});
        for _ in 0..16 {
            assert_eq!(post_json(server.http, "/timeline/send", &send).status, 200);
        }
        let head = call("GetSyncMessage");
        let request = [&[0, 0, 0, 0, 4][..], b"\x0a\x02l3"].concat();
        // Twelve gigabytes of pages each. No stream may send anything: its
        // SETTINGS_INITIAL_WINDOW_SIZE is 0.
        let mut held: Vec<TcpStream> =
            (0..3).map(|_| connect(server, &[0, 4, 0, 0, 0, 0])).collect();
        for stream in &mut held {
            let streams = (0..4_000_u32).map(|i| {
                let open = frame(HEADERS, END_HEADERS, 2 * i + 1, &head);
                [open, frame(DATA, END_STREAM, 2 * i + 1, &request)].concat()
            });
            pour(stream, streams);
        }
        // Heads of answers come nevertheless; reading them gives the server its time.
        let mut heads = vec![0; 1 << 16];
        for mut stream in held {
            while stream.read(&mut heads).is_ok_and(|read| read > 0) {}
        }
    });
}
