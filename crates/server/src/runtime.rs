//! One single-threaded runtime a core. A connection stays on the one it was dealt to, so that
//! its requests never wake another core.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::connection::{self, Services};
use crate::listener::{ConnectionPlace, Protocol};
use crate::shutdown::Shutdown;
use crate::wakes;

/// A connection on its way to a runtime.
pub(crate) struct Incoming {
    pub protocol: Protocol,
    pub stream: std::net::TcpStream,
    pub place: ConnectionPlace,
}

/// The running threads. Dropping this lets each end once its connections have.
pub(crate) struct Runtimes {
    // Unbounded, but every connection in a queue holds one of the limited places.
    queues: Vec<mpsc::UnboundedSender<Incoming>>,
    next: AtomicUsize,
}

/// Starts `count` threads, or one a core if it is 0. Each keeps a clone of `alive` until it ends.
pub(crate) fn start(
    count: usize,
    app: &App,
    shutdown: &Shutdown,
    alive: &mpsc::Sender<()>,
) -> io::Result<(Runtimes, Vec<JoinHandle<()>>)> {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let count = if count == 0 { cores() } else { count };
    let (mut queues, mut threads) = (Vec::new(), Vec::new());
    for number in 0..count {
        let (queue, incoming) = mpsc::unbounded_channel();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (app, shutdown, alive) = (app.clone(), shutdown.clone(), alive.clone());
        let work = move || {
            runtime.block_on(serve_all(incoming, app, shutdown));
            // Whatever is still running ends here, at its next await.
            drop(runtime);
            drop(alive);
        };
        let name = format!("seqline-net-{number}");
        threads.push(std::thread::Builder::new().name(name).spawn(work)?);
        queues.push(queue);
    }
    Ok((Runtimes { queues, next: AtomicUsize::new(0) }, threads))
}

impl Runtimes {
    /// Hands a connection to the next runtime in turn.
    pub(crate) fn deal(&self, incoming: Incoming) {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.queues.len();
        // A thread that is gone was ended by a stop: then the connection is closed.
        let _ = self.queues[turn].send(incoming);
    }
}

async fn serve_all(mut incoming: mpsc::UnboundedReceiver<Incoming>, app: App, shutdown: Shutdown) {
    // Ends with the runtime, after the last request.
    tokio::spawn(wakes::run());
    let services = Services::new(&app);
    let connections = TaskTracker::new();
    while let Some(Incoming { protocol, stream, place }) = incoming.recv().await {
        let Ok(stream) = TcpStream::from_std(stream) else { continue };
        let served = connection::serve(protocol, stream, services.clone(), shutdown.begin.clone());
        connections.spawn(async move {
            served.await;
            drop(place);
        });
    }
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        () = shutdown.force.cancelled() => {}
    }
}
