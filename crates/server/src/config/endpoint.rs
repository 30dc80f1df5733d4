//! Settings that say where something is reached: members of etcd, and the address to register.

use super::kind::{Kind, quote};
use super::setting::{Given, Leaf};
use super::words::{Texts, is_host_and_port};

/// Members of etcd.
pub(super) struct EtcdEndpoints;

/// A list of members of etcd, each `HOST:PORT` with or without `http://` or `https://`.
pub(super) fn etcd_endpoints() -> Leaf<EtcdEndpoints> {
    Leaf(EtcdEndpoints)
}

impl Kind<Vec<String>> for EtcdEndpoints {
    fn read(&self, given: &Given) -> Option<Vec<String>> {
        let endpoint = |text: String| {
            let text = text.strip_suffix('/').unwrap_or(&text);
            let rest = text.strip_prefix("http://").or(text.strip_prefix("https://"));
            is_reachable(rest.unwrap_or(text)).then(|| text.to_owned())
        };
        Texts.read(given)?.into_iter().map(endpoint).collect()
    }

    fn write(&self, value: &Vec<String>) -> String {
        Texts.write(value)
    }

    fn allowed(&self) -> String {
        "a list of HOST:PORT, http://HOST:PORT or https://HOST:PORT; in a variable, separated by \
         commas; user and password have settings of their own"
            .to_owned()
    }

    fn mask(&self, _: &Given) -> String {
        // It may hold a password where none belongs.
        "***".to_owned()
    }
}

/// Where a service is, if it is anywhere.
pub(super) struct ServiceAddress {
    schemes: &'static [&'static str],
}

/// `HOST:PORT` with or without `redis://` or `rediss://`, or nothing.
pub(super) fn redis_address() -> Leaf<ServiceAddress> {
    Leaf(ServiceAddress { schemes: &["redis://", "rediss://"] })
}

/// `HOST:PORT` with or without `grpc://` or `grpcs://`, or nothing.
pub(super) fn grpc_address() -> Leaf<ServiceAddress> {
    Leaf(ServiceAddress { schemes: &["grpc://", "grpcs://"] })
}

impl Kind<String> for ServiceAddress {
    fn read(&self, given: &Given) -> Option<String> {
        let Given::Text(text) = given else { return None };
        let rest = self.schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
        (text.is_empty() || is_reachable(rest.unwrap_or(text))).then(|| text.clone())
    }

    fn write(&self, value: &String) -> String {
        quote(value)
    }

    fn allowed(&self) -> String {
        let forms = [&""].into_iter().chain(self.schemes);
        let forms: Vec<String> = forms.map(|scheme| format!("{scheme}HOST:PORT")).collect();
        format!("{}, or nothing", forms.join(", "))
    }
}

/// Whether somebody else could connect to `text`.
fn is_reachable(text: &str) -> bool {
    is_host_and_port(text) && !text.starts_with(':') && !text.ends_with(":0")
}
