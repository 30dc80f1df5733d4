//! The developer view: raw pages, step by step.

use serde_json::json;

use super::browser::Browser;
use crate::support::{Server, http};

const SEQS: &str = "[...document.querySelectorAll('.entries tbody td:first-child')]\
    .map(e => e.textContent).join()";

#[test]
fn the_developer_view_steps_through_raw_pages() {
    let server = Server::start();
    let browser = Browser::start(server.http);
    for n in 1..=5 {
        let message = format!(r#"{{"n": {n}.0, "x": "<b>"}}"#);
        let body = json!({"from": "a", "to": "b", "message": message});
        assert_eq!(http::post_json(server.http, "/timeline/send", &body).status, 200);
    }
    let page = browser.open("#/b/dev");
    page.fills("[name=count]", "2");
    page.click(".dev-form .primary");
    page.until(&format!("{SEQS} === '1,2'"));
    page.sees(r#"{"n": 1.0, "x": "<b>"}"#);
    let request = format!("GET http://{}/timeline/sync?member=b&last_read=0&count=2", server.http);
    page.sees(&request);
    let facts = "document.querySelector('.facts').textContent";
    page.until(&format!("{facts}.includes('latestSeq5') && {facts}.includes('entrySetLastSeq2')"));
    page.until(&format!("/Time[\\d.]+ ms/.test({facts})"));
    page.click(".next");
    page.until(&format!("{SEQS} === '3,4'"));
    page.click(".next");
    page.until(&format!("{SEQS} === '5'"));
    page.click(".next");
    page.sees("Nothing after 5");
    page.click(".previous");
    page.until(&format!("{SEQS} === '5'"));
    page.click(".previous");
    page.until(&format!("{SEQS} === '3,4'"));

    page.click("[role=tab]:nth-child(2)");
    page.fills("[name=to]", "a");
    page.click(".dev-form .primary");
    page.until(&format!("{SEQS} === '1,2'"));
    page.sees("/timeline/history/single/b/a?last_read=0&count=2");
    page.stays_at_home();
    browser.quiet();
}

#[test]
fn a_developer_sees_that_the_same_key_stores_nothing_twice() {
    let server = Server::start();
    let browser = Browser::start(server.http);
    let page = browser.open("#/a/dev");
    page.click("[role=tab]:nth-child(4)");
    page.click(".choices label:nth-child(2)");
    page.fills("[name=group]", "team");
    page.fills("[name=members]", "a, b");
    let sent = "document.querySelector('.dev-result .raw').textContent.includes('failedMembers')";
    for _ in 0..2 {
        page.click(".dev-form .primary");
        page.until(sent);
        page.value("document.querySelector('.dev-result').replaceChildren()");
    }
    page.click("[role=tab]:nth-child(3)");
    page.click(".dev-form .primary");
    page.until(&format!("{SEQS} === '1'"));
    browser.quiet();
}
