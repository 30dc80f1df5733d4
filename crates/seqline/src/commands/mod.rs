//! What the program can do: one module for each subcommand, and how each of them ends.

mod bench;
mod check;
mod check_mongo;
mod config;
mod health;
mod history;
mod import;
mod message;
mod mongo;
mod reader;
mod repair;
mod replay;
mod send;
mod serve;
mod sync;
pub mod terminal;

use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

const ABOUT: &str = "A message timeline service: numbers every message once, keeps it, and lets \
every device catch up without a gap, a repeat or a change of order.";

const AFTER: &str = "\
Exit codes:
  0  done
  1  it did not work, or what was checked is not as it must be
  2  wrong usage or settings
  3  something needed cannot be opened or reached: a directory, an address, a server

Start here:
  seqline                       serve ./seqline-data on 127.0.0.1:8000 (HTTP) and :9000 (gRPC)
  seqline serve --help          where to keep data, where to listen
  seqline gen-config > my.yaml  every setting with its default";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "seqline", version, about = ABOUT, after_help = AFTER)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Send(send::Send),
    SendGroup(send::SendGroup),
    Sync(sync::Sync),
    History(history::History),
    Health(health::Health),
    Replay(replay::Replay),
    Bench(bench::Bench),
    Check(check::Check),
    Import(import::Import),
    CheckConfig(config::CheckConfig),
    GenConfig(config::GenConfig),
}

/// How a command ends that did not do what it was asked. The text says what to do next.
#[derive(Debug)]
pub struct Failed {
    code: u8,
    text: String,
}

impl Failed {
    /// It did not work, or what was checked is not as it must be.
    pub fn outcome(text: impl fmt::Display) -> Failed {
        Failed { code: 1, text: text.to_string() }
    }

    /// The arguments or settings make no sense; the user must change them.
    pub fn usage(text: impl fmt::Display) -> Failed {
        Failed { code: 2, text: text.to_string() }
    }

    /// Something needed cannot be opened or reached.
    pub fn unreachable(text: impl fmt::Display) -> Failed {
        Failed { code: 3, text: text.to_string() }
    }
}

/// How a command ends.
pub type Ended = Result<(), Failed>;

/// Runs the command.
pub fn run(cli: Cli) -> ExitCode {
    let ended = match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(command) => command.run(),
        Command::Send(command) => command.run(),
        Command::SendGroup(command) => command.run(),
        Command::Sync(command) => command.run(),
        Command::History(command) => command.run(),
        Command::Health(command) => command.run(),
        Command::Replay(command) => command.run(),
        Command::Bench(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Import(command) => command.run(),
        Command::CheckConfig(command) => command.run(),
        Command::GenConfig(command) => command.run(),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed { code, text }) => {
            #[allow(clippy::print_stderr, reason = "the last words of a command that failed")]
            {
                eprintln!("seqline: {text}");
            }
            ExitCode::from(code)
        }
    }
}

/// The arguments as clap reads them: `-conf`, as Go's flags are written, is `--config`.
pub fn arguments(given: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    given.map(|argument| match argument.to_str() {
        Some("-conf") => "--config".into(),
        Some(text) => match text.strip_prefix("-conf=") {
            Some(value) => format!("--config={value}").into(),
            None => argument,
        },
        None => argument,
    })
}
