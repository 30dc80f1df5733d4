//! Tests of the model itself: what must break does, and the reduction loses nothing.

use std::collections::HashSet;
use std::time::Duration;

use crate::config::Config;
use crate::model::Model;
use crate::search::{Found, Keep, Limits, search};
use crate::show;
use crate::state::{TIMELINES, Timeline, inbox};
use crate::{config::Rules, configs};

const LIMITS: Limits = Limits { states: 3_000_000, time: Duration::from_secs(600) };

fn find(config: &Config, reduce: bool) -> Found {
    search(&Model::new(config, reduce), LIMITS, Keep { trace: false, outcomes: true })
}

#[test]
fn every_rule_is_needed_and_its_trace_can_be_replayed() {
    for config in configs::all().iter().filter(|config| config.breaks.is_some()) {
        let found = find(config, true);
        assert!(show::as_expected(config, &found), "{}", show::line(config, &found));
        assert!(!found.trace.is_empty(), "{}", config.name);
    }
}

#[test]
fn the_protocol_holds_where_a_search_is_short() {
    let config = Config::new("small", "").direct(0).keyed(1, 1, 0).keyed(0, 1, 0).resumer(2);
    let found = find(&config, true);
    assert!(found.to_the_end, "{}", show::line(&config, &found));
    assert!(found.acknowledged > 0);
}

/// What can stand in the database at the end, whichever of a and b is which.
fn outcomes(found: &Found) -> HashSet<[Timeline; TIMELINES]> {
    let both = found.outcomes.iter().flat_map(|one| {
        let mut other = *one;
        other.swap(inbox(0), inbox(1));
        [*one, other]
    });
    both.collect()
}

#[test]
fn the_reduction_loses_no_outcome() {
    let configs = [
        Config::new("two", "").direct(0).direct(1).resumer(2).budget(|b| b.crashes = 1),
        Config::new("late", "").direct(0).direct(1).budget(|b| b.late = 1),
        Config::new("key", "").keyed(0, 1, 0).keyed(1, 1, 0).resumer(0).budget(|b| b.crashes = 1),
        Config::new("batch", "").batch(0, &[(1, 3), (2, 3)]).keyed(1, 1, 0),
    ];
    for config in &configs {
        let (full, reduced) = (find(config, false), find(config, true));
        assert!(full.to_the_end && reduced.to_the_end, "{}", show::line(config, &full));
        assert!(reduced.states < full.states, "{} is reduced", config.name);
        assert_eq!(outcomes(&full), outcomes(&reduced), "{}", config.name);
    }
}

#[test]
fn no_configuration_that_must_hold_is_without_a_rule() {
    let all = format!("{:?}", Rules::ALL);
    for config in configs::all() {
        let holds = config.breaks.is_none();
        assert_eq!(config.name.starts_with("h-"), holds, "{}", config.name);
        assert!(!holds || format!("{:?}", config.rules) == all, "{}", config.name);
    }
}
