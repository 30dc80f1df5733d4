//! What handlers of every protocol get: the calls of the API, checked, counted and answered.

use std::sync::Arc;

use metrics::gauge;
use metrics_exporter_prometheus::PrometheusHandle;
use seqline_core::id::IdempotencyKey;
use seqline_core::page::Page;
use seqline_core::service::Timelines;
use seqline_core::store::Receipt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, StoreKind};
use crate::convert::{
    GroupHistoryRequest, SendGroupRequest, SendRequest, SingleHistoryRequest, Status, SyncRequest,
};
use crate::health::{Health, Part};
use crate::http::body::Bodies;
use crate::metrics::{Counters, QUEUE_BYTES, QUEUE_SENDS, STORE_BYTES, Sends};
use crate::registry::Standing;
use crate::requests::Requests;
use crate::wakes::gathered;

/// One running service, cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The domain's service.
    pub timelines: Timelines,
    /// The settings.
    pub config: Arc<Config>,
    /// What `/metrics` shows; see [`App::render_metrics`].
    pub metrics: PrometheusHandle,
    /// The places for requests in flight: every handler takes one first.
    pub requests: Requests,
    /// Memory for bodies of HTTP requests, one for all threads.
    pub bodies: Bodies,
    /// How the registration stands; `None` if the settings want none.
    pub registry: Option<Standing>,
    /// Whether Redis answers; `None` if there is none beside the store.
    pub redis: Option<watch::Receiver<bool>>,
    counters: Counters,
    /// Cancelled once the server has begun to stop.
    pub stopping: CancellationToken,
}

impl App {
    /// A service over `timelines`.
    pub fn new(timelines: Timelines, config: Arc<Config>, metrics: PrometheusHandle) -> App {
        let requests = Requests::new(config.limits.requests_in_flight_max);
        let bodies = Bodies::new(config.limits.request_bytes_max);
        let registry = config.registry.etcd.is_on().then(Standing::new);
        App {
            timelines,
            config,
            metrics,
            requests,
            bodies,
            registry,
            redis: None,
            counters: Counters::new(),
            stopping: CancellationToken::new(),
        }
    }

    /// `Send`.
    ///
    /// # Errors
    /// What the caller gets instead of a reply.
    pub async fn send(
        &self,
        request: SendRequest,
        key: Option<IdempotencyKey>,
    ) -> Result<Receipt, Status> {
        let answer = async {
            let (from, to, message) = request.checked()?;
            Ok(gathered(self.timelines.send(from, to, message, key)).await?)
        };
        counted(&self.counters.direct, answer.await)
    }

    /// `SendGroup`.
    ///
    /// # Errors
    /// What the caller gets instead of a reply.
    pub async fn send_group(
        &self,
        request: SendGroupRequest,
        key: Option<IdempotencyKey>,
    ) -> Result<Receipt, Status> {
        let answer = async {
            let (group, members, message) =
                request.checked(self.timelines.limits().group_members_max)?;
            Ok(gathered(self.timelines.send_group(group, members, message, key)).await?)
        };
        counted(&self.counters.group, answer.await)
    }

    /// `GetSyncMessage`.
    ///
    /// # Errors
    /// What the caller gets instead of a reply.
    pub async fn sync(&self, request: SyncRequest) -> Result<Page, Status> {
        let (member, after, count) = request.checked()?;
        let page = self.timelines.sync(member, after, count).await?;
        self.counters.syncs.increment(1);
        Ok(page)
    }

    /// `GetSingleHistoryMessage`.
    ///
    /// # Errors
    /// What the caller gets instead of a reply.
    pub async fn single_history(&self, request: SingleHistoryRequest) -> Result<Page, Status> {
        let (conversation, after, count) = request.checked()?;
        let page = self.timelines.history(conversation, after, count).await?;
        self.counters.histories.increment(1);
        Ok(page)
    }

    /// `GetGroupHistoryMessage`.
    ///
    /// # Errors
    /// What the caller gets instead of a reply.
    pub async fn group_history(&self, request: GroupHistoryRequest) -> Result<Page, Status> {
        let (conversation, after, count) = request.checked()?;
        let page = self.timelines.history(conversation, after, count).await?;
        self.counters.histories.increment(1);
        Ok(page)
    }

    /// How this instance is, and whether it should get traffic.
    pub fn health(&self) -> Health {
        let status = self.timelines.status();
        let fault = status.refuses_sends.or(status.unreachable);
        let stopping = || "the server is stopping".to_owned();
        let reason = self.stopping.is_cancelled().then(stopping).or_else(|| fault.clone());
        let (name, well) = match self.config.data.store_kind() {
            StoreKind::Embedded => ("embedded", "the store takes sends"),
            StoreKind::Mongo => ("mongodb", "MongoDB answers"),
        };
        let up = fault.is_none();
        let text = fault.unwrap_or_else(|| well.to_owned());
        let mut parts = vec![Part { name, up, needed: true, text }];
        if let Some(answers) = &self.redis {
            let up = *answers.borrow();
            let text = if up { "Redis answers" } else { "Redis does not answer; going on without" };
            parts.push(Part { name: "redis", up, needed: false, text: text.to_owned() });
        }
        // Without its registration the server answers all the same.
        if let Some(registry) = &self.registry {
            let (up, text) = (registry.is_registered(), registry.text());
            parts.push(Part { name: "etcd", up, needed: false, text });
        }
        Health { ready: reason.is_none(), reason, parts }
    }

    /// From now on the instance is not ready any more. It still answers what reaches it.
    pub fn begin_stop(&self) {
        self.stopping.cancel();
    }

    /// The metrics as text, with the gauges as they are now.
    pub fn render_metrics(&self) -> String {
        let status = self.timelines.status();
        gauge!(QUEUE_SENDS).set(status.queued_sends as f64);
        gauge!(QUEUE_BYTES).set(status.queued_bytes as f64);
        gauge!(STORE_BYTES).set(status.stored_bytes as f64);
        self.metrics.render()
    }
}

fn counted(sends: &Sends, answer: Result<Receipt, Status>) -> Result<Receipt, Status> {
    match &answer {
        Ok(receipt) => sends.answered(receipt.repeat),
        Err(status) => sends.refused(status.reason),
    }
    answer
}
