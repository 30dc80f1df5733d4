//! Reads: ranges, directions, limits, and whether more follows.

use super::random::Random;
use super::scene::{End, Scene, direct, direct_timeline, group, group_timeline, inbox, whole};
use super::subject::Subject;
use crate::id::TimelineId;
use crate::page::{Bounds, Direction, Entry, Read};
use crate::seq::Seq;

/// Entries of three timelines, enough to cross the blocks a store may keep them in.
const SENDS: u64 = 150;

/// Any range, either way, under any limits, gives exactly the entries it should.
pub fn a_page_has_what_was_asked_for_and_no_more(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    for index in 0..SENDS {
        let text = format!(r#"{{"{}":{index}}}"#, "x".repeat((index * index % 400) as usize));
        scene.sent(match index % 3 {
            0 => group("g", ["a", "b"], &text),
            1 => direct("a", "b", &text),
            _ => direct("b", "a", &text),
        });
    }
    let mut random = Random::new(7);
    for _ in 0..2 {
        for timeline in [inbox("a"), direct_timeline("a", "b"), group_timeline("g")] {
            let all = scene.run(scene.store().read(whole(&timeline))).expect("it can be read");
            assert!(!all.more, "a page holds all there is");
            for _ in 0..150 {
                check(&scene, &all.entries, &any_read(&timeline, &mut random));
            }
        }
        scene.restart(End::Abrupt);
    }
}

fn any_read(timeline: &TimelineId, random: &mut Random) -> Read {
    let one_of = [0, 1, 63, 64, 65, 100, SENDS - 1, SENDS, SENDS + 5, u64::MAX];
    let mut seq = || match random.below(3) {
        0 => Seq::new(one_of[random.below(one_of.len() as u64) as usize]),
        _ => Seq::new(random.below(SENDS + 3)),
    };
    let (after, until) = (seq(), seq());
    let entries_max = [0, 1, 2, 5, 63, 64, 65, 1_000, usize::MAX][random.below(9) as usize];
    let bytes_max = [0, 1, 10, 500, 5_000, usize::MAX][random.below(6) as usize];
    let direction = [Direction::Forward, Direction::Backward][random.below(2) as usize];
    let until = if random.below(3) == 0 { Seq::MAX } else { until };
    Read { timeline: timeline.clone(), after, until, direction, entries_max, bytes_max }
}

fn check(scene: &Scene<'_>, all: &[Entry], read: &Read) {
    let page = scene.run(scene.store().read(read.clone())).expect("a timeline can be read");
    let mut range: Vec<&Entry> =
        all.iter().filter(|entry| read.after < entry.seq && entry.seq <= read.until).collect();
    if read.direction == Direction::Backward {
        range.reverse();
    }
    let mut bytes = 0;
    let fitting = range.iter().take(read.entries_max).enumerate().take_while(|(index, entry)| {
        bytes += entry.message.body.len();
        *index == 0 || bytes <= read.bytes_max
    });
    let expected: Vec<&Entry> = fitting.map(|(_, entry)| *entry).collect();
    assert!(page.entries.iter().eq(expected.iter().copied()), "the entries of {read:?}");
    assert_eq!(page.more, expected.len() < range.len(), "whether more follows {read:?}");
    let latest = all.last().map_or(Seq::ZERO, |entry| entry.seq);
    assert_eq!(page.bounds, Bounds { first: Seq::FIRST, latest }, "the bounds of {read:?}");
}

/// A page ends before the body that would pass the limit; one too large comes alone.
pub fn a_body_past_the_limit_of_a_page_comes_alone(subject: &dyn Subject) {
    let scene = Scene::new(subject);
    let large = format!(r#"{{"a":"{}"}}"#, "y".repeat(1_000));
    for text in [&large, "{}", "{}", &large, "{}"] {
        scene.sent(direct("a", "b", text));
    }
    let mut read = Read { bytes_max: 100, ..whole(&inbox("b")) };
    let mut counts = Vec::new();
    loop {
        let page = scene.run(scene.store().read(read.clone())).expect("it can be read");
        counts.push(page.entries.len());
        if !page.more {
            break;
        }
        read.after = page.entries.last().expect("a page with more is not empty").seq;
    }
    assert_eq!(counts, [1, 2, 1, 1]);
}

/// Timelines nobody sent to are empty, asking does not change that, and answers keep the order
/// of the question.
pub fn bounds_answer_in_the_order_asked(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    let none = scene.run(scene.store().bounds(Vec::new())).expect("bounds can be read");
    assert!(none.is_empty());
    for end in [End::Clean, End::Abrupt] {
        let page = scene.run(scene.store().read(whole(&inbox("nobody")))).expect("it is empty");
        assert_eq!((page.entries.len(), page.bounds, page.more), (0, Bounds::EMPTY, false));
        scene.restart(end);
    }
    for count in [3, 1, 2] {
        for _ in 0..count {
            scene.sent(direct(&count.to_string(), "hub", "{}"));
        }
    }
    for end in [End::Abrupt, End::Clean] {
        let asked = ["3", "nobody", "1", "hub", "2", "3"].map(inbox).to_vec();
        let bounds = scene.run(scene.store().bounds(asked)).expect("bounds can be read");
        let latest: Vec<u64> = bounds.iter().map(|bounds| bounds.latest.get()).collect();
        assert_eq!(latest, [3, 0, 1, 6, 2, 3]);
        assert!(bounds.iter().all(|bounds| bounds.first == Seq::FIRST));
        scene.restart(end);
    }
}
