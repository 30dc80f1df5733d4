//! The threads that ask the index for what a send needs and memory does not have.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use seqline_core::Result;

use crate::committer::DEFECT;
use crate::dedupe::Forgotten;
use crate::engine::Engine;
use crate::queue::{Append, Command, Queue};
use crate::timelines::{Place, load};

/// Threads: they wait for the disk more than they work.
const LOADERS: usize = 2;
/// Commands taken together.
const COMMANDS_MAX: usize = 32;

/// Starts the loaders; they end with the queue.
pub(crate) fn start(
    engine: &Arc<Engine>,
    queue: &Arc<Queue>,
    forgotten: &Forgotten,
) -> std::io::Result<Vec<JoinHandle<()>>> {
    let one = |number| {
        let (engine, queue, forgotten) = (engine.clone(), queue.clone(), forgotten.clone());
        let run = move || {
            let work = || {
                while let Some(taken) = queue.take_unloaded(COMMANDS_MAX) {
                    carry_out(&engine, &queue, &forgotten, taken);
                }
            };
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                queue.poison(DEFECT);
            }
        };
        std::thread::Builder::new().name(format!("seqline-load-{number}")).spawn(run)
    };
    (0..LOADERS).map(one).collect()
}

fn carry_out(engine: &Engine, queue: &Queue, forgotten: &Forgotten, taken: Vec<Command>) {
    let mut ready = Vec::with_capacity(taken.len());
    let (mut gone, mut gone_bytes) = (0, 0);
    for mut command in taken {
        let loaded = match &mut command {
            Command::Append(append) => complete(engine, forgotten, append),
            Command::Trim { timeline, .. } => load(engine, timeline).map(drop),
            Command::Close { .. } => Ok(()),
        };
        match loaded {
            Ok(()) => ready.push(command),
            Err(error) => {
                gone += 1;
                gone_bytes += command.bytes();
                command.refuse(error);
            }
        }
    }
    queue.loaded(ready, gone, gone_bytes);
}

/// Takes everything into memory that the commit of `append` needs. May wait for the disk.
fn complete(engine: &Engine, forgotten: &Forgotten, append: &mut Append) -> Result<()> {
    if let Some(key) = &mut append.key {
        key.stored = Some(forgotten.ask(&engine.index, &key.row)?);
    }
    places(engine, append)
}

/// Takes the timelines of `append` into memory of which it is not known where they are. May wait
/// for the disk.
pub(crate) fn places(engine: &Engine, append: &mut Append) -> Result<()> {
    let Append { send, conversation, places, .. } = append;
    if places.conversation == Place::NOWHERE {
        places.conversation = load(engine, conversation)?;
    }
    let mut key = Vec::new();
    for (member, place) in send.recipients.iter().zip(&mut places.recipients) {
        if *place == Place::NOWHERE {
            key.clear();
            key.push(b'i');
            key.extend_from_slice(member);
            *place = load(engine, &key)?;
        }
    }
    Ok(())
}
