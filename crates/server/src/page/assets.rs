//! The files of the page, the headers they go out with, and when a browser may keep its copy.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};

/// One file of the page.
struct Asset {
    path: &'static str,
    content_type: &'static str,
    body: &'static [u8],
}

macro_rules! assets {
    ($($path:literal => $file:literal, $content_type:expr;)*) => {
        [$(Asset {
            path: $path,
            content_type: $content_type,
            body: include_bytes!(concat!("static/", $file)),
        }),*]
    };
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Everything the page consists of.
static ASSETS: [Asset; 20] = assets! {
    "/" => "index.html", HTML;
    "/page/style.css" => "style.css", STYLE;
    "/page/favicon.svg" => "favicon.svg", SVG;
    "/page/theme.js" => "theme.js", SCRIPT;
    "/page/app.js" => "app.js", SCRIPT;
    "/page/api.js" => "api.js", SCRIPT;
    "/page/chat.js" => "chat.js", SCRIPT;
    "/page/dev.js" => "dev.js", SCRIPT;
    "/page/dialogs.js" => "dialogs.js", SCRIPT;
    "/page/dom.js" => "dom.js", SCRIPT;
    "/page/history.js" => "history.js", SCRIPT;
    "/page/i18n.js" => "i18n.js", SCRIPT;
    "/page/inbox.js" => "inbox.js", SCRIPT;
    "/page/list.js" => "list.js", SCRIPT;
    "/page/message.js" => "message.js", SCRIPT;
    "/page/outbox.js" => "outbox.js", SCRIPT;
    "/page/rows.js" => "rows.js", SCRIPT;
    "/page/storage.js" => "storage.js", SCRIPT;
    "/page/titles.js" => "titles.js", SCRIPT;
    "/page/welcome.js" => "welcome.js", SCRIPT;
};

/// Nothing but the page's own files and calls; no markup made from strings; no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// `/` and the files under `/page/`, for `GET` and `HEAD`.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    ASSETS.iter().fold(Router::new(), |router, asset| {
        let etag = etag(asset.body);
        let serve = move |headers: HeaderMap| {
            let answer = answer(asset, &etag, &headers);
            async move { answer }
        };
        router.route(asset.path, get(serve))
    })
}

/// The file, or only its headers if the browser's copy is still the same.
fn answer(asset: &'static Asset, etag: &str, headers: &HeaderMap) -> Response<Body> {
    let fresh = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| known.trim().trim_start_matches("W/") == etag);
    let (status, body) = match fresh {
        true => (StatusCode::NOT_MODIFIED, Body::empty()),
        false => (StatusCode::OK, Body::from(Bytes::from_static(asset.body))),
    };
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, asset.content_type)
        .header(header::ETAG, etag)
        // Names carry no version, so a browser asks each time; mostly it hears "not modified".
        .header(header::CACHE_CONTROL, "no-cache")
        .header(header::CONTENT_SECURITY_POLICY, POLICY)
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::REFERRER_POLICY, "no-referrer")
        .header("cross-origin-opener-policy", "same-origin")
        .header("cross-origin-resource-policy", "same-origin")
        .body(body)
        .expect("constant headers and a hexadecimal tag make a response")
}

/// A tag that changes with the content.
fn etag(body: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

#[cfg(test)]
mod tests {
    use http::{Method, Request};
    use tower::ServiceExt as _;

    use super::*;

    async fn call(method: Method, path: &str, known: Option<&str>) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(known) = known {
            request = request.header(header::IF_NONE_MATCH, known);
        }
        let request = request.body(Body::empty()).unwrap();
        router::<()>().oneshot(request).await.unwrap()
    }

    async fn body(response: Response<Body>) -> Vec<u8> {
        axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn every_file_goes_out_with_its_type_and_the_strict_policy() {
        for asset in &ASSETS {
            let response = call(Method::GET, asset.path, None).await;
            assert_eq!(response.status(), StatusCode::OK, "{}", asset.path);
            let headers = response.headers().clone();
            assert_eq!(headers[header::CONTENT_TYPE], asset.content_type);
            assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
            let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
            assert!(!policy.contains("unsafe"), "{policy}");
            assert_eq!(body(response).await, asset.body);
        }
    }

    #[tokio::test]
    async fn a_browser_that_has_the_file_gets_no_second_copy() {
        let first = call(Method::GET, "/page/app.js", None).await;
        let tag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}")] {
            let again = call(Method::GET, "/page/app.js", Some(&known)).await;
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert!(body(again).await.is_empty());
        }
        let other = call(Method::GET, "/page/app.js", Some("\"other\"")).await;
        assert_eq!(other.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn only_reading_is_allowed() {
        let head = call(Method::HEAD, "/", None).await;
        assert_eq!(head.status(), StatusCode::OK);
        assert!(body(head).await.is_empty());
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let response = call(method, "/", None).await;
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        }
    }

    #[test]
    fn the_page_stays_small_and_asks_nobody_else() {
        let bytes: usize = ASSETS.iter().map(|asset| asset.body.len()).sum();
        assert!(bytes < 100 * 1024, "{bytes} bytes");
        for asset in &ASSETS {
            let text = std::str::from_utf8(asset.body).unwrap();
            let text = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("http://") && !text.contains("https://"), "{}", asset.path);
            for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write"] {
                assert!(!text.contains(forbidden), "{} uses {forbidden}", asset.path);
            }
        }
    }

    #[test]
    fn every_import_names_a_file_that_is_served() {
        for asset in &ASSETS {
            let text = std::str::from_utf8(asset.body).unwrap();
            let imports = text.lines().filter_map(|line| line.split_once(" from \"./"));
            for (_, rest) in imports {
                let path = format!("/page/{}", rest.split('"').next().unwrap());
                assert!(ASSETS.iter().any(|a| a.path == path), "{} wants {path}", asset.path);
            }
        }
    }

    #[test]
    fn both_languages_have_the_same_words() {
        let text = include_str!("static/i18n.js");
        let words = |name: &str| -> Vec<String> {
            let from = text.split(&format!("const {name} = {{")).nth(1).unwrap();
            let list = from.split("\n};").next().unwrap();
            let keys = list.lines().filter_map(|line| line.trim().split_once(": \""));
            keys.map(|(key, _)| key.to_owned()).collect()
        };
        assert!(words("EN").len() > 50);
        assert_eq!(words("EN"), words("ZH"));
    }
}
