//! Made-up chat of the shape of real chat: groups of many speakers of whom few speak much, two
//! lines in five address somebody. Always the same lines, so that runs can be compared.

use serde_json::json;

/// Lines of one group, about; real channels had so many in a day.
const LINES_PER_GROUP: u64 = 1_250;
const SEED: u64 = 0x5eed_1e55;

const WORDS: [&str; 16] = [
    "so",
    "the",
    "driver",
    "works",
    "吃了吗？",
    "since",
    "\"upgrade\"",
    "C:\\new",
    "🙂",
    "then",
    "ça",
    "reboot\n",
    "and",
    "it",
    "hangs\t",
    "</script>",
];

/// A small generator of numbers that look random (SplitMix64).
pub struct Random(u64);

impl Random {
    /// Always the same numbers for the same `seed`.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is at least 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.bits() % bound
    }

    /// A number below `bound`, the smaller the likelier.
    fn skewed(&mut self, bound: u64) -> u64 {
        let (one, other) = (self.below(bound), self.below(bound));
        one * other / bound
    }
}

/// So many lines.
pub fn lines(count: u64) -> impl Iterator<Item = String> {
    let mut random = Random::new(SEED);
    let groups = (count / LINES_PER_GROUP).max(4);
    // A group has about a tenth as many speakers as lines, at most 237.
    let speakers_max = (count / groups / 6).clamp(3, 237);
    (0..count).map(move |line| line_of(line, groups, speakers_max, &mut random))
}

fn line_of(line: u64, groups: u64, speakers_max: u64, random: &mut Random) -> String {
    let group = random.below(groups);
    let pool = speakers_max - (group * 7) % (speakers_max / 2 + 1);
    // Neighbouring groups share some of their speakers.
    let person = |index: u64| name(group * speakers_max * 3 / 4 + index);
    let from = random.skewed(pool);
    let minute = line / 3;
    let at =
        format!("2024-01-{:02} {:02}:{:02}", minute / 1440 % 28 + 1, minute / 60 % 24, minute % 60);
    let mut fields = json!({
        "at": at,
        "from": person(from),
        "group": format!("#group/{group:04}"),
        "text": text(random),
    });
    match random.below(1_000) {
        0 => fields["to"] = person(from).into(),
        1..=3 => fields["to"] = format!("silent {}", random.below(50)).into(),
        4..=410 => fields["to"] = person(random.skewed(pool)).into(),
        _ => {}
    }
    fields.to_string()
}

/// People's names: mostly plain ones, and some that hold what separates ids elsewhere.
fn name(number: u64) -> String {
    match number % 23 {
        3 => format!("吃{number}"),
        7 => format!("a:{number}"),
        11 => format!("x/{number}?"),
        17 => format!("Zoë {number}%"),
        _ => format!("u{number}"),
    }
}

fn text(random: &mut Random) -> String {
    let words = random.skewed(30) + 1;
    let mut text = String::new();
    for _ in 0..words {
        text.push_str(WORDS[random.below(WORDS.len() as u64) as usize]);
        text.push(' ');
    }
    text
}
