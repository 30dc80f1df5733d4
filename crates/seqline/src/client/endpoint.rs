//! Where the server is, and the flags that say so.

use std::fmt;
use std::time::Duration;

use clap::Args;

/// The two ways to speak to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC over HTTP/2 without TLS: many requests at a time on one connection.
    Grpc,
    /// JSON over HTTP/1.1 without TLS: one request at a time on one connection.
    Http,
}

impl Protocol {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Grpc => "grpc",
            Protocol::Http => "http",
        }
    }
}

/// A server's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// How to speak to it.
    pub protocol: Protocol,
    /// `host:port`, as given.
    pub authority: String,
    /// What stands before every path, without a slash at its end; empty with gRPC.
    pub base_path: String,
    /// How long to wait for a connection, and for each answer.
    pub timeout: Duration,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            Protocol::Grpc => write!(f, "{} (gRPC)", self.authority),
            Protocol::Http => write!(f, "http://{}{}", self.authority, self.base_path),
        }
    }
}

/// Flags every command of the client side has.
#[derive(Args, Clone, Debug)]
pub struct Target {
    /// The server's gRPC address.
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:9000",
        value_parser = parse_grpc
    )]
    grpc: Endpoint,
    /// Speak HTTP instead of gRPC, to this server, for example http://127.0.0.1:8000.
    #[arg(long, value_name = "URL", conflicts_with = "grpc", value_parser = parse_http)]
    http: Option<Endpoint>,
    /// How long to wait for a connection and for each answer, for example 500ms or 1m.
    #[arg(long, value_name = "TIME", default_value = "30s",
          value_parser = humantime::parse_duration)]
    timeout: Duration,
}

impl Target {
    /// The server that was asked for.
    pub fn endpoint(&self) -> Endpoint {
        let endpoint = self.http.as_ref().unwrap_or(&self.grpc);
        Endpoint { timeout: self.timeout, ..endpoint.clone() }
    }
}

fn parse_grpc(text: &str) -> Result<Endpoint, String> {
    let authority = text.strip_prefix("grpc://").unwrap_or(text);
    endpoint(Protocol::Grpc, check_authority(authority)?, "")
}

/// Reads an address of the form `http://HOST:PORT`; a path may follow.
pub fn parse_http(text: &str) -> Result<Endpoint, String> {
    if text.starts_with("https://") {
        return Err("TLS is not spoken here; give an http:// address".to_owned());
    }
    let rest = text.strip_prefix("http://").unwrap_or(text);
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    if path.contains(['?', '#', ' ']) {
        return Err("a URL of the form http://HOST:PORT is needed".to_owned());
    }
    let authority =
        if has_port(authority) { authority.to_owned() } else { format!("{authority}:80") };
    endpoint(Protocol::Http, check_authority(&authority)?, path.trim_end_matches('/'))
}

fn endpoint(protocol: Protocol, authority: &str, base_path: &str) -> Result<Endpoint, String> {
    Ok(Endpoint {
        protocol,
        authority: authority.to_owned(),
        base_path: base_path.to_owned(),
        timeout: Duration::ZERO,
    })
}

fn has_port(authority: &str) -> bool {
    // The colons of an IPv6 address stand inside of brackets.
    authority.rfind(':') > authority.rfind(']')
}

fn check_authority(text: &str) -> Result<&str, String> {
    let complaint = || format!("{text:?} is not HOST:PORT, for example 127.0.0.1:9000");
    let (host, port) = text.rsplit_once(':').ok_or_else(complaint)?;
    if !has_port(text) || host.is_empty() || port.parse::<u16>().is_err() {
        return Err(complaint());
    }
    text.parse::<::http::uri::Authority>().map_err(|_| complaint())?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_http_address_may_leave_out_scheme_and_port_and_have_a_path() {
        let parsed = |text| parse_http(text).map(|e| (e.authority, e.base_path));
        let ok = |a: &str, p: &str| Ok((a.to_owned(), p.to_owned()));
        assert_eq!(parsed("http://h:1"), ok("h:1", ""));
        assert_eq!(parsed("http://h:1/"), ok("h:1", ""));
        assert_eq!(parsed("h:1/chat/"), ok("h:1", "/chat"));
        assert_eq!(parsed("http://h"), ok("h:80", ""));
        assert_eq!(parsed("http://[::1]"), ok("[::1]:80", ""));
        assert!(parse_http("https://h").is_err());
        assert!(parse_http("http://").is_err());
    }

    #[test]
    fn a_grpc_address_needs_host_and_port() {
        assert!(parse_grpc("grpc://localhost:9000").is_ok());
        assert!(parse_grpc("[::1]:9000").is_ok());
        for text in ["", "localhost", ":9000", "h:", "h:99999", "a b:1", "[::1]"] {
            assert!(parse_grpc(text).is_err(), "{text}");
        }
    }
}
