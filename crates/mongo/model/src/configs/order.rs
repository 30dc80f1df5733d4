//! Numbers, order and delivery, without keys and without deletion.

use crate::config::{Config, Help, Hints, InboxId};

pub fn all() -> Vec<Config> {
    [broken(), sends(), marks(), batches(), joint(), failovers()].into_iter().flatten().collect()
}

fn broken() -> Vec<Config> {
    let two = |name, what| Config::new(name, what).group(0).group(1);
    let losing = |config: Config| config.unsure(2).budget(|b| b.failovers = 1);
    vec![
        two("x-nohelp", "nobody helps the entry before")
            .rules(|r| r.help = Help::Nobody)
            .breaks("another order"),
        two("x-help1", "only the entry just before is helped")
            .group(1)
            .resumer(2)
            .budget(|b| b.crashes = 1)
            .rules(|r| r.help = Help::One)
            .breaks("another order"),
        Config::new("x-stale-walk", "a walk believes a view without the entry it began at")
            .direct(0)
            .direct(1)
            .rules(|r| r.walk_shows_entry = false)
            .breaks("another order"),
        Config::new("x-fresh-inbox-id", "each deliverer draws an id for the inbox's document")
            .group(0)
            .resumer(2)
            .rules(|r| r.inbox_id = InboxId::Fresh)
            .breaks("delivered twice"),
        Config::new("x-batch-unordered", "a group of sends in an unordered insert")
            .batch(0, &[(1, 3), (2, 3)])
            .keyed(1, 1, 0)
            .rules(|r| r.ordered = false)
            .breaks("a hole"),
        two("x-chain-unordered", "an inbox's entries in an unordered insert")
            .resumer(2)
            .budget(|b| b.crashes = 1)
            .rules(|r| r.ordered = false)
            .breaks("a hole"),
        Config::new("x-joint-answers", "what an ordered insert did not come to counts as done")
            .batch(0, &[(1, 7), (2, 7)])
            .group(1)
            .joint()
            .rules(|r| r.own_answers = false)
            .breaks("lacks it"),
        Config::new("x-high-hint", "a tail that another instance tells is believed, not read")
            .direct(0)
            .rules(|r| r.hints_are_read = false)
            .breaks("a hole"),
        losing(Config::new("x-local-read", "reads show what no majority has"))
            .direct(0)
            .resumer(2)
            .rules(|r| r.majority_reads = false)
            .breaks("lacks it"),
        losing(Config::new("x-guess", "after a refusal the next number is tried"))
            .direct(0)
            .direct(1)
            .rules(|r| r.no_guess = false)
            .breaks("a hole"),
        differing("x-mark-order", "an entry is marked though one before it is not delivered")
            .budget(|b| b.crashes = 1)
            .rules(|r| r.marks_in_order = false)
            .breaks("another order"),
    ]
}

fn sends() -> Vec<Config> {
    vec![
        Config::new("h-small", "two sends to D")
            .direct(0)
            .direct(1)
            .resumer(2)
            .budget(|b| (b.crashes, b.late) = (1, 1)),
        Config::new("h-direct3", "three sends to D")
            .direct(0)
            .direct(1)
            .direct(1)
            .resumer(2)
            .budget(|b| b.crashes = 1),
        Config::new("h-group", "two sends to G, low tails")
            .group(0)
            .group(1)
            .resumer(2)
            .hints(Hints::Dated)
            .budget(|b| b.crashes = 1),
        Config::new("h-group-late", "two sends to G, members in a fixed order")
            .group(0)
            .group(1)
            .resumer(2)
            .fixed_order()
            .budget(|b| (b.crashes, b.late) = (2, 1)),
        three_to_group("h-walk3", "three sends to G, members in a fixed order"),
        three_to_group("h-walk3-crash", "the same").budget(|b| b.crashes = 1),
        Config::new("h-two-convs", "two sends to D and one to G, members in a fixed order")
            .direct(0)
            .direct(1)
            .group(0)
            .resumer(2)
            .fixed_order()
            .budget(|b| b.crashes = 1),
    ]
}

fn three_to_group(name: &'static str, what: &'static str) -> Config {
    Config::new(name, what).group(0).group(1).group(1).resumer(2).fixed_order()
}

/// Entries of one conversation for different members, so that one can be whole before the other.
fn differing(name: &'static str, what: &'static str) -> Config {
    Config::new(name, what).batch(0, &[(1, 0b001), (2, 0b010)]).listed(1, 0b001).resumer(2)
}

