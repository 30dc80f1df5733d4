//! The promises of the store port, attacked over the wire: three instances on one server that
//! speaks MongoDB's protocol. The other cases, and one instance, are in the crate's own tests.

use std::sync::atomic::{AtomicUsize, Ordering};

use seqline_core::testing::contract::run_named;
use seqline_mongo::Options;
use seqline_mongo::testing::Instances;

use crate::support::mongo::Mongo;

/// Those in which the wire and a real server's replies matter, and that take seconds.
const CASES: &[&str] = &[
    "entries_are_numbered_from_one_without_holes",
    "refused_sends_burn_no_number",
    "a_send_reaches_its_conversation_and_every_inbox",
    "a_conversation_has_one_order_in_every_inbox",
    "a_repeat_returns_the_first_answer",
    "another_payload_under_the_same_key_is_a_conflict",
    "the_same_key_at_the_same_instant_is_stored_once",
    "a_key_counts_in_its_conversation_alone",
    "a_key_counts_until_its_window_is_over",
    "a_body_comes_back_byte_for_byte",
    "a_receipt_names_the_receivers_position",
    "ids_that_look_alike_share_nothing",
    "the_longest_ids_are_told_apart",
    "a_page_has_what_was_asked_for_and_no_more",
    "bounds_answer_in_the_order_asked",
    "a_trim_forgets_the_oldest_and_says_so",
    "the_newest_entry_always_stays",
    "growth_before_the_wait_counts",
    "a_close_finishes_what_was_begun",
    "a_check_counts_everything_and_finds_nothing_wrong",
];

#[test]
fn three_instances_keep_the_promises_over_the_wire() {
    let mongo = Mongo::in_memory();
    let next = AtomicUsize::new(0);
    for case in CASES {
        let database = format!("case_{}", next.fetch_add(1, Ordering::Relaxed));
        let options = Options { uri: mongo.uri(), database, ..Options::default() };
        let begin = std::time::Instant::now();
        run_named(case, &Instances::on(options, 3));
        println!("{case}: {:?}", begin.elapsed());
    }
}
