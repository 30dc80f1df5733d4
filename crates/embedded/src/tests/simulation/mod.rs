//! The whole store on a disk that fails, against a model: whatever happens, what was promised
//! holds.
//!
//! A seed draws the settings, the work, the failures and the ends. Threads run as they like, so a
//! failing seed may need some runs; the order of its steps is always the same.

mod model;
mod observe;
mod steps;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use world::World;

const SEEDS: u64 = 300;
const STEPS: u64 = 60;
/// Seeds at the same time.
const THREADS: usize = 2;

fn run(seed: u64) {
    let mut world = World::new(seed);
    world.start_clean();
    for _ in 0..STEPS {
        world.take_step();
    }
    world.finish();
}

#[test]
fn whatever_happens_the_promises_hold() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("SEQLINE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEQLINE_SEEDS").unwrap_or(SEEDS),
    };
    let next = AtomicU64::new(seeds.start);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(seed))) {
                        eprintln!(
                            "again: SEQLINE_SEED={seed} cargo test -p seqline-embedded whatever"
                        );
                        next.store(seeds.end, Ordering::Relaxed);
                        resume_unwind(panic);
                    }
                }
            });
        }
    });
}
