//! A whole server: store, service, runtimes, listeners, and its end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use seqline_core::service::Timelines;
use seqline_core::store::Store;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::config::Config;
use crate::listener::{self, BindError, Connections, Protocol};
use crate::open_store::{self, Opened, StoreError};
use crate::registry::Registrar;
use crate::runtime::{self, Runtimes};
use crate::shutdown::Shutdown;
use crate::system::{SystemClock, SystemEntropy};

/// How often the samples of histograms are put into their buckets.
const METRICS_INTERVAL: Duration = Duration::from_secs(5);

/// A server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on. Choose another one, or free it.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The store cannot be opened. The text says what to do.
    #[error(transparent)]
    Open(#[from] StoreError),
    /// The system gives no thread or no event queue.
    #[error("cannot start the server's threads: {0}")]
    Threads(#[from] io::Error),
}

/// A server that is taking requests. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Running {
    /// Where HTTP is taken, with the real port.
    pub http_addr: SocketAddr,
    /// Where gRPC is taken, with the real port.
    pub grpc_addr: SocketAddr,
    stop: CancellationToken,
    ended: oneshot::Receiver<seqline_core::Result<()>>,
}

/// Opens the store and starts a server over it. It must not be called within a runtime.
///
/// # Errors
/// [`StartError`]; then nothing was started.
pub fn start(config: Config) -> Result<Running, StartError> {
    // Addresses come first: a port that is taken is told before a store is made or recovered.
    let listeners = Listeners::bind(&config)?;
    // What counts from its beginning must find where to count.
    crate::metrics::install();
    let store = open_store::open(&config.data)?;
    run(store, listeners, config)
}

/// Starts a server over `store`, with the system's clock and randomness.
///
/// # Errors
/// [`StartError`]; then nothing was started, and `store` is dropped without being closed.
pub fn start_with(store: Arc<dyn Store>, config: Config) -> Result<Running, StartError> {
    let listeners = Listeners::bind(&config)?;
    run(store.into(), listeners, config)
}

/// Both sides, listening: from here on the kernel keeps connections until they are taken.
struct Listeners {
    http: std::net::TcpListener,
    grpc: std::net::TcpListener,
}

impl Listeners {
    fn bind(config: &Config) -> Result<Listeners, BindError> {
        // Before any file is opened: each connection, and each file of a store, takes one.
        listener::raise_open_files_limit();
        let http = listener::bind(Protocol::Http, &config.server.http.addr)?;
        let grpc = listener::bind(Protocol::Grpc, &config.server.grpc.addr)?;
        Ok(Listeners { http, grpc })
    }
}

fn run(opened: Opened, listeners: Listeners, config: Config) -> Result<Running, StartError> {
    let Listeners { http, grpc } = listeners;
    let (http_addr, grpc_addr) = (http.local_addr()?, grpc.local_addr()?);
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let timelines =
        Timelines::new(Arc::clone(&opened.store), clock, entropy, config.limits.domain());
    let metrics = crate::metrics::install();
    let mut app = App::new(timelines, Arc::new(config), metrics);
    app.redis = opened.redis();
    let registrar = Registrar::new(&app.config, http_addr, grpc_addr, app.registry.clone());

    let shutdown = Shutdown::default();
    let stop = CancellationToken::new();
    let (report, ended) = oneshot::channel();
    let (alive, ends) = mpsc::channel(1);
    let threads = app.config.server.threads;
    let (runtimes, threads) = runtime::start(threads, &app, &shutdown, &alive)?;
    drop(alive);
    let stopped = stop.clone();
    let front = Front {
        app,
        opened,
        http,
        grpc,
        registrar,
        runtimes,
        threads,
        ends,
        shutdown,
        stop: stopped,
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let run = move || front.run(&runtime, report);
    std::thread::Builder::new().name("seqline-accept".to_owned()).spawn(run)?;
    Ok(Running { http_addr, grpc_addr, stop, ended })
}

impl Running {
    /// Stops: takes the registration away, then takes nothing new, finishes the requests in
    /// flight (for at most `server.shutdown_timeout`), makes everything durable.
    ///
    /// # Errors
    /// Whatever kept the store from making everything durable.
    pub async fn stop(mut self) -> seqline_core::Result<()> {
        self.stop.cancel();
        (&mut self.ended).await.unwrap_or_else(|_| {
            let reason = "the server's accept thread ended without closing the store";
            Err(seqline_core::Error::OutcomeUnknown { reason: reason.to_owned() })
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What takes connections, and what it must end with itself.
struct Front {
    app: App,
    opened: Opened,
    http: std::net::TcpListener,
    grpc: std::net::TcpListener,
    registrar: Option<Registrar>,
    runtimes: Runtimes,
    threads: Vec<JoinHandle<()>>,
    /// Closed once every thread has ended its connections.
    ends: mpsc::Receiver<()>,
    shutdown: Shutdown,
    stop: CancellationToken,
}

impl Front {
    fn run(self, runtime: &Runtime, report: oneshot::Sender<seqline_core::Result<()>>) {
        let Front {
            app,
            opened,
            http,
            grpc,
            registrar,
            runtimes,
            threads,
            mut ends,
            shutdown,
            stop,
        } = self;
        let closed = runtime.block_on(async {
            let ending = unwanted(&stop, &app, registrar);
            accept_until(ending, http, grpc, &runtimes, &app).await;
            app.begin_stop();
            shutdown.begin.cancel();
            drop(runtimes);
            let patience = app.config.server.shutdown_timeout;
            if tokio::time::timeout(patience, ends.recv()).await.is_err() {
                tracing::warn!(?patience, "requests in flight are dropped: they took too long");
                shutdown.force.cancel();
                ends.recv().await;
            }
            app.timelines.close().await
        });
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread that served connections had panicked");
            }
        }
        drop(opened);
        // Nobody listens if the server was dropped instead of stopped.
        let _ = report.send(closed);
    }
}

/// Ends once the server is asked to stop and is no longer registered. Meanwhile it answers who was
/// sent here, and says that it is not ready.
async fn unwanted(stop: &CancellationToken, app: &App, registrar: Option<Registrar>) {
    let asked = async {
        stop.cancelled().await;
        app.begin_stop();
    };
    let registered = async {
        if let Some(registrar) = registrar {
            registrar.run(stop).await;
        }
    };
    tokio::join!(asked, registered);
}

async fn accept_until(
    ending: impl Future<Output = ()>,
    http: std::net::TcpListener,
    grpc: std::net::TcpListener,
    runtimes: &Runtimes,
    app: &App,
) {
    let connections = Connections::new(app.config.limits.connections_max);
    let accept = |protocol, listener| {
        let connections = connections.clone();
        async move {
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => listener::accept(protocol, listener, connections, runtimes).await,
                Err(error) => tracing::error!(%error, "a listener cannot be watched"),
            }
        }
    };
    let upkeep = async {
        loop {
            tokio::time::sleep(METRICS_INTERVAL).await;
            // Without it every sample of every histogram would stay until somebody reads them.
            app.metrics.run_upkeep();
        }
    };
    tokio::select! {
        () = ending => {}
        () = upkeep => {}
        ((), ()) = async {
            tokio::join!(accept(Protocol::Http, http), accept(Protocol::Grpc, grpc))
        } => {}
    }
}
