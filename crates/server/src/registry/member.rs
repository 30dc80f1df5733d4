//! One member of etcd, connected: the few calls a registration needs. When to call what, and what
//! to do about a failure, is the registrar's affair.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use seqline_api::etcd::v3 as api;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};

use crate::config::Etcd;

/// The longest it may take to connect, and the longest one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// Why a step of the registration failed. All of them are tried again.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no connection.
    #[error("{endpoint} cannot be reached: {reason}")]
    Unreachable { endpoint: String, reason: String },
    /// No answer in time.
    #[error("{endpoint} does not answer")]
    Silent { endpoint: String },
    /// etcd answered with an error.
    #[error("{endpoint} refuses {call}: {reason}")]
    Refused { endpoint: String, call: &'static str, reason: String },
    /// A certificate or key that the settings name cannot be read.
    #[error("{} cannot be read: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    /// The server listens on all addresses, and the machine has none for others.
    #[error(
        "this machine has no address that others could reach: set registry.etcd.register_end_point"
    )]
    NoAddress,
}

impl Failure {
    /// The same for anybody: no address, no name, no path.
    pub fn kind(&self) -> &'static str {
        match self {
            Failure::Unreachable { .. } => "etcd cannot be reached",
            Failure::Silent { .. } => "etcd does not answer",
            Failure::Refused { .. } => "etcd refuses it",
            Failure::File { .. } => "a certificate or key cannot be read",
            Failure::NoAddress => "this machine has no address for others",
        }
    }
}

/// What is stored under a key.
pub struct Found {
    /// The value.
    pub value: Vec<u8>,
    /// The lease it goes with; 0 for none.
    pub lease: i64,
}

/// A connection to one member; cheap to clone.
#[derive(Clone)]
pub struct Member {
    endpoint: String,
    channel: Channel,
    /// Who we are, if etcd asks. It lapses; then a call is refused, and connecting anew helps.
    token: Option<MetadataValue<Ascii>>,
}

impl Member {
    /// Connects to `endpoint`, and says who we are if the settings do.
    pub async fn connect(endpoint: &str, settings: &Etcd) -> Result<Member, Failure> {
        let failed = |error: tonic::transport::Error| Failure::Unreachable {
            endpoint: endpoint.to_owned(),
            reason: innermost(&error),
        };
        let uri = match endpoint.contains("://") {
            true => endpoint.to_owned(),
            false => format!("http://{endpoint}"),
        };
        let mut to = Endpoint::from_shared(uri).map_err(failed)?;
        if endpoint.starts_with("https://") {
            to = to.tls_config(tls(settings).await?).map_err(failed)?;
        }
        let to = to.connect_timeout(CALL_TIMEOUT).timeout(CALL_TIMEOUT);
        let channel = to.connect().await.map_err(failed)?;
        let mut member = Member { endpoint: endpoint.to_owned(), channel, token: None };
        if !settings.username.is_empty() {
            member.token = member.authenticate(settings).await?;
        }
        Ok(member)
    }

    async fn authenticate(&self, settings: &Etcd) -> Result<Option<MetadataValue<Ascii>>, Failure> {
        let (name, password) = (settings.username.clone(), settings.password.0.clone());
        let request = api::AuthenticateRequest { name, password };
        let mut auth = api::auth_client::AuthClient::new(self.channel.clone());
        match auth.authenticate(request).await {
            Ok(reply) => {
                let token = reply.into_inner().token.parse();
                token.map(Some).map_err(|_| self.unusable("authenticate", "a token of no use"))
            }
            // It asks nobody who they are, so this is no reason to stay away.
            Err(status) if status.code() == Code::FailedPrecondition => Ok(None),
            Err(status) => Err(self.refused("authenticate", &status)),
        }
    }

    /// A new lease of `ttl`.
    pub async fn grant(&self, ttl: Duration) -> Result<i64, Failure> {
        let ttl = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
        let request = self.request(api::LeaseGrantRequest { ttl, id: 0 });
        let reply = self.leases().lease_grant(request).await;
        let reply = reply.map_err(|status| self.refused("a lease", &status))?.into_inner();
        match reply.error.as_str() {
            "" => Ok(reply.id),
            error => Err(self.unusable("a lease", error)),
        }
    }

