//! The settings under `registry`: where this server is registered, and as what.

use std::path::PathBuf;

use super::amount::count;
use super::endpoint::{etcd_endpoints, grpc_address};
use super::secret::{Secret, password};
use super::setting::{Nested, settings};
use super::words::{path_or_none, text};

settings! {
    /// `registry`: where other services find this one.
    Registry {
        /// etcd, in which kratos services find each other.
        etcd: Etcd = Etcd::default(), Nested;
    }
}

settings! {
    /// `registry.etcd`: registration in etcd, as kratos has it. It works with either store and
    /// never stops the service: what fails is tried again for ever.
    Etcd {
        /// Where etcd is; any of its members will do. An empty list is no registration.
        endpoints: Vec<String> = Vec::new(), etcd_endpoints();
        /// The name to register under: clients ask for `discovery:///go-timeline`.
        register_server_name: String = "go-timeline".to_owned(), text();
        /// The address to register for gRPC, instead of the addresses that are listened on; HTTP
        /// is then not registered. `grpcs://` says that something in front of it speaks TLS.
        register_end_point: String = String::new(), grpc_address();
        /// What tells this server from others of the same name. Empty is host name, gRPC address
        /// and port. No two servers may have the same.
        register_id: String = String::new(), text();
        /// How much traffic clients send here, beside the others' weights; 0 says nothing, which
        /// kratos takes as 100.
        register_weight: u32 = 0, count(0..=1_000_000);
        /// What the keys begin with; clients must have the same.
        namespace: String = "/microservices".to_owned(), text();
        /// The user, if etcd asks for one.
        username: String = String::new(), text();
        /// The user's password. It is never logged.
        password: Secret = Secret::default(), password();
        /// A PEM file with the authority that signed etcd's certificates, for `https` endpoints.
        /// If it is empty, the system's authorities count.
        ca_file: PathBuf = PathBuf::new(), path_or_none();
        /// A PEM file with this server's own certificate, if etcd asks for one.
        cert_file: PathBuf = PathBuf::new(), path_or_none();
        /// A PEM file with the key of `cert_file`.
        key_file: PathBuf = PathBuf::new(), path_or_none();
    }
}

impl Etcd {
    /// Whether this server is to be registered.
    pub fn is_on(&self) -> bool {
        !self.endpoints.is_empty()
    }

    /// Settings that are right one by one and wrong together.
    pub(super) fn contradictions(&self) -> Vec<String> {
        if !self.is_on() {
            return Vec::new();
        }
        let mut found = Vec::new();
        let mut wrong = |is_so: bool, text: &str| {
            if is_so {
                found.push(format!("registry.etcd.{text}"));
            }
        };
        wrong(
            self.register_server_name.is_empty(),
            "register_server_name is empty: clients find a service by its name",
        );
        let namespace = &self.namespace;
        wrong(
            !namespace.starts_with('/') || namespace.ends_with('/'),
            "namespace must begin with / and not end with it, for example /microservices",
        );
        wrong(
            self.username.is_empty() != self.password.0.is_empty(),
            "username and password belong together: one of them is empty",
        );
        let (cert, key) = (&self.cert_file, &self.key_file);
        wrong(
            cert.as_os_str().is_empty() != key.as_os_str().is_empty(),
            "cert_file and key_file belong together: one of them is empty",
        );
        let tls = self.endpoints.iter().any(|endpoint| endpoint.starts_with("https://"));
        let files = [&self.ca_file, cert].iter().any(|path| !path.as_os_str().is_empty());
        wrong(
            files && !tls,
            "ca_file or cert_file is set, and no endpoint begins with https://: they would not \
             be used",
        );
        found
    }
}
