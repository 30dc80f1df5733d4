//! How the page looks: both languages, both themes, desktop and phone.
//!
//! `SEQLINE_SCREENSHOTS=DIR` keeps a picture of each for a person to look at.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::browser::{Browser, Window};
use crate::support::{Server, http};

const CREW: [&str; 4] = ["alice", "bob", "李雷", "chloe"];

/// A small working day: who said what, how many minutes ago, to whom.
const DAY: [(&str, &str, u64, &str); 12] = [
    ("dave", "Here are the slides for Thursday.", 4_400, "alice"),
    ("alice", "Thank you, I will read them on the train.", 4_390, "dave"),
    ("bob", "Did the release go out?", 1_560, "alice"),
    ("alice", "Yes, at noon. No rollback needed.", 1_559, "bob"),
    ("chloe", "Morning! I put the load test figures into the shared folder.", 95, ""),
    ("bob", "Thanks. p99 looks much calmer than last week.", 94, ""),
    ("bob", "Same machine?", 93, ""),
    ("chloe", "Same machine, same data. Only the commit path changed.", 92, ""),
    ("李雷", "太好了，我这边同步也很顺。断网十分钟后重连，一条没漏，顺序也对。", 60, ""),
    (
        "alice",
        "Perfect. Then let us ship it today:\n• tag at 14:00\n• watch the dashboards",
        20,
        "",
    ),
    ("小明", "吃了吗？", 4, "alice"),
    ("bob", "Lunch first?", 3, "alice"),
];

fn furnish(server: &Server) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    for (from, text, minutes, to) in DAY {
        let at = (now - Duration::from_secs(minutes * 60)).as_millis() as u64;
        let reply = if to.is_empty() {
            let message = json!({"from": from, "group": "Release crew", "members": CREW,
                "text": text, "at": at});
            let body = json!({"group_name": "Release crew", "group_members": CREW,
                "message": message.to_string()});
            http::post_json(server.http, "/timeline/sendGroup", &body)
        } else {
            let message = json!({"from": from, "to": to, "text": text, "at": at});
            let body = json!({"from": from, "to": to, "message": message.to_string()});
            http::post_json(server.http, "/timeline/send", &body)
        };
        assert_eq!(reply.status, 200);
    }
}

/// Nothing sticks out sideways, and every text stands out enough from what is behind it.
fn looks_right(window: &Window, name: &str) {
    let wide = window.value("document.documentElement.scrollWidth > innerWidth");
    assert_eq!(wide, false, "{name} is wider than its screen");
    let faint = window.value(include_str!("contrast.js"));
    assert_eq!(faint, json!([]), "{name}: text below a contrast of 4.5 to 1");
    if let Some(folder) = std::env::var_os("SEQLINE_SCREENSHOTS") {
        window.screenshot(&PathBuf::from(folder), name);
    }
}

#[test]
fn the_page_looks_right_in_both_languages_both_themes_and_every_size() {
    let server = Server::start();
    furnish(&server);
    let browser = Browser::start(server.http);
    let window = browser.open("#/alice/g/Release%20crew");
    for (layout, width, height, phone) in [("desktop", 1280, 800, false), ("phone", 390, 844, true)]
    {
        window.size(width, height, phone);
        for language in ["en", "zh"] {
            for theme in ["light", "dark"] {
                let named = |view: &str| format!("{layout}-{language}-{theme}-{view}");
                window.system_theme(theme);
                window.until(&format!("document.documentElement.dataset.theme === '{theme}'"));
                window.go("#/alice/g/Release%20crew");
                window.until("document.querySelectorAll('[data-seq]').length === 6");
                looks_right(&window, &named("chat"));
                window.go("#/alice/dev");
                window.click(".dev-form .primary");
                window.until("document.querySelector('.entries')");
                looks_right(&window, &named("developer"));
                window.go("#/alice");
                window.until("document.querySelector('.nothing-chosen')");
                looks_right(&window, &named("list"));
                window.go("#/zoe");
                window.until("document.querySelector('.frame.bare .nothing-chosen .quiet')");
                looks_right(&window, &named("empty"));
                window.go("#");
                window.until("document.querySelector('.welcome #name')");
                looks_right(&window, &named("welcome"));
            }
            // From English to Chinese, and from Chinese back for the next size.
            window.click(".language");
        }
    }
    window.stays_at_home();
    browser.quiet();
}

#[test]
fn language_and_theme_can_be_switched_and_are_remembered() {
    let server = Server::start();
    let browser = Browser::start(server.http);
    let window = browser.open("#/alice");
    window.system_theme("light");
    window.until("document.documentElement.lang === 'en'");
    window.click(".language");
    window.sees("你好，alice");
    window.until("document.documentElement.lang === 'zh-CN'");
    // As the system, light, dark: two clicks to dark.
    window.until("document.documentElement.dataset.theme === 'light'");
    window.click(".theme");
    window.click(".theme");
    window.until("document.documentElement.dataset.theme === 'dark'");
    window.reload();
    window.sees("你好，alice");
    window.until("document.documentElement.dataset.theme === 'dark'");
    browser.quiet();
}

#[test]
fn a_phone_shows_the_list_or_one_conversation_and_a_way_back() {
    let server = Server::start();
    furnish(&server);
    let browser = Browser::start(server.http);
    let window = browser.open("#/alice");
    window.size(390, 844, true);
    let visible = |css: &str| format!("document.querySelector('{css}').offsetParent !== null");
    window.until(&visible(".conversations a"));
    window.click(".conversations a");
    window.sees("Lunch first?");
    assert_eq!(window.value(&visible(".side")), false);
    window.says("In ten minutes.");
    window.sees("In ten minutes.");
    window.click(".back");
    window.until(&visible(".side"));
    window.until("document.querySelector('.conversations .last').textContent.includes('In ten')");
    browser.quiet();
}

#[test]
fn the_keyboard_reaches_everything_and_everything_has_a_name() {
    let server = Server::start();
    furnish(&server);
    let browser = Browser::start(server.http);
    let window = browser.open("#/alice/g/Release%20crew");
    window.until("document.querySelectorAll('[data-seq]').length === 6");
    // Every control is a link, a button or a field, and a screen reader can say what it is.
    let nameless = window.value(
        "[...document.querySelectorAll('a, button, input, textarea')].filter(e => \
         !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length))\
         .map(e => e.outerHTML)",
    );
    assert_eq!(nameless, json!([]));
    // Writing is possible at once, without touching the mouse.
    window.until("document.activeElement.id === 'message'");
    // What arrives is announced.
    let message = json!({"from": "bob", "group": "Release crew", "members": CREW, "text": "Go!"});
    let body = json!({"group_name": "Release crew", "group_members": CREW,
        "message": message.to_string()});
    http::post_json(server.http, "/timeline/sendGroup", &body);
    window.until("document.querySelector('[aria-live]').textContent === 'bob: Go!'");
    // Escape closes a dialog, and the focus returns to what opened it.
    window.click("[aria-label=Members]");
    window.until("document.querySelector('dialog[open]')");
    window.types("#member-input", "\u{e00c}");
    window.until("!document.querySelector('dialog')");
    window.until("document.activeElement.getAttribute('aria-label') === 'Members'");
    browser.quiet();
}
