//! Searches a model of the distributed store's protocol. See README.md.
//!
//! `list` prints the configurations; `[--states N] [--seconds N] [--full] [--trace] NAME…` searches
//! some, and a name may end with `*`. The exit status tells whether all was found as expected.

mod config;
mod configs;
mod database;
mod deliver;
mod model;
mod place;
mod reduce;
mod search;
mod show;
mod state;
#[cfg(test)]
mod tests;
mod world;

use std::process::ExitCode;
use std::time::Duration;

use config::Config;
use model::Model;
use search::{Keep, Limits, search};

fn main() -> ExitCode {
    let mut limits = Limits { states: usize::MAX, time: Duration::MAX };
    let (mut reduce, mut trace, mut names) = (true, false, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|number| number.parse::<u64>().ok());
        match argument.as_str() {
            "--states" => limits.states = number().unwrap_or(u64::MAX) as usize,
            "--seconds" => limits.time = Duration::from_secs(number().unwrap_or(u64::MAX)),
            "--full" => reduce = false,
            "--trace" => trace = true,
            _ => names.push(argument),
        }
    }
    let all = configs::all();
    if names.is_empty() || names == ["list"] {
        for config in &all {
            println!("{}", show::entry(config));
        }
        return ExitCode::SUCCESS;
    }
    let mut expected = true;
    for config in all.iter().filter(|config| names.iter().any(|name| matches(config, name))) {
        let found = search(&Model::new(config, reduce), limits, Keep { trace, outcomes: false });
        println!("{}", show::line(config, &found));
        for (label, state) in &found.trace {
            println!("{}", show::step(config, label, state));
        }
        expected &= show::as_expected(config, &found);
    }
    if expected { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn matches(config: &Config, name: &str) -> bool {
    match name.strip_suffix('*') {
        Some(prefix) => config.name.starts_with(prefix),
        None => config.name == name,
    }
}
