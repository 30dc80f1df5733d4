//! Promise 7: a body comes back byte for byte.

use super::scene::{End, Scene, direct, group, inbox, whole};
use super::subject::Subject;
use crate::limits::MESSAGE_BYTES_MAX;

/// Bodies that a store which understands JSON would be tempted to improve.
const BODIES: [&str; 14] = [
    "{}",
    "{ }",
    "\n\t {\"b\" : 1,\r\n\"a\":2 } \n",
    r#"{"a":1,"a":2,"a":1}"#,
    r#"{"n":9007199254740993,"m":123456789012345678901234567890}"#,
    r#"{"n":1.0,"m":1e400,"o":-0.0,"p":1E+2,"q":0.1000}"#,
    r#"{"\u0061":"\u00e9\/\u002F"}"#,
    "{\"a\":\"é\u{2028}\u{feff}\u{1F600}\"}",
    r#"{"a\u0000b":"\u0000","lone":"\ud800"}"#,
    r#"{"<script>":"&amp;"}"#,
    "{\"del\":\"\u{7f}\"}",
    r#"{"z":{"y":{"x":[[[],{}],null,true,false,""]}}}"#,
    r#"{"Seq":"1","at":0,"message":"{}"}"#,
    r#"{"":""}"#,
];

/// Odd bodies, alone and in groups, read at once and after restarts.
pub fn a_body_comes_back_byte_for_byte(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    for body in BODIES {
        scene.sent(direct("a", "b", body));
        scene.sent(group("g", ["a", "b", "c"], body));
    }
    scene.verify();
    let page = scene.run(scene.store().read(whole(&inbox("c")))).expect("an inbox can be read");
    let read: Vec<&str> = page.entries.iter().map(|entry| entry.message.body.as_str()).collect();
    assert_eq!(read, BODIES, "a body comes back byte for byte");
    scene.restart(End::Abrupt);
    scene.restart(End::Clean);
}

/// The smallest body, the largest, and sizes around those at which buffers and blocks end.
pub fn bodies_of_every_size_come_back_whole(subject: &dyn Subject) {
    let mut scene = Scene::new(subject);
    let around = [512, 4_096, 16_384, 32_768, 65_536];
    let sizes = around.into_iter().flat_map(|size| [size - 1, size, size + 1]);
    for (size, seed) in sizes.chain([MESSAGE_BYTES_MAX - 1, MESSAGE_BYTES_MAX]).zip(1..) {
        let text = filled(size, seed);
        assert_eq!(text.len(), size);
        scene.sent(direct("a", "b", &text));
    }
    for seed in 100..108 {
        scene.sent(group("g", ["a", "b"], &filled(MESSAGE_BYTES_MAX, seed)));
    }
    scene.verify();
    scene.restart(End::Abrupt);
    scene.restart(End::Clean);
}

/// A body of `size` bytes that hardly compresses.
fn filled(size: usize, seed: u64) -> String {
    let mut random = super::random::Random::new(seed);
    let mut text = String::from("{\"a\":\"");
    while text.len() < size - 2 {
        let letter = b'#' + u8::try_from(random.below(57)).expect("57 letters");
        text.push(char::from(letter));
    }
    text.push_str("\"}");
    text
}
