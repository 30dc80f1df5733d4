//! `history`: a conversation from its first message.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::Ended;
use super::reader::Reader;
use super::terminal::{EXIT_CODES, Problem, finish, note, run};
use crate::client::{Client, Target, Timeline};

const EXAMPLES: &str = "Examples:
  seqline history --between a b               the first page
  seqline history --group group_a --all       all of it
  seqline history --group group_a --after 50 --count 10 --json";

/// Reads a conversation, in order from a cursor.
#[derive(Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct History {
    /// The conversation of these two members, in either order.
    #[arg(long, num_args = 2, value_names = ["A", "B"], required_unless_present = "group",
          value_parser = NonEmptyStringValueParser::new())]
    between: Vec<String>,
    /// The conversation of this group.
    #[arg(long, conflicts_with = "between", value_parser = NonEmptyStringValueParser::new())]
    group: Option<String>,
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
    /// Prints one JSON object a line: {"seq": …, "message": "the exact text"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

impl History {
    /// Runs it.
    pub fn run(&self) -> Ended {
        finish(run(try_history(self)))
    }
}

async fn try_history(args: &History) -> Result<(), Problem> {
    let timeline = match (&args.group, args.between.as_slice()) {
        (Some(group), _) => Timeline::Group(group.clone()),
        (None, [one, other]) => Timeline::Direct(one.clone(), other.clone()),
        (None, _) => return Err(Problem::Usage("--between takes two members".to_owned())),
    };
    let client = Client::new(&args.target.endpoint());
    let mut reader = Reader::new(client, timeline, args.after, args.count, args.json);
    let position = if args.all { reader.all().await? } else { reader.next().await?? };
    if !args.json {
        let cursor = reader.cursor();
        match position.entries {
            0 if cursor == 0 => note("the conversation has no messages"),
            _ if args.all && cursor > args.after => note("that was all"),
            0 => note(&format!("nothing after {cursor}")),
            _ => note(&format!("go on with --after {cursor}, or --all")),
        }
    }
    Ok(())
}
