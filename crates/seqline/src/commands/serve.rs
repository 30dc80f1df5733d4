//! `serve`: settings, log, server, and the wait for a signal. `check-config` loads the same way.

use std::io::Write as _;
use std::path::PathBuf;
use std::process;

use clap::Args;
use seqline_server::config::{Config, Sources};
use seqline_server::serve::{self, Running};
use seqline_server::telemetry;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::{Ended, Failed};

const AFTER: &str = "\
Settings come from the file, then from variables like SEQLINE__SERVER__HTTP__ADDR, then from these
flags; the later one wins. `seqline gen-config` prints all of them.

When it takes requests it prints one line on standard output, with the real ports:
  ready http=127.0.0.1:8000 grpc=127.0.0.1:9000
Everything else goes to the log on standard error.

SIGTERM or SIGINT (ctrl-c) stops it: nothing new is taken, what is in flight is finished and made
durable, and it exits with 0. A second signal ends it at once; what was acknowledged is safe.

Examples:
  seqline serve
  seqline serve --data /var/lib/seqline --http 0.0.0.0:8000 --grpc 0.0.0.0:9000
  seqline serve --config settings.yaml

Next: open http://127.0.0.1:8000/ in a browser, or
  seqline send --from a --to b '{\"text\": \"hello\"}'

Exit codes: 0 stopped as asked, 1 not everything could be made durable, 2 wrong usage or settings,
3 the directory or an address cannot be used, 130 and 143 ended by a second signal.";

/// Serve the timelines of a data directory over HTTP and gRPC. This is what `seqline` alone does
#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub struct Serve {
    #[command(flatten)]
    settings: Settings,
}

/// Where settings come from, for every command that needs them.
#[derive(Debug, Args)]
pub struct Settings {
    /// Settings file, or a directory of them; none is needed
    #[arg(long, visible_alias = "conf", value_name = "PATH")]
    config: Option<PathBuf>,
    /// Data directory [default: ./seqline-data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Address for HTTP; port 0 picks a free one [default: 127.0.0.1:8000]
    #[arg(long, value_name = "HOST:PORT")]
    http: Option<String>,
    /// Address for gRPC; port 0 picks a free one [default: 127.0.0.1:9000]
    #[arg(long, value_name = "HOST:PORT")]
    grpc: Option<String>,
}

impl Settings {
    /// The settings in use, from all sources.
    pub fn load(self) -> Result<Config, Failed> {
        let flags = [
            ("data.dir", "--data", self.data),
            ("server.http.addr", "--http", self.http),
            ("server.grpc.addr", "--grpc", self.grpc),
        ];
        let given = |(key, flag, value): (_, _, Option<String>)| Some((key, flag, value?));
        let sources = Sources {
            path: self.config,
            variables: std::env::vars_os().collect(),
            flags: flags.into_iter().filter_map(given).collect(),
        };
        Config::load(sources).map_err(|error| {
            let next = "`seqline gen-config` prints every setting with its default";
            Failed::usage(format!("{error}\n{next}"))
        })
    }
}

impl Serve {
    pub fn run(self) -> Ended {
        let config = self.settings.load()?;
        telemetry::start(&config.log);
        let shown: Vec<String> =
            config.effective().into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        tracing::info!(settings = %shown.join(" "), "starting");
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        let threads = |error| Failed::unreachable(format!("cannot wait for signals: {error}"));
        // A thread of its own, so that a second signal ends a server that is busy stopping.
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(threads)?;
        let asked_to_stop = signals(&runtime).map_err(threads)?;
        let running = serve::start(config).map_err(Failed::unreachable)?;
        announce(&running);
        runtime.block_on(async {
            // The sender lives as long as the runtime does.
            let _ = asked_to_stop.await;
            running.stop().await.map_err(|error| {
                let next = "what was acknowledged is safe; see the log, then start it again";
                Failed::outcome(format!("the store did not close as it should: {error}; {next}"))
            })
        })?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Completes at the first signal; the second one ends the process.
fn signals(runtime: &Runtime) -> std::io::Result<oneshot::Receiver<()>> {
    let _inside = runtime.enter();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (asked, stop) = oneshot::channel();
    runtime.spawn(async move {
        let mut asked = Some(asked);
        loop {
            let (name, code) = tokio::select! {
                _ = terminate.recv() => ("SIGTERM", 143),
                _ = interrupt.recv() => ("SIGINT", 130),
            };
            let Some(asked) = asked.take() else { process::exit(code) };
            tracing::info!(signal = name, "stopping; a second signal ends the process at once");
            let _ = asked.send(());
        }
    });
    Ok(stop)
}

fn announce(running: &Running) {
    let line = format!("ready http={} grpc={}\n", running.http_addr, running.grpc_addr);
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(line.as_bytes()).and_then(|()| out.flush()) {
        tracing::warn!(%error, "nobody reads standard output; the server runs all the same");
    }
    tracing::info!(http = %running.http_addr, grpc = %running.grpc_addr, "ready");
}
