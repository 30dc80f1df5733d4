//! Compares what came back with the plan, entry by entry, in one pass and little memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use foldhash::fast::RandomState;

use super::body::{self, Kind};
use super::plan::{Conversation, Plan};

/// How many differences are shown; all are counted.
const SHOWN_MAX: usize = 10;
/// How much of a message a difference shows.
const EXCERPT_CHARS: usize = 60;

/// What is not as it must be.
#[derive(Debug, Default)]
pub struct Differences {
    count: AtomicU64,
    first: Mutex<Vec<String>>,
}

impl Differences {
    /// One more.
    pub fn add(&self, text: impl FnOnce() -> String) {
        if self.count.fetch_add(1, Ordering::Relaxed) < SHOWN_MAX as u64 {
            self.first.lock().unwrap_or_else(PoisonError::into_inner).push(text());
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The first few.
    pub fn first(&self) -> Vec<String> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A cursor over one timeline: an inbox, or a conversation.
pub struct Check<'a> {
    plan: &'a Plan,
    /// The timeline's name, for people.
    name: String,
    /// How far each conversation that must be in here has been seen.
    seen: HashMap<Conversation, u32, RandomState>,
    latest: i64,
    differences: &'a Differences,
}

impl<'a> Check<'a> {
    /// A timeline that must hold exactly the messages of `conversations`.
    pub fn new(
        plan: &'a Plan,
        name: String,
        conversations: &[Conversation],
        differences: &'a Differences,
    ) -> Check<'a> {
        let seen = conversations.iter().map(|conversation| (*conversation, 0)).collect();
        Check { plan, name, seen, latest: 0, differences }
    }

    /// The position after which the next page begins.
    pub fn latest(&self) -> i64 {
        self.latest
    }

    /// Takes in the next entry.
    pub fn entry(&mut self, seq: i64, message: &str) {
        if seq != self.latest + 1 {
            self.differ(seq, || format!("its number should be {}", self.latest + 1));
        }
        self.latest = seq;
        if let Err(difference) = self.message(message) {
            self.differ(seq, || difference);
        }
    }

    fn message(&mut self, message: &str) -> Result<(), String> {
        let foreign = || format!("nobody sent this here: {}", excerpt(message));
        let (kind, number, rest) = body::decode(message).ok_or_else(foreign)?;
        let line = self.plan.line(number).map(|index| &self.plan.lines[index as usize]);
        let line = line.ok_or_else(foreign)?;
        let place = match kind {
            Kind::Group => Some(line.group),
            Kind::Direct => line.direct,
        };
        let (conversation, position) = place.ok_or_else(foreign)?;
        let Some(seen) = self.seen.get_mut(&conversation) else {
            let name = self.plan.name(conversation);
            return Err(format!("line {number} belongs to {name}, not here"));
        };
        let expected = *seen + 1;
        *seen = position.max(*seen);
        if self.plan.print(rest) != line.print {
            return Err(format!("line {number} is altered: {}", excerpt(message)));
        }
        if position == expected {
            return Ok(());
        }
        let name = self.plan.name(conversation);
        Err(match position.checked_sub(expected) {
            Some(missing) => {
                format!("{missing} messages of {name} are missing before line {number}")
            }
            None => format!("line {number} of {name} comes again, or too late"),
        })
    }

    /// Ends the timeline; `latest` is its newest entry as the server says it, if it does.
    pub fn finish(self, latest: Option<i64>) {
        if let Some(said) = latest.filter(|latest| *latest != self.latest) {
            self.differ(self.latest, || format!("the last entry, but the server says {said}"));
        }
        for (conversation, seen) in &self.seen {
            let all = self.plan.threads[*conversation as usize].lines.len();
            let missing = all - *seen as usize;
            if missing > 0 {
                let name = self.plan.name(*conversation);
                self.differ(self.latest, || {
                    format!(
                        "the end, and the last {missing} of {all} messages of {name} are missing"
                    )
                });
            }
        }
    }

    /// Notes that the timeline is not right at `seq`.
    pub fn differ(&self, seq: i64, what: impl FnOnce() -> String) {
        self.differences.add(|| format!("{}, entry {seq}: {}", self.name, what()));
    }
}

fn excerpt(message: &str) -> String {
    let start: String = message.chars().take(EXCERPT_CHARS).collect();
    let more = if start.len() < message.len() { "…" } else { "" };
    format!("{start:?}{more}")
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::plan;
    use super::*;

    const LINES: [&str; 4] = [
        r#"{"from":"a","group":"g","text":"1","to":"b"}"#,
        r#"{"from":"b","group":"g","text":"2"}"#,
        r#"{"from":"a","group":"g","text":"2"}"#,
        r#"{"from":"c","group":"h","text":"4"}"#,
    ];

    fn group(line: usize) -> String {
        body::encode(Kind::Group, line as u64, body::rest(LINES[line - 1]).unwrap())
    }

    fn direct(line: usize) -> String {
        body::encode(Kind::Direct, line as u64, body::rest(LINES[line - 1]).unwrap())
    }

    /// Checks what would be the inbox of `a`, who must have lines 1 to 3 of the group `g` and the
    /// direct message of line 1.
    #[track_caller]
    fn check(entries: &[(i64, String)], latest: i64, expected: &[&str]) {
        let plan = plan(&LINES);
        let differences = Differences::default();
        let mut check = Check::new(&plan, "a".to_owned(), &plan.memberships()[0], &differences);
        for (seq, message) in entries {
            check.entry(*seq, message);
        }
        check.finish(Some(latest));
        let mut found = differences.first();
        found.sort();
        assert_eq!(found, expected);
        assert_eq!(differences.count(), expected.len() as u64);
    }

    fn good() -> Vec<(i64, String)> {
        (1..).zip([group(1), group(2), direct(1), group(3)]).collect()
    }

    fn changed(change: impl FnOnce(&mut Vec<(i64, String)>)) -> Vec<(i64, String)> {
        let mut entries = good();
        change(&mut entries);
        entries
    }

    #[test]
    fn conversations_may_mix_in_any_way() {
        check(&good(), 4, &[]);
        let mixed = (1..).zip([direct(1), group(1), group(2), group(3)]).collect::<Vec<_>>();
        check(&mixed, 4, &[]);
    }

    #[test]
    fn a_changed_byte_is_found() {
        let entries = changed(|e| e[1].1 = e[1].1.replace('2', "3").replace(":3,", ":2,"));
        let text = r#""{\"line\":2,\"from\":\"b\",\"group\":\"g\",\"text\":\"3\"}""#;
        check(&entries, 4, &[&format!("a, entry 2: line 2 is altered: {text}")]);
    }

    #[test]
    fn a_space_more_is_a_change() {
        let entries = changed(|e| e[3].1.push(' '));
        let text = r#""{\"line\":3,\"from\":\"a\",\"group\":\"g\",\"text\":\"2\"} ""#;
        check(&entries, 4, &[&format!("a, entry 4: line 3 is altered: {text}")]);
    }

    #[test]
    fn messages_that_changed_places_are_found() {
        let entries = changed(|e| (e[0].1, e[1].1) = (group(2), group(1)));
        check(
            &entries,
            4,
            &[
                "a, entry 1: 1 messages of group \"p-g\" are missing before line 2",
                "a, entry 2: line 1 of group \"p-g\" comes again, or too late",
            ],
        );
    }

    #[test]
    fn a_lost_message_is_found_wherever_it_was() {
        let lost_last: Vec<_> = good().into_iter().take(3).collect();
        let end = "a, entry 3: the end, and the last 1 of 3 messages of group \"p-g\" are missing";
        check(&lost_last, 3, &[end]);
        check(&lost_last, 4, &[end, "a, entry 3: the last entry, but the server says 4"]);
        let lost_second: Vec<_> = (1..).zip([group(1), direct(1), group(3)]).collect();
        let before = "a, entry 3: 1 messages of group \"p-g\" are missing before line 3";
        check(&lost_second, 3, &[before]);
    }

    #[test]
    fn a_repeated_message_is_found() {
        let entries: Vec<_> =
            (1..).zip([group(1), group(1), direct(1), group(2), group(3)]).collect();
        check(&entries, 5, &["a, entry 2: line 1 of group \"p-g\" comes again, or too late"]);
    }

    #[test]
    fn what_nobody_sent_or_others_should_have_is_found() {
        let extra = changed(|e| e.push((5, "{\"text\":\"hi\"}".to_owned())));
        let text = r#"a, entry 5: nobody sent this here: "{\"text\":\"hi\"}""#;
        check(&extra, 5, &[text]);
        let extra = changed(|e| e.push((5, group(4))));
        check(&extra, 5, &["a, entry 5: line 4 belongs to group \"p-h\", not here"]);
        let never = body::encode(Kind::Direct, 2, body::rest(LINES[1]).unwrap());
        let extra = changed(|e| e.push((5, never)));
        let text = r#"{\"direct\":2,\"from\":\"b\",\"group\":\"g\",\"text\":\"2\"}"#;
        check(&extra, 5, &[&format!("a, entry 5: nobody sent this here: \"{text}\"")]);
    }

    #[test]
    fn a_hole_or_a_step_back_in_the_numbers_is_found() {
        let entries = changed(|e| e[2].0 = 4);
        let expected = ["a, entry 4: its number should be 3", "a, entry 4: its number should be 5"];
        check(&entries, 4, &expected);
    }

    #[test]
    fn only_the_first_differences_are_kept() {
        let differences = Differences::default();
        (0..1_000).for_each(|n| differences.add(|| n.to_string()));
        assert_eq!((differences.count(), differences.first().len()), (1_000, SHOWN_MAX));
    }
}
