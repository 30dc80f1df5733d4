//! People chat: what one sends the others see, once, in order, as text.

use serde_json::{Value, json};

use super::browser::{Browser, Window};
use crate::support::{Server, http};

/// The texts of an inbox or a conversation, straight from the API.
fn texts(server: &Server, target: &str) -> Vec<String> {
    let page = http::get(server.http, target).json();
    let entries = page["entrySet"].as_array().unwrap().iter();
    let message = |e: &Value| serde_json::from_str::<Value>(e["message"].as_str().unwrap());
    entries.map(|e| message(e).unwrap()["text"].as_str().unwrap().to_owned()).collect()
}

/// Starts a group through the page's own window for it.
fn start_group(window: &Window, name: &str, members: &[&str]) {
    window.click(".side .accent");
    window.click(".choices label:nth-child(2)");
    window.types("#peer", name);
    for member in members {
        window.types("#member-input", &format!("{member}\n"));
    }
    window.click("dialog .primary");
    window.until("!document.querySelector('dialog')");
}

#[test]
fn the_seed_scenario_plays_through_the_page() {
    let server = Server::start();
    let browser = Browser::start(server.http);
    let a = browser.open("#/a");
    a.sees("Your inbox is empty");
    a.click(".side .accent");
    a.types("#peer", "b\n");
    a.says("吃了吗？");
    a.shows(&["吃了吗？"]);

    let b = browser.open("#/b");
    b.until("document.querySelector('.conversations .badge').textContent.startsWith('1')");
    b.until("document.title === '(1) b · Seqline'");
    b.click(".conversations a");
    b.shows(&["吃了吗？"]);
    b.until("document.title === 'b · Seqline' && !document.querySelector('.badge')");
    b.says("吃了");
    a.shows(&["吃了吗？", "吃了"]);

    start_group(&a, "group_a", &["c", "d"]);
    a.says("hello group");
    let c = browser.open("#/c");
    c.click(".conversations a");
    c.shows(&["hello group"]);
    c.sees("3 members: a, c, d");
    c.says("nice to meet you");
    a.shows(&["hello group", "nice to meet you"]);
    a.says("三个人");
    let group = ["hello group", "nice to meet you", "三个人"];
    c.shows(&group);
    let d = browser.open("#/d/g/group_a");
    d.shows(&group);
    // The seqs of the conversation and of the inbox stand beside each message.
    assert_eq!(a.value("document.querySelector('[data-seq=\"3\"] .seq').textContent"), "#3");
    assert_eq!(
        a.value("document.querySelector('[data-seq=\"3\"] .inbox-seq').textContent"),
        "inbox 5"
    );

    let sync = |member| texts(&server, &format!("/timeline/sync?member={member}"));
    assert_eq!(sync("a"), ["吃了吗？", "吃了", "hello group", "nice to meet you", "三个人"]);
    assert_eq!(sync("b"), ["吃了吗？", "吃了"]);
    assert_eq!(sync("c"), group);
    assert_eq!(sync("d"), group);
    assert_eq!(texts(&server, "/timeline/history/single/b/a"), ["吃了吗？", "吃了"]);
    assert_eq!(texts(&server, "/timeline/history/group/group_a"), group);
    a.stays_at_home();
    browser.quiet();
}

#[test]
fn markup_in_a_message_stays_text() {
    let server = Server::start();
    let browser = Browser::start(server.http);
    let hostile = [
        "<img src=x onerror=\"document.title='owned'\">",
        "</script><script>document.title='owned'</script>",
        "<b>bold</b> &amp; \u{202e}reversed",
    ];
    let mallory = "<i>mallory</i>";
    for text in hostile {
        let message = json!({"from": mallory, "to": "alice", "text": text}).to_string();
        let body = json!({"from": mallory, "to": "alice", "message": message});
        assert_eq!(http::post_json(server.http, "/timeline/send", &body).status, 200);
    }
    let alice = browser.open("#/alice");
    alice.sees(mallory);
    alice.click(".conversations a");
    alice.shows(&hostile);
    alice.says(hostile[0]);
    alice.shows(&[hostile[0], hostile[1], hostile[2], hostile[0]]);
    let made =
        "document.querySelectorAll('#app img, #app b, #app i:not(.dot), #app script').length";
    assert_eq!(alice.value(made), 0);
    assert_eq!(alice.value("document.title"), "alice · Seqline");
    browser.quiet();
}