fn marks() -> Vec<Config> {
    vec![
        differing("h-mark-order", "marks in any order of entries for different members")
            .budget(|b| (b.crashes, b.late) = (2, 2)),
        Config::new("h-mark-order-group", "the same, and members whom both are for")
            .batch(0, &[(1, 0b011), (2, 0b110)])
            .listed(1, 0b101)
            .resumer(2)
            .budget(|b| (b.crashes, b.late) = (1, 1)),
        Config::new("h-known-whole", "a resumer that shares the memory of a sending instance")
            .direct(0)
            .direct(1)
            .resumer(0)
            .hints(Hints::Dated)
            .budget(|b| (b.crashes, b.late) = (2, 1)),
        Config::new("h-two-resumers", "two that hold the lease, on instances that send")
            .direct(0)
            .direct(1)
            .resumer(0)
            .resumer(1)
            .budget(|b| (b.crashes, b.late) = (1, 1)),
    ]
}

fn batches() -> Vec<Config> {
    vec![
        Config::new("h-batch", "a group of two sends, and one of them again elsewhere")
            .batch(0, &[(1, 3), (2, 3)])
            .keyed(1, 1, 0)
            .resumer(2)
            .budget(|b| (b.crashes, b.late) = (1, 1)),
        Config::new("h-batch-other", "a group of two sends against another send")
            .batch(0, &[(1, 3), (2, 3)])
            .direct(1)
            .resumer(2)
            .budget(|b| (b.crashes, b.late) = (1, 1)),
        Config::new("h-batch-two", "two groups of sends with one key in common")
            .batch(0, &[(1, 3), (2, 3)])
            .batch(1, &[(1, 3), (3, 3)])
            .resumer(2)
            .budget(|b| b.late = 1),
        Config::new("h-batch-group", "a group of two sends to G, members in a fixed order")
            .batch(0, &[(1, 7), (2, 7)])
            .group(1)
            .resumer(2)
            .fixed_order()
            .budget(|b| (b.crashes, b.late) = (1, 1)),
    ]
}

/// The entries of all inboxes in one ordered insert.
fn joint() -> Vec<Config> {
    vec![
        Config::new("h-joint", "a group of two sends to G, all inboxes in one ordered insert")
            .batch(0, &[(1, 7), (2, 7)])
            .resumer(2)
            .joint()
            .hints(Hints::Dated)
            .budget(|b| (b.crashes, b.late) = (2, 2)),
        Config::new("h-joint-other", "the same against another send to G")
            .batch(0, &[(1, 7), (2, 7)])
            .group(1)
            .joint()
            .budget(|b| (b.crashes, b.late) = (1, 1)),
        Config::new("h-joint-resumed", "the same, and a resumer")
            .batch(0, &[(1, 7), (2, 7)])
            .group(1)
            .resumer(2)
            .joint()
            .budget(|b| b.crashes = 1),
        Config::new("h-joint-convs", "the same against a send to D, whose members are in G")
            .batch(0, &[(1, 7), (2, 7)])
            .direct(1)
            .resumer(2)
            .joint()
            .budget(|b| (b.crashes, b.late) = (1, 1)),
        Config::new("h-joint-differing", "entries for different members in one ordered insert")
            .batch(0, &[(1, 0b011), (2, 0b110)])
            .listed(1, 0b101)
            .resumer(2)
            .joint()
            .budget(|b| (b.crashes, b.late) = (1, 1)),
        Config::new("h-joint-failover", "a group of two sends, writes that failovers lose")
            .batch(0, &[(1, 7), (2, 7)])
            .resumer(2)
            .joint()
            .unsure(2)
            .budget(|b| (b.crashes, b.failovers) = (1, 1)),
        Config::new("h-joint-delete", "the same, low tails, deletion")
            .batch(0, &[(1, 7), (2, 7)])
            .group(1)
            .joint()
            .hints(Hints::Dated)
            .budget(|b| (b.late, b.deletions) = (1, 2)),
    ]
}

fn failovers() -> Vec<Config> {
    vec![
        Config::new("h-failover", "two sends to D, writes that failovers lose")
            .direct(0)
            .direct(1)
            .resumer(2)
            .unsure(2)
            .budget(|b| (b.crashes, b.failovers) = (1, 2)),
        Config::new("h-failover-retry", "one key twice, writes that failovers lose")
            .keyed(0, 1, 0)
            .keyed(1, 1, 0)
            .resumer(2)
            .unsure(2)
            .budget(|b| (b.crashes, b.late, b.failovers) = (1, 1, 1)),
    ]
}
