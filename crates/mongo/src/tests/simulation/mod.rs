//! Simulation: several instances on a replica set in bad weather, the same again for each seed.
//!
//! Clients send, repeat and read; a trimmer trims; instances are killed and started; the replica
//! set loses replies, does commands late, fails over, answers with old views; in a quarter of the
//! seeds to readers too, who are promised less then. The journal of all that a majority ever had
//! is then audited step by step, as the model of the protocol does, and followers check live what
//! readers are promised. In the end everything must be whole.
//!
//! `SEQLINE_SEED=7 cargo test -p seqline-mongo simulation` runs one seed again;
//! `SEQLINE_SEEDS=10000` runs so many instead of the usual number, from `SEQLINE_FROM` on.

mod audit;
mod client;
mod follower;
mod world;

use std::time::Duration;

use self::world::World;

/// How many seeds the usual test run has.
const SEEDS: u64 = 300;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

#[test]
fn nothing_is_lost_repeated_or_reordered_whatever_the_weather() {
    let seeds: Vec<u64> = match setting("SEQLINE_SEED") {
        Some(seed) => vec![seed],
        None => {
            let from = setting("SEQLINE_FROM").unwrap_or(0);
            (from..from + setting("SEQLINE_SEEDS").unwrap_or(SEEDS)).collect()
        }
    };
    let mut total = audit::Found::default();
    for seed in seeds {
        let found = std::panic::catch_unwind(|| run(seed));
        match found {
            Ok(found) => total.add(&found),
            Err(panic) => {
                eprintln!("seed {seed} failed: SEQLINE_SEED={seed} runs it again");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{total:?}");
}

/// Runs one seed to its end.
fn run(seed: u64) -> audit::Found {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let world = World::new(seed);
        world.start_all().await;
        let clients = (0..5).map(|number| tokio::spawn(client::run(world.clone(), number)));
        let mut tasks: Vec<_> = clients.collect();
        tasks.push(tokio::spawn(client::trim(world.clone())));
        tasks.push(tokio::spawn(world::disturb(world.clone())));
        for number in 0..3 {
            tasks.push(tokio::spawn(follower::run(world.clone(), number)));
        }
        for task in tasks {
            if let Err(failed) = task.await {
                std::panic::resume_unwind(failed.into_panic());
            }
        }
        world.settle().await;
        audit::all(&world)
    })
}

#[test]
fn a_seed_is_the_same_in_every_run() {
    assert_eq!(run(42), run(42));
}

/// How long clients, trimmer and disturbances go on.
const TIME: Duration = Duration::from_secs(45);