#[test]
fn messages_of_other_clients_are_shown_as_they_are() {
    let server = Server::start();
    let browser = Browser::start(server.http);
    for message in [r#"{"n":12345678901234567890,"kind":"image"}"#, r#"{"text":"plain"}"#] {
        let body = json!({"from": "bot", "to": "alice", "message": message});
        assert_eq!(http::post_json(server.http, "/timeline/send", &body).status, 200);
    }
    let alice = browser.open("#/alice");
    alice.sees("Other messages");
    alice.click(".conversations a");
    alice.sees(r#"{"n":12345678901234567890,"kind":"image"}"#);
    alice.sees(r#"{"text":"plain"}"#);
    alice.sees("inbox 2");
    // The same messages stand in the history of the two, where they have numbers.
    alice.go("#/alice/d/bot");
    alice.until("document.querySelectorAll('[data-seq]').length === 2");
    alice.sees("#2");
    browser.quiet();
}

#[test]
fn any_age_of_a_long_history_can_be_scrolled_to() {
    const MESSAGES: usize = 700;
    let server = Server::start();
    let browser = Browser::start(server.http);
    for n in 1..=MESSAGES {
        let text = format!("message {n}: {}", "words ".repeat(n % 40));
        let message = json!({"from": "bob", "to": "alice", "text": text}).to_string();
        let body = json!({"from": "bob", "to": "alice", "message": message});
        assert_eq!(http::post_json(server.http, "/timeline/send", &body).status, 200);
    }
    let alice = browser.open("#/alice/d/bob");
    let seqs = "[...document.querySelectorAll('[data-seq]')].map(e => Number(e.dataset.seq))";
    alice.until(&format!("{seqs}.at(-1) === {MESSAGES}"));
    let mut oldest = MESSAGES as u64;
    while oldest > 1 {
        alice.value("document.querySelector('.log').scrollTop = 0");
        // What was first is still there after older messages came above it, and stays in view.
        alice.until(&format!("{seqs}[0] < {oldest}"));
        let shown = alice.value(seqs);
        let shown: Vec<u64> =
            shown.as_array().unwrap().iter().map(|s| s.as_u64().unwrap()).collect();
        assert!(shown.windows(2).all(|pair| pair[1] == pair[0] + 1), "{shown:?}");
        assert!(shown.len() <= 300, "only what is near stays in the page: {}", shown.len());
        oldest = shown[0];
    }
    alice.sees("This is where the conversation begins");
    // What arrives while reading old messages does not move them, and is announced.
    let message = json!({"from": "bob", "to": "alice", "text": "news"}).to_string();
    let body = json!({"from": "bob", "to": "alice", "message": message});
    http::post_json(server.http, "/timeline/send", &body);
    alice.until("document.querySelector('.newest').dataset.fresh === '1 new'");
    alice.click(".newest");
    alice.until(&format!("{seqs}.at(-1) === {}", MESSAGES + 1));

    alice.click("[aria-label='Go to a message']");
    alice.types("#seq", "345\n");
    alice.until("document.querySelector('[data-seq=\"345\"].found')");
    let inside = "(() => { const row = document.querySelector('.found').getBoundingClientRect(); \
        const log = document.querySelector('.log').getBoundingClientRect(); \
        return row.top >= log.top && row.bottom <= log.bottom; })()";
    assert_eq!(alice.value(inside), true);
    browser.quiet();
}

#[test]
fn a_lost_answer_or_connection_sends_nothing_twice() {
    let server = Server::start();
    let browser = Browser::start(server.http);
    let alice = browser.open("#/alice/d/bob");
    alice.until("document.querySelector('#message')");
    // The server stores the message; its answer gets lost on the way back.
    alice.value(
        "(() => { const real = window.fetch; let lost = 0; window.fetch = async (url, init) => { \
         const answer = await real(url, init); \
         if (init.method === 'POST' && lost++ < 2) throw new TypeError('connection lost'); \
         return answer; }; return true; })()",
    );
    alice.says("once");
    alice.says("and in order");
    alice.shows(&["once", "and in order"]);
    alice.until("!document.querySelector('.pending')");
    let history = texts(&server, "/timeline/history/single/alice/bob");
    assert_eq!(history, ["once", "and in order"]);

    // Nothing gets through any more: the message says so, waits, and survives a reload.
    alice.value(
        "(() => { window.fetch = async () => { throw new TypeError('offline'); }; \
         return true; })()",
    );
    alice.says("later");
    alice.sees("Not sent yet: offline. Trying again.");
    alice.sees("No connection to the server");
    alice.reload();
    alice.shows(&["once", "and in order", "later"]);
    let history = texts(&server, "/timeline/history/single/alice/bob");
    assert_eq!(history, ["once", "and in order", "later"]);
    browser.quiet();
}

#[test]
fn a_message_the_server_refuses_says_why_and_can_be_discarded() {
    let server = Server::start();
    let browser = Browser::start(server.http);
    let alice = browser.open("#/alice/d/bob");
    alice.until("document.querySelector('#message')");
    let large = "(() => { const input = document.querySelector('#message'); \
        input.value = 'x'.repeat(300000); \
        input.dispatchEvent(new Event('input')); return true; })()";
    alice.value(large);
    alice.click(".send");
    alice.until("document.querySelector('.pending.failed .problem').textContent.length > 20");
    alice.says("short enough");
    alice.shows(&["short enough"]);
    alice.click(".pending.failed .link:last-child");
    alice.until("!document.querySelector('.pending')");
    assert_eq!(texts(&server, "/timeline/sync?member=bob"), ["short enough"]);
    assert!(browser.console().contains("400"), "the browser itself logs the refused request");
}

#[test]
fn one_browser_remembers_who_was_there_and_each_window_is_somebody() {
    let server = Server::start();
    let browser = Browser::start(server.http);
    let first = browser.open("");
    first.sees("Who are you?");
    first.types("#name", "小明\n");
    first.until("location.hash === '#/%E5%B0%8F%E6%98%8E'");
    let second = browser.open("");
    second.until("document.querySelector('.person').textContent.includes('小明')");
    second.types("#name", "bob\n");
    second.until("document.querySelector('.me strong').textContent === 'bob'");
    first.reload();
    first.until("document.querySelector('.me strong').textContent === '小明'");
    // Switching is two clicks away.
    first.click(".me");
    first.click("dialog .person");
    first.until("document.querySelector('.me strong').textContent === 'bob'");
    first.until("!document.querySelector('dialog')");
    browser.quiet();
}
