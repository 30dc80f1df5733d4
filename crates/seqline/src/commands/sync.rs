//! `sync`: what a member's device would receive.

use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::Ended;
use super::reader::Reader;
use super::terminal::{EXIT_CODES, Problem, finish, note, run};
use crate::client::{Client, Failure, Target, Timeline};

const EXAMPLES: &str = "Examples:
  seqline sync a                   the first page of what a received
  seqline sync a --after 100       the page after entry 100
  seqline sync a --all --json      everything, one JSON object a line
  seqline sync a --follow          everything, then what arrives, until Ctrl-C";

/// Between two looks for something new: short while entries come, longer while none do.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Reads a member's inbox, in order from a cursor.
#[derive(Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct Sync {
    /// Whose inbox.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    member: String,
    /// The last entry already read; 0 reads from the start.
    #[arg(long, value_name = "SEQ", default_value_t = 0, allow_negative_numbers = true,
          value_parser = clap::value_parser!(i64).range(0..))]
    after: i64,
    /// Most entries of one page; 0 leaves it to the server.
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true,
          value_parser = clap::value_parser!(i32).range(0..))]
    count: i32,
    /// Reads page after page to the newest entry.
    #[arg(long)]
    all: bool,
    /// Reads to the newest entry, then waits for more until Ctrl-C; a restart of the server only
    /// interrupts it.
    #[arg(long)]
    follow: bool,
    /// Prints one JSON object a line: {"seq": …, "message": "the exact text"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

impl Sync {
    /// Runs it.
    pub fn run(&self) -> Ended {
        finish(run(try_sync(self)))
    }
}

async fn try_sync(args: &Sync) -> Result<(), Problem> {
    let client = Client::new(&args.target.endpoint());
    let timeline = Timeline::Inbox(args.member.clone());
    let mut reader = Reader::new(client, timeline, args.after, args.count, args.json);
    if args.follow {
        return tokio::select! {
            end = follow(&mut reader) => end,
            interrupt = tokio::signal::ctrl_c() => Ok(interrupt?),
        };
    }
    let position = if args.all { reader.all().await? } else { reader.next().await?? };
    if !args.json {
        let latest = position.latest.unwrap_or_default();
        let cursor = reader.cursor();
        match position.entries {
            _ if latest == 0 => note("the inbox is empty"),
            0 => note(&format!("nothing after {cursor}; the newest entry is {latest}")),
            _ if cursor >= latest => note(&format!("that was all; the newest entry is {latest}")),
            _ => note(&format!(
                "the newest entry is {latest}; go on with --after {cursor}, or --all"
            )),
        }
    }
    Ok(())
}

/// Reads on for ever. The cursor moves only over what was printed, so whatever interrupts it,
/// nothing is lost or printed twice.
async fn follow(reader: &mut Reader) -> Result<(), Problem> {
    let mut pause = PAUSE_MIN;
    let mut answered = false;
    let mut waiting = false;
    loop {
        match reader.next().await? {
            Ok(position) => {
                if waiting {
                    note("the server answers again");
                }
                (answered, waiting) = (true, false);
                let latest = position.latest.unwrap_or_default();
                if latest < reader.cursor() {
                    return Err(Problem::Failed(format!(
                        "the newest entry is {latest}, but {} were already read: the server's \
                         data was replaced; start over with --after 0",
                        reader.cursor()
                    )));
                }
                if position.entries > 0 {
                    pause = PAUSE_MIN;
                    if reader.cursor() < latest {
                        continue;
                    }
                }
            }
            // A wrong address shows at once; later it can only be a restart.
            Err(failure @ Failure::Unreachable { .. }) if !answered => return Err(failure.into()),
            Err(failure) if failure.passes_for_reads() => {
                if !waiting {
                    note(&format!("{failure}\nwaiting for the server …"));
                }
                waiting = true;
            }
            Err(failure) => return Err(failure.into()),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(PAUSE_MAX);
    }
}
