//! Deletion, low tails, and restored backups.

use crate::config::{Config, Hints};

pub fn all() -> Vec<Config> {
    [broken(), kept(), restored()].into_iter().flatten().collect()
}

fn two(name: &'static str, what: &'static str) -> Config {
    Config::new(name, what).direct(0).direct(1).resumer(2).budget(|b| b.deletions = 1)
}

fn in_turn(name: &'static str, what: &'static str) -> Config {
    Config::new(name, what).direct(0).direct(0).direct(0).budget(|b| b.deletions = 1)
}

fn broken() -> Vec<Config> {
    vec![
        two("x-delete-at-once", "what is below the floor is deleted at once")
            .rules(|r| r.grace = false)
            .breaks("twice"),
        two("x-delete-unmarked", "what is old is deleted, whether marked whole or not")
            .budget(|b| b.crashes = 1)
            .rules(|r| r.whole_before_deletion = false)
            .breaks("twice"),
        in_turn("x-old-hint", "a tail is believed for longer than the grace period")
            .hints(Hints::Undated)
            .breaks("a number was used twice"),
        in_turn("x-forgotten-tail", "a tail that memory lost before its use counts as 0")
            .rules(|r| r.tails_kept = false)
            .breaks("a number was used twice"),
    ]
}

fn kept() -> Vec<Config> {
    vec![
        two("h-delete", "two sends to D, low tails")
            .hints(Hints::Dated)
            .budget(|b| (b.crashes, b.late, b.deletions) = (1, 1, 2)),
        Config::new("h-delete-3", "three sends to D, low tails")
            .direct(0)
            .direct(1)
            .direct(1)
            .hints(Hints::Dated)
            .budget(|b| b.deletions = 3),
        Config::new("h-delete-3-crash", "three sends to D, low tails, members in a fixed order")
            .direct(0)
            .direct(1)
            .direct(1)
            .resumer(2)
            .hints(Hints::Dated)
            .fixed_order()
            .budget(|b| (b.crashes, b.deletions) = (1, 2)),
        Config::new("h-delete-group", "two sends to G, low tails, members in a fixed order")
            .group(0)
            .group(1)
            .resumer(2)
            .hints(Hints::Dated)
            .fixed_order()
            .budget(|b| (b.crashes, b.late, b.deletions) = (1, 1, 3)),
        Config::new("h-delete-retry", "one key twice and another send, low tails, deletion")
            .keyed(0, 1, 0)
            .keyed(1, 1, 0)
            .direct(1)
            .hints(Hints::Dated)
            .budget(|b| (b.windows, b.deletions) = (1, 2)),
    ]
}

fn restored() -> Vec<Config> {
    let restore = |name, what| {
        Config::new(name, what).direct(0).direct(1).budget(|b| (b.backups, b.restores) = (1, 1))
    };
    vec![
        restore("x-restore", "a backup is restored while instances run")
            .rules(|r| r.restore_quiet = false)
            .breaks("a hole"),
        restore("h-restore", "a backup is restored while nothing runs")
            .resumer(2)
            .budget(|b| (b.crashes, b.late) = (1, 1)),
    ]
}
