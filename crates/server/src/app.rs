//! What handlers of every protocol get: the calls of the API, checked, counted and answered.

use std::sync::Arc;

use metrics::gauge;
use metrics_exporter_prometheus::PrometheusHandle;
use seqline_core::id::IdempotencyKey;
use seqline_core::page::Page;
use seqline_core::service::Timelines;
use seqline_core::store::Receipt;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::convert::{
    GroupHistoryRequest, SendGroupRequest, SendRequest, SingleHistoryRequest, Status, SyncRequest,
};
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

    /// Why this instance should get no traffic now; `None` while it should.
    pub fn not_ready(&self) -> Option<String> {
        if self.stopping.is_cancelled() {
            return Some("the server is stopping".to_owned());
        }
        self.timelines.status().refuses_sends
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