    /// Renews a lease. Whether it still was there.
    pub async fn keep_alive(&self, id: i64) -> Result<bool, Failure> {
        let refused = |status: Status| self.refused("to renew the lease", &status);
        let once = tokio_stream::once(api::LeaseKeepAliveRequest { id });
        let reply = self.leases().lease_keep_alive(self.request(once)).await;
        match reply.map_err(refused)?.into_inner().message().await.map_err(refused)? {
            Some(reply) => Ok(reply.ttl > 0),
            None => Err(self.unusable("to renew the lease", "no answer at all")),
        }
    }

    /// Ends a lease, and with it deletes what is attached to it.
    pub async fn revoke(&self, id: i64) -> Result<(), Failure> {
        let reply = self.leases().lease_revoke(self.request(api::LeaseRevokeRequest { id })).await;
        match reply {
            Ok(_) => Ok(()),
            // It had lapsed.
            Err(status) if status.code() == Code::NotFound => Ok(()),
            Err(status) => Err(self.refused("to end the lease", &status)),
        }
    }

    /// What is stored under `key`.
    pub async fn read(&self, key: &str) -> Result<Option<Found>, Failure> {
        let request = self.request(api::RangeRequest { key: key.into() });
        let reply = self.keys().range(request).await;
        let reply = reply.map_err(|status| self.refused("to read the record", &status))?;
        let first = reply.into_inner().kvs.into_iter().next();
        Ok(first.map(|found| Found { value: found.value, lease: found.lease }))
    }

    /// Stores `value` under `key`, for as long as the lease lasts.
    pub async fn put(&self, key: &str, value: &str, lease: i64) -> Result<(), Failure> {
        let put = api::PutRequest { key: key.into(), value: value.into(), lease };
        let reply = self.keys().put(self.request(put)).await;
        reply.map(drop).map_err(|status| self.refused("to store the record", &status))
    }

    fn leases(&self) -> api::lease_client::LeaseClient<Channel> {
        api::lease_client::LeaseClient::new(self.channel.clone())
    }

    fn keys(&self) -> api::kv_client::KvClient<Channel> {
        api::kv_client::KvClient::new(self.channel.clone())
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("token", token.clone());
        }
        request
    }

    fn refused(&self, call: &'static str, status: &Status) -> Failure {
        let endpoint = self.endpoint.clone();
        match (status.code(), status.source()) {
            (Code::Cancelled | Code::DeadlineExceeded, _) => Failure::Silent { endpoint },
            // A status that has a cause was made here, of the connection's failure.
            (_, Some(source)) => Failure::Unreachable { endpoint, reason: innermost(source) },
            (_, None) => Failure::Refused { endpoint, call, reason: status.message().to_owned() },
        }
    }

    fn unusable(&self, call: &'static str, reason: &str) -> Failure {
        let (endpoint, reason) = (self.endpoint.clone(), reason.to_owned());
        Failure::Refused { endpoint, call, reason }
    }
}

/// The cause that says most; those around it only say that there is one.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// Read at each connect, so that renewed certificates are taken without a restart.
async fn tls(settings: &Etcd) -> Result<ClientTlsConfig, Failure> {
    let mut tls = ClientTlsConfig::new();
    tls = match read_pem(&settings.ca_file).await? {
        Some(authority) => tls.ca_certificate(Certificate::from_pem(authority)),
        None => tls.with_native_roots(),
    };
    let (cert, key) = (read_pem(&settings.cert_file).await?, read_pem(&settings.key_file).await?);
    if let (Some(cert), Some(key)) = (cert, key) {
        tls = tls.identity(Identity::from_pem(cert, key));
    }
    Ok(tls)
}

async fn read_pem(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let failed = |reason: String| Failure::File { path: path.to_path_buf(), reason };
    let own = path.to_path_buf();
    let read = tokio::task::spawn_blocking(move || std::fs::read(own)).await;
    let read = read.map_err(|error| failed(error.to_string()))?;
    read.map(Some).map_err(|error| failed(error.to_string()))
}
