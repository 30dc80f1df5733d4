//! Both ends of a connection by hand: what the server's frames make of the calls.

use super::*;
use crate::client::Protocol;

/// A connection with the server's settings taken, and what it sent since.
struct Peer {
    http: Http2,
    out: Vec<u8>,
    answers: Vec<Answer>,
}

fn framed(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::put_head(&mut out, payload.len(), kind, flags, stream);
    out.extend_from_slice(payload);
    out
}

fn settings(pairs: &[(u16, u32)]) -> Vec<u8> {
    let pair =
        |(name, value): &(u16, u32)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
    framed(kind::SETTINGS, 0, 0, &pairs.iter().flat_map(pair).collect::<Vec<_>>())
}

/// The frames in `bytes`: kind, flags, stream, payload.
fn frames(mut bytes: &[u8]) -> Vec<(u8, u8, u32, Vec<u8>)> {
    let mut found = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk() {
        let head = Head::read(head);
        let (payload, rest) = rest.split_at(head.length);
        found.push((head.kind, head.flags, head.stream, payload.to_vec()));
        bytes = rest;
    }
    found
}

impl Peer {
    fn new(pairs: &[(u16, u32)]) -> Peer {
        let http = Http2::new("Send", "h:1", Wanted::Sequence);
        let mut peer = Peer { http, out: Vec::new(), answers: Vec::new() };
        peer.http.greet(&mut peer.out);
        assert!(!peer.http.has_room(), "nothing is known of the server");
        peer.receive(&settings(pairs)).unwrap();
        peer.out.clear();
        peer
    }

    fn start(&mut self, message_bytes: usize) {
        let message = Template::message(message_bytes, || 'x');
        let template = Template::new(&Protocol::Grpc.send("a", "b", &message), "h:1", "");
        self.http.start(&template, 7, Instant::now(), &mut self.out);
    }

    /// Takes `bytes` in pieces of one byte, as the worst network would bring them.
    fn receive(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut waiting = Vec::new();
        for byte in bytes {
            waiting.push(*byte);
            let used = self.http.receive(&waiting, &mut self.out, &mut self.answers)?;
            waiting.drain(..used);
        }
        assert_eq!(waiting, b"", "everything is used");
        Ok(())
    }

    fn sent(&mut self) -> Vec<(u8, u8, u32, Vec<u8>)> {
        frames(&std::mem::take(&mut self.out))
    }

    fn outcomes(&mut self) -> Vec<Result<u64, String>> {
        std::mem::take(&mut self.answers).into_iter().map(|answer| answer.outcome).collect()
    }
}

/// `:status: 200` and the outcome, as literals.
fn trailers(status: &str, message: &str) -> Vec<u8> {
    let mut block = Vec::new();
    hpack::put_plain(&mut block, 0, "grpc-status", status);
    hpack::put_plain(&mut block, 0, "grpc-message", message);
    block
}

const GOOD: &[u8] = b"\0\0\0\0\x02\x08\x05";
const LAST: u8 = flag::END_HEADERS | flag::END_STREAM;

