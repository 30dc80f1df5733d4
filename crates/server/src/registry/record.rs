//! What is written into etcd: the key and the value that kratos clients read. Nothing else is.

use std::collections::BTreeMap;

use serde::Serialize;

use super::address::{self, Listening};
use crate::config::Etcd;

/// How a server is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `NAMESPACE/NAME/ID`.
    pub key: String,
    /// The instance as JSON.
    pub value: String,
    /// The URLs in it, for the log.
    pub endpoints: Vec<String>,
}

/// kratos' `registry.ServiceInstance`.
#[derive(Serialize)]
struct Instance<'a> {
    id: &'a str,
    name: &'a str,
    version: &'a str,
    metadata: BTreeMap<&'static str, String>,
    endpoints: &'a [String],
}

/// What a server is, as far as its record goes.
#[derive(Clone, Debug)]
pub struct Identity {
    settings: Etcd,
    id: String,
    http: Listening,
    grpc: Listening,
}

impl Identity {
    /// A server that listens on `http` and `grpc`, on the machine that is called `host`.
    pub fn new(settings: Etcd, host: &str, http: Listening, grpc: Listening) -> Identity {
        let id = match settings.register_id.as_str() {
            "" => format!("{host}-{}", grpc.on_this_machine()),
            id => id.to_owned(),
        };
        Identity { settings, id, http, grpc }
    }

    /// The record with the machine's addresses as they are now; `None` while it needs one and
    /// has none that others could reach.
    pub fn record(&self) -> Option<Record> {
        let endpoints = self.endpoints()?;
        let Etcd { namespace, register_server_name: name, register_weight, .. } = &self.settings;
        let weight = (*register_weight > 0).then(|| ("weight", register_weight.to_string()));
        let instance = Instance {
            id: &self.id,
            name,
            version: env!("CARGO_PKG_VERSION"),
            metadata: weight.into_iter().collect(),
            endpoints: &endpoints,
        };
        let value = serde_json::to_string(&instance).expect("texts and lists of them are JSON");
        Some(Record { key: format!("{namespace}/{name}/{}", self.id), value, endpoints })
    }

    /// Whether only this machine can use the record.
    pub fn is_loopback(&self) -> bool {
        self.settings.register_end_point.is_empty() && self.grpc.is_loopback()
    }

    fn endpoints(&self) -> Option<Vec<String>> {
        let set = self.settings.register_end_point.as_str();
        if let Some(address) = set.strip_prefix("grpcs://") {
            // Clients before kratos 2.4 look at the parameter, later ones at the scheme.
            return Some(vec![format!("grpcs://{address}?isSecure=true")]);
        }
        if !set.is_empty() {
            let address = set.strip_prefix("grpc://").unwrap_or(set);
            return Some(vec![format!("grpc://{address}")]);
        }
        let own = address::own();
        let grpc = format!("grpc://{}", self.grpc.for_others(own)?);
        Some(vec![grpc, format!("http://{}", self.http.for_others(own)?)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(settings: Etcd) -> Identity {
        let at = |set: &str| Listening { set: set.to_owned(), real: set.parse().unwrap() };
        Identity::new(settings, "host", at("10.0.0.5:8000"), at("10.0.0.5:9000"))
    }

    #[test]
    fn a_record_is_what_kratos_writes() {
        let record = identity(Etcd::default()).record().unwrap();
        assert_eq!(record.key, "/microservices/go-timeline/host-10.0.0.5:9000");
        let version = env!("CARGO_PKG_VERSION");
        let expected = format!(
            "{{\"id\":\"host-10.0.0.5:9000\",\"name\":\"go-timeline\",\"version\":\"{version}\",\
             \"metadata\":{{}},\"endpoints\":[\"grpc://10.0.0.5:9000\",\"http://10.0.0.5:8000\"]}}"
        );
        assert_eq!(record.value, expected);
    }

    #[test]
    fn the_settings_decide_the_key_the_address_and_the_weight() {
        let settings = |end_point: &str| Etcd {
            register_end_point: end_point.to_owned(),
            register_id: "one".to_owned(),
            register_server_name: "chat".to_owned(),
            register_weight: 30,
            namespace: "/a/b".to_owned(),
            ..Etcd::default()
        };
        let record = identity(settings("lb:443")).record().unwrap();
        assert_eq!(record.key, "/a/b/chat/one");
        assert!(record.value.contains(r#""metadata":{"weight":"30"}"#), "{}", record.value);
        assert!(record.value.contains(r#""endpoints":["grpc://lb:443"]"#), "{}", record.value);
        for (set, told) in
            [("grpc://lb:443", "grpc://lb:443"), ("grpcs://lb:443", "grpcs://lb:443?isSecure=true")]
        {
            assert_eq!(identity(settings(set)).record().unwrap().endpoints, [told]);
        }
    }
}
