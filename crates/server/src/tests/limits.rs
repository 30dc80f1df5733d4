//! Limits: time, requests in flight, bytes, connections.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::{Code, Request};

use super::{direct, reason, server, sync};

#[tokio::test]
async fn a_store_that_does_not_answer_ends_in_the_deadline_without_details() {
    let server = server(|config| config.server.grpc.timeout = Duration::from_millis(20));
    let mut client = server.connect().await;
    let status = client.send(direct("a", "b", "{\"do\":\"hang\"}")).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!((status.message(), status.details()), ("context deadline exceeded", &b""[..]));
}

#[tokio::test]
async fn a_request_past_the_limit_of_those_in_flight_is_refused_at_once() {
    let server = server(|config| config.limits.requests_in_flight_max = 1);
    let mut client = server.connect().await;
    let mut first = client.clone();
    let waiting = tokio::spawn(async move {
        first.send(direct("a", "b", "{\"do\":\"wait\"}")).await.unwrap();
    });
    server.gate.arrived.acquire().await.unwrap().forget();
    let status = client.get_sync_message(sync("b", 0, 0)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let limit = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let metadata = vec![limit("limit", "requests_in_flight_max"), limit("max", "1")];
    assert_eq!(reason(&status), ("RATELIMIT".to_owned(), metadata));
    server.gate.open.add_permits(1);
    waiting.await.unwrap();
    client.get_sync_message(sync("b", 0, 0)).await.unwrap();
}

#[tokio::test]
async fn a_request_with_too_many_bytes_names_the_limit() {
    let server = server(|config| config.limits.grpc_request_bytes_max = 2_000);
    let mut client = server.connect().await;
    let message = format!("{{\"a\":\"{}\"}}", "x".repeat(2_000));
    let status = client.send(direct("a", "b", &message)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let (_, metadata) = reason(&status);
    let limit = ("limit".to_owned(), "grpc_request_bytes_max".to_owned());
    assert!(metadata.contains(&limit), "{metadata:?}");
    client.send(direct("a", "b", "{}")).await.unwrap();
}

#[tokio::test]
async fn a_compressed_request_is_refused_with_what_is_understood() {
    let server = server(|_| {});
    let mut client = server.connect().await;
    let mut request = Request::new(direct("a", "b", "{}"));
    request.metadata_mut().insert("grpc-encoding", "gzip".parse().unwrap());
    let status = client.send(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    let accepted = status.metadata().get("grpc-accept-encoding");
    assert_eq!(accepted.and_then(|value| value.to_str().ok()), Some("identity"));
}

#[tokio::test]
async fn a_connection_past_the_limit_is_refused_at_once() {
    let server = server(|config| config.limits.connections_max = 1);
    // The first has its place once it is answered.
    let mut first = TcpStream::connect(server.running.http_addr).await.unwrap();
    first.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    first.read_u8().await.unwrap();
    let mut second = TcpStream::connect(server.running.grpc_addr).await.unwrap();
    assert!(!matches!(second.read(&mut [0]).await, Ok(1..)));
    drop(first);
    // The place is free again as soon as the server sees the end of the first.
    while refused(server.running.http_addr).await {}
}

async fn refused(addr: std::net::SocketAddr) -> bool {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer.is_empty() || answer.starts_with(b"HTTP/1.1 503 ")
}

#[tokio::test]
async fn a_client_that_ends_its_side_after_the_request_gets_its_answer() {
    let server = server(|_| {});
    let mut stream = TcpStream::connect(server.running.http_addr).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 "), "{:?}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_request_head_past_the_limit_is_refused_by_its_own_status() {
    let server = server(|_| {});
    let mut stream = TcpStream::connect(server.running.http_addr).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 431");
}