#[test]
fn a_call_succeeds_when_its_trailers_say_so() {
    let mut peer = Peer::new(&[]);
    peer.start(100);
    peer.start(100);
    let sent = peer.sent();
    assert_eq!(sent.iter().map(|frame| frame.2).collect::<Vec<_>>(), [1, 1, 3, 3]);
    assert!(sent[0].3.len() > 60, "the first has names and values");
    assert_eq!(sent[2].3, [0x83, 0x86, 0xc1, 0xc0, 0xbf, 0xbe], "the second only numbers");
    assert!(String::from_utf8_lossy(&sent[1].3).contains("0000000000000007"));

    peer.receive(&framed(kind::HEADERS, flag::END_HEADERS, 1, b"\x88")).unwrap();
    peer.receive(&framed(kind::DATA, 0, 1, GOOD)).unwrap();
    assert_eq!(peer.outcomes(), [], "not before the trailers");
    peer.receive(&framed(kind::HEADERS, LAST, 1, &trailers("0", ""))).unwrap();
    assert_eq!(peer.outcomes(), [Ok(0)]);

    // In pieces: the headers in two frames, padded, the message in two frames.
    let block = trailers("0", "");
    let (one, two) = block.split_at(5);
    peer.receive(&framed(kind::HEADERS, flag::END_HEADERS | flag::PADDED, 3, b"\x02\x88\0\0"))
        .unwrap();
    peer.receive(&framed(kind::DATA, 0, 3, &GOOD[..3])).unwrap();
    peer.receive(&framed(kind::DATA, flag::PADDED, 3, &[b"\x01", &GOOD[3..], b"\0"].concat()))
        .unwrap();
    peer.receive(&framed(kind::HEADERS, flag::END_STREAM, 3, one)).unwrap();
    peer.receive(&framed(kind::CONTINUATION, flag::END_HEADERS, 3, two)).unwrap();
    assert_eq!((peer.outcomes(), peer.http.in_flight()), (vec![Ok(0)], 0));
}

/// What a call came to after these frames on its stream.
#[track_caller]
fn fails(received: &[Vec<u8>], says: &str) {
    let mut peer = Peer::new(&[]);
    peer.start(100);
    received.iter().for_each(|frame| peer.receive(frame).unwrap());
    let outcomes = peer.outcomes();
    let [Err(reason)] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    assert!(reason.contains(says), "{reason}");
    assert_eq!(peer.http.in_flight(), 0);
}

#[test]
fn whatever_is_no_success_is_a_failure() {
    let headers = |block: &[u8]| framed(kind::HEADERS, flag::END_HEADERS, 1, block);
    let last = |block: &[u8]| framed(kind::HEADERS, LAST, 1, block);
    fails(&[last(&[b"\x88", trailers("14", "later").as_slice()].concat())], "later (gRPC 14)");
    fails(&[headers(b"\x88"), last(b"\x88")], "without a grpc-status");
    fails(&[last(b"\x8d")], "HTTP status 404");
    fails(&[headers(b"\x88"), last(&trailers("0", ""))], "0 bytes");
    let data = framed(kind::DATA, 0, 1, GOOD);
    fails(&[data.clone(), data, last(&trailers("0", ""))], "a wrong head");
    fails(&[framed(kind::DATA, flag::END_STREAM, 1, GOOD)], "without a grpc-status");
    fails(&[framed(kind::RST_STREAM, 0, 1, &[0, 0, 0, 8])], "reset the stream (HTTP/2 error 8)");
    fails(&[framed(kind::GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 2])], "HTTP/2 error 2");
}

#[test]
fn a_server_that_goes_away_finishes_what_it_took() {
    let mut peer = Peer::new(&[]);
    peer.start(100);
    peer.start(100);
    peer.receive(&framed(kind::GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0])).unwrap();
    assert!(peer.http.is_retiring() && !peer.http.has_room());
    assert_eq!((peer.outcomes().len(), peer.http.in_flight()), (1, 1));
    peer.receive(&framed(kind::DATA, 0, 1, GOOD)).unwrap();
    peer.receive(&framed(kind::HEADERS, LAST, 1, &trailers("0", ""))).unwrap();
    assert_eq!((peer.outcomes(), peer.http.in_flight()), (vec![Ok(0)], 0));
}

#[test]
fn pings_and_settings_are_answered_and_limits_are_kept() {
    let mut peer = Peer::new(&[(setting::MAX_CONCURRENT_STREAMS, 1)]);
    peer.receive(&framed(kind::PING, 0, 0, b"12345678")).unwrap();
    peer.receive(&framed(kind::PING, flag::ACK, 0, b"12345678")).unwrap();
    peer.receive(&framed(0x77, 0xff, 9, b"unknown")).unwrap();
    assert_eq!(peer.sent(), [(kind::PING, flag::ACK, 0, b"12345678".to_vec())]);
    assert!(peer.http.has_room());
    peer.start(100);
    assert!(!peer.http.has_room());
    peer.receive(&settings(&[(setting::MAX_CONCURRENT_STREAMS, 2)])).unwrap();
    assert!(peer.http.has_room());
}

