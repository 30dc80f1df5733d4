//! Idempotency keys: repeats, conflicts, and keys that come free.

use crate::config::{Config, Hints, InboxId};

pub fn all() -> Vec<Config> {
    [repeats(), freed(), broken()].into_iter().flatten().collect()
}

fn repeats() -> Vec<Config> {
    vec![
        Config::new("h-retry", "one key twice, with two message ids, and another send")
            .keyed(0, 1, 0)
            .keyed(1, 1, 0)
            .direct(1)
            .resumer(2)
            .budget(|b| b.crashes = 1),
        Config::new("h-retry-late", "one key twice, with two message ids")
            .keyed(0, 1, 0)
            .keyed(1, 1, 0)
            .resumer(2)
            .hints(Hints::Dated)
            .budget(|b| (b.crashes, b.late) = (2, 2)),
        Config::new("h-retry-group", "the same to G")
            .keyed_group(0, 1, 0)
            .keyed_group(1, 1, 0)
            .resumer(2)
            .budget(|b| (b.crashes, b.late) = (1, 1)),
        Config::new("h-conflict", "one key with two payloads, and another send")
            .keyed(0, 1, 0)
            .keyed(1, 1, 1)
            .direct(1)
            .resumer(2)
            .budget(|b| b.crashes = 1),
    ]
}

/// A message under a key, another behind it, and two more tries of the key.
fn two_tries(name: &'static str, what: &'static str) -> Config {
    Config::new(name, what)
        .batch(0, &[(1, 3), (9, 3)])
        .keyed(0, 1, 0)
        .keyed(1, 1, 0)
        .budget(|b| (b.windows, b.deletions) = (1, 1))
}

/// The same with one more try.
fn one_try(name: &'static str, what: &'static str) -> Config {
    Config::new(name, what)
        .batch(0, &[(1, 3), (9, 3)])
        .keyed(1, 1, 0)
        .budget(|b| (b.windows, b.deletions) = (1, 1))
}

fn freed() -> Vec<Config> {
    vec![
        Config::new("h-key-over", "three tries of a key whose window is over, nothing deleted")
            .keyed(0, 1, 0)
            .keyed(1, 1, 0)
            .keyed(1, 1, 0)
            .skew()
            .budget(|b| (b.windows, b.late) = (1, 1)),
        Config::new("h-key-over-2", "the same, and over again")
            .keyed(0, 1, 0)
            .keyed(1, 1, 0)
            .keyed(1, 1, 0)
            .budget(|b| (b.windows, b.crashes) = (2, 1)),
        two_tries("h-key-freed", "an entry whose key is over may be deleted, between two tries")
            .skew(),
        two_tries("h-key-freed-late", "the same, with a command that comes late")
            .budget(|b| b.late = 1),
        two_tries("h-key-freed-crash", "the same, with a crash and a resumer")
            .resumer(2)
            .budget(|b| b.crashes = 1),
        two_tries("h-key-freed-2", "the same, with two windows and three deletions")
            .budget(|b| (b.windows, b.deletions) = (2, 3)),
        two_tries("h-key-freed-failover", "the same, with writes that failovers lose")
            .unsure(2)
            .budget(|b| b.failovers = 1),
        one_try("h-key-freed-one", "one try after the window, with late commands and crashes")
            .resumer(2)
            .hints(Hints::Dated)
            .budget(|b| (b.late, b.crashes, b.deletions) = (1, 1, 2)),
        one_try("h-key-deletion", "the same, with two deletions and two commands under way")
            .budget(|b| (b.late, b.deletions) = (2, 2)),
    ]
}

fn broken() -> Vec<Config> {
    const TWO: &str = "one key, two messages";
    vec![
        one_try("x-key-window", "an entry is deleted before its key's window is over")
            .rules(|r| r.window_in_grace = false)
            .breaks(TWO),
        two_tries(
            "x-key-again-deleted",
            "an entry whose key is used again is deleted all the same",
        )
        .rules(|r| r.again_kept = false)
        .breaks(TWO),
        two_tries("x-key-again-by-id", "\"used again\" is said to whatever has the _id by then")
            .rules(|r| r.exact_again = false)
            .breaks(TWO),
        two_tries("x-key-again-unsure", "\"used again\" counts before a majority has it")
            .unsure(2)
            .budget(|b| b.failovers = 1)
            .rules(|r| r.majority_again = false)
            .breaks(TWO),
        one_try("x-key-delete-by-id", "a late deletion takes whatever has the _id by then")
            .budget(|b| (b.late, b.deletions) = (1, 2))
            .rules(|r| r.exact_deletion = false)
            .breaks("the newest entry is deleted"),
        one_try("x-key-late-mark", "a mark waits in memory for longer than an operation may take")
            .resumer(2)
            .rules(|r| r.marks_end = false)
            .breaks("marked whole"),
        one_try("x-key-inbox-stem", "an inbox's _id comes from the key, not from the message's id")
            .rules(|r| r.inbox_id = InboxId::Stem)
            .breaks("lacks it"),
    ]
}
