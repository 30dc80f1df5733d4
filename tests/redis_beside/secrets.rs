//! What operators see of Redis: figures, and log lines without a password.

use std::io;
use std::sync::{Arc, Mutex};

use seqline_mongo::redis::Settings;

use super::{Instance, eventually, settings};
use crate::support::redis::Redis;

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// On one thread, so that the log and the figures are those of this test.
#[tokio::test]
async fn a_password_opens_redis_and_is_never_shown() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let redis = Redis::start_with(&["--requirepass", "open-sesame"]);

    let good = Settings { password: "open-sesame".into(), ..settings(&redis) };
    let one = Instance::start_with(&good, "chat").await;
    one.put("ann", one.hint(1)).await;

    let wrong = Settings { password: "hunter2".into(), ..settings(&redis) };
    let other = Instance::begin(&wrong, "chat");
    let _listening = other.beside.listen(|_| panic!("it cannot hear anything"));
    let refused = async || log.text().matches("does not answer").count() > 0;
    eventually(refused).await;
    eventually(async || log.text().contains("tells nothing")).await;
    assert_eq!(other.tail("ann").await, None);
    assert!(!*other.beside.answers().borrow());

    let shown = format!("{}{:?}{:?}{:?}", log.text(), one.beside, good, wrong);
    for secret in ["open-sesame", "hunter2"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn figures_tell_hits_misses_and_whether_redis_answers() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let figures = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let figure = |name: &str| {
        let text = figures.render();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse::<f64>().unwrap())
    };
    let mut redis = Redis::start();
    let one = Instance::start(&redis).await;
    one.put("ann", one.hint(1)).await;
    let hits = figure("seqline_redis_hints_total{result=\"hit\"}");
    let misses = figure("seqline_redis_hints_total{result=\"miss\"}");
    one.tails(super::EPOCH, &["ann", "bob", "cid"]).await;
    assert_eq!(figure("seqline_redis_hints_total{result=\"hit\"}"), hits + 1.0);
    assert_eq!(figure("seqline_redis_hints_total{result=\"miss\"}"), misses + 2.0);
    assert_eq!(figure("seqline_redis_up"), 1.0);

    redis.kill();
    one.tail("ann").await;
    one.answers(false).await;
    one.tail("ann").await;
    assert_eq!(figure("seqline_redis_up"), 0.0);
    assert_eq!(figure("seqline_redis_breaks_total"), 1.0);
    assert!(figure("seqline_redis_hints_total{result=\"skipped\"}") >= 2.0);
}
