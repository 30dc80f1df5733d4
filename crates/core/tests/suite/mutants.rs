//! The suite notices every fault it was written for, and every case of it can fail.

use std::collections::BTreeSet;

use seqline_core::testing::contract::CASES;

use crate::broken::Fault::{self, *};
use crate::broken::{complaint, complaint_of_the_model};

/// A fault, a case that must notice it, and words of the complaint (either side of a `|`).
const CAUGHT: &[(Fault, &str, &str)] = &[
    (Repeats, "entries_are_numbered_from_one_without_holes", "is there already"),
    (BurnsOnConflict, "refused_sends_burn_no_number", "nobody sent or that was refused"),
    (HolesUnderLoad, "followers_see_no_hole_no_step_back_and_no_change", "no hole|never change"),
    (LatestReserved, "followers_see_no_hole_no_step_back_and_no_change", "latest"),
    (LosesNewestOnRestart, "acknowledged_sends_survive_a_kill_under_load", "what was acknowledged"),
    (LosesNewestOnRestart, "every_single_send_survives_a_restart", "what was acknowledged"),
    (ChangesEpochOnRestart, "every_single_send_survives_a_restart", "the epoch stays"),
    (ChangesEntriesOnRestart, "what_was_read_survives_a_kill", "never changes"),
    (LosesAnInbox, "a_send_reaches_its_conversation_and_every_inbox", "did not arrive"),
    (StoresHalves, "a_send_given_up_is_whole_or_absent", "did not arrive|order"),
    (CutsLargeGroups, "a_group_of_ten_thousand_has_every_message", "did not arrive"),
    (SwapsInInbox, "a_conversation_has_one_order_in_every_inbox", "conversation's order"),
    (TimesStepBack, "times_of_a_conversation_never_step_back", "time steps back"),
    (ForgetsKeysOnRestart, "a_repeat_returns_the_first_answer", "repeat: true"),
    (IgnoresConflicts, "another_payload_under_the_same_key_is_a_conflict", "a conflict: "),
    (RacyKeys, "the_same_key_at_the_same_instant_is_stored_once", "exactly one"),
    (RacyKeys, "payloads_that_race_for_a_key_have_one_winner", "exactly one|the winner's"),
    (GlobalKeys, "a_key_counts_in_its_conversation_alone", "each is a first send"),
    (KeepsKeysForEver, "a_key_counts_until_its_window_is_over", "takes this send"),
    (ForgetsKeysOnRestart, "a_key_counts_until_its_window_is_over", "within the window"),
    (RacyKeys, "a_send_given_up_and_repeated_is_stored_once", "each of 64 keys"),
    (ReformatsBodies, "a_body_comes_back_byte_for_byte", "byte for byte"),
    (TruncatesLargeBodies, "bodies_of_every_size_come_back_whole", "byte for byte"),
    (LatestReserved, "latest_can_always_be_read", "latest is what can be read"),
    (HidesNewest, "an_acknowledged_send_can_be_read_at_once", "the receipt is true"),
    (ReceiptOfSender, "a_receipt_names_the_receivers_position", "left"),
    (LooksAlike, "ids_that_look_alike_share_nothing", "alone"),
    (LooksAlike, "the_longest_ids_are_told_apart", "left"),
    (IgnoresUntil, "a_page_has_what_was_asked_for_and_no_more", "the entries of"),
    (IgnoresDirection, "a_page_has_what_was_asked_for_and_no_more", "the entries of"),
    (IgnoresBytesMax, "a_page_has_what_was_asked_for_and_no_more", "the entries of"),
    (NeverMore, "a_page_has_what_was_asked_for_and_no_more", "whether more follows"),
    (IgnoresBytesMax, "a_body_past_the_limit_of_a_page_comes_alone", "[1, 2, 1, 1]"),
    (ReversesBounds, "bounds_answer_in_the_order_asked", "pages and bounds agree|left"),
    (TrimSilent, "a_trim_forgets_the_oldest_and_says_so", "trimmed to"),
    (TrimLowersFloor, "a_trim_forgets_the_oldest_and_says_so", "trimmed to 5"),
    (TrimForgottenOnRestart, "a_trim_forgets_the_oldest_and_says_so", "only a trim moves"),
    (TrimTakesAll, "the_newest_entry_always_stays", "the newest stays"),
    (TrimTakesAll, "a_trim_of_nothing_changes_nothing", "left"),
    (HolesUnderLoad, "trims_while_others_send_leave_no_hole", "a page without a hole"),
    (DeafWatch, "two_who_take_turns_never_wait_in_vain", "misses no growth"),
    (DeafWatch, "growth_before_the_wait_counts", "misses no growth"),
    (DeafWatch, "all_who_watch_a_timeline_wake", "misses no growth"),
    (TakesAfterClose, "a_closed_store_refuses_everything", "closed, but"),
    (AcksAfterClose, "a_closed_store_refuses_everything", "closed, but"),
    (AcksAfterClose, "a_close_finishes_what_was_begun", "a close ends all sending"),
    (LosesNewestOnRestart, "a_close_finishes_what_was_begun", "what was acknowledged"),
    (Miscounts, "a_check_counts_everything_and_finds_nothing_wrong", "counts all there is"),
];

/// Faults that a plain sequence of operations shows, so that the model must notice them.
const CAUGHT_BY_THE_MODEL: &[Fault] = &[
    BurnsOnConflict,
    ForgetsKeysOnRestart,
    GlobalKeys,
    IgnoresBytesMax,
    IgnoresConflicts,
    IgnoresDirection,
    IgnoresUntil,
    KeepsKeysForEver,
    LooksAlike,
    LosesAnInbox,
    LosesNewestOnRestart,
    NeverMore,
    ReformatsBodies,
    Repeats,
    ReversesBounds,
    SwapsInInbox,
    TimesStepBack,
    TrimForgottenOnRestart,
    TrimLowersFloor,
    TrimSilent,
    TrimTakesAll,
];

#[test]
fn every_fault_is_noticed_by_the_case_against_it() {
    let mut missed = Vec::new();
    for (fault, case, words) in CAUGHT {
        match complaint(*fault, case) {
            Some(said) if words.split('|').any(|words| said.contains(words)) => {}
            said => missed.push(format!("{fault:?} in {case}: {said:.300?}")),
        }
    }
    assert!(missed.is_empty(), "\n{}\n", missed.join("\n"));
}

#[test]
fn every_case_is_seen_to_fail() {
    let all: BTreeSet<&str> = CASES.iter().map(|case| case.name).collect();
    let failing: BTreeSet<&str> = CAUGHT.iter().map(|(_, case, _)| *case).collect();
    assert_eq!(failing, all);
}

#[test]
fn the_model_notices_what_a_sequence_can_show() {
    let missed: Vec<&Fault> = CAUGHT_BY_THE_MODEL
        .iter()
        .filter(|fault| complaint_of_the_model(**fault).is_none_or(|said| !said.contains("model")))
        .collect();
    assert!(missed.is_empty(), "the model does not notice {missed:?}");
}
