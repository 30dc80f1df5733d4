//! The list of cases, and the ways to run them.

use super::subject::Subject;
use super::*;

/// One attack on one promise.
#[derive(Clone, Copy)]
pub struct Case {
    /// What must hold, as a sentence in snake case.
    pub name: &'static str,
    /// Runs it on an empty subject; panics if the promise is broken.
    pub run: fn(&dyn Subject),
}

/// Runs every case, each on a subject of its own.
pub fn run<S: Subject>(make: impl Fn() -> S) {
    for case in CASES {
        (case.run)(&make());
    }
}

/// Makes [`CASES`] and `contract_tests!` from one list, so that neither can forget a case.
macro_rules! cases {
    ($dollar:tt $($module:ident: $($name:ident),+;)+) => {
        /// Every case, in the order of the promises.
        pub const CASES: &[Case] = &[
            $($(Case { name: stringify!($name), run: $module::$name },)+)+
        ];

        /// One `#[test]` per case of the contract suite, on what the expression makes.
        #[macro_export]
        macro_rules! contract_tests {
            ($dollar make:expr) => {
                $($(
                    #[test]
                    fn $name() {
                        $crate::testing::contract::run_named(stringify!($name), &$dollar make());
                    }
                )+)+
            };
        }
    };
}

cases! { $
    contiguous:
        entries_are_numbered_from_one_without_holes,
        refused_sends_burn_no_number;
    overtaking:
        followers_see_no_hole_no_step_back_and_no_change;
    durable:
        acknowledged_sends_survive_a_kill_under_load,
        every_single_send_survives_a_restart,
        what_was_read_survives_a_kill;
    all_or_nothing:
        a_send_reaches_its_conversation_and_every_inbox,
        a_send_given_up_is_whole_or_absent,
        a_group_of_ten_thousand_has_every_message;
    one_order:
        a_conversation_has_one_order_in_every_inbox,
        times_of_a_conversation_never_step_back;
    exactly_once:
        a_repeat_returns_the_first_answer,
        another_payload_under_the_same_key_is_a_conflict,
        the_same_key_at_the_same_instant_is_stored_once,
        payloads_that_race_for_a_key_have_one_winner,
        a_key_counts_in_its_conversation_alone,
        a_key_counts_until_its_window_is_over,
        a_send_given_up_and_repeated_is_stored_once;
    byte_exact:
        a_body_comes_back_byte_for_byte,
        bodies_of_every_size_come_back_whole;
    honest_positions:
        latest_can_always_be_read,
        an_acknowledged_send_can_be_read_at_once,
        a_receipt_names_the_receivers_position;
    ids:
        ids_that_look_alike_share_nothing,
        the_longest_ids_are_told_apart;
    reads:
        a_page_has_what_was_asked_for_and_no_more,
        a_body_past_the_limit_of_a_page_comes_alone,
        bounds_answer_in_the_order_asked;
    trim:
        a_trim_forgets_the_oldest_and_says_so,
        the_newest_entry_always_stays,
        a_trim_of_nothing_changes_nothing,
        trims_while_others_send_leave_no_hole;
    watch:
        two_who_take_turns_never_wait_in_vain,
        growth_before_the_wait_counts,
        all_who_watch_a_timeline_wake;
    close:
        a_closed_store_refuses_everything,
        a_close_finishes_what_was_begun,
        a_check_counts_everything_and_finds_nothing_wrong;
}

/// Runs the case called `name`; what `contract_tests!` calls.
///
/// # Panics
/// If there is none, or the subject breaks the promise.
pub fn run_named(name: &str, subject: &dyn Subject) {
    let case = CASES.iter().find(|case| case.name == name).expect("a case of this name");
    (case.run)(subject);
}
