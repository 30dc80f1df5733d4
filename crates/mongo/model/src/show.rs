//! What a search found, for people.

use std::fmt;

use crate::config::Config;
use crate::model::Label;
use crate::search::Found;
use crate::state::{State, TIMELINES};

const NAMES: [&str; TIMELINES] = ["D", "G", "a", "b", "c"];

/// Whether a search found what its configuration says.
pub fn as_expected(config: &Config, found: &Found) -> bool {
    match (config.breaks, found.broken) {
        (None, None) => true,
        (Some(words), Some(broken)) => broken.contains(words),
        _ => false,
    }
}

/// The configuration in a list: its name, what may go wrong how often, and what it is.
pub fn entry(config: &Config) -> String {
    let budget = &config.budget;
    let parts = [
        ("crash", budget.crashes),
        ("late", budget.late),
        ("deletion", budget.deletions),
        ("window", budget.windows),
        ("failover", budget.failovers),
        ("backup", budget.restores),
    ];
    let parts = parts.iter().filter(|(_, count)| *count > 0);
    let parts: Vec<String> = parts.map(|(name, count)| format!("{count} {name}")).collect();
    format!("{:22} {:44} {}", config.name, parts.join(", "), config.what)
}

/// The line of a search.
pub fn line(config: &Config, found: &Found) -> String {
    let verdict = match found.broken {
        Some(broken) => format!("BREAKS: {broken}"),
        None if found.to_the_end => "holds, searched to the end".to_owned(),
        None => "holds as far as it was searched".to_owned(),
    };
    let unexpected = if as_expected(config, found) { "" } else { "  UNEXPECTED" };
    let Found { states, steps, depth, ends, acknowledged, .. } = found;
    let size = format!("{states:>11} states {steps:>12} steps {depth:>3} deep");
    let ends = format!("{ends} ends ({acknowledged} acknowledged)");
    let seconds = found.time.as_secs();
    format!("{:24} {size} {seconds:>5} s {ends}: {verdict}{unexpected}", config.name)
}

/// One step of a trace, with all timelines after it.
pub fn step(config: &Config, label: &Label, state: &State) -> String {
    let who = match label.who {
        None => "world".to_owned(),
        Some(o) => {
            let plan = &config.operations[o];
            let kind = if plan.resumes() { "resumer" } else { "send" };
            format!("{kind} {o} at {}", plan.instance)
        }
    };
    format!(
        "    {who:13} {:42} {:>2} {:>2}  {}",
        label.what,
        label.of[0],
        label.of[1],
        Shown(state)
    )
}

struct Shown<'a>(&'a State);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, timeline) in NAMES.iter().zip(&self.0.timelines) {
            write!(f, " {name}[")?;
            for (slot, entry) in timeline.iter().enumerate().filter(|(_, entry)| entry.ever()) {
                let pending = if entry.pending() { "?" } else { "" };
                let again = if entry.again() { "+" } else { "" };
                let gone = if entry.gone() { "×" } else { "" };
                let space = if slot == 0 { "" } else { " " };
                write!(f, "{space}m{}{pending}{again}{gone}", entry.message())?;
            }
            write!(f, "]")?;
        }
        Ok(())
    }
}
