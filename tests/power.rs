//! Power cuts on a real file system: what was acknowledged is there, once, in order, whole.
//!
//! `SEQLINE_POWER_CUTS` says how many (5 if it is not set), `SEQLINE_SEED` repeats the instants.

mod disk;
mod full;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::runtime::Runtime;

use crate::crash::ledger::{Findings, Ledger};
use crate::crash::load::{self, Counters};
use crate::crash::{self, Instants, setting};
use crate::support::Server;
use crate::support::command::seqline;
use disk::Disk;

/// Each of so many cuts hits a server that is just starting.
const STARTING_EVERY: u64 = 5;
/// Each of so many hits one that is stopping and writes its index.
const STOPPING_EVERY: u64 = 7;
/// After each of so many cuts the first to open the directory is `seqline check`.
const CHECK_EVERY: u64 = 8;
/// Most acknowledgements between two cuts.
const ACKNOWLEDGED_MAX: u64 = 1_500;
/// Little memory, so that the index writes tables between two cuts.
const SETTINGS: [(&str, &str); 1] = [("data.memory_bytes", "32MiB")];
const TORN: &str = "an unfinished write at the end is dropped";

/// What is the same for all cuts of one test.
struct Scene {
    disk: Disk,
    runtime: Runtime,
    instants: Instants,
    ledger: Ledger,
    counters: Arc<Counters>,
    /// Starts that found the end of the log torn.
    torn: usize,
    /// Cuts after which what was not synced was gone.
    dropped: u64,
}

#[test]
fn nothing_acknowledged_is_lost_repeated_reordered_or_half_done_by_a_power_cut() {
    if !disk::available() {
        return;
    }
    let cuts = setting("SEQLINE_POWER_CUTS", 5);
    let mut scene = Scene {
        disk: Disk::new(4_096),
        runtime: Runtime::new().unwrap(),
        instants: Instants::new(),
        ledger: Ledger::new(),
        counters: Arc::default(),
        torn: 0,
        dropped: 0,
    };
    let data = scene.disk.path().join("data");
    for cut in 1..=cuts {
        let control = Control::write(&scene.disk.path(), cut);
        scene.run_and_cut(&data, cut);
        scene.disk.remount();
        scene.dropped += u64::from(control.was_dropped());
        if cut % CHECK_EVERY == 0 {
            seqline(&[Path::new("check"), &data]).ok();
        }
    }
    let mut server = scene.start(&data);
    let Scene { runtime, ledger, .. } = &mut scene;
    let findings = runtime.block_on(async {
        crash::verify(&server, ledger, cuts).await;
        let mut again = ledger.unread();
        let mut client = load::connect(server.grpc).await.unwrap();
        load::read_on(&mut client, &mut again).await;
        assert!(again.same_as(ledger), "what was read once reads the same from the start");
        again.findings()
    });
    let acknowledged = ledger.acknowledged();
    println!("{cuts} cuts, {acknowledged} acknowledged, {findings}, {} torn ends", scene.torn);
    assert_eq!(findings, Findings::default());
    assert!(server.stop().success());
    assert!(acknowledged > 0);
    assert_eq!(scene.dropped, cuts, "a cut that keeps what was never synced proves nothing");
    seqline(&[Path::new("check"), &data]).ok();
}

impl Scene {
    fn start(&mut self, data: &Path) -> Server {
        let server = Server::start_on_set(data, &SETTINGS);
        self.torn += usize::from(server.log().contains(TORN));
        server
    }

    fn run_and_cut(&mut self, data: &Path, cut: u64) {
        if cut.is_multiple_of(STARTING_EVERY) {
            let after = Duration::from_millis(self.instants.below(150));
            let cutter = self.disk.cutter();
            crash::kill_while_starting(data, || {
                std::thread::sleep(after);
                cutter.cut().unwrap();
            });
            return;
        }
        let mut server = self.start(data);
        let cutter = self.disk.cutter();
        let witness = self.disk.witness();
        let Scene { runtime, instants, ledger, counters, .. } = self;
        runtime.block_on(async {
            crash::verify(&server, ledger, cut).await;
            let mut workers = load::start_before(server.grpc, counters, &witness);
            let goal = counters.acknowledged() + instants.below(ACKNOWLEDGED_MAX) as usize;
            counters.reach(goal).await;
            let mut within = Duration::from_micros(instants.below(3_000));
            if cut.is_multiple_of(STOPPING_EVERY) {
                server.signal(Signal::TERM);
                within *= 20;
            }
            tokio::time::sleep(within).await;
            cutter.cut().unwrap();
            assert!(!witness(), "nothing can be written after the cut");
            server.kill();
            while let Some(attempts) = workers.join_next().await {
                ledger.record(attempts.expect("no send was refused"));
            }
        });
    }
}

/// Two files that tell whether a cut was one: what was synced stays, what was not goes.
struct Control {
    synced: PathBuf,
    unsynced: PathBuf,
}

impl Control {
    fn write(disk: &Path, cut: u64) -> Control {
        let synced = disk.join(format!("synced-{cut}"));
        let unsynced = disk.join(format!("unsynced-{cut}"));
        fs::write(&synced, "stays").unwrap();
        File::open(&synced).and_then(|file| file.sync_all()).unwrap();
        File::open(disk).and_then(|dir| dir.sync_all()).unwrap();
        fs::write(&unsynced, "goes").unwrap();
        Control { synced, unsynced }
    }

    fn was_dropped(&self) -> bool {
        assert_eq!(fs::read(&self.synced).unwrap(), b"stays", "what was synced is there");
        // Its name may be in the journal by then.
        fs::read(&self.unsynced).unwrap_or_default().is_empty()
    }
}
