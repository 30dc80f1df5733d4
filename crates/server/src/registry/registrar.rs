//! Keeps a server registered: takes a lease, stores the record, renews both, starts over when
//! either is lost, and takes the record away before the server stops.

use std::net::SocketAddr;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use metrics::{Counter, counter};
use tokio_util::sync::CancellationToken;

use super::address::Listening;
use super::member::{Failure, Member};
use super::record::{Identity, Record};
use super::standing::Standing;
use crate::config::{Config, Etcd};
use crate::metrics::REGISTRY_RETRIES;

/// How long the record outlives a server that was killed.
const LEASE: Duration = Duration::from_secs(15);
/// How often the lease is renewed and the record looked at.
const RENEWAL: Duration = Duration::from_secs(5);
/// The longest one attempt may take: two of them fit into the life of a lease.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);
/// The longest a stop waits for all members of etcd; then the lease lapses by itself.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a server that stops answers on once its record is gone: clients hear of that, read the
/// records again, and only then stay away.
const FAREWELL: Duration = Duration::from_secs(1);
/// Pauses between attempts, before they are lengthened by up to their double at random, so that
/// servers that lost etcd together do not come back together.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Keeps one server registered.
pub struct Registrar {
    settings: Etcd,
    identity: Identity,
    standing: Standing,
    retries: Counter,
    /// Which of the endpoints is used, or comes next.
    turn: usize,
    member: Option<Member>,
    /// The lease we hold, as far as we know.
    lease: Option<i64>,
}

/// What an attempt found.
enum Found {
    /// The record as it should be.
    Ours,
    /// None, or an old one: it was stored anew.
    Stale,
    /// Another server's, under the same id: it was overwritten.
    Another,
}

impl Registrar {
    /// For a server that listens at these addresses; `None` if the settings want none.
    pub fn new(
        config: &Config,
        http: SocketAddr,
        grpc: SocketAddr,
        standing: Option<Standing>,
    ) -> Option<Registrar> {
        let (settings, standing) = (config.registry.etcd.clone(), standing?);
        let at = |set: &str, real| Listening { set: set.to_owned(), real };
        let http = at(&config.server.http.addr, http);
        let grpc = at(&config.server.grpc.addr, grpc);
        let uname = rustix::system::uname();
        let host = uname.nodename().to_string_lossy();
        let identity = Identity::new(settings.clone(), &host, http, grpc);
        let retries = counter!(REGISTRY_RETRIES);
        Some(Registrar {
            settings,
            identity,
            standing,
            retries,
            turn: 0,
            member: None,
            lease: None,
        })
    }

    /// Registers the server and keeps it so until `stop`; then takes the record away.
    pub async fn run(mut self, stop: &CancellationToken) {
        if self.identity.is_loopback() {
            tracing::warn!(
                "only this machine reaches the address that is registered: set server.grpc.addr, \
                 or registry.etcd.register_end_point"
            );
        }
        // An attempt that is dropped half-way leaves at most a lease behind, which lapses.
        tokio::select! {
            () = stop.cancelled() => {}
            never = self.keep() => match never {},
        }
        self.leave().await;
        self.standing.ended();
    }

    async fn keep(&mut self) -> std::convert::Infallible {
        let pauses = ExponentialBuilder::new()
            .with_min_delay(PAUSE_MIN)
            .with_max_delay(PAUSE_MAX)
            .with_jitter()
            .without_max_times();
        let mut next_pause = pauses.build();
        loop {
            let pause = match self.attempt().await {
                Ok(found) => {
                    self.succeeded(&found);
                    next_pause = pauses.build();
                    RENEWAL
                }
                Err(failure) => {
                    self.failed(&failure);
                    next_pause.next().unwrap_or(PAUSE_MAX)
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&mut self) -> Result<(Found, Record), Failure> {
        let endpoint = self.endpoint().to_owned();
        let attempt = tokio::time::timeout(ATTEMPT_TIMEOUT, self.renew()).await;
        attempt.unwrap_or(Err(Failure::Silent { endpoint }))
    }

    /// Makes sure of the lease and of the record.
    async fn renew(&mut self) -> Result<(Found, Record), Failure> {
        let record = self.identity.record().ok_or(Failure::NoAddress)?;
        let member = self.member().await?;
        let had = self.lease;
        if let Some(lease) = had
            && !member.keep_alive(lease).await?
        {
            self.lease = None;
        }
        let lease = match self.lease {
            Some(lease) => lease,
            None => *self.lease.insert(member.grant(LEASE).await?),
        };
        let found = member.read(&record.key).await?;
        let found = match found {
            Some(found) if found.lease == lease && found.value == record.value.as_bytes() => {
                return Ok((Found::Ours, record));
            }
            // Before the first lease it is what a server that was killed left behind.
            Some(found) if had.is_some() && found.lease != lease && Some(found.lease) != had => {
                Found::Another
            }
            _ => Found::Stale,
        };
        member.put(&record.key, &record.value, lease).await?;
        Ok((found, record))
    }

    fn succeeded(&mut self, (found, record): &(Found, Record)) {
        let news = self.standing.registered();
        if matches!(found, Found::Another) {
            tracing::warn!(
                key = record.key,
                "another server has registered under the same id: set registry.etcd.register_id"
            );
        }
        if news || !matches!(found, Found::Ours) {
            let endpoints = record.endpoints.join(" ");
            tracing::info!(key = record.key, %endpoints, etcd = self.endpoint(), "registered");
        }
    }

    fn failed(&mut self, failure: &Failure) {
        if self.standing.failing(failure.kind()) {
            tracing::warn!(reason = %failure, "not registered; trying again until it works");
        } else {
            tracing::debug!(reason = %failure, "still not registered");
        }
        self.retries.increment(1);
        self.move_on();
    }

    /// Takes the record away, so that nobody is sent here any more.
    async fn leave(&mut self) {
        let Some(lease) = self.lease else { return };
        match self.revoke(lease).await {
            Ok(()) => {
                tracing::info!("no longer registered");
                tokio::time::sleep(FAREWELL).await;
            }
            Err(failure) => {
                tracing::warn!(reason = %failure, "the registration stays until its lease lapses");
            }
        }
    }

    /// Ends the lease through any member; each gets its share of the time. That deletes what is
    /// ours and nothing else: not the record of a server that took our place; and a store that
    /// is still on its way finds no lease and fails.
    async fn revoke(&mut self, lease: i64) -> Result<(), Failure> {
        let mut last = Ok(());
        let members = self.settings.endpoints.len();
        let patience = LEAVE_TIMEOUT / u32::try_from(members).unwrap_or(u32::MAX).max(1);
        for _ in 0..members {
            let endpoint = self.endpoint().to_owned();
            let attempt = async { self.member().await?.revoke(lease).await };
            let attempt = tokio::time::timeout(patience, attempt).await;
            last = attempt.unwrap_or(Err(Failure::Silent { endpoint }));
            if last.is_ok() {
                break;
            }
            self.move_on();
        }
        last
    }

    /// The next attempt is made with the next member.
    fn move_on(&mut self) {
        self.member = None;
        self.turn = self.turn.wrapping_add(1);
    }

    fn endpoint(&self) -> &str {
        let endpoints = &self.settings.endpoints;
        endpoints.get(self.turn % endpoints.len().max(1)).map_or("", String::as_str)
    }

    async fn member(&mut self) -> Result<Member, Failure> {
        if let Some(member) = &self.member {
            return Ok(member.clone());
        }
        let member = Member::connect(self.endpoint(), &self.settings).await?;
        Ok(self.member.insert(member).clone())
    }
}