#[test]
fn a_body_waits_for_the_windows_and_goes_on_in_frames() {
    let mut peer = Peer::new(&[(setting::INITIAL_WINDOW_SIZE, 1_000)]);
    peer.start(2_000);
    let lengths = |peer: &mut Peer| {
        let sent = peer.sent();
        let data = sent.iter().filter(|frame| frame.0 == kind::DATA);
        data.map(|frame| (frame.3.len(), frame.1)).collect::<Vec<_>>()
    };
    assert_eq!(lengths(&mut peer), [(1_000, 0)]);
    assert!(!peer.http.has_room(), "the next one would only wait too");
    peer.receive(&framed(kind::WINDOW_UPDATE, 0, 1, &500_u32.to_be_bytes())).unwrap();
    assert_eq!(lengths(&mut peer), [(500, 0)]);
    peer.receive(&settings(&[(setting::INITIAL_WINDOW_SIZE, 10_000)])).unwrap();
    let rest = lengths(&mut peer);
    assert_eq!(rest.last().map(|(_, flags)| *flags), Some(flag::END_STREAM));
    assert!(peer.http.has_room());

    // The window of the connection, and the largest frame.
    let mut peer = Peer::new(&[(setting::INITIAL_WINDOW_SIZE, 1 << 20)]);
    peer.start(100_000);
    let sent: usize = lengths(&mut peer).iter().map(|(length, _)| length).sum();
    assert_eq!(sent, 65_535);
    peer.receive(&framed(kind::WINDOW_UPDATE, 0, 0, &(1_u32 << 20).to_be_bytes())).unwrap();
    let rest = lengths(&mut peer);
    assert!(rest.iter().all(|(length, _)| *length <= 16_384), "{rest:?}");
    assert_eq!(rest.last().map(|(_, flags)| *flags), Some(flag::END_STREAM));
}

#[test]
fn a_server_without_a_table_gets_every_header_literally() {
    let mut peer = Peer::new(&[(setting::HEADER_TABLE_SIZE, 0)]);
    peer.start(100);
    peer.start(100);
    let sent = peer.sent();
    assert_eq!(sent[0].3[0], 0x20, "the table is emptied");
    assert_eq!(sent[0].3[1..], sent[2].3);
    assert!(sent[2].3.len() > 60);
}

#[test]
fn what_is_no_http2_or_breaks_its_rules_ends_the_connection() {
    let mut http = Http2::new("Send", "h:1", Wanted::Sequence);
    let text = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    assert!(http.receive(text, &mut Vec::new(), &mut Vec::new()).is_err());
    let refused = |frames: &[Vec<u8>]| {
        let mut peer = Peer::new(&[]);
        peer.start(100);
        assert!(frames.iter().any(|frame| peer.receive(frame).is_err()), "{frames:?}");
    };
    refused(&[framed(kind::SETTINGS, 0, 0, b"12345")]);
    refused(&[framed(kind::PUSH_PROMISE, 0, 1, b"1234")]);
    refused(&[framed(kind::CONTINUATION, 0, 1, b"\x88")]);
    refused(&[framed(kind::HEADERS, 0, 1, b"\x88"), framed(kind::DATA, 0, 1, b"")]);
    refused(&[framed(kind::HEADERS, flag::END_HEADERS, 1, b"\xff")]);
    refused(&[framed(kind::WINDOW_UPDATE, 0, 1, b"123")]);
    refused(&[framed(kind::DATA, flag::PADDED, 1, b"\x09x")]);
}
