//! The routes as a whole, over the reference store.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use seqline_core::clock::{CountingEntropy, ManualClock};
use seqline_core::service::Timelines;
use seqline_core::testing::memory::MemoryStore;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::router;
use crate::app::App;
use crate::config::Config;

const JSON: (&str, &str) = ("content-type", "application/json");
const SEND: &str = r#"{"from":"a","to":"b","message":"{}"}"#;

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn app(change: impl FnOnce(&mut Config)) -> App {
    let (clock, entropy) = (Arc::new(ManualClock::default()), Arc::new(CountingEntropy::default()));
    let store = MemoryStore::new(clock.clone(), &*entropy, Duration::from_secs(60));
    let mut config = Config::default();
    change(&mut config);
    let timelines = Timelines::new(Arc::new(store), clock, entropy, config.limits.domain());
    App::new(timelines, Arc::new(config), crate::metrics::install())
}

async fn call(
    routes: &Router,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let (head, body) = routes.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Answer { status: head.status, headers: head.headers, body }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones_everywhere() {
    let routes = router(app(|_| {}));
    let paths = [
        ("GET", "/timeline/send", "POST, OPTIONS"),
        ("PUT", "/timeline/sync", "GET, HEAD, OPTIONS"),
        ("DELETE", "/timeline/history/group/g", "GET, HEAD, OPTIONS"),
        ("POST", "/healthz", "GET,HEAD"),
        ("POST", "/page/app.js", "GET,HEAD"),
    ];
    for (method, path, allowed) in paths {
        let answer = call(&routes, method, path, &[], "").await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(answer.header("allow"), allowed, "{path}");
        assert_eq!(answer.json()["code"], 405, "{path}");
    }
    let options = call(&routes, "OPTIONS", "/timeline/sendGroup", &[], "").await;
    assert_eq!(
        (options.status, options.header("allow")),
        (StatusCode::NO_CONTENT, "POST, OPTIONS")
    );
}

#[tokio::test]
async fn head_is_answered_like_get() {
    let routes = router(app(|_| {}));
    for path in ["/timeline/sync?member=a", "/timeline/history/group/g", "/healthz", "/metrics"] {
        assert_eq!(call(&routes, "HEAD", path, &[], "").await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn another_spelling_of_a_path_redirects_with_its_query() {
    let routes = router(app(|_| {}));
    let answer = call(&routes, "GET", "/timeline//sync/?member=a%20b", &[], "").await;
    assert_eq!(answer.status, StatusCode::MOVED_PERMANENTLY);
    assert_eq!(answer.header("location"), "/timeline/sync?member=a%20b");
}

#[tokio::test]
async fn the_page_is_for_whoever_takes_html() {
    let routes = router(app(|_| {}));
    for accept in ["text/html,application/xhtml+xml;q=0.9", "image/png, TEXT/*;q=0.1", "*/*"] {
        let answer = call(&routes, "GET", "/", &[("accept", accept)], "").await;
        assert_eq!(answer.status, StatusCode::OK, "{accept}");
        assert_eq!(answer.header("vary"), "Accept");
    }
    for headers in [&[][..], &[("accept", "application/proto")]] {
        let answer = call(&routes, "GET", "/", headers, "").await;
        assert_eq!((answer.status, &answer.json()["code"]), (StatusCode::NOT_FOUND, &json!(404)));
    }
}

#[tokio::test]
async fn every_answer_to_an_allowed_origin_says_so_errors_included() {
    let routes = router(app(|c| c.cors.allowed_origins = vec!["https://chat.example".into()]));
    let calls = [
        ("POST", "/timeline/send", SEND, 200),
        ("POST", "/timeline/send", "{", 400),
        ("GET", "/timeline/sync?count=x", "", 400),
        ("GET", "/nope", "", 404),
        ("PUT", "/timeline/send", "", 405),
        ("GET", "/healthz", "", 200),
        ("GET", "/page/app.js", "", 200),
    ];
    for (method, path, body, status) in calls {
        for (origin, allowed) in [("https://chat.example", "https://chat.example"), ("x://y", "")] {
            let answer = call(&routes, method, path, &[JSON, ("origin", origin)], body).await;
            assert_eq!(answer.status, status, "{method} {path}");
            assert_eq!(answer.header("access-control-allow-origin"), allowed, "{method} {path}");
            assert_eq!(answer.header("vary"), "Origin", "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_preflight_is_answered_on_every_path() {
    let routes = router(app(|c| c.cors.allowed_origins = vec!["https://chat.example".into()]));
    for path in ["/timeline/send", "/timeline/history/group/g", "/", "/healthz"] {
        let headers =
            [("origin", "https://chat.example"), ("access-control-request-method", "POST")];
        let answer = call(&routes, "OPTIONS", path, &headers, "").await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{path}");
        let allowed = answer.header("access-control-allow-headers");
        assert!(allowed.contains("Idempotency-Key") && allowed.contains("Content-Type"), "{path}");
    }
}

#[tokio::test]
async fn a_foreign_page_cannot_send_by_a_form() {
    let routes = router(app(|_| {}));
    let form = ("content-type", "application/x-www-form-urlencoded");
    let body = "from=a&to=b&message={}";
    let foreign = [form, ("host", "chat:8000"), ("origin", "http://evil.example")];
    let answer = call(&routes, "POST", "/timeline/send", &foreign, body).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let own = [form, ("host", "chat:8000"), ("origin", "http://chat:8000")];
    let answer = call(&routes, "POST", "/timeline/send", &own, body).await;
    assert_eq!(answer.json(), json!({"sequence": "1"}));
}

#[tokio::test]
async fn an_idempotency_key_works_on_both_sends_and_a_bad_one_is_refused() {
    let routes = router(app(|_| {}));
    let group = r#"{"groupName":"g","groupMembers":["b"],"message":"{}"}"#;
    let keyed = [JSON, ("idempotency-key", "k")];
    for (path, body) in [("/timeline/send", SEND), ("/timeline/sendGroup", group)] {
        let first = call(&routes, "POST", path, &keyed, body).await;
        let again = call(&routes, "POST", path, &keyed, body).await;
        assert_eq!((first.status, first.body), (again.status, again.body), "{path}");
        let other = body.replace("{}", "{ }");
        let conflict = call(&routes, "POST", path, &keyed, &other).await;
        assert_eq!(conflict.json()["reason"], "IDEMPOTENCY_CONFLICT", "{path}");
        let (key, long) = ("idempotency-key", "k".repeat(257));
        for keys in [&[(key, "")][..], &[(key, "k"), (key, "k")], &[(key, "ü")], &[(key, &long)]] {
            let headers = [&[JSON][..], keys].concat();
            let answer = call(&routes, "POST", path, &headers, body).await;
            assert_eq!(answer.json()["reason"], "TIMELINE_INVALID_PARAM", "{path} {keys:?}");
        }
    }
    let inbox = call(&routes, "GET", "/timeline/sync?member=b", &[], "").await;
    assert_eq!(inbox.json()["latestSeq"], "2");
}

#[tokio::test]
async fn a_request_without_a_place_is_told_to_come_back() {
    let app = app(|c| c.limits.requests_in_flight_max = 1);
    let (routes, place) = (router(app.clone()), app.requests.enter().unwrap());
    for (method, path, body) in
        [("POST", "/timeline/send", SEND), ("GET", "/timeline/sync?member=b", "")]
    {
        let answer = call(&routes, method, path, &[JSON], body).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.json()["reason"], "RATELIMIT");
    }
    drop(place);
    assert_eq!(call(&routes, "POST", "/timeline/send", &[JSON], SEND).await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_answered_at_the_deadline() {
    let app = app(|c| c.server.http.timeout = Duration::from_secs(10));
    let never = futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
    let request = Request::post("/timeline/send").header(JSON.0, JSON.1);
    let request = request.body(Body::from_stream(never)).unwrap();
    let answer = router(app.clone()).oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["message"], "context deadline exceeded");
    assert_eq!(body["reason"], "");
    assert_eq!(app.requests.in_flight(), 0);
}

#[tokio::test]
async fn operators_see_life_readiness_and_numbers() {
    let app = app(|_| {});
    let routes = router(app.clone());
    assert_eq!(call(&routes, "GET", "/readyz", &[], "").await.status, StatusCode::OK);
    call(&routes, "POST", "/timeline/send", &[JSON], SEND).await;
    let metrics = call(&routes, "GET", "/metrics", &[], "").await;
    let text = String::from_utf8(metrics.body).unwrap();
    for name in ["seqline_sends_total{", "seqline_request_seconds_bucket{protocol=\"http\""] {
        assert!(text.contains(name), "{name} in {text}");
    }
    app.begin_stop();
    assert_eq!(call(&routes, "GET", "/healthz", &[], "").await.status, StatusCode::OK);
    let answer = call(&routes, "GET", "/readyz", &[], "").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.body, b"the server is stopping\n");
    let json = ("accept", "application/json");
    let answer = call(&routes, "GET", "/readyz", &[json], "").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let health: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        (&health["ready"], &health["reason"]),
        (&false.into(), &"the server is stopping".into())
    );
    assert_eq!(health["parts"][0]["name"], "embedded");
    assert_eq!(health["parts"][0]["up"], true);
}

#[tokio::test]
async fn only_a_part_that_is_needed_makes_a_server_unready() {
    let (answers, redis) = tokio::sync::watch::channel(true);
    let mut app = app(|_| {});
    app.redis = Some(redis);
    let routes = router(app);
    for (up, line) in [(true, "Redis answers"), (false, "Redis does not answer")] {
        answers.send_replace(up);
        let answer = call(&routes, "GET", "/readyz", &[], "").await;
        assert_eq!(answer.status, StatusCode::OK);
        let text = String::from_utf8(answer.body).unwrap();
        assert!(text.starts_with(&format!("ready\n{line}")), "{text}");
        let answer = call(&routes, "GET", "/readyz", &[("accept", "application/json")], "").await;
        let health: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((&health["ready"], &health["parts"][1]["up"]), (&true.into(), &up.into()));
    }
}
