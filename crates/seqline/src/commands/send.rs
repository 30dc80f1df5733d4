//! `send` and `send-group`: one message into a running server.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::json;

use super::Ended;
use super::message::MessageArgs;
use super::terminal::{EXIT_CODES, Problem, finish, note, run};
use crate::client::{Client, Failure, GroupSend, Reply, Request, Target};

const SEND_EXAMPLES: &str = r#"Examples:
  seqline send --from a --to b '{"text":"吃了吗？"}'
  seqline send --from b --to a --text "吃了"
  seqline send --from a --to b --idempotency-key 7f3c --text "stored once, however often sent"
  jq -c . message.json | seqline send --from a --to b -"#;

const GROUP_EXAMPLES: &str = r#"Examples:
  seqline send-group --group group_a --members a,c,d --text "hello"
  seqline send-group --group everybody --members-file members.txt '{"text":"hello"}'
    (members.txt has one id on each line)"#;

/// Sends a message to one member: into their conversation and both inboxes.
#[derive(Args, Debug)]
#[command(after_help = format!("{SEND_EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct Send {
    /// Who sends it.
    #[arg(long, value_name = "MEMBER", value_parser = NonEmptyStringValueParser::new())]
    from: String,
    /// Who receives it.
    #[arg(long, value_name = "MEMBER", value_parser = NonEmptyStringValueParser::new())]
    to: String,
    #[command(flatten)]
    message: MessageArgs,
    #[command(flatten)]
    common: Common,
}

/// Sends a message to a group: into its conversation and the inbox of every listed member.
#[derive(Args, Debug)]
#[command(after_help = format!("{GROUP_EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct SendGroup {
    /// The group.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    group: String,
    /// Who receives it.
    #[arg(
        long,
        value_name = "MEMBER,…",
        value_delimiter = ',',
        required_unless_present = "members_file"
    )]
    members: Vec<String>,
    /// Who receives it: a file with one id on each line.
    #[arg(long, value_name = "FILE", conflicts_with = "members")]
    members_file: Option<PathBuf>,
    #[command(flatten)]
    message: MessageArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
struct Common {
    /// Makes a repeat safe: the same send under the same key is stored once.
    #[arg(long, value_name = "KEY", value_parser = parse_key)]
    idempotency_key: Option<String>,
    /// Prints the answer as a JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

fn parse_key(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 256 || !text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Err("a key is 1 to 256 printable ASCII characters".to_owned());
    }
    Ok(text.to_owned())
}

impl Send {
    /// Runs it.
    pub fn run(&self) -> Ended {
        finish(try_send(self))
    }
}

fn try_send(args: &Send) -> Result<(), Problem> {
    let message = args.message.read()?;
    let mut client = Client::new(&args.common.target.endpoint());
    let request = client.protocol().send(&args.from, &args.to, &message);
    let reply = call(&mut client, &request, &args.common)?;
    let seq = reply.sequence()?;
    let mut out = io::stdout().lock();
    if args.common.json {
        writeln!(out, "{}", json!({ "sequence": seq }))?;
    } else {
        writeln!(out, "stored; entry {seq} in the inbox of {}", args.to)?;
    }
    Ok(())
}

impl SendGroup {
    /// Runs it.
    pub fn run(&self) -> Ended {
        finish(try_send_group(self))
    }
}

fn try_send_group(args: &SendGroup) -> Result<(), Problem> {
    let message = args.message.read()?;
    let members = members(args)?;
    let mut client = Client::new(&args.common.target.endpoint());
    let request = GroupSend::new(client.protocol(), &args.group, &members).message(&message);
    let failed = call(&mut client, &request, &args.common)?.failed_members()?;
    let mut out = io::stdout().lock();
    if args.common.json {
        writeln!(out, "{}", json!({ "failedMembers": failed }))?;
    } else {
        writeln!(out, "stored; {} members listed", members.len())?;
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Problem::Failed(format!("the message did not reach {}", failed.join(", "))))
}

fn members(args: &SendGroup) -> Result<Vec<String>, Problem> {
    let Some(file) = &args.members_file else {
        return Ok(args.members.clone());
    };
    let text = std::fs::read_to_string(file)
        .map_err(|e| Problem::Usage(format!("cannot read {}: {e}", file.display())))?;
    let members: Vec<_> = text.lines().filter(|l| !l.is_empty()).map(str::to_owned).collect();
    if members.is_empty() {
        return Err(Problem::Usage(format!("{} lists nobody", file.display())));
    }
    Ok(members)
}

fn call(client: &mut Client, request: &Request, common: &Common) -> Result<Reply, Problem> {
    let key = common.idempotency_key.as_deref();
    let answer = run(async { Ok(client.call_once(request, key).await) })?;
    if answer.as_ref().is_err_and(Failure::is_outcome_unknown) {
        note(match key {
            Some(_) => "the message may have been stored; repeat with the same key to be sure",
            None => "the message may have been stored; look with: seqline history",
        });
    }
    Ok(answer?)
}
