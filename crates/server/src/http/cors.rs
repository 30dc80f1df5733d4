//! Which pages of other origins may call the service, and what browsers are told about it.
//!
//! Every reply of an allowed origin has the headers, errors included. The built-in page has the
//! service's own origin and needs none of this.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HOST, HeaderMap, HeaderValue, ORIGIN,
    VARY,
};
use http::{Method, StatusCode};
use tonic::Code;

use crate::convert::Status;

const METHODS: &str = "GET, HEAD, POST, OPTIONS";
/// What go-timeline allowed, and the header of our own.
const HEADERS: &str = "Accept, Authorization, Content-Type, Idempotency-Key, X-Requested-With";
/// How long a browser may remember a preflight: two hours, the most that Chromium takes.
const MAX_AGE_SECONDS: &str = "7200";

/// The origins that may read replies.
#[derive(Clone, Debug)]
pub struct Cors {
    any: bool,
    origins: Vec<String>,
}

impl Cors {
    /// Allows these origins, or any if one of them is `*`.
    pub fn new(allowed: &[String]) -> Cors {
        let origins = allowed.iter().map(|o| o.trim_end_matches('/').to_ascii_lowercase());
        Cors { any: allowed.iter().any(|o| o == "*"), origins: origins.collect() }
    }

    /// Whether a request is a browser's question what it may send.
    pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
        method == Method::OPTIONS
            && headers.contains_key(ORIGIN)
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// Puts what browsers need to know onto the reply to a request from `origin`.
    pub fn mark(&self, origin: Option<&HeaderValue>, preflight: bool, reply: &mut HeaderMap) {
        if !self.any && !self.origins.is_empty() {
            reply.append(VARY, HeaderValue::from_static("Origin"));
        }
        let Some(origin) = origin.filter(|origin| self.allows(origin)) else { return };
        // Never with credentials, so `*` cannot expose anything a cookie protects.
        let allowed = if self.any { HeaderValue::from_static("*") } else { origin.clone() };
        reply.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        if preflight {
            let entries = [
                (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
                (ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
                (ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS),
            ];
            for (name, value) in entries {
                reply.insert(name, HeaderValue::from_static(value));
            }
        }
    }

    /// Refuses a send that a page of another origin made without asking first.
    ///
    /// A browser posts form bodies for any page, and asks before every other type the API takes.
    ///
    /// # Errors
    /// If the request says that it comes from a foreign page that is not allowed.
    pub fn check_form(&self, headers: &HeaderMap) -> Result<(), Status> {
        let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
        let own = || {
            let host = headers.get(HOST)?.as_bytes();
            let (_, authority) = origin.to_str().ok()?.split_once("://")?;
            Some(authority.as_bytes().eq_ignore_ascii_case(host))
        };
        if self.allows(origin) || own() == Some(true) {
            return Ok(());
        }
        Err(Status {
            http: StatusCode::FORBIDDEN,
            grpc: Code::PermissionDenied,
            reason: "ORIGIN_NOT_ALLOWED",
            message: "pages of this origin may not post forms; see cors.allowed_origins".to_owned(),
            metadata: Vec::new(),
        })
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        self.any
            || self.origins.iter().any(|o| o.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(allowed: &[&str], origin: &'static str, preflight: bool) -> HeaderMap {
        let allowed: Vec<String> = allowed.iter().map(|o| (*o).to_owned()).collect();
        let mut reply = HeaderMap::new();
        let origin = HeaderValue::from_static(origin);
        Cors::new(&allowed).mark(Some(&origin), preflight, &mut reply);
        reply
    }

    #[test]
    fn an_allowed_origin_is_named_and_others_learn_nothing() {
        let reply = marked(&["https://Chat.example/"], "https://chat.example", false);
        assert_eq!(reply[ACCESS_CONTROL_ALLOW_ORIGIN], "https://chat.example");
        assert_eq!(reply[VARY], "Origin");
        let reply = marked(&["https://chat.example"], "https://chat.example.evil", true);
        assert_eq!((reply.len(), &reply[VARY]), (1, &HeaderValue::from_static("Origin")));
        assert!(marked(&[], "https://chat.example", true).is_empty());
    }

    #[test]
    fn a_star_allows_everybody_and_never_with_credentials() {
        let reply = marked(&["*"], "null", true);
        assert_eq!(reply[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert_eq!(reply[ACCESS_CONTROL_ALLOW_METHODS], METHODS);
        assert!(!reply.contains_key("access-control-allow-credentials"));
        assert!(!reply.contains_key(VARY));
    }

    #[test]
    fn a_form_of_a_foreign_page_is_refused() {
        let check = |allowed: &str, origin: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("chat.local:8000"));
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
            Cors::new(&[allowed.to_owned()]).check_form(&headers).is_ok()
        };
        assert!(check("x", "http://chat.local:8000"));
        assert!(check("http://a.example", "http://a.example"));
        assert!(check("*", "http://a.example"));
        for foreign in ["http://a.example", "null", "http://chat.local", "chat.local:8000"] {
            assert!(!check("x", foreign), "{foreign}");
        }
        assert!(Cors::new(&[]).check_form(&HeaderMap::new()).is_ok());
    }
}
