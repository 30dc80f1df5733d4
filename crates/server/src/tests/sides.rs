//! What stands beside the timeline service: health, reflection, metadata, and what is unknown.

use seqline_api::kratos::api::metadata_client::MetadataClient;
use seqline_api::kratos::api::{GetServiceDescRequest, ListServicesRequest};
use tokio_stream::{StreamExt as _, once};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};

use super::server;

const SERVICES: [&str; 5] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "kratos.api.Metadata",
    "timeline.v1.Timeline",
];

#[tokio::test]
async fn health_knows_the_server_and_nothing_else() {
    let server = server(|_| {});
    let mut client = HealthClient::new(server.channel().await);
    let named = |name: &str| HealthCheckRequest { service: name.to_owned() };
    assert_eq!(client.check(named("")).await.unwrap().into_inner().status, 1);
    let status = client.check(named("timeline.v1.Timeline")).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "unknown service"));
    let mut unknown = client.watch(named("x")).await.unwrap().into_inner();
    assert_eq!(unknown.next().await.unwrap().unwrap().status, 3);
}

#[tokio::test]
async fn metadata_lists_and_describes_every_service() {
    let server = server(|_| {});
    let mut client = MetadataClient::new(server.channel().await);
    let list = client.list_services(ListServicesRequest {}).await.unwrap().into_inner();
    assert_eq!(list.services, SERVICES);
    assert!(list.methods.is_sorted() && list.methods.len() == 11, "{:?}", list.methods);
    assert!(list.methods.contains(&"/timeline.v1.Timeline/SendGroup".to_owned()));
    let named = |name: &str| GetServiceDescRequest { name: name.to_owned() };
    let reply = client.get_service_desc(named("kratos.api.Metadata")).await.unwrap();
    let files = reply.into_inner().file_desc_set.unwrap().file;
    let names: Vec<_> = files.iter().map(prost_types::FileDescriptorProto::name).collect();
    assert_eq!(names, ["google/protobuf/descriptor.proto", "kratos/api/metadata.proto"]);
    let status = client.get_service_desc(named("nope")).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "service nope not found"));
}

#[tokio::test]
async fn reflection_answers_in_both_versions() {
    let server = server(|_| {});
    let channel = server.channel().await;
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            "*".to_owned(),
        )),
    };
    let mut answers = client.server_reflection_info(once(request)).await.unwrap().into_inner();
    let answer = answers.next().await.unwrap().unwrap().message_response.unwrap();
    let v1::server_reflection_response::MessageResponse::ListServicesResponse(list) = answer else {
        panic!("{answer:?}");
    };
    let mut names: Vec<_> = list.service.iter().map(|service| &*service.name).collect();
    names.sort_unstable();
    assert_eq!(names, SERVICES);

    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let symbol = "timeline.v1.Timeline".to_owned();
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(symbol),
        ),
    };
    let mut answers = client.server_reflection_info(once(request)).await.unwrap().into_inner();
    let answer = answers.next().await.unwrap().unwrap().message_response.unwrap();
    use v1alpha::server_reflection_response::MessageResponse::FileDescriptorResponse;
    assert!(matches!(answer, FileDescriptorResponse(_)), "{answer:?}");
}

#[tokio::test]
async fn what_is_unknown_is_unimplemented_and_what_is_no_grpc_has_an_http_status() {
    use http_body_util::Full;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let server = server(|_| {});
    let stream = tokio::net::TcpStream::connect(server.running.grpc_addr).await.unwrap();
    let io = TokioIo::new(stream);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let grpc = "application/grpc";
    for (method, path, kind, http, code) in [
        ("POST", "/timeline.v1.Timeline/send", grpc, 200, Some("12")),
        ("POST", "/timeline.v2.Timeline/Send", grpc, 200, Some("12")),
        ("POST", "/", "application/grpc+proto", 200, Some("12")),
        ("POST", "/timeline.v1.Timeline/Send", "application/grpc+json", 200, Some("12")),
        ("POST", "/timeline.v1.Timeline/Send", grpc, 200, Some("13")),
        ("POST", "/timeline.v1.Timeline/Send", "application/json", 415, None),
        ("GET", "/timeline.v1.Timeline/Send", grpc, 405, None),
    ] {
        let uri = format!("http://{}{path}", server.running.grpc_addr);
        let request = http::Request::builder().method(method).uri(uri).header("content-type", kind);
        let request = request.body(Full::<bytes::Bytes>::default()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        let found = response.headers().get("grpc-status").map(|value| value.to_str().unwrap());
        assert_eq!((response.status().as_u16(), found), (http, code), "{method} {path} {kind}");
    }
}
