//! A stop: what is in flight ends well, and what never ends does not hold it up.

use std::time::Duration;

use seqline_core::id::{MemberId, TimelineId};
use seqline_core::store::Store as _;
use tokio::net::TcpStream;
use tokio_stream::StreamExt as _;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::{direct, server, sync};

#[tokio::test]
async fn a_stop_finishes_what_is_in_flight_and_takes_nothing_new() {
    let server = server(|_| {});
    let channel = server.channel().await;
    let watching = HealthCheckRequest::default();
    let mut health = HealthClient::new(channel.clone()).watch(watching).await.unwrap().into_inner();
    assert_eq!(health.next().await.unwrap().unwrap().status, 1);
    let mut client = server.connect().await;
    let in_flight = tokio::spawn(async move {
        client.send(direct("a", "b", "{\"do\":\"wait\"}")).await.unwrap().into_inner().sequence
    });
    let (gate, addr, memory) = (server.gate, server.running.grpc_addr, server.memory);
    gate.arrived.acquire().await.unwrap().forget();
    let stopped = tokio::spawn(server.running.stop());
    assert_eq!(health.next().await.unwrap().unwrap().status, 2);
    assert!(health.next().await.is_none());
    gate.open.add_permits(1);
    assert_eq!(in_flight.await.unwrap(), 1);
    stopped.await.unwrap().unwrap();
    assert!(TcpStream::connect(addr).await.is_err());
    let inbox = TimelineId::Inbox(MemberId::new("member", "b").unwrap());
    assert!(memory.bounds(vec![inbox]).await.is_err(), "the store is closed");
}

#[tokio::test]
async fn a_request_that_never_ends_is_dropped_after_the_patience_of_a_stop() {
    let server = server(|config| config.server.shutdown_timeout = Duration::from_millis(50));
    let mut client = server.connect().await;
    let hanging = tokio::spawn(async move {
        client.get_sync_message(sync("b", 0, 0)).await.unwrap();
        client.send(direct("a", "b", "{\"do\":\"hang\"}")).await.unwrap_err();
    });
    let idle = TcpStream::connect(server.running.http_addr).await.unwrap();
    server.running.stop().await.unwrap();
    hanging.abort();
    drop(idle);
}
